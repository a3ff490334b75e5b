//! Restores of a simulated database: existing backups, jobs that take time, and data from an earlier time.

use super::estate::{Answer, Estate, Transition};
use super::scenario::roll;
use super::server::{Catalog, GONE, Job};
use crate::kinds::aws::rds::NEW_NAME;
use crate::kinds::shared::database::{DatabaseRef, DatabaseRole, DatabaseState, Engine};
use crate::kinds::shared::rebuild::JobStage;
use crate::kinds::shared::restore::{
    Backup, BackupsState, Checked, Destroyed, Found, Loss, Part, Restore, RestoreState,
};
use crate::kinds::shared::wal::{Lsn, WalPoint};
use crate::model::time::Dur;
use crate::run::apply::IN_PLACE;

/// The age of the oldest backup.
const KEPT: Dur = Dur::mins(7 * 24 * 60);
/// The interval between backups.
const EVERY: Dur = Dur::mins(6 * 60);
/// The size of each backup.
const BYTES: u64 = 20 << 30;

impl Estate {
    pub(super) fn backups(&self, of: &Restore) -> BackupsState {
        let oldest = self.began - KEPT;
        let since = of.to_time.since(oldest).millis() / EVERY.millis();
        let nth = |n: u64| Backup {
            name: format!("base-{n:03}"),
            ended: oldest + Dur(n * EVERY.millis()),
            bytes: BYTES,
        };
        let all: Vec<_> = (0..=self.now.since(oldest).millis() / EVERY.millis()).map(nth).collect();
        let chosen = (of.to_time >= oldest).then(|| nth(since));
        if let Some(name) = of.snapshot.as_ref().filter(|name| all.iter().all(|b| b.name != **name)) {
            let known: Vec<_> = all.iter().map(|b| b.name.as_str()).collect();
            let why = format!(
                "{} has no available snapshot {name}; available snapshots: {}",
                of.db.id,
                known.join(", ")
            );
            return BackupsState { failed: Some(why), all, ..BackupsState::default() };
        }
        let failed = chosen.is_none().then(|| {
            format!("no backup can be restored to {}: the oldest one ended at {oldest}", of.to_time)
        });
        BackupsState {
            failed,
            window: (of.db.engine == Engine::Rds).then_some((oldest, self.now)),
            chosen: match &of.snapshot {
                Some(name) => all.iter().find(|b| b.name == *name).cloned(),
                None => chosen,
            },
            all,
            replay_bytes: (of.db.engine == Engine::Postgres).then_some(1 << (28 + self.seed % 3)),
            free_bytes: BYTES * 10,
            not_swappable: None,
            timelines: None,
            copies: Vec::new(),
        }
    }

    /// The server, or the free slot of a renamed one, which its copy will take.
    fn stands(&self, db: &DatabaseRef) -> Result<usize, (&'static str, String)> {
        self.find(db).or_else(|missing| self.slot(&db.id, &db.place.name).ok_or(missing))
    }

    pub(super) fn restore(&mut self, part: Part, of: &Restore) -> Answer {
        let i = self.stands(&of.db)?;
        if part == Part::Swap
            && of.instance().is_some()
            && self.find(&of.db).is_ok()
            && !self.jobs.contains_key(&(i, part))
        {
            return Err(("DBInstanceAlreadyExists", "DB instance already exists".to_owned()));
        }
        let done = |part| self.jobs.get(&(i, part)).is_some_and(|j| j.ends <= self.now && j.failed.is_none());
        if part == Part::Revert && of.instance().is_some() && done(Part::Swap) {
            return Err((
                IN_PLACE,
                "users reach the restored instance and may have written to it".to_owned(),
            ));
        }
        // A job runs once. A failed job is tried again.
        if self.jobs.get(&(i, part)).is_some_and(|j| j.failed.is_none() || j.ends > self.now) {
            return Ok(None);
        }
        let failed = match part {
            Part::CreateCopy if self.scenario.archive_corrupt => {
                Some("segment 0000000100000004000000A1 in the archive is damaged")
            }
            Part::Verify | Part::Loss if !done(Part::CreateCopy) => Some("no copy exists yet"),
            Part::Swap if !done(Part::Verify) => Some("the copy did not pass its checks"),
            Part::Revert if done(Part::Swap) => {
                Some("drctl keeps the restored server in place, because rows have changed since")
            }
            _ => None,
        };
        let takes = match part {
            Part::CreateCopy if failed.is_none() => {
                120_000 + roll(self.seed, &["beside", &of.db.id], 180_000)
            }
            Part::Verify if failed.is_none() => 60_000 + roll(self.seed, &["verify", &of.db.id], 60_000),
            // Two renames.
            Part::Swap | Part::Revert if of.instance().is_some() && failed.is_none() => {
                let one = NEW_NAME.millis() - 120_000;
                2 * (one + roll(self.seed, &["rename", part.word(), &of.db.id], 240_000))
            }
            // Stopping a server and removing much data takes time.
            Part::Revert | Part::Destroy => 2_000 + roll(self.seed, &["undo", &of.db.id], 150_000),
            _ => 2_000 + roll(self.seed, &["restore", part.word(), &of.db.id], 8_000),
        };
        let ends = self.now + Dur(takes);
        self.jobs.insert((i, part), Job { ends, failed, of: of.clone() });
        if part == Part::Swap && failed.is_none() {
            let now = self.now;
            self.dbs[i].stopped_at.get_or_insert(now);
            self.schedule(ends, Transition::Swapped(i));
        }
        Ok(None)
    }

    /// The data are from that time, with their roles: clients that were fenced since may log in.
    pub(super) fn swapped(&mut self, i: usize) {
        let Some(to) = self.jobs.get(&(i, Part::Swap)).map(|j| j.of.to_time) else { return };
        let (lost, id) = (self.last_commit(i).since(to), self.dbs[i].reference.id.clone());
        let so_far = self.truth.lost_ms.entry(self.dbs[i].reference.component.clone()).or_default();
        *so_far = lost.max(*so_far);
        for follower in 0..self.dbs.len() {
            if self.dbs[follower].source.as_ref() == Some(&id) {
                self.dbs[follower].frozen_at = Some(self.replayed(follower));
            }
        }
        let server = self.dbs[i].reference.clone();
        self.end_sessions(&server);
        // A managed copy takes the free name.
        if self.dbs[i].status == GONE {
            self.dbs[i].status = "available";
            self.index.dbs.insert((id, self.dbs[i].site.to_string()), i);
        }
        let db = &mut self.dbs[i];
        db.fenced.clear();
        db.catalog = Catalog::default();
        (db.stopped_at, db.restored_to) = (None, Some(to));
        db.timeline += 1;
    }

    /// The copy of a managed server under its own name. Its first backup starts when it serves.
    pub(super) fn beside(&self, db: &DatabaseRef) -> Option<DatabaseState> {
        let is = |job: &&Job| job.of.instance().is_some_and(|new| new.id == db.id);
        let (&(i, _), job) =
            self.jobs.iter().find(|((_, part), job)| *part == Part::CreateCopy && is(job))?;
        let gone = [Part::Swap, Part::Destroy].iter().any(|part| self.jobs.contains_key(&(i, *part)));
        let backing_up = job.ends + Dur(60_000 + roll(self.seed, &["first backup", &db.id], 180_000));
        let status = if self.now < backing_up { "backing-up" } else { "available" };
        let there = !gone && job.failed.is_none() && job.ends <= self.now;
        there.then(|| DatabaseState {
            role: DatabaseRole::Writer,
            status: status.to_owned(),
            ..self.database(i)
        })
    }

    pub(super) fn restoring(&self, db: &DatabaseRef, part: Part) -> Option<RestoreState> {
        let i = self.stands(db).ok()?;
        let Some(job) = self.jobs.get(&(i, part)) else {
            let (tail, found) = (String::new(), Found::default());
            return Some(RestoreState { stage: JobStage::None, tail, found });
        };
        let stage = match (self.now < job.ends, job.failed) {
            (true, _) => JobStage::Running,
            (false, None) => JobStage::Ended { exit: 0 },
            (false, Some(_)) => JobStage::Ended { exit: 1 },
        };
        let found = match stage {
            JobStage::Ended { exit: 0 } => self.result(i, part, &job.of),
            JobStage::Ended { .. } => Found { failed: job.failed.map(str::to_owned), ..Found::default() },
            _ => Found::default(),
        };
        Some(RestoreState { stage, tail: format!("{} of {}", part.word(), db.id), found })
    }

    fn result(&self, i: usize, part: Part, of: &Restore) -> Found {
        let timeline = self.dbs[i].timeline;
        let position = WalPoint { timeline, position: Lsn(of.to_time.since(self.began - KEPT).millis()) };
        let check = |what: &str, found: &str| Checked {
            what: what.to_owned(),
            result: "pass".to_owned(),
            found: found.to_owned(),
        };
        let folder = format!("/data.restored-{}", of.name);
        match part {
            // A managed service does not report the position in the log.
            Part::CreateCopy if of.instance().is_some() => Found::default(),
            Part::CreateCopy => Found {
                backup: of.backup.as_ref().map(|b| b.name.clone()),
                fetched: Some((BYTES, Dur::secs(90))),
                position: Some(position),
                last_commit: Some(of.to_time - Dur(3)),
                next_commit: Some(of.to_time + Dur(4)),
                ..Found::default()
            },
            Part::Verify => {
                let own = of.invariants.iter().map(|i| check(&i.name, "not asked in the sandbox"));
                let pages = match of.instance() {
                    Some(_) => check("every row of app read", "1204511 rows"),
                    None => check("checksums of all pages", "2621440"),
                };
                let always = [check("foreign keys of app", "12 hold"), pages];
                Found { checks: own.chain(always).collect(), ..Found::default() }
            }
            Part::Loss if of.instance().is_some() => Found::default(),
            Part::Loss => {
                let last = self.last_commit(i);
                let loss = Loss {
                    basis: "exactly".to_owned(),
                    transactions: last.since(of.to_time).millis() / 100,
                    first: Some(of.to_time + Dur(4)),
                    last: Some(last),
                };
                Found { loss: Some(loss), ..Found::default() }
            }
            Part::Swap if of.instance().is_some() => Found::default(),
            Part::Swap => Found { kept: Some(format!("/data.before-{}", of.name)), ..Found::default() },
            Part::Revert => Found::default(),
            Part::Destroy => {
                let destroyed = Some(match of.instance() {
                    Some(_) => Destroyed { folder: of.copy(), files: 0, bytes: 0 },
                    None => Destroyed { folder, files: 1_812, bytes: BYTES },
                });
                Found { destroyed, ..Found::default() }
            }
        }
    }
}
