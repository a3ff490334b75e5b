//! Assigns a component to a waiver that names none: never more than one.

use std::collections::BTreeSet;

use super::context::Context;
use super::error::AppError;
use super::presenter::Presenter;
use crate::inventory::Estate;
use crate::inventory::observation::Observation;
use crate::kinds::shared::database::DatabaseState;
use crate::kinds::shared::promotion::Promote;
use crate::kinds::{Operation, Role, State, Target};
use crate::model::ids::{ComponentName, PlanName};
use crate::model::plain::count;
use crate::model::shape::suggest;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::{Rule, Scope, Waiver, one_line};
use crate::plan::Plan;
use crate::plan::types::Component;
use crate::record::action::Action;
use crate::record::runbook::Runbook;
use crate::run::RunState;
use crate::run::gate::falls_short;

/// What a person typed to accept risks.
#[derive(Clone, Debug, Default)]
pub struct WaiverRequest {
    /// The rules, each with its component if one is named.
    pub waive: Vec<String>,
    /// The loss that the person accepts.
    pub accept_data_loss: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl Context {
    /// The waivers that a person typed.
    ///
    /// # Errors
    /// If one names no rule or a rule that cannot be waived, or lacks a reason or a bound.
    pub fn waivers(&self, asked: &WaiverRequest) -> Result<Vec<Waiver>, AppError> {
        let accept_loss_ms =
            asked.accept_data_loss.as_deref().map(Dur::parse).transpose().map_err(AppError::usage)?;
        names_a_risk(asked)?;
        asked.waive.iter().map(|text| self.waiver(text, asked.reason.as_deref(), accept_loss_ms)).collect()
    }

    fn waiver(
        &self,
        text: &str,
        reason: Option<&str>,
        accept_loss_ms: Option<Dur>,
    ) -> Result<Waiver, AppError> {
        let (id, component) =
            text.split_once(':').map_or((text, None), |(id, c)| (id, Some(ComponentName::new(c))));
        let rule = Rule::from_id(id).ok_or_else(|| {
            let hint = suggest(id, Rule::ALL.iter().map(|r| r.id()))
                .map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
            AppError::usage_fix(format!("rule `{id}` does not exist{hint}"), "run drctl explain for the list")
        })?;
        if !rule.waivable() {
            return Err(AppError::usage_fix(
                format!("`{rule}` cannot be waived"),
                format!("run drctl explain {rule} to see what to do instead"),
            ));
        }
        let Some(reason) = reason.filter(|r| !r.trim().is_empty()) else {
            let flag = match rule {
                Rule::GuardHeld => "--take-over".to_owned(),
                _ => format!("--waive {text}"),
            };
            return Err(AppError::usage_fix(
                format!("`{flag}` needs a reason"),
                "add --reason TEXT; it goes into the journal and every report",
            ));
        };
        if rule.needs_loss_bound() && accept_loss_ms.is_none() {
            return Err(AppError::usage_fix(
                format!("`--waive {text}` needs a bound on the loss"),
                "add --accept-data-loss 5m, with the loss that you accept",
            ));
        }
        let accept_loss_ms = accept_loss_ms.filter(|_| rule.needs_loss_bound());
        Ok(Waiver { rule, component, accept_loss_ms, reason: one_line(reason), who: self.requester() })
    }
}

/// Checks that a loss is accepted for a risk.
///
/// # Errors
/// If there is a bound on the loss, and no waiver.
fn names_a_risk(asked: &WaiverRequest) -> Result<(), AppError> {
    match asked.waive.is_empty() && asked.accept_data_loss.is_some() {
        true => Err(AppError::usage_fix(
            "--accept-data-loss applies only to a risk that --waive names",
            "add --waive RULE:COMPONENT; if a run asks, drctl runs show RUN prints the whole command",
        )),
        false => Ok(()),
    }
}

/// Checks that at least one of several plans has each component that a waiver names.
///
/// # Errors
/// If none has it.
pub fn known(waivers: &[Waiver], plans: &[Plan]) -> Result<(), AppError> {
    let all: BTreeSet<&ComponentName> = plans.iter().flat_map(|plan| plan.components.keys()).collect();
    let unknown = waivers.iter().filter_map(|waiver| waiver.component.as_ref()).find(|c| !all.contains(c));
    unknown.map_or(Ok(()), |unknown| {
        let known: Vec<_> = all.iter().map(|component| component.as_str()).collect();
        Err(AppError::usage_fix(
            format!("none of the {} has a component `{unknown}`", count(plans.len(), "plan")),
            format!("choose one of: {}", known.join(", ")),
        ))
    })
}

/// Those that can be about this one of several plans: they name no component, or one of its own.
pub fn about(waivers: Vec<Waiver>, plan: &Plan) -> Vec<Waiver> {
    let own = |waiver: &Waiver| waiver.component.as_ref().is_none_or(|c| plan.components.contains_key(c));
    waivers.into_iter().filter(own).collect()
}

/// The waivers on the command line for a plan, each with its component if its rule is about one.
///
/// # Errors
/// If one names a component that the plan does not have, or none where several are possible.
pub fn for_plan(waivers: Vec<Waiver>, plan: &Plan) -> Result<Vec<Waiver>, AppError> {
    let meant = |scope: Scope| {
        let is = |c: &&Component| match scope {
            Scope::Store => c.is_store(),
            Scope::Capacity => matches!(c.role(), Role::Capacity(_)),
            Scope::Component => true,
            Scope::Run => false,
        };
        plan.components.values().filter(is).map(|c| c.name.clone()).collect()
    };
    let one = |waiver: Waiver| {
        if let Some(unknown) = waiver.component.as_ref().filter(|c| !plan.components.contains_key(*c)) {
            let known: Vec<_> = plan.components.keys().map(ComponentName::as_str).collect();
            return Err(AppError::usage_fix(
                format!("plan {} has no component `{unknown}`", plan.name),
                format!("choose one of: {}", known.join(", ")),
            ));
        }
        named(waiver, meant)
    };
    waivers.into_iter().map(one).collect()
}

/// The same for a run that continues: its stores, and the components whose guards it holds.
///
/// # Errors
/// If one names no component where several are possible.
pub fn for_run(waivers: Vec<Waiver>, state: &RunState) -> Result<Vec<Waiver>, AppError> {
    let meant = |scope: Scope| match scope {
        Scope::Store => state.runbook.stores.clone(),
        Scope::Component => state.guards().into_iter().map(|guard| guard.component).collect(),
        // No step of a run waits for these.
        Scope::Capacity | Scope::Run => Vec::new(),
    };
    waivers.into_iter().map(|waiver| named(waiver, meant)).collect()
}

fn named(waiver: Waiver, meant: impl Fn(Scope) -> Vec<ComponentName>) -> Result<Waiver, AppError> {
    let rule = waiver.rule;
    if waiver.component.is_some() {
        return Ok(waiver);
    }
    match meant(rule.scope()).as_slice() {
        [] => Ok(waiver),
        [only] => Ok(Waiver { component: Some(only.clone()), ..waiver }),
        many => Err(AppError::usage_fix(
            format!("`--waive {rule}` names no component, and it can be about {}", many.len()),
            format!("add one for each risk that you accept: {}", flags(rule, many)),
        )),
    }
}

fn flags(rule: Rule, of: &[ComponentName]) -> String {
    of.iter().map(|component| format!("--waive {rule}:{component}")).collect::<Vec<_>>().join(" ")
}

/// Checks that each waiver accepts at least the loss that is known now, for a run that continues. A rehearsal has its own time.
///
/// # Errors
/// If one accepts less, because the run would stop again.
pub fn enough(waivers: &[Waiver], state: &RunState, now: Timestamp) -> Result<(), AppError> {
    falls_short(state, waivers, now).map_or(Ok(()), |(why, enough)| Err(AppError::usage_fix(why, enough)))
}

/// A note about waivers of a new run: a replica may lack more than the person accepts. The final loss is known only after writes have
/// ended, so nothing is refused.
pub fn doubtful(
    presenter: &dyn Presenter,
    waivers: &[Waiver],
    (plan, runbook): (&Plan, &Runbook),
    (seen, now): (&Estate, Timestamp),
) {
    let behind = |waiver: &Waiver| {
        let (of, accepted) = waiver.component.as_ref().zip(waiver.accept_loss_ms)?;
        let promoted = runbook.steps.iter().find_map(|step| match &step.action {
            Action::Op(Operation::Promote(Promote { db, .. })) if db.component == *of => Some(db),
            _ => None,
        })?;
        let seen = seen.now(&Target::Database(promoted.clone())).and_then(Observation::state);
        let Some(State::Database(DatabaseState { last_commit: Some(last), .. })) = seen else { return None };
        let behind = now.since(*last);
        (behind > accepted).then(|| {
            format!(
                "the last commit in the replica of {of} is {} old, and the accepted loss is {accepted}. Unless the fence proves that less is missing, the run stops and asks again",
                behind.shown_up()
            )
        })
    };
    for words in waivers.iter().filter_map(behind) {
        presenter.note(&format!("{}: {words}", plan.name));
    }
}

/// Leaves out waivers that come too late, and says what became of each.
pub fn in_time(presenter: &dyn Presenter, waivers: Vec<Waiver>, state: &RunState) -> Vec<Waiver> {
    let in_time = |waiver: &Waiver| {
        let Some(why) = state.too_late(waiver) else { return true };
        let subject = waiver.subject(&state.created.plan);
        presenter.note(&format!("the waiver of {subject} came too late and was not recorded: {why}"));
        false
    };
    waivers.into_iter().filter(in_time).collect()
}

/// Prints the component of the plan that a waiver was assigned to, and which waivers have no effect.
pub fn say(presenter: &dyn Presenter, plan: &PlanName, typed: &[Waiver], taken: &[Waiver]) {
    for (_, taken) in typed.iter().zip(taken).filter(|(typed, taken)| typed.component != taken.component) {
        let of = taken.component.as_ref().map_or_else(String::new, |component| format!(":{component}"));
        let rule = taken.rule;
        presenter.note(&format!(
            "{plan}: --waive {rule} is taken as --waive {rule}{of}, the only component that it can be about"
        ));
    }
    for waiver in taken.iter().filter(|w| w.component.is_none() && w.rule.scope() == Scope::Store) {
        presenter.note(&format!(
            "{plan}: --waive {} has no effect, because no component of the plan holds writes",
            waiver.rule
        ));
    }
}
