//! Signed statements. The signature covers the exact original bytes, which are kept with it: nothing is serialised again for a check.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::{Digest, PlanName, RunId};
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::{RunCreated, Signal};

/// The signature namespace (PROTOCOL.sshsig of OpenSSH), so that a signature for something else, such as a Git commit, does not count.
pub const NAMESPACE: &str = "drctl-statement";

/// A person's statement about one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The version of this format.
    pub drctl: u32,
    /// The signal; absent if the statement requests the run itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// The run.
    pub run: RunId,
    /// The runbook that the person saw.
    pub runbook: Digest,
    /// The application.
    pub plan: PlanName,
    /// The recovery site.
    pub to: String,
    /// `live` or `sandbox`: a statement for a rehearsal is valid only there.
    pub world: String,
    /// The digest of the operators at the start of the run. With other operators the statement is not valid.
    pub operators: Digest,
    /// The digest of the terms at the start of the run. Under other terms the statement is not valid.
    pub terms: Digest,
    /// The operator.
    pub by: String,
    /// When it was signed, by the signer's clock.
    pub at: Timestamp,
    /// When it expires.
    pub until: Timestamp,
    /// A random value that makes every statement unique.
    pub nonce: String,
}

impl Statement {
    /// The version that this build writes.
    pub const VERSION: u32 = 1;

    /// The signed statement of a person, if there is a readable one.
    pub fn of_person(person: &Person) -> Option<Self> {
        person.statement.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }

    /// A statement about a run.
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
