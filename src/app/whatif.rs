//! What a failover would do, for commands that only report.

use super::context::Context;
use super::error::AppError;
use super::prior_runs::PriorRuns;
use crate::inventory::{Estate, targets};
use crate::model::ids::{ComponentName, RunId, SiteName};
use crate::model::intent::Intent;
use crate::model::shape::suggest;
use crate::model::time::Timestamp;
use crate::model::waiver::{Rule, Waiver};
use crate::plan::Plan;
use crate::planner::{self, Refusal, Request};
use crate::record::runbook::Runbook;

/// What a hypothetical failover is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The current observation: the result is what `drctl failover` would say now.
    Seen,
    /// The assumption that a site is lost.
    Assumed,
}

/// The place that a failover needs and that rejects the credentials, with the reason.
pub fn closed<'a>(plan: &'a Plan, to: &'a SiteName, seen: &'a Estate) -> Option<(&'a str, (&'a str, bool))> {
    let used = targets::connections(plan).map(|place| place.name.as_str());
    let mut places = [to.as_str()].into_iter().chain(used);
    places.find_map(|place| seen.unauthenticated(place).map(|why| (place, why)))
}

/// The refusals of a failover from one site to another, for the given estate, and its critical path, or the one it would have
/// with the possible waivers.
/// people accepted what they can.
pub fn failover(
    context: &Context,
    plan: &Plan,
    sites: (&SiteName, &SiteName),
    seen: (&Estate, &PriorRuns),
    (now, over): (Timestamp, Over),
) -> (Vec<Refusal>, Option<Runbook>) {
    let accept = |rule: &Rule| Waiver {
        rule: *rule,
        component: None,
        accept_loss_ms: Some(plan.objectives.rpo_ms),
        reason: "assumed".to_owned(),
        who: context.person(),
    };
    match derive(context, plan, sites, seen, (now, over), Vec::new()) {
        Ok(runbook) => (Vec::new(), Some(runbook)),
        Err(refusals) => {
            let rules: Vec<Rule> = refusals.iter().map(|r| r.rule).filter(|r| r.waivable()).collect();
            let accepted = rules.iter().map(accept).collect();
            let runbook = derive(context, plan, sites, seen, (now, over), accepted).ok();
            (refusals, runbook)
        }
    }
}

fn derive(
    context: &Context,
    plan: &Plan,
    (from, to): (&SiteName, &SiteName),
    (estate, held): (&Estate, &PriorRuns),
    (now, over): (Timestamp, Over),
    waivers: Vec<Waiver>,
) -> Result<Runbook, Vec<Refusal>> {
    let guard = context.guard_of(plan);
    let request = Request {
        intent: Intent::Failover,
        from: Some(from.clone()),
        to: to.clone(),
        waivers,
        outage_declared: over == Over::Assumed,
        rehearsed: context.is_rehearsal(),
        holder: "a run".to_owned(),
        run: RunId::new("run"),
        restore: None,
        drill: None,
        returns: false,
        hold: None,
        severity: None,
    };
    planner::plan_run(&held.input(context, plan, (estate, now), &request, guard.as_ref()))
}

/// The recovery site: the given one, or the only other one.
///
/// # Errors
/// If it is not a site of the plan, or several are possible.
pub fn target(plan: &Plan, from: &SiteName, named: Option<&str>) -> Result<SiteName, AppError> {
    let choose = |sites: &mut dyn Iterator<Item = &SiteName>| {
        format!("choose one of: {}", sites.map(SiteName::as_str).collect::<Vec<_>>().join(", "))
    };
    if let Some(named) = named.map(SiteName::new) {
        return match plan.sites.contains_key(&named) && named != *from {
            true => Ok(named),
            false => Err(AppError::usage_fix(
                format!("plan {} cannot recover to `{named}`", plan.name),
                choose(&mut plan.sites.keys().filter(|name| *name != from)),
            )),
        };
    }
    let left =
        || plan.sites.iter().filter(|(name, site)| *name != from && site.recovery).map(|(name, _)| name);
    let mut all = left();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => {
            Err(AppError::usage(format!("plan {} has no recovery site other than `{from}`", plan.name)))
        }
        _ => Err(AppError::usage_fix(
            format!("plan {} can recover to several sites", plan.name),
            format!("add --to SITE; {}", choose(&mut left())),
        )),
    }
}

/// Checks that a plan has a site that somebody typed.
///
/// # Errors
/// With the nearest site, and all of them.
pub fn has_site(plan: &Plan, site: &SiteName) -> Result<(), AppError> {
    let known = || plan.sites.keys().map(SiteName::as_str);
    match plan.sites.contains_key(site) {
        true => Ok(()),
        false => Err(unknown(
            &format!("plan {} has no site `{site}`", plan.name),
            site.as_str(),
            known().collect(),
        )),
    }
}

/// Checks that a plan has a database that somebody typed.
///
/// # Errors
/// With the nearest one, and all of them.
pub fn has_database(plan: &Plan, component: &ComponentName) -> Result<(), AppError> {
    let stores = plan.components.values().filter(|c| c.is_store());
    let known: Vec<&str> = stores.map(|c| c.name.as_str()).collect();
    match plan.components.get(component) {
        Some(of) if of.is_store() => Ok(()),
        Some(of) => {
            let text = format!("`{component}` is {}, and drctl restores only databases", of.kind());
            Err(unknown(&text, component.as_str(), known))
        }
        None => {
            let text = format!("plan {} has no component `{component}`", plan.name);
            Err(unknown(&text, component.as_str(), known))
        }
    }
}

fn unknown(text: &str, typed: &str, known: Vec<&str>) -> AppError {
    let near = suggest(typed, known.iter().copied());
    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    let text = format!("{text}{near}");
    match known.is_empty() {
        true => AppError::usage(text),
        false => AppError::usage_fix(text, format!("choose one of: {}", known.join(", "))),
    }
}

/// The selected plans: those named, or all that have the site.
///
/// # Errors
/// If a named plan has no such site, or no plan has it.
pub fn with_site(plans: Vec<Plan>, named: &[String], site: &SiteName) -> Result<Vec<Plan>, AppError> {
    if named.is_empty() {
        let plans: Vec<_> = plans.into_iter().filter(|p| p.sites.contains_key(site)).collect();
        return match plans.is_empty() {
            true => Err(AppError::usage_fix(
                format!("no plan has a site `{site}`"),
                "run drctl status for the list of plans",
            )),
            false => Ok(plans),
        };
    }
    plans.iter().try_for_each(|plan| has_site(plan, site))?;
    Ok(plans)
}
