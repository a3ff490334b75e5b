//! The request for a report.

use schemars::JsonSchema;
use serde::Serialize;

use super::controls::Profile;
use crate::model::time::Timestamp;
use crate::run::RunState;

/// The request for a report.
#[derive(Clone, Debug)]
pub struct ReportRequest {
    /// The start of the period.
    pub since: Timestamp,
    /// The end of the period, exclusive.
    pub until: Timestamp,
    /// The time of the request.
    pub now: Timestamp,
    /// The standard whose controls are listed.
    pub profile: Profile,
    /// Whether it reports rehearsals, which prove nothing.
    pub rehearsal: bool,
    /// The person who prepares the report.
    pub prepared_by: Signatory,
    /// The person who reviews it.
    pub reviewed_by: Signatory,
}

impl ReportRequest {
    /// The time at which a run is judged. Each rehearsal has a world and a clock of its own, which end with its last event.
    pub fn judged_at(&self, run: &RunState) -> Timestamp {
        if self.rehearsal { run.last_at } else { self.now.max(run.last_at) }
    }
}

/// A person who is responsible for a report. drctl signs nothing here: the person signs by hand, or signs the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Signatory {
    /// The name.
    pub name: Option<String>,
    /// The role or position.
    pub role: Option<String>,
}

impl Signatory {
    /// Reads `Ann Lee, Head of SRE`: a name and, after a comma, a role.
    pub fn read(text: &str) -> Self {
        let part = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let (name, role) = text.split_once(',').unwrap_or((text, ""));
        Self { name: part(name), role: part(role) }
    }
}
