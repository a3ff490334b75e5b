//! How many there were, and how they fared.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Class, Line};
use crate::model::measure::Verdict;

/// Runs by their kind. The kinds add up to all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// Runs.
    pub runs: usize,
    /// Of them failovers and restores that were no drill.
    pub incidents: usize,
    /// Moves as planned.
    pub planned: usize,
    /// Drills that touched something, without the ways back of live drills.
    pub drills: usize,
    /// The ways back of live drills.
    pub returns: usize,
    /// Drills that were only read or rehearsed.
    pub read: usize,
    /// Runs in an estate that was declared a test: they count for nothing else.
    pub tests: usize,
}

impl Counts {
    /// Of these runs.
    pub fn of<'l>(lines: impl Iterator<Item = &'l Line>) -> Self {
        let mut counts = Self::default();
        for line in lines {
            counts.runs += 1;
            let of = match line.class {
                Class::Test => &mut counts.tests,
                Class::Read => &mut counts.read,
                Class::Incident => &mut counts.incidents,
                Class::Drill | Class::Planned if line.returns => &mut counts.returns,
                Class::Planned => &mut counts.planned,
                Class::Drill => &mut counts.drills,
            };
            *of += 1;
        }
        counts
    }
}

/// How objectives fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tally {
    /// Met, and known to be.
    pub met: usize,
    /// Missed.
    pub missed: usize,
    /// Nobody knows.
    pub not_proven: usize,
    /// There was nothing to measure.
    pub not_applicable: usize,
}

impl Tally {
    /// One more.
    pub(super) const fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Met => self.met += 1,
            Verdict::Missed => self.missed += 1,
            Verdict::NotProven => self.not_proven += 1,
            Verdict::NotApplicable => self.not_applicable += 1,
        }
    }
}
