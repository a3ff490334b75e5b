//! The severity that a run is decided under: the default of its policy, what a person gave, and what a continued run keeps.

use serde::Deserialize;

use super::state::RunState;
use crate::model::intent::{Drill, Intent};
use crate::model::policy::Policy;
use crate::model::severity::{Decided, Regraded, Severity};
use crate::model::terms::Terms;
use crate::model::time::Timestamp;
use crate::record::event::RunCreated;

/// The part of a runbook that decides the default severity.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Purpose {
    /// The purpose of the run.
    pub intent: Intent,
    /// The kind of the drill, if it is one.
    #[serde(default)]
    pub drill: Option<Drill>,
}

impl Purpose {
    /// The purpose of a run, by its first event; `None` if its runbook is not readable.
    pub fn from_created(created: &RunCreated) -> Option<Self> {
        serde_json::from_str(&created.runbook).ok()
    }

    /// The default severity under these terms. Terms without it had the default policy.
    fn usual(self, terms: &Terms) -> Severity {
        self.set(terms, self.drill.is_some_and(Drill::has_own_severity))
    }

    /// The same as earlier versions had it: every drill had the severity of a drill.
    fn usual_before(self, terms: &Terms) -> Severity {
        self.set(terms, self.drill.is_some())
    }

    fn set(self, terms: &Terms, drill: bool) -> Severity {
        let intent = if drill { Intent::Drill } else { self.intent };
        let set =
            terms.settings.get(&format!("policy.severity_of.{intent}")).and_then(|text| text.parse().ok());
        set.unwrap_or_else(|| Policy::default().severity(None, self.intent, drill))
    }
}

fn parsed(text: Option<&String>) -> Option<Severity> {
    text.and_then(|text| text.parse().ok())
}

/// The same run with the severity of the run that it continues, if that one is more severe.
pub fn keeping(created: RunCreated, kept: Option<Severity>, purpose: Purpose) -> RunCreated {
    let given = parsed(created.severity.as_ref()).unwrap_or_else(|| purpose.usual(&created.terms));
    match kept {
        Some(kept) if kept < given => RunCreated {
            severity: Some(kept.to_string()),
            severity_given: Some(given.to_string()),
            ..created
        },
        Some(_) => RunCreated { severity: Some(given.to_string()), ..created },
        None => created,
    }
}

/// The severity that a run was decided under.
pub fn decided(created: &RunCreated, at: Timestamp, purpose: Purpose) -> Decided {
    let recorded = parsed(created.severity.as_ref());
    let before = recorded.filter(|of| *of == purpose.usual_before(&created.terms));
    let usual = before.unwrap_or_else(|| purpose.usual(&created.terms));
    let severity = recorded.unwrap_or(usual);
    let given = parsed(created.severity_given.as_ref()).unwrap_or(severity);
    let requester = &created.requester;
    let (by, signed) = (Some(requester.who.clone()), requester.signature.is_some());
    let asked = Regraded { from: usual, to: given, by, signed, at, kept_from: None };
    let kept_from = created.continues.clone();
    let kept = Regraded { from: given, to: severity, by: None, signed: false, at, kept_from };
    let changes = [asked, kept].into_iter().filter(|change| change.from != change.to);
    Decided::new(severity, usual, changes.collect())
}

impl RunState {
    /// The severity that the run was decided under.
    pub fn severity(&self) -> Decided {
        let purpose = Purpose { intent: self.runbook.intent, drill: self.runbook.drill };
        decided(&self.created, self.created_at, purpose)
    }
}
