//! The database that takes the writes: whether it could be fenced, and what of it no standby has.

use super::{Evaluation, Told, not, ready};
use crate::inventory::targets;
use crate::model::action::FenceMethod;
use crate::model::readiness::Standing;
use crate::model::state::State;
use crate::model::target::{DatabaseRef, Target};
use crate::plan::types::Database;

impl Evaluation<'_> {
    /// What can be told of a fence without setting it: whether anybody may read its proof, and of one by SQL what stands against it.
    pub(super) fn fence(&self, spec: &Database, writer: &DatabaseRef) -> Option<Told> {
        let refused: Vec<_> = spec.fence.iter().filter_map(|&method| self.refused(writer, method)).collect();
        if !refused.is_empty() {
            let standing =
                if refused.len() < spec.fence.len() { Standing::Degraded } else { Standing::NotReady };
            let fix = "the right to look, or another rung under `fence:`";
            return Some(not(standing, refused.join("; "), fix));
        }
        if !spec.fence.contains(&FenceMethod::Sql) {
            return None;
        }
        let target = targets::fence(writer, FenceMethod::Sql);
        let seen = self.seen.estate.now(&target)?;
        let Some(State::Fence(fence)) = seen.state() else { return Some(self.unseen(&target)) };
        if fence.obstacles.is_empty() {
            return Some(ready("nothing is seen that would keep the fence by SQL from being proven"));
        }
        let facts = format!("the fence by SQL would not be proven: {}", fence.obstacles.join("; "));
        let fix = "the rights that it names, or `harmless:` for who writes nothing";
        let standing = if spec.fence.len() > 1 { Standing::Degraded } else { Standing::NotReady };
        Some(not(standing, facts, fix))
    }

    fn refused(&self, writer: &DatabaseRef, method: FenceMethod) -> Option<String> {
        let target = targets::fence(writer, method);
        self.seen.estate.now(&target)?.refused(&target)
    }

    /// Rows and slots that a promotion loses whatever the log says.
    pub(super) fn unreplicated(&self, writer: &DatabaseRef) -> Option<Told> {
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
                "ALTER TABLE .. SET LOGGED, or `expendable:` for tables whose rows may be lost",
            ),
            false => ready(facts),
        })
    }
}
