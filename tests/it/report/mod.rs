//! Reports and traces.

pub(crate) mod as_commands;
pub(crate) mod broken_stores;
pub(crate) mod complete;
pub(crate) mod compliance;
pub(crate) mod documents;
pub(crate) mod golden;
pub(crate) mod html;
pub(crate) mod objectives;
pub(crate) mod same_in_every_format;
#[cfg(all(feature = "http", feature = "mail"))]
pub(crate) mod telemetry;
pub(crate) mod traces;
pub(crate) mod unfinished;
