//! Observations of a simulated database, as a server of one's own gives them. What a service reports otherwise is in its folder.

use std::collections::BTreeSet;

use super::Servers;
use super::server::{SimulatedServer, listens};
use crate::kinds::shared::database::server::{AliveState, DatabaseRole, DatabaseState, Sign, WroteState};
use crate::kinds::shared::fence::method::{FenceMethod, FenceState};
use crate::kinds::shared::restart::Restart;
use crate::kinds::shared::wal::{Lsn, WalPoint};
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::kinds::world::answer::Silence;
use crate::kinds::world::{SimulatedWorld, moved};
use crate::model::measure::ClockReading;
use crate::model::time::{Dur, Timestamp};

impl Servers {
    /// What every database shows of a target; none if it does not exist, or is something else.
    pub fn observe(&self, target: &Target, world: &SimulatedWorld) -> Option<State> {
        match target {
            Target::Fence { db, method, restart } => {
                let i = self.find(db).ok()?;
                Some(State::Fence(self.fence_state(i, *method, *restart, world)))
            }
            Target::Wrote { db, .. } => {
                let i = self.find(db).ok()?;
                let ok = self.all[i].accepts(world);
                Some(State::Wrote(WroteState { ok, server: db.id.clone() }))
            }
            Target::Alive { db, .. } => {
                self.find(db).ok()?;
                Some(State::Alive(AliveState { who: format!("{} there", db.id) }))
            }
            Target::Restore { db, part, .. } => {
                self.restoring(db, *part, world).map(|job| State::Restore(Box::new(job)))
            }
            _ => None,
        }
    }

    /// Whether anything answers about a target.
    ///
    /// # Errors
    /// The server does not listen.
    pub fn answers(&self, target: &Target, world: &SimulatedWorld) -> Result<(), Silence> {
        let (db, by_sql, itself) = match target {
            Target::Fence { db, method, .. } => (db, method.by_sql(), method.tells_the_end()),
            Target::Wrote { db, .. } | Target::Alive { db, sign: Sign::Server } => (db, true, true),
            _ => return Ok(()),
        };
        let lost = by_sql && world.is_lost(&db.place.name) && !world.scenario.sql_answers;
        if lost || itself && self.is_stopped(db) { Err(Silence::Refuses) } else { Ok(()) }
    }

    /// Whether a fence stopped a server.
    pub fn is_stopped(&self, db: &crate::kinds::shared::database::server::DatabaseRef) -> bool {
        self.find(db).is_ok_and(|i| self.all[i].fenced.contains(&FenceMethod::Stop))
    }

    /// How old the answer of a service about a target may be. Answers of SQL are current.
    pub fn oldest(target: &Target, world: &SimulatedWorld) -> Dur {
        match target {
            Target::Database(_) | Target::Fence { method: FenceMethod::SecurityGroup, .. } => {
                world.scenario.stale
            }
            _ => Dur::ZERO,
        }
    }

    /// An older answer, with what comes from the server itself and so is current: log positions.
    pub fn aged(old: State, now: &State) -> State {
        match (old, now) {
            (State::Database(of), State::Database(is)) => State::Database(DatabaseState {
                role: of.role,
                status: of.status,
                security_groups: of.security_groups,
                instance: of.instance,
                cluster: of.cluster,
                ..is.clone()
            }),
            (old, _) => old,
        }
    }

    /// A server.
    pub fn database(&self, i: usize, world: &SimulatedWorld) -> DatabaseState {
        let db = &self.all[i];
        let replayed = db.source.is_some().then(|| self.replayed(i, world));
        // A replica computes the age of a commit by its own clock, but the clock of its source dated the commit.
        let stamped = replayed.map(|at| moved(at, self.source_clock(db, at, world)));
        let here = stamped.map(|at| world.by_observer(moved(at, -db.clock(world, world.now)).min(world.now)));
        DatabaseState {
            role: db
                .source
                .as_ref()
                .map_or(DatabaseRole::Writer, |s| DatabaseRole::Replica { source: s.clone() }),
            status: db.status.to_owned(),
            last_commit: here,
            last_commit_there: stamped,
            clock: self.clock_read(db, world),
            last_commit_source: Some("sql".to_owned()),
            backup_age_ms: Some(Dur::mins(5)),
            security_groups: db.groups.clone(),
            lineage: None,
            wal: self.wal(i, world),
            streaming: (db.source.is_some() && db.tells_its_log).then_some(db.frozen_at.is_none()),
            fence_token: self.word(i, world),
            follows: None,
            endpoint: Some(listens(&db.reference)),
            endpoint_mismatch: false,
            advice: Vec::new(),
            synced_slots: None,
            unreplicated: Vec::new(),
            instance: None,
            cluster: None,
        }
    }

    fn source_clock(&self, db: &SimulatedServer, at: Timestamp, world: &SimulatedWorld) -> i64 {
        self.source(db).map_or(0, |source| source.clock(world, at))
    }

    /// A reading of the clock that dates commits. A replica knows that clock only while its source sends.
    fn clock_read(&self, db: &SimulatedServer, world: &SimulatedWorld) -> Option<ClockReading> {
        let ahead_ms = match (&db.source, db.frozen_at) {
            (Some(_), Some(_)) => return None,
            (None, _) => db.clock(world, world.now),
            (Some(_), None) => self.source_clock(db, world.now, world),
        };
        Some(reading(ahead_ms, world))
    }

    /// The log position of a server that tells it: one position is one millisecond.
    fn wal(&self, i: usize, world: &SimulatedWorld) -> Option<WalPoint> {
        let db = &self.all[i];
        let position = Lsn(self.last_commit(i, world).since(world.began).millis());
        db.tells_its_log.then_some(WalPoint { timeline: db.timeline, position })
    }

    fn fence_state(
        &self,
        i: usize,
        method: FenceMethod,
        restart: Restart,
        world: &SimulatedWorld,
    ) -> FenceState {
        let db = &self.all[i];
        let (seen, last) = (self.fence_seen(i, method, restart, world), self.last_commit(i, world));
        let sees_commits = seen.proven && method.tells_the_end() && db.source.is_none();
        // The age of a commit is computed by the clock of the server, as it is now.
        let last_there = moved(last, db.clock(world, last));
        let last_here = moved(last_there, -db.clock(world, world.now)).min(world.now);
        FenceState {
            proven: seen.proven,
            proof: seen.proof,
            last_commit: sees_commits.then(|| world.by_observer(last_here)),
            last_commit_there: sees_commits.then_some(last_there),
            clock: sees_commits.then(|| reading(db.clock(world, world.now), world)),
            wal: self.wal(i, world).filter(|_| sees_commits),
            word: self.word(i, world).filter(|_| sees_commits),
            replica: db.source.is_some(),
            stage: seen.stage,
            obstacles: seen.obstacles,
            unexplained: None,
            groups: if method == FenceMethod::SecurityGroup { db.groups.clone() } else { BTreeSet::new() },
            unreplicated: Vec::new(),
        }
    }
}

/// A reading, by the observer, of a clock that is this far ahead of real time.
fn reading(ahead_ms: i64, world: &SimulatedWorld) -> ClockReading {
    let ahead_ms = ahead_ms - world.ahead_ms;
    ClockReading { ahead_ms, within_ms: Dur::ZERO, at: world.looked() }
}
