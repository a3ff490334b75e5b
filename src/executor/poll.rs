//! Shared polling: one look answers every step that waits on that service, account and region.

use std::collections::{BTreeMap, BTreeSet};

use crate::adapters::limits::{first_look, poll_interval};
use crate::kinds::Target;
use crate::model::time::Timestamp;

/// Which steps want to see what, and when.
#[derive(Debug, Default)]
pub struct Poller {
    wants: BTreeMap<usize, Want>,
}

#[derive(Debug)]
struct Want {
    /// Of the step, when it wanted this.
    revision: u32,
    targets: Vec<Target>,
    looks: u32,
    due: Timestamp,
    under_way: bool,
}

/// One look at one poll group.
#[derive(Clone, Debug)]
pub struct Look {
    /// The steps it is for.
    pub steps: Vec<usize>,
    /// What is looked at, each once.
    pub targets: Vec<Target>,
}

impl Poller {
    /// Whether a step waits for a look already, and nothing happened to it since it asked.
    pub fn waits(&self, step: usize, revision: u32) -> bool {
        self.wants.get(&step).is_some_and(|w| w.revision == revision)
    }

    /// A step wants to see targets; the first time at once.
    pub fn want(&mut self, (step, revision): (usize, u32), targets: Vec<Target>, now: Timestamp) {
        match self.wants.get_mut(&step) {
            Some(want) if want.targets == targets => want.revision = revision,
            // It watches something else by now, such as the change that its call started: quick at first again.
            _ => {
                let wait = targets.iter().map(first_look).min().unwrap_or_default();
                let want = Want { revision, targets, looks: 0, due: now + wait, under_way: false };
                self.wants.insert(step, want);
            }
        }
    }

    /// Something happened that a step waited for: it is observed again, with short intervals first, even during another observation.
    pub fn urge(&mut self, step: usize, now: Timestamp) {
        if let Some(want) = self.wants.get_mut(&step) {
            (want.due, want.looks, want.under_way) = (now, 0, false);
        }
    }

    /// A step needs no more looks.
    pub fn forget(&mut self, step: usize) {
        self.wants.remove(&step);
    }

    /// The looks that are due, and marks them as under way.
    pub fn due(&mut self, now: Timestamp) -> Vec<Look> {
        let mut groups: BTreeMap<String, (BTreeSet<usize>, BTreeMap<String, Target>)> = BTreeMap::new();
        let mut looks = Vec::new();
        for (&step, want) in self.wants.iter_mut().filter(|(_, w)| !w.under_way && w.due <= now) {
            want.under_way = true;
            match want.targets.as_slice() {
                // What a step watches, and the guard beside it.
                few @ ([_] | [_, _]) => {
                    let places: Vec<_> = few.iter().map(Target::poll_group).collect();
                    let group = groups.entry(places.join("\n")).or_default();
                    group.0.insert(step);
                    group.1.extend(few.iter().map(|target| (target.key(), target.clone())));
                }
                // A step that looks at many things at once, such as evidence, is judged when all of them were looked at.
                many => looks.push(Look { steps: vec![step], targets: many.to_vec() }),
            }
        }
        let shared = |(steps, targets): (BTreeSet<usize>, BTreeMap<String, Target>)| Look {
            steps: steps.into_iter().collect(),
            targets: targets.into_values().collect(),
        };
        looks.extend(groups.into_values().map(shared));
        looks
    }

    /// A look for steps came back; the next one is due later.
    pub fn done(&mut self, steps: &[usize], now: Timestamp) {
        // Changes are asked for one by one: the more of them wait, the more seldom each is.
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
            // What a step watches comes first; the guard beside it is no reason to look more often.
            let watched = want.targets.first().map(|t| poll_interval(t, want.looks, siblings));
            let wait = watched.unwrap_or_default();
            want.looks += 1;
            want.due = now + wait;
            want.under_way = false;
        }
    }

    /// What a step wants to see.
    pub fn targets(&self, step: usize) -> &[Target] {
        self.wants.get(&step).map_or(&[], |w| &w.targets)
    }

    /// When the next look is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.wants.values().filter(|w| !w.under_way).map(|w| w.due).min()
    }
}
