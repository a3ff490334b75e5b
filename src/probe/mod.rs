//! Probes and the recorder that turns samples into turns: from good to bad and back.

pub mod live;
pub mod recorder;

use futures_util::future::LocalBoxFuture;

pub use recorder::Recorder;

use crate::model::place::Place;
use crate::model::time::Timestamp;
use crate::record::runbook::Probe;

/// One answer to one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it was sent: the time of a sample is when it was asked, not when it was answered.
    pub sent_at: Timestamp,
    /// Whether it was good; nothing if nobody could be asked.
    pub good: Option<bool>,
    /// What was answered, or why nothing was.
    pub detail: String,
}

/// Who knows of alarms.
pub trait Alarms {
    /// Whether an alarm is off, and its state; or why that is unknown.
    fn alarm<'a>(
        &'a self,
        place: &'a Place,
        name: &'a str,
    ) -> LocalBoxFuture<'a, Result<(bool, String), String>>;
}

/// Runs probes. Each sample resolves the name again and opens a new connection.
pub trait Prober {
    /// Asks once.
    fn sample<'a>(&'a self, probe: &'a Probe) -> LocalBoxFuture<'a, Sample>;
}
