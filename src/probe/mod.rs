//! Probes and the recorder that turns samples into turns: from good to bad and back.

pub mod live;
pub mod recorder;

use futures_util::future::LocalBoxFuture;

pub use recorder::Recorder;

use crate::model::place::Place;
use crate::model::time::Timestamp;
use crate::record::runbook::Probe;

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

/// Reads the states of alarms.
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
    /// Takes one sample.
    fn sample<'a>(&'a self, probe: &'a Probe) -> LocalBoxFuture<'a, Sample>;
}
