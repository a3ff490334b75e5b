//! The text form of a store: one line for each event or ledger entry, with its exact bytes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::chain::Record;
use super::contents::{Contents, LEDGER};
use crate::model::ids::{Digest, RunId};

/// The error for a line that differs from what drctl writes.
const CHANGED: &str = "this is not a line of an export: it was changed";

/// The version of the first line of an exported store.
const VERSION: u64 = 1;

/// A record as a line. The bytes are text and stay exact.
pub fn line(record: &Record) -> String {
    json!({
        "run": record.run, "seq": record.seq, "epoch": record.epoch, "previous": record.previous, "hash": record.hash,
        "bytes": String::from_utf8_lossy(&record.bytes),
    })
    .to_string()
}

/// Reads a line. It must be exactly as drctl writes it, because other parsers may read added, repeated or reordered keys differently.
pub fn parse_line(text: &str) -> Option<Record> {
    let value: Value = serde_json::from_str(text).ok()?;
    let record = Record {
        run: RunId::parse(value["run"].as_str()?).ok()?,
        seq: value["seq"].as_u64()?,
        epoch: value["epoch"].as_u64()?,
        bytes: value["bytes"].as_str()?.as_bytes().to_vec(),
        previous: Digest::from_stored(value["previous"].as_str()?),
        hash: Digest::from_stored(value["hash"].as_str()?),
    };
    (line(&record) == text).then_some(record)
}

/// A whole store: a first line that describes it, then all runs in turn, then the ledger.
pub fn store(contents: &Contents) -> String {
    let records = contents.events.iter().chain(&contents.ledger).map(line);
    std::iter::once(head(env!("CARGO_PKG_VERSION")))
        .chain(records)
        .fold(String::new(), |text, line| text + &line + "\n")
}

/// The first line. It contains nothing that could be mistaken for signed data.
fn head(tool: &str) -> String {
    json!({"drctl_audit": VERSION, "tool": tool}).to_string()
}

/// Reads a whole store. A line in the wrong place is an error, just as a changed line is.
///
/// # Errors
/// The line, from 1, and what is wrong with it.
pub fn read_store(text: &str) -> Result<Contents, (u64, String)> {
    // Every line ends with a newline, including the last one.
    let whole = text.strip_suffix('\n');
    let mut lines = (1..).zip(whole.unwrap_or(text).split('\n'));
    let first_line = lines.next().map_or("", |(_, line)| line);
    let first = serde_json::from_str::<Value>(first_line).ok();
    match first.as_ref().map(|value| value["drctl_audit"].as_u64()) {
        Some(Some(VERSION)) => {}
        Some(Some(other)) => {
            return Err((1, format!("it has version {other}, but this build reads {VERSION}")));
        }
        _ => return Err((1, "it does not start like a file from drctl audit export".to_owned())),
    }
    let tool = first.as_ref().and_then(|value| value["tool"].as_str());
    if tool.is_none_or(|tool| head(tool) != first_line) {
        return Err((1, CHANGED.to_owned()));
    }
    let (mut contents, mut over) = (Contents::default(), BTreeSet::new());
    for (n, line) in lines {
        let record = parse_line(line).ok_or_else(|| (n, CHANGED.to_owned()))?;
        if record.run.as_str() == LEDGER {
            contents.ledger.push(record);
            continue;
        }
        let last = contents.events.last().map(|last| &last.run);
        let first = last.is_none_or(|last| *last != record.run);
        over.extend(last.filter(|_| first).cloned());
        if over.contains(&record.run) || !contents.ledger.is_empty() || first && record.seq != 1 {
            let why = format!("event {} of run {} is out of order here", record.seq, record.run);
            return Err((n, why));
        }
        contents.events.push(record);
    }
    match whole {
        Some(_) => Ok(contents),
        None => Err((
            text.split('\n').count() as u64,
            "the line is incomplete: the end of the file is missing".to_owned(),
        )),
    }
}
