//! Promotions and their withdrawal as operations.

use std::convert::Infallible;

use super::{Handover, Promote, Takeover, Withdraw};
use crate::kinds::aws::aurora::calls::takeover;
use crate::kinds::aws::rds::calls;
use crate::kinds::aws::rds::published::SERVING;
use crate::kinds::effects::has_no_such_effect;
use crate::kinds::judged::{Judged, Progress};
use crate::kinds::op::{Op, at_its_database, made_as_a_whole};
use crate::kinds::shared::database::calls::{look, sql};
use crate::kinds::shared::database::server::{DatabaseState, Engine};
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::{Call, by_hand, quoted};
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::properties::{InDoubt, Late, Properties, QUIET, STRICT, Undo};
use crate::model::time::Dur;

has_no_such_effect!(Promote);

impl Op for Promote {
    type Back = Infallible;

    fn properties(&self) -> Properties {
        STRICT
    }

    fn undo(&self) -> Undo<Infallible> {
        Undo::PointOfNoReturn {
            because: "a promoted replica has its own history; to return, run drctl failback",
        }
    }

    /// The status stays `available` for a while after the call was accepted, so an earlier observation proves nothing.
    fn in_doubt(&self) -> InDoubt {
        InDoubt::ObserveAfter(Dur::secs(60))
    }

    /// A standby that accepted a promotion ends its recovery only after its WAL receiver has ended, which may hang for any length of time
    /// (PostgreSQL, `ShutdownWalRcv` in `walreceiverfuncs.c`).
    fn late(&self) -> Late {
        match self.db.engine {
            Engine::Postgres => Late::Outlasts,
            Engine::Rds | Engine::Aurora => Late::Settles,
        }
    }

    fn left_out(&self) -> Option<String> {
        None
    }

    at_its_database!();

    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        match seen {
            State::Database(seen) if reverted(self.takeover.as_deref(), seen, of) => {
                let why = "the service reverted the switchover: one minute after it accepted the request, the state is the same as before";
                Judged::Wrong(format!("{why}; its events say why (aws rds describe-events)"))
            }
            State::Database(seen) => promoted(seen),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole!();

    /// For PostgreSQL, the server ends its recovery after it has replayed the remaining WAL, which may take any length of time
    /// (`pg_promote` waits 60 s by default). For RDS: «several minutes or longer», by the size of the replica, with a reboot (Amazon RDS
    /// User Guide, «Promoting a read replica to be a standalone DB instance»). For a global database: «in the order of minutes» (Amazon
    /// Aurora User Guide, «Using switchover or failover in an Amazon Aurora global database»). If it takes longer, drctl reports that and
    /// keeps waiting.
    fn estimate(&self) -> Estimate {
        match self.db.engine {
            Engine::Postgres => Estimate::new(Dur::secs(5), Dur::mins(10)),
            Engine::Rds | Engine::Aurora => Estimate::new(Dur::mins(3), Dur::mins(10)),
        }
    }

    fn calls(&self) -> Vec<Call> {
        let db = &self.db;
        if db.engine == Engine::Postgres {
            return vec![sql(db, true, "SELECT pg_promote(false)"), look(db)];
        }
        if let Some(how) = &self.takeover {
            return vec![takeover(how), look(db)];
        }
        let days = self.backup_days.map_or_else(String::new, |d| format!(" --backup-retention-period {d}"));
        let text = format!(
            "aws rds promote-read-replica --region {} --db-instance-identifier {}{days}",
            quoted(&db.place.region),
            quoted(&db.id)
        );
        vec![calls::about(db, "rds", "PromoteReadReplica", true, text), look(db)]
    }

    fn changes(&self) -> Vec<Change> {
        let db = &self.db;
        let change = |resource: &str, attribute: &str, before: &str, after: String| {
            Change::new(&db.place.name, resource, attribute, before.to_owned(), after)
        };
        if let Some(how) = &self.takeover {
            let resource = format!("aws_rds_global_cluster {}", how.global);
            let (before, after) = (format!("writer is not {}", db.id), format!("writer is {}", db.id));
            return vec![change(&resource, "global_cluster_members", &before, after)];
        }
        if db.engine == Engine::Postgres {
            return vec![change(&format!("database {}", db.id), "role", "standby", "primary".to_owned())];
        }
        let resource = format!("aws_db_instance {}", db.id);
        let source = change(&resource, "replicate_source_db", "set", "empty".to_owned());
        let days =
            |d: u32| change(&resource, "backup_retention_period", &format!("fewer than {d}"), d.to_string());
        std::iter::once(source).chain(self.backup_days.map(days)).collect()
    }
}

/// It has no source, and a status in which RDS serves. The status alone proves nothing, because it is `available` before `modifying` as
/// well.
fn promoted(db: &DatabaseState) -> Judged {
    match (db.is_replica(), db.status.as_str()) {
        (false, status) if SERVING.contains(&status) => Judged::Done(Vec::new()),
        (true, "available") => Judged::Before,
        (_, status) => Judged::Unclear(format!("the database is `{status}`")),
    }
}

/// Whether an accepted switchover has no visible effect after a minute. Every switchover causes an outage, so a person must request the
/// next one.
fn reverted(how: Option<&Takeover>, seen: &DatabaseState, of: &Progress<'_>) -> bool {
    let (Some(how), Some(answered_at)) = (how, of.answered_at) else { return false };
    let as_before = seen.is_replica() && seen.status == "available";
    how.by == Handover::Switchover && as_before && of.now >= answered_at + Dur::mins(1)
}

has_no_such_effect!(Withdraw);

impl Op for Withdraw {
    type Back = Infallible;

    fn properties(&self) -> Properties {
        QUIET
    }

    fn undo(&self) -> Undo<Infallible> {
        Undo::Nothing
    }

    fn in_doubt(&self) -> InDoubt {
        InDoubt::Repeat
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        None
    }

    at_its_database!();

    /// An observation cannot tell whether a standby was restarted. The withdrawal's own answer proves it.
    fn judge(&self, _: &State, _: &Progress<'_>) -> Judged {
        Judged::other()
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole!();

    /// An immediate stop writes no checkpoint. The start replays the WAL since the last one, which takes longest (PostgreSQL, «pg_ctl»).
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(10), Dur::mins(2))
    }

    /// Through its host: a server that starts has no pending request.
    fn calls(&self) -> Vec<Call> {
        let db = &self.db;
        let text = format!("on the host of {}: pg_ctl -m immediate stop, then pg_ctl start", db.id);
        vec![by_hand(("host", "withdraw"), &db.place.name, true, &text), look(db)]
    }

    /// A standby stays a standby.
    fn changes(&self) -> Vec<Change> {
        Vec::new()
    }
}
