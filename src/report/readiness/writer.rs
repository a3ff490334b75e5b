//! Checks of the writer: whether it could be fenced, and which of its data no standby has.

use std::collections::BTreeSet;

use super::{Evaluation, Reading, not, ready};
use crate::kinds::shared::database::{Database, DatabaseRef, DatabaseState};
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::shared::unreplicated::Unreplicated;
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
        let (mut hindered, mut tried, mut free) = (Vec::new(), Vec::new(), false);
        let mut fix = "remove every rule of the `fence_group`, and grant ec2:DescribeSecurityGroups";
        for &method in &spec.fence {
            let (target, by_sql) = (Target::fence(writer, method), method.by_sql());
            let seen = self.seen.estate.now(&target);
            let seen = if by_sql { Some(seen?) } else { seen };
            let Some(State::Fence(fence)) = seen.and_then(|seen| seen.state()) else {
                if by_sql {
                    return Some(self.unseen(&target));
                }
                free = true;
                continue;
            };
            let (words, obstacles) = (method.words(), fence.obstacles.join("; "));
            tried.push(words);
            if obstacles.is_empty() {
                free = true;
                continue;
            }
            if method != FenceMethod::SecurityGroup {
                fix = "grant the named rights, or list sessions that write nothing under `harmless:`";
            }
            hindered.push(format!("the fence by {words} could not be proven: {obstacles}"));
        }
        if hindered.is_empty() {
            let facts = format!("drctl sees no obstacle to a proven fence by {}", tried.join(", "));
            return (!tried.is_empty()).then(|| ready(facts));
        }
        Some(not(if free { Standing::Degraded } else { Standing::NotReady }, hindered.join("; "), fix))
    }

    fn refused(&self, writer: &DatabaseRef, method: FenceMethod) -> Option<String> {
        let target = Target::fence(writer, method);
        self.seen.estate.now(&target)?.refused(&target)
    }

    fn state_of(&self, db: &DatabaseRef) -> Option<&DatabaseState> {
        self.seen.estate.database(&Target::Database(db.clone()), self.seen.now).fresh()
    }

    /// Tables and slots that a promotion loses, whatever the replication lag is.
    pub(super) fn unreplicated(&self, writer: &DatabaseRef, standbys: &[DatabaseRef]) -> Option<Reading> {
        let state = self.state_of(writer)?;
        let of = |thing: &Unreplicated| -> BTreeSet<String> {
            let synced = |db| self.state_of(db).and_then(|standby| standby.synced_slots.as_deref());
            standbys.iter().filter_map(|db| Some(thing.on(&db.id, synced(db))?.words())).collect()
        };
        let words: Vec<_> = state.unreplicated.iter().flat_map(of).collect();
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
