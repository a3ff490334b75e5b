//! Running a command.

use std::convert::Infallible;
use std::fmt;

use crate::kinds::effects::has_no_such_effect;
use crate::kinds::facts::Fact;
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, made_as_a_whole};
use crate::kinds::shared::command::Command;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::{Call, call, quoted};
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{Consent, Felt, InDoubt, Late, Looks, Properties, QUIET, Undo};
use crate::model::time::Dur;

has_no_such_effect!(Command);

impl Op for Command {
    type Back = Infallible;

    /// Only its author knows what it does: it may move users, or show a maintenance page.
    fn properties(&self) -> Properties {
        let consent = Consent::WhereUsersAreMoved;
        Properties { consent, felt: Felt::FromTheFenceOn, looks: Looks::AfterTheCall, ..QUIET }
    }

    fn undo(&self) -> Undo<Infallible> {
        Undo::Nothing
    }

    fn in_doubt(&self) -> InDoubt {
        if self.idempotent { InDoubt::Repeat } else { InDoubt::Ask }
    }

    /// What it started may take effect at any time.
    fn late(&self) -> Late {
        if self.idempotent { Late::Settles } else { Late::RunsOn }
    }

    fn left_out(&self) -> Option<String> {
        Some("continues without the command; you must do its work yourself".to_owned())
    }

    fn place(&self) -> Option<&Place> {
        None
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    fn watch(&self, called: &Called<'_>) -> Target {
        Target::Command { key: called.key.to_owned(), command: self.clone() }
    }

    fn judge(&self, seen: &State, _: &Progress<'_>) -> Judged {
        match seen {
            State::Command(seen) => match seen.exit {
                Some(0) => Judged::Done(vec![Fact::Ran { tail: seen.tail.clone() }]),
                Some(code) => Judged::Wrong(format!("the command ended with {code}: {}", seen.tail)),
                None => Judged::Unclear("the command is running".to_owned()),
            },
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole!();

    /// The duration of most hooks. A plan gives the timeout of each.
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(30), Dur::mins(5))
    }

    fn calls(&self) -> Vec<Call> {
        let words = self.argv.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(" ");
        vec![call("command", "run", "this machine", true, words)]
    }

    /// Only its author knows what it changes.
    fn changes(&self) -> Vec<Change> {
        Vec::new()
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}", self.argv.join(" "))?;
        match &self.rehearsal {
            Some(declared) => write!(f, " (not run in a rehearsal; the plan declares {declared})"),
            None => Ok(()),
        }
    }
}
