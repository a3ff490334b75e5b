//! How buckets behave: replicated in both directions, with the same lag as database replicas.

use super::plan::Buckets;
use crate::kinds::operation::Operation;
use crate::kinds::shared::buckets::{
    Arriving, BucketRef, BucketState, ComparedState, CopyRule, Difference, Gap, Sample, Versioning,
};
use crate::kinds::simulated::{Simulated, SimulatedPart, changes_by_calls_only, has_no_servers};
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::answer::{Answer, Refused};
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::model::ids::ComponentName;
use crate::model::time::Dur;

/// The number of objects in each bucket.
const OBJECTS: u32 = 1_000;

/// The buckets of one component. Nothing changes them.
pub struct SimulatedBuckets;

impl Simulated for SimulatedBuckets {
    type Spec = Buckets;

    changes_by_calls_only!();
    has_no_servers!();

    fn build(_: &Buckets, _: (Owner, &ComponentName), _: &dyn Surroundings, _: &mut SimulatedWorld) -> Self {
        Self
    }

    fn start_from(&mut self, _: &Feed, _: &mut SimulatedWorld) {}

    fn apply(&mut self, op: &Operation, _: &mut SimulatedWorld) -> Answer {
        Err(Refused::unknown(op))
    }

    fn observe(&self, target: &Target, world: &SimulatedWorld) -> Option<State> {
        match target {
            Target::Bucket(of) => Some(State::Bucket(bucket(of, world))),
            Target::Compared(of) => compared(of, world).map(State::Compared),
            _ => None,
        }
    }

    fn part(&self) -> SimulatedPart<'_> {
        SimulatedPart::Other
    }
}

fn bucket(of: &BucketRef, world: &SimulatedWorld) -> BucketState {
    let rule = |to: &String| format!("to-{to}");
    let copied = |to: &String| CopyRule {
        id: rule(to),
        on: true,
        to: to.clone(),
        deletes: true,
        ..CopyRule::default()
    };
    // No metrics are published after the source is lost.
    let lost = world.lost_at().filter(|at| *at <= world.now && !world.is_lost(of.place.name.as_str()));
    let most = world.scenario.lag_ms.max(2_000);
    let arrives = |from: &String| Arriving {
        from: from.clone(),
        rule: rule(&of.bucket),
        at: lost.unwrap_or(world.now),
        operations: Some(0),
        bytes: Some(0),
        behind_ms: Some(Dur(world.roll(&["copied", from], most))),
    };
    BucketState {
        versioning: Versioning::Enabled,
        rules: of.others.iter().map(copied).collect(),
        arriving: of.others.iter().map(arrives).collect(),
        unread: None,
    }
}

/// If the lag of replicas is a minute or more, the newest object has not been copied yet.
fn compared(of: &Sample, world: &SimulatedWorld) -> Option<ComparedState> {
    let reached = !world.is_lost(of.copy.place.name.as_str());
    let newest = Gap {
        key: format!("{}newest", of.source.prefix),
        written_at: Some(world.now - Dur::secs(1)),
        what: Difference::Missing,
        status: Some("PENDING".to_owned()),
    };
    let gaps = if world.scenario.lag_ms >= 60_000 { vec![newest] } else { Vec::new() };
    let compared = of.most.min(OBJECTS);
    reached.then(|| ComparedState { listed: OBJECTS.into(), compared, gaps, ..ComparedState::default() })
}
