//! Finds risks when the plan is written, before an emergency.
//!
//! References to missing things and impossible dependencies are errors; the rest are warnings.

mod buckets;
mod clients;
mod followed;
pub mod places;
pub mod plans;
pub mod settings;

use super::graph;
use super::settings::Settings;
use super::types::{Component, Plan};
use crate::kinds::Role;
use crate::kinds::aws::route53::{Policy, Record, RecordAnswer, Route53, SwitchBy};
use crate::kinds::shared::capacity::Scales;
use crate::kinds::shared::database::{Database, Engine};
use crate::kinds::shared::restore::Expect;
use crate::kinds::shared::secret::SecretRef;
use crate::model::document::Spanned;
use crate::model::finding::{Finding, Span};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::plain;
use crate::model::shape::suggest;
use crate::model::time::Dur;
use crate::record::runbook::{Phase, Probe, ProbeRole, ProbeVia};

/// Adds the findings about a plan with a valid shape.
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
                format!("the plan has only {}", plain::count(self.plan.sites.len() as u64, "site")),
                "a recovery needs a second site",
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
                "no site except home is allowed as a recovery target".to_owned(),
                "every other site has `recovery: false`",
                "remove `recovery: false` from one of them",
            );
        }
    }

    fn unknown_site(&mut self, site: &SiteName, span: Span, what: &str) {
        let meant = suggest(site.as_str(), self.plan.sites.keys().map(SiteName::as_str));
        // Of two similar names, the one that is a region is spelled correctly.
        let region = |name: &str| places::REGIONS.contains(&name);
        let (hint, fix) = match meant {
            Some(near) if region(site.as_str()) && !region(near) => (
                format!("; `sites:` declares `{near}`, which is not a region"),
                format!("correct `{near}` under `sites:` to `{site}`"),
            ),
            Some(near) => (
                format!("; did you mean `{near}`?"),
                format!("write `{near}`, or declare `{site}` under `sites:`"),
            ),
            None => (String::new(), format!("declare `{site}` under `sites:`, or correct the name")),
        };
        self.error(
            "unknown-site",
            span,
            format!("`{what}` names site `{site}`, which is not declared{hint}"),
            "a component can exist only in a declared site",
            &fix,
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
                    "drctl must also recover everything that a component needs",
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
                    "a hook can run only for a component of the plan",
                    "correct the name",
                );
            }
            if hook.change.is_some() && hook.phase < Phase::Promote {
                self.error(
                    "plan-bad-hook",
                    hook.span,
                    format!("hook `{}` makes a change before the approval", hook.name),
                    "people approve in the phase gate, and fences and capacity do not wait for them",
                    "move it before or after promote or a later phase, or remove `change:`",
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
                format!("components depend on each other in a cycle: {}", names.join(" -> ")),
                "drctl cannot start any of them first",
                "remove one of these `needs` entries",
            );
        }
    }

    fn component(&mut self, component: &Component) {
        for site in component.sites() {
            if !self.plan.sites.contains_key(&site) {
                let named = component.at.iter().find(|named| named.value == site);
                self.unknown_site(&site, named.map_or(component.span, |n| n.span), component.name.as_str());
            }
        }
        if component.sites().len() == 1 {
            self.warn(
                "component-in-one-site",
                Some(component.span),
                format!("`{}` exists in one site only", component.name),
                "if that site is lost, the component is lost and everything that needs it cannot serve",
                "add its counterpart under `at:`, or declare it `external` and say what recovers it",
            );
        }
        match component.role() {
            Role::Store(spec) => self.database(component, spec),
            Role::Capacity(spec) => self.capacity(component, spec),
            Role::Traffic(zone) => self.route53(component, zone),
            Role::Clients(clients) => self.clients(component, clients),
            Role::Copy(spec) => self.buckets(component, spec),
            Role::Declared => {}
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
                "without a fence, every failover needs a waiver, and the old primary may keep taking writes",
                match spec.engine {
                    Engine::Rds | Engine::Aurora => {
                        "add `fence: [sql, security_group]` with `fence_group` and `admin` in each site"
                    }
                    Engine::Postgres => "add `fence: [sql]`",
                },
            );
        }
        self.shared_global(component, spec);
        self.hosts(component, spec);
        for (site, at) in &spec.at {
            self.database_at(component, spec, site, at);
        }
        if spec.canary_table.is_none() {
            self.warn(
                "no-write-check",
                Some(component.span),
                format!("no test write verifies a promotion of `{name}`"),
                "the status `available` comes from the control plane; only a committed row proves that the server is a primary",
                "add `verify: {sql_write: {table: drctl_canary}}`",
            );
        }
        for bad in spec.invariants.iter().filter(|i| i.value.expect == Expect::Nothing) {
            self.error(
                "invariant-without-expectation",
                bad.span,
                format!("invariant `{}` has neither `is` nor `at_least`, or it has both", bad.value.name),
                "the invariant would fail every restore, or prove nothing",
                "write, for example, is: \"50000\" or at_least: 4000",
            );
        }
        if let Some(every) = spec.backup_every.as_ref().filter(|e| e.value > objectives.rpo_ms) {
            self.error(
                "backup-interval-above-rpo",
                every.span,
                format!("a backup every {} cannot meet an RPO of {}", every.value, objectives.rpo_ms),
                "a loss of the source can lose one backup interval of writes",
                "back up more often, use replication, or set a longer RPO",
            );
        }
    }

    /// A server of one's own without its machine can be promoted and fenced over SQL, but nobody can make it a standby.
    fn hosts(&mut self, component: &Component, spec: &Database) {
        let fenced_there = spec.fence.iter().any(|method| method.needs_host());
        if spec.engine != Engine::Postgres || fenced_there {
            return;
        }
        let without = spec.at.iter().filter(|(_, at)| at.host.is_none());
        let without: Vec<&str> = without.map(|(site, _)| site.as_str()).collect();
        if !without.is_empty() {
            self.warn(
                "no-host",
                Some(component.span),
                format!("`{}` has no `host:` in {}", component.name, without.join(" and ")),
                "without it, drctl cannot make that server a standby (`switchover`, `failback`, `reprotect`), and cannot restore it or hold an isolated drill of it",
                "add `host: {run: [ssh, -o, BatchMode=yes, postgres@HOST], data: FOLDER, replication: {secret: ..}}` beside its `endpoint`, or do these by hand",
            );
        }
    }

    /// A global database has one writer, and two components would move it twice.
    fn shared_global(&mut self, component: &Component, spec: &Database) {
        let Some(global) = &spec.global else { return };
        let same = |c: &&Component| {
            c.name < component.name && matches!(c.role(), Role::Store(d) if d.global.as_ref() == Some(global))
        };
        if let Some(other) = self.plan.components.values().find(same) {
            let words =
                format!("`{}` and `{}` name the same global database, {global}", other.name, component.name);
            self.error(
                "global-database-twice",
                component.span,
                words,
                "the global database has one writer, and both components would fence and move it",
                "merge them into one component; all databases of a cluster move together",
            );
        }
    }

    fn database_at(
        &mut self,
        component: &Component,
        spec: &Database,
        site: &SiteName,
        at: &crate::kinds::shared::database::DatabaseAt,
    ) {
        use crate::kinds::shared::fence::FenceMethod;
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
                "a fence works in an outage only if you prepare it before",
                &format!("add `{what}` for {site}, or remove that method from `fence:`"),
            );
        }
        if let Some(host) = at.host.as_ref().filter(|h| !h.data.starts_with('/') || h.run.is_empty()) {
            let what =
                if host.run.is_empty() { "`run` names no program" } else { "`data` is not an absolute path" };
            self.error(
                "host-unusable",
                component.span,
                format!("the host of `{}` in {site}: {what}", component.name),
                "a switchover would end with a primary but without a standby",
                "write, for example, run: [ssh, -o, BatchMode=yes, postgres@HOST], data: /the/folder/with/PG_VERSION",
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
                "without the WAL, drctl can restore only to the end of a backup",
                "write it like restore_command: %f is the file, and %p is the path to write it to",
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
                format!("the plan contains the credentials of `{}`", component.name),
                "drctl stores plans in journals and evidence bundles",
                "write {secret: \"aws-sm:name\"} and keep the value in the secret store of that site",
            ),
            SecretRef::Ref(reference) => {
                if let Some(other) = self.other_site_in(reference, site) {
                    self.warn(
                        "needs-lost-site",
                        Some(login.span),
                        format!("credentials for {site} come from {other}"),
                        "drctl needs the secret exactly when the other site may be lost",
                        &format!("keep a copy in {site} and name that copy"),
                    );
                }
            }
            SecretRef::EndpointOf(_) => {}
        }
    }

    /// The site other than `own` whose region is named in a reference.
    fn other_site_in(&self, reference: &str, own: &SiteName) -> Option<&SiteName> {
        let own_region = self.plan.sites.get(own).map(|s| s.place.region.as_str());
        self.plan
            .sites
            .iter()
            .find(|(_, s)| Some(s.place.region.as_str()) != own_region && reference.contains(&s.place.region))
            .map(|(name, _)| name)
    }

    fn capacity(&mut self, component: &Component, spec: &dyn Scales) {
        self.shared_capacity(component);
        let critical = self.plan.tier.as_ref().is_some_and(|t| t.value == "critical");
        for (site, share) in spec.shares() {
            if critical && share.floor.is_none() && *site != self.plan.home.value {
                self.warn(
                    "no-capacity-floor",
                    Some(component.span),
                    format!("`{}` has no `capacity_floor` in {site}", component.name),
                    "drctl cannot read the capacity of a source that does not answer, and the last observation may be old or missing",
                    &format!("set `capacity_floor:` to the number of {}s that {site} needs at least", spec.unit()),
                );
            }
            let timeout = share.timeout.unwrap_or(Dur::mins(10));
            if timeout > self.plan.objectives.rto_ms {
                self.warn(
                    "timeout-above-rto",
                    Some(component.span),
                    format!(
                        "scaling `{}` can take {timeout}, longer than the RTO of {}",
                        component.name, self.plan.objectives.rto_ms
                    ),
                    "a run that waits that long has already missed its RTO",
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
                "a zone does not belong to a site; the connection says how drctl reaches it",
                "declare the connection under `connections:`",
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
                "drctl could send users to a site whose database is not writable yet",
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
                format!("{} has a TTL of {}, longer than the RTO of {rto}", record.name, ttl.value),
                "resolvers keep the old answer for one TTL after the switch, and drctl cannot shorten that time",
                "lower the TTL, for example to 60s",
            ),
            Some(ttl) if ttl.value.millis() * 4 > rto.millis() => self.warn(
                "ttl-near-rto",
                Some(ttl.span),
                format!(
                    "the TTL of {} ({}) uses more than a quarter of the RTO of {rto}",
                    record.name, ttl.value
                ),
                "the TTL adds to the time of all other steps",
                "lower the TTL, for example to 60s",
            ),
            None if has_values => self.error(
                "record-without-ttl",
                record.span,
                format!("{} has values and no `ttl`", record.name),
                "a change must name the record set exactly, including its TTL",
                "add `ttl: 60s`",
            ),
            _ => {}
        }
        if record.policy != Policy::Simple && record.at.values().any(|at| at.set.is_none()) {
            self.error(
                "record-without-set",
                record.span,
                format!("{} needs a set identifier for each site", record.name),
                "Route 53 distinguishes weighted and failover record sets of one name by this identifier",
                "add `set:` to each answer",
            );
        }
        if record.policy == Policy::Weighted && record.at.values().all(|at| at.weight == 0) {
            self.error(
                "no-weight",
                record.span,
                format!("every weight of {} is 0", record.name),
                "the weights describe the normal state; if all are 0, Route 53 returns all answers",
                "set a weight for the home site, for example 100",
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
                    format!("health check `{}` requests an address in {site}", probe.value.name),
                    "if that site is lost, the probe keeps failing and the RTO clock never stops",
                    "use the public name that users connect to",
                );
            }
        }
        if !self.plan.probes.iter().any(|p| p.value.role == ProbeRole::Public) {
            self.warn(
                "no-public-probe",
                Some(self.plan.home.span),
                "no public probe checks what users see".to_owned(),
                "drctl measures the RTO with public probes; without one, the RTO is unknown",
                "add a probe with `role: public`",
            );
        }
    }

    /// Finds gates that nobody can open before users wait for them.
    fn approvals(&mut self) {
        // If the operators cannot be read, it is unknown who can approve.
        let known = !self.settings.unread.contains("operators") && !self.settings.unread.contains("policy");
        let authority = &self.settings.authority;
        let everybody: Vec<&str> = authority.operators.keys().map(String::as_str).collect();
        for (name, gate) in &self.plan.gates {
            // The policy's own approval has this name.
            if name == "policy" {
                self.error(
                    "reserved-name",
                    self.plan.home.span,
                    "a gate of the plan has the name `policy`".to_owned(),
                    "the approval that the policy in drctl.yaml requires already has that name",
                    "choose another name",
                );
            }
            let Some(first) = gate.by.first().filter(|_| known) else { continue };
            let roles: Vec<String> = gate.by.iter().map(|role| role.value.clone()).collect();
            if authority.is_empty() {
                self.warn(
                    "roles-not-checked",
                    Some(first.span),
                    format!("the gate {name} requires roles, but drctl.yaml lists no operators"),
                    "without keys, anybody can claim a role, so drctl counts people but cannot check roles",
                    "add `operators:` to drctl.yaml; to create a key, run drctl key new",
                );
                continue;
            }
            let lacking = authority.lacking(&roles, &everybody);
            if !lacking.is_empty() {
                self.error(
                    "approval-nobody-can-give",
                    first.span,
                    format!(
                        "the gate {name} requires {}, but not enough people can approve",
                        lacking.join(" and ")
                    ),
                    "each role needs a different person under `operators:` in drctl.yaml",
                    "give somebody the role, or require another role",
                );
            }
        }
    }
}
