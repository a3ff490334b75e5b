//! The evidence of one run as one file: a tar archive that verifies on any machine, with nothing but the public half of the store's key.
//!
//! Its contents were either recorded during the run (`events.jsonl`, `ledger.jsonl`, `plan.yaml`, `runbook.json`) or are derived from that,
//! for people and programs to read. `manifest.json` lists every file with its digest, and `manifest.dsse.json` is the signature.

mod archive;
mod check;

use ssh_key::PrivateKey;

pub use archive::MOST_BYTES;
pub use check::{Fault, Unproven, Verdict, check, manifest};

use super::chain::Record;
use super::written;
use crate::model::evidence::{File, Head, Manifest, PAYLOAD_TYPE};
use crate::model::ids::Digest;
use crate::model::time::Timestamp;
use crate::policy::dsse;
use crate::record::runbook::Phase;
use crate::report::evidence::{Sealing, manifest as describe};
use crate::report::{RunReport, html, markdown, summary};
use crate::run::RunState;
use crate::run::state::Turn;

const MANIFEST: &str = "manifest.json";
const ENVELOPE: &str = "manifest.dsse.json";
const EVENTS: &str = "events.jsonl";
const LEDGER: &str = "ledger.jsonl";
const PLAN: &str = "plan.yaml";
const RUNBOOK: &str = "runbook.json";

/// The files that every version writes with the same bytes.
const WRITTEN: [&str; 4] = [PLAN, RUNBOOK, EVENTS, LEDGER];

/// The version of drctl that makes and checks bundles.
const TOOL: &str = env!("CARGO_PKG_VERSION");

/// The version of the texts that drctl derives from events. Raise it with every change of reports, their wording, or the files below.
/// Builds with another version do not compare the wording of a bundle with their own. A test compares it with
/// `tests/fixtures/golden/renders.txt`.
pub const RENDERS: u32 = 8;

/// The recorded data of a run.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its events.
    pub events: Vec<Record>,
    /// The ledger from its last head up to a checkpoint.
    pub ledger: Vec<Record>,
}

/// A file before it is packed.
struct Content {
    path: &'static str,
    phase: &'static str,
    captured_at: Timestamp,
    bytes: Vec<u8>,
}

/// Packs and signs a bundle.
///
/// # Errors
/// If the recorded data are incomplete, or the key cannot sign.
pub fn seal(written: &Written, state: &RunState, key: &PrivateKey, at: Timestamp) -> Result<Vec<u8>, String> {
    let report = summary::report(state, state.last_at);
    let contents = contents(written, (state, &report), at)?;
    let manifest = described(written, (state, &report), &contents, at)?;
    let bytes = pretty(&manifest)?;
    let envelope = dsse::seal(key, PAYLOAD_TYPE, &bytes)?;
    let envelope = serde_json::to_vec(&envelope).map_err(|e| e.to_string())?;
    let first = [(ENVELOPE, envelope.as_slice()), (MANIFEST, bytes.as_slice())];
    let all = first.into_iter().chain(contents.iter().map(|c| (c.path, c.bytes.as_slice())));
    let bundle = archive::write(all, at).map_err(|e| e.to_string())?;
    // drctl never signs a bundle that would not verify.
    let verdict = check(&bundle, std::slice::from_ref(key.public_key()));
    match verdict.faults.first() {
        None => Ok(bundle),
        Some(fault) => Err(format!("{}: {}", fault.place, fault.why)),
    }
}

/// The manifest that describes these files.
fn described(
    written: &Written,
    (state, report): (&RunState, &RunReport),
    contents: &[Content],
    at: Timestamp,
) -> Result<Manifest, String> {
    let last = |records: &[Record]| records.last().map(|r| Head { entries: r.seq, hash: r.hash.clone() });
    let before =
        written.ledger.first().map(|r| Head { entries: r.seq.saturating_sub(1), hash: r.previous.clone() });
    let (Some(chain), Some(before), Some(after)) = (last(&written.events), before, last(&written.ledger))
    else {
        return Err("the ledger does not contain the run".to_owned());
    };
    let files = contents.iter().map(|c| File {
        path: c.path.to_owned(),
        sha256: Digest::of(&c.bytes),
        size: c.bytes.len() as u64,
        captured_at: c.captured_at,
        phase: c.phase.to_owned(),
    });
    let sealing =
        Sealing { at, tool: TOOL.to_owned(), renders: RENDERS, chain, before, after, files: files.collect() };
    Ok(describe(state, report, sealing))
}

/// All files except the manifest and its envelope.
fn contents(
    written: &Written,
    (state, report): (&RunState, &RunReport),
    at: Timestamp,
) -> Result<Vec<Content>, String> {
    let (began, ended) = (state.created_at, state.last_at);
    let lines = |records: &[Record]| {
        records.iter().map(written::line).fold(String::new(), |text, line| text + &line + "\n").into_bytes()
    };
    let of = |path, phase, captured_at, bytes| Content { path, phase, captured_at, bytes };
    let created = &state.created;
    let mut all = vec![
        of(PLAN, "before", began, created.plan_text.clone().into_bytes()),
        of(RUNBOOK, "before", began, created.runbook.clone().into_bytes()),
        of(EVENTS, "during", ended, lines(&written.events)),
        of(LEDGER, "after", at, lines(&written.ledger)),
    ];
    all.extend(told(state, report)?);
    Ok(all)
}

/// The files that are derived from the events.
fn told(state: &RunState, report: &RunReport) -> Result<Vec<Content>, String> {
    let ended = state.last_at;
    let (before, after, seen_at) = observations(state);
    let approvals = serde_json::json!({
        "requester": report.requester, "approvals": report.approvals, "waivers": report.waivers, "overrides": report.overrides,
        "statements": report.said,
    });
    let turns = |turns: &Vec<Turn>| {
        let turn =
            |t: &Turn| serde_json::json!({"good": t.good, "since": t.since, "last_other": t.last_other});
        turns.iter().map(turn).collect::<Vec<_>>()
    };
    let turns: serde_json::Map<_, _> =
        state.turns.iter().map(|(probe, all)| (probe.clone(), turns(all).into())).collect();
    let probes = serde_json::json!({"probes": state.runbook.probes, "turns": turns});
    let of = |path, phase, captured_at, bytes| Content { path, phase, captured_at, bytes };
    Ok(vec![
        of("approvals.json", "during", ended, pretty(&approvals)?),
        of("observations/before.json", "before", seen_at.unwrap_or(state.created_at), pretty(&before)?),
        of("observations/after.json", "after", ended, pretty(&after)?),
        of("probes.json", "during", ended, pretty(&probes)?),
        of("report.json", "report", ended, pretty(report)?),
        of("report.md", "report", ended, markdown::render(report)?.into_bytes()),
        of("report.html", "report", ended, html::render(report, state)?.into_bytes()),
    ])
}

/// The observations before the first change, the observations after it by step, and when the first part ended.
fn observations(state: &RunState) -> (Vec<serde_json::Value>, Vec<serde_json::Value>, Option<Timestamp>) {
    let (mut before, mut after, mut seen_at) = (Vec::new(), Vec::new(), None);
    for (step, at) in state.runbook.steps.iter().zip(&state.steps).filter(|(_, at)| !at.facts.is_empty()) {
        if step.phase == Phase::Evidence {
            seen_at = seen_at.max(at.work.ended_at);
            before.extend(at.facts.iter().map(|fact| serde_json::json!(fact)));
        } else {
            after.push(serde_json::json!({"step": step.id, "component": step.component, "at": at.work.ended_at, "facts": at.facts}));
        }
    }
    (before, after, seen_at)
}

fn pretty<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, String> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| e.to_string())?;
    bytes.push(b'\n');
    Ok(bytes)
}
