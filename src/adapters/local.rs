//! Commands of the plan's author, run on this machine without a shell.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::process::{self, Given, Program};
use super::secrets;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::control::CommandState;
use crate::kinds::shared::command::Command;
use crate::model::time::{Dur, Timestamp};
use crate::run::outcome::{Again, CallOutcome};
use crate::world::World;

/// How much of what a command that failed said is kept.
const TAIL_BYTES: usize = 2_000;
/// How much is looked through for secrets before it is cut: more than any secret is long.
const HEARD: usize = 64 << 10;
/// How long something that a command left running is listened to.
const PATIENCE: Dur = Dur::secs(2);
/// The name of a variable that holds a secret.
const SECRETIVE: [&str; 8] =
    ["SECRET", "TOKEN", "PASSW", "PASSPHRASE", "CREDENTIAL", "PRIVATE", "APIKEY", "API_KEY"];

/// Commands that this process ran, by key.
pub struct Local {
    world: World,
    ran: RefCell<BTreeMap<String, CommandState>>,
}

impl Local {
    /// Nothing ran yet.
    pub fn new(world: World) -> Self {
        Self { world, ran: RefCell::default() }
    }

    /// Runs a command to its end. The answer is that it ended; how, is observed.
    pub async fn start(&self, command: &Command, key: &str) -> CallOutcome {
        let Some((program, arguments)) = command.argv.split_first() else {
            return CallOutcome::Refused {
                code: "Empty".to_owned(),
                why: "the command is empty".to_owned(),
                again: Again::Never,
            };
        };
        // It may say what it was given.
        for name in command.env.iter().filter(|name| is_secretive(name)) {
            secrets::learn(process::inherited(name).unwrap_or_default());
        }
        let run = Program {
            argv: (program, arguments),
            last: None,
            input: None,
            given: Given::Named(&command.env, &[("DRCTL_IDEMPOTENCY_KEY", key)]),
            keep: HEARD,
        };
        let patience = async { self.world.sleep_until(self.world.now() + PATIENCE).await };
        match process::run(run, patience).await {
            Ok(ended) => {
                let exit = ended.code.unwrap_or(-1);
                // Of one that did what it should nobody needs to know what it said; it may be much, and anything.
                let tail = if exit == 0 { String::new() } else { tail(ended.out.text(), ended.err.text()) };
                self.ran.borrow_mut().insert(key.to_owned(), CommandState { exit: Some(exit), tail });
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

fn is_secretive(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRETIVE.iter().any(|word| name.contains(word)) || name.ends_with("_KEY")
}

/// The end of both outputs. Secrets are taken out first: half of one, where it is cut, would be none that anybody knows.
fn tail(out: String, err: String) -> String {
    let text = [secrets::scrubbed(out), secrets::scrubbed(err)].concat();
    let text = without_passwords(text.trim());
    let start = text.len().saturating_sub(TAIL_BYTES);
    let start = (start..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text[start..].to_owned()
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
