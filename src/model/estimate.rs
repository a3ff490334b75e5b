//! How long actions take: expected, and at worst. Provider figures are theirs where they publish any; `history` will replace them.

use serde::{Deserialize, Serialize};

use schemars::JsonSchema;

use super::action::{Action, Check, FenceMethod, Gate};
use super::restore::{Part, Restore};
use super::target::Engine;
use super::time::Dur;

/// Expected and worst duration of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// In most runs.
    pub expected_ms: Dur,
    /// The step's timeout: after it the step has failed.
    pub timeout_ms: Dur,
}

/// Bytes a second at which a backup is fetched where none was yet: what one stream of a disk or an object store gives.
const FETCHED_PER_S: u64 = 100 << 20;
/// Bytes a second at which log is replayed, counted, or pages are checked. PostgreSQL publishes none; replay is one process.
const READ_PER_S: u64 = 50 << 20;

/// AWS publishes none for what it takes to make an instance from backups, whatever their size: it reads them when they are asked for.
const NEW_INSTANCE: Dur = Dur::mins(20);

/// How long a part of a restore takes by the bytes that it has to read.
fn restore(part: Part, of: &Restore) -> Dur {
    let bytes = of.backup.as_ref().map_or(0, |b| b.bytes);
    let log = of.replay_bytes.unwrap_or(0);
    let rate = of.rates.map_or(FETCHED_PER_S, |r| r.fetched_per_s.max(1));
    if of.instance().is_some() {
        return match part {
            Part::Beside => NEW_INSTANCE,
            Part::Verify => Dur::secs(5 + bytes / READ_PER_S),
            Part::Loss => Dur::secs(10),
            // AWS publishes neither a renaming's time nor a deletion's.
            Part::Swap | Part::PutBack => Dur::mins(2),
            Part::Destroy => Dur::mins(5),
        };
    }
    match part {
        Part::Beside => Dur::secs(10 + bytes / rate + log / READ_PER_S),
        Part::Verify => Dur::secs(5 + bytes / READ_PER_S),
        Part::Loss => Dur::secs(2 + log / READ_PER_S),
        // Two names are changed, a server stops and another one starts.
        Part::Swap | Part::PutBack => Dur::secs(20),
        Part::Destroy => Dur::secs(5),
    }
}

impl Estimate {
    const fn new(expected_ms: Dur, timeout_ms: Dur) -> Self {
        Self { expected_ms, timeout_ms }
    }

    /// For an action with nothing of its own to say in the plan.
    ///
    /// Sources: promotion takes "several minutes or longer" and reboots (AWS, Amazon RDS User Guide, «Promoting a read
    /// replica»); changes are INSYNC generally within 60 seconds (AWS, Route 53 Developer Guide). AWS publishes no figure for
    /// Auto Scaling: 180 s is what launch, boot and one health check interval commonly add up to.
    pub fn of(action: &Action) -> Self {
        match action {
            Action::Check(Check::Evidence { .. }) => Self::new(Dur::secs(3), Dur::secs(30)),
            Action::Check(Check::Compare(_)) => Self::new(Dur::secs(5), Dur::mins(2)),
            Action::Check(Check::Probe { consecutive, .. }) => {
                Self::new(Dur::secs(5 * u64::from(*consecutive)), Dur::mins(5))
            }
            // A replica that is backed up cannot be promoted until the backup ends.
            Action::Check(Check::Promotable { .. }) => Self::new(Dur::secs(2), Dur::mins(60)),
            // A backup takes as long as it takes, and users are served meanwhile.
            Action::Check(Check::Available { .. }) => Self::new(Dur::secs(2), Dur::mins(6 * 60)),
            // Writes wait meanwhile: what takes longer is for another day.
            Action::Check(Check::CaughtUp { .. }) => Self::new(Dur::secs(2), Dur::mins(2)),
            // A health check asks every 10 or 30 s, and changes its mind after as many answers as it is told, 10 at most (Amazon Route 53
            // API Reference, `HealthCheckConfig`).
            Action::Check(Check::Answers { resolvers_ttl_ms: None, .. }) => {
                Self::new(Dur::secs(90), Dur::mins(10))
            }
            Action::Check(Check::Answers { resolvers_ttl_ms: Some(ttl), .. }) => {
                Self::new(*ttl, ttl.plus(Dur::mins(2)))
            }
            // What the old writer had and the new one lacks is thrown away, and the rest compared: AWS publishes no figure.
            Action::Check(Check::Follows { .. }) => Self::new(Dur::mins(10), Dur::mins(24 * 60)),
            Action::Check(_) => Self::new(Dur::secs(2), Dur::secs(60)),
            // Groups become active within about a minute, and a reboot takes one or two (AWS publishes neither).
            Action::Fence(f) if f.method == FenceMethod::SecurityGroup => {
                Self::new(Dur::secs(90), Dur::mins(5))
            }
            Action::Fence(_) | Action::Unfence(_) => Self::new(Dur::secs(15), Dur::secs(60)),
            // The server ends its recovery where it is; what is left to be replayed takes as long as it takes.
            Action::Promote { db, .. } if db.engine == Engine::Postgres => {
                Self::new(Dur::secs(5), Dur::mins(10))
            }
            // AWS publishes neither; a replica in another region is a snapshot copied there, and restored.
            Action::Rename { .. } => Self::new(Dur::mins(2), Dur::mins(30)),
            Action::Rejoin { db, .. } if db.engine == Engine::Rds => {
                Self::new(Dur::mins(40), Dur::mins(24 * 60))
            }
            // As long as copying the differences, or all of it, takes.
            Action::Rejoin { .. } => Self::new(Dur::mins(2), Dur::mins(24 * 60)),
            // AWS publishes no figure for an instance of a cluster; storage is there already.
            Action::Equip { .. } => Self::new(Dur::mins(8), Dur::mins(30)),
            Action::Withdraw { .. } => Self::new(Dur::secs(10), Dur::mins(2)),
            Action::Promote { .. } => Self::new(Dur::mins(3), Dur::mins(10)),
            // Users wait for it.
            Action::Restore { part: Part::Swap, of } if of.instance().is_some() => {
                Self::new(restore(Part::Swap, of), Dur::mins(30))
            }
            Action::Restore { part, of } => Self::new(restore(*part, of), Dur::mins(48 * 60)),
            Action::Scale(s) if s.to.desired == s.from.desired => Self::new(Dur::secs(5), Dur::mins(10)),
            Action::Scale(_) => Self::new(Dur::mins(3), Dur::mins(10)),
            Action::Signal(_) | Action::Point(_) => Self::new(Dur::secs(2), Dur::mins(2)),
            // A safety rule may want time between two changes.
            Action::Route(_) => Self::new(Dur::secs(2), Dur::mins(10)),
            Action::Switch(_) => Self::new(Dur::secs(35), Dur::mins(5)),
            Action::Write(_) => Self::new(Dur::secs(2), Dur::secs(60)),
            Action::Run(_) => Self::new(Dur::secs(30), Dur::mins(5)),
            Action::Gate(Gate::Approval { expires_after_ms, .. }) => {
                Self::new(Dur::mins(2), *expires_after_ms)
            }
            Action::Gate(_) => Self::new(Dur::ZERO, Dur::ZERO),
            Action::Wait { duration_ms, .. } => Self::new(*duration_ms, *duration_ms),
        }
    }
}
