//! The calls to the RDS API about Aurora global databases, whose members are clusters of instances.

use crate::kinds::aws::rds::calls::about;
use crate::kinds::shared::database::cluster::NewMember;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::fence::method::Fence;
use crate::kinds::shared::promotion::{Handover, Takeover};
use crate::model::call::{Call, asked, call, quoted};

/// Moves the writer.
pub(crate) fn takeover(how: &Takeover) -> Call {
    let (operation, verb, more) = match how.by {
        Handover::Switchover => ("SwitchoverGlobalCluster", "switchover-global-cluster", ""),
        Handover::AllowDataLoss => ("FailoverGlobalCluster", "failover-global-cluster", " --allow-data-loss"),
    };
    let text = format!(
        "aws rds {verb} --region {} --global-cluster-identifier {} --target-db-cluster-identifier {}{more}",
        quoted(&how.at.region),
        quoted(&how.global),
        quoted(&how.target_arn)
    );
    call("rds", operation, &how.at.name, true, text)
}

/// Creates an instance in a cluster.
pub(crate) fn create_instance(db: &DatabaseRef, instance: &NewMember) -> Call {
    let text = format!(
        "aws rds create-db-instance --region {} --db-cluster-identifier {} --db-instance-identifier {} --db-instance-class {} --engine {}",
        quoted(&db.place.region),
        quoted(&db.id),
        quoted(&instance.id),
        quoted(&instance.class),
        quoted(&instance.engine)
    );
    about(db, "rds", "CreateDBInstance", true, text)
}

/// The calls that observe the members and their instances.
pub(crate) fn describe(db: &DatabaseRef) -> Call {
    let text = format!(
        "aws rds describe-global-clusters --region {0} --global-cluster-identifier {1}; aws rds describe-db-clusters --region {0} --db-cluster-identifier {2}; aws rds describe-db-instances --region {0} --filters Name=db-cluster-id,Values={2}",
        quoted(&db.place.region),
        quoted(db.global.as_deref().unwrap_or_default()),
        quoted(&db.id)
    );
    about(db, "rds", "DescribeGlobalClusters", false, text)
}

/// Changes the security groups of a cluster, and thereby of all its instances.
pub(crate) fn modify_groups(f: &Fence, groups: &str) -> Call {
    let text = format!(
        "aws rds modify-db-cluster --region {} --db-cluster-identifier {} --vpc-security-group-ids {groups}",
        quoted(&f.db.place.region),
        quoted(&f.db.id)
    );
    about(&f.db, "rds", "ModifyDBCluster", true, text)
}

/// The fence by security group: a restart of the writer instance ends the sessions that the group leaves open.
pub(crate) fn isolate(f: &Fence) -> Vec<Call> {
    let region = quoted(&f.db.place.region);
    let group = f.db.fence_group.as_deref().unwrap_or("<fence_group>").to_owned();
    let writer = asked(
        &format!("WRITER of {}", f.db.id),
        &format!("the instance of {} with IsClusterWriter", f.db.id),
    );
    let reboot = format!(
        "aws rds reboot-db-instance --region {region} --db-instance-identifier {writer}   # once only that group is active"
    );
    let events = format!(
        "aws rds describe-events --region {region} --source-type db-instance --source-identifier {writer}   # until it restarted"
    );
    vec![
        modify_groups(f, &quoted(&group)),
        about(&f.db, "rds", "RebootDBInstance", true, reboot),
        describe(&f.db),
        about(&f.db, "rds", "DescribeEvents", false, events),
    ]
}
