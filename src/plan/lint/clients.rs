//! Clients of a database: whether the plan moves them to the new primary and can verify that.

use std::collections::BTreeSet;

use super::Lint;
use crate::kinds::Role;
use crate::kinds::clients::Clients;
use crate::kinds::shared::secret::SecretRef;
use crate::model::finding::Span;
use crate::model::place::endpoint_parts;
use crate::plan::types::Component;

/// Words in the names of fields that hold secrets or logins.
const KEPT: &[&str] = &["pass", "secret", "token"];
const NAMES: &[&str] = &["user", "username", "login", "key", "dbname", "database"];

/// `host:port/database`, without the other parts of a URL.
fn is_endpoint(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/');
    text.chars().all(known)
        && !text.contains("//")
        && endpoint_parts(text).is_some_and(|(host, ..)| !host.is_empty())
}

impl Lint<'_> {
    pub(super) fn clients(&mut self, component: &Component, clients: &Clients) {
        let name = &component.name;
        match self.plan.components.get(&clients.of.value).map(Component::is_store) {
            Some(true) => self.clients_of(component, clients),
            Some(false) => {
                let what = format!("`{name}` connects to `{}`, which is not a database", clients.of.value);
                self.unusable(clients.of.span, what);
            }
            // The check of references reports what does not exist.
            None => {}
        }
        for (login, site) in clients.login.iter().flat_map(|l| clients.at.keys().map(move |s| (l, s))) {
            self.login(component, site, login);
        }
    }

    fn unusable(&mut self, span: Span, what: String) {
        self.error(
            "clients-unusable",
            span,
            what,
            "clients that drctl does not move keep using the old server",
            "under `at:`, give each site of the database `secret`, `switch` or `restart`",
        );
    }

    fn clients_of(&mut self, component: &Component, clients: &Clients) {
        let (name, plan) = (&component.name, self.plan);
        let database = &plan.components[&clients.of.value];
        for site in database.sites() {
            let led = clients
                .at
                .get(&site)
                .is_some_and(|at| at.secret.is_some() || at.switch.is_some() || !at.restart.is_empty());
            if !led && plan.sites.get(&site).is_some_and(|s| s.recovery || site == plan.home.value) {
                let what = format!("nothing moves `{name}` to `{}` in {site}", database.name);
                self.unusable(component.span, what);
            }
        }
        self.clients_text(component, clients);
        let same = |c: &&Component| {
            matches!(c.role(), Role::Clients(other) if c.name != *name && other.at.iter().any(|(site, at)| {
                at.secret.is_some() && at.secret == clients.at.get(site).and_then(|a| a.secret.clone())
                    && other.host == clients.host
            }))
        };
        if let Some(other) = plan.components.values().find(same) {
            let what = format!("`{name}` and `{}` change the same fields of one secret", other.name);
            self.unusable(component.span, what);
        }
        let no_login =
            matches!(clients.login.as_ref().map(|l| &l.value), None | Some(SecretRef::EndpointOf(_)));
        let by_secret = clients.at.values().all(|at| at.secret.is_some());
        if clients.canary_table.is_some() && !by_secret && (clients.endpoint.is_none() || no_login) {
            self.unusable(
                component.span,
                format!(
                    "`{name}` has no secret in at least one site, so its `sql_write` needs `endpoint` and `login`"
                ),
            );
        }
        if clients.canary_table.is_none() {
            self.warn(
                "no-write-check",
                Some(component.span),
                format!("`{name}` has no `verify: sql_write`"),
                "only a row that drctl writes like a client and finds on the new server proves that clients reach it",
                "add `verify: {sql_write: {table: drctl_canary}}`",
            );
        }
        for (site, at) in &clients.at {
            let elsewhere = at.secret.as_deref().and_then(|id| self.other_site_in(id, site)).cloned();
            if let Some(other) = elsewhere {
                let what = format!("the secret of `{name}` in {site} is in {other}");
                self.unusable(component.span, what);
            }
        }
    }

    /// Checks the texts of clients: they contain no secret and are not ambiguous.
    fn clients_text(&mut self, component: &Component, clients: &Clients) {
        let name = &component.name;
        let kept = |field: &String| {
            let field = field.to_ascii_lowercase();
            KEPT.iter().any(|word| field.contains(word)) || NAMES.contains(&field.as_str())
        };
        if let Some(field) =
            [Some(&clients.host), clients.port.as_ref()].into_iter().flatten().find(|f| kept(f))
        {
            self.unusable(component.span, format!("`{name}` would write a server name to `{field}`"));
        }
        if Some(&clients.host) == clients.port.as_ref() {
            self.unusable(component.span, format!("`{name}` would write name and port to one field"));
        }
        for (site, at) in &clients.at {
            let mut names = BTreeSet::new();
            if let Some(twice) = at.restart.iter().map(|task| &task.name).find(|n| !names.insert(*n)) {
                let what = format!("two restarts of `{name}` in {site} have the name {twice}");
                self.unusable(component.span, what);
            }
        }
        if let Some(endpoint) = clients.endpoint.as_ref().filter(|e| !is_endpoint(e)) {
            // The text may contain a login, so it is not shown.
            let what =
                format!("`endpoint` of `{name}` is not host:port/database ({} characters)", endpoint.len());
            self.unusable(component.span, what);
        }
    }
}
