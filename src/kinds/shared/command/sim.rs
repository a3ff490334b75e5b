//! Commands of a plan in a simulation: they are not run. A plan may declare the outcome of each.

use crate::kinds::control::CommandState;
use crate::kinds::shared::command::Command;
use crate::model::time::Dur;

/// How long it takes, if the plan declares that.
pub fn takes(command: &Command) -> Option<Dur> {
    command.rehearsal.as_ref().map(|declared| declared.takes_ms)
}

/// Its result: the declared one, otherwise a success. It follows from the plan alone, so another process finds the same one. The text says
/// that nobody observed it.
pub fn result(command: &Command) -> CommandState {
    let Some(declared) = &command.rehearsal else {
        let tail = "not run in a rehearsal, because the plan declares no outcome (`rehearsal:`)".to_owned();
        return CommandState { exit: Some(0), tail };
    };
    let tail = match declared.output.as_str() {
        "" => "declared in the plan, not observed".to_owned(),
        output => format!("declared in the plan, not observed: {output}"),
    };
    CommandState { exit: Some(declared.exit.into()), tail }
}
