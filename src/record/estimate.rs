//! How long actions take: expected, and at worst. Provider figures are theirs where they publish any, and the page stands beside each;
//! where none is published that is said. What was measured in runs before takes their place ([`crate::report::history`]).

use crate::kinds::Op;
use crate::model::estimate::Estimate;
use crate::model::time::Dur;
use crate::record::action::{Action, Check, Gate, operation};

/// For an action with nothing of its own to say in the plan.
///
/// The source of each stands beside it. Where there is none drctl's own limit is what a look, a connection and a few repeats take.
pub fn estimate(action: &Action) -> Estimate {
    operation!(action, op => op.estimate(),
        Action::Check(check) => of_check(check),
        Action::Write(_) => Estimate::new(Dur::secs(2), Dur::secs(60)),
        Action::Run(_) => Estimate::new(Dur::secs(30), Dur::mins(5)),
        Action::Gate(Gate::Approval { expires_after_ms, .. }) => {
            Estimate::new(Dur::mins(2), *expires_after_ms)
        }
        Action::Gate(_) => Estimate::new(Dur::ZERO, Dur::ZERO),
        Action::Wait { duration_ms, .. } => Estimate::new(*duration_ms, *duration_ms))
}

fn of_check(check: &Check) -> Estimate {
    match check {
        // A look ends within its own time limits; the second half is for what is throttled.
        Check::Evidence { .. } => Estimate::new(Dur::secs(3), Dur::secs(30)),
        Check::Compare(_) => Estimate::new(Dur::secs(5), Dur::mins(2)),
        Check::Probe { consecutive, .. } => {
            Estimate::new(Dur::secs(5 * u64::from(*consecutive)), Dur::mins(5))
        }
        // A replica that is `backing-up` cannot be promoted until the backup ends, which takes as long as there were changes since the
        // last one (Amazon RDS API Reference, `PromoteReadReplica`).
        Check::Promotable { .. } => Estimate::new(Dur::secs(2), Dur::mins(60)),
        // Such a backup, and users are served meanwhile.
        Check::Available { .. } => Estimate::new(Dur::secs(2), Dur::mins(6 * 60)),
        // Writes wait meanwhile: what takes longer is for another day.
        Check::CaughtUp { .. } => Estimate::new(Dur::secs(2), Dur::mins(2)),
        // A health check requests every 10 or 30 s, and changes its state after the configured number of results, at most 10 (Amazon
        // Route 53 API Reference, `HealthCheckConfig`).
        Check::Answers { resolvers_ttl_ms: None, .. } => Estimate::new(Dur::secs(90), Dur::mins(10)),
        Check::Answers { resolvers_ttl_ms: Some(ttl), .. } => Estimate::new(*ttl, ttl.plus(Dur::mins(2))),
        // What the old writer had and the new one lacks is thrown away, and the rest compared: AWS publishes no figure.
        Check::Follows { .. } => Estimate::new(Dur::mins(10), Dur::mins(24 * 60)),
        _ => Estimate::new(Dur::secs(2), Dur::secs(60)),
    }
}
