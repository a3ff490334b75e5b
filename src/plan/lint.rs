//! Finds risks when the plan is written, before an emergency.
//!
//! References to missing things and impossible dependencies are errors; the rest are warnings. What belongs to one kind of component is
//! found by the kind.

pub mod plans;
pub mod settings;

use std::collections::BTreeSet;

use super::graph;
use super::settings::Settings;
use super::types::{Component, Plan};
use crate::kinds::{Lint, cloud};
use crate::model::document::Spanned;
use crate::model::finding::{Finding, Span};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::plain;
use crate::model::shape::suggest;
use crate::record::runbook::{Phase, Probe, ProbeRole, ProbeVia};

/// Adds the findings about a plan with a valid shape.
pub fn lint(plan: &Plan, settings: &Settings, findings: &mut Vec<Finding>) {
    let mut lint = PlanLint { plan, settings, findings };
    lint.sites();
    lint.places();
    lint.references();
    lint.cycles();
    for component in plan.components.values() {
        lint.component(component);
    }
    lint.findings.extend(plans::within(plan));
    lint.probes();
    lint.approvals();
}

struct PlanLint<'a> {
    plan: &'a Plan,
    settings: &'a Settings,
    findings: &'a mut Vec<Finding>,
}

impl PlanLint<'_> {
    fn error(&mut self, id: &'static str, span: Span, message: String, cause: &str, fix: &str) {
        self.findings.push(Finding::error(id, &self.plan.file, Some(span), message).because(cause).fix(fix));
    }

    fn warn(&mut self, id: &'static str, span: Span, message: String, cause: &str, fix: &str) {
        self.findings
            .push(Finding::warning(id, &self.plan.file, Some(span), message).because(cause).fix(fix));
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

    fn places(&mut self) {
        let plan = self.plan;
        let sites = plan.sites.values().map(|site| (&site.place, site.span));
        let span = |name: &str| plan.connected.get(name).copied().unwrap_or(plan.home.span);
        let connections = plan.connections.iter().map(|(name, place)| (place, span(name)));
        let found = sites.chain(connections).filter_map(|(place, span)| cloud::lint(place, &plan.file, span));
        self.findings.extend(found);
    }

    fn unknown_site(&mut self, site: &SiteName, span: Span, what: &str) {
        let meant = suggest(site.as_str(), self.plan.sites.keys().map(SiteName::as_str));
        // Of two similar names, the one that is a region is spelled correctly.
        let (hint, fix) = match meant {
            Some(near) if cloud::is_region(site.as_str()) && !cloud::is_region(near) => (
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
                component.span,
                format!("`{}` exists in one site only", component.name),
                "if that site is lost, the component is lost and everything that needs it cannot serve",
                "add its counterpart under `at:`, or declare it `external` and say what recovers it",
            );
        }
        let regions = (!self.settings.unread.contains("regions")).then_some(&*self.settings.regions);
        component.spec.lint(&mut Lint {
            name: &component.name,
            span: component.span,
            objectives: component.objectives.unwrap_or(self.plan.objectives),
            plan: self.plan,
            file: &self.plan.file,
            regions,
            findings: self.findings,
        });
    }

    fn probes(&mut self) {
        let mut seen = BTreeSet::new();
        let probes = &self.plan.probes;
        for probe in probes.iter().filter(|probe| !seen.insert(probe.value.key())) {
            self.error(
                "probe-twice",
                probe.span,
                format!("two probes have the name `{}`", probe.value.key()),
                "drctl tells probes and their steps apart by name, so it would refuse every recovery",
                "give one of them another name",
            );
        }
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
                    probe.span,
                    format!("health check `{}` requests an address in {site}", probe.value.name),
                    "if that site is lost, the probe keeps failing and the RTO clock never stops",
                    "use the public name that users connect to",
                );
            }
        }
        if !self.plan.probes.iter().any(|p| p.value.role == ProbeRole::Public) {
            self.warn(
                "no-public-probe",
                self.plan.home.span,
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
                    first.span,
                    format!("the gate {name} requires roles, but drctl.yaml lists no operators"),
                    "without keys, anybody can claim a role, so drctl counts people but cannot check roles",
                    "add `operators:` to drctl.yaml; to create a key, run drctl key new NAME",
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
