//! `drctl evidence`

use std::path::{Path, PathBuf};

use serde_json::json;
use ssh_key::PublicKey;

use crate::cli::args::{EvidenceArgs, EvidenceCommand, Global};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::files::write_new;
use crate::cli::printer::{Format, GREEN, Printer, RED};
use crate::cli::{evidence, exit, keys, ledger, now};
use crate::journal::Journal as _;
use crate::journal::bundle::{self, Checked};
use crate::model::evidence::{Achieved, Manifest, Said};
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::Why;
use crate::model::measure::Basis;

/// Lists, writes and checks bundles.
pub fn run(global: &Global, printer: &Printer, args: &EvidenceArgs) -> Result<u8, CliError> {
    match &args.command {
        EvidenceCommand::List => list(&Context::load(global, printer)?, printer),
        EvidenceCommand::Export { run, out } => {
            export(&Context::load(global, printer)?, printer, &RunId::new(run.as_str()), out.as_deref())
        }
        EvidenceCommand::Verify { file, key } => {
            let keys = match key.as_slice() {
                [] => vec![own(global, printer)?],
                named => named.iter().map(|named| keys::public(named)).collect::<Result<_, _>>()?,
            };
            verify(printer, file, &keys)
        }
    }
}

/// The key of the store here, where nobody named one.
fn own(global: &Global, printer: &Printer) -> Result<PublicKey, CliError> {
    let here = Context::load(global, printer).and_then(|context| ledger::public(&context.store_file()));
    here.map_err(|e| CliError {
        hint: Some(
            "name the store's public key: --key FILE (drctl audit key shows it where runs are begun)"
                .to_owned(),
        ),
        ..CliError::usage(format!("nobody said whose signature is believed: {}", e.message))
    })
}

fn list(context: &Context, printer: &Printer) -> Result<u8, CliError> {
    let folder = evidence::folder(&context.store_file());
    let mut files: Vec<PathBuf> = match std::fs::read_dir(&folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(CliError::file(&folder, &e)),
    };
    files.retain(|file| file.extension().is_some_and(|e| e == "tar"));
    files.sort();
    let key = if files.is_empty() { Vec::new() } else { vec![ledger::public(&context.store_file())?] };
    let mut told = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(|e| CliError::file(&file, &e))?;
        let checked = bundle::check(&bytes, &key);
        told.push((file, Digest::of(&bytes), checked));
    }
    let whole = told.iter().all(|(_, _, checked)| checked.faults.is_empty());
    if printer.format == Format::Human {
        for (file, digest, checked) in &told {
            let what =
                checked.manifest.as_ref().map_or_else(String::new, |m| format!("  {}", m.drctl.outcome));
            printer.line(&format!(
                "{}  {}{what}  SHA-256 {}",
                word(printer, checked),
                file.display(),
                digest.short()
            ));
        }
        if told.is_empty() {
            printer.line(&format!("no run of this store was sealed yet ({})", folder.display()));
        }
    } else {
        let all = told.iter().map(|(file, digest, checked)| {
            let mut document = document(checked);
            document["file"] = json!(file);
            document["sha256"] = json!(digest);
            document
        });
        printer.document(&json!({"schema_version": 1, "bundles": all.collect::<Vec<_>>()}));
    }
    Ok(if whole { exit::DONE } else { exit::NOT_RECOVERED })
}

fn export(context: &Context, printer: &Printer, run: &RunId, out: Option<&Path>) -> Result<u8, CliError> {
    let store = context.store()?;
    // What was sealed when the run was let go of is the older witness.
    let sealed = evidence::folder(store.path()).join(evidence::name(run, store.read(run)?.len() as u64));
    let (name, bytes) = match std::fs::read(&sealed) {
        Ok(bytes) => (sealed.file_name().map(PathBuf::from).unwrap_or_default(), bytes),
        Err(_) => {
            let bundle = evidence::make(context, &store, now()?, (Why::Asked, run))?;
            (bundle.name.into(), bundle.bytes)
        }
    };
    let out = out.unwrap_or(&name);
    write_new(out, &bytes, 0o600)?;
    let digest = Digest::of(&bytes);
    printer.note(&format!("wrote {} (SHA-256 {digest})", out.display()));
    if printer.format != Format::Human {
        printer.document(&json!({"schema_version": 1, "wrote": out, "sha256": digest}));
    }
    Ok(exit::DONE)
}

fn verify(printer: &Printer, file: &Path, keys: &[PublicKey]) -> Result<u8, CliError> {
    let bytes = std::fs::read(file).map_err(|e| CliError::file(file, &e))?;
    let checked = bundle::check(&bytes, keys);
    if printer.format == Format::Human {
        show(printer, file, &checked);
    } else {
        let mut document = document(&checked);
        document["sha256"] = json!(Digest::of(&bytes));
        printer.document(&document);
    }
    Ok(if checked.faults.is_empty() { exit::DONE } else { exit::NOT_RECOVERED })
}

fn word(printer: &Printer, checked: &Checked) -> String {
    match checked.faults.is_empty() {
        true => printer.paint(GREEN, "whole"),
        false => printer.paint(RED, "NOT whole"),
    }
}

fn show(printer: &Printer, file: &Path, checked: &Checked) {
    for fault in &checked.faults {
        printer.line(&format!("{} {}: {}", printer.paint(RED, "broken"), fault.place, fault.why));
    }
    printer.line(&format!("{}: {}", word(printer, checked), file.display()));
    let Some(manifest) = checked.manifest.as_ref().filter(|_| checked.faults.is_empty()) else { return };
    for line in told(manifest) {
        printer.line(&format!("  {line}"));
    }
    let key = checked.key.as_deref().unwrap_or_default();
    let about = &manifest.drctl;
    let computed = match checked.recomputed {
        true => "reports and figures were computed anew from the events, and are the same".to_owned(),
        false => format!(
            "reports and figures are those of drctl {}: another version computes none anew",
            about.tool
        ),
    };
    let (files, events, entry) = (about.files.len(), about.chain.entries, about.chain_head_after.entries);
    printer.line(&format!(
        "  {files} files, {events} events, vouched for by entry {entry} of the ledger; {computed}"
    ));
    printer.line(&format!("  signed with {key}"));
}

/// What a manifest says, for people.
fn told(manifest: &Manifest) -> Vec<String> {
    let about = &manifest.drctl;
    let said = |s: &Said| format!("{}{}", s.who, if s.signed { "" } else { " (unsigned)" });
    let from = about.from.as_deref().map_or_else(String::new, |from| format!(" from {from}"));
    let drill = about.drill.as_deref().map_or_else(String::new, |drill| format!(", a {drill} drill"));
    let mut lines = vec![
        format!(
            "run {}: {} of {}{from} to {}{drill}, {}, {}",
            about.run_id, about.intent, about.plan, about.to, about.world, about.outcome
        ),
        format!(
            "sealed {} by drctl {}; asked for by {}: {}",
            manifest.timestamp,
            about.tool,
            said(&about.requester),
            manifest.reason
        ),
        format!("recovery time {}", figure(&about.rto)),
    ];
    lines.extend(about.rpo.iter().map(|(store, rpo)| format!("recovery point of {store} {}", figure(rpo))));
    let approved = about.approvals.iter().map(|a| format!("{} ({})", said(a), a.to));
    lines.push(format!(
        "approved by {}",
        Some(approved.collect::<Vec<_>>().join(", "))
            .filter(|a| !a.is_empty())
            .unwrap_or_else(|| "nobody: none was asked for".to_owned())
    ));
    lines.extend(about.overrides.iter().map(|o| format!("OVERRIDE: {o}")));
    lines.extend(about.waivers.iter().map(|w| format!("WAIVED: {w}")));
    lines
}

fn figure(of: &Achieved) -> String {
    let achieved = of.achieved_s.map_or_else(|| "unknown".to_owned(), |s| format!("{s} s"));
    let how = match of.measured_how {
        Basis::Measured => "measured",
        Basis::UpperBound => "at most",
        Basis::LowerBound => "at least",
        Basis::Unknown => "not known",
    };
    format!("{achieved} ({how}), promised {} s", of.objective_s)
}

fn document(checked: &Checked) -> serde_json::Value {
    let faults: Vec<_> = checked.faults.iter().map(|f| json!({"place": f.place, "why": f.why})).collect();
    json!({
        "schema_version": 1, "whole": checked.faults.is_empty(), "faults": faults, "key": checked.key,
        "recomputed": checked.recomputed, "manifest": checked.manifest,
    })
}
