//! Refusals of the planner: with the facts, what would make the request acceptable, and the exact flag that waives the rule.

use std::fmt;

use serde::Serialize;

use crate::kinds::shared::database::Unmet;
use crate::model::ids::ComponentName;
use crate::model::waiver::Rule;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The rule.
    pub rule: Rule,
    /// The component it is about.
    pub component: Option<ComponentName>,
    /// What was observed.
    pub facts: String,
    /// What would make it acceptable.
    pub acceptable: String,
    /// The flag that waives it; none if nothing does.
    pub flag: Option<String>,
}

impl Refusal {
    /// A refusal with the flag of its rule.
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

    /// A refusal for what a component's kind says is missing.
    pub fn unmet(component: &ComponentName, unmet: Unmet) -> Self {
        Self::new(unmet.rule, Some(component), unmet.facts, unmet.what)
    }

    /// Sets the loss that a person would have to accept.
    #[must_use]
    pub fn with_bound(mut self, bound: &str) -> Self {
        self.flag = flag(self.rule, self.component.as_ref(), bound);
        self
    }
}

/// The flags that waive a rule.
pub fn flag(rule: Rule, component: Option<&ComponentName>, bound: &str) -> Option<String> {
    flags(&[(rule, component)], bound)
}

/// The flags that waive several rules at once, with one bound for the loss of all; none if one of the rules cannot be waived.
pub fn flags(risks: &[(Rule, Option<&ComponentName>)], bound: &str) -> Option<String> {
    if !risks.iter().all(|(rule, _)| rule.waivable()) {
        return None;
    }
    if risks.iter().any(|(rule, _)| *rule == Rule::GuardHeld) {
        return Some("--take-over --reason TEXT".to_owned());
    }
    let waived = risks.iter().map(|(rule, component)| {
        let of = component.map_or_else(String::new, |c| format!(":{c}"));
        format!("--waive {rule}{of} ")
    });
    let bounded = risks.iter().any(|(rule, _)| rule.needs_loss_bound());
    let loss = if bounded { format!("--accept-data-loss {bound} ") } else { String::new() };
    Some(format!("{}{loss}--reason TEXT", waived.collect::<String>()))
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
