//! The planner says no: with the facts, what would make it acceptable, and the exact flag that would lift it.

use std::fmt;

use serde::Serialize;

use crate::model::ids::ComponentName;
use crate::model::waiver::Rule;

/// One no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Which rule.
    pub rule: Rule,
    /// The component it is about.
    pub component: Option<ComponentName>,
    /// What was seen.
    pub facts: String,
    /// What would make it acceptable.
    pub acceptable: String,
    /// The flag that would lift it; none if nothing does.
    pub flag: Option<String>,
}

impl Refusal {
    /// A refusal, with the flag that its rule has.
    pub fn new(
        rule: Rule,
        component: Option<&ComponentName>,
        facts: impl Into<String>,
        acceptable: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            component: component.cloned(),
            facts: facts.into(),
            acceptable: acceptable.into(),
            flag: flag(rule, component, "5m"),
        }
    }

    /// Names the loss that would have to be accepted.
    #[must_use]
    pub fn with_bound(mut self, bound: &str) -> Self {
        self.flag = flag(self.rule, self.component.as_ref(), bound);
        self
    }
}

/// The flags that lift a rule.
pub fn flag(rule: Rule, component: Option<&ComponentName>, bound: &str) -> Option<String> {
    if !rule.waivable() {
        return None;
    }
    if rule == Rule::GuardHeld {
        return Some("--take-over --reason TEXT".to_owned());
    }
    let of = component.map_or_else(String::new, |c| format!(":{c}"));
    let loss = if rule.needs_loss_bound() { format!(" --accept-data-loss {bound}") } else { String::new() };
    Some(format!("--waive {rule}{of}{loss} --reason TEXT"))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rule)?;
        if let Some(component) = &self.component {
            write!(f, " ({component})")?;
        }
        write!(f, ": {}", self.facts)
    }
}
