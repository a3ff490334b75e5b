//! Fences, promotions, standbys, and what a run waits for at a database.

use drctl::kinds::aws::aurora::AddClusterInstance;
use drctl::kinds::aws::rds::Rename;
use drctl::kinds::shared::canary::CanaryWrite;
use drctl::kinds::shared::database::{
    Available, CaughtUp, DatabaseRef, Follows, InstanceSettings, NewMember, Promotable,
};
use drctl::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use drctl::kinds::shared::promotion::{Handover, Promote, Takeover, Withdraw};
use drctl::kinds::shared::rejoin::{NewReplica, Rejoin};

use super::made::{aurora, own, rds, site};
use super::{Row, row};

fn fence(db: DatabaseRef, method: FenceMethod) -> Fence {
    Fence { db, method, groups_before: Vec::new() }
}

/// By security group, with the groups that were read before.
fn by_group() -> Fence {
    let groups_before = ["sg-app", "sg-ops"].map(str::to_owned).to_vec();
    Fence { groups_before, ..fence(rds("west"), FenceMethod::SecurityGroup) }
}

pub(super) fn fences() -> Vec<Row> {
    vec![
        row(
            "postgres",
            fence(own("west"), FenceMethod::Sql),
            "fence pg-west by sql
            at west; pg-west; 15s, at most 1m
            without it: nobody may skip it
            undo: lift the fence on pg-west by sql
            calls sql:statement at west
            looks sql:statement at west
            sets database pg-west application roles at west: LOGIN -> NOLOGIN",
        ),
        row(
            "postgres",
            fence(own("west"), FenceMethod::AllowConnections),
            "fence pg-west by allow_connections
            at west; pg-west; 15s, at most 1m
            without it: nobody may skip it
            undo: lift the fence on pg-west by allow_connections
            calls sql:statement at west
            looks sql:statement at west
            sets database pg-west ALLOW_CONNECTIONS at west: true -> false",
        ),
        row(
            "postgres",
            fence(own("west"), FenceMethod::PgHba),
            "fence pg-west by pg_hba
            at west; pg-west; 15s, at most 1m
            without it: nobody may skip it
            undo: lift the fence on pg-west by pg_hba
            calls host:rules at west
            calls sql:statement at west
            looks sql:statement at west
            looks sql:statement at west
            sets database pg-west pg_hba.conf at west: as it was -> rules in front that reject clients",
        ),
        row(
            "postgres",
            fence(own("west"), FenceMethod::Stop),
            "fence pg-west by stop
            at west; pg-west; 30s, at most 6m
            without it: nobody may skip it
            undo: lift the fence on pg-west by stop
            calls host:stop at west
            looks host:look at west
            sets database pg-west server at west: running -> stopped",
        ),
        row(
            "aws.rds",
            by_group(),
            "fence shop-west by security_group
            at west; shop-west; 1m 30s, at most 5m
            without it: nobody may skip it
            undo: lift the fence on shop-west by security_group
            calls rds:ModifyDBInstance at west
            calls rds:RebootDBInstance at west
            looks rds:DescribeDBInstances at west
            looks rds:DescribeEvents at west
            looks ec2:DescribeSecurityGroups at west
            sets aws_db_instance shop-west vpc_security_group_ids at west: sg-app,sg-ops -> sg-none",
        ),
        aurora_fence(),
    ]
}

/// Nobody saw the groups before it.
fn aurora_fence() -> Row {
    row(
        "aws.aurora_global",
        fence(aurora("west"), FenceMethod::SecurityGroup),
        "fence orders-west by security_group
        at west; orders-west; 1m 30s, at most 5m
        without it: nobody may skip it
        undo: lift the fence on orders-west by security_group
        calls rds:ModifyDBCluster at west
        calls rds:RebootDBInstance at west
        looks rds:DescribeGlobalClusters at west
        looks rds:DescribeEvents at west
        looks ec2:DescribeSecurityGroups at west
        sets aws_rds_cluster orders-west vpc_security_group_ids at west: unknown -> sg-none",
    )
}

pub(super) fn lifted_fences() -> Vec<Row> {
    vec![
        row(
            "postgres",
            Unfence(fence(own("west"), FenceMethod::Sql)),
            "lift the fence on pg-west by sql
            at west; pg-west; 15s, at most 1m
            without it: continues, and pg-west stays fenced; you must lift its fence yourself
            undo: nothing
            calls sql:statement at west
            looks sql:statement at west
            sets database pg-west application roles at west: NOLOGIN -> LOGIN",
        ),
        row(
            "postgres",
            Unfence(fence(own("west"), FenceMethod::AllowConnections)),
            "lift the fence on pg-west by allow_connections
            at west; pg-west; 15s, at most 1m
            without it: continues, and pg-west stays fenced; you must lift its fence yourself
            undo: nothing
            calls sql:statement at west
            looks sql:statement at west
            sets database pg-west ALLOW_CONNECTIONS at west: false -> true",
        ),
        row(
            "postgres",
            Unfence(fence(own("west"), FenceMethod::PgHba)),
            "lift the fence on pg-west by pg_hba
            at west; pg-west; 15s, at most 1m
            without it: continues, and pg-west stays fenced; you must lift its fence yourself
            undo: nothing
            calls host:rules at west
            calls sql:statement at west
            looks sql:statement at west
            looks sql:statement at west
            sets database pg-west pg_hba.conf at west: rules in front that reject clients -> as it was",
        ),
        row(
            "postgres",
            Unfence(fence(own("west"), FenceMethod::Stop)),
            "lift the fence on pg-west by stop
            at west; pg-west; 30s, at most 6m
            without it: continues, and pg-west stays fenced; you must lift its fence yourself
            undo: nothing
            calls host:start at west
            looks host:look at west
            sets database pg-west server at west: stopped -> running",
        ),
        row(
            "aws.rds",
            Unfence(by_group()),
            "lift the fence on shop-west by security_group
            at west; shop-west; 1m, at most 5m
            without it: continues, and shop-west stays fenced; you must lift its fence yourself
            undo: nothing
            calls rds:ModifyDBInstance at west
            looks rds:DescribeDBInstances at west
            sets aws_db_instance shop-west vpc_security_group_ids at west: sg-none -> sg-app,sg-ops",
        ),
        lifted_aurora_fence(),
    ]
}

fn lifted_aurora_fence() -> Row {
    row(
        "aws.aurora_global",
        Unfence(fence(aurora("west"), FenceMethod::SecurityGroup)),
        "lift the fence on orders-west by security_group
        at west; orders-west; 1m, at most 5m
        without it: continues, and orders-west stays fenced; you must lift its fence yourself
        undo: nothing
        calls rds:ModifyDBCluster at west
        looks rds:DescribeGlobalClusters at west
        sets aws_rds_cluster orders-west vpc_security_group_ids at west: sg-none -> unknown",
    )
}

pub(super) fn promotions() -> Vec<Row> {
    let promote = |db, backup_days| Promote { db, backup_days, takeover: None };
    let moved = |by, at| {
        let (global, target_arn) =
            ("orders".to_owned(), "arn:aws:rds:us-east-1:1:cluster:orders-east".to_owned());
        let takeover = Some(Box::new(Takeover { global, target_arn, by, at: site(at) }));
        Promote { takeover, ..promote(aurora("east"), None) }
    };
    vec![
        row(
            "aws.rds",
            promote(rds("east"), Some(7)),
            "promote shop-east
            at east; shop-east; 3m, at most 10m
            without it: nobody may skip it
            undo: impossible, because a promoted replica has its own history; to return, run drctl failback
            calls rds:PromoteReadReplica at east
            looks rds:DescribeDBInstances at east
            sets aws_db_instance shop-east replicate_source_db at east: set -> empty
            sets aws_db_instance shop-east backup_retention_period at east: fewer than 7 -> 7",
        ),
        row(
            "postgres",
            promote(own("east"), None),
            "promote pg-east
            at east; pg-east; 5s, at most 10m
            without it: nobody may skip it
            undo: impossible, because a promoted replica has its own history; to return, run drctl failback
            calls sql:statement at east
            looks sql:statement at east
            sets database pg-east role at east: standby -> primary",
        ),
        row(
            "aws.aurora_global",
            moved(Handover::Switchover, "west"),
            "move the writer of orders to orders-east
            at east; orders-east; 3m, at most 10m
            without it: nobody may skip it
            undo: impossible, because a promoted replica has its own history; to return, run drctl failback
            calls rds:SwitchoverGlobalCluster at west
            looks rds:DescribeGlobalClusters at east
            sets aws_rds_global_cluster orders global_cluster_members at east: writer is not orders-east -> writer is orders-east",
        ),
        row(
            "aws.aurora_global",
            moved(Handover::AllowDataLoss, "east"),
            "make orders-east the writer of orders, even if it lacks data
            at east; orders-east; 3m, at most 10m
            without it: nobody may skip it
            undo: impossible, because a promoted replica has its own history; to return, run drctl failback
            calls rds:FailoverGlobalCluster at east
            looks rds:DescribeGlobalClusters at east
            sets aws_rds_global_cluster orders global_cluster_members at east: writer is not orders-east -> writer is orders-east",
        ),
        withdrawal(),
    ]
}

/// It is no step of a runbook, so nobody skips it.
fn withdrawal() -> Row {
    row(
        "postgres",
        Withdraw { db: own("east") },
        "withdraw the promotion of pg-east: stop it, then start it as a standby
        at east; pg-east; 10s, at most 2m
        without it: nobody may skip it
        undo: nothing
        calls host:withdraw at east
        looks sql:statement at east",
    )
}

pub(super) fn standbys() -> Vec<Row> {
    let instance = NewMember {
        id: "orders-east-1".to_owned(),
        class: "db.r6g.large".to_owned(),
        engine: "aurora-postgresql".to_owned(),
    };
    let source_arn = "arn:aws:rds:us-east-1:1:db:shop-east".to_owned();
    let security_groups = vec!["sg-app".to_owned()];
    let replica = NewReplica { source_arn, like: InstanceSettings::default(), security_groups };
    let rejoin = |db, source, replica| Rejoin { db, source, replica, reconcile: Vec::new() };
    vec![
        row(
            "aws.aurora_global",
            AddClusterInstance { db: aurora("east"), instance: Box::new(instance) },
            "create orders-east-1, db.r6g.large, in cluster orders-east
            at east; orders-east; 8m, at most 30m
            without it: continues without it; steps that need it will fail
            undo: nothing
            calls rds:CreateDBInstance at east
            looks rds:DescribeGlobalClusters at east
            sets aws_rds_cluster_instance orders-east-1 instance at east: none -> db.r6g.large",
        ),
        row(
            "aws.rds",
            Rename { db: rds("west"), to: "shop-west-old".to_owned() },
            "rename shop-west to shop-west-old
            at west; shop-west; 10m, at most 1h
            without it: continues without it; steps that need it will fail
            undo: rename shop-west-old to shop-west
            calls rds:ModifyDBInstance at west
            looks rds:DescribeDBInstances at west
            sets aws_db_instance shop-west identifier at west: shop-west -> shop-west-old",
        ),
        row(
            "aws.rds",
            rejoin(rds("west"), rds("east"), Some(Box::new(replica))),
            "create shop-west, a read replica of shop-east
            at west; shop-west; 40m, at most 1d
            without it: continues without that standby; the new server then has none
            undo: impossible, because drctl sets aside what only that server has, and makes it a standby of the other one
            calls rds:CreateDBInstanceReadReplica at west
            looks rds:DescribeDBInstances at west
            sets aws_db_instance shop-west replicate_source_db at west: empty -> arn:aws:rds:us-east-1:1:db:shop-east",
        ),
        row(
            "postgres",
            rejoin(own("west"), own("east"), None),
            "make pg-west a standby of pg-east
            at west; pg-west; 2m, at most 1d
            without it: continues without that standby; the new server then has none
            undo: impossible, because drctl sets aside what only that server has, and makes it a standby of the other one
            calls host:rejoin at west
            looks sql:statement at west",
        ),
    ]
}

pub(super) fn checks() -> Vec<Row> {
    vec![
        row(
            "aws.rds",
            Promotable { db: rds("east") },
            "check that shop-east can be promoted
            at east; shop-east; 2s, at most 1h
            without it: nobody may skip it
            undo: nothing
            looks rds:DescribeDBInstances at east",
        ),
        row(
            "aws.rds",
            Available { db: rds("west") },
            "wait until no change of shop-west is in progress
            at west; shop-west; 2s, at most 6h
            without it: continues without this check
            undo: nothing
            looks rds:DescribeDBInstances at west",
        ),
        row(
            "postgres",
            CaughtUp { db: own("east") },
            "wait until pg-east has everything that the old primary wrote
            at east; pg-east; 2s, at most 2m
            without it: nobody may skip it
            undo: nothing
            looks sql:statement at east",
        ),
        row(
            "aws.aurora_global",
            Follows { db: aurora("west"), source: aurora("east") },
            "wait until the service has made orders-west a secondary of orders-east
            at west; orders-west; 10m, at most 1d
            without it: continues without this check
            undo: nothing
            looks rds:DescribeGlobalClusters at west",
        ),
        // Rows are no resources, and the store stays as it is.
        row(
            "postgres",
            CanaryWrite { db: own("east"), table: "drctl_canary".to_owned() },
            "write a row to pg-east and read it back
            at east; no store; 2s, at most 1m
            without it: nobody may skip it
            undo: nothing
            calls sql:statement at east",
        ),
    ]
}
