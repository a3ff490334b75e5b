//! What would hurt at 3 a.m., said when the plan is written.
//!
//! References that lead nowhere and graphs that cannot run are errors; the rest are warnings.

mod buckets;
mod clients;
mod followed;
pub mod places;
mod trust;

use super::finding::{Finding, Span};
use super::graph;
use super::settings::Settings;
use super::shape::suggest;
use super::types::{
    Autoscaling, Component, Database, Plan, Policy, Record, Route53, SecretRef, Spanned, Spec, SwitchBy,
};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::restore::Expect;
use crate::model::runbook::{Phase, Probe, ProbeRole, ProbeVia};
use crate::model::state::RecordAnswer;
use crate::model::target::Engine;
use crate::model::time::Dur;

/// Adds what is wrong with a plan whose shape is right.
pub fn lint(plan: &Plan, settings: &Settings, findings: &mut Vec<Finding>) {
    let mut lint = Lint { plan, settings, findings };
    lint.sites();
    lint.places();
    lint.references();
    lint.cycles();
    for component in plan.components.values() {
        lint.component(component);
    }
    lint.probes();
    lint.approvals();
    lint.surroundings();
}

struct Lint<'a> {
    plan: &'a Plan,
    settings: &'a Settings,
    findings: &'a mut Vec<Finding>,
}

impl Lint<'_> {
    fn error(&mut self, id: &'static str, span: Span, message: String, cause: &str, fix: &str) {
        self.findings.push(Finding::error(id, &self.plan.file, Some(span), message).because(cause).fix(fix));
    }

    fn warn(&mut self, id: &'static str, span: Option<Span>, message: String, cause: &str, fix: &str) {
        self.findings.push(Finding::warning(id, &self.plan.file, span, message).because(cause).fix(fix));
    }

    fn sites(&mut self) {
        let home = &self.plan.home;
        if self.plan.sites.len() < 2 {
            self.error(
                "one-site-only",
                home.span,
                format!("the plan has {} site", self.plan.sites.len()),
                "recovery needs somewhere to go",
                "declare a second site under `sites:`",
            );
        }
        if !self.plan.sites.contains_key(&home.value) {
            self.unknown_site(&home.value, home.span, "home");
        }
        if self.plan.sites.iter().filter(|(name, s)| s.recovery && **name != home.value).count() == 0
            && self.plan.sites.len() > 1
        {
            self.error(
                "no-recovery-site",
                home.span,
                "no site but home may be recovered to".to_owned(),
                "`recovery: false` stands at every other site",
                "remove it from one of them",
            );
        }
    }

    fn unknown_site(&mut self, site: &SiteName, span: Span, what: &str) {
        let hint = suggest(site.as_str(), self.plan.sites.keys().map(SiteName::as_str));
        let hint = hint.map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
        self.error(
            "unknown-site",
            span,
            format!("`{what}` names site `{site}`, which is not declared{hint}"),
            "a component can only be where the plan has a site",
            "correct the name or declare the site",
        );
    }

    fn references(&mut self) {
        let plan = self.plan;
        let needs = plan.components.values().flat_map(|c| c.needs.iter().map(move |n| (c.name.as_str(), n)));
        let grouped =
            plan.groups.iter().flat_map(|(g, members)| members.iter().map(move |m| (g.as_str(), m)));
        for (by, name) in needs.chain(grouped) {
            if !plan.declared.contains(&name.value) {
                let hint = suggest(name.value.as_str(), plan.components.keys().map(ComponentName::as_str));
                let hint = hint.map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
                self.error(
                    "unknown-component",
                    name.span,
                    format!("`{by}` names component `{}`, which does not exist{hint}", name.value),
                    "what is needed has to be recovered too",
                    "correct the name or add the component",
                );
            }
        }
        for hook in &plan.hooks {
            if hook.component.as_ref().is_some_and(|c| !plan.components.contains_key(c)) {
                let name = hook.component.as_ref().map_or("", ComponentName::as_str);
                self.error(
                    "unknown-component",
                    hook.span,
                    format!("hook `{}` names component `{name}`, which does not exist", hook.name),
                    "a hook can only stand beside a component of the plan",
                    "correct the name",
                );
            }
            if hook.change.is_some() && hook.phase < Phase::Promote {
                self.error(
                    "plan-bad-hook",
                    hook.span,
                    format!("hook `{}` makes a change before anybody was asked", hook.name),
                    "people are asked at the phase gate, and fences and capacity wait for nobody",
                    "put it before or after promote or a later phase, or leave `change:` out",
                );
            }
        }
    }

    fn cycles(&mut self) {
        if let Some(path) = graph::cycle(self.plan) {
            let span = self.plan.components.get(&path[0]).map_or_else(Span::default, |c| c.span);
            let names: Vec<_> = path.iter().map(ComponentName::as_str).collect();
            self.error(
                "dependency-cycle",
                span,
                format!("components need each other: {}", names.join(" -> ")),
                "none of them can be started first",
                "remove one of these `needs`",
            );
        }
    }

    fn component(&mut self, component: &Component) {
        for site in component.sites() {
            if !self.plan.sites.contains_key(&site) {
                self.unknown_site(&site, component.span, component.name.as_str());
            }
        }
        if component.sites().len() == 1 {
            self.warn(
                "component-in-one-site",
                Some(component.span),
                format!("`{}` exists in one site only", component.name),
                "when that site is lost it is lost too, and what needs it cannot serve",
                "add its counterpart under `at:`, or declare it `external` with what recovers it",
            );
        }
        match &component.spec {
            Spec::Database(spec) => self.database(component, spec),
            Spec::Autoscaling(group) => self.autoscaling(component, group),
            Spec::Route53(zone) => self.route53(component, zone),
            Spec::Clients(clients) => self.clients(component, clients),
            Spec::Buckets(spec) => self.buckets(component, spec),
            Spec::External(_) => {}
        }
    }

    fn database(&mut self, component: &Component, spec: &Database) {
        self.twins(component, spec);
        let name = &component.name;
        let objectives = component.objectives.unwrap_or(self.plan.objectives);
        if spec.fence.is_empty() {
            self.warn(
                "no-fence",
                Some(component.span),
                format!("`{name}` has no fence"),
                "without one every failover needs a waiver, and the old primary may go on taking writes",
                match spec.engine {
                    Engine::Rds | Engine::Aurora => {
                        "add `fence: [sql, security_group]` with `fence_group` and `admin` in each site"
                    }
                    Engine::Postgres => "add `fence: [sql]`",
                },
            );
        }
        self.shared_global(component, spec);
        self.trust(component, spec);
        for (site, at) in &spec.at {
            self.database_at(component, spec, site, at);
        }
        if spec.canary_table.is_none() {
            self.warn(
                "no-write-check",
                Some(component.span),
                format!("no real write verifies a promotion of `{name}`"),
                "`available` is a word of the control plane; only a committed row proves a primary",
                "add `verify: {sql_write: {table: drctl_canary}}`",
            );
        }
        for bad in spec.invariants.iter().filter(|i| i.value.expect == Expect::Nothing) {
            self.error(
                "invariant-without-expectation",
                bad.span,
                format!("invariant `{}` says neither `is` nor `at_least`, or both", bad.value.name),
                "it would fail every restore, or prove nothing",
                "is: \"50000\", or at_least: 4000",
            );
        }
        if let Some(every) = spec.backup_every.as_ref().filter(|e| e.value > objectives.rpo_ms) {
            self.error(
                "backup-interval-above-rpo",
                every.span,
                format!("a backup every {} cannot meet an RPO of {}", every.value, objectives.rpo_ms),
                "up to one interval of writes is lost with the source",
                "back up more often, replicate, or promise less",
            );
        }
    }

    /// A global database has one writer: two components would move it twice.
    fn shared_global(&mut self, component: &Component, spec: &Database) {
        let Some(global) = &spec.global else { return };
        let same = |c: &&Component| {
            c.name < component.name
                && matches!(&c.spec, Spec::Database(d) if d.global.as_ref() == Some(global))
        };
        if let Some(other) = self.plan.components.values().find(same) {
            let words =
                format!("`{}` and `{}` are one global database, {global}", other.name, component.name);
            self.error(
                "global-database-twice",
                component.span,
                words,
                "it has one writer, and each component would fence it and move it",
                "make them one component: several databases of one cluster move together",
            );
        }
    }

    fn database_at(
        &mut self,
        component: &Component,
        spec: &Database,
        site: &SiteName,
        at: &super::types::DatabaseAt,
    ) {
        use crate::model::action::FenceMethod;
        let needs_group = spec.fence.contains(&FenceMethod::SecurityGroup) && at.fence_group.is_none();
        let needs_admin = spec.fence.iter().any(|m| m.service() == "sql") && at.admin.is_none();
        let needs_host = spec.fence.iter().any(|m| m.needs_host()) && at.host.is_none();
        if needs_group || needs_admin || needs_host {
            let what = match (needs_group, needs_host) {
                (true, _) => "fence_group:",
                (_, true) => {
                    "host: {run: [ssh, -o, BatchMode=yes, postgres@HOST], data: FOLDER, replication: {secret: ..}}"
                }
                _ => "admin:",
            };
            self.error(
                "fence-not-prepared",
                component.span,
                format!(
                    "`{}` cannot be fenced in {site}: `{}` is missing",
                    component.name,
                    what.split(':').next().unwrap_or(what)
                ),
                "a fence is prepared beforehand or it is not there when it is needed",
                &format!("add `{what}` for {site}, or take that rung off the ladder"),
            );
        }
        if let Some(host) = at.host.as_ref().filter(|h| !h.data.starts_with('/') || h.run.is_empty()) {
            let what =
                if host.run.is_empty() { "`run` names no program" } else { "`data` is no absolute path" };
            self.error(
                "host-unusable",
                component.span,
                format!("the host of `{}` in {site}: {what}", component.name),
                "a switchover would end with a primary and no standby",
                "run: [ssh, -o, BatchMode=yes, postgres@HOST], data: /the/folder/with/PG_VERSION",
            );
        }
        if let Some(backups) = at.backups.as_ref().filter(|b| {
            let get = &b.value.archive_get;
            !(get.contains("%f") && get.contains("%p"))
        }) {
            self.error(
                "backups-unusable",
                backups.span,
                format!("`archive_get` of `{}` in {site} lacks %f or %p", component.name),
                "without the log a backup leads to no time but its own end",
                "as restore_command is written: %f is the file, %p where it goes",
            );
        }
        for login in at.admin.iter().chain(&at.replication) {
            self.login(component, site, login);
        }
    }

    fn login(&mut self, component: &Component, site: &SiteName, login: &Spanned<SecretRef>) {
        match &login.value {
            SecretRef::Literal => self.error(
                "secret-in-plan",
                login.span,
                format!("credentials of `{}` stand in the plan", component.name),
                "plans are read, stored in journals and put into evidence",
                "write {secret: \"aws-sm:name\"} and keep the value in the secret store of that site",
            ),
            SecretRef::Ref(reference) => {
                if let Some(other) = self.other_site_in(reference, site) {
                    self.warn(
                        "needs-lost-site",
                        Some(login.span),
                        format!("credentials for {site} come from {other}"),
                        "a secret is needed exactly when the other site may be gone",
                        &format!("keep a copy in {site} and name that one"),
                    );
                }
            }
            SecretRef::EndpointOf(_) => {}
        }
    }

    /// The site other than `own` whose region a reference names.
    fn other_site_in(&self, reference: &str, own: &SiteName) -> Option<&SiteName> {
        let own_region = self.plan.sites.get(own).map(|s| s.place.region.as_str());
        self.plan
            .sites
            .iter()
            .find(|(_, s)| Some(s.place.region.as_str()) != own_region && reference.contains(&s.place.region))
            .map(|(name, _)| name)
    }

    fn autoscaling(&mut self, component: &Component, group: &Autoscaling) {
        let critical = self.plan.tier.as_ref().is_some_and(|t| t.value == "critical");
        for (site, at) in &group.at {
            if critical && at.capacity_floor.is_none() && *site != self.plan.home.value {
                self.warn(
                    "no-capacity-floor",
                    Some(component.span),
                    format!("`{}` has no `capacity_floor` in {site}", component.name),
                    "while the source is dark its capacity cannot be read, and the last observation may be old or missing",
                    &format!("add `capacity_floor:` with the instances that {site} cannot serve without"),
                );
            }
            let timeout = at.timeout.unwrap_or(Dur::mins(10));
            if timeout > self.plan.objectives.rto_ms {
                self.warn(
                    "timeout-above-rto",
                    Some(component.span),
                    format!(
                        "scaling `{}` may take {timeout}, longer than the RTO of {}",
                        component.name, self.plan.objectives.rto_ms
                    ),
                    "a run that waits that long has already missed its objective",
                    "shorten the timeout or keep warm capacity",
                );
            }
        }
    }

    fn route53(&mut self, component: &Component, zone: &Route53) {
        if !self.plan.connections.contains_key(&zone.via.value)
            && !self.plan.sites.contains_key(&SiteName::new(&*zone.via.value))
        {
            let hint = suggest(&zone.via.value, self.plan.connections.keys().map(String::as_str));
            let hint = hint.map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
            self.error(
                "unknown-connection",
                zone.via.span,
                format!("`via` names `{}`, which is not declared{hint}", zone.via.value),
                "a zone belongs to no site; the connection says how it is reached",
                "declare it under `connections:`",
            );
        }
        for record in &zone.records {
            self.record(component, record);
            self.values(record);
        }
        match &zone.switch {
            SwitchBy::Record => {}
            SwitchBy::Object(object) => self.object(zone, object),
            SwitchBy::Controls(controls) => self.controls(zone, controls),
        }
        let stores = self.plan.components.values().any(Component::is_store);
        let dynamic = zone.records.iter().any(|r| !r.is_static);
        let reaches_store = graph::reach(self.plan, &component.name)
            .iter()
            .any(|n| self.plan.components.get(n).is_some_and(Component::is_store));
        if stores && dynamic && !reaches_store {
            self.error(
                "traffic-without-database",
                component.span,
                format!("traffic of `{}` does not depend on any database of the plan", component.name),
                "users could be sent to a site whose database is not writable yet",
                "add the database to `needs:`, or mark the records `serves: static`",
            );
        }
    }

    fn record(&mut self, component: &Component, record: &Record) {
        let rto = component.objectives.unwrap_or(self.plan.objectives).rto_ms;
        let has_values = record.at.values().any(|at| matches!(at.answer, RecordAnswer::Values { .. }));
        match &record.ttl {
            Some(ttl) if ttl.value > rto => self.error(
                "ttl-above-rto",
                ttl.span,
                format!("{} is cached for {}, longer than the RTO of {rto}", record.name, ttl.value),
                "resolvers keep the old answer for one TTL after the switch, whatever drctl does",
                "lower the TTL; 60s is usual for a name that is failed over",
            ),
            Some(ttl) if ttl.value.millis() * 4 > rto.millis() => self.warn(
                "ttl-near-rto",
                Some(ttl.span),
                format!(
                    "the TTL of {} ({}) takes more than a quarter of the RTO of {rto}",
                    record.name, ttl.value
                ),
                "it is added to the time that everything else takes",
                "lower the TTL; 60s is usual for a name that is failed over",
            ),
            None if has_values => self.error(
                "record-without-ttl",
                record.span,
                format!("{} has values and no `ttl`", record.name),
                "a change names the record set exactly, TTL included",
                "add `ttl: 60s`",
            ),
            _ => {}
        }
        if record.policy != Policy::Simple && record.at.values().any(|at| at.set.is_none()) {
            self.error(
                "record-without-set",
                record.span,
                format!("{} needs a set identifier for each site", record.name),
                "weighted and failover sets of one name are told apart by it",
                "add `set:` to each answer",
            );
        }
        if record.policy == Policy::Weighted && record.at.values().all(|at| at.weight == 0) {
            self.error(
                "no-weight",
                record.span,
                format!("every weight of {} is 0", record.name),
                "weights are the normal state; with all at 0 Route 53 answers with all of them",
                "give the home site a weight, for example 100",
            );
        }
    }

    fn probes(&mut self) {
        let alarm = |probe: &&Spanned<Probe>| probe.value.role == ProbeRole::Alarm;
        for probe in self.plan.probes.iter().filter(|probe| !alarm(probe)) {
            let site_names = probe.value.site.iter().filter(|s| !self.plan.sites.contains_key(*s));
            for site in site_names.cloned().collect::<Vec<_>>() {
                self.unknown_site(&site, probe.span, probe.value.name.as_str());
            }
            let address = match &probe.value.via {
                ProbeVia::Http { url, .. } => url,
                ProbeVia::Tcp { address } => address,
                ProbeVia::Alarm { alarm, .. } => alarm,
            };
            let in_site = self
                .plan
                .sites
                .iter()
                .find(|(_, s)| address.contains(&s.place.region))
                .map(|(n, _)| n.clone());
            if let (ProbeRole::Public | ProbeRole::Write, Some(site)) = (probe.value.role, in_site) {
                self.warn(
                    "needs-lost-site",
                    Some(probe.span),
                    format!("health check `{}` asks an address in {site}", probe.value.name),
                    "when that site is lost it fails for ever, and the RTO clock never stops",
                    "ask the name that users use",
                );
            }
        }
        if !self.plan.probes.iter().any(|p| p.value.role == ProbeRole::Public) {
            self.warn(
                "no-public-probe",
                Some(self.plan.home.span),
                "no probe sees what users see".to_owned(),
                "the RTO is read from public probes; without one it cannot be measured",
                "add a probe with `role: public`",
            );
        }
    }

    /// A gate that nobody can open is found out now, and not while users wait behind it.
    fn approvals(&mut self) {
        let authority = &self.settings.authority;
        let everybody: Vec<&str> = authority.operators.keys().map(String::as_str).collect();
        for (name, gate) in &self.plan.gates {
            // The policy's own approval is called so.
            if name == "policy" {
                self.error(
                    "reserved-name",
                    self.plan.home.span,
                    "a gate of the plan is called `policy`".to_owned(),
                    "that is the name of the approval that drctl.yaml's policy asks for",
                    "call it otherwise",
                );
            }
            let Some(first) = gate.by.first() else { continue };
            let roles: Vec<String> = gate.by.iter().map(|role| role.value.clone()).collect();
            if authority.is_empty() {
                self.warn(
                    "roles-not-checked",
                    Some(first.span),
                    format!("the gate {name} asks for roles, and drctl.yaml has no operators"),
                    "without their keys anybody may say that they have a role: only people are counted",
                    "add `operators:` to drctl.yaml; drctl key new makes a key",
                );
                continue;
            }
            let lacking = authority.lacking(&roles, &everybody);
            if !lacking.is_empty() {
                self.error(
                    "approval-nobody-can-give",
                    first.span,
                    format!(
                        "the gate {name} asks for {}, and nobody is left to say that yes",
                        lacking.join(" and ")
                    ),
                    "each role needs a person of its own under `operators:` in drctl.yaml",
                    "give the role to somebody there, or ask for another",
                );
            }
        }
    }

    fn surroundings(&mut self) {
        let span = Some(self.plan.home.span);
        let in_site = |region: &str| {
            self.plan.sites.iter().find(|(_, s)| s.place.region == region).map(|(n, _)| n.clone())
        };
        let Some(guard) = &self.settings.guard else {
            return self.warn(
                "no-guard",
                span,
                "there is no guard".to_owned(),
                "two operators on two machines can start runs on the same components",
                "add `guard:` to drctl.yaml: a bucket outside the sites that may be lost",
            );
        };
        if guard.account.is_none() {
            self.warn(
                "guard-owner-unknown",
                span,
                "nobody said whose the guard's bucket is".to_owned(),
                "names of buckets are free for anybody to take, and so the guard could be a stranger's",
                "add `account:` to `guard:` in drctl.yaml",
            );
        }
        if let Some(site) = in_site(&guard.region) {
            self.warn(
                "needs-lost-site",
                span,
                format!("the guard is kept in {site}"),
                "when that site is lost, nobody can take the guard",
                "keep it in a third region",
            );
        }
        for sink in self.settings.evidence.iter().flat_map(|kept| &kept.sinks) {
            if let Some(site) = in_site(&sink.place.region).filter(|s| *s == self.plan.home.value) {
                self.warn(
                    "needs-lost-site",
                    span,
                    format!("evidence goes to {site} ({})", sink.name),
                    "evidence of the loss of a region cannot be written to that region",
                    "keep it in the recovery site, or elsewhere",
                );
            }
        }
        if let Some(site) = self
            .settings
            .store
            .as_deref()
            .and_then(|s| self.plan.sites.keys().find(|n| s.contains(n.as_str())))
        {
            let site = site.clone();
            self.warn(
                "needs-lost-site",
                span,
                format!("the store seems to be in {site}"),
                "the journal has to outlive the region that is down",
                "keep it on the machine that runs drctl, or in a third region",
            );
        }
    }
}
