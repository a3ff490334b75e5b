//! Commands in a runbook. In a rehearsal, each may have an outcome that the plan declares; a live run does not even contain it.

use crate::kinds::Operation;
use crate::record::action::Action;
use crate::record::runbook::Step;

/// Removes the declared outcomes from a live run. In a rehearsal, they determine the expected durations. Returns the notes about commands
/// that a rehearsal does not run.
pub(super) fn outcomes(steps: &mut [Step], rehearsed: bool) -> Vec<String> {
    let (mut declared, mut others) = (Vec::new(), Vec::new());
    for step in steps {
        let Action::Op(Operation::Run(command)) = &mut step.action else { continue };
        if !rehearsed {
            command.rehearsal = None;
            continue;
        }
        match &command.rehearsal {
            Some(outcome) => {
                step.estimate.expected_ms = outcome.takes_ms.min(step.estimate.timeout_ms);
                declared.push(step.id.to_string());
            }
            None => others.push(step.id.to_string()),
        }
    }
    let note = |what: &str, steps: &[String]| {
        (!steps.is_empty())
            .then(|| format!("a rehearsal runs no command. The plan declares {what}: {}", steps.join(", ")))
    };
    let declared = note("the outcome of these, and nobody observed it", &declared);
    let others = note("no outcome (`rehearsal:`) of these, so each takes no time and succeeds", &others);
    declared.into_iter().chain(others).collect()
}
