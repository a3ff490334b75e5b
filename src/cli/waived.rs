//! What a waiver that names no component is taken for: never for more than one.

use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::kinds::Spec;
use crate::model::ids::ComponentName;
use crate::model::waiver::{Rule, Scope, Waiver};
use crate::plan::Plan;
use crate::plan::types::Component;
use crate::run::RunState;

/// Waivers that were typed for a plan, each with its component where its rule is about one.
///
/// # Errors
/// If one names a component that the plan does not have, or none where several could be meant.
pub fn for_plan(waivers: Vec<Waiver>, plan: &Plan) -> Result<Vec<Waiver>, CliError> {
    let meant = |scope: Scope| {
        let is = |c: &&Component| match scope {
            Scope::Store => c.is_store(),
            Scope::Capacity => matches!(c.spec, Spec::Autoscaling(_)),
            Scope::Component => true,
            Scope::Run => false,
        };
        plan.components.values().filter(is).map(|c| c.name.clone()).collect()
    };
    let one = |waiver: Waiver| {
        if let Some(unknown) = waiver.component.as_ref().filter(|c| !plan.components.contains_key(*c)) {
            let known: Vec<_> = plan.components.keys().map(ComponentName::as_str).collect();
            return Err(CliError::usage_fix(
                format!("plan {} has no component `{unknown}`", plan.name),
                format!("choose one of: {}", known.join(", ")),
            ));
        }
        named(waiver, meant)
    };
    waivers.into_iter().map(one).collect()
}

/// The same for a run that goes on: its stores, and the components whose guards it holds.
///
/// # Errors
/// If one names no component where several could be meant.
pub fn for_run(waivers: Vec<Waiver>, state: &RunState) -> Result<Vec<Waiver>, CliError> {
    let meant = |scope: Scope| match scope {
        Scope::Store => state.runbook.stores.clone(),
        Scope::Component => state.guards().into_iter().map(|guard| guard.component).collect(),
        // No step of a run waits for these.
        Scope::Capacity | Scope::Run => Vec::new(),
    };
    waivers.into_iter().map(|waiver| named(waiver, meant)).collect()
}

fn named(waiver: Waiver, meant: impl Fn(Scope) -> Vec<ComponentName>) -> Result<Waiver, CliError> {
    let rule = waiver.rule;
    if waiver.component.is_some() {
        return Ok(waiver);
    }
    match meant(rule.scope()).as_slice() {
        [] => Ok(waiver),
        [only] => Ok(Waiver { component: Some(only.clone()), ..waiver }),
        many => Err(CliError::usage_fix(
            format!("`--waive {rule}` names no component, and it can be about {}", many.len()),
            format!("add one for each risk that you accept: {}", flags(rule, many)),
        )),
    }
}

fn flags(rule: Rule, of: &[ComponentName]) -> String {
    of.iter().map(|component| format!("--waive {rule}:{component}")).collect::<Vec<_>>().join(" ")
}

/// Says what a waiver was taken for that named no component.
pub fn say(printer: &Printer, typed: &[Waiver], taken: &[Waiver]) {
    for (_, taken) in typed.iter().zip(taken).filter(|(typed, taken)| typed.component != taken.component) {
        let of = taken.component.as_ref().map_or_else(String::new, |component| format!(":{component}"));
        let rule = taken.rule;
        printer.note(&format!(
            "--waive {rule} is taken as --waive {rule}{of}, the only component that it can be about"
        ));
    }
}
