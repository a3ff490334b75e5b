//! The permissions that the credentials of each place need for every recovery that a plan describes, by resource. The list is the
//! same as in docs/src/deploy/permissions.md.
//!
//! Source: Service Authorization Reference, of RDS, EC2 Auto Scaling, Route 53, ARC, CloudWatch, Secrets Manager and S3.

use std::collections::{BTreeMap, BTreeSet};

use super::targets;
use crate::kinds::aws::route53::{Route53, SwitchBy};
use crate::kinds::shared::database::{Database, Engine};
use crate::kinds::shared::secret::SecretRef;
use crate::kinds::{Spec, Target};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::place::Place;
use crate::model::readiness::Need;
use crate::plan::types::{Component, Plan};
use crate::record::runbook::ProbeVia;

type Needs = BTreeMap<Place, BTreeMap<String, BTreeSet<String>>>;

const INSTANCE: &[&str] = &[
    "rds:PromoteReadReplica",
    "rds:ModifyDBInstance",
    "rds:RebootDBInstance",
    "rds:CreateDBInstanceReadReplica",
    "rds:AddTagsToResource",
];
const COPIES: &[&str] = &["rds:RestoreDBInstanceToPointInTime", "rds:RestoreDBInstanceFromDBSnapshot"];
const BACKUPS: &[&str] = &["rds:DescribeDBInstanceAutomatedBackups", "rds:DescribeDBSnapshots"];
const OBJECT: &[&str] = &["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
const SECRET: &[&str] = &[
    "secretsmanager:GetSecretValue",
    "secretsmanager:DescribeSecret",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
];

/// One target for each place in AWS.
pub fn of_plan(plan: &Plan, guard: Option<&Place>) -> Vec<Target> {
    let mut needs = Needs::new();
    for component in plan.components.values() {
        of_component(plan, component, &mut needs);
    }
    if let Some(place) = guard {
        for component in plan.components.values() {
            if let Some((bucket, key)) = place.guard_object(&component.name) {
                object(place, (&bucket, &key), &mut needs);
            }
        }
    }
    for probe in &plan.probes {
        if let ProbeVia::Alarm { place, .. } = &probe.value.via {
            need(&mut needs, place, "*".to_owned(), &["cloudwatch:DescribeAlarms"]);
        }
    }
    let of = |(place, needs): (Place, BTreeMap<String, BTreeSet<String>>)| {
        let needs = needs.into_iter().map(|(resource, actions)| Need { resource, actions });
        Target::Granted { place, needs: needs.collect() }
    };
    needs.into_iter().filter(|(place, _)| place.cloud == "aws").map(of).collect()
}

fn need(needs: &mut Needs, place: &Place, resource: String, actions: &[&str]) {
    let of = needs.entry(place.clone()).or_default().entry(resource).or_default();
    of.extend(actions.iter().map(|action| (*action).to_owned()));
}

/// The partition is left open, because GovCloud and China have their own (IAM User Guide, «Identify AWS resources with ARNs»). It
/// is taken from the credentials.
fn arn(place: &Place, service: &str, regional: bool, rest: &str) -> String {
    let region = if regional { place.region.as_str() } else { "" };
    format!("arn:{{partition}}:{service}:{region}:{{account}}:{rest}")
}

fn of_component(plan: &Plan, component: &Component, needs: &mut Needs) {
    let site = |name: &SiteName| plan.sites.get(name).map(|site| &site.place);
    match &component.spec {
        Spec::Database(spec) => {
            for (at, place) in spec.at.keys().filter_map(|name| Some((name, site(name)?))) {
                database(plan, (component, spec), (at, place), needs);
            }
        }
        Spec::Autoscaling(spec) => {
            for (place, at) in spec.at.iter().filter_map(|(name, at)| Some((site(name)?, at))) {
                let look = ["autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities"];
                need(needs, place, "*".to_owned(), &look);
                let group = format!("autoScalingGroup:*:autoScalingGroupName/{}", at.group);
                let acts = [
                    "autoscaling:UpdateAutoScalingGroup",
                    "autoscaling:ResumeProcesses",
                    "autoscaling:SuspendProcesses",
                ];
                need(needs, place, arn(place, "autoscaling", true, &group), &acts);
            }
        }
        Spec::Route53(spec) => names(plan, &component.name, spec, needs),
        Spec::Clients(spec) => {
            for (place, at) in spec.at.iter().filter_map(|(name, at)| Some((site(name)?, at))) {
                if let Some(id) = &at.secret {
                    need(needs, place, secret(place, id), SECRET);
                }
            }
        }
        Spec::Buckets(spec) => {
            for of in spec.at.keys().filter_map(|site| targets::bucket(plan, component, spec, site)) {
                let looks = ["s3:GetBucketVersioning", "s3:GetReplicationConfiguration", "s3:ListBucket"];
                need(needs, &of.place, in_s3(&of.place, &of.bucket), &looks);
                need(
                    needs,
                    &of.place,
                    in_s3(&of.place, &format!("{}/{}*", of.bucket, of.prefix)),
                    &["s3:GetObject"],
                );
                need(
                    needs,
                    &of.place,
                    "*".to_owned(),
                    &["cloudwatch:ListMetrics", "cloudwatch:GetMetricData"],
                );
            }
        }
        Spec::External(_) => {}
    }
}

fn database(
    plan: &Plan,
    (component, spec): (&Component, &Database),
    (at, place): (&SiteName, &Place),
    needs: &mut Needs,
) {
    let Some(db) = targets::database(plan, &component.name, spec, at) else { return };
    match spec.engine {
        Engine::Rds => {
            let look = ["rds:DescribeDBInstances", "rds:DescribeEvents", "cloudwatch:GetMetricData"];
            need(needs, place, "*".to_owned(), &look);
            let instance = arn(place, "rds", true, &format!("db:{}", db.id));
            need(needs, place, instance.clone(), INSTANCE);
            if db.admin_secret.is_some() {
                need(needs, place, instance, COPIES);
                need(needs, place, "*".to_owned(), BACKUPS);
            }
        }
        Engine::Aurora => {
            let look = ["rds:DescribeGlobalClusters", "rds:DescribeDBClusters", "cloudwatch:GetMetricData"];
            need(needs, place, "*".to_owned(), &look);
            let cluster = arn(place, "rds", true, &format!("cluster:{}", db.id));
            let moves = ["rds:FailoverGlobalCluster", "rds:SwitchoverGlobalCluster"];
            need(needs, place, cluster.clone(), &["rds:ModifyDBCluster"]);
            need(needs, place, cluster, &moves);
            // The names of a cluster's instances are not known in advance.
            let instances = arn(place, "rds", true, "db:*");
            need(needs, place, instances, &["rds:RebootDBInstance", "rds:CreateDBInstance"]);
            if let Some(global) = &db.global {
                need(needs, place, arn(place, "rds", false, &format!("global-cluster:{global}")), &moves);
            }
        }
        Engine::Postgres => {}
    }
    // The login is read at whichever site is recovered to.
    let admin = |at: &crate::kinds::shared::database::DatabaseAt| match &at.admin.as_ref()?.value {
        SecretRef::Ref(reference) => reference.strip_prefix("aws-sm:").map(str::to_owned),
        SecretRef::EndpointOf(_) | SecretRef::Literal => None,
    };
    for id in spec.at.values().filter_map(admin) {
        need(needs, place, secret(place, &id), &["secretsmanager:GetSecretValue"]);
    }
}

fn names(plan: &Plan, name: &ComponentName, spec: &Route53, needs: &mut Needs) {
    if let Some(zone) = targets::zone(plan, name, spec) {
        let place = &zone.place;
        let hosted = arn(place, "route53", false, &format!("hostedzone/{}", zone.zone));
        let hosted = hosted.replace(":{account}:", "::");
        need(needs, place, hosted, &["route53:ListResourceRecordSets", "route53:ChangeResourceRecordSets"]);
        let changes = arn(place, "route53", false, "change/*").replace(":{account}:", "::");
        need(needs, place, changes, &["route53:GetChange"]);
        if let SwitchBy::Controls(of) = &spec.switch {
            let turned = [
                "route53-recovery-cluster:GetRoutingControlState",
                "route53-recovery-cluster:UpdateRoutingControlStates",
            ];
            for control in of.value.controls.values() {
                need(needs, place, control.clone(), &turned);
            }
        }
    }
    if let Some(of) = targets::object(plan, name, spec)
        && let Some(named) = of.parts()
    {
        object(&of.place, named, needs);
    }
}

/// An object and its bucket. A caller who may not list the bucket gets «access denied» for objects that do not exist.
fn object(place: &Place, (bucket, key): (&str, &str), needs: &mut Needs) {
    need(needs, place, in_s3(place, &format!("{bucket}/{key}")), OBJECT);
    need(needs, place, in_s3(place, bucket), &["s3:ListBucket"]);
}

/// Bucket names are globally unique, so their ARNs have no account.
fn in_s3(place: &Place, rest: &str) -> String {
    arn(place, "s3", false, rest).replace(":{account}:", "::")
}

/// Secrets Manager adds six characters to the name of a secret (User Guide, «IAM policy examples»).
fn secret(place: &Place, id: &str) -> String {
    match id.starts_with("arn:") {
        true => id.to_owned(),
        false => arn(place, "secretsmanager", true, &format!("secret:{id}-??????")),
    }
}
