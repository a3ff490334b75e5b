//! A plan as types. Values that lint points at keep their place in the file.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Spec;
use crate::kinds::shared::command::Command;
use crate::model::document::Spanned;
use crate::model::finding::Span;
use crate::model::ids::{ComponentName, Digest, PlanName, SiteName};
use crate::model::objectives::Objectives;
use crate::model::place::Place;
use crate::model::policy::Change;
use crate::model::time::Dur;
use crate::record::runbook::{OnFailure, Phase, Probe};

/// One application's plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The file it was read from.
    pub file: String,
    /// The exact text.
    pub text: String,
    /// Digest of the text.
    pub digest: Digest,
    /// The application.
    pub name: PlanName,
    /// The team that answers for it.
    pub owner: Option<String>,
    /// Its recovery class.
    pub tier: Option<Spanned<String>>,
    /// What was promised.
    pub objectives: Objectives,
    /// Plans that are needed first.
    pub after: Vec<PlanName>,
    /// Where it can live.
    pub sites: BTreeMap<SiteName, Site>,
    /// What belongs to no site.
    pub connections: BTreeMap<String, Place>,
    /// The site that failback goes to.
    pub home: Spanned<SiteName>,
    /// What is recovered.
    pub components: BTreeMap<ComponentName, Component>,
    /// Every name under `components:`, those that could not be built included.
    pub declared: BTreeSet<ComponentName>,
    /// How it is known to work.
    pub probes: Vec<Spanned<Probe>>,
    /// Stores that are promoted together or not at all.
    pub groups: BTreeMap<String, Vec<Spanned<ComponentName>>>,
    /// Approvals.
    pub gates: BTreeMap<String, GateSpec>,
    /// How long a recovery is watched.
    pub watch: Option<Dur>,
    /// Commands before or after a phase.
    pub hooks: Vec<Hook>,
}

/// Where the application can live.
#[derive(Clone, Debug)]
pub struct Site {
    /// How it is reached.
    pub place: Place,
    /// False: never a target.
    pub recovery: bool,
    /// Where it is declared.
    pub span: Span,
}

/// Something that is recovered.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its name.
    pub name: ComponentName,
    /// Where it is declared.
    pub span: Span,
    /// What it cannot serve without.
    pub needs: Vec<Spanned<ComponentName>>,
    /// The sites that it names, where it names them.
    pub at: Vec<Spanned<SiteName>>,
    /// Objectives that differ from the plan's.
    pub objectives: Option<Objectives>,
    /// What it is.
    pub spec: Spec,
}

impl Component {
    /// The kind as plans write it.
    pub const fn kind(&self) -> &'static str {
        self.spec.kind()
    }

    /// Whether it holds writes.
    pub const fn is_store(&self) -> bool {
        self.spec.is_store()
    }

    /// The sites that it names.
    pub fn sites(&self) -> BTreeSet<SiteName> {
        self.spec.sites()
    }
}

/// An approval at a phase.
#[derive(Clone, Debug)]
pub struct GateSpec {
    /// The phase that waits.
    pub phase: Phase,
    /// What is asked.
    pub ask: String,
    /// How long the question stands.
    pub expires_after: Dur,
    /// Roles that have to say yes, each by a person of its own.
    pub by: Vec<Spanned<String>>,
}

/// A command before or after a phase.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// True for `after`.
    pub after: bool,
    /// The phase.
    pub phase: Phase,
    /// The component whose part of the phase is meant.
    pub component: Option<ComponentName>,
    /// What runs.
    pub command: Command,
    /// How long it may take.
    pub timeout: Dur,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// What kind of change it makes, where people have to agree to that.
    pub change: Option<Change>,
    /// Whether it says so: `change: none` changes nothing, and without the key it is unknown.
    pub says: bool,
    /// Where it is declared.
    pub span: Span,
}
