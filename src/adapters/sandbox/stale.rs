//! Control planes with stale answers: describe calls are eventually consistent (Amazon RDS API Reference and Amazon EC2
//! Developer Guide, «Eventual consistency»).

use std::collections::BTreeMap;

use super::estate::Estate;
use crate::inventory::Observation;
use crate::kinds::{Simulation, Target};
use crate::model::time::{Dur, Timestamp};

/// Earlier answers by target: time, count and content.
#[derive(Default)]
pub(super) struct EarlierAnswers {
    answers: BTreeMap<String, Vec<(Timestamp, Observation)>>,
    looks: u64,
}

impl EarlierAnswers {
    /// The answer to an observation: the current state or an earlier one.
    pub(super) fn again(&mut self, estate: &Estate, target: &Target, now: Observation) -> Observation {
        let world = &estate.world;
        let Some(of) = estate.component(target) else { return now };
        let most = of.oldest(target, world);
        if most == Dur::ZERO {
            return now;
        }
        self.looks += 1;
        let before = self.answers.entry(target.key()).or_default();
        before.retain(|(at, _)| *at + most >= world.now);
        let die = world.roll(&["stale", &self.looks.to_string()], 3);
        let answer = match before.first() {
            Some((_, old)) if die == 0 => restamped(of, old, &now, world.looked()),
            _ => now.clone(),
        };
        before.push((world.now, now));
        answer
    }
}

/// Dates a stale answer to now.
fn restamped(of: &Simulation, old: &Observation, fresh: &Observation, now: Timestamp) -> Observation {
    match old.clone() {
        Observation::Value { state, source, .. } => {
            let state = match fresh.state() {
                Some(is) => of.aged(state, is),
                None => state,
            };
            Observation::Value { state, source, observed_at: now }
        }
        Observation::NotFound { .. } => Observation::NotFound { observed_at: now },
        other => other,
    }
}
