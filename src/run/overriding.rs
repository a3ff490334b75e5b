//! Overrides of approval requests: who may give them, and what follows.

use super::approval::{all_given, instead};
use super::state::RunState;
use crate::model::ids::StepId;
use crate::record::action::{Action, Gate};

/// The override of a request that waits, if anybody may give it: the command, and who may run it and what follows.
pub fn override_way(state: &RunState, i: usize) -> Option<(String, String)> {
    let Action::Gate(Gate::Approval { override_by: Some(rule), .. }) = &state.step(i).action else {
        return None;
    };
    let created = &state.created;
    let answered = state.steps[i].overridden.is_some() || all_given(state, i).is_some();
    if state.finished() || state.work(i).status.settled() || answered {
        return None;
    }
    let may = |roles: &[String]| {
        let free = |who: &&String| **who != created.requester.who && created.authority.has(who, roles);
        created.authority.operators.keys().filter(free).map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    let who = Some(may(&rule.by)).filter(|who| !who.is_empty())?;
    let step = &state.step(i).id;
    let seat = |seat: &String| format!("{seat} ({})", may(std::slice::from_ref(seat)));
    let also = rule.also.iter().map(seat).collect::<Vec<_>>();
    let then = match also.as_slice() {
        [] => String::new(),
        also => {
            let approve = created.command("approve", &format!(" {step}"));
            format!("; then, for {}: {approve}", also.join(" and "))
        }
    };
    let command = created.command("override", &format!(" {step} --reason TEXT"));
    Some((command, format!("for {} ({who}), if no approver answers{then}", rule.by.join(" or "))))
}

/// What a person can do after a refused override.
pub fn instead_of_override(state: &RunState, step: &StepId) -> String {
    let way = state.position(step).and_then(|i| override_way(state, i));
    let more = way.map_or_else(String::new, |(command, when)| format!("; or {command}, {when}"));
    format!("{}{more}", instead(state, step))
}
