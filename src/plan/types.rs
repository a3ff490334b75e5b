//! A plan as types. Values with possible findings keep their position in the file.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::shared::command::Command;
use crate::kinds::{Role, Site, Spec};
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
    /// Where its name is.
    pub named: Span,
    /// The team that is responsible for it.
    pub owner: Option<String>,
    /// Its recovery class.
    pub tier: Option<Spanned<String>>,
    /// Its objectives.
    pub objectives: Objectives,
    /// Plans that must recover first.
    pub after: Vec<Spanned<PlanName>>,
    /// The sites where it can run.
    pub sites: BTreeMap<SiteName, Site>,
    /// Places that belong to no site.
    pub connections: BTreeMap<String, Place>,
    /// Where each of them is declared.
    pub connected: BTreeMap<String, Span>,
    /// The site that failback goes to.
    pub home: Spanned<SiteName>,
    /// The components to recover.
    pub components: BTreeMap<ComponentName, Component>,
    /// Every name under `components:`, including those that could not be built.
    pub declared: BTreeSet<ComponentName>,
    /// The probes that show whether it works.
    pub probes: Vec<Spanned<Probe>>,
    /// Stores that are promoted together or not at all.
    pub groups: BTreeMap<String, Vec<Spanned<ComponentName>>>,
    /// Approvals.
    pub gates: BTreeMap<String, GateSpec>,
    /// How long a run watches after a recovery.
    pub watch: Option<Dur>,
    /// Commands before or after a phase.
    pub hooks: Vec<Hook>,
}

/// Something that is recovered.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its name.
    pub name: ComponentName,
    /// Where it is declared.
    pub span: Span,
    /// Components that it needs to serve.
    pub needs: Vec<Spanned<ComponentName>>,
    /// The sites that it names, if it names any.
    pub at: Vec<Spanned<SiteName>>,
    /// Objectives that differ from the plan's.
    pub objectives: Option<Objectives>,
    /// Its kind and properties.
    pub spec: Spec,
}

impl Component {
    /// The name of its kind in plans.
    pub const fn kind(&self) -> &'static str {
        self.spec.kind()
    }

    /// What it does for the application.
    pub fn role(&self) -> Role<'_> {
        self.spec.role()
    }

    /// Whether it holds writes.
    pub fn is_store(&self) -> bool {
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
    /// The question.
    pub ask: String,
    /// How long the request stays open.
    pub expires_after: Dur,
    /// The roles that must approve, each through a different person.
    pub by: Vec<Spanned<String>>,
}

/// A command before or after a phase.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// True for `after`.
    pub after: bool,
    /// The phase before or after which it runs.
    pub phase: Phase,
    /// The component whose part of the phase is meant.
    pub component: Option<ComponentName>,
    /// The command.
    pub command: Command,
    /// Its timeout.
    pub timeout: Dur,
    /// The effect of its failure.
    pub on_failure: OnFailure,
    /// The kind of change that it makes, if that may need approval.
    pub change: Option<Change>,
    /// Whether the plan states the change: `change: none` means no change, and without the key it is unknown.
    pub says: bool,
    /// Where it is declared.
    pub span: Span,
}
