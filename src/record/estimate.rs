//! How long actions take: expected, and at worst. Provider figures are theirs where they publish any, and the page stands beside each;
//! where none is published that is said. What was measured in runs before takes their place ([`crate::report::history`]).

use crate::kinds::Op;
use crate::kinds::aws::rds::NEW_NAME;
use crate::kinds::shared::database::Engine;
use crate::kinds::shared::fence::{FenceMethod, Unfence};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::{Part, Restore, RestoreStep};
use crate::model::estimate::Estimate;
use crate::model::time::Dur;
use crate::record::action::{Action, Check, Gate};

/// Bytes a second at which a backup is fetched where none was yet: what one stream of a disk or an object store gives.
const FETCHED_PER_S: u64 = 100 << 20;
/// Bytes a second at which log is replayed, counted, or pages are checked. PostgreSQL publishes none; replay is one process.
const READ_PER_S: u64 = 50 << 20;

/// AWS publishes none for what it takes to make an instance from backups, whatever their size: it reads them when they are asked for
/// (Amazon RDS User Guide, «Restoring a DB instance to a specified time»).
const NEW_INSTANCE: Dur = Dur::mins(20);

/// How long a part of a restore takes by the bytes that it has to read.
fn restore(part: Part, of: &Restore) -> Dur {
    let bytes = of.backup.as_ref().map_or(0, |b| b.bytes);
    let log = of.replay_bytes.unwrap_or(0);
    let rate = of.rates.map_or(FETCHED_PER_S, |r| r.fetched_per_s.max(1));
    if of.instance().is_some() {
        return match part {
            Part::CreateCopy => NEW_INSTANCE,
            Part::Verify => Dur::secs(5 + bytes / READ_PER_S),
            Part::Loss => Dur::secs(10),
            // Two renamings, one after the other: each needs the name that the one before it frees.
            Part::Swap | Part::Revert => NEW_NAME.plus(NEW_NAME),
            // AWS publishes none for a deletion without a last snapshot.
            Part::Destroy => Dur::mins(5),
        };
    }
    match part {
        Part::CreateCopy => Dur::secs(10 + bytes / rate + log / READ_PER_S),
        Part::Verify => Dur::secs(5 + bytes / READ_PER_S),
        Part::Loss => Dur::secs(2 + log / READ_PER_S),
        // Two names are changed, a server stops and another one starts.
        Part::Swap | Part::Revert => Dur::secs(20),
        Part::Destroy => Dur::secs(5),
    }
}

/// For an action with nothing of its own to say in the plan.
///
/// The source of each stands beside it. Where there is none drctl's own limit is what a look, a connection and a few repeats take.
pub fn estimate(action: &Action) -> Estimate {
    match action {
        Action::Check(check) => of_check(check),
        // Groups become active within about a minute, and a reboot takes one or two. AWS publishes neither: how long a reboot takes depends
        // on the recovery of the database (Amazon RDS User Guide, «Rebooting a DB instance»).
        Action::Fence(f) if f.method == FenceMethod::SecurityGroup => {
            Estimate::new(Dur::secs(90), Dur::mins(5))
        }
        // A server ends its sessions and writes a checkpoint first.
        Action::Fence(f) | Action::Unfence(Unfence(f)) if f.method == FenceMethod::Stop => {
            Estimate::new(Dur::secs(30), Dur::mins(6))
        }
        Action::Fence(_) | Action::Unfence(_) => Estimate::new(Dur::secs(15), Dur::secs(60)),
        // The server ends its recovery at its current position. Replaying the remaining WAL takes as long as it takes (PostgreSQL,
        // `pg_promote`, waits 60 s by default).
        Action::Promote(Promote { db, .. }) if db.engine == Engine::Postgres => {
            Estimate::new(Dur::secs(5), Dur::mins(10))
        }
        // A call whose answer was lost is made again once, after as long as a renaming may show nothing.
        Action::Rename(_) => Estimate::new(NEW_NAME, Dur::mins(60)),
        // A replica in another region is a snapshot copied there, and restored: it can take hours (Amazon RDS User Guide, «Creating a
        // read replica in a different AWS Region»). No figure is published.
        Action::Rejoin(Rejoin { db, .. }) if db.engine == Engine::Rds => {
            Estimate::new(Dur::mins(40), Dur::mins(24 * 60))
        }
        // As long as copying the differences, or all of it, takes.
        Action::Rejoin(_) => Estimate::new(Dur::mins(2), Dur::mins(24 * 60)),
        // AWS publishes no figure for an instance of a cluster; storage is there already.
        Action::AddClusterInstance(_) => Estimate::new(Dur::mins(8), Dur::mins(30)),
        Action::Withdraw(_) => Estimate::new(Dur::secs(10), Dur::mins(2)),
        // «Several minutes or longer», by the size of the replica, with a reboot (Amazon RDS User Guide, «Promoting a read replica to be a
        // standalone DB instance»); of a global database «in the order of minutes» (Amazon Aurora User Guide, «Using switchover or failover
        // in an Amazon Aurora global database»). It may take longer than this: then that is said, and it is waited for.
        Action::Promote(_) => Estimate::new(Dur::mins(3), Dur::mins(10)),
        // Users wait for it.
        Action::Restore(RestoreStep { part: Part::Swap, of }) if of.instance().is_some() => {
            Estimate::new(restore(Part::Swap, of), Dur::mins(90))
        }
        Action::Restore(RestoreStep { part, of }) => Estimate::new(restore(*part, of), Dur::mins(48 * 60)),
        Action::Scale(op) => op.estimate(),
        Action::Switch(op) => op.estimate(),
        Action::SetHealthObject(op) => op.estimate(),
        Action::SetRoutingControls(op) => op.estimate(),
        Action::UpdateClientSecret(op) => op.estimate(),
        Action::Write(_) => Estimate::new(Dur::secs(2), Dur::secs(60)),
        Action::Run(_) => Estimate::new(Dur::secs(30), Dur::mins(5)),
        Action::Gate(Gate::Approval { expires_after_ms, .. }) => {
            Estimate::new(Dur::mins(2), *expires_after_ms)
        }
        Action::Gate(_) => Estimate::new(Dur::ZERO, Dur::ZERO),
        Action::Wait { duration_ms, .. } => Estimate::new(*duration_ms, *duration_ms),
    }
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
