//! A clock that jumped: the elapsed time is unknown, and no wait ends because of it.

use super::state::{RunState, Status, Work};
use crate::kinds::Fact;
use crate::model::measure::Figure;
use crate::model::time::{Dur, Timestamp};
use crate::record::action::Action;

impl RunState {
    /// A clock that jumped ahead ends no wait, no deadline and no doubt, because the elapsed time is unknown. A clock that was set back
    /// between two processes hides how much time passed.
    pub(super) fn clock_jumped(&mut self, forward: Dur, backward: Dur, at: Timestamp) {
        self.clock_jumped = true;
        // Keeps every time before the event, whoever wrote it.
        let forward = forward.min(at.since(self.last_at));
        if forward > Dur::ZERO {
            self.taken_at = at;
            self.jumps.push((at, forward));
        }
        let hidden = backward > Dur::ZERO && self.epoch > 1 && self.taken_at == at;
        self.set_back_at = self.set_back_at.max(hidden.then_some(at));
        for (step, of) in self.runbook.steps.iter().zip(&mut self.steps) {
            let waits = matches!(step.action, Action::Wait { .. }) && of.work.status == Status::Started;
            let began = of.work.started_at.max(of.work.renewed_at).filter(|_| waits);
            of.work.renewed_at = began.map(|began| began + forward).or(of.work.renewed_at);
            for work in std::iter::once(&mut of.work).chain(of.undo.as_mut()) {
                work.doubt_longer(forward);
            }
            for fact in of.facts.iter_mut().filter(|_| hidden) {
                if let Fact::Exposure(taken) = fact
                    && taken.grows
                {
                    // The value is an upper bound for an earlier time: what was really lost may be more or less.
                    taken.figure = Figure::UNKNOWN;
                }
            }
        }
    }

    /// When a process takes the run over: until when the one before it saw probes fail. A probe that succeeds turns after a few samples,
    /// and the process recorded no turn until its last event.
    pub(super) fn note_failing(&mut self) {
        if self.finished() {
            return;
        }
        for probe in &self.runbook.probes {
            let turns = self.turns.get(&probe.key()).map_or(&[][..], Vec::as_slice);
            let fails = turns.last().is_some_and(|turn| !turn.good);
            let turning = probe.turns_within(self.runbook.probe_consecutive);
            let until = self.last_at - turning;
            // A process that ended soon after its start may have taken no sample.
            if fails && until - turning >= self.taken_at {
                self.failed_until.insert(probe.key(), until);
            }
        }
    }

    /// Converts an earlier time to the current clock, which may have jumped ahead since. Its age is then the one on the monotonic clock.
    pub fn by_this_clock(&self, at: Timestamp) -> Timestamp {
        self.jumps.iter().filter(|(jumped, _)| *jumped > at).fold(at, |at, (_, by)| at + *by)
    }

    /// Whether the clock jumped before `at`, or was set back between two processes.
    pub fn jumped_before(&self, at: Timestamp) -> bool {
        self.set_back_at.is_some() || self.jumps.iter().any(|(jumped, _)| *jumped <= at)
    }

    /// The last jump of the clock. An observation from before it may look older than it is.
    pub fn clock_is_steady_since(&self) -> Option<Timestamp> {
        self.jumps.last().map(|(at, _)| *at)
    }
}

impl Work {
    /// The effect of a request may come later than the clock suggests.
    fn doubt_longer(&mut self, by: Dur) {
        match &mut self.status {
            Status::InDoubt { since: at } | Status::Awaiting { answered_at: at, .. } => *at = *at + by,
            _ => {}
        }
        self.doubt = self.doubt.map(|at| at + by);
        self.lost_at = self.lost_at.map(|at| at + by);
    }
}
