//! Capacity, traffic, clients and commands, and what a run waits for elsewhere.

use drctl::kinds::aws::autoscaling::{GroupRef, Scale};
use drctl::kinds::aws::ecs::{ScaleService, ServiceRef};
use drctl::kinds::shared::buckets::{BucketRef, Sample};
use drctl::kinds::shared::capacity::Size;
use drctl::kinds::shared::clients::ClientWrite;
use drctl::kinds::shared::command::Command;
use drctl::kinds::shared::names::{
    Answers, Basis, ControlsRef, ObjectRef, RecordAnswer, RecordChange, RecordPolicy, RecordSet,
    SetHealthObject, SetRoutingControls, Switch, Wanted, ZoneRef,
};
use drctl::kinds::shared::secret::{ClientSecret, ClientWay, UpdateClientSecret};
use drctl::model::time::Dur;

use super::made::{own, site};
use super::{Row, row};

const fn size(min: u32, desired: u32, max: u32) -> Size {
    Size { min, desired, max }
}

fn scale(from: Size, to: Size, [resume, suspend]: [&[&str]; 2]) -> Scale {
    let group = GroupRef { component: "nodes".into(), place: site("east"), group: "nodes-east".to_owned() };
    let names = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect();
    let proceed_at = to.desired.saturating_sub(1);
    Scale { group, from, to, proceed_at, resume: names(resume), suspend: names(suspend) }
}

fn scale_service(scalable_target: bool) -> ScaleService {
    let (cluster, service) = ("shop".to_owned(), "web".to_owned());
    let service = ServiceRef { component: "web".into(), place: site("east"), cluster, service };
    ScaleService { service, from: size(0, 0, 12), to: size(4, 4, 12), proceed_at: 3, scalable_target }
}

pub(super) fn capacity() -> Vec<Row> {
    let (idle, full) = (size(0, 0, 3), size(2, 4, 4));
    vec![
        row(
            "aws.autoscaling",
            scale(idle, full, [&["Launch"], &[]]),
            "scale nodes-east from 0 to 4
            at east; no store; 3m, at most 10m
            without it: continues with the current servers although 3 of 4 must be in service; fewer may not carry the load
            undo: scale nodes-east from 4 to 0
            calls autoscaling:ResumeProcesses at east
            calls autoscaling:UpdateAutoScalingGroup at east
            looks autoscaling:DescribeAutoScalingGroups at east
            sets aws_autoscaling_group nodes-east min_size at east: 0 -> 2
            sets aws_autoscaling_group nodes-east desired_capacity at east: 0 -> 4
            sets aws_autoscaling_group nodes-east max_size at east: 3 -> 4
            sets aws_autoscaling_group nodes-east suspended_processes at east: Launch -> (empty)",
        ),
        // An undo.
        row(
            "aws.autoscaling",
            scale(full, idle, [&[], &["AddToLoadBalancer", "Launch"]]),
            "scale nodes-east from 4 to 0
            at east; no store; 3m, at most 10m
            without it: continues with the current servers although 0 of 0 must be in service; fewer may not carry the load
            undo: scale nodes-east from 0 to 4
            calls autoscaling:UpdateAutoScalingGroup at east
            calls autoscaling:SuspendProcesses at east
            looks autoscaling:DescribeAutoScalingGroups at east
            sets aws_autoscaling_group nodes-east min_size at east: 2 -> 0
            sets aws_autoscaling_group nodes-east desired_capacity at east: 4 -> 0
            sets aws_autoscaling_group nodes-east max_size at east: 4 -> 3
            sets aws_autoscaling_group nodes-east suspended_processes at east: (empty) -> AddToLoadBalancer,Launch",
        ),
        // Only the limits change.
        row(
            "aws.autoscaling",
            scale(size(0, 4, 4), full, [&[], &[]]),
            "scale nodes-east from 4 to 4
            at east; no store; 5s, at most 10m
            without it: continues with the current servers although 3 of 4 must be in service; fewer may not carry the load
            undo: scale nodes-east from 4 to 4
            calls autoscaling:UpdateAutoScalingGroup at east
            looks autoscaling:DescribeAutoScalingGroups at east
            sets aws_autoscaling_group nodes-east min_size at east: 0 -> 2",
        ),
        // Only processes change.
        row(
            "aws.autoscaling",
            scale(full, full, [&["Launch"], &[]]),
            "scale nodes-east from 4 to 4
            at east; no store; 5s, at most 10m
            without it: continues with the current servers although 3 of 4 must be in service; fewer may not carry the load
            undo: scale nodes-east from 4 to 4
            calls autoscaling:ResumeProcesses at east
            looks autoscaling:DescribeAutoScalingGroups at east
            sets aws_autoscaling_group nodes-east suspended_processes at east: Launch -> (empty)",
        ),
    ]
    .into_iter()
    .chain(services())
    .collect()
}

/// Application Auto Scaling scales the first of them.
fn services() -> [Row; 2] {
    [
        row(
            "aws.ecs",
            scale_service(true),
            "scale shop/web from 0 to 4
            at east; no store; 3m, at most 10m
            without it: continues with the current tasks although 3 of 4 must be in service; fewer may not carry the load
            undo: scale shop/web from 4 to 0
            calls application-autoscaling:RegisterScalableTarget at east
            calls ecs:UpdateService at east
            looks ecs:DescribeServices at east
            looks application-autoscaling:DescribeScalableTargets at east
            sets aws_appautoscaling_target service/shop/web min_capacity at east: 0 -> 4
            sets aws_ecs_service shop/web desired_count at east: 0 -> 4",
        ),
        row(
            "aws.ecs",
            scale_service(false),
            "scale shop/web from 0 to 4
            at east; no store; 3m, at most 10m
            without it: continues with the current tasks although 3 of 4 must be in service; fewer may not carry the load
            undo: scale shop/web from 4 to 0
            calls ecs:UpdateService at east
            looks ecs:DescribeServices at east
            sets aws_ecs_service shop/web desired_count at east: 0 -> 4",
        ),
    ]
}

fn set(value: &str, ttl_s: u64) -> RecordSet {
    RecordSet {
        name: "www.example".to_owned(),
        rtype: "A".to_owned(),
        set_identifier: None,
        policy: RecordPolicy::Simple,
        answer: RecordAnswer::Values { ttl_s, values: vec![value.to_owned()] },
        health_check: None,
    }
}

fn switch(change: RecordChange) -> Switch {
    let zone = ZoneRef { component: "www".into(), place: site("dns"), zone: "Z1".to_owned() };
    Switch { zone, changes: vec![change] }
}

pub(super) fn records() -> Vec<Row> {
    let (west, east) = (set("192.0.2.1", 60), set("198.51.100.1", 60));
    let of_set = |set: &RecordSet| RecordSet {
        set_identifier: Some("main".to_owned()),
        policy: RecordPolicy::Failover { primary: true },
        ..set.clone()
    };
    let unseen = RecordChange {
        basis: Basis::Declared,
        ..RecordChange::seen(Some(of_set(&west)), Some(of_set(&east)))
    };
    let slow = set("192.0.2.1", 600);
    vec![
        row(
            "aws.route53",
            switch(RecordChange::seen(Some(west.clone()), Some(east))),
            "switch 1 record set in zone Z1
            at dns; no store; 35s, at most 5m
            without it: nobody may skip it
            undo: switch 1 record set in zone Z1
            calls route53:ChangeResourceRecordSets at dns
            looks route53:GetChange at dns
            sets aws_route53_record www.example A answer at Z1: 192.0.2.1 ttl 60s -> 198.51.100.1 ttl 60s",
        ),
        // What nobody saw is read before it is replaced.
        row(
            "aws.route53",
            switch(unseen),
            "switch 1 record set in zone Z1
            at dns; no store; 35s, at most 5m
            without it: nobody may skip it
            undo: switch 1 record set in zone Z1
            looks route53:ListResourceRecordSets at dns
            calls route53:ChangeResourceRecordSets at dns
            looks route53:GetChange at dns
            sets aws_route53_record www.example A (main) answer at Z1: never observed; declared as 192.0.2.1 ttl 60s PRIMARY -> 198.51.100.1 ttl 60s PRIMARY",
        ),
        row(
            "aws.route53",
            switch(RecordChange::seen(Some(slow), Some(west))),
            "give 1 record set in zone Z1 a TTL of 60s
            at dns; no store; 35s, at most 5m
            without it: nobody may skip it
            undo: give 1 record set in zone Z1 a TTL of 600s
            calls route53:ChangeResourceRecordSets at dns
            looks route53:GetChange at dns
            sets aws_route53_record www.example A answer at Z1: 192.0.2.1 ttl 600s -> 192.0.2.1 ttl 60s",
        ),
    ]
}

pub(super) fn traffic_without_records() -> Vec<Row> {
    let signal = |present| {
        let url = "s3://shop-dr/failover/www".to_owned();
        let object = ObjectRef { component: "www".into(), place: site("east"), url };
        SetHealthObject { object, present, holder: "run-1".to_owned() }
    };
    let controls = ControlsRef {
        component: "www".into(),
        place: site("dns"),
        endpoints: [("us-east-1".to_owned(), "https://a.example/v1".to_owned())].into(),
        controls: [("east".into(), "arn:e".to_owned()), ("west".into(), "arn:w".to_owned())].into(),
    };
    let from = [("east".into(), false), ("west".into(), true)].into();
    vec![
        row(
            "aws.route53",
            signal(true),
            "create s3://shop-dr/failover/www, which sends users to east
            at east; no store; 2s, at most 2m
            without it: nobody may skip it
            undo: remove s3://shop-dr/failover/www, which keeps users in east
            calls s3:PutObject at east
            looks s3:GetObject at east
            sets aws_s3_object s3://shop-dr/failover/www object at east: none -> present",
        ),
        row(
            "aws.route53",
            signal(false),
            "remove s3://shop-dr/failover/www, which keeps users in east
            at east; no store; 2s, at most 2m
            without it: nobody may skip it
            undo: create s3://shop-dr/failover/www, which sends users to east
            calls s3:DeleteObject at east
            looks s3:GetObject at east
            sets aws_s3_object s3://shop-dr/failover/www object at east: present -> none",
        ),
        row(
            "aws.route53",
            SetRoutingControls { controls, to: "east".into(), from, back: Some("west".into()) },
            "turn the routing control of east on, and all others off
            at dns; no store; 2s, at most 10m
            without it: nobody may skip it
            undo: turn the routing control of west on, and all others off
            calls route53-recovery-cluster:UpdateRoutingControlStates at dns
            looks route53-recovery-cluster:GetRoutingControlState at dns
            looks route53-recovery-cluster:GetRoutingControlState at dns
            sets routing controls of www On at dns: west -> east",
        ),
    ]
}

fn secret() -> ClientSecret {
    let (id, host, port) = ("shop/db".to_owned(), "host".to_owned(), Some("port".to_owned()));
    ClientSecret { component: "app".into(), place: site("east"), id, host, port }
}

pub(super) fn clients() -> Vec<Row> {
    let endpoint = |host: &str| [("host", host), ("port", "5432")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let point = |from| UpdateClientSecret { secret: secret(), to: endpoint("pg-east").into(), from };
    let way = ClientWay { secret: Some(secret()), endpoint: None, login: None };
    vec![
        row(
            "clients",
            point(endpoint("pg-west").into()),
            "point clients to pg-east:5432 by secret shop/db in east
            at east; no store; 2s, at most 2m
            without it: continues, and clients that read that secret keep using the old server
            undo: point clients to pg-west:5432 by secret shop/db in east
            calls secretsmanager:PutSecretValue at east
            calls secretsmanager:UpdateSecretVersionStage at east
            looks secretsmanager:DescribeSecret at east
            looks secretsmanager:GetSecretValue at east
            sets aws_secretsmanager_secret_version shop/db in east host at east: pg-west -> pg-east",
        ),
        // Nobody saw where it led.
        row(
            "clients",
            point(Default::default()),
            "point clients to pg-east:5432 by secret shop/db in east
            at east; no store; 2s, at most 2m
            without it: continues, and clients that read that secret keep using the old server
            undo: nothing
            calls secretsmanager:PutSecretValue at east
            calls secretsmanager:UpdateSecretVersionStage at east
            looks secretsmanager:DescribeSecret at east
            looks secretsmanager:GetSecretValue at east
            sets aws_secretsmanager_secret_version shop/db in east host at east: unknown -> pg-east
            sets aws_secretsmanager_secret_version shop/db in east port at east: unknown -> 5432",
        ),
        row(
            "clients",
            ClientWrite { db: own("east"), table: "drctl_canary".to_owned(), way: Box::new(way) },
            "write a row like a client, by what secret shop/db in east names, and find it on pg-east
            at east; no store; 2s, at most 1m
            without it: continues without proof that clients reach the new server
            undo: nothing
            calls sql:statement at east
            calls sql:statement at east
            looks sql:statement at east",
        ),
        row(
            "clients",
            Command {
                argv: ["pages", "off"].map(str::to_owned).to_vec(),
                idempotent: true,
                env: Vec::new(),
                rehearsal: None,
            },
            "run pages off
            at no place; no store; 30s, at most 5m
            without it: continues without the command; you must do its work yourself
            undo: nothing
            calls command:run at this machine",
        ),
    ]
}

pub(super) fn observations() -> Vec<Row> {
    let answers = |resolvers_ttl_ms| {
        let (name, rtype, values) =
            ("www.example".to_owned(), "A".to_owned(), vec!["198.51.100.1".to_owned()]);
        Answers { names: vec![Wanted { name, rtype, values, alias: None }], resolvers_ttl_ms }
    };
    let bucket = |at: &str| BucketRef {
        component: "uploads".into(),
        place: site(at),
        bucket: format!("uploads-{at}"),
        prefix: String::new(),
        others: Default::default(),
    };
    let sample = Sample { source: bucket("west"), copy: bucket("east"), most: 20, seed: "1f".to_owned() };
    vec![
        row(
            "aws.route53",
            answers(None),
            "check that the name servers of the zone send users there, for 1 name
            at no place; no store; 1m 30s, at most 10m
            without it: continues without this check
            undo: nothing
            looks dns:query at this machine",
        ),
        row(
            "aws.route53",
            answers(Some(Dur::secs(60))),
            "query resolvers for 1 name, for at most 1m
            at no place; no store; 1m, at most 3m
            without it: continues without this check
            undo: nothing
            looks dns:query at this machine",
        ),
        row(
            "aws.s3",
            sample,
            "compare objects of uploads-west with their copies in uploads-east (at most 20)
            at west; no store; 5s, at most 2m
            without it: continues without this check
            undo: nothing
            looks s3:ListObjectsV2 at west
            looks s3:HeadObject at west
            looks s3:HeadObject at east",
        ),
    ]
}
