//! Events for a SIEM, in ArcSight's Common Event Format («Implementing ArcSight Common Event Format», version 26).

use serde_json::Value;

use super::chain::Record;
use super::contents::{self, LEDGER};
use crate::model::plain;
use crate::model::time::Timestamp;

/// The maximum length of `msg` and `reason`, in bytes.
const LONGEST: usize = 1_023;

/// One record of a run as a line, with the run's plan and world. Heads in the ledger have no line, because their events have one.
pub fn line(record: &Record, (plan, world): (&str, &str)) -> Option<String> {
    let of_ledger = record.run.as_str() == LEDGER;
    if of_ledger && contents::head(&record.bytes).is_some() {
        return None;
    }
    // An unreadable event is exported as unreadable, because something was there.
    let value: Value = serde_json::from_slice(&record.bytes).unwrap_or_default();
    let kind = value[if of_ledger { "ledger" } else { "kind" }].as_str().unwrap_or("unreadable").to_owned();
    let waived = waived(&value);
    let at = value["at"].as_str().and_then(|text| Timestamp::parse(text).ok());
    let mut fields: Vec<(&str, String)> = Vec::new();
    fields.extend(at.map(|at| ("rt", at.millis().to_string())));
    fields.push(("externalId", format!("{}/{}", record.run, record.seq)));
    let who = &value["who"];
    let who = who["who"].as_str().or_else(|| who.as_str()).or_else(|| value["requester"]["who"].as_str());
    fields.extend(who.map(|who| ("suser", who.to_owned())));
    for (key, label, text) in [
        ("cs1", "run", Some(record.run.as_str())),
        ("cs2", "plan", Some(plan)),
        ("cs3", "hash", Some(record.hash.as_str())),
        ("cs4", "step", value["step"].as_str()),
        ("cs5", "world", Some(world)),
        ("cs6", "waived", waived.as_deref()),
    ] {
        let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
        fields.push((key, text.to_owned()));
        fields.push((label_of(key), label.to_owned()));
    }
    fields.extend(outcome(&value).map(|outcome| ("outcome", outcome)));
    fields.extend(value["reason"].as_str().map(|reason| ("reason", reason.to_owned())));
    fields.push(("msg", message(&value)));
    let extension: Vec<String> =
        fields.iter().map(|(key, text)| format!("{key}={}", escaped(text))).collect();
    let version = env!("CARGO_PKG_VERSION");
    let severity = severity(&kind, &value).max(if waived.is_some() { 8 } else { 0 });
    let (id, name) = (header(&kind), header(&kind.replace('_', " ")));
    Some(format!("CEF:0|drctl|drctl|{version}|{id}|{name}|{severity}|{}", extension.join(" ")))
}

/// The refusals that people waived before the run started; they are in its runbook.
fn waived(value: &Value) -> Option<String> {
    let runbook: Value = serde_json::from_str(value["runbook"].as_str()?).ok()?;
    let word = |waiver: &Value, key: &str| waiver[key].as_str().unwrap_or_default().to_owned();
    let each = |waiver: &Value| {
        let component = waiver["component"].as_str().map_or_else(String::new, |c| format!(":{c}"));
        format!(
            "{}{component} by {}: {}",
            word(waiver, "rule"),
            word(&waiver["who"], "who"),
            word(waiver, "reason")
        )
    };
    let all: Vec<String> = runbook["waivers"].as_array()?.iter().map(each).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn label_of(key: &str) -> &'static str {
    match key {
        "cs1" => "cs1Label",
        "cs2" => "cs2Label",
        "cs3" => "cs3Label",
        "cs4" => "cs4Label",
        "cs5" => "cs5Label",
        _ => "cs6Label",
    }
}

fn outcome(value: &Value) -> Option<String> {
    let outcome = &value["outcome"];
    outcome.as_str().map(str::to_owned).or_else(|| outcome.is_object().then(|| outcome.to_string()))
}

/// The severity from 0 to 10: waivers, refusals and losses stand out.
fn severity(kind: &str, value: &Value) -> u8 {
    match kind {
        "unreadable" => 10,
        "overridden" | "guard_lost" | "clock_jumped" | "key" | "adopted" | "clock" => 8,
        "waived" | "imported" | "configuration" | "ratification_refused" | "halted" => 7,
        "rejected" | "cancel_requested" | "step_failed" | "step_skipped" | "claimed_done"
        | "signal_refused" => 6,
        "call_in_doubt" | "call_refused" | "overdue" => 5,
        "run_finished" if value["outcome"] == "recovered" => 3,
        "run_finished" => 6,
        "run_created" | "approved" | "ratified" => 3,
        "kit" if value["accepted"].is_object() => 8,
        "kit" => 3,
        _ => 1,
    }
}

/// The event without long fields that people do not read: signatures, signed statements and whole texts.
fn message(value: &Value) -> String {
    let mut short = value.clone();
    prune(&mut short);
    short.to_string()
}

fn prune(value: &mut Value) {
    if let Value::Object(map) = value {
        for long in ["signature", "statement", "runbook", "plan_text", "authority", "at"] {
            map.remove(long);
        }
        map.values_mut().for_each(prune);
    }
}

/// In the header, `
/// ` ends a field.
fn header(text: &str) -> String {
    plain::line(text).replace('\\', "\\\\").replace('|', "\\|")
}

/// Cuts a field at its maximum length, but never within an escape.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let piece = plain::siem(c.encode_utf8(&mut [0; 4]));
        if out.len() + piece.len() > LONGEST {
            break;
        }
        out += &piece;
    }
    out
}
