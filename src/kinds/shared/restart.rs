//! Whether a restart ended the sessions that a security group leaves open (AWS, VPC User Guide, «Security group connection tracking»).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::fence::FenceStage;
use crate::model::time::{Dur, Timestamp};

/// What an HTTP `Date` leaves out: it has no fractions of a second (RFC 9110, 5.6.7), so that the answer may be this much younger.
const SECOND: Dur = Dur::secs(1);
/// What proves a fence.
const PROVEN: &str = "only the group of the fence is attached and active, and the server restarted after this run requested a restart, which ended all earlier sessions";
/// How an answer's token begins.
const TOKEN: &str = "restart accepted ";

/// The restart that a fence asked for, once the provider accepted it.
///
/// Only a restart that the provider dates after that acceptance proves anything: by the provider's own clock, and whoever else restarted
/// the server before. A call that was refused, or whose answer never came, leaves nothing here, whatever it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Restart {
    /// When the first one was accepted since the group is the only one, by the provider's clock, to the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Timestamp>,
}

/// How the security groups of a server stand to its fence's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// Others are attached.
    Others,
    /// They are changing, or the server is.
    Changing,
    /// The fence's own is the only one, and in force.
    Alone,
}

/// What the restarts of a server prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It restarted after this fence's own restart was accepted: every session from before the group is gone.
    Proven,
    /// A restart was accepted, and no such event is there yet.
    Awaited,
    /// No restart was accepted: it has to be asked for.
    Unasked,
}

impl Proof {
    /// In words.
    fn words(self, restart: Restart) -> String {
        let only = "only the group of the fence is attached; older sessions may still be open";
        match (self, restart.accepted) {
            (Self::Proven, _) => PROVEN.to_owned(),
            (Self::Awaited, Some(at)) => {
                format!("{only}: RDS accepted a restart at {at} but has not reported it yet")
            }
            (Self::Awaited | Self::Unasked, _) => format!("{only}: this run has not restarted the server"),
        }
    }
}

impl Restart {
    /// None that anybody asked for.
    pub const NONE: Self = Self { accepted: None };

    /// What the answer says that accepted a restart; `date` is the provider's own.
    pub fn token(date: Timestamp) -> String {
        format!("{TOKEN}{date}")
    }

    /// A call of the fence was accepted, with this token. One that accepts no restart attached the group: what was accepted before
    /// that ended no session that was let in meanwhile.
    pub fn answered(&mut self, token: Option<&str>) {
        let date = token.and_then(|t| t.strip_prefix(TOKEN)).and_then(|at| Timestamp::parse(at).ok());
        self.accepted = match (self.accepted, date) {
            (Some(first), Some(_)) => Some(first),
            (None, date) => date,
            (Some(_), None) => None,
        };
    }

    /// Nobody knows what a call of the fence did, or it did nothing: it may have been the one that attaches the group.
    pub const fn forget(&mut self) {
        self.accepted = None;
    }

    /// How far a fence by group has come, by its groups and the newest restart that the provider tells of.
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

    /// What the newest restart proves that the provider tells of, by its clock.
    pub fn judge(self, newest: Option<Timestamp>) -> Proof {
        match (self.accepted, newest) {
            (None, _) => Proof::Unasked,
            (Some(accepted), Some(event)) if event >= accepted + SECOND => Proof::Proven,
            (Some(_), _) => Proof::Awaited,
        }
    }
}
