//! The exact calls that an action makes, for the dry run and the paper runbook. Adapters may make no other mutating call.

use crate::kinds::Op as _;
use crate::kinds::shared::database::calls::look;
use crate::model::call::{Call, asked, by_hand, call, quoted};
use crate::model::ids::ComponentName;
use crate::model::place::Place;
use crate::record::action::{Action, Check, Write};

/// The calls of `action` in order: first the mutating ones, then those that observe the result.
pub fn calls(action: &Action) -> Vec<Call> {
    match action {
        Action::Op(op) => op.calls(),
        Action::Check(Check::Identity { place }) => vec![identity(place)],
        Action::Check(Check::Guard { component, place, .. }) => {
            let command = format!("aws s3api get-object {} guard.json", object(place, component));
            vec![call("s3", "GetObject", &place.name, false, command)]
        }
        Action::Check(Check::Exposure { db, .. }) => vec![look(db)],
        Action::Check(Check::Evidence { .. }) => Vec::new(),
        Action::Check(Check::Probe { probe, .. }) => {
            vec![by_hand(("probe", "sample"), "this machine", false, &format!("ask probe {probe}"))]
        }
        Action::Write(write) => vec![write_call(write)],
        Action::Gate(_) | Action::Wait { .. } => Vec::new(),
    }
}

fn write_call(write: &Write) -> Call {
    match write {
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

/// The identity of the credentials. Connections that belong to no region have none.
fn identity(place: &Place) -> Call {
    let text = match place.region.as_str() {
        "" | "global" => "aws sts get-caller-identity".to_owned(),
        region => format!("aws sts get-caller-identity --region {}", quoted(region)),
    };
    call("sts", "GetCallerIdentity", &place.name, false, text)
}
