//! Whether a waiver can be about anything in a run.

use super::RunState;
use crate::model::ids::ComponentName;
use crate::model::waiver::{Scope, Waiver};

impl RunState {
    /// Why a waiver has no effect, if the run has nothing that its rule can be about: a loss of writes needs a component that holds them.
    pub fn waives_nothing(&self, waiver: &Waiver) -> Option<String> {
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
        (waiver.rule.scope() == Scope::Store && !about).then(|| {
            let who = waiver.component.as_ref().map_or_else(
                || "no component of this run holds writes".to_owned(),
                |component| format!("{component} holds no writes in this run"),
            );
            format!("the waiver of {} by {} had no effect: {who}", waiver.rule, waiver.who)
        })
    }
}
