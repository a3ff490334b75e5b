//! Checks of the writer: whether it could be fenced or restored, and which of its data no standby has.

use std::collections::BTreeSet;

use super::{Evaluation, Reading, not, ready};
use crate::kinds::shared::database::{Database, DatabaseRef, DatabaseState, UPLOADED};
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::kinds::{State, Target};
use crate::model::ids::SiteName;
use crate::model::readiness::Standing;
use crate::model::waiver::Rule;
use crate::plan::types::Component;
use crate::planner::restore;

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

    /// Damage is replicated at once, so only backups help against it, and only those that drctl would restore.
    pub(super) fn backups(
        &self,
        component: &Component,
        spec: &Database,
        (site, writer): (&SiteName, &DatabaseRef),
    ) -> Reading {
        let Some(state) = self.state_of(writer) else {
            return self.unseen(&Target::Database(writer.clone()));
        };
        if state.instance.as_ref().is_some_and(|i| i.backup_days == 0) {
            let facts = format!("{} keeps no backups, so damaged data cannot be restored", writer.id);
            return not(Standing::NotReady, facts, "set a backup retention of one day or more");
        }
        let managed = writer.engine.is_managed();
        match restore::obstacle(spec, site, (writer, state)) {
            // A person can restore it with the provider's own command.
            Some(refusal) if refusal.rule == Rule::NotImplemented => {
                let command = refusal.acceptable.trim_start_matches("run ").trim_end_matches(" by hand");
                self.reaches(component, state, &format!("by hand ({command}), "))
            }
            Some(refusal) if managed => {
                let facts = format!("drctl would refuse to restore it: {}", refusal.facts);
                not(Standing::Degraded, facts, &refusal.acceptable)
            }
            Some(refusal) => not(Standing::Unknown, refusal.facts, &refusal.acceptable),
            None if managed => self.reaches(component, state, ""),
            None => not(
                Standing::Unknown,
                "a readiness check does not read the backups of self-managed servers",
                &format!(
                    "run drctl drill {} --mode isolated --component {} --to {site}, or schedule it; it restores one of them",
                    self.plan.name, component.name
                ),
            ),
        }
    }

    /// How recent the newest point in time is that the provider can restore.
    fn reaches(&self, component: &Component, state: &DatabaseState, how: &str) -> Reading {
        let Some(age) = state.backup_age_ms else {
            let facts = "the provider does not report its latest restorable time";
            return not(Standing::Unknown, facts, "check its automated backups");
        };
        let most = component.objectives.unwrap_or(self.plan.objectives).rpo_ms;
        let facts = format!(
            "{how}it can be restored to {age} ago; the RPO is {most}. A restore also loses the writes until its copy takes over, and a person must accept a loss above the RPO"
        );
        match age > most.max(UPLOADED) {
            true => {
                not(Standing::Degraded, facts, "check its log backups, which are older than the RPO allows")
            }
            false => ready(facts),
        }
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
