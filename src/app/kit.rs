//! Unpacks a go-bag.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ssh_key::HashAlg;

use super::context::{Context, Options};
use super::error::AppError;
use super::files::{own_folder, write_new};
use super::presenter::{Presenter, Quiet};
use super::{clock, environment, exit, imports, keys, store_key};
use crate::files::{self, Use};
use crate::journal::kit::{self, Closed, Contents, Opened, Unsigned};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, Record, StoreError, written};
use crate::model::ledger::{Accepted, Entry, StoreWorld};
use crate::model::waiver::{harmless, one_line};
use crate::record::event::WorldKind;

/// Unpacks the given go-bag into a folder beside it. Returns that folder.
///
/// # Errors
/// If it is not signed with a trusted key, was changed, or cannot be unpacked.
pub fn unpack(options: &Options, presenter: &dyn Presenter) -> Result<Option<PathBuf>, AppError> {
    let Some(path) = &options.kit else {
        return match options.kit_key.is_empty() && options.accept_unsigned_kit.is_none() {
            true => Ok(None),
            false => Err(AppError::usage("--kit-key and --accept-unsigned-kit need --kit FILE")),
        };
    };
    let accepted = options.accept_unsigned_kit.as_deref().map(accepted).transpose()?;
    let bytes = files::read(path, Use::Kit)?;
    let unsigned = if accepted.is_some() { Unsigned::Accept } else { Unsigned::Refuse };
    let believed = believed(options, presenter)?;
    let opened = kit::open(&bytes, &believed, unsigned).map_err(|why| closed(path, &why))?;
    let folder = path.with_extension(format!("{}.d", opened.digest.short()));
    own_folder(&folder)?;
    written_out(&folder, &opened.contents)?;
    filled((path, &folder), &opened, accepted.filter(|_| opened.signed_by.is_none()))?;
    let from = opened.signed_by.map_or_else(|| "NOT SIGNED".to_owned(), |key| format!("signed with {key}"));
    presenter.note(&harmless(&format!(
        "working in {} (from a go-bag of {} by {}, {from})",
        folder.display(),
        opened.contents.made_at,
        opened.contents.made_by
    )));
    Ok(Some(folder))
}

/// A person's name and reason.
fn accepted(text: &str) -> Result<Accepted, AppError> {
    let (name, reason) = text.split_once(':').unwrap_or((text, ""));
    let (name, reason) = (one_line(name.trim()), one_line(reason.trim()));
    if name.is_empty() || reason.is_empty() {
        return Err(AppError::usage_fix(
            "--accept-unsigned-kit needs the name of a person and a reason",
            "--accept-unsigned-kit \"alice: the store's key is lost, the file never left my hands\"",
        ));
    }
    Ok(Accepted { who: format!("{name} ({})", environment::os_identity()), reason })
}

/// The fingerprints of the given keys, or those of the local store's keys.
fn believed(options: &Options, presenter: &dyn Presenter) -> Result<BTreeSet<String>, AppError> {
    let of = |key: &ssh_key::PublicKey| key.fingerprint(HashAlg::Sha256).to_string();
    if !options.kit_key.is_empty() {
        let one = |named: &String| match named.starts_with("SHA256:") {
            true => Ok(named.clone()),
            false => keys::public(named).map(|key| of(&key)),
        };
        return options.kit_key.iter().map(one).collect();
    }
    let here = Options { kit: None, accept_unsigned_kit: None, ..options.clone() };
    let context = Context::load(&here, presenter)?;
    match context.store_file().is_file() {
        true => Ok(store_key::announced(&context.store()?)?.iter().map(of).collect()),
        false => Ok(BTreeSet::new()),
    }
}

fn closed(path: &Path, why: &Closed) -> AppError {
    let fix = match why {
        Closed::Unknown(key) => format!(
            "ask the creator for the fingerprint, which `audit key` prints there. If it matches, use --kit-key {key}"
        ),
        Closed::Unsigned => "create a signed one with drctl kit export. If a person vouches for this file, use --accept-unsigned-kit NAME:REASON".to_owned(),
        Closed::Other | Closed::Changed(_) => "drctl used nothing from it. Get the file again, or create another with drctl kit export".to_owned(),
        Closed::Unreadable(_) => "use the version of drctl that created it".to_owned(),
    };
    let message = harmless(&format!("the go-bag {} is refused: {why}", path.display()));
    AppError { code: "refused", exit: exit::REFUSED, ..AppError::usage_fix(message, fix) }
}

/// Writes plans and settings that do not exist yet. Existing files must equal those in the go-bag, and no other files may be
/// there: they may be from an earlier unpacking, or from somebody else.
fn written_out(folder: &Path, contents: &Contents) -> Result<(), AppError> {
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
    let there = std::fs::read_dir(&plans).map_err(|e| AppError::file(&plans, &e))?;
    let mut there = there
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| AppError::file(&plans, &e))?;
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

fn differs(file: &Path, how: &str) -> AppError {
    let folder = file.ancestors().find(|f| f.extension().is_some_and(|x| x == "d")).unwrap_or(file);
    AppError::usage_fix(
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
) -> Result<(), AppError> {
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
            Err(StoreError::NoRun(_)) => drop(imports::import_records(&Quiet, &store, &records)?),
            Err(e) => return Err(e.into()),
        }
    }
    let known = store.entries(b"{\"ledger\":\"kit")?.into_iter().filter_map(|r| Entry::read(&r.bytes).ok());
    let mut same = known.filter(|e| matches!(e, Entry::Kit { digest, accepted: was, .. } if *digest == opened.digest && (accepted.is_none() || *was == accepted)));
    if same.next().is_none() {
        store.remember(&contents.observations)?;
        store.enter(&Entry::Kit {
            at: clock::now()?,
            digest: opened.digest.clone(),
            made_at: contents.made_at,
            signed_by: opened.signed_by.clone(),
            accepted,
        })?;
    }
    Ok(())
}
