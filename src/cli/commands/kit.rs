//! `drctl kit`: the go-bag. One signed file with plans, settings, last observations and unfinished runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ssh_key::HashAlg;

use super::{adopted, live_drill};
use crate::cli::args::{Global, KitArgs, KitCommand};
use crate::cli::context::{Context, SANDBOX_BEGAN, SECRET, one_line};
use crate::cli::error::CliError;
use crate::cli::files::{own_folder, write_new, write_private};
use crate::cli::printer::{Printer, harmless};
use crate::cli::{environment, exit, keys, ledger, now};
use crate::files::{self, Use};
use crate::journal::kit::{self, Closed, Contents, Opened, Unsigned};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, Record, StoreError, written};
use crate::model::ids::Digest;
use crate::model::ledger::{Accepted, Entry, StoreWorld, Why};
use crate::model::plain::count;
use crate::plan::settings::secrets_in;
use crate::record::event::WorldKind;
use crate::run::RunState;

/// Creates a go-bag.
pub fn run(global: &Global, printer: &Printer, args: &KitArgs) -> Result<u8, CliError> {
    let KitCommand::Export { to, unsigned } = &args.command;
    let context = Context::load(global, printer)?;
    let usual = if context.is_rehearsal() { "drctl-kit-sandbox.json" } else { "drctl-kit.json" };
    let to = to.as_deref().unwrap_or_else(|| Path::new(usual));
    replaces(to, context.world())?;
    let contents = packed(&context)?;
    let store = context.store()?;
    let key = match unsigned {
        true => None,
        false => {
            // The ledger records the signing key, and that data left the store.
            ledger::checkpoint(&context, &store, contents.made_at, (Why::Export, None))?;
            Some(ledger::key(&store)?)
        }
    };
    let failed = |why: String| CliError::usage(format!("drctl cannot sign the go-bag: {why}"));
    let bytes = kit::seal(&contents, key.as_ref()).map_err(failed)?;
    write_private(to, &bytes)?;
    let (plans, seen, runs) = (contents.plans.len(), contents.observations.len(), contents.runs.len());
    let signed_by = key.as_ref().map(|key| key.public_key().fingerprint(HashAlg::Sha256).to_string());
    let digest = Digest::of(&bytes);
    let how = signed_by.as_ref().map_or_else(
        || "UNSIGNED: to use it, a person must add --accept-unsigned-kit NAME:REASON".to_owned(),
        |key| format!("signed with {key}; on another machine, use --kit-key {key}"),
    );
    let words = format!(
        "wrote {}: {}, {}, {}, {how}",
        to.display(),
        count(plans, "plan"),
        count(seen, "observation"),
        count(runs, "unfinished run or run with pending duties|unfinished runs or runs with pending duties"),
    );
    let document = serde_json::json!({
        "schema_version": 1, "kit": to.display().to_string(), "plans": plans, "observations": seen,
        "unfinished_runs": runs, "digest": digest, "signed_by": signed_by,
    });
    printer.tell(&words, &document);
    Ok(exit::DONE)
}

/// Refuses to replace a live go-bag with one of a rehearsal, which is useless in an outage.
fn replaces(to: &Path, world: StoreWorld) -> Result<(), CliError> {
    let there = files::read(to, Use::Kit).ok().and_then(|bytes| kit::world(&bytes));
    match there.filter(|there| *there != world) {
        None => Ok(()),
        Some(there) => {
            let of = if there == StoreWorld::Live { "the live store" } else { "rehearsals" };
            Err(CliError::usage_fix(
                format!("{} is a go-bag of {of}, and drctl does not replace it", to.display()),
                "name another file with --to",
            ))
        }
    }
}

/// The content of the go-bag.
fn packed(context: &Context) -> Result<Contents, CliError> {
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
    // A finished run with a pending fence or a pending return is included, because whoever continues elsewhere needs it.
    let pending_uploads: BTreeSet<_> = debts.chain(states.iter().filter_map(half)).collect();
    for row in store.runs()?.into_iter().filter(|r| !r.finished || pending_uploads.contains(&r.run)) {
        unfinished.push(store.read(&row.run)?.iter().map(written::line).collect());
    }
    let sandbox = |scenario| WorldKind::Sandbox { scenario, seed: context.seed(), began: SANDBOX_BEGAN };
    let world = context.scenario()?.map_or(WorldKind::Live, |scenario| sandbox(scenario.name.to_owned()));
    Ok(Contents {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now()?,
        made_by: environment::os_identity(),
        world,
        settings: context.settings_text.as_ref().map(|(_, b)| String::from_utf8_lossy(b).into_owned()),
        plans,
        observations: store.all_remembered()?,
        runs: unfinished,
    })
}

/// Unpacks the given go-bag into a folder beside it. Returns that folder.
///
/// # Errors
/// If it is not signed with a trusted key, was changed, or cannot be unpacked.
pub fn unpack(global: &Global, printer: &Printer) -> Result<Option<PathBuf>, CliError> {
    let Some(path) = &global.kit else {
        return match global.kit_key.is_empty() && global.accept_unsigned_kit.is_none() {
            true => Ok(None),
            false => Err(CliError::usage("--kit-key and --accept-unsigned-kit need --kit FILE")),
        };
    };
    let accepted = global.accept_unsigned_kit.as_deref().map(accepted).transpose()?;
    let bytes = files::read(path, Use::Kit)?;
    let unsigned = if accepted.is_some() { Unsigned::Accept } else { Unsigned::Refuse };
    let believed = believed(global, printer)?;
    let opened = kit::open(&bytes, &believed, unsigned).map_err(|why| closed(path, &why))?;
    let folder = path.with_extension(format!("{}.d", opened.digest.short()));
    own_folder(&folder)?;
    written_out(&folder, &opened.contents)?;
    filled((path, &folder), &opened, accepted.filter(|_| opened.signed_by.is_none()))?;
    let from = opened.signed_by.map_or_else(|| "NOT SIGNED".to_owned(), |key| format!("signed with {key}"));
    printer.note(&harmless(&format!(
        "working in {} (from a go-bag of {} by {}, {from})",
        folder.display(),
        opened.contents.made_at,
        opened.contents.made_by
    )));
    Ok(Some(folder))
}

/// A person's name and reason.
fn accepted(text: &str) -> Result<Accepted, CliError> {
    let (name, reason) = text.split_once(':').unwrap_or((text, ""));
    let (name, reason) = (one_line(name.trim()), one_line(reason.trim()));
    if name.is_empty() || reason.is_empty() {
        return Err(CliError::usage_fix(
            "--accept-unsigned-kit needs the name of a person and a reason",
            "--accept-unsigned-kit \"alice: the store's key is lost, the file never left my hands\"",
        ));
    }
    Ok(Accepted { who: format!("{name} ({})", environment::os_identity()), reason })
}

/// The fingerprints of the given keys, or those of the local store's keys.
fn believed(global: &Global, printer: &Printer) -> Result<BTreeSet<String>, CliError> {
    let of = |key: &ssh_key::PublicKey| key.fingerprint(HashAlg::Sha256).to_string();
    if !global.kit_key.is_empty() {
        let one = |named: &String| match named.starts_with("SHA256:") {
            true => Ok(named.clone()),
            false => keys::public(named).map(|key| of(&key)),
        };
        return global.kit_key.iter().map(one).collect();
    }
    let here = Global { kit: None, accept_unsigned_kit: None, ..global.clone() };
    let context = Context::load(&here, printer)?;
    match context.store_file().is_file() {
        true => Ok(ledger::announced(&context.store()?)?.iter().map(of).collect()),
        false => Ok(BTreeSet::new()),
    }
}

fn closed(path: &Path, why: &Closed) -> CliError {
    let fix = match why {
        Closed::Unknown(key) => format!(
            "ask the creator for the fingerprint, which `audit key` prints there. If it matches, use --kit-key {key}"
        ),
        Closed::Unsigned => "create a signed one with drctl kit export. If a person vouches for this file, use --accept-unsigned-kit NAME:REASON".to_owned(),
        Closed::Other | Closed::Changed(_) => "drctl used nothing from it. Get the file again, or create another with drctl kit export".to_owned(),
        Closed::Unreadable(_) => "use the version of drctl that created it".to_owned(),
    };
    let message = harmless(&format!("the go-bag {} is refused: {why}", path.display()));
    CliError { code: "refused", exit: exit::REFUSED, ..CliError::usage_fix(message, fix) }
}

/// Writes plans and settings that do not exist yet. Existing files must equal those in the go-bag, and no other files may be
/// there: they may be from an earlier unpacking, or from somebody else.
fn written_out(folder: &Path, contents: &Contents) -> Result<(), CliError> {
    let plans = folder.join("plans");
    own_folder(&plans)?;
    let mut all = Vec::new();
    for (name, text) in &contents.plans {
        // Never let a name from a file lead outside the folder.
        let Some(name) = Path::new(name).file_name() else { continue };
        all.push((plans.join(name), text));
    }
    let settings = folder.join("drctl.yaml");
    all.extend(contents.settings.as_ref().map(|text| (settings.clone(), text)));
    let there = std::fs::read_dir(&plans).map_err(|e| CliError::file(&plans, &e))?;
    let mut there = there
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| CliError::file(&plans, &e))?;
    there.push(settings);
    let stray = there
        .iter()
        .find(|path| std::fs::symlink_metadata(path).is_ok() && !all.iter().any(|(file, _)| file == *path));
    if let Some(stray) = stray {
        return Err(differs(stray, "is not part of the go-bag"));
    }
    for (file, text) in all {
        if std::fs::symlink_metadata(&file).is_err() {
            write_new(&file, text, 0o600)?;
        } else if files::read(&file, Use::Plan)? != text.as_bytes() {
            return Err(differs(&file, "differs from the go-bag"));
        }
    }
    Ok(())
}

fn differs(file: &Path, how: &str) -> CliError {
    let folder = file.ancestors().find(|f| f.extension().is_some_and(|x| x == "d")).unwrap_or(file);
    CliError::usage_fix(
        format!("{} {how}: somebody changed the unpacked files", file.display()),
        format!(
            "if you changed them, use drctl -C {0} without --kit; if not, move {0} away",
            folder.display()
        ),
    )
}

/// Fills the store, once. Local runs that continued in the meantime must start with the events in the go-bag.
fn filled(
    (path, folder): (&Path, &Path),
    opened: &Opened,
    accepted: Option<Accepted>,
) -> Result<(), CliError> {
    let contents = &opened.contents;
    let (name, world) = match contents.world {
        WorldKind::Live => ("drctl.db", StoreWorld::Live),
        WorldKind::Sandbox { .. } => ("sandbox.db", StoreWorld::Sandbox),
    };
    own_folder(&folder.join(".drctl"))?;
    let store = SqliteJournal::open(&folder.join(".drctl").join(name), world)?;
    for run in &contents.runs {
        let records: Option<Vec<Record>> = run.iter().map(|line| written::parse_line(line)).collect();
        let records = records
            .filter(|records| !records.is_empty())
            .ok_or_else(|| closed(path, &Closed::Unreadable("a run in it".to_owned())))?;
        match store.read(&records[0].run) {
            Ok(there) if there.starts_with(&records) => {}
            Ok(_) => {
                return Err(differs(store.path(), "has a run that starts differently than in the go-bag"));
            }
            Err(StoreError::NoRun(_)) => drop(adopted::import_records(&store, &records)?),
            Err(e) => return Err(e.into()),
        }
    }
    let known = store.entries(b"{\"ledger\":\"kit")?.into_iter().filter_map(|r| Entry::read(&r.bytes).ok());
    let mut same = known.filter(|e| matches!(e, Entry::Kit { digest, accepted: was, .. } if *digest == opened.digest && (accepted.is_none() || *was == accepted)));
    if same.next().is_none() {
        store.remember(&contents.observations)?;
        store.enter(&Entry::Kit {
            at: now()?,
            digest: opened.digest.clone(),
            made_at: contents.made_at,
            signed_by: opened.signed_by.clone(),
            accepted,
        })?;
    }
    Ok(())
}
