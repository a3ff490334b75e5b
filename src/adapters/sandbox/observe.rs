//! Observations of a simulated database.

use std::collections::BTreeSet;

use super::estate::Estate;
use super::fences::WORKER;
use super::scenario::{Applies, roll};
use super::server::{Db, listens};
use crate::kinds::Target;
use crate::kinds::shared::database::{DatabaseRole, DatabaseState, Engine, Sign};
use crate::kinds::shared::fence::{FenceMethod, FenceStage, FenceState, with_obstacle};
use crate::kinds::shared::rebuild::{JobStage, RebuildState};
use crate::kinds::shared::restart::Restart;
use crate::kinds::shared::wal::{Lsn, WalPoint};
use crate::model::measure::ClockReading;
use crate::model::time::{Dur, Timestamp};

impl Estate {
    pub(super) fn database(&self, i: usize) -> DatabaseState {
        let db = &self.dbs[i];
        let cluster = db.reference.engine == Engine::Aurora;
        let replayed = db.source.is_some().then(|| self.replayed(i));
        // A replica computes the age of a commit by its own clock, but the clock of its source dated the commit.
        let stamped = replayed.filter(|_| !cluster).map(|at| moved(at, self.source_clock(db, at)));
        let here = stamped.map(|at| self.by_observer(moved(at, -self.clock(db, self.now)).min(self.now)));
        DatabaseState {
            role: db
                .source
                .as_ref()
                .map_or(DatabaseRole::Writer, |s| DatabaseRole::Replica { source: s.clone() }),
            status: self.status(i).to_owned(),
            last_commit: here.or(replayed.map(|at| self.by_observer(at))),
            last_commit_there: stamped,
            clock: self.clock_read(db),
            last_commit_source: Some("sql".to_owned()),
            backup_age_ms: Some(Dur::mins(5)),
            security_groups: db.groups.clone(),
            lineage: None,
            wal: self.wal(i),
            // The service calls a secondary connected even if its writer is unreachable.
            streaming: (db.source.is_some() && (db.tells_its_log() || cluster))
                .then(|| cluster || db.frozen_at.is_none()),
            fence_token: self.word(i),
            follows: None,
            endpoint: Some(listens(&db.reference)),
            endpoint_mismatch: false,
            advice: Vec::new(),
            synced_slots: None,
            unreplicated: Vec::new(),
            instance: db.settings(),
            cluster: self.parts(i),
        }
    }

    /// A time by the clock of the observer.
    pub(super) fn by_observer(&self, at: Timestamp) -> Timestamp {
        moved(at, self.ahead_ms)
    }

    /// How far the clock of a server was ahead at a time, in milliseconds.
    pub(super) fn clock(&self, db: &Db, at: Timestamp) -> i64 {
        let (of, most) = (&db.reference, self.scenario.skew.millis());
        let drawn = roll(self.seed, &["clock", of.component.as_str(), &of.place.name], 2 * most + 1);
        let set = self
            .scenario
            .clock_step
            .filter(|step| step.at_home == (db.site == self.home) && at >= self.began + step.after);
        drawn.cast_signed() - most.cast_signed() + set.map_or(0, |step| step.by_ms)
    }

    fn source_clock(&self, db: &Db, at: Timestamp) -> i64 {
        self.source(db).map_or(0, |source| self.clock(source, at))
    }

    /// A reading of the clock that dates commits. A replica knows that clock only while its source sends. drctl does not ask managed writers,
    /// and the service reports the lag of a cluster by its own clock.
    fn clock_read(&self, db: &Db) -> Option<ClockReading> {
        let ahead_ms = match (&db.source, db.frozen_at, db.reference.engine) {
            (_, _, Engine::Aurora) | (None, _, Engine::Rds) | (Some(_), Some(_), _) => return None,
            (None, _, Engine::Postgres) => self.clock(db, self.now),
            (Some(_), None, _) => self.source_clock(db, self.now),
        };
        Some(self.reading(ahead_ms))
    }

    /// A reading, by the observer, of a clock that is this far ahead of real time.
    fn reading(&self, ahead_ms: i64) -> ClockReading {
        let ahead_ms = ahead_ms - self.ahead_ms;
        ClockReading { ahead_ms, within_ms: Dur::ZERO, at: self.looked() }
    }

    /// The log position of a self-managed server: one position is one millisecond.
    fn wal(&self, i: usize) -> Option<WalPoint> {
        let db = &self.dbs[i];
        let position = Lsn(self.last_commit(i).since(self.began).millis());
        db.tells_its_log().then_some(WalPoint { timeline: db.timeline, position })
    }

    pub(super) fn fence_state(&self, i: usize, method: FenceMethod, restart: Restart) -> FenceState {
        let db = &self.dbs[i];
        let passes = (method == FenceMethod::SecurityGroup).then(|| self.group_obstacle(db)).flatten();
        let (stage, proof) = with_obstacle(self.stage(i, method, restart), passes.as_ref());
        let proven = stage == FenceStage::Proven;
        let sees_commits = proven && method.tells_the_end() && db.source.is_none();
        // The age of a commit is computed by the clock of the server, as it is now.
        let last_there = moved(self.last_commit(i), self.clock(db, self.last_commit(i)));
        let last_here = moved(last_there, -self.clock(db, self.now)).min(self.now);
        let stays = method.tells_the_end() && self.applies(db) && self.scenario.applies == Applies::Stays;
        FenceState {
            proven,
            proof,
            last_commit: sees_commits.then(|| self.by_observer(last_here)),
            last_commit_there: sees_commits.then_some(last_there),
            clock: sees_commits.then(|| self.reading(self.clock(db, self.now))),
            wal: self.wal(i).filter(|_| sees_commits),
            word: self.word(i).filter(|_| sees_commits),
            replica: db.source.is_some(),
            stage,
            obstacles: stays.then(|| WORKER.to_owned()).into_iter().chain(passes).collect(),
            unexplained: None,
            groups: if method == FenceMethod::SecurityGroup { db.groups.clone() } else { BTreeSet::new() },
            unreplicated: Vec::new(),
        }
    }

    /// The stage of a fence. As with a real server, a census proves a fence by SQL: it lists everything that may still write.
    fn stage(&self, i: usize, method: FenceMethod, restart: Restart) -> (FenceStage, String) {
        let db = &self.dbs[i];
        let set = db.fenced.contains(&method);
        if set && method.tells_the_end() && self.applies(db) {
            let left = format!("not proven: something may still write: {WORKER}");
            let stays = self.scenario.applies == Applies::Stays;
            return (if stays { FenceStage::Ineffective } else { FenceStage::Partial }, left);
        }
        let proof = match method {
            FenceMethod::Sql => "application roles cannot log in, and none of their sessions is left",
            FenceMethod::AllowConnections => {
                "the databases of the application accept no connections, and no session is left"
            }
            FenceMethod::PgHba => {
                "the first rules of pg_hba.conf reject every client, and no session is left"
            }
            FenceMethod::Stop => "the server is stopped; if anything starts it, it starts as a standby",
            FenceMethod::SecurityGroup => return self.isolated(i, restart),
        };
        (if set { FenceStage::Proven } else { FenceStage::Open }, proof.to_owned())
    }

    /// Whether the target needs an answer from a server that a fence stopped.
    pub(super) fn is_stopped(&self, target: &Target) -> bool {
        let asked = match target {
            Target::Database(db) => db.engine == Engine::Postgres,
            Target::Fence { method, .. } => method.tells_the_end(),
            _ => matches!(target, Target::Wrote { .. } | Target::Alive { sign: Sign::Server, .. }),
        };
        let db = || match target {
            Target::Database(db)
            | Target::Fence { db, .. }
            | Target::Wrote { db, .. }
            | Target::Alive { db, .. } => self.find(db).ok(),
            _ => None,
        };
        asked && db().is_some_and(|i| self.dbs[i].fenced.contains(&FenceMethod::Stop))
    }

    pub(super) fn rebuild(&self, i: usize) -> RebuildState {
        let stage = if self.dbs[i].status == "stopped" { JobStage::Running } else { JobStage::None };
        let runs = self.dbs[i].status == "available" && !self.dbs[i].fenced.contains(&FenceMethod::Stop);
        let server = runs.then(|| self.database(i));
        RebuildState { server, stage, tail: "rewinding".to_owned(), diverged: None }
    }
}

/// A time, moved by this many milliseconds.
fn moved(at: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_millis(at.millis() + by)
}
