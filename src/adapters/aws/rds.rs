//! RDS: instances with a cross-region read replica.
//!
//! Source: Amazon RDS API Reference (`DescribeDBInstances`, `PromoteReadReplica`, `ModifyDBInstance`). Deliberately absent:
//! `StopDBInstance`. AWS refuses it while a replica exists, and starts the instance again after seven days.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_rds::types::{DbInstance, Filter};
use futures_util::future::join;

use super::error::Failure;
use super::groups::Rules;
use super::instances::{alike, built, id_of_instance, missing, tags};
use super::restarts::Restarts;
use super::{Aws, restore};
use crate::inventory::Observation;
use crate::kinds::shared::database::{
    AliveState, DatabaseRef, DatabaseRole, DatabaseState, Engine, InstanceSettings,
};
use crate::kinds::shared::fence::Fence;
use crate::kinds::shared::rejoin::NewReplica;
use crate::kinds::shared::restart::{Groups, Restart};
use crate::kinds::shared::restore::COPY_TAG;
use crate::kinds::{State, Target};
use crate::model::place::Place;
use crate::model::time::Timestamp;

/// Instances in one describe: the largest page.
const PAGE: usize = 100;

impl Aws {
    /// Observes databases and fences by security group, with one describe call for all.
    pub(super) async fn databases(&self, place: &Place, targets: &[&Target]) -> Vec<Observation> {
        let ids: BTreeSet<&str> = targets.iter().flat_map(|t| restore::names(t)).collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let found = self.describe_databases(place, &ids).await;
        let (restarts, rules) = match &found {
            Ok(all) => {
                let fenced = fenced(targets, all);
                join(self.restarts(place, &fenced), self.group_rules(place, targets)).await
            }
            // A service that did not answer is asked nothing more.
            Err(_) => (Ok(Restarts::new()), Ok(Rules::new())),
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
                Target::Fence { db: of, restart, .. } => match &restarts {
                    Ok(restarts) => {
                        self.fence_by_group((of, db), *restart, restarts.get(&of.id).copied(), &rules)
                    }
                    // Before the group is the only one, the times of restarts do not matter yet; but the permission to read them
                    // does.
                    Err(failure) if !failure.is_final() && !is_alone(db, of) => {
                        self.fence_by_group((of, db), *restart, None, &rules)
                    }
                    Err(failure) => failure.clone().observation(self.now()),
                },
                _ => self.seen(State::Database(self.database(db)), "rds:DescribeDBInstances"),
            }
        };
        targets.iter().map(look).collect()
    }

    /// Every instance of a region.
    pub(super) async fn all_databases(&self, place: &Place) -> Result<BTreeMap<String, DbInstance>, Failure> {
        let site = self.site(place).await;
        let call = |from| site.rds().describe_db_instances().set_marker(from).send();
        let pages = self.pages("rds", place, call, |page| page.marker()).await?;
        Ok(pages.iter().flat_map(|page| by_id(page.db_instances())).collect())
    }

    /// Whether the service answers in a region: a single attempt, with the smallest page. An error answer counts too.
    pub(super) async fn alive(&self, place: &Place) -> Observation {
        let site = self.site(place).await;
        let call = site.rds_sign().describe_db_instances().max_records(20).send();
        let who = format!("RDS in {}", place.region);
        match self.once("rds", place, call).await {
            Ok(_) => self.seen(State::Alive(AliveState { who }), "rds:DescribeDBInstances"),
            Err(failure @ Failure::Code { status, .. }) if status < 500 || failure.is_final() => {
                self.seen(State::Alive(AliveState { who }), "rds:DescribeDBInstances")
            }
            Err(failure) => failure.observation(self.now()),
        }
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
            fence_token: None,
            follows: None,
            endpoint: endpoint(db),
            endpoint_mismatch: false,
            advice: Vec::new(),
            unreplicated: Vec::new(),
            synced_slots: None,
            instance: Some(Box::new(settings(db))),
            cluster: None,
        }
    }

    /// The fence's state. It is proven if the fence's group is the only one, active and without rules, and a restart ended every
    /// earlier session.
    fn fence_by_group(
        &self,
        (of, db): (&DatabaseRef, &DbInstance),
        restart: Restart,
        newest: Option<Timestamp>,
        rules: &Result<Rules, Failure>,
    ) -> Observation {
        let replica = db.read_replica_source_db_instance_identifier().is_some_and(|s| !s.is_empty());
        let reached = restart.stage(groups(db, of), newest);
        self.group_fence(of, reached, (rules, attached(db)), (replica, "rds:DescribeDBInstances"))
    }

    /// The next call of a fence by security group: first attach the group. When it is active and alone, restart, to end the
    /// sessions that the group leaves open (AWS, VPC User Guide, «Security group connection tracking»).
    pub(super) async fn isolate(&self, fence: &Fence) -> Result<Option<String>, Failure> {
        if fence.db.engine == Engine::Aurora {
            return Box::pin(self.isolate_cluster(fence)).await;
        }
        let (db, place) = (&fence.db, &fence.db.place);
        let Some(group) = &db.fence_group else {
            return Err(Failure::never("NoFenceGroup", "the plan names no `fence_group` for this instance"));
        };
        let found = self.describe_databases(place, &[&db.id]).await?;
        let now = found.get(&db.id).ok_or_else(|| missing(&db.id))?;
        if now.read_replica_source_db_instance_identifier().is_some_and(|s| !s.is_empty()) {
            let why = "it is now a replica, which takes no writes, so drctl does not fence it";
            return Err(Failure::never("Replica", why));
        }
        match groups(now, db) {
            // A restart ends sessions for good only after the group rejects new ones.
            Groups::Alone => self.restart(place, &db.id).await,
            Groups::Changing if is_alone(now, db) => Err(changing(&db.id)),
            _ if let Some(regrouped) = regrouped(fence, &attached(now)) => Err(regrouped),
            _ => self.set_groups(db, std::slice::from_ref(group)).await,
        }
    }

    /// Attaches the groups that were attached before the fence.
    pub(super) async fn reopen(&self, fence: &Fence) -> Result<Option<String>, Failure> {
        if !fence.admits(fence.groups_before.iter()) {
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
        // Groups apply immediately in any case. `ApplyImmediately` would also start upgrades that wait for their maintenance
        // window.
        let call = site
            .rds()
            .modify_db_instance()
            .db_instance_identifier(&db.id)
            .set_vpc_security_group_ids(Some(groups.to_vec()))
            .send();
        self.once("rds", &db.place, call).await.map(|_| None)
    }

    /// Promotes a replica. It is complete when it has no source and is `available`.
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

    /// Renames an instance immediately. It is complete when the instance is found under the new name.
    pub(super) async fn rename(&self, db: &DatabaseRef, to: &str) -> Result<Option<String>, Failure> {
        let site = self.site(&db.place).await;
        // A rename needs it. It also applies every other change that waits for the maintenance window (Amazon RDS User Guide,
        // «Renaming»).
        let call = site
            .rds()
            .modify_db_instance()
            .db_instance_identifier(&db.id)
            .new_db_instance_identifier(to)
            .apply_immediately(true)
            .send();
        self.once("rds", &db.place, call).await.map(|_| None)
    }

    /// Creates a read replica. It is complete when it replicates that source, and serves.
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

/// The settings from which a similar instance is created.
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
        // Only AWS may set tags that begin with `aws:`. The copy tag has the name under which an instance was created.
        tags: tags(db).into_iter().filter(|(k, _)| !k.starts_with("aws:") && k != COPY_TAG).collect(),
    }
}

pub(super) fn by_id(all: &[DbInstance]) -> impl Iterator<Item = (String, DbInstance)> {
    all.iter().filter_map(|db| Some((db.db_instance_identifier()?.to_owned(), db.clone())))
}

/// Instances whose restarts are read. A fence whose proof cannot be read should not be started.
fn fenced<'t>(targets: &[&'t Target], all: &BTreeMap<String, DbInstance>) -> BTreeSet<&'t str> {
    let asked = targets.iter().filter_map(|target| match target {
        Target::Fence { db, .. } => all.get(&db.id).map(|_| db.id.as_str()),
        _ => None,
    });
    asked.collect()
}

fn groups(db: &DbInstance, of: &DatabaseRef) -> Groups {
    let settled = db.vpc_security_groups().iter().all(|g| g.status() == Some("active"))
        && !matches!(db.db_instance_status(), Some("rebooting" | "modifying"));
    match (settled, is_alone(db, of)) {
        (false, _) => Groups::Changing,
        (true, true) => Groups::Alone,
        (true, false) => Groups::Others,
    }
}

/// The security groups of the fence are still changing. Nothing is requested from the instance until then.
pub(super) fn changing(id: &str) -> Failure {
    Failure::Code {
        code: "InvalidDBInstanceState".to_owned(),
        call: String::new(),
        why: format!(
            "the security groups of {id} are changing. drctl restarts it once only the group of the fence is active"
        ),
        status: 400,
    }
}

/// Somebody changed the security groups after they were read. They are read again before the next call, so that an undo restores them.
pub(super) fn regrouped(fence: &Fence, now: &BTreeSet<String>) -> Option<Failure> {
    let before: BTreeSet<_> = fence.groups_before.iter().cloned().collect();
    let words = |of: &BTreeSet<String>| of.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let (id, was, is) = (&fence.db.id, words(&before), words(now));
    let changed = fence.admits(now.iter()) && *now != before;
    changed.then(|| Failure::Code {
        code: "InvalidDBInstanceState".to_owned(),
        call: String::new(),
        why: format!(
            "the security groups of {id} are {is}, but they were {was} when drctl read them. It reads them again"
        ),
        status: 400,
    })
}

/// Whether the fence's security group is the only one.
fn is_alone(now: &DbInstance, of: &DatabaseRef) -> bool {
    of.fence_group.as_ref().is_some_and(|group| attached(now) == BTreeSet::from([group.clone()]))
}

/// Security groups that are attached or being attached.
fn attached(db: &DbInstance) -> BTreeSet<String> {
    let stays = db.vpc_security_groups().iter().filter(|g| g.status() != Some("removing"));
    stays.filter_map(|g| g.vpc_security_group_id().map(str::to_owned)).collect()
}

fn endpoint(db: &DbInstance) -> Option<String> {
    let at = db.endpoint()?;
    Some(format!("{}:{}/{}", at.address()?, at.port().unwrap_or(5432), db.db_name().unwrap_or_default()))
}
