//! Runs scripts on hosts. The plan names the command that leads to a host, such as `ssh` with its options. It gets `sh` as its last
//! argument, and the script through standard input, so that no process list shows any of it. Values in a script are
//! [`quoted`](crate::model::call::quoted).

use super::process::{self, Given, Program};
use super::secrets::excerpt;

/// Limit on the output of a script; none needs as much.
const MOST_BYTES: usize = 4 << 20;
/// The exit code with which ssh reports its own failure (OpenSSH, ssh(1), «EXIT STATUS»).
const NO_WAY: i32 = 255;
/// The exit code of a script that changed nothing because something else is running (`EX_TEMPFAIL` of sysexits).
pub const BUSY: i32 = 75;

/// Why a script has no result, and what a call that needed it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostFailure {
    /// The plan names no program. The call is refused.
    NoProgram,
    /// The program could not be started, so nothing was sent. The call is refused.
    NotStarted(String),
    /// Exit code 75: the script changed nothing, and another attempt may succeed. The call is refused until later.
    Busy(String),
    /// Exit code 255, a signal that ended the program, or too much output: the script may have run. The call is in doubt.
    InDoubt(String),
    /// Another exit code. The call is refused, so a script may end with one only if it changed nothing.
    Ended {
        /// The code.
        code: i32,
        /// The beginning of standard error.
        why: String,
    },
}

/// Runs a script on a host, and returns its standard output. `run` is the command that leads to the host.
///
/// # Errors
/// If the script did not end with 0.
pub async fn run_script(run: &[String], text: &str) -> Result<String, HostFailure> {
    let Some((program, arguments)) = run.split_first() else { return Err(HostFailure::NoProgram) };
    let run = Program {
        argv: (program, arguments),
        last: Some("sh"),
        input: Some(text),
        given: Given::All,
        keep: MOST_BYTES,
    };
    let ended = process::run(run, std::future::pending()).await;
    let ended = ended.map_err(|e| HostFailure::NotStarted(format!("{program}: {e}")))?;
    let why = excerpt(&ended.err.text());
    match ended.code {
        Some(0) if ended.out.cut => {
            Err(HostFailure::InDoubt(format!("{program} printed more than {} MiB", MOST_BYTES >> 20)))
        }
        Some(0) => Ok(ended.out.text()),
        Some(NO_WAY) => Err(HostFailure::InDoubt(format!("{program}: {why}"))),
        Some(BUSY) => Err(HostFailure::Busy(why)),
        Some(code) => Err(HostFailure::Ended { code, why }),
        None if why.is_empty() => Err(HostFailure::InDoubt(format!("a signal ended {program}"))),
        None => Err(HostFailure::InDoubt(format!("a signal ended {program}: {why}"))),
    }
}
