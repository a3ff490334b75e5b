//! A run as a trace: it is valid OTLP/JSON, and depends only on the events.

use std::collections::{BTreeMap, BTreeSet};

use drctl::record::event::{Event, EventKind, Request};
use drctl::report::trace;
use serde_json::Value;

use crate::cli::contract::Folder;
use crate::run::resume::events;
use crate::support::rig::{Rig, run_id, truststream};

fn spans(document: &Value) -> Vec<Value> {
    let resource = &document["resourceSpans"][0];
    assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "drctl");
    resource["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

fn word<'a>(span: &'a Value, key: &str) -> &'a str {
    span[key].as_str().unwrap_or_else(|| panic!("{key}: {span:#}"))
}

fn attribute(span: &Value, key: &str) -> Option<Value> {
    span["attributes"].as_array().unwrap().iter().find(|a| a["key"] == key).map(|a| a["value"].clone())
}

/// IDs in hex with the right length, times as text in nanoseconds, enums as numbers, every parent present, every ID unique.
fn well_formed(all: &[Value]) {
    let hex = |text: &str, n: usize| {
        text.len() == n && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let ids: BTreeSet<&str> = all.iter().map(|span| word(span, "spanId")).collect();
    assert_eq!(ids.len(), all.len(), "an id stands twice");
    for span in all {
        assert!(hex(word(span, "traceId"), 32) && hex(word(span, "spanId"), 16), "{span:#}");
        let nanos = |key| word(span, key).parse::<u64>().unwrap();
        let (start, end) = (nanos("startTimeUnixNano"), nanos("endTimeUnixNano"));
        assert!(start > 1_000_000_000_000_000_000 && start <= end && start % 1_000_000 == 0, "{span:#}");
        assert!(matches!(span["kind"].as_u64(), Some(1 | 3)), "{span:#}");
        match span.get("parentSpanId").and_then(Value::as_str) {
            Some(parent) => assert!(ids.contains(parent), "{span:#}"),
            None => assert_eq!(span["kind"], 1, "{span:#}"),
        }
    }
    let trace: BTreeSet<&str> = all.iter().map(|span| word(span, "traceId")).collect();
    assert_eq!(trace.len(), 1);
}

#[test]
fn every_step_and_every_call_of_a_run_is_a_span() {
    for scenario in ["region-lost", "chaos", "promotion-fails-once"] {
        let done = Rig::new(truststream(), scenario, 7).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
        let all = events(&done);
        let told = spans(&trace::document_of(&run_id(), &all));
        well_formed(&told);
        let count = |is: &dyn Fn(&EventKind) -> bool| all.iter().filter(|e| is(&e.what)).count();
        let named = |start: &str| told.iter().filter(|s| word(s, "name").starts_with(start)).count();
        assert_eq!(named("call "), count(&|w| matches!(w, EventKind::CallIntended { .. })), "{scenario}");
        let roots: Vec<_> = told.iter().filter(|s| s.get("parentSpanId").is_none()).collect();
        assert_eq!(roots.len(), 1, "{scenario}");
        assert_eq!(word(roots[0], "name"), "failover truststream");
        let at = |event: &Event| format!("{}000000", event.at.millis());
        assert_eq!(word(roots[0], "startTimeUnixNano"), at(&all[0]));
        let root = word(roots[0], "spanId");
        let steps = told.iter().filter(|s| s["parentSpanId"] == root && s["kind"] == 1).count();
        assert!(steps >= count(&|w| matches!(w, EventKind::StepStarted { .. })), "{scenario}");
    }
}

/// Two processes that send the first and the second half use the same IDs, and ended spans are the same in both.
#[test]
fn a_run_that_is_resumed_goes_on_in_the_same_trace() {
    let done = Rig::new(truststream(), "region-lost", 3).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let all = events(&done);
    let by_id = |events: &[Event]| -> BTreeMap<String, Value> {
        let told = spans(&trace::document_of(&run_id(), events));
        well_formed(&told);
        told.into_iter().map(|span| (word(&span, "spanId").to_owned(), span)).collect()
    };
    let whole = by_id(&all);
    for n in [1, all.len() / 3, all.len() / 2, all.len() - 1] {
        for (id, span) in by_id(&all[..n]) {
            let later = whole.get(&id).unwrap_or_else(|| panic!("{span:#}"));
            let open = attribute(&span, "drctl.open").is_some();
            assert!(open || *later == span, "{span:#} {later:#}");
            assert_eq!(later["startTimeUnixNano"], span["startTimeUnixNano"]);
        }
    }
    assert_ne!(trace::trace_id(&run_id()), trace::trace_id(&drctl::model::ids::RunId::new("another")));
}

#[test]
fn a_call_has_the_providers_request_ids_and_a_refused_one_its_code() {
    let done = Rig::new(truststream(), "region-lost", 3).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let mut all = events(&done);
    let is_call =
        |e: &Event| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db");
    let n = all.iter().position(is_call).unwrap();
    let EventKind::CallIntended { step, .. } = all[n].what.clone() else { unreachable!() };
    let request = |id: &str| Request { service: "rds".to_owned(), id: id.to_owned(), code: None };
    let at = all[n].at;
    all.truncate(n + 1);
    let requests = vec![request("first"), request("second")];
    all.push(Event { at, what: EventKind::CallRequests { step: step.clone(), requests } });
    let (code, why) = ("InvalidDBInstanceState".to_owned(), "it is busy\u{1b}[31m".to_owned());
    all.push(Event { at, what: EventKind::CallRefused { step, code, why, retry_at: None } });
    let told = spans(&trace::document_of(&run_id(), &all));
    let call = told.iter().find(|s| word(s, "name") == "call promote.db").unwrap();
    assert_eq!(attribute(call, "aws.request_id").unwrap()["stringValue"], "second");
    assert_eq!(
        attribute(call, "drctl.request.ids").unwrap()["arrayValue"]["values"][0]["stringValue"],
        "first"
    );
    assert_eq!(call["status"]["code"], 2);
    let message = call["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("InvalidDBInstanceState: it is busy") && !message.contains('\u{1b}'),
        "{message}"
    );
}

#[test]
fn the_trace_of_a_run_is_written_by_report() {
    let folder = Folder::with_plans();
    folder.run(&[
        "failover",
        "truststream",
        "--from",
        "us-west-2",
        "--to",
        "us-east-1",
        "--sandbox",
        "--yes",
    ]);
    let list: Value =
        serde_json::from_str(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"])).unwrap();
    let run = list["runs"][0]["run_id"].as_str().unwrap();
    let text = folder.ok(&["report", "run", run, "--format", "otlp", "--sandbox"]);
    well_formed(&spans(&serde_json::from_str(&text).unwrap()));
}
