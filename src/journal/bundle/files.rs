//! The files of a bundle: what was recorded, what is derived from it, and the manifest that describes them.

use crate::journal::chain::Record;
use crate::journal::written;
use crate::model::evidence::{File, Head, Manifest};
use crate::model::ids::Digest;
use crate::model::time::Timestamp;
use crate::record::runbook::Phase;
use crate::report::evidence::{Sealing, manifest as describe};
use crate::report::{RunReport, html, markdown};
use crate::run::RunState;
use crate::run::state::Turn;

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const ENVELOPE: &str = "manifest.dsse.json";
pub(super) const EVENTS: &str = "events.jsonl";
pub(super) const LEDGER: &str = "ledger.jsonl";
pub(super) const PLAN: &str = "plan.yaml";
pub(super) const RUNBOOK: &str = "runbook.json";

/// The files that every version writes with the same bytes.
pub(super) const WRITTEN: [&str; 4] = [PLAN, RUNBOOK, EVENTS, LEDGER];

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
pub(super) struct Content {
    pub(super) path: &'static str,
    pub(super) phase: &'static str,
    pub(super) captured_at: Timestamp,
    pub(super) bytes: Vec<u8>,
}

/// The manifest that describes these files.
pub(super) fn described(
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
        sha256: Digest::of_bytes(&c.bytes),
        size: c.bytes.len() as u64,
        captured_at: c.captured_at,
        phase: c.phase.to_owned(),
    });
    let sealing =
        Sealing { at, tool: TOOL.to_owned(), renders: RENDERS, chain, before, after, files: files.collect() };
    Ok(describe(state, report, sealing))
}

/// All files except the manifest and its envelope.
pub(super) fn contents(
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

pub(super) fn pretty<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, String> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| e.to_string())?;
    bytes.push(b'\n');
    Ok(bytes)
}
