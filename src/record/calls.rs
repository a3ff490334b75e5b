//! The exact calls that an action makes, for the dry run and the paper runbook. Adapters may make no other mutating call.

use std::collections::BTreeMap;

use crate::kinds::Op;
use crate::kinds::aws::aurora::AddClusterInstance;
use crate::kinds::aws::rds::{InstanceSettings, NewReplica, Rename};
use crate::kinds::aws::route53::Wanted;
use crate::kinds::aws::s3::BucketRef;
use crate::kinds::shared::database::{DatabaseRef, Engine};
use crate::kinds::shared::fence::{Fence, Unfence};
use crate::kinds::shared::promotion::{Promote, Withdraw};
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::RestoreStep;
use crate::model::call::{Call, asked, by_hand, call, quoted};
use crate::model::ids::ComponentName;
use crate::model::place::Place;
use crate::record::action::{Action, Check, Write};

mod clients;
mod clusters;
mod fences;
mod restoring;

/// By its host: a server that starts knows of no request.
fn restart(db: &DatabaseRef) -> Call {
    by_hand(
        ("sql", "statement"),
        &db.place.name,
        true,
        &format!("on the host of {}: pg_ctl -m immediate stop, then pg_ctl start", db.id),
    )
}

/// The calls of `action` in order, the mutating ones first, then those that watch for the result.
pub fn calls(action: &Action) -> Vec<Call> {
    match action {
        Action::Check(check) => check_calls(check),
        Action::Fence(f) => fences::set(f),
        Action::Unfence(Unfence(f)) => fences::lift(f),
        Action::Promote(Promote { db, .. }) if db.engine == Engine::Postgres => {
            vec![sql(db, true, "SELECT pg_promote(false)"), look(db)]
        }
        Action::Promote(Promote { db, takeover: Some(how), .. }) => vec![clusters::takeover(how), look(db)],
        Action::Withdraw(Withdraw { db }) => vec![restart(db), look(db)],
        Action::AddClusterInstance(AddClusterInstance { db, instance }) => {
            vec![clusters::equip(db, instance), look(db)]
        }
        Action::Promote(Promote { db, backup_days, .. }) => vec![
            aws(
                db,
                "rds",
                "PromoteReadReplica",
                true,
                format!(
                    "aws rds promote-read-replica --region {} --db-instance-identifier {}{}",
                    quoted(&db.place.region),
                    quoted(&db.id),
                    backup_days.map_or_else(String::new, |d| format!(" --backup-retention-period {d}"))
                ),
            ),
            look(db),
        ],
        Action::Rejoin(Rejoin { db, source, replica: None, reconcile }) => {
            vec![rejoin_call(db, source, reconcile), look(db)]
        }
        Action::Rejoin(Rejoin { db, replica: Some(replica), .. }) => {
            vec![replica_call(db, replica), look(db)]
        }
        Action::Rename(Rename { db, to }) => {
            let text = format!(
                "aws rds modify-db-instance --region {} --db-instance-identifier {} --new-db-instance-identifier {} --apply-immediately",
                quoted(&db.place.region),
                quoted(&db.id),
                quoted(to)
            );
            vec![
                aws(db, "rds", "ModifyDBInstance", true, text),
                describe_db(&db.place.region, &db.place.name, to),
            ]
        }
        Action::Restore(RestoreStep { part, of }) => restoring::calls(*part, of),
        Action::Scale(op) => op.calls(),
        Action::Switch(op) => op.calls(),
        Action::SetHealthObject(op) => op.calls(),
        Action::SetRoutingControls(op) => op.calls(),
        Action::UpdateClientSecret(op) => op.calls(),
        Action::Write(Write::Through { db, table, way }) => clients::through(db, table, way),
        Action::Write(write) => vec![write_call(write)],
        Action::Run(c) => vec![call(
            "command",
            "run",
            "here",
            true,
            c.argv.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(" "),
        )],
        Action::Gate(_) | Action::Wait { .. } => Vec::new(),
    }
}

fn rejoin_call(db: &DatabaseRef, source: &DatabaseRef, reconcile: &[String]) -> Call {
    let (run, data) = db.host.as_ref().map_or_else(Default::default, |h| {
        (h.run.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(" "), h.data.clone())
    });
    let export = match reconcile {
        [] => String::new(),
        tables => format!(", and export its rows of {}", tables.join(", ")),
    };
    let text = format!(
        "on its host ({run} sh): stop; keep the log of what only it has{export}; pg_rewind -D {} --source-server <{}>, else pg_basebackup beside it; standby.signal, primary_conninfo, primary_slot_name; start",
        quoted(&data),
        source.id
    );
    by_hand(("host", "rejoin"), &db.place.name, true, &text)
}

fn replica_call(db: &DatabaseRef, replica: &NewReplica) -> Call {
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
    aws(db, "rds", "CreateDBInstanceReadReplica", true, text)
}

/// What makes a new instance like another one.
fn options<const N: usize>(like: &InstanceSettings, more: [(&str, Option<String>); N]) -> String {
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

fn tags(tags: &BTreeMap<String, String>) -> String {
    let one = |(k, v): (&String, &String)| format!(" {}", quoted(&format!("Key={k},Value={v}")));
    let all: String = tags.iter().map(one).collect();
    if all.is_empty() { all } else { format!(" --tags{all}") }
}

fn write_call(write: &Write) -> Call {
    match write {
        Write::Canary { db, table } | Write::Through { db, table, .. } => {
            let text = format!(
                "CREATE TABLE IF NOT EXISTS {table} (key text PRIMARY KEY, written_at timestamptz); INSERT INTO {table} VALUES ('by hand ' || clock_timestamp(), clock_timestamp()); SELECT * FROM {table} ORDER BY written_at DESC LIMIT 1"
            );
            sql(db, true, &text)
        }
        Write::Guard { component, place, instead_of, .. } => {
            let body = "--body guard.json   # with {\"holder\": \"<who>\", \"since\": \"<when>\"} in it";
            let condition = match instead_of {
                Some(_) => format!("--if-match {}", asked("ETAG", "the ETag of get-object")),
                None => "--if-none-match '*'".to_owned(),
            };
            let command = format!("aws s3api put-object {condition} {} {body}", object(place, component));
            call("s3", "PutObject", &place.name, true, command)
        }
        Write::ReleaseGuard { component, place, .. } => {
            let command = format!(
                "aws s3api delete-object --if-match {} {}",
                asked("ETAG", "the ETag of get-object"),
                object(place, component)
            );
            call("s3", "DeleteObject", &place.name, true, command)
        }
    }
}

fn object(place: &Place, component: &ComponentName) -> String {
    let (bucket, key) = place.guard_object(component).unwrap_or_default();
    format!("--region {} --bucket {} --key {}", quoted(&place.region), quoted(&bucket), quoted(&key))
}

fn check_calls(check: &Check) -> Vec<Call> {
    match check {
        Check::Identity { place } => vec![call(
            "sts",
            "GetCallerIdentity",
            &place.name,
            false,
            // Connections that belong to no region have none.
            match place.region.as_str() {
                "" | "global" => "aws sts get-caller-identity".to_owned(),
                region => format!("aws sts get-caller-identity --region {}", quoted(region)),
            },
        )],
        Check::Guard { component, place, .. } => {
            let command = format!("aws s3api get-object {} guard.json", object(place, component));
            vec![call("s3", "GetObject", &place.name, false, command)]
        }
        Check::CaughtUp { db } => vec![sql(
            db,
            false,
            "SELECT pg_last_wal_replay_lsn()   -- until it is not below SELECT pg_current_wal_insert_lsn() on the fenced primary",
        )],
        Check::Available { db }
        | Check::Promotable { db }
        | Check::Exposure { db, .. }
        | Check::Follows { db, .. } => {
            vec![look(db)]
        }
        Check::Answers { names, resolvers_ttl_ms } => {
            let server = if resolvers_ttl_ms.is_some() { "each resolver" } else { "each server of the zone" };
            let server = asked("SERVER", server);
            let ask = |n: &Wanted| {
                let text = format!("dig @{server} {} {}", quoted(&n.name), n.rtype);
                call("dns", "query", "this machine", false, text)
            };
            names.iter().map(ask).collect()
        }
        Check::Compare(of) => {
            let call_at = |operation, command: &str, b: &BucketRef| {
                let owner =
                    b.place.account.as_deref().map(|of| format!(" --expected-bucket-owner {}", quoted(of)));
                let owner = owner.unwrap_or_default();
                let bucket = quoted(&b.bucket);
                let text = format!(
                    "aws s3api {command} --region {} --bucket {bucket}{owner}",
                    quoted(&b.place.region)
                );
                call("s3", operation, &b.place.name, false, text)
            };
            let head = |b| {
                call_at("HeadObject", &format!("head-object --key {}", asked("KEY", "each of the sample")), b)
            };
            let list = format!("list-objects-v2 --max-items 10000 --prefix {}", quoted(&of.source.prefix));
            vec![call_at("ListObjectsV2", &list, &of.source), head(&of.source), head(&of.copy)]
        }
        Check::Evidence { .. } => Vec::new(),
        Check::Probe { probe, .. } => {
            vec![by_hand(("probe", "sample"), "this machine", false, &format!("ask probe {probe}"))]
        }
    }
}

fn modify_groups(f: &Fence, groups: &[String]) -> Call {
    if f.db.engine == Engine::Aurora {
        return clusters::modify_groups(f, groups);
    }
    aws(
        &f.db,
        "rds",
        "ModifyDBInstance",
        true,
        format!(
            "aws rds modify-db-instance --region {} --db-instance-identifier {} --vpc-security-group-ids {}",
            quoted(&f.db.place.region),
            quoted(&f.db.id),
            groups.iter().map(|g| quoted(g)).collect::<Vec<_>>().join(" ")
        ),
    )
}

/// How a database's role and its last commit are looked for.
fn look(db: &DatabaseRef) -> Call {
    match db.engine {
        Engine::Rds => describe_db(&db.place.region, &db.place.name, &db.id),
        Engine::Aurora => clusters::describe(db),
        Engine::Postgres => sql(
            db,
            false,
            "SELECT pg_is_in_recovery(), clock_timestamp() - pg_last_xact_replay_timestamp(), system_identifier FROM pg_control_system()",
        ),
    }
}

fn describe_db(region: &str, at: &str, id: &str) -> Call {
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

fn aws(
    db: &DatabaseRef,
    service: &'static str,
    operation: &'static str,
    mutates: bool,
    command: String,
) -> Call {
    call(service, operation, &db.place.name, mutates, command)
}

/// A statement that can be sent as it stands.
fn sql(db: &DatabaseRef, mutates: bool, text: &str) -> Call {
    let server = match &db.endpoint {
        Some(endpoint) => quoted(&format!("postgresql://{endpoint}")),
        None => {
            format!("--host {}", asked(&format!("HOST of {}", db.id), &format!("the endpoint of {}", db.id)))
        }
    };
    call("sql", "statement", &db.place.name, mutates, format!("psql {server} -c {}", quoted(text)))
}

/// Statements that somebody has to put together from what they find.
fn sql_by_hand(at: &str, id: &str, mutates: bool, text: &str) -> Call {
    by_hand(("sql", "statement"), at, mutates, &format!("psql to {id}: {text}"))
}
