//! A change of the object that health checks watch as an operation.

use crate::kinds::aws::route53::{calls, reliance};
use crate::kinds::effects::{
    Effects, calls_no_endpoint_of_the_plan, changes_no_records, is_more_than_a_row, renames_nothing,
    scales_nothing,
};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, made_as_a_whole};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::names::health_object::SetHealthObject;
use crate::kinds::shared::names::reliance::Reliance;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{InDoubt, LEADS, Late, Moves, Properties, Undo};
use crate::model::time::Dur;

impl Effects for SetHealthObject {
    fn reliance(&self, region: &str) -> Option<Reliance> {
        Some(reliance::object(self, region))
    }

    scales_nothing!();
    renames_nothing!();
    changes_no_records!();
    calls_no_endpoint_of_the_plan!();
    is_more_than_a_row!();
}

impl Op for SetHealthObject {
    type Back = Self;

    fn properties(&self) -> Properties {
        Properties { moves: Moves::ByName, made_up_for: true, ..LEADS }
    }

    fn undo(&self) -> Undo<Self> {
        Undo::By(Self { present: !self.present, ..self.clone() })
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
        Some(&self.object.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    fn watch(&self, _: &Called<'_>) -> Target {
        Target::HealthObject(self.object.clone())
    }

    fn judge(&self, seen: &State, _: &Progress<'_>) -> Judged {
        match seen {
            State::HealthObject(seen) => Judged::stands(seen.holder.is_some() == self.present),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole!();

    /// One API call. AWS publishes no duration; two minutes leave room for throttling.
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(2), Dur::mins(2))
    }

    fn calls(&self) -> Vec<Call> {
        calls::object(self)
    }

    fn changes(&self) -> Vec<Change> {
        let resource = format!("aws_s3_object {}", self.object.url);
        let (none, present) = ("none".to_owned(), "present".to_owned());
        let put = Change::new(&self.object.place.name, &resource, "object", none, present);
        vec![if self.present { put } else { put.reversed() }]
    }
}
