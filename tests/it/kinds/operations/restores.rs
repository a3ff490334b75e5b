//! The parts of a restore, on a host and at RDS.

use drctl::kinds::shared::database::{DatabaseRef, InstanceSettings};
use drctl::kinds::shared::restore::{Backup, Backups, NewInstance, Restore, RestoreJob, RestoreStep, Source};
use drctl::model::time::Timestamp;

use super::made;
use super::{Row, row};

/// A backup of 6,000 MiB is fetched at 100 MiB/s in a minute and read at 50 MiB/s in two. 500 MiB of WAL are read in ten seconds.
fn restore(db: DatabaseRef, source: Source) -> Restore {
    let time = |text: &str| Timestamp::parse(text).unwrap();
    let (name, ended) = ("nightly".to_owned(), time("2026-09-21T02:00:00Z"));
    Restore {
        db,
        name: "1f".to_owned(),
        to_time: time("2026-09-21T12:00:00Z"),
        backup: Some(Backup { name, ended, bytes: 6_000 << 20 }),
        timeline: None,
        replay_bytes: Some(500 << 20),
        rates: None,
        snapshot: None,
        source,
        invariants: Vec::new(),
        rows: Vec::new(),
        canary: None,
    }
}

pub(super) fn own() -> Vec<Row> {
    let backups = Backups {
        list: "list".to_owned(),
        fetch: "fetch".to_owned(),
        archive_get: "cp %f %p".to_owned(),
        reserve_bytes: 0,
        preload: None,
    };
    let of = Box::new(restore(made::own("west"), Source::Own(backups)));
    let part = |part, says| row("postgres", RestoreStep { part, of: of.clone() }, says);
    vec![
        part(
            RestoreJob::CreateCopy,
            "restore a copy of pg-west as of 2026-09-21T12:00:00.000Z, from nightly
            at west; pg-west; 1m 20s, at most 2d
            without it: nobody may skip it
            undo: remove the copy of pg-west, with proof
            calls host:restore at west",
        ),
        part(
            RestoreJob::Verify,
            "check the copy of pg-west: invariants, foreign keys, every page
            at west; pg-west; 2m 5s, at most 2d
            without it: nobody may skip it
            undo: nothing
            looks host:restore at west",
        ),
        part(
            RestoreJob::Loss,
            "count what pg-west has and its copy of 2026-09-21T12:00:00.000Z lacks
            at west; pg-west; 12s, at most 2d
            without it: nobody may skip it
            undo: nothing
            looks host:restore at west",
        ),
        part(
            RestoreJob::Swap,
            "replace pg-west with the copy of 2026-09-21T12:00:00.000Z, and keep the previous data
            at west; pg-west; 20s, at most 2d
            without it: nobody may skip it
            undo: restore the previous data of pg-west
            calls host:restore at west
            sets database pg-west data at west: as they were -> as of 2026-09-21T12:00:00.000Z",
        ),
        part(
            RestoreJob::Revert,
            "restore the previous data of pg-west
            at west; pg-west; 20s, at most 2d
            without it: nobody may skip it
            undo: nothing
            calls host:restore at west",
        ),
        part(
            RestoreJob::Destroy,
            "remove the copy of pg-west, with proof
            at west; pg-west; 5s, at most 2d
            without it: nobody may skip it
            undo: nothing
            calls host:restore at west",
        ),
    ]
}

pub(super) fn managed() -> Vec<Row> {
    let new = NewInstance {
        id: "copy-of-shop-west".to_owned(),
        aside: "shop-west-before".to_owned(),
        like: InstanceSettings::default(),
        security_groups: vec!["sg-app".to_owned()],
    };
    let of = restore(made::rds("west"), Source::Managed(Some(Box::new(new))));
    let part = |part, says| row("aws.rds", RestoreStep { part, of: Box::new(of.clone()) }, says);
    let snapshot = Restore { snapshot: Some("nightly".to_owned()), ..of.clone() };
    vec![
        part(
            RestoreJob::CreateCopy,
            "restore a copy of shop-west as of 2026-09-21T12:00:00.000Z, from its automated backups
            at west; shop-west; 20m, at most 2d
            without it: nobody may skip it
            undo: remove the copy of shop-west, with proof
            calls rds:RestoreDBInstanceToPointInTime at west
            looks rds:DescribeDBInstances at west",
        ),
        row(
            "aws.rds",
            RestoreStep { part: RestoreJob::CreateCopy, of: Box::new(snapshot) },
            "restore a copy of shop-west as of 2026-09-21T12:00:00.000Z, from nightly
            at west; shop-west; 20m, at most 2d
            without it: nobody may skip it
            undo: remove the copy of shop-west, with proof
            calls rds:RestoreDBInstanceFromDBSnapshot at west
            looks rds:DescribeDBInstances at west",
        ),
        part(
            RestoreJob::Verify,
            "check the copy of shop-west: invariants, foreign keys, every row
            at west; shop-west; 2m 5s, at most 2d
            without it: nobody may skip it
            undo: nothing
            looks sql:statement at west",
        ),
        part(
            RestoreJob::Loss,
            "compare the rows of shop-west with its copy of 2026-09-21T12:00:00.000Z
            at west; shop-west; 10s, at most 2d
            without it: nobody may skip it
            undo: nothing
            looks sql:statement at west",
        ),
        part(
            RestoreJob::Swap,
            "replace shop-west with the copy of 2026-09-21T12:00:00.000Z, and keep the previous data
            at west; shop-west; 20m, at most 1h 30m
            without it: nobody may skip it
            undo: restore the previous data of shop-west
            calls rds:ModifyDBInstance at west
            looks rds:DescribeDBInstances at west
            sets database shop-west data at west: as they were -> as of 2026-09-21T12:00:00.000Z",
        ),
        reverted(&of),
        part(
            RestoreJob::Destroy,
            "remove the copy of shop-west, with proof
            at west; shop-west; 5m, at most 2d
            without it: nobody may skip it
            undo: nothing
            calls rds:DeleteDBInstance at west
            looks rds:DescribeDBInstances at west",
        ),
    ]
}

/// Users may have written to the copy, so drctl gives the name back to nobody.
fn reverted(of: &Restore) -> Row {
    row(
        "aws.rds",
        RestoreStep { part: RestoreJob::Revert, of: Box::new(of.clone()) },
        "restore the previous data of shop-west
        at west; shop-west; 20m, at most 2d
        without it: nobody may skip it
        undo: nothing
        looks rds:DescribeDBInstances at west",
    )
}
