//! What is true of a cluster of an Aurora global database because the service runs it.
//!
//! Source: Amazon Aurora User Guide, «Using switchover or failover in an Amazon Aurora global database».

use crate::kinds::aws::aurora::ops::AddClusterInstance;
use crate::kinds::aws::rds::operator::API;
use crate::kinds::aws::rds::published::{CAS, SERVING};
use crate::kinds::operation::Operation;
use crate::kinds::shared::database::certificates::OwnCas;
use crate::kinds::shared::database::cluster::NewMember;
use crate::kinds::shared::database::instance::InstanceSettings;
use crate::kinds::shared::database::operator::{
    CopyOf, HEADLESS, Lacks, Operator, ReplicaOf, SourceBy, StandbyBy, Successor, Unmet,
};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::rejoin::NewReplica;
use crate::kinds::shared::restore::copy::Source;
use crate::model::waiver::Rule;

/// Amazon Aurora.
#[derive(Clone, Copy, Debug)]
pub struct AuroraOperator;

impl Operator for AuroraOperator {
    fn standby_by(&self) -> StandbyBy {
        StandbyBy::Service
    }

    fn hands_over(&self) -> bool {
        true
    }

    fn source_by(&self) -> SourceBy {
        SourceBy::Name
    }

    fn api(&self) -> Option<(&'static str, &'static str)> {
        Some(API)
    }

    fn serves(&self, status: &str) -> bool {
        SERVING.contains(&status)
    }

    fn own_cas(&self) -> Option<&'static OwnCas> {
        Some(&CAS)
    }

    fn promoted_when(&self) -> &'static str {
        "FailoverState is gone AND the member of the target has IsWriter true AND its cluster is available"
    }

    fn withdrawal(&self, _: &str) -> Option<String> {
        None
    }

    fn set_aside(&self, _: &DatabaseRef, _: &str) -> Option<Operation> {
        None
    }

    fn add_instance(&self, db: &DatabaseRef, instance: NewMember) -> Option<Operation> {
        let instance = Box::new(instance);
        Some(Operation::AddClusterInstance(AddClusterInstance { db: db.clone(), instance }))
    }

    fn replica(&self, _: &ReplicaOf<'_>) -> Result<Option<(NewReplica, Option<String>)>, Unmet> {
        Ok(None)
    }

    fn can_take_over(&self, of: &Successor<'_>) -> Result<Vec<String>, Unmet> {
        let db = of.db;
        let Some((seen, there)) = of.seen.and_then(|seen| Some((seen, seen.cluster.as_deref()?))) else {
            let facts = format!("the observation of {} has no cluster details", db.id);
            return Err(Unmet::new(Rule::NotRecoverable, facts, "run drctl observe"));
        };
        if seen.streaming == Some(false) {
            let facts =
                format!("{} is being rebuilt (pending-resync) and lacks some of the writer's data", db.id);
            let what = "wait until Aurora finishes and the secondary is `connected`, or choose another secondary that is";
            return Err(Unmet::new(Rule::TargetDown, facts, what));
        }
        let none_serves = there.instances.iter().all(|i| !may_serve(&i.status));
        if let (true, true, Some(first)) = (seen.status == HEADLESS, none_serves, there.instances.first()) {
            let facts = format!("no instance of {} serves: {} is `{}`", db.id, first.id, first.status);
            let what = "start or repair an instance. drctl adds one only to a cluster that has none";
            return Err(Unmet::new(Rule::TargetDown, facts, what));
        }
        if of.shut_for_good {
            return Err(self.no_standby(db, &Lacks::Groups));
        }
        let Some(writer) = of.writer.and_then(|seen| seen.cluster.as_deref()) else { return Ok(Vec::new()) };
        let mut notes = Vec::new();
        if writer.version != there.version {
            let facts = format!(
                "{} runs engine version {}, and the writer runs {}",
                db.id, there.version, writer.version
            );
            notes.push(format!("{facts}. Aurora may refuse to move the writer there"));
        }
        if let (Some(ours), Some(theirs)) = (there.class(), writer.class())
            && ours != theirs
        {
            notes.push(format!(
                "{} uses instance class {ours}, and the writer uses {theirs}. It may not carry the load",
                db.id
            ));
        }
        Ok(notes)
    }

    fn no_standby(&self, db: &DatabaseRef, lacks: &Lacks) -> Unmet {
        let (facts, what) = match lacks {
            // A cluster that was removed from the global database, or is dark, becomes no secondary, so the wait would never end.
            Lacks::State(why) => (
                format!("{}: {why}", db.id),
                "wait until its region is back. If the cluster was removed from the global database, rename or delete it and create it again: aws rds create-db-cluster --global-cluster-identifier ..".to_owned(),
            ),
            Lacks::Groups | Lacks::Host => (
                format!(
                    "{} has only its fence's security group, and no run in this store recorded its earlier groups",
                    db.id
                ),
                format!(
                    "attach its own groups again: aws rds modify-db-cluster --region {} --db-cluster-identifier {} --vpc-security-group-ids ..",
                    db.place.region, db.id
                ),
            ),
        };
        Unmet::new(Rule::NotRecoverable, facts, what)
    }

    fn copied_from(&self, _: &CopyOf<'_>) -> Result<Source, Unmet> {
        let facts =
            "Aurora restores a global database into a separate cluster, which drctl does not support yet";
        Err(Unmet::new(
            Rule::NotImplemented,
            facts,
            "run aws rds restore-db-cluster-to-point-in-time by hand",
        ))
    }

    fn backups_unread(&self) -> &'static str {
        "make sure that the host answers"
    }

    fn may_copy(&self, _: &DatabaseRef, _: &InstanceSettings) -> Result<(), Unmet> {
        Ok(())
    }
}

/// Whether an instance serves, or will without intervention.
fn may_serve(status: &str) -> bool {
    !["stopped", "stopping", "failed", "deleting", "storage-full", "inaccessible-encryption-credentials"]
        .contains(&status)
}
