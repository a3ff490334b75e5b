//! Moves users there and back in a live drill.

use super::drill::Ground;
use super::drill_verdict::judge_return;
use super::ending::Ending;
use super::error::AppError;
use super::start::Drilled;
use super::{exit, live_drill, resume};
use crate::model::ids::SiteName;
use crate::model::intent::Intent;
use crate::record::event::{Outcome, WorldKind};
use crate::run::RunState;
use crate::run::drill::felt;
use crate::run::state::Mode;

impl Ground<'_> {
    /// Moves users there and back, or only back if an earlier process ended in between.
    ///
    /// # Errors
    /// If the first move cannot start, or its journal cannot be written.
    pub fn live(&self, half: Option<&RunState>) -> Result<Vec<Ending>, AppError> {
        if let Some(first) = half {
            let (name, run, to) = (&self.plan.name, &first.created.run, &first.runbook.to);
            self.presenter.note(&format!("{name}: drill {run} left it in {to}; this run moves users back"));
            return Ok(vec![self.back(first, false)]);
        }
        let hold = live_drill::hold(self.options.hold.as_deref())?;
        let mut there = self.one(Intent::Switchover, Drilled { hold, ..Drilled::default() }, None)?;
        let Some(first) = there.run.clone() else { return Ok(vec![there]) };
        match &first.mode {
            Mode::Finished(Outcome::Recovered) => Ok(vec![there, self.back(&first, true)]),
            Mode::Finished(_) => {
                there.worsen(exit::NOT_RECOVERED);
                Ok(vec![there])
            }
            _ => Ok(vec![self.stopped(there, &first)?]),
        }
    }

    /// Moves users back. `confirmed` if this process was told to move them. Whatever the result, it reports where users are.
    fn back(&self, first: &RunState, confirmed: bool) -> Ending {
        let drilled = Drilled { returns: Some(first), confirmed, ..Drilled::default() };
        let mut back = self
            .one(Intent::Switchover, drilled, None)
            .unwrap_or_else(|e| Ending::failed(self.presenter, &self.plan.name, e));
        if self.options.how.dry_run {
            return back;
        }
        judge_return(self.presenter, first, &mut back);
        back
    }

    /// drctl undoes a first half that stopped before the point of no return at once, because a drill must not leave users waiting. If a
    /// person steers the run, it waits for that person. If its source is gone, a failover can use it.
    fn stopped(&self, mut there: Ending, first: &RunState) -> Result<Ending, AppError> {
        let (name, interrupted) = (&self.plan.name, self.interrupts.count());
        let asks = there.code == exit::WAITING && !felt(first);
        let steered = interrupted == 0 && (asks || first.mode == Mode::Paused);
        if steered || first.past_return() || interrupted > 1 {
            self.presenter.note(&format!("{name}: {}", live_drill::way_on(first)));
            return Ok(there);
        }
        there.worsen(exit::NOT_RECOVERED);
        if let Some(from) = self.gone(first)? {
            let to = &first.runbook.to;
            let words = format!("nothing in {from} answers, so users cannot move back");
            self.presenter.note(&format!(
                "{name}: {words}. To continue with the proven state, run drctl failover {name} --to {to}"
            ));
            return Ok(there);
        }
        if first.cancelled_at.is_some() {
            let resume = first.created.command("runs resume", "");
            self.presenter.note(&format!("{name}: drctl could not undo it yet; {resume} tries again"));
            return Ok(there);
        }
        self.presenter.note(&format!("{name}: the drill stopped; drctl undoes it"));
        let reason = if interrupted > 0 { "stopped by Ctrl-C" } else { "the drill failed" };
        let run = &first.created.run;
        let mut ended = resume::call_off(&self.context, self.presenter, &self.store, run, reason)?;
        ended.worsen(exit::NOT_RECOVERED);
        Ok(ended)
    }

    /// The source site, if it no longer answers.
    fn gone(&self, first: &RunState) -> Result<Option<SiteName>, AppError> {
        let Some(from) = first.runbook.from.clone().filter(|_| first.created.world == WorldKind::Live) else {
            return Ok(None);
        };
        Ok(self.look()?.0.is_dark(from.as_str()).then_some(from))
    }
}
