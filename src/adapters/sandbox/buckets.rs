//! Buckets of a simulated estate: copied both ways, and as far behind as replicas are.

use super::estate::Estate;
use super::scenario::roll;
use crate::model::bucket::{Arriving, BucketRef, BucketState, ComparedState, CopyRule, Sample, Versioning};
use crate::model::time::Dur;

/// How many objects there are.
const OBJECTS: u32 = 1_000;

impl Estate {
    pub(super) fn bucket(&self, of: &BucketRef) -> BucketState {
        let rule = |to: &String| format!("to-{to}");
        let copied = |to: &String| CopyRule {
            id: rule(to),
            on: true,
            to: to.clone(),
            deletes: true,
            ..CopyRule::default()
        };
        // What is published stays as it was when the source went dark.
        let lost = self.lost_at.filter(|at| *at <= self.now && !self.is_lost(of.place.name.as_str()));
        let most = self.scenario.lag_ms.max(2_000);
        let arrives = |from: &String| Arriving {
            from: from.clone(),
            rule: rule(&of.bucket),
            at: lost.unwrap_or(self.now),
            operations: Some(0),
            bytes: Some(0),
            behind_ms: Some(Dur(roll(self.seed, &["copied", from], most))),
        };
        BucketState {
            versioning: Versioning::Enabled,
            rules: of.others.iter().map(copied).collect(),
            arriving: of.others.iter().map(arrives).collect(),
            unread: None,
        }
    }

    /// Nothing is ever damaged here.
    pub(super) fn compared(&self, of: &Sample) -> Option<ComparedState> {
        let reached = !self.is_lost(of.copy.place.name.as_str());
        let compared = of.most.min(OBJECTS);
        reached.then(|| ComparedState { listed: OBJECTS.into(), compared, ..ComparedState::default() })
    }
}
