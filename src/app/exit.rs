//! Exit codes. They are part of the interface; `docs/src/reference/exit-codes.md` is generated from here.

/// Done.
pub const DONE: u8 = 0;
/// The run ended without recovery.
pub const NOT_RECOVERED: u8 = 1;
/// Usage, configuration or plan error.
pub const USAGE: u8 = 2;
/// Refused by safety, policy or readiness; dry runs too.
pub const REFUSED: u8 = 3;
/// Waiting for approval, credentials, or paused.
pub const WAITING: u8 = 4;
/// Recovered, but an objective was missed or not proven, or a fence is pending.
pub const RECOVERED_BUT: u8 = 5;
/// Another run or process holds the target.
pub const HELD: u8 = 6;
/// A bug in drctl.
pub const BUG: u8 = 70;
/// A second Ctrl-C. Shells expect 128 and the number of SIGINT.
pub const INTERRUPTED: u8 = 130;

/// All exit codes with their meaning.
pub const ALL: [(u8, &str); 9] = [
    (DONE, "done"),
    (
        NOT_RECOVERED,
        "the run ended without recovery, or started and halted; `observe` got no answer; `status` or `audit verify` found a broken journal; `evidence` found a broken bundle; the store is older than something that was signed about it",
    ),
    (
        USAGE,
        "a mistake in the command, the settings or the plan; a journal that drctl cannot read; a provider that this build does not include",
    ),
    (REFUSED, "refused by safety or policy; `ready` found that a recovery would not work"),
    (WAITING, "waits for approval or credentials, or is paused; a recovery whose watch is paused"),
    (
        RECOVERED_BUT,
        "recovered, but an objective was missed or not proven, or a fence is pending; something is overdue, `degraded` or `unknown`; `status` shows a pending fence or something overdue",
    ),
    (HELD, "another run or process holds the target"),
    (BUG, "a bug in drctl"),
    (INTERRUPTED, "a second Ctrl-C ended the process; `drctl runs resume RUN` continues"),
];

/// The worse of two exit codes, for the result of a fleet: the one that needs a person the most.
pub fn worst(a: u8, b: u8) -> u8 {
    let rank = |code: u8| match code {
        DONE => 0,
        RECOVERED_BUT => 1,
        WAITING => 2,
        HELD => 3,
        REFUSED => 4,
        USAGE => 5,
        NOT_RECOVERED => 6,
        _ => 7,
    };
    if rank(a) >= rank(b) { a } else { b }
}
