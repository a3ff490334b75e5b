//! `drctl kit`: the go-bag. One file with plans, settings, last observations and unfinished runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{live_drill, runs};
use crate::cli::args::{Global, KitArgs, KitCommand};
use crate::cli::context::{Context, SECRET};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::files::write_private;
use crate::cli::printer::Printer;
use crate::inventory::estate::Remembered;
use crate::journal::Journal as _;
use crate::journal::sqlite::{Durability, SqliteJournal};
use crate::journal::written;
use crate::model::ids::Digest;
use crate::plan::settings::secrets_in;
use crate::run::RunState;

/// What is in the bag.
#[derive(Debug, Serialize, Deserialize)]
struct Kit {
    schema_version: u32,
    tool: String,
    /// Nobody has signed it: keys do not exist yet. The digest shows damage, not forgery.
    signature: Option<String>,
    digest: Digest,
    contents: String,
}

/// The contents, as one text whose digest the bag carries.
#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    settings: Option<String>,
    plans: Vec<(String, String)>,
    observations: Vec<(String, Remembered)>,
    runs: Vec<Vec<String>>,
}

/// Makes a go-bag.
pub fn run(global: &Global, printer: &Printer, args: &KitArgs) -> Result<u8, CliError> {
    let KitCommand::Export { to } = &args.command;
    let context = Context::load(global, printer)?;
    let store = context.store()?;
    let mut plans = Vec::new();
    if let Some((path, bytes)) = &context.settings_text
        && let Some(found) = secrets_in(&path.display().to_string(), bytes).into_iter().next()
    {
        return Err(CliError::usage_fix(format!("{}: {}", path.display(), found.message), found.fix));
    }
    for file in context.plan_files(&[])? {
        let (checked, text) = context.check_file(&file)?;
        if let Some(found) = checked.findings.iter().find(|finding| finding.id == SECRET) {
            return Err(CliError::usage_fix(
                format!("{}: {}", file.display(), found.message),
                found.fix.clone(),
            ));
        }
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        plans.push((name, text));
    }
    let mut unfinished = Vec::new();
    let states = super::status::states(&store)?;
    let debts = super::status::debts(&states).into_iter().map(|d| d.run);
    let half =
        |state: &RunState| live_drill::halfway(&state.created.plan, &states).map(|s| s.created.run.clone());
    // A finished run that owes a fence, or a way back, goes along: whoever carries on elsewhere has to know of it.
    let owing: BTreeSet<_> = debts.chain(states.iter().filter_map(half)).collect();
    for row in store.runs()?.into_iter().filter(|r| !r.finished || owing.contains(&r.run)) {
        unfinished.push(store.read(&row.run)?.iter().map(written::line).collect());
    }
    let settings = context.settings_text.as_ref().map(|(_, b)| String::from_utf8_lossy(b).into_owned());
    let contents = Contents { settings, plans, observations: store.all_remembered()?, runs: unfinished };
    let text = serde_json::to_string(&contents).unwrap_or_default();
    let kit = Kit {
        schema_version: 1,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        signature: None,
        digest: Digest::of(text.as_bytes()),
        contents: text,
    };
    write_private(to, serde_json::to_vec_pretty(&kit).unwrap_or_default())?;
    let (plans, seen, runs) = (contents.plans.len(), contents.observations.len(), contents.runs.len());
    let words = format!(
        "wrote {}: {plans} plans, {seen} observations, {runs} unfinished or owing runs, digest {} (unsigned)",
        to.display(),
        kit.digest.short()
    );
    let document = serde_json::json!({
        "schema_version": 1, "kit": to.display().to_string(), "plans": plans, "observations": seen,
        "unfinished_runs": runs, "digest": kit.digest, "signature": kit.signature,
    });
    printer.tell(&words, &document);
    Ok(exit::DONE)
}

/// Unpacks a go-bag beside itself, once, and answers with the folder to work in.
///
/// # Errors
/// If it is damaged or cannot be written out.
pub fn unpack(path: &Path, printer: &Printer) -> Result<PathBuf, CliError> {
    let bytes = std::fs::read(path).map_err(|e| CliError::file(path, &e))?;
    let damaged = |why: String| {
        CliError::usage_fix(
            format!("{} is no go-bag: {why}", path.display()),
            "make another with drctl kit export",
        )
    };
    let kit: Kit = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    if Digest::of(kit.contents.as_bytes()) != kit.digest {
        return Err(damaged("its contents do not have its digest".to_owned()));
    }
    let contents: Contents = serde_json::from_str(&kit.contents).map_err(|e| damaged(e.to_string()))?;
    let folder = path.with_extension(format!("{}.d", kit.digest.short()));
    if folder.join("unpacked").exists() {
        return Ok(folder);
    }
    let plans = folder.join("plans");
    std::fs::create_dir_all(&plans).map_err(|e| CliError::file(&plans, &e))?;
    for (name, text) in &contents.plans {
        // A name from a file is not trusted to stay inside the folder.
        let Some(name) = Path::new(name).file_name() else { continue };
        let file = plans.join(name);
        std::fs::write(&file, text).map_err(|e| CliError::file(&file, &e))?;
    }
    if let Some(settings) = &contents.settings {
        let file = folder.join("drctl.yaml");
        std::fs::write(&file, settings).map_err(|e| CliError::file(&file, &e))?;
    }
    let store = SqliteJournal::open(&folder.join(".drctl/drctl.db"), Durability::Full)?;
    store.remember(&contents.observations)?;
    for run in &contents.runs {
        let records: Option<Vec<_>> = run.iter().map(|l| written::parse_line(l)).collect();
        runs::import_records(
            &store,
            &records.ok_or_else(|| damaged("a run in it cannot be read".to_owned()))?,
        )?;
    }
    let mark = folder.join("unpacked");
    std::fs::write(&mark, kit.digest.as_str()).map_err(|e| CliError::file(&mark, &e))?;
    printer.note(&format!("working in {} (from an unsigned go-bag of drctl {})", folder.display(), kit.tool));
    Ok(folder)
}
