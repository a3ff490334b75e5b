//! RDS: restores backups of an instance into a new one beside it, which then takes its name or is deleted.
//!
//! Sources: Amazon RDS API Reference (`DescribeDBInstanceAutomatedBackups`, `DescribeDBSnapshots`,
//! `RestoreDBInstanceToPointInTime`, `RestoreDBInstanceFromDBSnapshot`, `ModifyDBInstance`, `DeleteDBInstance`) and Amazon RDS
//! User Guide, «Restoring a DB instance to a specified time». A new instance has a tag with its first name ([`COPY_TAG`]). drctl
//! renames or deletes only instances with that tag.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{DbInstance, DbSnapshot};

use super::Aws;
use super::error::Failure;
use super::instances::{alike, built, id_of_instance, tags};
use crate::inventory::Observation;
use crate::kinds::aws::rds::SERVING;
use crate::kinds::shared::rebuild::JobStage;
use crate::kinds::shared::restore::{
    Backup, BackupsState, COPY_TAG, Destroyed, IN_PLACE, NewInstance, Restore, RestoreJob, RestoreResults,
    RestoreState,
};
use crate::kinds::{State, Target};
use crate::model::place::Place;
use crate::model::time::Timestamp;

/// Statuses of an instance that will not become available without help.
const BROKEN: &[&str] = &[
    "deleting",
    "failed",
    "inaccessible-encryption-credentials",
    "insufficient-capacity",
    "restore-error",
    "stopped",
    "storage-full",
];

/// How many characters of a copy's name are compared.
const NAMED: usize = 30;

type Window = (Timestamp, Timestamp);

impl Aws {
    /// The backups of an instance, and the period that it can be restored to.
    pub(super) async fn backups(&self, of: &Restore) -> Observation {
        let found = async {
            let all = self.all_databases(&of.db.place).await?;
            // Another instance may take over the name; the resource ID stays.
            let live = all.get(&of.db.id).and_then(|db| db.dbi_resource_id()).map(str::to_owned);
            let live = live.ok_or_else(|| crate::adapters::aws::instances::missing(&of.db.id))?;
            let window = self.restore_window(&of.db.place, &live).await?;
            // Long names are cut, so compare only as many characters as every copy's name has.
            let named: String = format!("copy-of-{}", of.db.id).chars().take(NAMED).collect();
            let copies = all.iter().filter(|(id, db)| is_copy(db, id) && id.starts_with(&named));
            let copies = copies.map(|(id, _)| id.clone()).collect();
            Ok::<_, Failure>((window, self.snapshots(&of.db.place, &live).await?, copies))
        };
        match found.await {
            Ok((window, all, copies)) => {
                let state = BackupsState { copies, ..self.lead_to(of, window, all) };
                self.seen(State::Backups(Box::new(state)), "rds:DescribeDBInstanceAutomatedBackups")
            }
            Err(failure) => failure.observation(self.now()),
        }
    }

    fn lead_to(&self, of: &Restore, window: Option<Window>, all: Vec<Backup>) -> BackupsState {
        let (id, at) = (&of.db.id, of.to_time);
        let newest = || all.iter().filter(|b| b.ended <= at).max_by_key(|b| b.ended).cloned();
        let (chosen, failed) = match (&of.snapshot, window) {
            (Some(name), _) => {
                let chosen = all.iter().find(|b| b.name == *name).cloned();
                let known = || all.iter().map(|b| b.name.as_str()).collect::<Vec<_>>().join(", ");
                let failed = chosen.is_none().then(|| match all.is_empty() {
                    true => format!("{id} has no available snapshot"),
                    false => {
                        format!("{id} has no available snapshot {name}; available snapshots: {}", known())
                    }
                });
                (chosen, failed)
            }
            (None, None) => {
                let why = format!("{id} has no automated backups, or RDS is still making the first one");
                (None, Some(why))
            }
            (None, Some((from, to))) if at < from || at >= to => (
                None,
                Some(format!("RDS can restore {id} to times from {from} to before {to}, but not to {at}")),
            ),
            (None, Some(_)) => (newest(), None),
        };
        BackupsState { failed, window, all, chosen, free_bytes: u64::MAX, ..BackupsState::default() }
    }

    async fn restore_window(&self, place: &Place, live: &str) -> Result<Option<Window>, Failure> {
        let site = self.site(place).await;
        let call = || site.rds().describe_db_instance_automated_backups().dbi_resource_id(live).send();
        let page = match self.look("rds", place, call).await {
            Ok(page) => page,
            Err(failure) if failure.is_not_found() => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let time = |t: Option<&aws_smithy_types::DateTime>| t.and_then(|t| t.to_millis().ok());
        // A replicated backup from another region has the same name. Those of this region are `active`.
        let windows = page.db_instance_automated_backups().iter().filter(|b| b.status() == Some("active"));
        let mut windows = windows.filter_map(|b| b.restore_window()).filter_map(|w| {
            let (from, to) = (time(w.earliest_time())?, time(w.latest_time())?);
            Some((Timestamp::from_millis(from), Timestamp::from_millis(to)))
        });
        Ok(windows.next())
    }

    async fn snapshots(&self, place: &Place, live: &str) -> Result<Vec<Backup>, Failure> {
        let site = self.site(place).await;
        let call = |from| site.rds().describe_db_snapshots().dbi_resource_id(live).set_marker(from).send();
        let pages = self.pages("rds", place, call, |page| page.marker()).await?;
        // The call filters by resource ID; check it all the same, because a snapshot of another instance is a different database.
        let own = |s: &&DbSnapshot| s.dbi_resource_id().is_none_or(|of| of == live);
        let of_pages = pages.iter().flat_map(|page| page.db_snapshots());
        let mut all: Vec<Backup> = of_pages.filter(own).filter_map(backup).collect();
        all.sort_by_key(|b| b.ended);
        Ok(all)
    }

    /// The state of a part of a restore, according to the instances.
    pub(super) fn restoring(&self, target: &Target, all: &BTreeMap<String, DbInstance>) -> Observation {
        let Target::Restore { db, part, copy: Some(copy), .. } = target else {
            return Observation::NotFound { observed_at: self.now() };
        };
        let state = match part {
            RestoreJob::Destroy => destroyed(all.get(copy), copy),
            RestoreJob::Swap => swapped(all, &db.id, copy),
            RestoreJob::Revert => match all.get(&db.id).is_some_and(|db| is_copy(db, copy)) {
                true => state(JobStage::None, "", RestoreResults::default()),
                false => state(JobStage::Ended { exit: 0 }, "", RestoreResults::default()),
            },
            _ => made(all.get(copy), copy),
        };
        self.seen(State::Restore(Box::new(state)), "rds:DescribeDBInstances")
    }

    /// Starts a part of a restore.
    pub(super) async fn restore(&self, part: RestoreJob, of: &Restore) -> Result<Option<String>, Failure> {
        let Some(new) = of.instance() else {
            return Err(Failure::never("NoInstance", "the settings of the copy are unknown"));
        };
        match part {
            RestoreJob::CreateCopy => self.make(of, new).await,
            RestoreJob::Swap => self.swap(of, new).await,
            RestoreJob::Destroy => self.destroy(of, new).await,
            // Once the copy has the name that users reach, drctl cannot know what they have written since.
            RestoreJob::Revert => {
                let found = self.describe_databases(&of.db.place, &[&of.db.id]).await?;
                if !found.get(&of.db.id).is_some_and(|db| is_copy(db, &new.id)) {
                    return Ok(None);
                }
                let why = format!(
                    "users reach the restored instance as {} and may have written to it; the previous instance is {}",
                    of.db.id, new.aside
                );
                Err(Failure::never(IN_PLACE, why))
            }
            RestoreJob::Verify | RestoreJob::Loss => Err(Failure::never("NotAws", "SQL does this, not RDS")),
        }
    }

    async fn make(&self, of: &Restore, new: &NewInstance) -> Result<Option<String>, Failure> {
        let place = &of.db.place;
        let site = self.site(place).await;
        let like = &new.like;
        let mut wanted = like.tags.clone();
        wanted.insert(COPY_TAG.to_owned(), new.id.clone());
        let tags = Some(built(&wanted));
        match &of.snapshot {
            Some(snapshot) => {
                let call = site
                    .rds()
                    .restore_db_instance_from_db_snapshot()
                    .db_instance_identifier(&new.id)
                    .db_snapshot_identifier(snapshot)
                    .set_db_parameter_group_name(like.parameter_group.clone())
                    .set_tags(tags);
                let call = alike!(call, like, &new.security_groups);
                self.once("rds", place, call.send()).await.map(|_| None)
            }
            None => {
                let at = aws_smithy_types::DateTime::from_millis(of.to_time.millis());
                let call = site
                    .rds()
                    .restore_db_instance_to_point_in_time()
                    .source_db_instance_identifier(&of.db.id)
                    .target_db_instance_identifier(&new.id)
                    .restore_time(at)
                    .set_db_parameter_group_name(like.parameter_group.clone())
                    .set_tags(tags);
                let call = alike!(call, like, &new.security_groups);
                self.once("rds", place, call.send()).await.map(|_| None)
            }
        }
    }

    /// Gives the copy the name that users reach.
    async fn swap(&self, of: &Restore, new: &NewInstance) -> Result<Option<String>, Failure> {
        self.own(&of.db.place, &new.id).await?;
        let site = self.site(&of.db.place).await;
        let call = site
            .rds()
            .modify_db_instance()
            .db_instance_identifier(&new.id)
            .new_db_instance_identifier(&of.db.id)
            .set_deletion_protection(new.like.protected.then_some(true))
            .apply_immediately(true)
            .send();
        self.once("rds", &of.db.place, call).await.map(|_| None)
    }

    async fn destroy(&self, of: &Restore, new: &NewInstance) -> Result<Option<String>, Failure> {
        self.own(&of.db.place, &new.id).await?;
        let site = self.site(&of.db.place).await;
        let call = site
            .rds()
            .delete_db_instance()
            .db_instance_identifier(&new.id)
            .skip_final_snapshot(true)
            .delete_automated_backups(true)
            .send();
        self.once("rds", &of.db.place, call).await.map(|_| None)
    }

    /// Checks, right before the call, that an instance is a copy that was created under this name.
    async fn own(&self, place: &Place, id: &str) -> Result<(), Failure> {
        let found = self.describe_databases(place, &[id]).await?;
        match found.get(id) {
            Some(db) if is_copy(db, id) => Ok(()),
            Some(_) => Err(foreign(id)),
            None => Err(crate::adapters::aws::instances::missing(id)),
        }
    }
}

fn foreign(id: &str) -> Failure {
    Failure::never("NotOurs", format!("{id} has no tag {COPY_TAG}={id}, so drctl did not make it"))
}

fn is_copy(db: &DbInstance, id: &str) -> bool {
    tags(db).get(COPY_TAG).is_some_and(|of| of == id)
}

fn backup(snapshot: &DbSnapshot) -> Option<Backup> {
    // The time of the last transaction, or else of the first complete copy of this snapshot. Its own creation time may be that of
    // a later copy.
    let times = [
        snapshot.snapshot_database_time(),
        snapshot.original_snapshot_create_time(),
        snapshot.snapshot_create_time(),
    ];
    let ended = times.into_iter().flatten().next().and_then(|t| t.to_millis().ok())?;
    let gib = snapshot.allocated_storage().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let available = snapshot.status() == Some("available");
    available.then_some(Backup {
        name: snapshot.db_snapshot_identifier()?.to_owned(),
        ended: Timestamp::from_millis(ended),
        bytes: gib << 30,
    })
}

fn state(stage: JobStage, tail: &str, found: RestoreResults) -> RestoreState {
    RestoreState { stage, tail: tail.to_owned(), found }
}

fn failed(why: String) -> RestoreState {
    let found = RestoreResults { failed: Some(why.clone()), ..RestoreResults::default() };
    state(JobStage::Ended { exit: 1 }, &why, found)
}

fn status(db: &DbInstance) -> &str {
    db.db_instance_status().unwrap_or("unknown")
}

fn is_broken(db: &DbInstance) -> bool {
    BROKEN.contains(&status(db)) || status(db).starts_with("incompatible-")
}

/// A copy that is being created.
fn made(db: Option<&DbInstance>, copy: &str) -> RestoreState {
    let Some(db) = db else { return state(JobStage::None, "", RestoreResults::default()) };
    let status = status(db);
    // An instance has its tags from the start, so one without this tag is not drctl's.
    if !is_copy(db, copy) {
        return failed(format!("{copy} exists but has no tag {COPY_TAG}={copy}, so drctl did not make it"));
    }
    if is_broken(db) {
        return failed(format!("RDS reports the status of {copy} as `{status}`"));
    }
    match SERVING.contains(&status) {
        true => {
            let remarks = vec!["RDS does not report the log position of the copy, so drctl relies on the time that RDS reports".to_owned()];
            let done = RestoreResults { remarks, ..RestoreResults::default() };
            state(JobStage::Ended { exit: 0 }, status, done)
        }
        false => state(JobStage::Running, status, RestoreResults::default()),
    }
}

/// A copy that takes the name of the live instance.
fn swapped(all: &BTreeMap<String, DbInstance>, name: &str, copy: &str) -> RestoreState {
    match (all.get(name), all.get(copy)) {
        (Some(db), None) | (_, Some(db)) if is_copy(db, copy) && is_broken(db) => {
            failed(format!("RDS reports the status of the copy as `{}`", status(db)))
        }
        // The copy has the new name and serves.
        (Some(db), None) if is_copy(db, copy) && SERVING.contains(&status(db)) => {
            state(JobStage::Ended { exit: 0 }, status(db), RestoreResults::default())
        }
        (Some(db), None) if is_copy(db, copy) => {
            state(JobStage::Running, status(db), RestoreResults::default())
        }
        (None, Some(db)) if SERVING.contains(&status(db)) => {
            state(JobStage::None, "", RestoreResults::default())
        }
        (Some(_), Some(_)) => state(JobStage::None, "both names are taken", RestoreResults::default()),
        (_, Some(db)) => state(JobStage::Running, status(db), RestoreResults::default()),
        (Some(_), None) => failed(format!("{copy} no longer exists, and {name} is a different instance")),
        (None, None) => state(JobStage::Running, "neither name exists", RestoreResults::default()),
    }
}

/// A copy that is being deleted. The proof is that RDS no longer knows it.
fn destroyed(db: Option<&DbInstance>, copy: &str) -> RestoreState {
    let Some(db) = db else {
        let folder = format!("DB instance {copy}");
        let found = RestoreResults {
            destroyed: Some(Destroyed { folder, files: 0, bytes: 0 }),
            ..RestoreResults::default()
        };
        return state(JobStage::Ended { exit: 0 }, "gone", found);
    };
    match status(db) {
        "deleting" => state(JobStage::Running, "deleting", RestoreResults::default()),
        _ => state(JobStage::None, "", RestoreResults::default()),
    }
}

/// The instances that a part needs to observe.
pub(super) fn names(target: &Target) -> Vec<&str> {
    match target {
        Target::Restore { db, part: RestoreJob::Swap | RestoreJob::Revert, copy: Some(copy), .. } => {
            vec![&db.id, copy]
        }
        Target::Restore { copy: Some(copy), .. } => vec![copy],
        other => id_of_instance(other).into_iter().collect(),
    }
}
