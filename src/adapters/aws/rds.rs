//! RDS: instances with a cross-region read replica.
//!
//! Sources: Amazon RDS API Reference (`DescribeDBInstances`, `PromoteReadReplica`, `ModifyDBInstance`, `RebootDBInstance`,
//! `DescribeEvents`) and Amazon RDS User Guide, «Amazon RDS event categories and event messages» (RDS-EVENT-0006).
//! Deliberately absent: `StopDBInstance`. AWS refuses it while a replica exists, and starts the instance again after seven days.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_rds::types::{DbInstance, Filter, SourceType, Tag};

use super::error::Failure;
use super::{Aws, restore};
use crate::inventory::Observation;
use crate::model::action::{Fence, NewReplica};
use crate::model::place::Place;
use crate::model::restore::COPY_TAG;
use crate::model::state::{DatabaseRole, DatabaseState, FenceStage, FenceState, InstanceSettings, State};
use crate::model::target::{DatabaseRef, Engine, Target};
use crate::model::time::{Dur, Timestamp};

/// Instances in one describe: the largest page.
const PAGE: usize = 100;
/// How far back restarts are looked for, in minutes: more than a restart and the delay of its event take.
const EVENTS_MINUTES: i32 = 60;
/// Instances up to which the events of each are asked for by themselves.
const FEW: usize = 5;
/// How far RDS's clock may be behind this machine's for a restart to count.
pub(super) const SKEW: Dur = Dur::mins(1);

/// What every call that creates an instance says of it, so that it is like another one.
macro_rules! alike {
    ($call:expr, $like:expr, $groups:expr) => {
        $call
            .db_instance_class(&$like.class)
            .set_vpc_security_group_ids(Some($groups.to_vec()))
            .set_db_subnet_group_name($like.subnet_group.clone())
            .set_storage_type($like.storage.clone())
            .set_iops($like.creation_iops())
            .set_port($like.port)
            .multi_az($like.multi_az)
            .publicly_accessible($like.public)
            .enable_iam_database_authentication($like.iam_logins)
    };
}
pub(super) use alike;

impl Aws {
    /// Looks at databases and at fences by security group, with one describe for all.
    pub(super) async fn databases(&self, place: &Place, targets: &[&Target]) -> Vec<Observation> {
        let ids: BTreeSet<&str> = targets.iter().flat_map(|t| restore::names(t)).collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let found = self.describe_databases(place, &ids).await;
        let restarts = match &found {
            Ok(all) => self.restarts(place, targets, all).await,
            Err(_) => Ok(BTreeMap::new()),
        };
        let look = |target: &&Target| {
            let all = match &found {
                Ok(all) => all,
                Err(failure) => return failure.clone().observation(self.now()),
            };
            if matches!(target, Target::Restore { .. }) {
                return self.restoring(target, all);
            }
            let Some(db) = id_of_instance(target).and_then(|id| all.get(id)) else {
                return Observation::NotFound { observed_at: self.now() };
            };
            match target {
                Target::Fence { db: of, mark, .. } => match &restarts {
                    Ok(restarts) => self.fence_by_group(of, db, mark.as_deref(), restarts.get(&of.id)),
                    Err(failure) => failure.clone().observation(self.now()),
                },
                _ => self.seen(State::Database(self.database(db)), "rds:DescribeDBInstances"),
            }
        };
        targets.iter().map(look).collect()
    }

    /// When each instance that has only its fence's group last restarted, in milliseconds of RDS's own clock.
    async fn restarts(
        &self,
        place: &Place,
        targets: &[&Target],
        all: &BTreeMap<String, DbInstance>,
    ) -> Result<BTreeMap<String, i64>, Failure> {
        let isolated = |target: &&&Target| match target {
            Target::Fence { db, .. } => all.get(&db.id).is_some_and(|now| is_alone(now, db)),
            _ => false,
        };
        let ids: BTreeSet<&str> = targets.iter().filter(isolated).filter_map(|t| id_of_instance(t)).collect();
        let asks: Vec<Option<&str>> = match ids.len() {
            0 => Vec::new(),
            1..=FEW => ids.into_iter().map(Some).collect(),
            // Of many instances the events of all are read at once.
            _ => vec![None],
        };
        let mut found = BTreeMap::new();
        for ask in asks {
            found.extend(self.restart_events(place, ask).await?);
        }
        Ok(found)
    }

    pub(super) async fn restart_events(
        &self,
        place: &Place,
        id: Option<&str>,
    ) -> Result<BTreeMap<String, i64>, Failure> {
        let site = self.site(place).await;
        let call = |from| {
            site.rds()
                .describe_events()
                .set_source_identifier(id.map(str::to_owned))
                .source_type(SourceType::DbInstance)
                .event_categories("availability")
                .duration(EVENTS_MINUTES)
                .set_marker(from)
                .send()
        };
        let pages = self.pages("rds", place, call, |page| page.marker()).await?;
        let mut newest: BTreeMap<String, i64> = BTreeMap::new();
        for event in pages.iter().flat_map(|page| page.events()) {
            let restarted = event.message().is_some_and(|m| m.to_ascii_lowercase().contains("restarted"));
            let at = event.date().and_then(|d| d.to_millis().ok());
            if let (true, Some(of), Some(at)) = (restarted, event.source_identifier(), at) {
                let last = newest.entry(of.to_owned()).or_insert(at);
                *last = at.max(*last);
            }
        }
        Ok(newest)
    }

    /// Every instance of a region.
    pub(super) async fn all_databases(&self, place: &Place) -> Result<BTreeMap<String, DbInstance>, Failure> {
        let site = self.site(place).await;
        let call = |from| site.rds().describe_db_instances().set_marker(from).send();
        let pages = self.pages("rds", place, call, |page| page.marker()).await?;
        Ok(pages.iter().flat_map(|page| by_id(page.db_instances())).collect())
    }

    pub(super) async fn describe_databases(
        &self,
        place: &Place,
        ids: &[&str],
    ) -> Result<BTreeMap<String, DbInstance>, Failure> {
        let site = self.site(place).await;
        let mut found = BTreeMap::new();
        if let [id] = ids {
            let call = || site.rds().describe_db_instances().db_instance_identifier(*id).send();
            match self.look("rds", place, call).await {
                Ok(page) => found.extend(by_id(page.db_instances())),
                Err(failure) if failure.is_not_found() => {}
                Err(failure) => return Err(failure),
            }
            return Ok(found);
        }
        for some in ids.chunks(PAGE) {
            let filter = Filter::builder().name("db-instance-id");
            let filter = some.iter().fold(filter, |f, id| f.values(*id)).build();
            let call = || {
                let page = i32::try_from(PAGE).unwrap_or(100);
                site.rds().describe_db_instances().filters(filter.clone()).max_records(page).send()
            };
            found.extend(by_id(self.look("rds", place, call).await?.db_instances()));
        }
        Ok(found)
    }

    fn database(&self, db: &DbInstance) -> DatabaseState {
        let source = db.read_replica_source_db_instance_identifier().filter(|s| !s.is_empty());
        let restorable = db.latest_restorable_time().and_then(|t| t.to_millis().ok());
        DatabaseState {
            role: source.map_or(DatabaseRole::Writer, |s| DatabaseRole::Replica { source: s.to_owned() }),
            status: db.db_instance_status().unwrap_or("unknown").to_owned(),
            last_commit: None,
            last_commit_there: None,
            clock: None,
            last_commit_source: None,
            backup_age_ms: restorable.map(|t| self.now().since(Timestamp::from_millis(t))),
            security_groups: attached(db),
            lineage: None,
            wal: None,
            streaming: None,
            fence_word: None,
            follows: None,
            endpoint: endpoint(db),
            misled: false,
            advice: Vec::new(),
            instance: Some(Box::new(settings(db))),
            cluster: None,
        }
    }

    /// Whether the fence's group is the only one, active, and every session from before it was ended by a restart.
    fn fence_by_group(
        &self,
        of: &DatabaseRef,
        db: &DbInstance,
        mark: Option<&str>,
        restarted: Option<&i64>,
    ) -> Observation {
        let fence = of.fence_group.as_deref().unwrap_or_default();
        let answer = |stage, proof: &str, mark: Option<String>| FenceState {
            proven: stage == FenceStage::Proven,
            proof: proof.to_owned(),
            last_commit: None,
            last_commit_there: None,
            clock: None,
            wal: None,
            word: None,
            replica: db.read_replica_source_db_instance_identifier().is_some_and(|s| !s.is_empty()),
            stage,
            mark,
        };
        let settled = db.vpc_security_groups().iter().all(|g| g.status() == Some("active"))
            && !matches!(db.db_instance_status(), Some("rebooting" | "modifying"));
        let state = match (is_alone(db, of), settled) {
            (false, true) => answer(FenceStage::Open, "other security groups are attached", None),
            (_, false) => answer(FenceStage::UnderWay, "groups or instance are changing", None),
            (true, true) => {
                let last = restarted.copied().unwrap_or(0);
                if mark.and_then(|mark| mark.parse().ok()).is_some_and(|mark: i64| last > mark) {
                    let proof = format!(
                        "only {fence} is attached and active, and the instance restarted after that, which ended every session"
                    );
                    answer(FenceStage::Proven, &proof, None)
                } else {
                    // RDS may show an older restart late, so one from long before the call proves nothing either way.
                    let mark = last.max((self.world.shown() - SKEW).millis());
                    let proof = "only the fence's group is attached; older sessions may live";
                    answer(FenceStage::Half, proof, Some(mark.to_string()))
                }
            }
        };
        self.seen(State::Fence(state), "rds:DescribeDBInstances, rds:DescribeEvents")
    }

    /// The next call of a fence by security group: the group first; when it is active and alone, a restart that ends the
    /// sessions which the group leaves open (AWS, VPC User Guide, «Security group connection tracking»).
    pub(super) async fn isolate(&self, fence: &Fence) -> Result<Option<String>, Failure> {
        if fence.db.engine == Engine::Aurora {
            return Box::pin(self.isolate_cluster(fence)).await;
        }
        let (db, place) = (&fence.db, &fence.db.place);
        let Some(group) = &db.fence_group else {
            return Err(Failure::never("NoFenceGroup", "the plan names no `fence_group` for this instance"));
        };
        let site = self.site(place).await;
        let found = self.describe_databases(place, &[&db.id]).await?;
        let now = found.get(&db.id).ok_or_else(|| missing(&db.id))?;
        if now.read_replica_source_db_instance_identifier().is_some_and(|s| !s.is_empty()) {
            let why =
                "it is a replica by now: what replays another server takes no writes, and is not fenced";
            return Err(Failure::never("Replica", why));
        }
        if attached(now) == BTreeSet::from([group.clone()]) {
            let call = site.rds().reboot_db_instance().db_instance_identifier(&db.id).send();
            self.once("rds", place, call).await?;
            return Ok(None);
        }
        self.set_groups(db, std::slice::from_ref(group)).await
    }

    /// Attaches the groups that were attached before the fence.
    pub(super) async fn reopen(&self, fence: &Fence) -> Result<Option<String>, Failure> {
        if fence.groups_before.is_empty() {
            let why = "the groups from before the fence are not known; attach them by hand";
            return Err(Failure::never("NoGroups", why));
        }
        self.set_groups(&fence.db, &fence.groups_before).await
    }

    async fn set_groups(&self, db: &DatabaseRef, groups: &[String]) -> Result<Option<String>, Failure> {
        if db.engine == Engine::Aurora {
            return Box::pin(self.set_cluster_groups(db, groups)).await;
        }
        let site = self.site(&db.place).await;
        // Groups are applied at once in any case; `ApplyImmediately` would also start upgrades that wait for their window.
        let call = site
            .rds()
            .modify_db_instance()
            .db_instance_identifier(&db.id)
            .set_vpc_security_group_ids(Some(groups.to_vec()))
            .send();
        self.once("rds", &db.place, call).await.map(|_| None)
    }

    /// Makes a replica a writer. Done is when it has no source any more and is `available`.
    pub(super) async fn promote(
        &self,
        db: &DatabaseRef,
        backup_days: Option<u32>,
    ) -> Result<Option<String>, Failure> {
        let site = self.site(&db.place).await;
        let call = site
            .rds()
            .promote_read_replica()
            .db_instance_identifier(&db.id)
            .set_backup_retention_period(backup_days.and_then(|d| i32::try_from(d).ok()))
            .send();
        self.once("rds", &db.place, call).await.map(|_| None)
    }

    /// Gives an instance another name, at once. Done is when it is found under that one.
    pub(super) async fn rename(&self, db: &DatabaseRef, to: &str) -> Result<Option<String>, Failure> {
        let site = self.site(&db.place).await;
        // A rename needs it; whatever else waits for the maintenance window is applied with it (Amazon RDS User Guide, «Renaming»).
        let call = site
            .rds()
            .modify_db_instance()
            .db_instance_identifier(&db.id)
            .new_db_instance_identifier(to)
            .apply_immediately(true)
            .send();
        self.once("rds", &db.place, call).await.map(|_| None)
    }

    /// Creates a read replica. Done is when it is one of that source, and serves.
    pub(super) async fn create_replica(
        &self,
        db: &DatabaseRef,
        replica: &NewReplica,
    ) -> Result<Option<String>, Failure> {
        let site = self.site(&db.place).await;
        let like = &replica.like;
        let call = site
            .rds()
            .create_db_instance_read_replica()
            .db_instance_identifier(&db.id)
            .source_db_instance_identifier(&replica.source_arn)
            .set_db_parameter_group_name(like.creation_parameters().cloned())
            .set_kms_key_id(like.creation_key(&replica.source_arn).cloned())
            .set_deletion_protection(like.protected.then_some(true))
            .set_tags(Some(built(&like.tags)));
        let call = alike!(call, like, &replica.security_groups);
        self.once("rds", &db.place, call.send()).await.map(|_| None)
    }
}

pub(super) fn built(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(k, v)| Tag::builder().key(k).value(v).build()).collect()
}

/// What another instance like it is made from.
fn settings(db: &DbInstance) -> InstanceSettings {
    let text = |t: Option<&str>| t.filter(|t| !t.is_empty()).map(str::to_owned);
    let parameters = db.db_parameter_groups().first();
    InstanceSettings {
        arn: db.db_instance_arn().unwrap_or_default().to_owned(),
        engine: db.engine().unwrap_or_default().to_owned(),
        version: db.engine_version().unwrap_or_default().to_owned(),
        class: db.db_instance_class().unwrap_or_default().to_owned(),
        subnet_group: text(db.db_subnet_group().and_then(|g| g.db_subnet_group_name())),
        parameter_group: text(parameters.and_then(|g| g.db_parameter_group_name())),
        kms_key: text(db.kms_key_id()).filter(|_| db.storage_encrypted() == Some(true)),
        storage: text(db.storage_type()),
        iops: db.iops(),
        port: db.endpoint().and_then(|e| e.port()),
        multi_az: db.multi_az().unwrap_or(false),
        public: db.publicly_accessible().unwrap_or(false),
        backup_days: db.backup_retention_period().and_then(|d| u32::try_from(d).ok()).unwrap_or(0),
        iam_logins: db.iam_database_authentication_enabled().unwrap_or(false),
        protected: db.deletion_protection().unwrap_or(false),
        managed_password: db.master_user_secret().is_some(),
        // Nobody but AWS may set its own; a copy of a copy has another first name.
        tags: tags(db).into_iter().filter(|(k, _)| !k.starts_with("aws:") && k != COPY_TAG).collect(),
    }
}

pub(super) fn tags(db: &DbInstance) -> BTreeMap<String, String> {
    let tag = |t: &Tag| Some((t.key()?.to_owned(), t.value().unwrap_or_default().to_owned()));
    db.tag_list().iter().filter_map(tag).collect()
}

pub(super) fn id_of_instance(target: &Target) -> Option<&str> {
    match target {
        Target::Database(db) | Target::Fence { db, .. } => Some(&db.id),
        _ => None,
    }
}

pub(super) fn by_id(all: &[DbInstance]) -> impl Iterator<Item = (String, DbInstance)> {
    all.iter().filter_map(|db| Some((db.db_instance_identifier()?.to_owned(), db.clone())))
}

/// Whether the fence's group is the only one.
fn is_alone(now: &DbInstance, of: &DatabaseRef) -> bool {
    of.fence_group.as_ref().is_some_and(|group| attached(now) == BTreeSet::from([group.clone()]))
}

/// Groups that are attached or about to be.
fn attached(db: &DbInstance) -> BTreeSet<String> {
    let stays = db.vpc_security_groups().iter().filter(|g| g.status() != Some("removing"));
    stays.filter_map(|g| g.vpc_security_group_id().map(str::to_owned)).collect()
}

fn endpoint(db: &DbInstance) -> Option<String> {
    let at = db.endpoint()?;
    Some(format!("{}:{}/{}", at.address()?, at.port().unwrap_or(5432), db.db_name().unwrap_or_default()))
}

pub(super) fn missing(id: &str) -> Failure {
    Failure::Code { code: "DBInstanceNotFound".to_owned(), why: format!("{id} does not exist"), status: 404 }
}
