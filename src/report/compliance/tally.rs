//! Counts of runs and of verdicts.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Class, Line};
use crate::model::measure::Verdict;

/// Runs by kind. The kinds add up to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// All runs.
    pub runs: usize,
    /// Failovers and restores that were not drills.
    pub incidents: usize,
    /// Planned moves.
    pub planned: usize,
    /// Drills that changed something, without the returns of live drills.
    pub drills: usize,
    /// The returns of live drills.
    pub returns: usize,
    /// Tabletop drills and rehearsals.
    pub read: usize,
    /// Runs in a test environment. They count for nothing else.
    pub tests: usize,
}

impl Counts {
    /// Counts these runs.
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

/// Verdicts on objectives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tally {
    /// Met, and known to be.
    pub met: usize,
    /// Missed.
    pub missed: usize,
    /// Unknown.
    pub not_proven: usize,
    /// Nothing to measure.
    pub not_applicable: usize,
}

impl Tally {
    /// Adds a verdict.
    pub(super) const fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Met => self.met += 1,
            Verdict::Missed => self.missed += 1,
            Verdict::NotProven => self.not_proven += 1,
            Verdict::NotApplicable => self.not_applicable += 1,
        }
    }
}
