//! The exact calls that an action makes, for the dry run and the paper runbook. Adapters may make no other mutating call.

use crate::kinds::shared::database::calls::{look, sql};
use crate::record::action::operation;

use crate::kinds::Op;
use crate::kinds::aws::route53::Wanted;
use crate::kinds::aws::s3::BucketRef;
use crate::model::call::{Call, asked, by_hand, call, quoted};
use crate::model::ids::ComponentName;
use crate::model::place::Place;
use crate::record::action::{Action, Check, Write};

mod clients;

/// The calls of `action` in order, the mutating ones first, then those that watch for the result.
pub fn calls(action: &Action) -> Vec<Call> {
    operation!(action, op => op.calls(),
        Action::Check(check) => check_calls(check),
        Action::Write(Write::Through { db, table, way }) => clients::through(db, table, way),
        Action::Write(write) => vec![write_call(write)],
        Action::Run(c) => vec![call(
            "command",
            "run",
            "here",
            true,
            c.argv.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(" "),
        )],
        Action::Gate(_) | Action::Wait { .. } => Vec::new())
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
