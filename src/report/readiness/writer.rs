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
        let (mut hindered, mut tried, mut free) = (Vec::new(), Vec::new(), false);
        let mut fix = "remove every rule of the `fence_group`, and grant ec2:DescribeSecurityGroups";
        for &method in &spec.fence {
            let (target, by_sql) = (Target::fence(writer, method), method.service() == "sql");
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
