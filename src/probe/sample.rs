//! One sample of a probe.

use crate::model::time::Timestamp;

/// One sample of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it was sent, which is the time of the sample; not when the answer came.
    pub sent_at: Timestamp,
    /// Whether it was good; none if the probe could not be sent.
    pub good: Option<bool>,
    /// The answer, or why there was none.
    pub detail: String,
}
