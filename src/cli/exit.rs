//! Exit codes. They are part of the interface.

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
