//! What a person signs. The signature is over the exact bytes that were written then, which travel with it: nothing is ever
//! re-serialised to be checked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::{Digest, PlanName, RunId};
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::{RunCreated, Signal};

/// The namespace of signatures (PROTOCOL.sshsig of OpenSSH): one for something else, such as a Git commit, is never taken for ours.
pub const NAMESPACE: &str = "drctl-statement";

/// One person's words about one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The version of this shape.
    pub drctl: u32,
    /// What is asked of the run; absent where the run itself is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// The run.
    pub run: RunId,
    /// The runbook that was looked at.
    pub runbook: Digest,
    /// The application.
    pub plan: PlanName,
    /// The site that it is recovered to.
    pub to: String,
    /// `live` or `sandbox`: a rehearsal's words are good for no more than that.
    pub world: String,
    /// Digest of the operators that the run began with: with others put in their place it is not what was said yes to.
    pub operators: Digest,
    /// Digest of the terms that the run began under: under others it is not what was said yes to.
    pub terms: Digest,
    /// The operator.
    pub by: String,
    /// When it was said, by the clock of the machine that it was said on.
    pub at: Timestamp,
    /// Until when it may be taken.
    pub until: Timestamp,
    /// Makes two of the same words different.
    pub nonce: String,
}

impl Statement {
    /// The version that this build writes.
    pub const VERSION: u32 = 1;

    /// What a person signed, if it is one of these.
    pub fn of(person: &Person) -> Option<Self> {
        person.statement.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }

    /// Words about a run.
    pub fn about(created: &RunCreated, to: &str, signal: Option<Signal>) -> Self {
        Self {
            drctl: Self::VERSION,
            signal,
            run: created.run.clone(),
            runbook: created.runbook_digest.clone(),
            plan: created.plan.clone(),
            to: to.to_owned(),
            world: created.world.id().to_owned(),
            operators: created.authority.digest(),
            terms: created.terms_digest.clone(),
            by: String::new(),
            at: Timestamp::from_millis(0),
            until: Timestamp::from_millis(0),
            nonce: String::new(),
        }
    }
}
