//! Which states are scrubbed of secrets before they are journalled.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::kinds::State;

impl State {
    /// Whether something in it may repeat a secret: the output of a command or a job, or a sentence of a provider. There is no wildcard
    /// here, so that a new state is scrubbed until somebody decides that it need not be.
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
            // Names, numbers and words of the provider's own, and they are looked at by the thousand.
            Self::Database(_) | Self::Records(_) | Self::Change(_) | Self::Identity(_) | Self::Quotas(_) => {
                false
            }
            // Compared letter by letter with what drctl wrote, or with what the plan says.
            Self::Guard(_) | Self::HealthObject(_) | Self::Controls(_) | Self::Secret(_) | Self::Wrote(_) => {
                false
            }
        }
    }
}
