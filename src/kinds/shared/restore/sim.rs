//! Restores of a simulated database: existing backups, jobs that take time, and data from an earlier time.

use super::copy::{
    Backup, BackupsState, Checked, Destroyed, IN_PLACE, Loss, Restore, RestoreJob, RestoreResults,
    RestoreState,
};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::database::sim::server::{Catalog, GONE, Job};
use crate::kinds::shared::database::sim::{ServerEvent, Servers};
use crate::kinds::shared::rebuild::JobStage;
use crate::kinds::shared::wal::{Lsn, WalPoint};
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::answer::{Answer, Refused};
use crate::model::time::Dur;

/// The age of the oldest backup.
const KEPT: Dur = Dur::mins(7 * 24 * 60);
/// The interval between backups.
const EVERY: Dur = Dur::mins(6 * 60);
/// The size of each backup.
const BYTES: u64 = 20 << 30;

/// Who keeps the backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The service, which restores to any time in a window.
    Service,
    /// An archive, from which the log is replayed.
    Archive,
}

impl Servers {
    /// The backups from which the time of a restore can be reached.
    pub fn backups(&self, of: &Restore, keeper: Keeper, world: &SimulatedWorld) -> BackupsState {
        let oldest = world.began - KEPT;
        let since = of.to_time.since(oldest).millis() / EVERY.millis();
        let nth =
            |n: u64| Backup { name: format!("base-{n:03}"), ended: oldest + EVERY.times(n), bytes: BYTES };
        let all: Vec<_> = (0..=world.now.since(oldest).millis() / EVERY.millis()).map(nth).collect();
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
            window: (keeper == Keeper::Service).then_some((oldest, world.now)),
            chosen: match &of.snapshot {
                Some(name) => all.iter().find(|b| b.name == *name).cloned(),
                None => chosen,
            },
            all,
            replay_bytes: (keeper == Keeper::Archive).then_some(1 << (28 + world.seed % 3)),
            free_bytes: BYTES * 10,
            not_swappable: None,
            timelines: None,
            copies: Vec::new(),
        }
    }

    /// The server, or the free slot of a renamed one, which its copy will take.
    fn stands(&self, db: &DatabaseRef) -> Result<usize, Refused> {
        self.find(db).or_else(|missing| self.slot(&db.id, &db.place.name).ok_or(missing))
    }

    /// Starts a part of a restore. `rename` is the shortest time that a service needs for a new name.
    ///
    /// # Errors
    /// The provider refuses it.
    pub fn restore(
        &mut self,
        (part, of): (RestoreJob, &Restore),
        rename: Dur,
        world: &mut SimulatedWorld,
    ) -> Answer {
        let i = self.stands(&of.db)?;
        if part == RestoreJob::Swap
            && of.instance().is_some()
            && self.find(&of.db).is_ok()
            && !self.jobs.contains_key(&(i, part))
        {
            return Err(Refused::for_now("DBInstanceAlreadyExists", "DB instance already exists"));
        }
        let done =
            |part| self.jobs.get(&(i, part)).is_some_and(|j| j.ends <= world.now && j.failed.is_none());
        if part == RestoreJob::Revert && of.instance().is_some() && done(RestoreJob::Swap) {
            let why = "users reach the restored instance and may have written to it";
            return Err(Refused::always(IN_PLACE, why));
        }
        // A job runs once. A failed job is tried again.
        if self.jobs.get(&(i, part)).is_some_and(|j| j.failed.is_none() || j.ends > world.now) {
            return Ok(None);
        }
        let failed = match part {
            RestoreJob::CreateCopy if world.scenario.archive_corrupt => {
                Some("segment 0000000100000004000000A1 in the archive is damaged")
            }
            RestoreJob::Verify | RestoreJob::Loss if !done(RestoreJob::CreateCopy) => {
                Some("no copy exists yet")
            }
            RestoreJob::Swap if !done(RestoreJob::Verify) => Some("the copy did not pass its checks"),
            RestoreJob::Revert if done(RestoreJob::Swap) => {
                Some("drctl keeps the restored server in place, because rows have changed since")
            }
            _ => None,
        };
        let takes = match part {
            RestoreJob::CreateCopy if failed.is_none() => {
                120_000 + world.roll(&["beside", &of.db.id], 180_000)
            }
            RestoreJob::Verify if failed.is_none() => 60_000 + world.roll(&["verify", &of.db.id], 60_000),
            // Two renames.
            RestoreJob::Swap | RestoreJob::Revert if of.instance().is_some() && failed.is_none() => {
                rename.plus(Dur(world.roll(&["rename", part.word(), &of.db.id], 240_000))).times(2).millis()
            }
            // Stopping a server and removing much data takes time.
            RestoreJob::Revert | RestoreJob::Destroy => 2_000 + world.roll(&["undo", &of.db.id], 150_000),
            _ => 2_000 + world.roll(&["restore", part.word(), &of.db.id], 8_000),
        };
        let ends = world.now + Dur(takes);
        self.jobs.insert((i, part), Job { ends, failed, of: of.clone() });
        if part == RestoreJob::Swap && failed.is_none() {
            self.all[i].stopped_at.get_or_insert(world.now);
            self.agenda.schedule(ends, ServerEvent::Swapped(i), world);
        }
        Ok(None)
    }

    /// The data are from that time, with their roles: clients that were fenced since may log in.
    pub fn swapped(&mut self, i: usize, world: &mut SimulatedWorld) {
        let Some(to) = self.jobs.get(&(i, RestoreJob::Swap)).map(|j| j.of.to_time) else { return };
        let id = self.all[i].reference.id.clone();
        self.lose(self.last_commit(i, world).since(to));
        for follower in 0..self.all.len() {
            if self.all[follower].source.as_ref() == Some(&id) {
                self.all[follower].frozen_at = Some(self.replayed(follower, world));
            }
        }
        self.end_sessions(i, world);
        // A managed copy takes the free name.
        if self.all[i].status == GONE {
            self.all[i].status = "available";
            self.index.insert((id, self.all[i].site.to_string()), i);
        }
        let db = &mut self.all[i];
        db.fenced.clear();
        db.catalog = Catalog::default();
        (db.stopped_at, db.restored_to) = (None, Some(to));
        db.timeline += 1;
    }

    /// A part of a restore.
    pub fn restoring(
        &self,
        db: &DatabaseRef,
        part: RestoreJob,
        world: &SimulatedWorld,
    ) -> Option<RestoreState> {
        let i = self.stands(db).ok()?;
        let Some(job) = self.jobs.get(&(i, part)) else {
            let (tail, found) = (String::new(), RestoreResults::default());
            return Some(RestoreState { stage: JobStage::None, tail, found });
        };
        let stage = match (world.now < job.ends, job.failed) {
            (true, _) => JobStage::Running,
            (false, None) => JobStage::Ended { exit: 0 },
            (false, Some(_)) => JobStage::Ended { exit: 1 },
        };
        let found = match stage {
            JobStage::Ended { exit: 0 } => self.result(i, part, &job.of, world),
            JobStage::Ended { .. } => {
                RestoreResults { failed: job.failed.map(str::to_owned), ..RestoreResults::default() }
            }
            _ => RestoreResults::default(),
        };
        Some(RestoreState { stage, tail: format!("{} of {}", part.word(), db.id), found })
    }

    fn result(&self, i: usize, part: RestoreJob, of: &Restore, world: &SimulatedWorld) -> RestoreResults {
        let timeline = self.all[i].timeline;
        let position = WalPoint { timeline, position: Lsn(of.to_time.since(world.began - KEPT).millis()) };
        let check = |what: &str, found: &str| Checked {
            what: what.to_owned(),
            result: "pass".to_owned(),
            found: found.to_owned(),
        };
        let folder = format!("/data.restored-{}", of.name);
        match part {
            // A managed service does not report the position in the log.
            RestoreJob::CreateCopy if of.instance().is_some() => RestoreResults::default(),
            RestoreJob::CreateCopy => RestoreResults {
                backup: of.backup.as_ref().map(|b| b.name.clone()),
                fetched: Some((BYTES, Dur::secs(90))),
                position: Some(position),
                last_commit: Some(of.to_time - Dur(3)),
                next_commit: Some(of.to_time + Dur(4)),
                ..RestoreResults::default()
            },
            RestoreJob::Verify => {
                let own = of.invariants.iter().map(|i| check(&i.name, "not asked in the sandbox"));
                let pages = match of.instance() {
                    Some(_) => check("every row of app read", "1204511 rows"),
                    None => check("checksums of all pages", "2621440"),
                };
                let always = [check("foreign keys of app", "12 hold"), pages];
                RestoreResults { checks: own.chain(always).collect(), ..RestoreResults::default() }
            }
            RestoreJob::Loss if of.instance().is_some() => RestoreResults::default(),
            RestoreJob::Loss => {
                let last = self.last_commit(i, world);
                let loss = Loss {
                    basis: "exactly".to_owned(),
                    transactions: last.since(of.to_time).millis() / 100,
                    first: Some(of.to_time + Dur(4)),
                    last: Some(last),
                };
                RestoreResults { loss: Some(loss), ..RestoreResults::default() }
            }
            RestoreJob::Swap if of.instance().is_some() => RestoreResults::default(),
            RestoreJob::Swap => RestoreResults {
                kept: Some(format!("/data.before-{}", of.name)),
                ..RestoreResults::default()
            },
            RestoreJob::Revert => RestoreResults::default(),
            RestoreJob::Destroy => {
                let destroyed = Some(match of.instance() {
                    Some(_) => Destroyed { folder: of.copy(), files: 0, bytes: 0 },
                    None => Destroyed { folder, files: 1_812, bytes: BYTES },
                });
                RestoreResults { destroyed, ..RestoreResults::default() }
            }
        }
    }
}
