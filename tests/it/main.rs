//! The only integration-test binary.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test that cannot go on fails, says why, and may look at the machine it runs on"
)]

#[cfg(feature = "aws")]
#[path = "../support/stub/main.rs"]
#[allow(dead_code, reason = "here its own tests run; its main serves the benchmarks")]
mod aws_stub;
mod cli;
mod evidence;
mod journal;
mod kinds;
#[cfg(feature = "aws")]
mod live;
mod notify;
mod planner;
mod plans;
mod report;
mod rules;
mod run;
mod sandbox;
mod secrets;
mod serve;
#[cfg(feature = "aws")]
#[path = "../support/mod.rs"]
mod servers;
mod support;
