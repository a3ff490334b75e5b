//! Whether a restart ended the sessions that a security group leaves open (AWS, VPC User Guide, «Security group connection tracking»).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::fence::method::FenceStage;
use crate::model::time::{Dur, Timestamp};

/// An HTTP `Date` has no fractions of a second (RFC 9110, 5.6.7), so the answer may be this much later.
const SECOND: Dur = Dur::secs(1);
/// The proof of a fence.
const PROVEN: &str = "only the fence group is attached, and the restart ended all sessions";
/// The prefix of a token.
const TOKEN: &str = "restart accepted ";

/// The restart that a fence requested, once the provider accepted it.
///
/// Only a restart that the provider dates after that acceptance is a proof, by the provider's own clock, whoever restarted the server
/// before. A call that was refused, or had no answer, leaves nothing here, whatever its effect was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Restart {
    /// When the provider accepted the first restart since the group became the only one, by its own clock, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Timestamp>,
}

/// The security groups of a server, compared with the fence's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// Other groups are attached.
    Others,
    /// The groups, or the server, are changing.
    Changing,
    /// The fence's own group is the only one, and active.
    Alone,
}

/// What the restarts of a server prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It restarted after this fence's restart was accepted, so every earlier session has ended.
    Proven,
    /// A restart was accepted, but the provider has not reported it yet.
    Awaited,
    /// No restart was accepted, so one must be requested.
    Unasked,
}

impl Proof {
    /// A description.
    fn words(self, restart: Restart) -> String {
        let only = "only the group of the fence is attached; older sessions may still be open";
        match (self, restart.accepted) {
            (Self::Proven, _) => PROVEN.to_owned(),
            (Self::Awaited, Some(at)) => {
                format!("{only}: the provider accepted a restart at {at} but has not reported it yet")
            }
            (Self::Awaited | Self::Unasked, _) => format!("{only}: this run has not restarted the server"),
        }
    }
}

impl Restart {
    /// No requested restart.
    pub const NONE: Self = Self { accepted: None };

    /// The token for an accepted restart. `date` is the provider's own time.
    pub fn token(date: Timestamp) -> String {
        format!("{TOKEN}{date}")
    }

    /// A call of the fence was accepted with this token. A call without one attached the group: restarts that were accepted before it did
    /// not end sessions that were admitted in between.
    pub fn answered(&mut self, token: Option<&str>) {
        let date = token.and_then(|t| t.strip_prefix(TOKEN)).and_then(|at| Timestamp::parse(at).ok());
        self.accepted = match (self.accepted, date) {
            (Some(first), Some(_)) => Some(first),
            (None, date) => date,
            (Some(_), None) => None,
        };
    }

    /// The result of a call is unknown, or it had no effect. It may have attached the group.
    pub const fn forget(&mut self) {
        self.accepted = None;
    }

    /// The progress of a fence by security group, from its groups and the newest restart that the provider reports.
    pub fn stage(self, groups: Groups, newest: Option<Timestamp>) -> (FenceStage, String) {
        match groups {
            Groups::Others => (FenceStage::Open, "other security groups are attached".to_owned()),
            Groups::Changing => (FenceStage::UnderWay, "the groups or the instance are changing".to_owned()),
            Groups::Alone => {
                let proof = self.judge(newest);
                let stage = if proof == Proof::Proven { FenceStage::Proven } else { FenceStage::Half };
                (stage, proof.words(self))
            }
        }
    }

    /// What the newest restart that the provider reports proves, by its own clock.
    pub fn judge(self, newest: Option<Timestamp>) -> Proof {
        match (self.accepted, newest) {
            (None, _) => Proof::Unasked,
            (Some(accepted), Some(event)) if event >= accepted + SECOND => Proof::Proven,
            (Some(_), _) => Proof::Awaited,
        }
    }
}
