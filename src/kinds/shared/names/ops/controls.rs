//! A change of routing controls as an operation.

use std::collections::BTreeMap;

use crate::kinds::aws::route53::{calls, reliance};
use crate::kinds::effects::{
    Effects, changes_no_records, is_more_than_a_row, renames_nothing, scales_nothing,
};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, made_as_a_whole};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::names::controls::{CLUSTER, SetRoutingControls, on};
use crate::kinds::shared::names::reliance::Reliance;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{InDoubt, LEADS, Late, Moves, Properties, Undo};
use crate::model::time::Dur;

impl Effects for SetRoutingControls {
    fn reliance(&self, region: &str) -> Option<Reliance> {
        Some(reliance::controls(self, region))
    }

    fn endpoints(&self) -> Option<(&'static str, &BTreeMap<String, String>)> {
        Some((CLUSTER, &self.controls.endpoints))
    }

    scales_nothing!();
    renames_nothing!();
    changes_no_records!();
    is_more_than_a_row!();
}

impl Op for SetRoutingControls {
    type Back = Self;

    fn properties(&self) -> Properties {
        Properties { moves: Moves::ByName, made_up_for: true, ..LEADS }
    }

    fn undo(&self) -> Undo<Self> {
        self.reversed().map_or(Undo::Nothing, Undo::By)
    }

    fn in_doubt(&self) -> InDoubt {
        InDoubt::Repeat
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        None
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.controls.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    fn watch(&self, _: &Called<'_>) -> Target {
        Target::Controls(self.controls.clone())
    }

    fn judge(&self, seen: &State, _: &Progress<'_>) -> Judged {
        match seen {
            State::Controls(seen) => Judged::stands(seen.on == self.wanted()),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole!();

    /// A safety rule may require time between two changes (`WaitPeriodMs`, Amazon Application Recovery Controller API Reference).
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(2), Dur::mins(10))
    }

    fn calls(&self) -> Vec<Call> {
        calls::controls(self)
    }

    fn changes(&self) -> Vec<Change> {
        let resource = format!("routing controls of {}", self.controls.component);
        let (before, after) = (on(&self.from), on(&self.wanted()));
        vec![Change::new(&self.controls.place.name, &resource, "On", before, after)]
    }
}
