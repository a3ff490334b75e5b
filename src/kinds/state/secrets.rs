//! Decides which states are scrubbed of secrets before they enter the journal.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::kinds::State;

impl State {
    /// Whether it may contain a secret: the output of a command or a job, or a message of a provider. There is no wildcard here, so that a
    /// new state requires a decision.
    pub const fn may_hold_secrets(&self) -> bool {
        match self {
            Self::Command(_)
            | Self::Rebuild(_)
            | Self::Backups(_)
            | Self::Restore(_)
            | Self::Group(_)
            | Self::Fence(_)
            | Self::Granted(_)
            | Self::Bucket(_)
            | Self::Compared(_)
            | Self::Alive(_)
            | Self::Answers(_) => true,
            // Names, numbers and words of the provider. These states are too frequent to scrub.
            Self::Database(_) | Self::Records(_) | Self::Change(_) | Self::Identity(_) | Self::Quotas(_) => {
                false
            }
            // Compared character by character with what drctl wrote, or with the plan.
            Self::Guard(_) | Self::HealthObject(_) | Self::Controls(_) | Self::Secret(_) | Self::Wrote(_) => {
                false
            }
        }
    }
}
