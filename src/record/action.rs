//! What a step does: an operation of a kind, or what a run does for itself.
//!
//! Beside each action stand its undo and its in-doubt rule, so that nobody can add one without deciding both. An action
//! is concrete: everything it will send is in it, and execution is left no choice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::kinds::{Called, Op as _, Operation, Target};
use crate::model::ids::{ComponentName, ProbeName, SiteName};
use crate::model::place::Place;
use crate::model::policy::Override;
use crate::model::properties::InDoubt;
use crate::model::time::Dur;
use crate::model::waiver::Rule;

mod late;
mod operation;
mod properties;
mod words;

/// One thing to do or to wait for: an operation of a kind, or what a run does for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Action {
    /// Change something, or wait for an observation of a kind.
    Op(Operation),
    /// Observe, and continue only if the observation is as required.
    Check(Check),
    /// Take or give back a guard.
    Write(Write),
    /// Wait for a condition of the run or for a person.
    Gate(Gate),
    /// Let time pass, watching.
    Wait {
        /// How long.
        duration_ms: Dur,
        /// For what, where it is not to see that all stays well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
}

/// A read-only look that has to be satisfied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Check {
    /// The credentials are those of the account that the plan names.
    Identity {
        /// Where.
        place: Place,
    },
    /// What is there, before anything changed or when all else is over: looked at once and kept. Never blocks.
    Evidence {
        /// What to look at.
        targets: Vec<Target>,
    },
    /// The guard is still this run's: nobody took it over since.
    Guard {
        /// The component.
        component: ComponentName,
        /// Where the guard is kept.
        place: Place,
        /// This run, as it stands in the object.
        holder: String,
    },
    /// How many writes may be lost with this database.
    Exposure {
        /// The replica whose last replayed commit is read.
        db: DatabaseRef,
        /// By how much the clock that stamps its commits is ahead of this machine's at most, in milliseconds; none where nobody read it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ahead_ms: Option<i64>,
        /// Rows of the old primary that no log has, as far as they were seen.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unreplicated: Vec<Unreplicated>,
    },
    /// A probe is good so many times in a row, all sent after the step began.
    Probe {
        /// The probe.
        probe: ProbeName,
        /// For a probe of role `site`: which.
        #[serde(default)]
        site: Option<SiteName>,
        /// How often in a row.
        consecutive: u32,
    },
}

/// A change of a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Write {
    /// The guard object of a component, by conditional write.
    Guard {
        /// The component.
        component: ComponentName,
        /// Where the guard is kept.
        place: Place,
        /// Who takes it, as it stands in the object.
        holder: String,
        /// Whose guard is taken over, on a person's word; only exactly that one is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of: Option<String>,
    },
    /// Gives the guard back.
    ReleaseGuard {
        /// The component.
        component: ComponentName,
        /// Where the guard is kept.
        place: Place,
        /// Who held it.
        holder: String,
    },
}

/// A condition that a run waits on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "on", rename_all = "snake_case")]
pub enum Gate {
    /// The old primary of the component is fenced with proof, or the lack of it is waived.
    Fenced {
        /// The component.
        component: ComponentName,
    },
    /// Exposure of every one of the components is within the objective, or the excess is waived.
    Exposure {
        /// All are promoted or none.
        components: Vec<ComponentName>,
        /// The RPO that was promised.
        objective_ms: Dur,
    },
    /// A person says yes.
    Approval {
        /// What is asked.
        ask: String,
        /// How long the question stands. Expiry never means yes.
        expires_after_ms: Dur,
        /// Roles that have to say it, each by a person of its own; anybody but the requester if there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        by: Vec<String>,
        /// Whether it may be overridden in an emergency.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        override_by: Option<Override>,
    },
}

impl<T: Into<Operation>> From<T> for Action {
    fn from(operation: T) -> Self {
        Self::Op(operation.into())
    }
}

/// What takes an action back.
pub type Undo = crate::model::properties::Undo<Box<Action>>;

impl Action {
    /// What takes it back.
    pub fn undo(&self) -> Undo {
        match self {
            Self::Op(op) => op.undo().map(|back| Box::new(Self::Op(back))),
            Self::Write(Write::Guard { component, place, holder, .. }) => {
                let (component, place, holder) = (component.clone(), place.clone(), holder.clone());
                Undo::By(Box::new(Self::Write(Write::ReleaseGuard { component, place, holder })))
            }
            Self::Write(Write::ReleaseGuard { .. }) | Self::Check(_) | Self::Gate(_) | Self::Wait { .. } => {
                Undo::Nothing
            }
        }
    }

    /// What to do when its call's fate is unknown.
    pub fn in_doubt(&self) -> InDoubt {
        match self {
            Self::Op(op) => op.in_doubt(),
            // A guard is written on a condition: who sends it twice is where one who sent it once is.
            Self::Check(_) | Self::Gate(_) | Self::Wait { .. } | Self::Write(_) => InDoubt::Repeat,
        }
    }

    /// Whether it changes anything outside drctl.
    pub fn mutates(&self) -> bool {
        self.properties().mutates
    }

    /// Whether it looks at something, and continues only if that is as required.
    pub fn looks(&self) -> bool {
        match self {
            Self::Op(op) => !op.properties().mutates,
            Self::Check(_) => true,
            Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => false,
        }
    }

    /// The rule that a person may waive to get past it, if any.
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Gate(Gate::Fenced { .. }) => Some(Rule::UnfencedPromotion),
            Self::Gate(Gate::Exposure { .. }) => Some(Rule::ExposureAboveRpo),
            _ => None,
        }
    }

    /// Where it acts or looks, if that is one place.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Op(op) => op.place(),
            Self::Check(Check::Identity { place } | Check::Guard { place, .. })
            | Self::Write(Write::Guard { place, .. } | Write::ReleaseGuard { place, .. }) => Some(place),
            Self::Check(Check::Exposure { db, .. }) => Some(&db.place),
            Self::Check(Check::Evidence { .. } | Check::Probe { .. }) | Self::Gate(_) | Self::Wait { .. } => {
                None
            }
        }
    }

    /// What to look at to see whether it is done.
    pub fn watch(&self, called: &Called<'_>) -> Option<Target> {
        match self {
            Self::Op(op) => Some(op.watch(called)),
            Self::Check(Check::Identity { place }) => Some(Target::Identity { place: place.clone() }),
            Self::Check(Check::Exposure { db, .. }) => Some(Target::Database(db.clone())),
            Self::Check(Check::Evidence { .. } | Check::Probe { .. }) | Self::Gate(_) | Self::Wait { .. } => {
                None
            }
            Self::Check(Check::Guard { component, place, .. })
            | Self::Write(
                Write::Guard { component, place, .. } | Write::ReleaseGuard { component, place, .. },
            ) => Some(Target::Guard { component: component.clone(), place: place.clone() }),
        }
    }
}
