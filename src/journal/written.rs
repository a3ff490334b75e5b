//! What a store holds as text that travels: one line an event or an entry of the ledger, each with its exact bytes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::chain::Record;
use super::verify::{Contents, LEDGER};
use crate::model::ids::{Digest, RunId};

/// The version of the first line of a whole store.
const VERSION: u64 = 1;

/// One record as a line. The bytes are text, kept exactly.
pub fn line(record: &Record) -> String {
    json!({
        "run": record.run, "seq": record.seq, "epoch": record.epoch, "previous": record.previous, "hash": record.hash,
        "bytes": String::from_utf8_lossy(&record.bytes),
    })
    .to_string()
}

/// Reads one back.
pub fn parse_line(line: &str) -> Option<Record> {
    let value: Value = serde_json::from_str(line).ok()?;
    Some(Record {
        run: RunId::new(value["run"].as_str()?),
        seq: value["seq"].as_u64()?,
        epoch: value["epoch"].as_u64()?,
        bytes: value["bytes"].as_str()?.as_bytes().to_vec(),
        previous: Digest::from_stored(value["previous"].as_str()?),
        hash: Digest::from_stored(value["hash"].as_str()?),
    })
}

/// A whole store: a line that says what it is, then runs one after the other, then the ledger.
pub fn store(contents: &Contents) -> String {
    // Nothing that anybody could take for signed.
    let first = json!({"drctl_audit": VERSION, "tool": env!("CARGO_PKG_VERSION")});
    let records = contents.events.iter().chain(&contents.ledger).map(line);
    std::iter::once(first.to_string()).chain(records).fold(String::new(), |text, line| text + &line + "\n")
}

/// Reads a whole store back. What stands in another place than it was written to is as wrong as what was changed.
///
/// # Errors
/// The line, from 1, and what is wrong with it.
pub fn read_store(text: &str) -> Result<Contents, (u64, String)> {
    let mut lines = (1..).zip(text.lines());
    let first = lines.next().and_then(|(_, line)| serde_json::from_str::<Value>(line).ok());
    match first.as_ref().map(|value| value["drctl_audit"].as_u64()) {
        Some(Some(VERSION)) => {}
        Some(Some(other)) => {
            return Err((1, format!("it is of version {other}, and this build reads {VERSION}")));
        }
        _ => return Err((1, "it does not begin as drctl audit export begins".to_owned())),
    }
    let (mut contents, mut over) = (Contents::default(), BTreeSet::new());
    for (n, line) in lines {
        let record =
            parse_line(line).ok_or_else(|| (n, "this is no line of an export: it was changed".to_owned()))?;
        if record.run.as_str() == LEDGER {
            contents.ledger.push(record);
            continue;
        }
        let last = contents.events.last().map(|last| &last.run);
        let first = last.is_none_or(|last| *last != record.run);
        over.extend(last.filter(|_| first).cloned());
        if over.contains(&record.run) || !contents.ledger.is_empty() || first && record.seq != 1 {
            let why = format!("event {} of run {} stands here, out of its order", record.seq, record.run);
            return Err((n, why));
        }
        contents.events.push(record);
    }
    Ok(contents)
}
