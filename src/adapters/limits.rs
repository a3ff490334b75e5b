//! Polling intervals: short at first, then growing, and longer for changes that take minutes anyway.

use crate::kinds::Target;
use crate::model::time::Dur;

/// How long to wait before the first observation of a target. Some changes never complete immediately.
pub fn first_look(target: &Target) -> Dur {
    match target {
        // GetChange shares its request limit with the changes themselves, and INSYNC takes seconds at best.
        Target::Change { .. } => Dur::secs(4),
        _ => Dur::ZERO,
    }
}

/// Number of observations at the first interval, before it grows. One describe call covers every waiting step, so short intervals
/// cost only one call a second.
const QUICK_LOOKS: u32 = 45;
/// The share of one change in Route 53's limit of 10 requests a second, per change that is waited for.
const CHANGE_SHARE_MS: u64 = 125;

/// How long to wait before the `n`th observation of a target (from 0), while `siblings` targets of its poll group are waited for.
pub fn poll_interval(target: &Target, n: u32, siblings: usize) -> Dur {
    let (first, most) = target.pace();
    let first = match target {
        Target::Change { .. } => {
            let share = CHANGE_SHARE_MS * u64::try_from(siblings).unwrap_or(u64::MAX);
            share.clamp(first.millis(), most.millis())
        }
        _ => first.millis(),
    };
    let factor = 1.3_f64.powi(i32::try_from(n.saturating_sub(QUICK_LOOKS).min(20)).unwrap_or(20));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 200 and 30,000"
    )]
    let wait = (first as f64 * factor) as u64;
    Dur(wait).min(most)
}
