//! Commands of the plan's author, run on this machine without a shell.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::process::Stdio;

use crate::inventory::Observation;
use crate::model::action::Command;
use crate::model::state::{CommandState, State};
use crate::model::time::Timestamp;
use crate::run::outcome::{Again, CallOutcome};

/// How much of a command's output is kept.
const TAIL_BYTES: usize = 2_000;

/// Commands that this process ran, by key.
#[derive(Debug, Default)]
pub struct Local {
    ran: RefCell<BTreeMap<String, CommandState>>,
}

impl Local {
    /// Runs a command to its end. The answer is that it ended; how, is observed.
    pub async fn start(&self, command: &Command, key: &str) -> CallOutcome {
        let Some((program, arguments)) = command.argv.split_first() else {
            return CallOutcome::Refused {
                code: "Empty".to_owned(),
                why: "the command is empty".to_owned(),
                again: Again::Never,
            };
        };
        let mut process = tokio::process::Command::new(program);
        process.args(arguments).env("DRCTL_IDEMPOTENCY_KEY", key).stdin(Stdio::null()).kill_on_drop(true);
        // Ctrl-C means that drctl pauses: it must not reach a migration that runs.
        process.process_group(0);
        match process.output().await {
            Ok(output) => {
                let mut text = output.stdout;
                text.extend(output.stderr);
                let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL_BYTES)..]);
                let tail = without_passwords(tail.trim());
                let exit = Some(output.status.code().unwrap_or(-1));
                self.ran.borrow_mut().insert(key.to_owned(), CommandState { exit, tail });
                CallOutcome::Accepted { token: None }
            }
            Err(e) => CallOutcome::Refused {
                code: "NotStarted".to_owned(),
                why: format!("{program}: {e}"),
                again: Again::Never,
            },
        }
    }

    /// How a command went, if this process ran it.
    pub fn observe(&self, key: &str, now: Timestamp) -> Observation {
        match self.ran.borrow().get(key) {
            Some(state) => Observation::Value {
                state: State::Command(state.clone()),
                observed_at: now,
                source: "process".to_owned(),
            },
            None => Observation::Unobservable { since: now, why: "this process did not run it".to_owned() },
        }
    }
}

/// The journal is for ever: passwords in addresses (`scheme://user:password@host`) do not go into it.
fn without_passwords(text: &str) -> String {
    let word = |word: &str| match word.split_once("://") {
        Some((scheme, rest)) => match rest.split_once('@') {
            Some((login, host)) if login.contains(':') => {
                let user = login.split(':').next().unwrap_or_default();
                format!("{scheme}://{user}:***@{host}")
            }
            _ => word.to_owned(),
        },
        None => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::without_passwords;

    #[test]
    fn a_password_in_an_address_is_not_kept() {
        let text = "connecting to postgres://app:hunter2@db:5432/app\nok http://x/y";
        assert_eq!(without_passwords(text), "connecting to postgres://app:***@db:5432/app\nok http://x/y");
    }
}
