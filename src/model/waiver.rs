//! A person's acceptance of one named refusal, with a bound.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::{ComponentName, PlanName};
use crate::model::time::Dur;

/// Reasons for which the planner or a gate refuses. `drctl explain ID` has more about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A replica would be promoted while the old primary may still take writes.
    UnfencedPromotion,
    /// Traffic would reach a site before its database is writable.
    TrafficBeforeDatabase,
    /// The source still serves its users: a failover would cause the outage that it is meant to end.
    HealthySource,
    /// A site that answers was observed too long ago.
    StaleObservation,
    /// More writes may be lost than the RPO allows or somebody accepted.
    ExposureAboveRpo,
    /// The possible loss of writes has no known bound.
    ExposureUnknown,
    /// The maximum of the standby group is below the needed capacity.
    CapacityAboveMaximum,
    /// The recovery site does not answer, or its replica cannot be promoted.
    TargetDown,
    /// Another unfinished run holds the component.
    ComponentBusy,
    /// drctl cannot do this yet.
    NotImplemented,
    /// The replica follows another instance than the one that the plan would fence.
    OtherSource,
    /// The plan lacks what this intent needs.
    NotRecoverable,
    /// The active site differs from what the plan and the intent need, or is unknown.
    ActiveSiteUnclear,
    /// The credentials are not those of the account that the plan names.
    WrongIdentity,
    /// Another run holds the guard of a component.
    GuardHeld,
    /// The guard that the run took can no longer be read: another run may have taken it over.
    GuardUnread,
    /// A change freeze: nothing starts that can wait.
    ChangeFreeze,
    /// A blackout: nothing starts that can wait.
    BlackoutWindow,
    /// Outside the maintenance windows: nothing starts that can wait.
    OutsideWindow,
    /// A drill that moves users needs users who are served, and alarms of the plan that are all silent.
    DrillBlocked,
}

impl Rule {
    /// All rules, in the order of their explanations.
    pub const ALL: [Self; 20] = [
        Self::UnfencedPromotion,
        Self::TrafficBeforeDatabase,
        Self::HealthySource,
        Self::StaleObservation,
        Self::ExposureAboveRpo,
        Self::ExposureUnknown,
        Self::CapacityAboveMaximum,
        Self::TargetDown,
        Self::ComponentBusy,
        Self::NotImplemented,
        Self::OtherSource,
        Self::NotRecoverable,
        Self::ActiveSiteUnclear,
        Self::WrongIdentity,
        Self::GuardHeld,
        Self::GuardUnread,
        Self::ChangeFreeze,
        Self::BlackoutWindow,
        Self::OutsideWindow,
        Self::DrillBlocked,
    ];

    /// The id used in flags, output and journals.
    pub const fn id(self) -> &'static str {
        match self {
            Self::UnfencedPromotion => "unfenced-promotion",
            Self::TrafficBeforeDatabase => "traffic-before-database",
            Self::HealthySource => "healthy-source",
            Self::StaleObservation => "stale-observation",
            Self::ExposureAboveRpo => "exposure-above-rpo",
            Self::ExposureUnknown => "exposure-unknown",
            Self::CapacityAboveMaximum => "capacity-above-maximum",
            Self::TargetDown => "target-down",
            Self::ComponentBusy => "component-busy",
            Self::NotImplemented => "not-implemented",
            Self::OtherSource => "other-source",
            Self::NotRecoverable => "not-recoverable",
            Self::ActiveSiteUnclear => "active-site-unclear",
            Self::WrongIdentity => "wrong-identity",
            Self::GuardHeld => "guard-held",
            Self::GuardUnread => "guard-unread",
            Self::ChangeFreeze => "change-freeze",
            Self::BlackoutWindow => "blackout-window",
            Self::OutsideWindow => "outside-window",
            Self::DrillBlocked => "drill-blocked",
        }
    }

    /// The rule with an id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.id() == id)
    }

    /// Whether a person may accept it. If not, the situation has to change instead.
    pub const fn waivable(self) -> bool {
        matches!(
            self,
            Self::UnfencedPromotion
                | Self::HealthySource
                | Self::StaleObservation
                | Self::ExposureAboveRpo
                | Self::ExposureUnknown
                | Self::CapacityAboveMaximum
                | Self::OtherSource
                | Self::ActiveSiteUnclear
                | Self::GuardHeld
                | Self::GuardUnread
                | Self::ChangeFreeze
                | Self::BlackoutWindow
                | Self::OutsideWindow
        )
    }

    /// Its scope. There is no default here: each rule must state what a waiver of it covers.
    pub const fn scope(self) -> Scope {
        match self {
            Self::UnfencedPromotion | Self::ExposureAboveRpo | Self::ExposureUnknown | Self::OtherSource => {
                Scope::Store
            }
            Self::CapacityAboveMaximum => Scope::Capacity,
            Self::StaleObservation
            | Self::GuardUnread
            | Self::TrafficBeforeDatabase
            | Self::TargetDown
            | Self::ComponentBusy
            | Self::NotImplemented
            | Self::NotRecoverable
            | Self::WrongIdentity => Scope::Component,
            // One `--take-over` covers every guard of the plan.
            Self::GuardHeld
            | Self::HealthySource
            | Self::ActiveSiteUnclear
            | Self::ChangeFreeze
            | Self::BlackoutWindow
            | Self::OutsideWindow
            | Self::DrillBlocked => Scope::Run,
        }
    }

    /// Whether accepting it means accepting a loss of writes, which needs a bound.
    pub const fn needs_loss_bound(self) -> bool {
        matches!(
            self,
            Self::UnfencedPromotion | Self::ExposureAboveRpo | Self::ExposureUnknown | Self::OtherSource
        )
    }
}

/// The scope of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A component that holds writes.
    Store,
    /// A component that has capacity.
    Capacity,
    /// Any component.
    Component,
    /// The whole plan.
    Run,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// One person's acceptance of one refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waiver {
    /// The refusal that is accepted.
    pub rule: Rule,
    /// The component that it is accepted for; absent means every component of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// The accepted loss of writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_loss_ms: Option<Dur>,
    /// Why, in the person's words.
    pub reason: String,
    /// Who accepted it.
    pub who: Person,
}

impl Waiver {
    /// What is accepted, with its plan and component, for lists of several plans.
    pub fn subject(&self, plan: &PlanName) -> String {
        let of = self.component.as_ref().map_or_else(String::new, |component| format!(" for {component}"));
        let loss = self.accept_loss_ms.map_or_else(String::new, |loss| {
            format!(", with an accepted loss of up to {} of writes", loss.in_full())
        });
        format!("{}{of} of {plan}{loss}", self.rule)
    }

    /// The same with the person and the reason. The comma parts the person from the writes.
    pub fn told(&self, plan: &PlanName) -> String {
        format!("{}, by {}: {}", self.subject(plan), self.who, self.reason)
    }

    /// Whether the waiver covers `rule` for `component`.
    pub fn covers(&self, rule: Rule, component: Option<&ComponentName>) -> bool {
        self.rule == rule && (self.component.is_none() || self.component.as_ref() == component)
    }
}

/// The loss of a component that people accepted for a rule, and the largest if there are several. Whoever accepted an unfenced promotion
/// with a bound accepted that loss, whatever its cause.
pub fn accepted_loss(waivers: &[Waiver], rule: Rule, component: &ComponentName) -> Option<Dur> {
    let accepts = |w: &&Waiver| [rule, Rule::UnfencedPromotion].iter().any(|r| w.covers(*r, Some(component)));
    waivers.iter().filter(accepts).filter_map(|w| w.accept_loss_ms).max()
}

/// A person who requested, approved or waived something. Without operators in `drctl.yaml` the identity is only claimed, and reports say
/// so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// The operator's name if it is signed; otherwise `user@host`, or a name followed by it.
    pub who: String,
    /// True if only the operating system confirms the identity.
    pub claimed: bool,
    /// An OpenSSH signature over the statement (`ssh-keygen -Y verify -n drctl-statement`).
    #[serde(default)]
    pub signature: Option<String>,
    /// The exact bytes that were signed: a [`crate::record::statement::Statement`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}

impl Person {
    /// An identity without a signature.
    pub fn claimed(who: impl Into<String>) -> Self {
        Self { who: who.into(), claimed: true, signature: None, statement: None }
    }

    /// Whether both are the same person, whatever they signed.
    pub fn is(&self, other: &Self) -> bool {
        self.who == other.who
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.who, if self.signature.is_none() { " (unsigned)" } else { "" })
    }
}

pub use super::plain::{line as harmless, line as one_line};
