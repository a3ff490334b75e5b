//! `drctl audit`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use ssh_key::HashAlg;

use super::evidence;
use crate::app::clock::now;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::keys::public;
use crate::app::{anchors, exit, ledger, store_key};
use crate::cli::args::{AuditArgs, AuditCommand, AuditFormat, Global};
use crate::cli::formats::Format;
use crate::cli::printer::{GREEN, Printer, RED, YELLOW};
use crate::files::{self, Use};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::verify::{self, Audit, Contents, Fault, Trust};
use crate::journal::{Record, cef, written};
use crate::model::authority::Authority;
use crate::model::ids::RunId;
use crate::model::ledger::{Signed, Why};
use crate::model::plain::count;
use crate::model::severity::Severity;
use crate::model::waiver::harmless;
use crate::record::event::{Event, EventKind, RunCreated};

/// Position and value of the signature of a tar archive (POSIX.1-2017, pax, «ustar Interchange Format»).
const TAR: (usize, &[u8]) = (257, b"ustar");

/// Verifies the store, exports it, and signs checkpoints.
pub fn run(global: &Global, printer: &Printer, args: &AuditArgs) -> Result<u8, AppError> {
    match &args.command {
        // A bundle is evidence too, and whoever received one need not know which command reads it.
        AuditCommand::Verify { file: Some(file), key } if is_bundle(file)? => {
            evidence::check(global, printer, file, key)
        }
        AuditCommand::Verify { file: Some(file), key } => {
            let trust = Trust { written_out: true, ..trust(key, &global.checkpoint)? };
            verify_file(printer, file, &trust)
        }
        AuditCommand::Verify { file: None, key } => {
            let context = Context::load(&global.options(), printer)?;
            let trust =
                Trust { operators: anchors::trust(&context).operators, ..trust(key, &global.checkpoint)? };
            verify_store(&context, printer, &trust)
        }
        AuditCommand::Export { format, out } => {
            let context = Context::load(&global.options(), printer)?;
            export(&context, printer, *format, out.as_deref())
        }
        AuditCommand::Checkpoint { out } => {
            let context = Context::load(&global.options(), printer)?;
            let Some(store) = whole(&context, printer)? else { return Ok(exit::NOT_RECOVERED) };
            let at = ledger::dated(printer, &store, now()?)?;
            let (_, signed) = ledger::checkpoint(&context, &store, at, (Why::Asked, None))?;
            write(printer, &format!("{}\n", json!(signed)), out.as_deref())
        }
        AuditCommand::Key => {
            let key = store_key::announced_last(&Context::load(&global.options(), printer)?)?;
            let line = key.to_openssh().map_err(|e| AppError::usage(e.to_string()))?;
            let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
            if printer.format == Format::Human {
                printer.line(&line);
                printer.note(&fingerprint);
            } else {
                printer.document(&json!({"schema_version": 1, "public": line, "fingerprint": fingerprint}));
            }
            Ok(exit::DONE)
        }
    }
}

/// Whether the ledger behind a run is whole; says what is wrong with it.
pub(super) fn ledger_is_whole(
    printer: &Printer,
    store: &SqliteJournal,
    (run, events): (&RunId, &[Record]),
) -> Result<bool, AppError> {
    let faults = store.ledger_faults(run, events)?;
    faults.iter().for_each(|fault| printer.note(&harmless(&fault.alarm())));
    Ok(faults.is_empty())
}

fn is_bundle(file: &Path) -> Result<bool, AppError> {
    let end = TAR.0 + TAR.1.len();
    let head = files::open(file, Use::Export)?.first(end as u64)?;
    Ok(head.get(TAR.0..end) == Some(TAR.1))
}

/// The keys and checkpoints that the auditor passed.
fn trust(keys: &[String], checkpoints: &[PathBuf]) -> Result<Trust, AppError> {
    let kept = |file: &PathBuf| {
        let text = files::text(file, Use::Checkpoint)?;
        let signed: Signed = serde_json::from_str(&text)
            .map_err(|e| AppError::usage(format!("{} is not a checkpoint: {e}", file.display())))?;
        Ok::<_, AppError>((file.display().to_string(), signed))
    };
    Ok(Trust {
        keys: keys.iter().map(|named| public(named)).collect::<Result<_, _>>()?,
        kept: checkpoints.iter().map(kept).collect::<Result<_, _>>()?,
        ..Trust::default()
    })
}

fn verify_store(context: &Context, printer: &Printer, trust: &Trust) -> Result<u8, AppError> {
    let path = there(context)?;
    let contents = context.look_for_an_audit()?;
    let mut audit = verify::audit(&contents, trust);
    beside(context, &contents, &mut audit);
    let (unsigned, others) = whose(&contents, &context.settings.authority);
    if printer.format != Format::Human {
        let mut document = document(&audit);
        document["unsigned_runs"] = json!(unsigned);
        document["runs_of_other_operators"] = json!(others);
        printer.document(&document);
        return Ok(code(&audit));
    }
    show(printer, &audit, &path.display().to_string());
    if !context.settings.authority.is_empty() {
        let lists = [
            ("requested without a key", &unsigned),
            ("with different operators than drctl.yaml has now", &others),
        ];
        for (what, runs) in lists.into_iter().filter(|(_, runs)| !runs.is_empty()) {
            printer.line(&format!("{} {what}: {}", runs.len(), runs.join(", ")));
        }
    }
    Ok(code(&audit))
}

/// The store's file. Fails if it does not exist, so that an audit in the wrong folder creates no empty store.
fn there(context: &Context) -> Result<PathBuf, AppError> {
    let path = context.store_file();
    match path.is_file() {
        true => Ok(path),
        false => Err(AppError::usage_fix(
            format!("the store {} does not exist", path.display()),
            "use drctl -C DIR for the folder where runs were started, or --store FILE",
        )),
    }
}

/// The store, if it is intact: drctl does not sign for changed content. Otherwise prints the faults.
fn whole(context: &Context, printer: &Printer) -> Result<Option<SqliteJournal>, AppError> {
    let path = there(context)?;
    let contents = context.look_for_an_audit()?;
    let mut audit = verify::audit(&contents, &anchors::trust(context));
    beside(context, &contents, &mut audit);
    if audit.faults.is_empty() {
        for fault in &audit.damaged {
            printer.note(&harmless(&format!("EVIDENCE BROKEN: {}: {}", fault.run, fault.why)));
        }
        return Ok(Some(context.store()?));
    }
    match printer.format {
        Format::Human => show(printer, &audit, &path.display().to_string()),
        _ => printer.document(&document(&audit)),
    }
    printer.note("nothing was signed. Keep the file unchanged, because it is the evidence");
    Ok(None)
}

/// Verifies a file with nothing but the file and a key.
fn verify_file(printer: &Printer, file: &Path, trust: &Trust) -> Result<u8, AppError> {
    let bytes = files::read(file, Use::Export)?;
    let name = file.display().to_string();
    let audit = match written::read_store(&String::from_utf8_lossy(&bytes)) {
        Ok(contents) => verify::audit(&contents, trust),
        Err((line, why)) => {
            let fault = Fault { run: format!("{name}, line {line}"), seq: 0, why };
            Audit { faults: vec![fault], ..Audit::default() }
        }
    };
    if printer.format == Format::Human {
        show(printer, &audit, &name);
    } else {
        printer.document(&document(&audit));
    }
    Ok(code(&audit))
}

/// Adds what the files beside the store show, and those of them that are damaged.
fn beside(context: &Context, contents: &Contents, audit: &mut Audit) {
    audit.faults.extend(anchors::put_back(context, contents));
    audit.damaged = anchors::damaged_or_changed(context, contents);
}

fn code(audit: &Audit) -> u8 {
    if audit.faults.is_empty() && audit.damaged.is_empty() { exit::DONE } else { exit::NOT_RECOVERED }
}

fn place(fault: &Fault) -> String {
    match (fault.run.as_str(), fault.seq) {
        (verify::LEDGER, seq) => format!("ledger, entry {seq}"),
        (place, 0) => place.to_owned(),
        (run, seq) => format!("run {run}, event {seq}"),
    }
}

fn show(printer: &Printer, audit: &Audit, of: &str) {
    for fault in audit.faults.iter().chain(&audit.damaged) {
        printer.line(&format!(
            "{} {}: {}",
            printer.paint(RED, "broken"),
            harmless(&place(fault)),
            harmless(&fault.why)
        ));
    }
    let whole = audit.faults.is_empty();
    let damaged = audit.damaged.len();
    let word = match (whole, damaged) {
        (true, 0) => printer.paint(GREEN, "whole"),
        (true, _) => printer.paint(RED, "EVIDENCE BROKEN"),
        (false, _) => printer.paint(RED, "NOT whole"),
    };
    let (runs, events, faults) = (audit.runs, audit.events, audit.faults.len());
    let worlds: Vec<&str> = audit.worlds.iter().map(String::as_str).collect();
    let worlds = if worlds.is_empty() { String::new() } else { format!("{} ", worlds.join(" and ")) };
    let found = [count(runs, &format!("{worlds}run")), count(events, "event"), count(faults, "fault")];
    let files = match damaged {
        0 => String::new(),
        n => format!("; {} beside it", count(n, "damaged file")),
    };
    printer.line(&format!("{word}: {} in {of}{files}", found.join(", ")));
    if !audit.imported.is_empty() {
        let runs: Vec<String> = audit.imported.iter().map(ToString::to_string).collect();
        printer.line(&harmless(&format!(
            "{} from files, not adopted in this store and not counted: {}",
            runs.len(),
            runs.join(", ")
        )));
    }
    for change in &audit.terms {
        let text = format!("run {} ({}) was {}", change.run, change.at, change.words());
        printer.line(&format!("{} {}", printer.paint(YELLOW, "terms changed"), harmless(&text)));
    }
    severities(printer, audit);
    let (keys, own) = &audit.keys;
    let by = match (keys.as_slice(), own) {
        ([], _) if audit.faults.is_empty() => "no key: nothing was signed".to_owned(),
        ([], _) => "and none was checked, because this is broken".to_owned(),
        (keys, true) => format!(
            "with the key from the store itself ({}): compare it with the key that you were given, or name that key with --key",
            keys.join(", then ")
        ),
        (keys, false) => format!("with the key that you named ({})", keys.join(", ")),
    };
    let (held, kept) = audit.checkpoints;
    let beside = if kept > 0 { format!(" and {kept} kept elsewhere") } else { String::new() };
    let after = match audit.after {
        0 if whole => "the last one covers everything".to_owned(),
        0 => "the last one is the last entry".to_owned(),
        n => format!(
            "{} after the last one, NOT COVERED by any checkpoint",
            count(n, "entry came|entries came")
        ),
    };
    let last = audit.last.as_ref().map_or_else(String::new, |c| format!("; made {}, {after}", c.at));
    printer.line(&format!("{}{beside}, {by}{last}", count(held, "checkpoint matches|checkpoints match")));
}

/// The severities of the runs, and each that differs from the usual one.
fn severities(printer: &Printer, audit: &Audit) {
    for of in audit.severities.iter().filter(|of| !of.decided.changes.is_empty()) {
        let word = match of.lowered {
            true => printer.paint(YELLOW, "severity lowered"),
            false => "severity changed".to_owned(),
        };
        let text = format!("run {} ({}) was {}", of.run, of.at, of.words());
        printer.line(&format!("{word} {}", harmless(&text)));
    }
    let of = |severity: Severity| {
        let runs = audit.severities.iter().filter(|of| of.decided.severity == severity).count();
        (runs > 0).then(|| format!("{} at {severity}", count(runs, "run")))
    };
    let counted: Vec<String> = Severity::ALL.into_iter().filter_map(of).collect();
    if !counted.is_empty() {
        printer.line(&format!("severities: {}", counted.join(", ")));
    }
}

fn document(audit: &Audit) -> serde_json::Value {
    let faults: Vec<_> = audit
        .faults
        .iter()
        .map(|f| json!({"run": f.run, "event": f.seq, "place": place(f), "why": f.why}))
        .collect();
    let damaged: Vec<_> = audit.damaged.iter().map(|f| json!({"file": f.run, "why": f.why})).collect();
    json!({
        "schema_version": 1, "runs": audit.runs, "events": audit.events, "faults": faults, "damaged": damaged,
        "checkpoints": audit.checkpoints.0, "checkpoints_kept_elsewhere": audit.checkpoints.1, "last_checkpoint": audit.last,
        "entries_after_it": audit.after, "imported": audit.imported, "terms_changed": audit.terms, "severities": audit.severities, "keys": audit.keys.0, "keys_named_by_the_store_itself": audit.keys.1,
    })
}

fn export(
    context: &Context,
    printer: &Printer,
    format: AuditFormat,
    out: Option<&Path>,
) -> Result<u8, AppError> {
    let text = match format {
        // A SIEM gets all events, broken or not.
        AuditFormat::Cef => {
            there(context)?;
            events_for_siem(&context.look()?)
        }
        AuditFormat::Jsonl => {
            let Some(store) = whole(context, printer)? else { return Ok(exit::NOT_RECOVERED) };
            if let Some(why) = store_key::cannot_sign(&store) {
                printer.note(&format!(
                    "the export has no new checkpoint, so nothing proves that its end is complete: {why}"
                ));
                written::store(&store.contents()?)
            } else {
                let at = ledger::dated(printer, &store, now()?)?;
                let (entry, _) = ledger::checkpoint(context, &store, at, (Why::Export, None))?;
                written::store(&store.contents()?.up_to(entry))
            }
        }
    };
    write(printer, &text, out)
}

fn events_for_siem(contents: &Contents) -> String {
    let created: BTreeMap<&RunId, Box<RunCreated>> =
        contents.events.iter().filter_map(|record| Some((&record.run, created(record)?))).collect();
    let records = contents.events.iter().chain(&contents.ledger);
    let lines = records.filter_map(|record| {
        let of = created.get(&record.run).map_or(("", ""), |c| (c.plan.as_str(), c.world.id()));
        cef::line(record, of)
    });
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

/// The first event of a run, if the record is one.
fn created(record: &Record) -> Option<Box<RunCreated>> {
    match serde_json::from_slice(&record.bytes) {
        Ok(Event { what: EventKind::RunCreated(created), .. }) if record.seq == 1 => Some(created),
        _ => None,
    }
}

/// Writes to a new file, or to standard output.
fn write(printer: &Printer, text: &str, out: Option<&Path>) -> Result<u8, AppError> {
    let Some(path) = out else {
        printer.text(text);
        return Ok(exit::DONE);
    };
    crate::app::files::write_new(path, text, 0o600)?;
    printer.note(&format!("wrote {}", path.display()));
    if printer.format != Format::Human {
        printer.document(&json!({"schema_version": 1, "wrote": path.display().to_string()}));
    }
    Ok(exit::DONE)
}

/// Runs without operators, and runs with operators other than these. The operators of a run are those in its first event; only
/// whoever maintains drctl.yaml knows whether they were correct.
fn whose(contents: &Contents, now: &Authority) -> (Vec<String>, Vec<String>) {
    let (mut unsigned, mut others) = (Vec::new(), Vec::new());
    for created in contents.events.iter().filter_map(created) {
        if created.authority.is_empty() {
            unsigned.push(created.run.to_string());
        } else if created.authority != *now {
            others.push(created.run.to_string());
        }
    }
    (unsigned, others)
}
