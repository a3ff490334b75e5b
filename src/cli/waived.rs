//! What a waiver that names no component is taken for: never for more than one.

use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::kinds::Spec;
use crate::model::ids::ComponentName;
use crate::model::waiver::{Rule, Waiver};
use crate::plan::Plan;

/// Which components of a plan a rule can be about, if it is about one.
fn concerned(rule: Rule, plan: &Plan) -> Vec<ComponentName> {
    let is = |spec: &Spec| match rule {
        Rule::UnfencedPromotion | Rule::ExposureAboveRpo | Rule::ExposureUnknown => {
            matches!(spec, Spec::Database(_))
        }
        Rule::CapacityAboveMaximum => matches!(spec, Spec::Autoscaling(_)),
        _ => false,
    };
    plan.components.values().filter(|c| is(&c.spec)).map(|c| c.name.clone()).collect()
}

/// Waivers that were typed for a plan, each with its component where its rule is about one.
///
/// # Errors
/// If one names a component that the plan does not have, or none where several could be meant.
pub fn for_plan(waivers: Vec<Waiver>, plan: &Plan) -> Result<Vec<Waiver>, CliError> {
    let one = |waiver: Waiver| {
        if let Some(unknown) = waiver.component.as_ref().filter(|c| !plan.components.contains_key(*c)) {
            return Err(CliError::usage_fix(
                format!("plan {} has no component `{unknown}`", plan.name),
                "name one of its components after the rule, or omit the component for all",
            ));
        }
        let of = concerned(waiver.rule, plan);
        named(waiver, of)
    };
    waivers.into_iter().map(one).collect()
}

/// The same for a run, whose databases are those that it promotes.
///
/// # Errors
/// If one names no component where several could be meant.
pub fn for_run(waivers: Vec<Waiver>, stores: &[ComponentName]) -> Result<Vec<Waiver>, CliError> {
    let one = |waiver: Waiver| {
        let of = match waiver.rule {
            Rule::UnfencedPromotion | Rule::ExposureAboveRpo | Rule::ExposureUnknown => stores.to_vec(),
            _ => Vec::new(),
        };
        named(waiver, of)
    };
    waivers.into_iter().map(one).collect()
}

fn named(waiver: Waiver, of: Vec<ComponentName>) -> Result<Waiver, CliError> {
    if waiver.component.is_some() || of.is_empty() {
        return Ok(waiver);
    }
    let rule = waiver.rule;
    match of.as_slice() {
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
