//! `drctl evidence`

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;
use ssh_key::PublicKey;

use super::summed::FEW;
use crate::adapters::sinks::SinkError;
use crate::app::clock::now;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::files::write_new;
use crate::app::interrupt::Interrupts;
use crate::app::{anchors, bundles, evidence, exit, keys, ledger, run_names, run_states, store_key, uploads};
use crate::cli::args::{EvidenceArgs, EvidenceCommand, Global};
use crate::cli::formats::Format;
use crate::cli::printer::{GREEN, Printer, RED, YELLOW};
use crate::files::{self, Use};
use crate::journal::Journal as _;
use crate::journal::bundle::{self, RENDERS, Verdict};
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::model::evidence::{Achieved, Manifest, Said};
use crate::model::ids::{ComponentName, Digest, RunId};
use crate::model::ledger::Why;
use crate::model::measure::Basis;
use crate::model::plain::count;
use crate::model::sink::Receipt;
use crate::model::time::span;
use crate::model::waiver::harmless;
use crate::report::compliance::Covered;
use crate::report::measured::{Accepted, promised, shown};

/// Lists, writes and verifies bundles.
pub fn run(global: &Global, printer: &Printer, args: &EvidenceArgs) -> Result<u8, AppError> {
    match &args.command {
        EvidenceCommand::List => {
            list(&Context::load(&global.options(), printer)?, printer, &global.checkpoint)
        }
        EvidenceCommand::Export { run, out } => {
            export(&Context::load(&global.options(), printer)?, printer, run, out.as_deref())
        }
        EvidenceCommand::Push { run, check } => {
            push(&Context::load(&global.options(), printer)?, printer, run.as_deref(), *check)
        }
        EvidenceCommand::Verify { file, key } => check(global, printer, file, key),
    }
}

/// Verifies a bundle with the given keys, or those of the local store.
pub(super) fn check(
    global: &Global,
    printer: &Printer,
    file: &Path,
    named: &[String],
) -> Result<u8, AppError> {
    if !global.checkpoint.is_empty() {
        return Err(AppError::usage_fix(
            format!(
                "{} is the bundle of one run and contains the ledger only up to that run",
                file.display()
            ),
            "drctl compares checkpoints only with a file from drctl audit export; remove --checkpoint",
        ));
    }
    let keys = match named {
        [] => own(global, printer)?,
        named => named.iter().map(|named| keys::public(named)).collect::<Result<_, _>>()?,
    };
    verify(printer, file, &keys)
}

/// The keys of the local store, if none are given.
fn own(global: &Global, printer: &Printer) -> Result<Vec<PublicKey>, AppError> {
    let here = Context::load(&global.options(), printer).and_then(|context| {
        store_key::announced_last(&context)?;
        store_key::announced(&context.store()?)
    });
    here.map_err(|e| AppError {
        hint: Some(
            "name the public key of the store with --key FILE (drctl audit key shows it in the folder where runs start), or use --sandbox for a local rehearsal".to_owned(),
        ),
        ..AppError::usage(format!("no trusted key was given: {}", e.message))
    })
}

/// A line of the list: an existing file, or a run without a bundle.
struct Row {
    file: PathBuf,
    sha256: Option<Digest>,
    outcome: String,
    /// The outcome in words.
    standing: String,
    /// How many events of its run it contains, if the run went on after it.
    covers: Option<Covered>,
    fault: Option<String>,
    kept: BundleCopies,
}

impl Row {
    /// A file, or a run, with something wrong.
    fn faulty(file: PathBuf, fault: String) -> Self {
        Self {
            file,
            sha256: None,
            outcome: String::new(),
            standing: String::new(),
            covers: None,
            fault: Some(fault),
            kept: BundleCopies::default(),
        }
    }

    /// A signed file that the store does not contain.
    fn not_known(file: PathBuf, why: &str) -> Self {
        Self::faulty(file, format!("it {why}"))
    }
}

/// Where a bundle was seen, and where it is still missing.
#[derive(Default)]
struct BundleCopies {
    at: Vec<Receipt>,
    not_at: Vec<String>,
}

impl BundleCopies {
    fn for_file(context: &Context, file: &Path, sha256: Option<&Digest>) -> Self {
        let mut kept = Self::default();
        let Some(keeping) = uploads::keeping(context) else { return kept };
        for sink in &keeping.sinks {
            match uploads::receipt(context, file, sink).filter(|r| sha256.is_none_or(|sha| r.sha256 == *sha))
            {
                Some(receipt) => kept.at.push(receipt),
                None => kept.not_at.push(sink.name.clone()),
            }
        }
        kept
    }

    fn words(&self) -> String {
        let at = self.at.iter().map(|r| format!(", at {} until {}", r.sink, r.retained_until));
        let not_at = self.not_at.iter().map(|sink| format!(", NOT at {sink} yet"));
        at.chain(not_at).collect()
    }
}

fn list(context: &Context, printer: &Printer, checkpoints: &[PathBuf]) -> Result<u8, AppError> {
    let folder = bundles::folder(&context.store_file());
    // Bundles may still exist after their store is gone.
    let there = context.store_file().is_file() || !bundles::all(&folder)?.is_empty();
    let rows = match there || !checkpoints.is_empty() {
        true => {
            let store = context.store()?;
            let kept = anchors::unknown(&store, checkpoints)?
                .into_iter()
                .map(|(file, why)| Row::not_known(file, &why));
            rows(context, &store, &folder)?.into_iter().chain(kept).collect()
        }
        false => Vec::new(),
    };
    let broken = rows.iter().any(|row| row.fault.is_some());
    let owed = rows.iter().any(|row| !row.kept.not_at.is_empty());
    let code = match (broken, owed) {
        (true, _) => exit::NOT_RECOVERED,
        (false, true) => exit::RECOVERED_BUT,
        (false, false) => exit::DONE,
    };
    if printer.format != Format::Human {
        let all = rows.iter().map(|row| {
            json!({
                "file": row.file, "sha256": row.sha256, "outcome": row.outcome, "whole": row.fault.is_none(), "fault": row.fault,
                "covers": row.covers, "kept_at": row.kept.at, "not_at": row.kept.not_at,
            })
        });
        printer.document(&json!({"schema_version": 1, "bundles": all.collect::<Vec<_>>()}));
        return Ok(code);
    }
    if rows.len() > FEW {
        printer.line(&summary_of(&rows));
    }
    for row in &rows {
        let (file, standing) = (row.file.display().to_string(), harmless(&row.standing));
        printer.line(&match (&row.fault, &row.sha256) {
            (Some(fault), _) => {
                format!("{}  {}: {}", printer.paint(RED, "NOT whole"), harmless(&file), harmless(fault))
            }
            (None, digest) => {
                let digest = digest.as_ref().map_or("", Digest::short);
                let (whole, kept) = (printer.paint(GREEN, "whole"), row.kept.words());
                let covers = row.covers.map_or_else(String::new, |covers| format!(" ({})", covers.words()));
                format!("{whole}  {}{covers}  {standing}  SHA-256 {digest}{kept}", harmless(&file))
            }
        });
    }
    if rows.is_empty() {
        let rehearsals = if context.is_rehearsal() { "" } else { "; for rehearsals, use --sandbox" };
        printer.line(&format!("no run of this store has evidence yet ({}){rehearsals}", folder.display()));
    }
    Ok(code)
}

/// How many of many bundles need a person.
fn summary_of(rows: &[Row]) -> String {
    let broken = rows.iter().filter(|row| row.fault.is_some()).count();
    let missing = rows.iter().filter(|row| !row.kept.not_at.is_empty()).count();
    let words = [(broken, "NOT whole"), (missing, "NOT at every sink yet"), (rows.len() - broken, "whole")];
    let words = words.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}"));
    format!("{}: {}", count(rows.len(), "bundle"), words.collect::<Vec<_>>().join("; "))
}

/// Existing bundles, and those that should exist: a killed process or a full disk leaves a run without one.
fn rows(context: &Context, store: &SqliteJournal, folder: &Path) -> Result<Vec<Row>, AppError> {
    let keys = anchors::keys(store.path(), store_key::announced(store)?);
    let files = bundles::all(folder)?;
    let lengths: BTreeMap<_, _> = store.runs()?.into_iter().map(|row| (row.run, row.events)).collect();
    let mut rows = Vec::new();
    for file in &files {
        let row = match evidence::sealed(file, &keys) {
            Ok((_, verdict)) if not_known(store, file, &verdict)?.is_some() => {
                let why = not_known(store, file, &verdict)?.unwrap_or_default();
                Row {
                    kept: BundleCopies::for_file(context, file, None),
                    ..Row::not_known(file.clone(), &why)
                }
            }
            Ok((bytes, verdict)) => {
                let covers = verdict.manifest.as_ref().and_then(|manifest| covers(manifest, &lengths));
                let outcome = verdict.manifest.map(|m| m.drctl.outcome).unwrap_or_default();
                let sha256 = Digest::of_bytes(&bytes);
                let kept = BundleCopies::for_file(context, file, Some(&sha256));
                let standing = verdict.standing;
                Row { file: file.clone(), sha256: Some(sha256), outcome, standing, covers, fault: None, kept }
            }
            Err(why) => {
                Row { kept: BundleCopies::for_file(context, file, None), ..Row::faulty(file.clone(), why) }
            }
        };
        rows.push(row);
    }
    for Unsealed { run, file, stopped } in unsealed(store, folder, &files)? {
        let undriven = if stopped { "" } else { ", and no process drives the run" };
        let fault = format!("missing{undriven}; drctl evidence export {run} creates one from the journal");
        rows.push(Row::faulty(file, fault));
    }
    for (run, e) in run_states::unreadable(store)? {
        let of_run = format!("run {run}, ");
        let why = e.message.strip_prefix(of_run.as_str()).unwrap_or(&e.message);
        let fault = format!("the run cannot be read: {why}; for details, run drctl audit verify");
        rows.push(Row::faulty(PathBuf::from(run.as_str()), fault));
    }
    Ok(rows)
}

/// How many events of its run a bundle contains, if the run went on after it.
fn covers(manifest: &Manifest, lengths: &BTreeMap<RunId, u64>) -> Option<Covered> {
    let of = *lengths.get(&manifest.drctl.run_id)?;
    Covered { events: manifest.drctl.chain.entries, of }.if_partial()
}

/// Why the ledger does not know an intact bundle: it belongs to another store, or the store was restored from an older copy.
/// `None` if the ledger knows it.
fn not_known(store: &SqliteJournal, file: &Path, verdict: &Verdict) -> Result<Option<String>, AppError> {
    match &verdict.manifest {
        Some(manifest) => Ok(store.contradicts(&anchors::of_bundle(file, manifest))?),
        None => Ok(None),
    }
}

/// A run whose end is in no bundle.
struct Unsealed {
    run: RunId,
    /// The bundle of all its events.
    file: PathBuf,
    /// Whether it ended, or stopped at a decision of a person. Its process died before that otherwise.
    stopped: bool,
}

/// Runs that should have a bundle of all their events but have none. The process of a run seals it later.
fn unsealed(store: &SqliteJournal, folder: &Path, files: &[PathBuf]) -> Result<Vec<Unsealed>, AppError> {
    let locks = Context::lock_folder(store);
    let mut all = Vec::new();
    for row in store.runs()? {
        // A broken run cannot be sealed, and must not hide the others.
        let Ok(state) = run_states::one(store, &row.run) else { continue };
        let file = folder.join(bundles::name(&row.run, row.events));
        let due = state.finished() || !RunLock::is_held(&locks, &row.run);
        if due && !files.contains(&file) {
            let stopped = state.finished() || state.halted.is_some();
            all.push(Unsealed { run: row.run, file, stopped });
        }
    }
    Ok(all)
}

fn push(context: &Context, printer: &Printer, run: Option<&str>, again: bool) -> Result<u8, AppError> {
    uploads::sinks(context)?;
    let store = context.store()?;
    let run = run.map(|run| run_names::exactly(&store, run)).transpose()?;
    let run = run.as_ref();
    let folder = bundles::folder(store.path());
    let meant = |of: &str| run.is_none_or(|run| of == run.as_str());
    let unsealed_runs = unsealed(&store, &folder, &bundles::all(&folder)?)?.into_iter();
    let missing: Vec<_> = unsealed_runs.filter(|of| of.stopped && meant(of.run.as_str())).collect();
    if !missing.is_empty() {
        let now = now()?;
        // What cannot be sealed does not keep the others from their sinks.
        let at = ledger::dated(printer, &store, now).unwrap_or(now);
        missing.iter().for_each(|of| evidence::let_go((context, printer), &store, at, &of.run));
    }
    let of = |file: &PathBuf| {
        let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.rsplit_once("-e").is_some_and(|(run, _)| meant(run))
    };
    let files: Vec<_> = bundles::all(&folder)?.into_iter().filter(of).rev().collect();
    if let (Some(run), true) = (run, files.is_empty()) {
        return Err(AppError::usage_fix(format!("run {run} has no bundle"), "run drctl evidence list"));
    }
    let interrupts = Interrupts::listen().map_err(|e| AppError::usage(format!("no signals: {e}")))?;
    let errand = uploads::UploadOptions { again, within: None, interrupts: &interrupts };
    let told = uploads::deliver(context, &store, &files, &errand)?;
    // Only a run that stopped can be sealed here.
    let mut unsealed = unsealed(&store, &folder, &bundles::all(&folder)?)?;
    unsealed.retain(|of| of.stopped);
    // A bundle with a receipt that was not found at its sink is missing as well.
    let mut not_there: BTreeSet<_> = uploads::pending_uploads(context)?.into_iter().collect();
    not_there.extend(told.iter().filter(|told| told.held.is_err()).map(|told| told.file.clone()));
    let left = not_there.len() + unsealed.len();
    if printer.format == Format::Human {
        uploads::tell(printer, &told);
        printer.line(&match left {
            0 => "every bundle is in all its sinks".to_owned(),
            left => format!("{} not in all sinks", count(left, "bundle is|bundles are")),
        });
        for Unsealed { run, .. } in &unsealed {
            printer.line(&format!("run {run} has no bundle; run drctl evidence list for details"));
        }
    } else {
        let all = told.iter().map(|told| {
            let (receipt, why) = match &told.held {
                Ok(receipt) => (Some(receipt), None),
                Err(trouble) => (None, Some(trouble.why())),
            };
            json!({"file": told.file, "sink": told.sink, "receipt": receipt, "why": why,
                "differs": matches!(told.held, Err(SinkError::Differs(_)))})
        });
        printer.document(&json!({"schema_version": 1, "told": all.collect::<Vec<_>>(), "left": left,
            "unsealed": unsealed.iter().map(|of| &of.run).collect::<Vec<_>>()}));
    }
    let differs = told.iter().any(|told| matches!(told.held, Err(SinkError::Differs(_))));
    Ok(match (differs || !unsealed.is_empty(), left > 0) {
        (true, _) => exit::NOT_RECOVERED,
        (false, true) => exit::RECOVERED_BUT,
        (false, false) => exit::DONE,
    })
}

fn export(context: &Context, printer: &Printer, run: &str, out: Option<&Path>) -> Result<u8, AppError> {
    let store = context.store()?;
    let run = &run_names::read(&store, run)?;
    let name = bundles::name(run, store.read(run)?.len() as u64);
    // The bundle that was sealed when the process released the run is the older proof.
    let file = bundles::folder(store.path()).join(&name);
    let (bytes, how) = match evidence::sealed(&file, &store_key::announced(&store)?) {
        Ok((bytes, _)) => (bytes, "as sealed earlier"),
        Err(why) => {
            if file.exists() {
                printer.note(&format!("{} is refused: {}", file.display(), harmless(&why)));
            }
            store.may_act(run)?;
            let at = ledger::dated(printer, &store, now()?)?;
            (evidence::make(context, &store, at, (Why::Asked, run))?.bytes, "sealed now")
        }
    };
    let out = out.unwrap_or(Path::new(&name));
    write_new(out, &bytes, 0o600)?;
    let digest = Digest::of_bytes(&bytes);
    printer.note(&format!("wrote {}, {how} (SHA-256 {digest})", out.display()));
    if printer.format != Format::Human {
        printer.document(&json!({"schema_version": 1, "wrote": out, "sha256": digest}));
    }
    Ok(exit::DONE)
}

fn verify(printer: &Printer, file: &Path, keys: &[PublicKey]) -> Result<u8, AppError> {
    let bytes = files::read(file, Use::Bundle)?;
    let checked = bundle::check(&bytes, keys);
    if printer.format == Format::Human {
        show(printer, file, &checked);
    } else {
        let mut document = document(&checked);
        document["sha256"] = json!(Digest::of_bytes(&bytes));
        printer.document(&document);
    }
    Ok(match word(&checked) {
        "whole" => exit::DONE,
        "not_recomputed" => exit::RECOVERED_BUT,
        _ => exit::NOT_RECOVERED,
    })
}

fn word(verdict: &Verdict) -> &'static str {
    match (verdict.faults.is_empty(), verdict.recomputed) {
        (true, true) => "whole",
        (true, false) => "not_recomputed",
        (false, _) => "broken",
    }
}

fn show(printer: &Printer, file: &Path, verdict: &Verdict) {
    for fault in &verdict.faults {
        let (place, why) = (harmless(&fault.place), harmless(&fault.why));
        printer.line(&format!("{} {place}: {why}", printer.paint(RED, "broken")));
    }
    let judged = match word(verdict) {
        "whole" => printer.paint(GREEN, "whole"),
        "not_recomputed" => printer.paint(YELLOW, "signed, but NOT recomputed"),
        _ => printer.paint(RED, "NOT whole"),
    };
    printer.line(&format!("{judged}: {}", harmless(&file.display().to_string())));
    let Some(manifest) = verdict.manifest.as_ref().filter(|_| verdict.faults.is_empty()) else { return };
    let about = &manifest.drctl;
    if !verdict.recomputed {
        printer.line(&format!(
            "  drctl {} wrote the reports and figures, and renders them as {}; this drctl renders as {RENDERS}. Only a drctl that renders as {} can check them against the events",
            harmless(&about.tool),
            about.renders,
            about.renders
        ));
    }
    for line in told(manifest, &verdict.standing) {
        printer.line(&format!("  {}", harmless(&line)));
    }
    let (files, events, entry) = (about.files.len(), about.chain.entries, about.chain_head_after.entries);
    let anew = if verdict.recomputed {
        "; drctl recomputed all reports and figures from the events, and they are the same"
    } else {
        ""
    };
    printer.line(&format!(
        "  {}, {}, covered by entry {entry} of the ledger{anew}",
        count(files, "file"),
        count(events, "event")
    ));
    let operators = verdict.operators.iter().map(|(name, key)| format!("{} {key}", harmless(name)));
    let operators = operators.collect::<Vec<_>>().join(", ");
    printer.line(&match operators.is_empty() {
        true => {
            "  no operators were named in the settings of the run: names are what the operating system said"
                .to_owned()
        }
        false => {
            format!("  signatures of people are checked with the keys from the start of the run: {operators}")
        }
    });
    printer.line(&format!("  signed with {}", verdict.key.as_deref().unwrap_or_default()));
}

/// The content of a manifest, for people, with the state of the run in words.
fn told(manifest: &Manifest, standing: &str) -> Vec<String> {
    let about = &manifest.drctl;
    let said = |s: &Said| format!("{}{}", s.who, if s.signed { "" } else { " (unsigned)" });
    let from = about.from.as_deref().map_or_else(String::new, |from| format!(" from {from}"));
    let drill = about.drill.as_deref().map_or_else(String::new, |drill| format!(", of class {drill}"));
    let mut lines = vec![
        format!(
            "run {}: {} of {}{from} to {}{drill}, {}, {standing}",
            about.run_id, about.intent, about.plan, about.to, about.world
        ),
        format!(
            "sealed {} by drctl {}; asked for by {}: {}; reason: {}",
            manifest.timestamp,
            about.tool,
            said(&about.requester),
            about.requester.to,
            manifest.reason
        ),
        format!("recovery time {}", figure(&about.rto)),
    ];
    lines.push(format!("severity {}", about.terms.severity.text));
    lines.extend(about.terms.counts_for_nothing.iter().map(|why| format!("PROVES NOTHING: {why}")));
    lines.extend(about.rpo.iter().map(|(store, rpo)| format!("recovery point of {store} {}", figure(rpo))));
    let approved = about.approvals.iter().map(|a| format!("{} ({})", said(a), a.to)).collect::<Vec<_>>();
    if approved.is_empty() {
        lines.push(format!("approved by nobody: {}", manifest.approver));
    } else {
        // An approval alone does not say whether others are missing, late or against it.
        lines.push(format!("approved by {}; in all: {}", approved.join(", "), manifest.approver));
    }
    if !about.decisions.is_empty() {
        lines.extend(about.decisions.iter().cloned());
        return lines;
    }
    // An older bundle has them one kind after the other.
    lines.extend(about.statements.iter().cloned());
    lines.extend(about.overrides.iter().map(|o| format!("OVERRIDE: {o}")));
    lines.extend(about.waivers.iter().map(|w| format!("WAIVED: {w}")));
    lines
}

fn figure(of: &Achieved) -> String {
    let achieved = of.achieved_s.map_or_else(|| "unknown".to_owned(), |s| shown(s, of.measured_how));
    let achieved = match (of.measured_how, of.achieved_s, of.resolution_s) {
        (Basis::Interval, Some(most), Some(width)) => {
            format!("{} to {achieved}", shown(most - width, Basis::LowerBound))
        }
        _ => achieved,
    };
    let how = match of.measured_how {
        Basis::Measured => "measured",
        Basis::Interval => "interval",
        Basis::UpperBound => "at most",
        Basis::LowerBound => "at least",
        Basis::Unknown => "not known",
        Basis::NotApplicable => return "not applicable".to_owned(),
    };
    let promised = promised(of.objective_s, of.component.as_ref().map(ComponentName::as_str));
    let verdict = of.verdict.map_or_else(String::new, |verdict| format!(": {}", verdict.words()));
    let accepted = of.accepted_s.map(|most| Accepted::new(most, of.achieved_s, of.measured_how).text);
    let accepted = accepted.map_or_else(String::new, |text| format!("; {text}"));
    let within = match (of.measured_how, of.resolution_s) {
        (Basis::Measured, Some(s)) => format!(" ± {}", span(s)),
        _ => String::new(),
    };
    let as_of =
        of.as_of.filter(|_| of.achieved_s.is_some()).map_or_else(String::new, |at| format!(", as of {at}"));
    format!("{achieved}{within} ({how}){as_of}, objective {promised}{verdict}{accepted}")
}

fn document(verdict: &Verdict) -> serde_json::Value {
    let faults: Vec<_> = verdict.faults.iter().map(|f| json!({"place": f.place, "why": f.why})).collect();
    json!({
        "schema_version": 1, "verdict": word(verdict), "whole": word(verdict) == "whole", "faults": faults, "key": verdict.key,
        "operators": verdict.operators, "recomputed": verdict.recomputed, "manifest": verdict.manifest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_bundles_begin_with_how_many_need_a_person() {
        let whole = || Row { fault: None, ..Row::not_known(PathBuf::from("a.tar"), "") };
        let late = Row { kept: BundleCopies { at: Vec::new(), not_at: vec!["vault".to_owned()] }, ..whole() };
        let rows = [Row::not_known(PathBuf::from("b.tar"), "is new"), late, whole()];
        assert_eq!(summary_of(&rows), "3 bundles: 1 NOT whole; 1 NOT at every sink yet; 2 whole");
    }
}
