//! Buckets of a simulated estate: replicated in both directions, with the same lag as database replicas.

use super::estate::Estate;
use super::scenario::roll;
use crate::kinds::shared::buckets::{
    Arriving, BucketRef, BucketState, ComparedState, CopyRule, Difference, Gap, Sample, Versioning,
};
use crate::model::time::Dur;

/// The number of objects in each bucket.
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
        // No metrics are published after the source is lost.
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

    /// If the lag of replicas is a minute or more, the newest object has not been copied yet.
    pub(super) fn compared(&self, of: &Sample) -> Option<ComparedState> {
        let reached = !self.is_lost(of.copy.place.name.as_str());
        let newest = Gap {
            key: format!("{}newest", of.source.prefix),
            written_at: Some(self.now - Dur::secs(1)),
            what: Difference::Missing,
            status: Some("PENDING".to_owned()),
        };
        let gaps = if self.scenario.lag_ms >= 60_000 { vec![newest] } else { Vec::new() };
        let compared = of.most.min(OBJECTS);
        reached.then(|| ComparedState { listed: OBJECTS.into(), compared, gaps, ..ComparedState::default() })
    }
}
