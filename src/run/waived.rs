//! Whether a waiver can be about anything in a run.

use super::state::{RunState, Status};
use crate::model::ids::ComponentName;
use crate::model::intent::Drill;
use crate::model::waiver::{Rule, Scope, Waiver};
use crate::record::action::{Action, Gate, Write};

impl RunState {
    /// What a step does, in words, with the waivers of the run.
    pub fn action_words(&self, i: usize) -> String {
        self.step(i).action.words(&self.waivers)
    }

    /// Why a waiver comes too late: nothing asks about the loss any more that it accepts.
    pub fn too_late(&self, waiver: &Waiver) -> Option<String> {
        if let Some(at) = self.finished_at {
            return Some(format!("the run ended at {at}"));
        }
        let component = waiver.component.as_ref().filter(|_| waiver.rule.needs_loss_bound())?;
        let promotion = self.work(self.promotion(component)?);
        let about = |action: &Action| match action {
            Action::Gate(Gate::Fenced { component: of }) => of == component,
            Action::Gate(Gate::Exposure { components, .. }) => components.contains(component),
            _ => false,
        };
        let steps = self.runbook.steps.iter().zip(&self.steps);
        let asks = steps.filter(|(step, _)| about(&step.action)).any(|(_, at)| !at.work.status.settled());
        let at = promotion.ended_at.filter(|_| matches!(promotion.status, Status::Done(_)) && !asks)?;
        Some(format!("{component} was promoted at {at}, so nothing asks about its loss any more"))
    }

    /// Why a waiver has no effect, if nothing ran, or the run has nothing that its rule can be about: a loss of writes needs a component
    /// that holds them, and a takeover needs a guard that another run holds.
    pub fn waives_nothing(&self, waiver: &Waiver) -> Option<String> {
        let why = match self.runbook.drill {
            Some(Drill::Tabletop) => "a tabletop drill changes nothing, so nobody accepted a risk".to_owned(),
            _ => self.has_nothing_for(waiver)?,
        };
        Some(format!("the waiver of {} by {} had no effect: {why}", waiver.rule, waiver.who))
    }

    /// Why a rule can be about nothing in the run.
    fn has_nothing_for(&self, waiver: &Waiver) -> Option<String> {
        match waiver.rule {
            Rule::GuardHeld | Rule::GuardUnread => self.has_no_guard_for(waiver),
            rule if rule.scope() == Scope::Store => self.has_no_writes_for(waiver),
            _ => None,
        }
    }

    /// A guard that another run held is in the step that takes it over. A guard that the run took can become unreadable at any time.
    fn has_no_guard_for(&self, waiver: &Waiver) -> Option<String> {
        let (mut takes, mut displaces) = (false, false);
        for step in &self.runbook.steps {
            if let Action::Write(Write::Guard { component, instead_of, .. }) = &step.action
                && waiver.covers(waiver.rule, Some(component))
            {
                takes = true;
                displaces |= instead_of.is_some();
            }
        }
        let of = waiver.component.as_ref().map_or_else(String::new, |component| format!(" of {component}"));
        match (takes, displaces || waiver.rule != Rule::GuardHeld) {
            (true, true) => None,
            (true, false) => Some(format!("no other run held a guard{of} that this run takes")),
            (false, _) => Some(format!("this run takes no guard{of}")),
        }
    }

    fn has_no_writes_for(&self, waiver: &Waiver) -> Option<String> {
        let holds = |component: &ComponentName| {
            self.runbook.stores.contains(component)
                || self.promotion(component).is_some()
                || self.restores(component).is_some()
        };
        let mut named = self.runbook.steps.iter().filter_map(|step| step.component.as_ref());
        let about = match &waiver.component {
            Some(component) => holds(component),
            None => !self.runbook.stores.is_empty() || named.any(holds),
        };
        (!about).then(|| {
            waiver.component.as_ref().map_or_else(
                || "no component of this run holds writes".to_owned(),
                |component| format!("{component} holds no writes in this run"),
            )
        })
    }
}
