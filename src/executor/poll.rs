//! Shared polling: one observation serves every step that waits for the same service, account and region.

use std::collections::{BTreeMap, BTreeSet};

use crate::adapters::limits::{first_look, poll_interval};
use crate::kinds::Target;
use crate::model::time::Timestamp;

/// The targets that steps wait for, and when each is observed next.
#[derive(Debug, Default)]
pub struct Poller {
    wants: BTreeMap<usize, Want>,
}

#[derive(Debug)]
struct Want {
    /// The step's revision when it requested this.
    revision: u32,
    targets: Vec<Target>,
    looks: u32,
    due: Timestamp,
    under_way: bool,
}

/// One observation of one poll group.
#[derive(Clone, Debug)]
pub struct PollRequest {
    /// The steps that wait for it.
    pub steps: Vec<usize>,
    /// The targets, each once.
    pub targets: Vec<Target>,
}

impl Poller {
    /// Whether a step waits for an observation already, and has not changed since it requested that.
    pub fn waits(&self, step: usize, revision: u32) -> bool {
        self.wants.get(&step).is_some_and(|w| w.revision == revision)
    }

    /// A step requests an observation of targets. The first one is due at once.
    pub fn want(&mut self, (step, revision): (usize, u32), targets: Vec<Target>, now: Timestamp) {
        match self.wants.get_mut(&step) {
            Some(want) if want.targets == targets => want.revision = revision,
            // It now waits for another target, such as the change that its call started, so the intervals start short again.
            _ => {
                let wait = targets.iter().map(first_look).min().unwrap_or_default();
                let want = Want { revision, targets, looks: 0, due: now + wait, under_way: false };
                self.wants.insert(step, want);
            }
        }
    }

    /// An event concerns a target that a step waits for: observe it again now, with short intervals first, even during another
    /// observation.
    pub fn urge(&mut self, step: usize, now: Timestamp) {
        if let Some(want) = self.wants.get_mut(&step) {
            (want.due, want.looks, want.under_way) = (now, 0, false);
        }
    }

    /// A step needs no more observations.
    pub fn forget(&mut self, step: usize) {
        self.wants.remove(&step);
    }

    /// Returns the observations that are due, and marks them as in progress.
    pub fn due(&mut self, now: Timestamp) -> Vec<PollRequest> {
        let mut groups: BTreeMap<String, (BTreeSet<usize>, BTreeMap<String, Target>)> = BTreeMap::new();
        let mut looks = Vec::new();
        for (&step, want) in self.wants.iter_mut().filter(|(_, w)| !w.under_way && w.due <= now) {
            want.under_way = true;
            match want.targets.as_slice() {
                // The step's target, and the guard as a second one.
                few @ ([_] | [_, _]) => {
                    let places: Vec<_> = few.iter().map(Target::poll_group).collect();
                    let group = groups.entry(places.join("\n")).or_default();
                    group.0.insert(step);
                    group.1.extend(few.iter().map(|target| (target.key(), target.clone())));
                }
                // A step with many targets, such as evidence, is judged when all of them have been observed.
                many => looks.push(PollRequest { steps: vec![step], targets: many.to_vec() }),
            }
        }
        let shared = |(steps, targets): (BTreeSet<usize>, BTreeMap<String, Target>)| PollRequest {
            steps: steps.into_iter().collect(),
            targets: targets.into_values().collect(),
        };
        looks.extend(groups.into_values().map(shared));
        looks
    }

    /// An observation for these steps is complete; schedules the next one.
    pub fn done(&mut self, steps: &[usize], now: Timestamp) {
        // Each change of a zone needs its own call, so the more of them wait, the longer the interval.
        let mut changes: BTreeMap<String, usize> = BTreeMap::new();
        for want in self.wants.values() {
            if let Some(target @ Target::Change { .. }) = want.targets.first() {
                *changes.entry(target.poll_group()).or_default() += 1;
            }
        }
        for step in steps {
            let Some(want) = self.wants.get_mut(step) else { continue };
            let group = want.targets.first().map(Target::poll_group);
            let siblings = group.and_then(|g| changes.get(&g)).copied().unwrap_or(0);
            // The interval follows the step's own target, not the guard.
            let watched = want.targets.first().map(|t| poll_interval(t, want.looks, siblings));
            let wait = watched.unwrap_or_default();
            want.looks += 1;
            want.due = now + wait;
            want.under_way = false;
        }
    }

    /// The targets that a step waits for.
    pub fn targets(&self, step: usize) -> &[Target] {
        self.wants.get(&step).map_or(&[], |w| &w.targets)
    }

    /// When the next observation is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.wants.values().filter(|w| !w.under_way).map(|w| w.due).min()
    }
}
