//! Runs the commands of the plan on this machine, without a shell.

use std::cell::RefCell;
use std::collections::BTreeMap;

use futures_util::future::{LocalBoxFuture, ready};

use super::process::{self, Given, Program};
use super::provider::Provider;
use super::secrets;
use crate::inventory::Observation;
use crate::kinds::control::CommandState;
use crate::kinds::shared::command::Command;
use crate::kinds::{Operation, State, Target};
use crate::model::again::Again;
use crate::model::scrub::Scrubber;
use crate::model::time::{Dur, Timestamp};
use crate::record::action::Action;
use crate::run::outcome::CallOutcome;
use crate::world::World;

/// How much of a failed command's output is kept.
const TAIL_BYTES: usize = 2_000;
/// How much output is searched for secrets before it is cut: more than the length of any secret.
const HEARD: usize = 64 << 10;
/// How long to keep reading the output after a command has ended, if a process that it started still holds it.
const PATIENCE: Dur = Dur::secs(2);

/// Variables that are no secrets and that explain a failure.
const TELLING: [&str; 3] = ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"];

/// Commands that this process ran, by key.
pub struct Local {
    world: World,
    ran: RefCell<BTreeMap<String, CommandState>>,
}

impl Provider for Local {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        let now = self.world.now();
        let seen = targets.iter().map(|target| match target {
            Target::Command { key, .. } => self.result(key, now),
            other => {
                let why = format!("no command shows {}", other.service());
                Observation::Unobservable { since: now, why }
            }
        });
        Box::pin(ready(seen.collect()))
    }

    fn perform<'a>(&'a self, action: &'a Action, key: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        Box::pin(async move {
            match action {
                Action::Op(Operation::Run(command)) => self.start(command, key).await,
                other => CallOutcome::Refused {
                    code: "NotLocal".to_owned(),
                    why: format!("no command does this: {other}"),
                    again: Again::Never,
                },
            }
        })
    }
}

impl Local {
    /// Has run no command.
    pub fn new(world: World) -> Self {
        Self { world, ran: RefCell::default() }
    }

    /// Runs a command to its end. `Accepted` means only that it ended; an observation tells how.
    pub async fn start(&self, command: &Command, key: &str) -> CallOutcome {
        let Some((program, arguments)) = command.argv.split_first() else {
            return CallOutcome::Refused {
                code: "Empty".to_owned(),
                why: "the command is empty".to_owned(),
                again: Again::Never,
            };
        };
        // It may print the values that it was given. Any of them may be a secret, whatever its name, so its own output has none of them.
        let mut given = Scrubber::default();
        for (name, value) in command.env.iter().filter_map(|name| Some((name, process::inherited(name)?))) {
            secrets::learn_variable(name, value);
            if !TELLING.contains(&name.as_str()) {
                given.learn(value);
            }
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
                // Successful output is not needed, and may be long and contain anything.
                let tail =
                    if exit == 0 { String::new() } else { tail(&given, ended.out.text(), ended.err.text()) };
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

    /// The result of a command, if this process ran it.
    pub fn result(&self, key: &str, now: Timestamp) -> Observation {
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

/// The end of both outputs. Secrets are removed before the cut, because half of a secret would no longer be recognized.
fn tail(given: &Scrubber, out: String, err: String) -> String {
    let clean = |text| given.scrub(secrets::scrubbed(text));
    let text = [clean(out), clean(err)].concat();
    let text = without_passwords(text.trim());
    let start = text.len().saturating_sub(TAIL_BYTES);
    let start = (start..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text[start..].to_owned()
}
/// Removes passwords from URLs (`scheme://user:password@host`): the journal is kept forever.
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
