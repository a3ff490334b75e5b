//! The list of operations: everything that a kind can do, and every observation of a kind that a run waits for.
//!
//! A new operation is a line here, and a type of its own in the folder of its kind, which answers `Op` and `Effects`. There is no other
//! list.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::aurora::ops::AddClusterInstance;
use crate::kinds::aws::autoscaling::ops::Scale;
use crate::kinds::aws::ecs::ops::ScaleService;
use crate::kinds::aws::rds::ops::Rename;
use crate::kinds::effects::Effects;
use crate::kinds::found::{FoundValues, Readings};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::Op;
use crate::kinds::parts::Parts;
use crate::kinds::shared::buckets::Sample;
use crate::kinds::shared::canary::CanaryWrite;
use crate::kinds::shared::capacity::resize::Sent;
use crate::kinds::shared::capacity::size::Size;
use crate::kinds::shared::clients::write::ClientWrite;
use crate::kinds::shared::command::Command;
use crate::kinds::shared::database::looks::{Available, CaughtUp, Follows, Promotable};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::fence::method::Fence;
use crate::kinds::shared::fence::op::Unfence;
use crate::kinds::shared::names::answers::Answers;
use crate::kinds::shared::names::controls::SetRoutingControls;
use crate::kinds::shared::names::health_object::SetHealthObject;
use crate::kinds::shared::names::reliance::Reliance;
use crate::kinds::shared::names::switch::Switch;
use crate::kinds::shared::promotion::{Promote, Withdraw};
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::op::RestoreStep;
use crate::kinds::shared::secret::op::UpdateClientSecret;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{InDoubt, Late, Properties, Undo};

/// Generates the list, and `each!`, which calls a method of the contained operation. (The first word is a dollar sign for `each!`.)
macro_rules! operations {
    ($d:tt $($(#[$words:meta])* $name:ident($operation:ty),)*) => {
        /// One operation of a kind. It is complete: it has everything that is sent.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "op", rename_all = "snake_case")]
        pub enum Operation {
            $($(#[$words])* $name($operation),)*
        }

        $(impl From<$operation> for Operation {
            fn from(operation: $operation) -> Self {
                Self::$name(operation)
            }
        })*

        macro_rules! each {
            ($d of:expr, $d op:ident => $d answer:expr) => {
                match $d of { $(Operation::$name($d op) => $d answer,)* }
            };
        }
    };
}

operations! { $
    /// Keep the old primary from taking writes, with proof.
    Fence(Fence),
    /// Lift a fence.
    Unfence(Unfence),
    /// Make a replica the writer.
    Promote(Promote),
    /// Withdraw a promotion.
    Withdraw(Withdraw),
    /// Create an instance in a cluster.
    AddClusterInstance(AddClusterInstance),
    /// Make a server a standby of another one.
    Rejoin(Rejoin),
    /// Rename a managed server.
    Rename(Rename),
    /// A part of a restore to a point in time.
    Restore(RestoreStep),
    /// Set the size of a group.
    Scale(Scale),
    /// Set the number of tasks of a service.
    ScaleService(ScaleService),
    /// Move traffic by changing record sets.
    Switch(Switch),
    /// Move traffic by an object that health checks watch.
    SetHealthObject(SetHealthObject),
    /// Move traffic by routing controls.
    SetRoutingControls(SetRoutingControls),
    /// Point the clients of a database to another server, by the secret that they read.
    UpdateClientSecret(UpdateClientSecret),
    /// Write a row and read it back.
    WriteCanary(CanaryWrite),
    /// Write a row the way clients do.
    WriteAsClient(ClientWrite),
    /// Run a command from the plan.
    Run(Command),
    /// The replica can be promoted: it replays, is available and is not being backed up.
    CheckPromotable(Promotable),
    /// The service accepts changes of the instance: no other change is in progress.
    CheckAvailable(Available),
    /// The replica has replayed everything that the fenced old primary wrote, so nothing can be lost any more.
    CheckCaughtUp(CaughtUp),
    /// It follows the other server. The service does that by itself.
    CheckFollows(Follows),
    /// Name servers give the expected answer, and resolvers do as well or have had the time to.
    CheckAnswers(Answers),
    /// Objects equal their copies, as far as a sample shows. Never blocks a run.
    CompareObjects(Sample),
}

impl Operation {
    /// Whether it only writes a row, which changes nothing for users.
    pub fn writes_a_row(&self) -> bool {
        each!(self, op => op.writes_a_row())
    }

    /// What it scales, to which size, and what it sends of that.
    pub fn scaled(&self) -> Option<(Target, Size, Sent)> {
        each!(self, op => op.scaled())
    }

    /// The server that it renames, and the new name.
    pub fn renames(&self) -> Option<(&DatabaseRef, &String)> {
        each!(self, op => op.renames())
    }

    /// The record sets that it changes.
    pub fn switches(&self) -> Option<&Switch> {
        each!(self, op => op.switches())
    }

    /// Whether it needs a region, if it moves names.
    pub fn reliance(&self, region: &str) -> Option<Reliance> {
        each!(self, op => op.reliance(region))
    }

    /// The service and the endpoints, by region, that it calls because the plan names them.
    pub fn endpoints(&self) -> Option<(&'static str, &BTreeMap<String, String>)> {
        each!(self, op => op.endpoints())
    }
}

impl Op for Operation {
    type Back = Self;

    fn properties(&self) -> Properties {
        each!(self, op => op.properties())
    }

    fn undo(&self) -> Undo<Self> {
        each!(self, op => op.undo().map(Self::from))
    }

    fn in_doubt(&self) -> InDoubt {
        each!(self, op => op.in_doubt())
    }

    fn late(&self) -> Late {
        each!(self, op => op.late())
    }

    fn left_out(&self) -> Option<String> {
        each!(self, op => op.left_out())
    }

    fn place(&self) -> Option<&Place> {
        each!(self, op => op.place())
    }

    fn store(&self) -> Option<&DatabaseRef> {
        each!(self, op => op.store())
    }

    fn watch(&self, called: &Called<'_>) -> Target {
        each!(self, op => op.watch(called))
    }

    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        each!(self, op => op.judge(seen, of))
    }

    fn absent(&self, target: &Target, of: &Progress<'_>) -> Judged {
        each!(self, op => op.absent(target, of))
    }

    fn parts(&self, seen: &State, in_scope: &dyn Fn(u32) -> bool) -> Option<Parts> {
        each!(self, op => op.parts(seen, in_scope))
    }

    fn only(&self, in_scope: &dyn Fn(u32) -> bool) -> Option<Self> {
        each!(self, op => op.only(in_scope).map(Self::from))
    }

    fn allows(&self, part: &[u32], found: Option<&FoundValues>) -> bool {
        each!(self, op => op.allows(part, found))
    }

    fn read(&self, seen: &State, part: &[u32]) -> Option<FoundValues> {
        each!(self, op => op.read(seen, part))
    }

    fn bound(&self, read: &Readings) -> Option<Self> {
        each!(self, op => op.bound(read).map(Self::from))
    }

    fn estimate(&self) -> Estimate {
        each!(self, op => op.estimate())
    }

    fn calls(&self) -> Vec<Call> {
        each!(self, op => op.calls())
    }

    fn changes(&self) -> Vec<Change> {
        each!(self, op => op.changes())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        each!(self, op => op.fmt(f))
    }
}

/// For operations that cannot be undone.
impl From<Infallible> for Operation {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
