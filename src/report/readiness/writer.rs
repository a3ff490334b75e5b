//! Checks of the writer: whether it could be fenced, and which of its data no standby has.

use super::{Evaluation, Reading, not, ready};
use crate::kinds::shared::database::{Database, DatabaseRef};
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::{State, Target};
use crate::model::readiness::Standing;

impl Evaluation<'_> {
    /// What drctl can tell about a fence without setting it: whether its proof can be read, and the obstacles to each method.
    pub(super) fn fence(&self, spec: &Database, writer: &DatabaseRef) -> Option<Reading> {
        let refused: Vec<_> = spec.fence.iter().filter_map(|&method| self.refused(writer, method)).collect();
        if !refused.is_empty() {
            let standing =
                if refused.len() < spec.fence.len() { Standing::Degraded } else { Standing::NotReady };
            let fix = "grant the permission to read it, or add another method under `fence:`";
            return Some(not(standing, refused.join("; "), fix));
        }
        let tried: Vec<_> = spec.fence.iter().copied().filter(|m| m.service() == "sql").collect();
        let (mut hindered, mut free) = (Vec::new(), tried.len() < spec.fence.len());
        for &method in &tried {
            let target = Target::fence(writer, method);
            let seen = self.seen.estate.now(&target)?;
            let Some(State::Fence(fence)) = seen.state() else { return Some(self.unseen(&target)) };
            let (words, obstacles) = (method.words(), fence.obstacles.join("; "));
            match obstacles.is_empty() {
                true => free = true,
                false => hindered.push(format!("the fence by {words} could not be proven: {obstacles}")),
            }
        }
        if hindered.is_empty() {
            let rungs: Vec<_> = tried.iter().map(|m| m.words()).collect();
            let rungs = rungs.join(", ");
            let facts = format!("drctl sees no obstacle to a proven fence by {rungs}");
            return (!tried.is_empty()).then(|| ready(facts));
        }
        let fix = "grant the named rights, or list sessions that write nothing under `harmless:`";
        Some(not(if free { Standing::Degraded } else { Standing::NotReady }, hindered.join("; "), fix))
    }

    fn refused(&self, writer: &DatabaseRef, method: FenceMethod) -> Option<String> {
        let target = Target::fence(writer, method);
        self.seen.estate.now(&target)?.refused(&target)
    }

    /// Tables and slots that a promotion loses, whatever the replication lag is.
    pub(super) fn unreplicated(&self, writer: &DatabaseRef) -> Option<Reading> {
        let target = Target::Database(writer.clone());
        let state = self.seen.estate.database(&target, self.seen.now).fresh()?;
        let words: Vec<_> = state.unreplicated.iter().map(|thing| thing.words()).collect();
        if words.is_empty() {
            return None;
        }
        let facts = words.join("; ");
        Some(match state.unreplicated.iter().any(|thing| thing.loses_rows()) {
            true => not(
                Standing::Degraded,
                facts,
                "run ALTER TABLE .. SET LOGGED, or list tables whose rows may be lost under `expendable:`",
            ),
            false => ready(facts),
        })
    }
}
