//! Polling: quick at first, then backing off, and slower for things that take minutes anyway.

use crate::model::target::Target;
use crate::model::time::Dur;

/// How long to wait before the first look at a target: some things are never there at once.
pub fn first_look(target: &Target) -> Dur {
    match target {
        // Every GetChange takes from the bucket that the other changes need; INSYNC takes seconds at best.
        Target::Change { .. } => Dur::secs(2),
        _ => Dur::ZERO,
    }
}

/// How long to wait before the `n`th look at a target (from 0).
pub fn poll_interval(target: &Target, n: u32) -> Dur {
    let (first, most): (u32, u64) = match target {
        // GetChange shares Route 53's account-wide bucket of 50 requests, 10 a second.
        Target::Change { .. } | Target::Records { .. } => (1_000, 5_000),
        Target::Database(_) | Target::Fence { .. } => (1_000, 10_000),
        Target::Group(_) => (1_000, 10_000),
        Target::Wrote { .. } | Target::Guard { .. } | Target::Identity { .. } => (500, 5_000),
        Target::Command { .. } => (200, 2_000),
    };
    let factor = 1.5_f64.powi(i32::try_from(n.min(20)).unwrap_or(20));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 200 and 10,000")]
    let wait = ((f64::from(first) * factor) as u64).min(most);
    Dur(wait)
}
