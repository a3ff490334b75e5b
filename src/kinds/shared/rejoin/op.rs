//! A new standby as an operation.

use std::convert::Infallible;

use super::{NewReplica, Rejoin};
use crate::kinds::aws::rds::calls;
use crate::kinds::aws::rds::published::SERVING;
use crate::kinds::effects::has_no_such_effect;
use crate::kinds::facts::Fact;
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, made_as_a_whole};
use crate::kinds::shared::database::calls::look;
use crate::kinds::shared::database::server::{DatabaseRef, DatabaseRole, DatabaseState, Engine};
use crate::kinds::shared::rebuild::{Diverged, JobStage, RebuildState};
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::{Call, by_hand, quoted};
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{Consent, InDoubt, Late, Properties, QUIET, Undo};
use crate::model::time::Dur;

/// How old an observation of an instance may be after its rename. Own choice: AWS publishes no figure.
const RENAMED: Dur = Dur::mins(2);

has_no_such_effect!(Rejoin);

impl Op for Rejoin {
    type Back = Infallible;

    fn properties(&self) -> Properties {
        Properties { consent: Consent::Always, grave: true, ..QUIET }
    }

    fn undo(&self) -> Undo<Infallible> {
        Undo::PointOfNoReturn {
            because: "drctl sets aside what only that server has, and makes it a standby of the other one",
        }
    }

    /// RDS refuses a second replica with the same name, and an observation shows the first one sooner. A host runs a job only once.
    fn in_doubt(&self) -> InDoubt {
        match self.db.engine {
            Engine::Rds => InDoubt::ObserveAfter(Dur::mins(1)),
            Engine::Aurora | Engine::Postgres => InDoubt::Repeat,
        }
    }

    /// A job on a host runs to its end.
    fn late(&self) -> Late {
        if self.replica.is_none() { Late::RunsOn } else { Late::Settles }
    }

    fn left_out(&self) -> Option<String> {
        Some("continues without that standby; the new server then has none".to_owned())
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.db.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        Some(&self.db)
    }

    fn watch(&self, called: &Called<'_>) -> Target {
        match self.db.engine {
            Engine::Rds => Target::Database(self.db.clone()),
            Engine::Aurora | Engine::Postgres => {
                Target::Rebuild { db: self.db.clone(), key: called.key.to_owned() }
            }
        }
    }

    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        match (seen, &self.replica) {
            (State::Rebuild(seen), _) => rejoined(&self.db, &self.source, seen),
            (State::Database(seen), Some(replica)) => created(&self.db, replica, seen, of),
            _ => Judged::other(),
        }
    }

    /// It watches the new replica.
    fn absent(&self, _: &Target, _: &Progress<'_>) -> Judged {
        Judged::Before
    }

    made_as_a_whole!();

    /// A replica in another region is a snapshot that is copied there and restored, which can take hours (Amazon RDS User Guide, «Creating
    /// a read replica in a different AWS Region»). No figure is published. On a host it takes as long as copying the differences, or all
    /// data.
    fn estimate(&self) -> Estimate {
        match self.db.engine {
            Engine::Rds => Estimate::new(Dur::mins(40), Dur::mins(24 * 60)),
            Engine::Aurora | Engine::Postgres => Estimate::new(Dur::mins(2), Dur::mins(24 * 60)),
        }
    }

    fn calls(&self) -> Vec<Call> {
        let call = match &self.replica {
            Some(replica) => calls::create_replica(&self.db, replica),
            None => rejoin_call(&self.db, &self.source, &self.reconcile),
        };
        vec![call, look(&self.db)]
    }

    fn changes(&self) -> Vec<Change> {
        let of = |replica: &NewReplica| {
            let resource = format!("aws_db_instance {}", self.db.id);
            let (place, source) = (&self.db.place.name, replica.source_arn.clone());
            Change::new(place, &resource, "replicate_source_db", "empty".to_owned(), source)
        };
        self.replica.iter().map(|replica| of(replica)).collect()
    }
}

/// Done if it streams from the server to follow, whatever the job on its host reports.
fn rejoined(db: &DatabaseRef, source: &DatabaseRef, seen: &RebuildState) -> Judged {
    let follows = |s: &DatabaseState| {
        let there = source.endpoint.as_deref().map(|e| e.split('/').next().unwrap_or(e));
        s.is_replica() && s.streaming == Some(true) && (s.follows.is_none() || s.follows.as_deref() == there)
    };
    if seen.server.as_ref().is_some_and(follows) {
        return Judged::Done(vec![Fact::Rejoined {
            component: db.component.clone(),
            server: db.id.clone(),
            diverged: seen.diverged.clone(),
        }]);
    }
    let last = seen.tail.lines().last().unwrap_or_default();
    match seen.stage {
        JobStage::None | JobStage::Gone => Judged::Before,
        JobStage::Running => Judged::Unclear(format!("on its host: {last}")),
        JobStage::Ended { exit: 0 } => Judged::Unclear(format!("{last}; it does not stream yet")),
        JobStage::Ended { exit } => {
            Judged::Over(format!("the job on its host ended with exit code {exit}: {}", seen.tail))
        }
        JobStage::Unseen => Judged::Unclear(format!("the host of {} does not answer: {last}", db.id)),
    }
}

/// Done if it is a read replica of that source, and no other instance with the same name.
fn created(db: &DatabaseRef, replica: &NewReplica, seen: &DatabaseState, of: &Progress<'_>) -> Judged {
    let of_source = match &seen.role {
        // An ID within a region, or an ARN across regions.
        DatabaseRole::Replica { source } => {
            *source == replica.source_arn || replica.source_arn.ends_with(&format!(":{source}"))
        }
        // Its source is set while it is created.
        DatabaseRole::Writer => seen.status == "creating",
    };
    if !of_source && !of.waited(RENAMED) {
        // Right after the rename, the old instance may still be visible under its old name.
        return Judged::Unclear(format!("{} is still the renamed instance, or a different one", db.id));
    }
    if !of_source {
        let why = format!("{} exists but is not a read replica of {}", db.id, replica.source_arn);
        return Judged::Wrong(why);
    }
    if !SERVING.contains(&seen.status.as_str()) || !seen.is_replica() {
        return Judged::Unclear(format!("the replica is `{}`", seen.status));
    }
    // If this run promoted the source without any loss, the renamed instance has nothing that the source lacks.
    let kept = |to| format!("DB instance {to} in {}", db.place.region);
    let diverged = of.store.aside.filter(|_| !of.store.promoted).map(|to| Diverged {
        transactions: None,
        fork: None,
        first: None,
        last: None,
        kept: kept(to),
        tables: Vec::new(),
        more: None,
    });
    Judged::Done(vec![Fact::Rejoined { component: db.component.clone(), server: db.id.clone(), diverged }])
}

fn rejoin_call(db: &DatabaseRef, source: &DatabaseRef, reconcile: &[String]) -> Call {
    let (run, data) = db.host.as_ref().map_or_else(Default::default, |h| {
        (h.run.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(" "), h.data.clone())
    });
    let export = match reconcile {
        [] => String::new(),
        tables => format!(", and export its rows of {}", tables.join(", ")),
    };
    let text = format!(
        "on its host ({run} sh): stop; keep the log of what only it has{export}; pg_rewind -D {} --source-server <{}>, else pg_basebackup beside it; standby.signal, primary_conninfo, primary_slot_name; start",
        quoted(&data),
        source.id
    );
    by_hand(("host", "rejoin"), &db.place.name, true, &text)
}
