//! Clients of a database: whether the plan moves them to the new primary and can verify that.

use std::collections::BTreeSet;

use crate::kinds::kind::Role;
use crate::kinds::lint::Lint;
use crate::kinds::list::Spec;
use crate::kinds::shared::clients::moved::Clients;
use crate::kinds::shared::secret::lint::lint_login;
use crate::kinds::shared::secret::login::SecretRef;
use crate::model::finding::Span;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::place::endpoint_parts;

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

impl Clients {
    pub(super) fn lint_clients(&self, of: &mut Lint<'_>) {
        let (name, plan) = (of.name, of.plan);
        let named = plan.components().into_iter().find(|(other, _)| **other == self.of.value);
        match named {
            Some((_, spec)) if spec.is_store() => self.lint_moves(spec, of),
            Some(_) => {
                let what = format!("`{name}` connects to `{}`, which is not a database", self.of.value);
                unusable(of, self.of.span, what);
            }
            // The check of references reports what does not exist.
            None => {}
        }
        for (login, site) in self.login.iter().flat_map(|l| self.at.keys().map(move |s| (l, s))) {
            lint_login(login, site, of);
        }
    }

    /// Checks that the plan moves them to each site of the database, and can verify that.
    fn lint_moves(&self, database: &Spec, of: &mut Lint<'_>) {
        let (name, plan) = (of.name, of.plan);
        for site in database.sites() {
            let led = self
                .at
                .get(&site)
                .is_some_and(|at| at.secret.is_some() || at.switch.is_some() || !at.restart.is_empty());
            if !led && plan.sites().get(&site).is_some_and(|s| s.recovery || site == *plan.home()) {
                unusable_here(of, format!("nothing moves `{name}` to `{}` in {site}", self.of.value));
            }
        }
        self.lint_text(of);
        let same = |(other, spec): &(&ComponentName, &Spec)| *other != name && self.shares_fields(spec);
        if let Some((other, _)) = plan.components().into_iter().find(same) {
            let what = format!("`{name}` and `{other}` change the same fields of one secret");
            unusable_here(of, what);
        }
        let no_login = matches!(self.login.as_ref().map(|l| &l.value), None | Some(SecretRef::EndpointOf(_)));
        let by_secret = self.at.values().all(|at| at.secret.is_some());
        if self.canary_table.is_some() && !by_secret && (self.endpoint.is_none() || no_login) {
            let what = format!(
                "`{name}` has no secret in at least one site, so its `sql_write` needs `endpoint` and `login`"
            );
            unusable_here(of, what);
        }
        if self.canary_table.is_none() {
            of.warn(
                "no-write-check",
                of.span,
                format!("`{name}` has no `verify: sql_write`"),
                "only a row that drctl writes like a client and finds on the new server proves that clients reach it",
                "add `verify: {sql_write: {table: drctl_canary}}`",
            );
        }
        for (site, at) in &self.at {
            if let Some(other) = at.secret.as_deref().and_then(|id| of.other_site_in(id, site)) {
                unusable_here(of, format!("the secret of `{name}` in {site} is in {other}"));
            }
        }
    }

    /// Whether another component changes the same fields of a secret.
    fn shares_fields(&self, spec: &Spec) -> bool {
        let Role::Clients(other) = spec.role() else { return false };
        let shared = |id: &String, site: &SiteName| {
            self.at.get(site).is_some_and(|own| own.secret.as_ref() == Some(id))
        };
        other.host == self.host
            && other.at.iter().any(|(site, at)| at.secret.as_ref().is_some_and(|id| shared(id, site)))
    }

    /// Checks their texts: they contain no secret and are not ambiguous.
    fn lint_text(&self, of: &mut Lint<'_>) {
        let name = of.name;
        let kept = |field: &String| {
            let field = field.to_ascii_lowercase();
            KEPT.iter().any(|word| field.contains(word)) || NAMES.contains(&field.as_str())
        };
        if let Some(field) = [Some(&self.host), self.port.as_ref()].into_iter().flatten().find(|f| kept(f)) {
            unusable_here(of, format!("`{name}` would write a server name to `{field}`"));
        }
        if Some(&self.host) == self.port.as_ref() {
            unusable_here(of, format!("`{name}` would write name and port to one field"));
        }
        for (site, at) in &self.at {
            let mut names = BTreeSet::new();
            if let Some(twice) = at.restart.iter().map(|task| &task.name).find(|n| !names.insert(*n)) {
                let what = format!("two restarts of `{name}` in {site} have the name {twice}");
                unusable_here(of, what);
            }
        }
        if let Some(endpoint) = self.endpoint.as_ref().filter(|e| !is_endpoint(e)) {
            // The text may contain a login, so it is not shown.
            let what =
                format!("`endpoint` of `{name}` is not host:port/database ({} characters)", endpoint.len());
            unusable_here(of, what);
        }
    }
}

fn unusable(of: &mut Lint<'_>, span: Span, what: String) {
    of.error(
        "clients-unusable",
        span,
        what,
        "clients that drctl does not move keep using the old server",
        "under `at:`, give each site of the database `secret`, `switch` or `restart`",
    );
}

fn unusable_here(of: &mut Lint<'_>, what: String) {
    unusable(of, of.span, what);
}
