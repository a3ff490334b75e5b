//! The calls to the RDS API about DB instances.

use std::collections::BTreeMap;

use crate::kinds::shared::database::instance::InstanceSettings;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::rejoin::NewReplica;
use crate::model::call::{Call, call, quoted};

/// The call that observes an instance.
pub(crate) fn describe(region: &str, at: &str, id: &str) -> Call {
    call(
        "rds",
        "DescribeDBInstances",
        at,
        false,
        format!(
            "aws rds describe-db-instances --region {} --db-instance-identifier {}",
            quoted(region),
            quoted(id)
        ),
    )
}

/// Creates a read replica.
pub(crate) fn create_replica(db: &DatabaseRef, replica: &NewReplica) -> Call {
    let like = &replica.like;
    let mut text = format!(
        "aws rds create-db-instance-read-replica --region {} --db-instance-identifier {} --source-db-instance-identifier {} --db-instance-class {} --vpc-security-group-ids {}",
        quoted(&db.place.region),
        quoted(&db.id),
        quoted(&replica.source_arn),
        quoted(&like.class),
        replica.security_groups.iter().map(|g| quoted(g)).collect::<Vec<_>>().join(" ")
    );
    let own = [
        ("--db-parameter-group-name", like.creation_parameters().cloned()),
        ("--kms-key-id", like.creation_key(&replica.source_arn).cloned()),
    ];
    text.push_str(&options(like, own));
    if like.protected {
        text.push_str(" --deletion-protection");
    }
    text.push_str(&tags(&like.tags));
    about(db, "rds", "CreateDBInstanceReadReplica", true, text)
}

/// Options that make a new instance similar to another one.
pub(crate) fn options<const N: usize>(like: &InstanceSettings, more: [(&str, Option<String>); N]) -> String {
    let common = [
        ("--db-subnet-group-name", like.subnet_group.clone()),
        ("--storage-type", like.storage.clone()),
        ("--iops", like.creation_iops().map(|n| n.to_string())),
        ("--port", like.port.map(|n| n.to_string())),
    ];
    let all = common.into_iter().chain(more).filter_map(|(option, value)| Some((option, value?)));
    let mut text: String = all.map(|(option, value)| format!(" {option} {}", quoted(&value))).collect();
    let switches = [
        ("multi-az", like.multi_az),
        ("publicly-accessible", like.public),
        ("enable-iam-database-authentication", like.iam_logins),
    ];
    for (name, on) in switches {
        text.push_str(&format!(" --{}{name}", if on { "" } else { "no-" }));
    }
    text
}

/// The tags of a new instance.
pub(crate) fn tags(tags: &BTreeMap<String, String>) -> String {
    let one = |(k, v): (&String, &String)| format!(" {}", quoted(&format!("Key={k},Value={v}")));
    let all: String = tags.iter().map(one).collect();
    if all.is_empty() { all } else { format!(" --tags{all}") }
}

/// A call about the instance of a database.
pub(crate) fn about(
    db: &DatabaseRef,
    service: &'static str,
    operation: &'static str,
    mutates: bool,
    command: String,
) -> Call {
    call(service, operation, &db.place.name, mutates, command)
}
