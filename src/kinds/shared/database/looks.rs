//! What a run waits for at a database before and after changing it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::effects::has_no_such_effect;
use crate::kinds::facts::Fact;
use crate::kinds::judged::{Judged, Progress, Store};
use crate::kinds::op::{Op, at_its_database, only_observes};
use crate::kinds::shared::database::calls::{look, sql};
use crate::kinds::shared::database::server::{DatabaseRef, DatabaseState};
use crate::kinds::shared::rebuild::Diverged;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::Call;
use crate::model::estimate::Estimate;
use crate::model::properties::{LOOKS, Properties};
use crate::model::time::Dur;

/// Statuses of a replica that somebody may be promoting.
const CHANGING: [&str; 4] = ["modifying", "failing-over", "switching-over", "cancelling"];

/// The replica can be promoted: it replays, is available and is not being backed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Promotable {
    /// The replica.
    pub db: DatabaseRef,
}

/// The service accepts changes of the instance: no other change is in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Available {
    /// The instance.
    pub db: DatabaseRef,
}

/// The replica has replayed everything that the fenced old primary wrote, so nothing can be lost any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaughtUp {
    /// The replica.
    pub db: DatabaseRef,
}

/// It follows the other server. The service does that by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Follows {
    /// The old primary.
    pub db: DatabaseRef,
    /// The server that it follows.
    pub source: DatabaseRef,
}

has_no_such_effect!(Promotable);

impl Op for Promotable {
    fn properties(&self) -> Properties {
        Properties { safety: true, ..LOOKS }
    }

    at_its_database!();

    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        let State::Database(seen) = seen else { return Judged::other() };
        let id = &self.db.id;
        match seen.is_replica() {
            true if of.finished => {
                Judged::Settled(format!("{id} is now a replica and does not take the writes"))
            }
            false if of.finished => Judged::Done(Vec::new()),
            // A promotion by hand shows as `modifying` for minutes before the replica shows as a writer.
            true if of.unwinds && CHANGING.contains(&seen.status.as_str()) => {
                Judged::Unclear(format!("the replica is `{}`", seen.status))
            }
            true if of.unwinds => Judged::Done(Vec::new()),
            false if of.unwinds => Judged::Promoted,
            // A planned move stops writes only for a standby that is streaming.
            true if of.planned && seen.streaming != Some(true) => {
                Judged::Unclear(format!("{id} does not stream, or does not replay the WAL that it receives"))
            }
            _ => promotable(seen),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    only_observes!();

    /// A replica with the status `backing-up` cannot be promoted until the backup ends, whose duration depends on the changes since the
    /// last one (Amazon RDS API Reference, `PromoteReadReplica`).
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(2), Dur::mins(60))
    }

    fn calls(&self) -> Vec<Call> {
        vec![look(&self.db)]
    }
}

impl fmt::Display for Promotable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check that {} can be promoted", self.db.id)
    }
}

fn promotable(db: &DatabaseState) -> Judged {
    match (db.is_replica(), db.status.as_str()) {
        (false, _) | (true, "available") => Judged::Done(Vec::new()),
        // AWS refuses a promotion during a backup, which ends by itself.
        (true, status) => Judged::Unclear(format!("the replica is `{status}`")),
    }
}

has_no_such_effect!(Available);

impl Op for Available {
    fn properties(&self) -> Properties {
        LOOKS
    }

    at_its_database!();

    /// A backup, for example, ends by itself. Until then, RDS accepts no changes.
    fn judge(&self, seen: &State, _: &Progress<'_>) -> Judged {
        match seen {
            State::Database(seen) if seen.status == "available" => Judged::Done(Vec::new()),
            State::Database(seen) => Judged::Unclear(format!("{} is `{}`", self.db.id, seen.status)),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    only_observes!();

    /// The duration of a backup depends on the amount of changes. Users are served during it.
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(2), Dur::mins(6 * 60))
    }

    fn calls(&self) -> Vec<Call> {
        vec![look(&self.db)]
    }
}

impl fmt::Display for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wait until no change of {} is in progress", self.db.id)
    }
}

has_no_such_effect!(CaughtUp);

impl Op for CaughtUp {
    fn properties(&self) -> Properties {
        Properties { safety: true, ..LOOKS }
    }

    at_its_database!();

    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        match seen {
            State::Database(seen) => caught_up(&of.store, seen),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    only_observes!();

    /// Writes are stopped during this, so if it takes longer, the move is given up.
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(2), Dur::mins(2))
    }

    fn calls(&self) -> Vec<Call> {
        vec![sql(
            &self.db,
            false,
            "SELECT pg_last_wal_replay_lsn()   -- until it is not below SELECT pg_current_wal_insert_lsn() on the fenced primary",
        )]
    }
}

impl fmt::Display for CaughtUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wait until {} has everything that the old primary wrote", self.db.id)
    }
}

/// Zero loss requires that a position was reached; a lag of zero is not enough. The fence's word must have arrived as well, or the replica
/// follows another server with the same name.
fn caught_up(store: &Store<'_>, replica: &DatabaseState) -> Judged {
    let (Some(end), Some(word)) = (store.fenced_end, store.fence_token) else {
        let why = "the end of the old primary's WAL is unknown; only the SQL fence reads it";
        return Judged::Wrong(why.to_owned());
    };
    let Some(there) = replica.wal else {
        return Judged::Unclear("the position of the replica is unknown".to_owned());
    };
    match (there.covers(&end), replica.fence_token.as_deref() == Some(word)) {
        (true, true) => Judged::Done(Vec::new()),
        (true, false) => Judged::Unclear(format!(
            "the replica is at {there}, but the fence of the old primary never reached it. It may be a replica of another server"
        )),
        (false, _) => Judged::Unclear(format!(
            "the WAL of the fenced old primary ends at {end}; the replica is at {there}"
        )),
    }
}

has_no_such_effect!(Follows);

impl Op for Follows {
    fn properties(&self) -> Properties {
        LOOKS
    }

    at_its_database!();

    /// It is a secondary of that writer and receives its writes.
    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        let State::Database(seen) = seen else { return Judged::other() };
        let (db, source) = (&self.db, &self.source);
        if !seen.follows_source(db.engine, source) || seen.streaming != Some(true) {
            return Judged::Unclear(format!(
                "{} is `{}` and is not a secondary of {} yet",
                db.id, seen.status, source.id
            ));
        }
        // Aurora rebuilds the storage from the new writer's, and keeps a snapshot of the old data (Amazon Aurora User Guide, «Performing
        // managed failovers»).
        let kept = format!("snapshot rds:unplanned-global-failover-{}-.. in {}", db.id, db.place.region);
        let whole = of.store.promoted;
        let diverged = (!whole).then_some(Diverged {
            transactions: None,
            fork: None,
            first: None,
            last: None,
            kept,
            tables: Vec::new(),
            more: None,
        });
        Judged::Done(vec![Fact::Rejoined {
            component: db.component.clone(),
            server: db.id.clone(),
            diverged,
        }])
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    only_observes!();

    /// Aurora discards what only the old writer had, and compares the rest. AWS publishes no figure.
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::mins(10), Dur::mins(24 * 60))
    }

    fn calls(&self) -> Vec<Call> {
        vec![look(&self.db)]
    }
}

impl fmt::Display for Follows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wait until the service has made {} a secondary of {}", self.db.id, self.source.id)
    }
}
