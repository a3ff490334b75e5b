//! Aurora global databases: clusters in several regions, one of which takes writes.
//!
//! Sources: Amazon RDS API Reference (`DescribeGlobalClusters`, `DescribeDBClusters`, `SwitchoverGlobalCluster`,
//! `FailoverGlobalCluster`, `CreateDBInstance`) and Amazon Aurora User Guide, «Using switchover or failover in an Amazon Aurora
//! global database». Every call goes to the region of the cluster: the region of a secondary knows the writer even if the
//! writer's is dark.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_rds::types::{
    DbCluster, DbInstance, FailoverStatus, Filter, GlobalCluster, GlobalClusterMember,
    GlobalClusterMemberSynchronizationStatus, LocalWriteForwardingStatus, WriteForwardingStatus,
};
use futures_util::future::{join, join_all};

use super::error::Failure;
use super::groups::Rules;
use super::restarts::Restarts;
use super::{Aws, instances, rds};
use crate::inventory::Observation;
use crate::kinds::aws::rds::SERVING;
use crate::kinds::shared::database::{
    ClusterInstance, ClusterState, DatabaseRef, DatabaseRole, DatabaseState, Engine, HEADLESS, NewMember,
};
use crate::kinds::shared::fence::{Fence, FenceStage};
use crate::kinds::shared::promotion::{Handover, Takeover};
use crate::kinds::shared::restart::{Groups, Restart};
use crate::kinds::{State, Target};
use crate::model::place::Place;
use crate::model::time::Timestamp;

/// The answers of one place.
struct PlaceAnswers {
    clusters: BTreeMap<String, DbCluster>,
    instances: BTreeMap<String, DbInstance>,
    globals: BTreeMap<String, Result<GlobalCluster, Failure>>,
    /// When the writer instances last restarted, if that was requested.
    restarts: Result<Restarts, Failure>,
    /// The rules of the groups that fences attach.
    rules: Result<Rules, Failure>,
}

impl Aws {
    /// Observes instances and clusters of one place with as few calls as possible.
    pub(super) async fn stores(&self, place: &Place, targets: &[&Target]) -> Vec<Observation> {
        let is_cluster = |t: &&&Target| cluster_of(t).is_some();
        let clusters: Vec<&Target> = targets.iter().filter(is_cluster).copied().collect();
        let instances: Vec<&Target> = targets.iter().filter(|t| !is_cluster(t)).copied().collect();
        let (of_clusters, of_instances) = futures_util::future::join(
            async {
                if clusters.is_empty() { Vec::new() } else { Box::pin(self.clusters(place, &clusters)).await }
            },
            async {
                if instances.is_empty() {
                    Vec::new()
                } else {
                    Box::pin(self.databases(place, &instances)).await
                }
            },
        )
        .await;
        let (mut of_clusters, mut of_instances) = (of_clusters.into_iter(), of_instances.into_iter());
        let next = |t: &&Target| if is_cluster(&t) { of_clusters.next() } else { of_instances.next() };
        targets.iter().filter_map(next).collect()
    }

    async fn clusters(&self, place: &Place, targets: &[&Target]) -> Vec<Observation> {
        match self.see_clusters(place, targets).await {
            Ok(seen) => targets.iter().map(|t| self.cluster(t, &seen)).collect(),
            Err(failure) => targets.iter().map(|_| failure.clone().observation(self.now())).collect(),
        }
    }

    async fn see_clusters(&self, place: &Place, targets: &[&Target]) -> Result<PlaceAnswers, Failure> {
        let of: Vec<&DatabaseRef> = targets.iter().filter_map(|t| cluster_of(t)).collect();
        let ids: BTreeSet<&str> = of.iter().map(|db| db.id.as_str()).collect();
        let names: BTreeSet<&str> = of.iter().filter_map(|db| db.global.as_deref()).collect();
        let (clusters, instances, globals) = futures_util::future::join3(
            Box::pin(self.describe_clusters(place, &ids)),
            Box::pin(self.describe_members(place, &ids)),
            join_all(names.iter().map(|name| Box::pin(self.describe_global(place, name)))),
        )
        .await;
        let clusters = clusters?;
        let asked =
            targets.iter().filter(|t| matches!(t, Target::Fence { .. })).filter_map(|t| cluster_of(t));
        let writers: BTreeSet<&str> =
            asked.filter_map(|db| clusters.get(&db.id).and_then(writes_within)).collect();
        let (restarts, rules) = join(self.restarts(place, &writers), self.group_rules(place, targets)).await;
        let globals = names.iter().map(|n| (*n).to_owned()).zip(globals).collect();
        Ok(PlaceAnswers { clusters, instances: instances?, globals, restarts, rules })
    }

    async fn describe_clusters(
        &self,
        place: &Place,
        ids: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, DbCluster>, Failure> {
        let site = self.site(place).await;
        let filter = filter("db-cluster-id", ids);
        let call = |from| site.rds().describe_db_clusters().filters(filter.clone()).set_marker(from).send();
        let pages = self.pages("rds", place, call, |page| page.marker()).await?;
        let each = |c: &DbCluster| Some((c.db_cluster_identifier()?.to_owned(), c.clone()));
        Ok(pages.iter().flat_map(|page| page.db_clusters()).filter_map(each).collect())
    }

    async fn describe_members(
        &self,
        place: &Place,
        ids: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, DbInstance>, Failure> {
        let site = self.site(place).await;
        let filter = filter("db-cluster-id", ids);
        let call = |from| site.rds().describe_db_instances().filters(filter.clone()).set_marker(from).send();
        let pages = self.pages("rds", place, call, |page| page.marker()).await?;
        Ok(pages.iter().flat_map(|page| rds::by_id(page.db_instances())).collect())
    }

    async fn describe_global(&self, place: &Place, name: &str) -> Result<GlobalCluster, Failure> {
        let site = self.site(place).await;
        let call = || site.rds().describe_global_clusters().global_cluster_identifier(name).send();
        let found = self.look("rds", place, call).await?;
        let missing = || Failure::Code {
            code: "GlobalClusterNotFoundFault".to_owned(),
            call: String::new(),
            why: format!("the answer does not contain {name}"),
            status: 404,
        };
        found.global_clusters().first().cloned().ok_or_else(missing)
    }

    fn cluster(&self, target: &Target, seen: &PlaceAnswers) -> Observation {
        let Some(db) = cluster_of(target) else { return self.gone() };
        let Some(cluster) = seen.clusters.get(&db.id) else { return self.gone() };
        let global = db.global.as_deref().and_then(|name| seen.globals.get(name));
        let global = match global {
            Some(Ok(global)) => Some(global),
            Some(Err(failure)) if !failure.is_not_found() => return failure.clone().observation(self.now()),
            _ => None,
        };
        let arn = cluster.db_cluster_arn().unwrap_or_default();
        let is_member = global.is_some_and(|g| member(g, arn).is_some());
        match (target, &seen.restarts) {
            // That no global database lists it as a member does not show whether it writes.
            (Target::Database(_), _) if !is_member => self.stands_alone(db),
            (Target::Fence { .. }, Err(failure)) if failure.is_final() || is_alone(Some(cluster), db) => {
                failure.clone().observation(self.now())
            }
            (Target::Fence { restart, .. }, restarts) => {
                let of = |id: &str| restarts.as_ref().ok().and_then(|all| all.get(id)).copied();
                let newest = writes_within(cluster).and_then(of);
                self.cluster_fence(db, (cluster, global), (*restart, newest), &seen.rules)
            }
            _ => {
                let state = self.cluster_state(cluster, global, &seen.instances);
                self.seen(State::Database(state), "rds:DescribeGlobalClusters, rds:DescribeDBClusters")
            }
        }
    }

    fn stands_alone(&self, db: &DatabaseRef) -> Observation {
        let (name, region) = (db.global.as_deref().unwrap_or_default(), &db.place.region);
        let why = format!(
            "{} is not a member of a global database {name} in {region}. `global_cluster` is misspelt, or somebody removed the cluster (RemoveFromGlobalCluster)",
            db.id
        );
        Observation::Unobservable { since: self.now(), why }
    }

    fn gone(&self) -> Observation {
        Observation::NotFound { observed_at: self.world.now() }
    }

    fn cluster_state(
        &self,
        cluster: &DbCluster,
        global: Option<&GlobalCluster>,
        all: &BTreeMap<String, DbInstance>,
    ) -> DatabaseState {
        let arn = cluster.db_cluster_arn().unwrap_or_default();
        let member = global.and_then(|g| member(g, arn));
        let follows = member.filter(|m| m.is_writer() != Some(true));
        let parts = parts(cluster, all);
        let restorable = cluster.latest_restorable_time().and_then(|t| t.to_millis().ok());
        DatabaseState {
            role: match (follows, global.and_then(writer)) {
                (Some(_), source) => DatabaseRole::Replica { source: source.unwrap_or_default().to_owned() },
                (None, _) => DatabaseRole::Writer,
            },
            status: status(arn, cluster, global, &parts),
            backup_age_ms: restorable.map(|t| self.now().since(Timestamp::from_millis(t))),
            security_groups: attached(cluster),
            streaming: follows.map(connected),
            endpoint: cluster.endpoint().map(|host| {
                let (port, name) = (cluster.port().unwrap_or(5432), cluster.database_name());
                format!("{host}:{port}/{}", name.unwrap_or_default())
            }),
            cluster: Some(Box::new(ClusterState {
                arn: arn.to_owned(),
                engine: cluster.engine().unwrap_or_default().to_owned(),
                version: cluster.engine_version().unwrap_or_default().to_owned(),
                instances: parts,
                forwarding: forwarding(cluster, global),
                data_api: cluster.http_endpoint_enabled() == Some(true),
            })),
            ..DatabaseState::default()
        }
    }

    /// The fence's state. It is proven if the fence's group is the only one, active, and a restart of the writer ended every
    /// session that could write.
    fn cluster_fence(
        &self,
        of: &DatabaseRef,
        (cluster, global): (&DbCluster, Option<&GlobalCluster>),
        (restart, newest): (Restart, Option<Timestamp>),
        rules: &Result<Rules, Failure>,
    ) -> Observation {
        let arn = cluster.db_cluster_arn().unwrap_or_default();
        let replica = global.and_then(|g| member(g, arn)).is_some_and(is_secondary);
        let group = of.fence_group.as_deref().unwrap_or_default();
        let groups = groups(cluster, of);
        let stage = match (restart.stage(groups, newest), ways_around(cluster, global)) {
            _ if groups == Groups::Alone && cluster.db_cluster_members().is_empty() => {
                (FenceStage::Proven, format!("only {group} is attached, and the cluster has no instance"))
            }
            ((FenceStage::Proven, _), Some(around)) => (FenceStage::Ineffective, around),
            (stage, _) => stage,
        };
        self.group_fence(of, stage, (rules, attached(cluster)), (replica, "rds:DescribeDBClusters"))
    }

    /// The next call of a fence by security group: attach the group to the cluster, then restart the writer instance.
    pub(super) async fn isolate_cluster(&self, fence: &Fence) -> Result<Option<String>, Failure> {
        let (db, place) = (&fence.db, &fence.db.place);
        let Some(group) = &db.fence_group else {
            return Err(Failure::never("NoFenceGroup", "the plan names no `fence_group` for this cluster"));
        };
        let target = Target::Database(db.clone());
        let seen = self.see_clusters(place, &[&target]).await?;
        let cluster = seen.clusters.get(&db.id).ok_or_else(|| instances::missing(&db.id))?;
        let arn = cluster.db_cluster_arn().unwrap_or_default();
        let global = db.global.as_deref().and_then(|n| seen.globals.get(n)).and_then(|g| g.as_ref().ok());
        if global.and_then(|g| member(g, arn)).is_some_and(is_secondary) {
            let why = "it is now a secondary, which takes no writes, so drctl does not fence it";
            return Err(Failure::never("Replica", why));
        }
        match groups(cluster, db) {
            // A restart ends sessions for good only after the group rejects new ones.
            Groups::Alone => {}
            Groups::Changing if is_alone(Some(cluster), db) => return Err(rds::changing(&db.id)),
            _ if let Some(regrouped) = rds::regrouped(fence, &attached(cluster)) => return Err(regrouped),
            _ => return self.set_cluster_groups(db, std::slice::from_ref(group)).await,
        }
        let Some(writer) = writes_within(cluster) else {
            return Err(Failure::never("NoWriter", "the cluster has no writer instance"));
        };
        self.restart(place, writer).await
    }

    /// Attaches security groups to a cluster, and thereby to all its instances.
    pub(super) async fn set_cluster_groups(
        &self,
        db: &DatabaseRef,
        groups: &[String],
    ) -> Result<Option<String>, Failure> {
        let site = self.site(&db.place).await;
        let call = site
            .rds()
            .modify_db_cluster()
            .db_cluster_identifier(&db.id)
            .set_vpc_security_group_ids(Some(groups.to_vec()))
            .send();
        self.once("rds", &db.place, call).await.map(|_| None)
    }

    /// Moves the writer. It is complete when the member is the writer, no change is in progress, and the cluster serves.
    pub(super) async fn take_over(&self, how: &Takeover) -> Result<Option<String>, Failure> {
        let site = self.site(&how.at).await;
        match how.by {
            Handover::Switchover => {
                let call = site
                    .rds()
                    .switchover_global_cluster()
                    .global_cluster_identifier(&how.global)
                    .target_db_cluster_identifier(&how.target_arn)
                    .send();
                self.once("rds", &how.at, call).await.map(|_| None)
            }
            Handover::AllowDataLoss => {
                let call = site
                    .rds()
                    .failover_global_cluster()
                    .global_cluster_identifier(&how.global)
                    .target_db_cluster_identifier(&how.target_arn)
                    .allow_data_loss(true)
                    .send();
                self.once("rds", &how.at, call).await.map(|_| None)
            }
        }
    }

    /// Creates an instance in a cluster. Network, security groups and storage come from the cluster.
    pub(super) async fn equip(&self, db: &DatabaseRef, new: &NewMember) -> Result<Option<String>, Failure> {
        let site = self.site(&db.place).await;
        let call = site
            .rds()
            .create_db_instance()
            .db_instance_identifier(&new.id)
            .db_cluster_identifier(&db.id)
            .db_instance_class(&new.class)
            .engine(&new.engine)
            .send();
        self.once("rds", &db.place, call).await.map(|_| None)
    }
}

fn filter(name: &str, values: &BTreeSet<&str>) -> Filter {
    values.iter().fold(Filter::builder().name(name), |f, v| f.values(*v)).build()
}

fn cluster_of(target: &Target) -> Option<&DatabaseRef> {
    match target {
        Target::Database(db) | Target::Fence { db, .. } => Some(db).filter(|db| db.engine == Engine::Aurora),
        _ => None,
    }
}

fn member<'g>(global: &'g GlobalCluster, arn: &str) -> Option<&'g GlobalClusterMember> {
    global.global_cluster_members().iter().find(|m| m.db_cluster_arn() == Some(arn))
}

fn writer(global: &GlobalCluster) -> Option<&str> {
    global.global_cluster_members().iter().find(|m| m.is_writer() == Some(true))?.db_cluster_arn()
}

/// Whether the service has really made it follow the writer, and not only recorded that. A secondary that Aurora must still
/// rebuild may continue to write, because Aurora stops the old writer of a failover only on a best-effort basis (Amazon Aurora
/// User Guide, «Performing managed failovers»).
fn is_secondary(m: &GlobalClusterMember) -> bool {
    m.is_writer() != Some(true) && connected(m)
}

fn connected(m: &GlobalClusterMember) -> bool {
    m.synchronization_status() == Some(&GlobalClusterMemberSynchronizationStatus::Connected)
}

/// Clusters whose sessions may write through their readers: members in other regions, and the cluster itself.
fn forwarding(cluster: &DbCluster, global: Option<&GlobalCluster>) -> Vec<String> {
    let may = |m: &&GlobalClusterMember| matches!(m.global_write_forwarding_status(), Some(s) if *s != WriteForwardingStatus::Disabled);
    let name = |m: &GlobalClusterMember| Some(m.db_cluster_arn()?.rsplit(':').next()?.to_owned());
    let members = global.map(GlobalCluster::global_cluster_members).unwrap_or_default();
    let local = cluster.local_write_forwarding_status();
    let own = local.is_some_and(|s| *s != LocalWriteForwardingStatus::Disabled);
    let own = own.then(|| cluster.db_cluster_identifier().unwrap_or_default().to_owned());
    members.iter().filter(may).filter_map(name).chain(own).collect()
}

/// A way to write that no security group of the cluster blocks, if there is one.
fn ways_around(cluster: &DbCluster, global: Option<&GlobalCluster>) -> Option<String> {
    let from = forwarding(cluster, global);
    if !from.is_empty() {
        let words = "no security group blocks forwarded writes";
        return Some(format!("sessions of {} may write through write forwarding: {words}", from.join(", ")));
    }
    (cluster.http_endpoint_enabled() == Some(true))
        .then(|| "no security group blocks statements over HTTPS (Data API)".to_owned())
}

/// The instance of a cluster that is, or would be, the writer.
fn writes_within(cluster: &DbCluster) -> Option<&str> {
    let members = cluster.db_cluster_members();
    let writer = members.iter().find(|m| m.is_cluster_writer() == Some(true));
    // If there is only one instance, it is the writer.
    writer.or_else(|| members.first().filter(|_| members.len() == 1))?.db_instance_identifier()
}

fn parts(cluster: &DbCluster, all: &BTreeMap<String, DbInstance>) -> Vec<ClusterInstance> {
    let writer = writes_within(cluster);
    let part = |(id, instance): (&String, &DbInstance)| ClusterInstance {
        id: id.clone(),
        class: instance.db_instance_class().unwrap_or_default().to_owned(),
        status: instance.db_instance_status().unwrap_or("unknown").to_owned(),
        writer: writer == Some(id.as_str()),
    };
    let of = |(_, i): &(&String, &DbInstance)| i.db_cluster_identifier() == cluster.db_cluster_identifier();
    all.iter().filter(of).map(part).collect()
}

/// One status for everything that must be in order before a cluster can take over or serve.
fn status(
    arn: &str,
    cluster: &DbCluster,
    global: Option<&GlobalCluster>,
    parts: &[ClusterInstance],
) -> String {
    let moving = global
        .and_then(GlobalCluster::failover_state)
        .filter(|state| [state.from_db_cluster_arn(), state.to_db_cluster_arn()].contains(&Some(arn)));
    if let Some(state) = moving {
        let cancelling = state.status() == Some(&FailoverStatus::Cancelling);
        return match state.is_data_loss_allowed() {
            _ if cancelling => "cancelling".to_owned(),
            Some(true) => "failing-over".to_owned(),
            _ => "switching-over".to_owned(),
        };
    }
    let word = cluster.status().unwrap_or("unknown");
    let serves = parts.iter().any(|i| SERVING.contains(&i.status.as_str()));
    if word == "available" && !serves { HEADLESS.to_owned() } else { word.to_owned() }
}

fn groups(cluster: &DbCluster, of: &DatabaseRef) -> Groups {
    let settled = cluster.vpc_security_groups().iter().all(|g| g.status() == Some("active"));
    match (settled, is_alone(Some(cluster), of)) {
        (false, _) => Groups::Changing,
        (true, true) => Groups::Alone,
        (true, false) => Groups::Others,
    }
}

/// Whether the fence's security group is the only one.
fn is_alone(cluster: Option<&DbCluster>, of: &DatabaseRef) -> bool {
    let (Some(cluster), Some(group)) = (cluster, &of.fence_group) else { return false };
    attached(cluster) == BTreeSet::from([group.clone()])
}

/// Security groups that are attached or being attached.
fn attached(cluster: &DbCluster) -> BTreeSet<String> {
    let stays = cluster.vpc_security_groups().iter().filter(|g| g.status() != Some("removing"));
    stays.filter_map(|g| g.vpc_security_group_id().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A security group blocks network connections and nothing else.
    #[test]
    fn every_way_around_a_group_is_named() {
        let cluster = || DbCluster::builder().db_cluster_identifier("orders-west");
        assert_eq!(ways_around(&cluster().build(), None), None);
        let local = |status| cluster().local_write_forwarding_status(status).build();
        assert_eq!(ways_around(&local(LocalWriteForwardingStatus::Disabled), None), None);
        for status in [LocalWriteForwardingStatus::Enabled, LocalWriteForwardingStatus::Disabling] {
            let words = ways_around(&local(status), None).unwrap();
            assert!(words.contains("sessions of orders-west may write"), "{words}");
        }
        let over_https = cluster().http_endpoint_enabled(true).build();
        assert!(ways_around(&over_https, None).unwrap().contains("Data API"));
        let east = "arn:aws:rds:us-east-1:111122223333:cluster:orders-east";
        let member = |status| {
            GlobalClusterMember::builder().db_cluster_arn(east).global_write_forwarding_status(status)
        };
        let global = |status| GlobalCluster::builder().global_cluster_members(member(status).build()).build();
        let words = ways_around(&cluster().build(), Some(&global(WriteForwardingStatus::Enabling))).unwrap();
        assert!(words.contains("sessions of orders-east may write"), "{words}");
        assert_eq!(ways_around(&cluster().build(), Some(&global(WriteForwardingStatus::Disabled))), None);
    }

    /// A member that is not called a writer may still write for a while.
    #[test]
    fn what_is_yet_to_be_made_anew_is_no_secondary() {
        let member = |writes, status| {
            GlobalClusterMember::builder().is_writer(writes).synchronization_status(status).build()
        };
        assert!(is_secondary(&member(false, GlobalClusterMemberSynchronizationStatus::Connected)));
        assert!(!is_secondary(&member(false, GlobalClusterMemberSynchronizationStatus::PendingResync)));
        assert!(!is_secondary(&member(true, GlobalClusterMemberSynchronizationStatus::Connected)));
    }
}
