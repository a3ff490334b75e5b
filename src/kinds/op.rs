//! What the engine requires from an operation, whatever its kind.

use std::fmt;

use crate::kinds::found::{FoundValues, Readings};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::parts::Parts;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{InDoubt, Late, Properties, Undo};

/// One change that a kind can make. It is complete: it has everything that is sent. `Display` describes it.
///
/// No method has a default, so that whoever adds an operation must decide which consent it needs, what happens to it when a run stops, how
/// it is undone, and what to do if its result is in doubt.
pub trait Op: fmt::Display + Sized {
    /// The operation that undoes it; `Infallible` if none does.
    type Back;

    /// The properties that the rules of a run depend on.
    fn properties(&self) -> Properties;

    /// How it is undone.
    fn undo(&self) -> Undo<Self::Back>;

    /// What to do if the result of its call is unknown.
    fn in_doubt(&self) -> InDoubt;

    /// How long after its call it may still take effect.
    fn late(&self) -> Late;

    /// The consequence of skipping it, for the person who may; `None` if nobody may.
    fn left_out(&self) -> Option<String>;

    /// The place where it acts or observes, if that is one place.
    fn place(&self) -> Option<&Place>;

    /// The store that it acts on, if any.
    fn store(&self) -> Option<&DatabaseRef>;

    /// The target that shows whether it is done.
    fn watch(&self, called: &Called<'_>) -> Target;

    /// What an observation of that target means.
    ///
    /// Before an undo makes its first call, the step's own operation is asked, with `of.undoing`. `Before` then means that there is nothing
    /// to undo. `Done`, `Partly` and `Half` mean that something is, so the undo makes its call. `Wrong` and `Over` mean that it fails. After
    /// that call [`Self::Back`] is asked, with `of.undo`: `Done` means that the step is undone.
    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged;

    /// What it means that the watched target does not exist.
    fn absent(&self, target: &Target, of: &Progress<'_>) -> Judged;

    /// The state of each of its changes, if they can be made separately; positions that are not in scope are left out. `None` if it can
    /// only be made as a whole.
    fn parts(&self, seen: &State, in_scope: &dyn Fn(u32) -> bool) -> Option<Parts>;

    /// The operation with only the changes at these positions; `None` if it can only be made as a whole.
    fn only(&self, in_scope: &dyn Fn(u32) -> bool) -> Option<Self>;

    /// Whether a call with these parts, after this reading, belongs to the operation. A journal with any other call is rejected.
    fn allows(&self, part: &[u32], found: Option<&FoundValues>) -> bool;

    /// What was read about the things that a call with these parts replaces, if the operation does not specify that exactly. It is recorded
    /// with the call. For the calls of an undo it is not used: an undo restores what was read for the calls of the step.
    ///
    /// It is asked before each call, also before a repeated one, and the last reading is used. So it must leave out what an earlier call of
    /// this operation made: then `None`, and the earlier reading stays.
    fn read(&self, seen: &State, part: &[u32]) -> Option<FoundValues>;

    /// The operation with the values that were read instead of its assumptions; `None` if they are the same.
    fn bound(&self, read: &Readings) -> Option<Self>;

    /// Its estimated duration. The source of the figure is beside it.
    fn estimate(&self) -> Estimate;

    /// The exact calls in order: first the mutating ones, then those that observe the result. Adapters may make no other mutating call.
    ///
    /// A paper runbook is a shell script of these commands. A command starts with a program that people have (`aws`, `dig`, `psql`,
    /// `printf`) or that the plan names. Every value is [`quoted`](crate::model::call::quoted) or
    /// [`asked`](crate::model::call::asked). Anything else, such as work on a host, is a comment: see
    /// [`by_hand`](crate::model::call::by_hand).
    fn calls(&self) -> Vec<Call>;

    /// The attributes that it changes, which Terraform or GitOps would revert.
    fn changes(&self) -> Vec<Change>;
}

/// For an operation that can only be made as a whole.
macro_rules! made_as_a_whole_after_a_reading {
    () => {
        fn parts(
            &self,
            _: &crate::kinds::state::State,
            _: &dyn Fn(u32) -> bool,
        ) -> Option<crate::kinds::parts::Parts> {
            None
        }

        fn only(&self, _: &dyn Fn(u32) -> bool) -> Option<Self> {
            None
        }
    };
}

/// For an operation that can only be made as a whole, and whose assumptions need no reading before it.
macro_rules! made_as_a_whole {
    () => {
        crate::kinds::op::made_as_a_whole_after_a_reading!();

        fn allows(&self, part: &[u32], found: Option<&crate::kinds::found::FoundValues>) -> bool {
            part.is_empty() && found.is_none()
        }

        fn read(
            &self,
            _: &crate::kinds::state::State,
            _: &[u32],
        ) -> Option<crate::kinds::found::FoundValues> {
            None
        }

        fn bound(&self, _: &crate::kinds::found::Readings) -> Option<Self> {
            None
        }
    };
}

/// For an operation that only observes, so that there is nothing to undo. Nobody may skip it if it is a safety step.
macro_rules! only_observes {
    () => {
        type Back = std::convert::Infallible;

        fn undo(&self) -> crate::model::properties::Undo<std::convert::Infallible> {
            crate::model::properties::Undo::Nothing
        }

        fn in_doubt(&self) -> crate::model::properties::InDoubt {
            crate::model::properties::InDoubt::Repeat
        }

        fn late(&self) -> crate::model::properties::Late {
            crate::model::properties::Late::Settles
        }

        fn left_out(&self) -> Option<String> {
            (!self.properties().safety).then(|| "continues without this check".to_owned())
        }

        fn changes(&self) -> Vec<crate::model::change::Change> {
            Vec::new()
        }

        crate::kinds::op::made_as_a_whole!();
    };
}

/// For an operation on `self.db` whose result is visible at that database itself.
macro_rules! at_its_database {
    () => {
        fn place(&self) -> Option<&crate::model::place::Place> {
            Some(&self.db.place)
        }

        fn store(&self) -> Option<&crate::kinds::shared::database::server::DatabaseRef> {
            Some(&self.db)
        }

        fn watch(&self, _: &crate::kinds::judged::Called<'_>) -> crate::kinds::target::Target {
            crate::kinds::target::Target::Database(self.db.clone())
        }
    };
}

pub(crate) use {at_its_database, made_as_a_whole, made_as_a_whole_after_a_reading, only_observes};
