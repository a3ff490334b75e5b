//! Control planes with stale answers: describe calls are eventually consistent (Amazon RDS API Reference and Amazon EC2
//! Developer Guide, «Eventual consistency»).

use std::collections::BTreeMap;

use super::estate::Estate;
use super::scenario::roll;
use crate::inventory::Observation;
use crate::kinds::shared::database::{DatabaseState, Engine};
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::{State, Target};
use crate::model::time::{Dur, Timestamp};

/// The longest delay of a zone's listing.
const RECORDS: Dur = Dur::secs(4);

/// Earlier answers by target: time, count and content.
#[derive(Default)]
pub(super) struct EarlierAnswers {
    answers: BTreeMap<String, Vec<(Timestamp, Observation)>>,
    looks: u64,
}

impl EarlierAnswers {
    /// The answer to an observation: the current state or an earlier one.
    pub(super) fn again(&mut self, estate: &Estate, target: &Target, now: Observation) -> Observation {
        let most = oldest(estate, target);
        if most == Dur::ZERO {
            return now;
        }
        self.looks += 1;
        let before = self.answers.entry(target.key()).or_default();
        before.retain(|(at, _)| *at + most >= estate.now);
        let die = roll(estate.seed, &["stale", &self.looks.to_string()], 3);
        let answer = match before.first() {
            Some((_, old)) if die == 0 => restamped(old, &now, estate.looked()),
            _ => now.clone(),
        };
        before.push((estate.now, now));
        answer
    }
}

/// How old an answer may be. Answers of SQL, S3 and name servers are current.
fn oldest(estate: &Estate, target: &Target) -> Dur {
    let managed = |engine: Engine| if engine == Engine::Postgres { Dur::ZERO } else { estate.scenario.stale };
    match target {
        Target::Database(db) => managed(db.engine),
        Target::Fence { db, method: FenceMethod::SecurityGroup, .. } => managed(db.engine),
        Target::Records { .. } => estate.scenario.stale.min(RECORDS),
        of if of.is_scaled() => estate.scenario.stale,
        _ => Dur::ZERO,
    }
}

/// Dates a stale answer to now. Log positions come from the server itself, so they are current.
fn restamped(old: &Observation, fresh: &Observation, now: Timestamp) -> Observation {
    match old.clone() {
        Observation::Value { state, source, .. } => {
            let state = match (state, fresh.state()) {
                (State::Database(of), Some(State::Database(is))) => State::Database(DatabaseState {
                    role: of.role,
                    status: of.status,
                    security_groups: of.security_groups,
                    instance: of.instance,
                    cluster: of.cluster,
                    ..is.clone()
                }),
                (state, _) => state,
            };
            Observation::Value { state, source, observed_at: now }
        }
        Observation::NotFound { .. } => Observation::NotFound { observed_at: now },
        other => other,
    }
}
