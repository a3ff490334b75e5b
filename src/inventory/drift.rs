//! Differences between an estate and its state when its plan was last proven to work.

use std::collections::BTreeMap;

use super::Estate;
use crate::kinds::State;
use crate::kinds::aws::autoscaling::GroupState;
use crate::kinds::aws::rds::InstanceSettings;
use crate::kinds::aws::s3::BucketState;
use crate::kinds::shared::database::DatabaseState;

const VERSION: &str = "engine version";
const LAUNCHES: &str = "launches";

/// One attribute that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The target's key.
    pub target: String,
    /// The attribute that changed.
    pub what: String,
    /// The value then; `None` if it did not exist.
    pub was: Option<String>,
    /// The value now; `None` if it does not exist.
    pub is: Option<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        write!(f, "{} of {}: {} -> {}", self.what, self.target, word(&self.was), word(&self.is))
    }
}

/// What changed in the targets that are visible now. Targets that are not visible are skipped, because nothing is known about
/// them.
pub fn since(then: &[(String, State)], now: &Estate) -> Vec<Change> {
    let mut found = Vec::new();
    for (target, was) in then {
        let Some(is) = now.entries.get(target).and_then(|entry| entry.now.state()) else { continue };
        let (was, is) = (shape(was), shape(is));
        for what in was.keys().chain(is.keys().filter(|key| !was.contains_key(*key))) {
            let (was, is) = (was.get(what).cloned(), is.get(what).cloned());
            // An attribute that an earlier version of drctl did not record has not changed.
            let looked_at = was.is_some() || ![VERSION, LAUNCHES].contains(&what.as_str());
            if was != is && looked_at {
                found.push(Change { target: target.clone(), what: what.clone(), was, is });
            }
        }
    }
    found
}

/// The attributes that no failover changes, so roles, sizes and statuses are left out. Record sets are left out as well: the plan
/// states them.
fn shape(state: &State) -> BTreeMap<String, String> {
    match state {
        State::Database(db) => database(db),
        State::Group(group) => self::group(group),
        State::Bucket(bucket) => self::bucket(bucket),
        _ => BTreeMap::new(),
    }
}

fn database(db: &DatabaseState) -> BTreeMap<String, String> {
    let mut shape = db.instance.as_deref().map(instance).unwrap_or_default();
    if let Some(cluster) = &db.cluster {
        shape.insert(VERSION.to_owned(), cluster.version.clone());
        if let Some(class) = cluster.class() {
            shape.insert("class".to_owned(), class.to_owned());
        }
    }
    shape
}

fn instance(of: &InstanceSettings) -> BTreeMap<String, String> {
    let InstanceSettings { engine, version, class, multi_az, public, iam_logins, .. } = of;
    let flags = [("multi-AZ", multi_az), ("public", public), ("IAM logins", iam_logins)];
    let flags = flags.into_iter().map(|(what, is)| (what, Some(is.to_string())));
    let named = [
        ("engine", Some(engine.clone())),
        (VERSION, Some(version.clone())),
        ("class", Some(class.clone())),
        ("subnet group", of.subnet_group.clone()),
        ("parameter group", of.parameter_group.clone()),
        ("key", of.kms_key.clone()),
        ("storage", of.storage.clone()),
        ("IOPS", of.iops.map(|n| n.to_string())),
        ("port", of.port.map(|n| n.to_string())),
    ];
    let known = named.into_iter().chain(flags).filter_map(|(what, is)| Some((what.to_owned(), is?)));
    known.filter(|(_, is)| !is.is_empty()).collect()
}

/// Suspended processes are left out, because a recovery resumes them.
fn group(group: &GroupState) -> BTreeMap<String, String> {
    let launches = group.launches.iter().map(|is| (LAUNCHES.to_owned(), is.clone()));
    launches.chain([("maximum".to_owned(), group.capacity.size.max.to_string())]).collect()
}

/// How the bucket is replicated. The backlog is left out, because it changes every minute.
fn bucket(bucket: &BucketState) -> BTreeMap<String, String> {
    let rules = bucket.rules.iter().map(|rule| (format!("rule {}", rule.id), rule.to_string()));
    rules.chain([("versioning".to_owned(), bucket.versioning.to_string())]).collect()
}
