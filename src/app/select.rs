//! Which plans a command selects, and where they are active.

use std::collections::{BTreeMap, BTreeSet};

use super::active_site;
use super::error::AppError;
use super::interrupt::Interrupts;
use super::start::Starting;
use crate::adapters::sandbox;
use crate::model::ids::SiteName;
use crate::model::intent::Intent;
use crate::model::shape::suggest;
use crate::plan::Plan;

impl Starting<'_> {
    /// The selected plans, in the order of their dependencies, and the names of those that have errors: they may be among the selected
    /// ones, too.
    ///
    /// # Errors
    /// If there is none, or the selection is ambiguous.
    pub fn select(&self) -> Result<(Vec<Plan>, Vec<String>), AppError> {
        let (mut plans, left_out) = self.context.usable_plans(&self.options.plans, self.presenter)?;
        if let Some(tier) = &self.options.tier {
            plans.retain(|p| p.tier.as_ref().is_some_and(|t| t.value == *tier));
            if plans.is_empty() {
                return Err(AppError::usage_fix(
                    format!("no plan has tier `{tier}`"),
                    "run drctl status for the list of plans",
                ));
            }
        } else if self.options.plans.is_empty() && !self.options.all {
            plans = self.affected(plans)?;
        }
        let mut ordered: Vec<Plan> = Vec::new();
        while !plans.is_empty() {
            let waits = |p: &Plan| p.after.iter().any(|a| plans.iter().any(|other| other.name == a.value));
            let next = plans.iter().position(|p| !waits(p)).ok_or_else(|| {
                let names: Vec<_> = plans.iter().map(|p| p.name.as_str()).collect();
                AppError::usage_fix(
                    format!("plans depend on each other in a cycle: {}", names.join(", ")),
                    "remove one of their `after` entries",
                )
            })?;
            ordered.push(plans.remove(next));
        }
        Ok((ordered, left_out))
    }

    /// Names the plans that the selected ones need and that the command leaves out: nothing then shows that they serve their users.
    pub fn note_needs(&self, plans: &[Plan]) {
        let moves = matches!(self.intent, Intent::Failover | Intent::Switchover | Intent::Failback);
        for plan in plans.iter().filter(|_| moves) {
            let left_out = plan.after.iter().map(|a| a.value.as_str());
            let left_out = left_out.filter(|name| plans.iter().all(|other| other.name.as_str() != *name));
            let left_out: Vec<&str> = left_out.collect();
            if !left_out.is_empty() {
                let (name, needs) = (&plan.name, left_out.join(", "));
                self.presenter.note(&format!(
                    "{name} needs {needs} (`after:`), which this command leaves out and does not check; to move them in their order, name them, too"
                ));
            }
        }
    }

    /// Refuses a site that no plan declares, before any plan is left out because of it.
    fn declared(&self, plans: &[Plan]) -> Result<(), AppError> {
        in_some_plan(plans, "--to", &self.options.to)?;
        in_some_plan(plans, "--from", self.options.from.as_deref().unwrap_or_default())
    }

    /// Without names: the plans that are active in the site to leave.
    fn affected(&self, plans: Vec<Plan>) -> Result<Vec<Plan>, AppError> {
        self.declared(&plans)?;
        let mut by_site: BTreeMap<String, Vec<Plan>> = BTreeMap::new();
        for plan in plans.into_iter().filter(|p| p.sites.contains_key(&self.to(p))) {
            let to = self.to(&plan);
            let site = match (&self.options.from, self.context.scenario()?) {
                (Some(from), _) if plan.sites.contains_key(&SiteName::new(&**from)) => from.clone(),
                // In a rehearsal, every application is active where the scenario starts.
                (_, Some(scenario)) => sandbox::active(&plan, scenario.begins).to_string(),
                (_, None) => active_site::remembered_site(
                    self.context,
                    self.store,
                    &plan,
                    Some(&to),
                    &Interrupts::default(),
                )?
                .map_or_else(|| "unknown".to_owned(), |site| site.to_string()),
            };
            // It is active there already.
            if site != to.as_str() {
                by_site.entry(site).or_default().push(plan);
            }
        }
        if let Some(from) = &self.options.from {
            by_site.retain(|site, _| site == from);
        }
        let names = |plans: &[Plan]| plans.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
        match by_site.len() {
            0 => Err(AppError::usage_fix(
                match self.options.to.as_str() {
                    "" => "every plan is active in its home site".to_owned(),
                    to => format!("no plan is active in a site other than {to}"),
                },
                "name the plans, or name the source site with --from",
            )),
            1 => Ok(by_site.into_values().next().unwrap_or_default()),
            _ => {
                let list: Vec<_> =
                    by_site.iter().map(|(site, plans)| format!("{site}: {}", names(plans))).collect();
                Err(AppError::usage_fix(
                    format!("plans are active in different sites: {}", list.join("; ")),
                    "name the source site with --from, or name the plans",
                ))
            }
        }
    }
}

/// Refuses a site that no plan declares.
fn in_some_plan(plans: &[Plan], option: &str, site: &str) -> Result<(), AppError> {
    let known: BTreeSet<&str> =
        plans.iter().flat_map(|plan| plan.sites.keys().map(SiteName::as_str)).collect();
    if site.is_empty() || known.contains(site) {
        return Ok(());
    }
    let hint =
        suggest(site, known.iter().copied()).map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
    let known: Vec<&str> = known.into_iter().collect();
    Err(AppError::usage_fix(
        format!("no plan has a site `{site}` ({option}){hint}"),
        format!("choose one of: {}", known.join(", ")),
    ))
}
