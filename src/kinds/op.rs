//! What the engine asks of an operation, whatever kind of thing it acts on.

use std::fmt;

use crate::kinds::found::{Found, Readings};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::parts::Parts;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{InDoubt, Late, Properties, Undo};

/// One change that a kind can make, complete: everything that is sent is in it. `Display` says what it does.
///
/// No method has a default, so that nobody adds an operation without deciding what consent it needs, what becomes of it when a run stops,
/// what takes it back and what doubt about it means.
pub trait Op: fmt::Display + Sized {
    /// What takes it back; `Infallible` where nothing does.
    type Back;

    /// What the rules of a run ask of it.
    fn properties(&self) -> Properties;

    /// What takes it back.
    fn undo(&self) -> Undo<Self::Back>;

    /// What to do when the fate of its call is unknown.
    fn in_doubt(&self) -> InDoubt;

    /// How long after its call its effect may still come.
    fn late(&self) -> Late;

    /// What it means to leave it out, for a person who may; none where nobody may.
    fn left_out(&self) -> Option<String>;

    /// Where it acts or looks, if that is one place.
    fn place(&self) -> Option<&Place>;

    /// The store that it acts on, if it acts on one.
    fn store(&self) -> Option<&DatabaseRef>;

    /// What to look at to see whether it is done.
    fn watch(&self, called: &Called<'_>) -> Target;

    /// What an observation of that means for it.
    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged;

    /// What it means that this, which it watches, does not exist.
    fn absent(&self, target: &Target, of: &Progress<'_>) -> Judged;

    /// Where its changes are, if they can be made one by one; those at positions that are not in scope are left out. None if it is made
    /// as a whole.
    fn parts(&self, seen: &State, in_scope: &dyn Fn(u32) -> bool) -> Option<Parts>;

    /// The operation with only the changes at these positions; none if it is made as a whole.
    fn only(&self, in_scope: &dyn Fn(u32) -> bool) -> Option<Self>;

    /// Whether a call with these parts, after this was read, is one of the operation: nothing else may be in a journal.
    fn allows(&self, part: &[u32], found: Option<&Found>) -> bool;

    /// What was read of the things that a call with these parts replaces, where the operation does not say exactly that.
    fn read(&self, seen: &State, part: &[u32]) -> Option<Found>;

    /// The operation with what was read in the place of what it took for granted; none if that is the same.
    fn bound(&self, read: &Readings) -> Option<Self>;

    /// How long it takes, with the source of the figure beside it.
    fn estimate(&self) -> Estimate;

    /// The exact calls that it makes in their order, the mutating ones first, then those that watch for the result. Adapters may make no
    /// other mutating call.
    fn calls(&self) -> Vec<Call>;

    /// The attributes that it changes: what Terraform or GitOps would revert.
    fn changes(&self) -> Vec<Change>;
}

/// For an operation that is made as a whole, and that takes nothing for granted which would have to be read before it.
macro_rules! made_as_a_whole {
    () => {
        fn parts(&self, _: &crate::kinds::State, _: &dyn Fn(u32) -> bool) -> Option<crate::kinds::Parts> {
            None
        }

        fn only(&self, _: &dyn Fn(u32) -> bool) -> Option<Self> {
            None
        }

        fn allows(&self, part: &[u32], found: Option<&crate::kinds::Found>) -> bool {
            part.is_empty() && found.is_none()
        }

        fn read(&self, _: &crate::kinds::State, _: &[u32]) -> Option<crate::kinds::Found> {
            None
        }

        fn bound(&self, _: &crate::kinds::Readings) -> Option<Self> {
            None
        }
    };
}

/// For an operation that only observes: it changes nothing, and so there is nothing to undo.
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
            Some("continues without this check".to_owned())
        }

        fn changes(&self) -> Vec<crate::model::change::Change> {
            Vec::new()
        }

        crate::kinds::op::made_as_a_whole!();
    };
}

/// For an operation on `self.db` whose result is to be seen at that database itself.
macro_rules! at_its_database {
    () => {
        fn place(&self) -> Option<&crate::model::place::Place> {
            Some(&self.db.place)
        }

        fn store(&self) -> Option<&crate::kinds::shared::database::DatabaseRef> {
            Some(&self.db)
        }

        fn watch(&self, _: &crate::kinds::Called<'_>) -> crate::kinds::Target {
            crate::kinds::Target::Database(self.db.clone())
        }
    };
}

pub(crate) use {at_its_database, made_as_a_whole, only_observes};
