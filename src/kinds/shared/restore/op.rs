//! A part of a restore, as an operation.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::rds::published::{NEW_NAME, NEW_NAME_AT_WORST};
use crate::kinds::effects::has_no_such_effect;
use crate::kinds::facts::{Exposure, Fact};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, made_as_a_whole};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::rebuild::JobStage;
use crate::kinds::shared::restore::calls;
use crate::kinds::shared::restore::copy::{Restore, RestoreJob, RestoreState};
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::measure::{Basis, Figure};
use crate::model::place::Place;
use crate::model::plain::count;
use crate::model::properties::{Consent, Felt, InDoubt, Late, Properties, STRICT, Undo, UndoRank};
use crate::model::time::{Dur, Timestamp};

/// A part of a restore to a point in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreStep {
    /// The part.
    pub part: RestoreJob,
    /// The restore.
    pub of: Box<Restore>,
}

/// The assumed speed of fetching a backup if none was measured, in bytes a second: one stream from a disk or an object store.
const FETCHED_PER_S: u64 = 100 << 20;
/// The assumed speed of replaying WAL, counting, and checking pages, in bytes a second. PostgreSQL publishes none; replay is a single
/// process.
const READ_PER_S: u64 = 50 << 20;

/// AWS publishes no duration for creating an instance from backups. It does not depend on the size, because data is loaded when it is first
/// read (Amazon RDS User Guide, «Restoring a DB instance to a specified time»).
const NEW_INSTANCE: Dur = Dur::mins(20);

has_no_such_effect!(RestoreStep);

impl Op for RestoreStep {
    type Back = Self;

    fn properties(&self) -> Properties {
        // Users and their writes do not reach a copy.
        let beside = Properties {
            consent: Consent::Never,
            felt: Felt::Never,
            undo_rank: UndoRank::Copy,
            grave: false,
            ..STRICT
        };
        match self.part {
            RestoreJob::CreateCopy | RestoreJob::Verify | RestoreJob::Loss | RestoreJob::Destroy => beside,
            // From here on users reach the copy.
            RestoreJob::Swap => Properties { undo_rank: UndoRank::Traffic, ..STRICT },
            // It undoes what people agreed to, and cannot be undone.
            RestoreJob::Revert => Properties { felt: Felt::Always, grave: true, ..beside },
        }
    }

    fn undo(&self) -> Undo<Self> {
        let by = |part| Undo::By(Self { part, of: self.of.clone() });
        match self.part {
            RestoreJob::CreateCopy => by(RestoreJob::Destroy),
            // The job refuses if a row was written since, because the restored server is then the one that counts.
            RestoreJob::Swap => by(RestoreJob::Revert),
            RestoreJob::Verify | RestoreJob::Loss | RestoreJob::Revert | RestoreJob::Destroy => Undo::Nothing,
        }
    }

    /// Until a rename is done, the old name is visible; and nothing may be created or deleted twice. A host runs a job only once.
    fn in_doubt(&self) -> InDoubt {
        match (self.part, self.of.instance()) {
            (RestoreJob::Swap, Some(_)) => InDoubt::ObserveAfter(NEW_NAME_AT_WORST),
            (RestoreJob::CreateCopy | RestoreJob::Destroy, Some(_)) => InDoubt::ObserveAfter(Dur::mins(1)),
            (RestoreJob::Verify | RestoreJob::Loss | RestoreJob::Revert, Some(_)) | (_, None) => {
                InDoubt::Repeat
            }
        }
    }

    /// A job on a host runs to its end.
    fn late(&self) -> Late {
        if self.of.instance().is_none() { Late::RunsOn } else { Late::Settles }
    }

    fn left_out(&self) -> Option<String> {
        None
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.of.db.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        Some(&self.of.db)
    }

    fn watch(&self, called: &Called<'_>) -> Target {
        Target::Restore {
            db: self.of.db.clone(),
            part: self.part,
            key: called.key.to_owned(),
            copy: self.of.instance().map(|new| new.id.clone()),
        }
    }

    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        match seen {
            State::Restore(seen) => judge(self.part, &self.of, seen, of),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole!();

    /// Users wait for the swap: 90 minutes are twice the two renames at worst (`NEW_NAME_AT_WORST`), and some time for the checks between
    /// them. The other parts depend on the amount of data; two days are drctl's own limit, after which a person looks.
    fn estimate(&self) -> Estimate {
        let expected = expected(self.part, &self.of);
        match (self.part, self.of.instance()) {
            (RestoreJob::Swap, Some(_)) => Estimate::new(expected, Dur::mins(90)),
            _ => Estimate::new(expected, Dur::mins(48 * 60)),
        }
    }

    fn calls(&self) -> Vec<Call> {
        calls::calls(self.part, &self.of)
    }

    /// Other data replaces the existing data.
    fn changes(&self) -> Vec<Change> {
        let of = &self.of;
        match self.part {
            RestoreJob::Swap => {
                let (resource, after) = (format!("database {}", of.db.id), format!("as of {}", of.to_time));
                vec![Change::new(&of.db.place.name, &resource, "data", "as they were".to_owned(), after)]
            }
            RestoreJob::CreateCopy
            | RestoreJob::Verify
            | RestoreJob::Loss
            | RestoreJob::Revert
            | RestoreJob::Destroy => Vec::new(),
        }
    }
}

impl fmt::Display for RestoreStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.part.words(&self.of))
    }
}

/// The meaning of a job's state.
fn judge(part: RestoreJob, restore: &Restore, seen: &RestoreState, of: &Progress<'_>) -> Judged {
    let tail = seen.tail.lines().last().unwrap_or_default();
    let last = match restore.instance() {
        Some(new) => format!("{}: {tail}", new.id),
        None => format!("on its host: {tail}"),
    };
    match seen.stage {
        JobStage::None => Judged::Before,
        // Removing the copy ends its job.
        JobStage::Running if of.undoing && part != RestoreJob::Swap => Judged::Done(Vec::new()),
        JobStage::Running if of.leaving && part != RestoreJob::Swap => {
            Judged::Wrong(format!("stopped; {last}"))
        }
        JobStage::Running => Judged::Unclear(last),
        JobStage::Unseen => Judged::Unclear(format!("the host of {} does not answer: {tail}", restore.db.id)),
        // Whatever it left must be undone.
        JobStage::Gone | JobStage::Ended { .. } if of.undoing => Judged::Done(Vec::new()),
        JobStage::Gone => Judged::Partly(format!("its job on the host was interrupted: {tail}")),
        JobStage::Ended { exit: 0 } => {
            let mut found = seen.found.clone();
            match (part, restore.instance()) {
                (RestoreJob::Swap, Some(new)) => {
                    found.kept = Some(format!("DB instance {} in {}", new.aside, restore.db.place.region));
                }
                (RestoreJob::CreateCopy, Some(_)) => {
                    let automated = || format!("automated backups of {}", restore.db.id);
                    found.backup = Some(restore.snapshot.clone().unwrap_or_else(automated));
                }
                _ => {}
            }
            let mut facts =
                vec![Fact::Restore { component: restore.db.component.clone(), part, found: Box::new(found) }];
            if part == RestoreJob::Loss && !of.store.fenced {
                facts.push(Fact::Exposure(so_far(restore, seen, of.now)));
            }
            Judged::Done(facts)
        }
        JobStage::Ended { exit } => {
            let why = seen.found.failed.clone().unwrap_or_else(|| seen.tail.clone());
            match restore.instance() {
                Some(_) => Judged::Over(why),
                None => Judged::Over(format!("the job on its host ended with exit code {exit}: {why}")),
            }
        }
    }
}

/// Before writes have ended: everything since the restored time, so the loss keeps growing.
fn so_far(of: &Restore, seen: &RestoreState, now: Timestamp) -> Exposure {
    let because = match &seen.found.loss {
        Some(loss) => format!(
            "{} {} changed rows since {} so far",
            loss.basis.replace('_', " "),
            count(loss.transactions, "transaction"),
            of.to_time
        ),
        None => format!("all writes since {}", of.to_time),
    };
    Exposure {
        component: of.db.component.clone(),
        figure: Figure::new(now.since(of.to_time), Basis::UpperBound),
        last_instant: Some(now),
        because,
        last_replayed: Some(of.to_time),
        last_replayed_there: Some(of.to_time),
        taken_at: now,
        grows: true,
        beside: Vec::new(),
    }
}

/// The estimated duration of a part of a restore, by the number of bytes that it reads.
fn expected(part: RestoreJob, of: &Restore) -> Dur {
    let bytes = of.backup.as_ref().map_or(0, |b| b.bytes);
    let log = of.replay_bytes.unwrap_or(0);
    let rate = of.rates.map_or(FETCHED_PER_S, |r| r.fetched_per_s.max(1));
    if of.instance().is_some() {
        return match part {
            RestoreJob::CreateCopy => NEW_INSTANCE,
            RestoreJob::Verify => Dur::secs(5 + bytes / READ_PER_S),
            RestoreJob::Loss => Dur::secs(10),
            // Two renames in sequence: the second needs the name that the first one frees.
            RestoreJob::Swap | RestoreJob::Revert => NEW_NAME.plus(NEW_NAME),
            // AWS publishes no duration for a deletion without a final snapshot.
            RestoreJob::Destroy => Dur::mins(5),
        };
    }
    match part {
        RestoreJob::CreateCopy => {
            Dur::secs(10).plus(Dur::secs(bytes / rate)).plus(Dur::secs(log / READ_PER_S))
        }
        RestoreJob::Verify => Dur::secs(5 + bytes / READ_PER_S),
        RestoreJob::Loss => Dur::secs(2 + log / READ_PER_S),
        // Two folders are renamed, a server stops and another one starts.
        RestoreJob::Swap | RestoreJob::Revert => Dur::secs(20),
        RestoreJob::Destroy => Dur::secs(5),
    }
}
