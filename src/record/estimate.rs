//! How long actions take: expected, and at worst. Provider figures are theirs where they publish any, and the page stands beside each;
//! where none is published that is said. What was measured in runs before takes their place ([`crate::report::history`]).

use crate::kinds::Op as _;
use crate::model::estimate::Estimate;
use crate::model::time::Dur;
use crate::record::action::{Action, Check, Gate};

/// For an action with nothing of its own to say in the plan.
///
/// The source of each stands beside it. Where there is none drctl's own limit is what a look, a connection and a few repeats take.
pub fn estimate(action: &Action) -> Estimate {
    match action {
        Action::Op(op) => op.estimate(),
        // A look ends within its own time limits; the second half is for what is throttled.
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
