//! Probes and the recorder that turns samples into turns: from good to bad and back.

pub mod live;
pub mod recorder;
mod sample;

use futures_util::future::LocalBoxFuture;

pub use recorder::Recorder;

use crate::model::place::Place;
use crate::record::runbook::Probe;
pub use sample::Sample;

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
