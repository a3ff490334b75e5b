//! Pending fences in a rehearsal.

use super::presenter::fence_event;
use super::{Clock, Server};
use crate::app::error::AppError;
use crate::app::{pending_fences, resume, run_states};
use crate::journal::Journal as _;

impl Server {
    /// In a rehearsal, a lost site returns without anybody watching, if its scenario says so. Each pending fence is tried once,
    /// an hour later. Returns whether one was tried.
    pub(super) fn pay_rehearsed(&mut self) -> Result<bool, AppError> {
        let runs = self.store.runs()?.len();
        if std::mem::replace(&mut self.rehearsed.runs, runs) == runs {
            return Ok(false);
        }
        let mut tried = false;
        let states = run_states::all(&self.store)?;
        for debt in pending_fences::debts(&states) {
            let (run, component) = (&debt.run, &debt.component);
            let over = states.iter().any(|s| s.created.run == *run && s.finished());
            if !over || !self.rehearsed.tried.insert(run.clone()) {
                continue;
            }
            tried = true;
            if let Err(e) = resume::pay(&self.context, &*self.presenter.quiet(true), &self.store, run) {
                self.presenter
                    .note(&format!("drctl could not set the pending fence of run {run}: {}", e.message));
            }
            let state = run_states::one(&self.store, run)?;
            if let Clock::Rehearsed(now) = &mut self.clock {
                *now = state.last_at.max(*now);
            }
            let owed = state.owed().any(|c| c == component);
            fence_event(&*self.presenter, self.now(), ("drctl --sandbox", run), component.as_str(), owed);
        }
        Ok(tried)
    }
}
