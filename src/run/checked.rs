//! What drctl tries for a pending fence after the end of a run. The old primary may be the only one again by then, so drctl first looks
//! whether the new one takes writes. These looks have an event of their own, because they are no step of the recovery.

use super::effect::Effect;
use super::model::tries::PrimaryReading;
use super::observed::{FRESH, LOOK_AGAIN, StepDecision};
use super::state::RunState;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::fence::Fence;
use crate::kinds::{Judged, Operation};
use crate::model::ids::{ComponentName, StepId};
use crate::model::time::Timestamp;
use crate::record::action::Action;
use crate::record::event::EventKind;

/// What is known of an old primary whose fence is pending. The process that tries the fence asks every second for a sign of life, and
/// records only the first answer.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'s> {
    /// The old primary.
    pub db: &'s DatabaseRef,
    /// Since when the last process asked.
    pub since: Timestamp,
    /// Since when no answer came, whatever process asked.
    pub silent: Timestamp,
    /// The last time at which it is known that it asked.
    pub until: Timestamp,
    /// When the first answer in that time came.
    pub answered: Option<Timestamp>,
}

impl RunState {
    /// What the last process learned of the old primary of a pending fence; nothing if it did not ask.
    pub fn asked_old_primary(&self, component: &ComponentName) -> Option<Asked<'_>> {
        let debt = self.debts.get(component).filter(|_| self.owed().any(|owed| owed == component))?;
        let waits = self.rungs(component).iter().copied().find(|i| self.waits_for_life(*i))?;
        let Action::Op(Operation::Fence(Fence { db, .. })) = &self.step(waits).action else { return None };
        let since = self.taken_at.max(debt.since);
        let look = self.after_end.get(component).and_then(|tries| tries.last.as_ref()).map(|look| look.at);
        let end = self.finished_at.unwrap_or(self.last_at);
        let until = look.map_or(end, |look| look.max(end));
        let last = self.answered.get(&db.place.name).copied();
        let silent = last.map_or(debt.since, |at| at.max(debt.since));
        let answered = last.filter(|at| *at >= since);
        (until >= since).then_some(Asked { db, since, silent, until, answered })
    }

    /// Records a look at the new primary of a component.
    pub(super) fn note_look(
        &mut self,
        component: &ComponentName,
        (writes, seen): (bool, &str),
        at: Timestamp,
    ) {
        let tries = self.after_end.entry(component.clone()).or_default();
        tries.looks += 1;
        tries.last = Some(PrimaryReading { at, writes, seen: seen.to_owned() });
    }

    /// The last look of this process at the new primary of a component. The age of an earlier one is unknown.
    fn last_look(&self, component: &ComponentName) -> Option<&PrimaryReading> {
        self.after_end.get(component)?.last.as_ref().filter(|look| look.at >= self.taken_at)
    }

    /// Whether drctl saw a moment ago that the new primary of a component takes writes.
    pub fn writes_now(&self, component: &ComponentName, now: Timestamp) -> bool {
        self.last_look(component).is_some_and(|look| look.writes && now < look.at + FRESH)
    }
}

/// The next look at the new primary of a component, unless the last one is still valid.
pub(super) fn look(state: &RunState, component: &ComponentName, now: Timestamp) -> Option<Effect> {
    let check = state.target_check(component)?;
    if state.writes_now(component, now) {
        return None;
    }
    let failed = state.last_look(component).filter(|look| !look.writes && now < look.at + LOOK_AGAIN);
    Some(failed.map_or(Effect::Look(check), |look| Effect::WakeAt(look.at + LOOK_AGAIN)))
}

/// The event for a look. A result that this process already recorded is recorded again only if the new primary takes writes.
pub(super) fn judged(state: &RunState, component: &ComponentName, verdict: Judged) -> StepDecision {
    let (writes, seen) = match verdict {
        Judged::Settled(why) => {
            return StepDecision::Record(EventKind::DebtSettled {
                component: component.clone(),
                why,
                who: None,
            });
        }
        Judged::Done(_) => (true, "it takes writes".to_owned()),
        Judged::Wrong(why)
        | Judged::Over(why)
        | Judged::Half(why)
        | Judged::Partly(why)
        | Judged::Unclear(why)
        | Judged::Locked { why, .. } => (false, why),
        Judged::Before | Judged::Promoted => (false, "it is unknown whether it takes writes".to_owned()),
    };
    if !writes && state.last_look(component).is_some_and(|look| look.seen == seen) {
        return StepDecision::Keep(seen);
    }
    StepDecision::Record(EventKind::NewPrimaryChecked { component: component.clone(), writes, seen })
}

/// Why a look at the new primary cannot have been recorded.
pub(super) fn impossible(state: &RunState, component: &ComponentName) -> Option<(StepId, String)> {
    let pending = state.finished() && state.owed().any(|owed| owed == component);
    let check = state.target_check(component).filter(|_| pending);
    let step = || StepId::new(format!("check.{component}"));
    check.is_none().then(|| (step(), format!("no fence of {component} is pending after the end of the run")))
}
