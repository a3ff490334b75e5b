//! The action of a step: an operation of a kind, or an action of the run itself.
//!
//! Each action declares its undo and its in-doubt rule, so that nobody can add one without deciding both. An action contains everything
//! that it sends, so execution makes no decisions.

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

/// An action of a step: an operation of a kind, or an action of the run itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Action {
    /// Change something, or wait for an observation of a kind.
    Op(Operation),
    /// Observe, and continue only if the observation is as required.
    Check(Check),
    /// Take or release a guard.
    Write(Write),
    /// Wait for a condition of the run or for a person.
    Gate(Gate),
    /// Let time pass while the probes run.
    Wait {
        /// How long.
        duration_ms: Dur,
        /// What it waits for, unless it only watches.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
}

/// A read-only check that must pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Check {
    /// The credentials are those of the account that the plan names.
    Identity {
        /// Where.
        place: Place,
    },
    /// The state before anything changed, or after everything else has ended. It is observed once and kept, and never blocks.
    Evidence {
        /// What to observe.
        targets: Vec<Target>,
    },
    /// The run still holds the guard.
    Guard {
        /// The component.
        component: ComponentName,
        /// Where the guard is kept.
        place: Place,
        /// The holder in the guard object: this run.
        holder: String,
    },
    /// How many writes may be lost with this database.
    Exposure {
        /// The replica whose last replayed commit is read.
        db: DatabaseRef,
        /// How far the clock that stamps its commits may be ahead of this machine's clock, in milliseconds; none if nobody read it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ahead_ms: Option<i64>,
        /// Observed rows of the old primary that no log contains.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unreplicated: Vec<Unreplicated>,
    },
    /// A probe succeeds this many times in a row. All samples are sent after the step started.
    Probe {
        /// The probe.
        probe: ProbeName,
        /// The site, for a probe of role `site`.
        #[serde(default)]
        site: Option<SiteName>,
        /// How many times in a row.
        consecutive: u32,
    },
}

/// A change of a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Write {
    /// Takes the guard of a component with a conditional write.
    Guard {
        /// The component.
        component: ComponentName,
        /// Where the guard is kept.
        place: Place,
        /// The new holder in the guard object.
        holder: String,
        /// The holder whose guard is taken over because a person said so. A guard of any other holder is not taken over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of: Option<String>,
    },
    /// Releases the guard.
    ReleaseGuard {
        /// The component.
        component: ComponentName,
        /// Where the guard is kept.
        place: Place,
        /// The holder to release.
        holder: String,
    },
}

/// A condition that a run waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "on", rename_all = "snake_case")]
pub enum Gate {
    /// The fence of the component's old primary is proven, or somebody waived that.
    Fenced {
        /// The component.
        component: ComponentName,
    },
    /// The exposure of each component is within the objective, or somebody waived the excess.
    Exposure {
        /// The components, which are promoted together or not at all.
        components: Vec<ComponentName>,
        /// The RPO.
        objective_ms: Dur,
    },
    /// People approve.
    Approval {
        /// The question to them.
        ask: String,
        /// How long the request stays open. It never expires into an approval.
        expires_after_ms: Dur,
        /// The roles that must approve, each through a different person; anybody but the requester if there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        by: Vec<String>,
        /// The emergency override, if it is possible.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        override_by: Option<Override>,
    },
}

impl<T: Into<Operation>> From<T> for Action {
    fn from(operation: T) -> Self {
        Self::Op(operation.into())
    }
}

/// The undo of an action.
pub type Undo = crate::model::properties::Undo<Box<Action>>;

impl Action {
    /// Its undo.
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

    /// What to do when the result of its call is unknown.
    pub fn in_doubt(&self) -> InDoubt {
        match self {
            Self::Op(op) => op.in_doubt(),
            // A guard is written conditionally, so sending it twice has the same effect as sending it once.
            Self::Check(_) | Self::Gate(_) | Self::Wait { .. } | Self::Write(_) => InDoubt::Repeat,
        }
    }

    /// Whether it changes anything outside drctl.
    pub fn mutates(&self) -> bool {
        self.properties().mutates
    }

    /// Whether it only observes, and continues if the observation is as required.
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

    /// The place that it acts on or observes, if it is a single one.
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

    /// The target that shows whether it is done.
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
