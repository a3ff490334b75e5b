//! Risks in `drctl.yaml`, reported once for that file and not for each plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Role;
use crate::model::finding::Finding;
use crate::model::plain::some;
use crate::plan::settings::{SqlTls, Written};
use crate::plan::{Plan, Settings};

/// The findings about the settings, with the plans that they affect.
pub fn about(written: &Written, settings: &Settings, plans: &[&Plan]) -> Vec<Finding> {
    let of = About { written, settings, plans };
    let found = of.guard().into_iter().chain(of.sinks()).chain(of.store()).chain(of.certificates());
    found.collect()
}

struct About<'a> {
    written: &'a Written,
    settings: &'a Settings,
    plans: &'a [&'a Plan],
}

impl About<'_> {
    fn warning(&self, id: &'static str, at: &[&str], message: String) -> Finding {
        Finding::warning(id, &self.written.file, self.written.place(at), message)
    }

    fn guard(&self) -> Vec<Finding> {
        let Some(guard) = &self.settings.guard else {
            let finding = self.warning("no-guard", &[], "the settings name no guard".to_owned());
            let finding = Finding { span: None, ..finding }
                .because("two operators on two machines can start runs on the same components")
                .fix("add `guard:` to drctl.yaml: a bucket outside the sites that may be lost");
            return if self.settings.unread.contains("guard") { Vec::new() } else { vec![finding] };
        };
        let mut found = Vec::new();
        if guard.account.is_none() && !self.settings.unread.contains("guard") {
            let message = "the guard names no account".to_owned();
            found.push(
                self.warning("guard-owner-unknown", &["guard"], message)
                    .because("anybody can create a bucket with a free name, so the guard could belong to a stranger")
                    .fix("add `account:` to `guard:` in drctl.yaml"),
            );
        }
        for (site, plans) in self.sites_in(&guard.region, &|_, _| true) {
            let message = format!("the guard is in {site}, a site of {plans}");
            found.push(
                self.warning("needs-lost-site", &["guard", "region"], message)
                    .because("if that site is lost, nobody can take the guard")
                    .fix("move the guard to a third region"),
            );
        }
        found
    }

    fn sinks(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for sink in self.settings.evidence.iter().flat_map(|kept| &kept.sinks) {
            for (site, plans) in
                self.sites_in(&sink.place.region, &|plan, site| plan.home.value.as_str() == site)
            {
                let message = format!("the evidence sink is in {site}, the home of {plans} ({})", sink.name);
                found.push(
                    self.warning("needs-lost-site", &["evidence", "sinks", &sink.name, "region"], message)
                        .because("drctl cannot write evidence of the loss of a region to that region")
                        .fix("move the sink to the recovery site or another region"),
                );
            }
        }
        found
    }

    fn store(&self) -> Option<Finding> {
        let store = self.settings.store.as_deref()?;
        let sites = || self.plans.iter().flat_map(|plan| plan.sites.keys());
        let site = sites().find(|site| store.contains(site.as_str()))?;
        Some(
            self.warning("needs-lost-site", &["store"], format!("the store seems to be in {site}"))
                .because("the journal must survive the loss of a region")
                .fix("keep the store on the machine that runs drctl, or in a third region"),
        )
    }

    /// No operating system includes the CAs of managed databases.
    fn certificates(&self) -> Option<Finding> {
        let sql = &self.settings.sql;
        if sql.tls != SqlTls::Verify || sql.ca_file.is_some() || self.settings.unread.contains("sql") {
            return None;
        }
        let (mut named, mut own) = (Vec::new(), None);
        for (plan, c) in self.plans.iter().flat_map(|plan| plan.components.values().map(move |c| (plan, c))) {
            let Role::Store(spec) = c.role() else { continue };
            if let Some(cas) = spec.engine.operator().own_cas().filter(|_| spec.has_login()) {
                named.push(format!("`{}` of {}", c.name, plan.name));
                own = Some(cas);
            }
        }
        let cas = own?;
        let message = format!("drctl does not trust the CA that signs the certificates of {}", some(&named));
        let finding = self.warning("sql-ca-missing", &["sql"], message);
        let finding = if self.settings_have("sql") { finding } else { Finding { span: None, ..finding } };
        let finding = finding.because(format!(
            "{}'s own CAs sign the certificates of {}. No operating system includes these CAs, so every login by drctl would fail, starting with the SQL fence",
            cas.by, cas.servers
        ));
        Some(finding.fix(format!(
            "download {} to the folder that has plans/, and set in drctl.yaml: sql: {{ca_file: {}}}",
            cas.bundle,
            cas.file()
        )))
    }

    fn settings_have(&self, key: &str) -> bool {
        self.written.tree.get(key).is_some()
    }

    /// The sites in a region, each with its plans.
    fn sites_in(&self, region: &str, counts: &dyn Fn(&Plan, &str) -> bool) -> BTreeMap<String, String> {
        let mut sites: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for plan in self.plans {
            let there = plan.sites.iter().filter(|(_, site)| site.place.region == region);
            for (name, _) in there.filter(|(name, _)| counts(plan, name.as_str())) {
                sites.entry(name.as_str()).or_default().insert(plan.name.as_str());
            }
        }
        let words = |(site, plans): (&str, BTreeSet<&str>)| {
            let plans: Vec<String> = plans.into_iter().map(str::to_owned).collect();
            (site.to_owned(), some(&plans))
        };
        sites.into_iter().map(words).collect()
    }
}
