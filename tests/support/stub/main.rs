//! A stub of the AWS wire protocols for benchmarks: fast enough that the orchestrator is measured, not the emulator. It keeps an estate in
//! memory, lets changes take time, enforces the limits and counts the calls.
//!
//! It is not a correctness test; the LocalStack rig is. It models what the speed of a failover depends on: the operations that a failover
//! calls, their durations, the maximum size of a request, and the rate limits.

#![allow(
    unused_imports,
    clippy::print_stdout,
    reason = "without its harness the tests of its modules are not built"
)]

mod autoscaling;
mod batch;
mod cbor;
mod clock;
mod cloudwatch;
mod control;
mod controls;
mod ec2;
mod ecs;
mod estate;
mod form;
mod http;
mod iam;
mod limits;
mod options;
#[allow(dead_code, reason = "for the benchmarks that start the stub")]
pub mod plan;
mod rds;
mod record;
mod route53;
mod router;
mod s3;
mod secrets;
mod server;
mod stats;
mod sts;
mod wire;
mod xml;

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    serve(std::env::args().skip(1))
}

/// Serves until the process ends.
pub fn serve(arguments: impl Iterator<Item = String>) -> ExitCode {
    let parsed = match options::parse(arguments) {
        Ok(parsed) => parsed,
        Err(message) => return fail(&message),
    };
    let Some(options) = parsed else {
        let _ = std::io::stdout().write_all(options::HELP.as_bytes());
        return ExitCode::SUCCESS;
    };
    match server::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// If even stderr is closed nothing can be done, so the result is ignored.
fn fail(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "stub: {message}");
    ExitCode::from(2)
}
