//! The expected and worst durations of actions. Published figures of providers are used where there are any, with their page; otherwise the
//! source says so. Measurements of earlier runs replace them ([`crate::report::history`]).

use crate::kinds::Op as _;
use crate::model::estimate::Estimate;
use crate::model::time::Dur;
use crate::record::action::{Action, Check, Gate};

/// The estimate for an action without a figure in the plan.
///
/// Each has its source beside it. Without a source, the limit is drctl's own: enough for an observation, a connection and a few retries.
pub fn estimate(action: &Action) -> Estimate {
    match action {
        Action::Op(op) => op.estimate(),
        // An observation ends within its own timeouts; the second half is for throttled ones.
        Action::Check(Check::Evidence { .. }) => Estimate::new(Dur::secs(3), Dur::secs(30)),
        Action::Check(Check::Probe { consecutive, .. }) => {
            Estimate::new(Dur::secs(5 * u64::from(*consecutive)), Dur::mins(5))
        }
        Action::Check(Check::Identity { .. } | Check::Guard { .. } | Check::Exposure { .. }) => {
            Estimate::new(Dur::secs(2), Dur::secs(60))
        }
        Action::Write(_) => Estimate::new(Dur::secs(2), Dur::secs(60)),
        Action::Gate(Gate::Approval { expires_after_ms, .. }) => {
            Estimate::new(Dur::mins(2), *expires_after_ms)
        }
        Action::Gate(_) => Estimate::new(Dur::ZERO, Dur::ZERO),
        Action::Wait { duration_ms, .. } => Estimate::new(*duration_ms, *duration_ms),
    }
}
