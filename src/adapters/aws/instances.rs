//! Instances of RDS, as the calls that read and create them need them.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{DbInstance, Tag};

use super::error::Failure;
use crate::kinds::Target;

/// What every call that creates an instance sets, so that the new instance is like an existing one.
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

pub(super) fn built(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(k, v)| Tag::builder().key(k).value(v).build()).collect()
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

pub(super) fn missing(id: &str) -> Failure {
    Failure::Code {
        code: "DBInstanceNotFound".to_owned(),
        call: String::new(),
        why: format!("{id} does not exist"),
        status: 404,
    }
}
