//! Signs the ledger and the evidence of a run when a process releases it.

use std::path::{Path, PathBuf};

use ssh_key::PublicKey;

use super::context::Context;
use super::error::AppError;
use super::files::place_new;
use super::presenter::Presenter;
use super::{bundles, ledger, store_key};
use crate::executor::{Session, create};
use crate::files::{self, Use};
use crate::journal::bundle::{self, Verdict, Written};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, Record};
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::{Entry, Why};
use crate::model::time::Timestamp;
use crate::record::event::{Event, EventKind, WorldKind};

/// A bundle.
pub struct Bundle {
    /// Its name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The world of the run.
    pub world: WorldKind,
    /// Whether the run has ended, or stopped at a decision of a person.
    pub over: bool,
}

/// Creates a bundle of a run in its current state, with a checkpoint of the ledger.
///
/// # Errors
/// If the run is not intact, or cannot be signed.
pub fn make(
    context: &Context,
    store: &SqliteJournal,
    now: Timestamp,
    (why, run): (Why, &RunId),
) -> Result<Bundle, AppError> {
    // The store's key signs neither imported runs nor times before the latest one in the ledger.
    store.may_act(run)?;
    let now = store.date(now)?;
    let (upto, _) = ledger::checkpoint(context, store, now, (why, Some(run)))?;
    let events = store.read(run)?;
    store.check_head(run, &events)?;
    let state = create::replay(run, &events)?;
    let name = bundles::name(run, events.len() as u64);
    let written = Written { events, ledger: store.ledger_of(run, upto)? };
    let bytes = bundle::seal(&written, &state, &store_key::key(store)?, now)
        .map_err(|why| AppError::usage(format!("drctl cannot seal the evidence of run {run}: {why}")))?;
    Ok(Bundle { name, bytes, over: state.finished() || state.halted.is_some(), world: state.created.world })
}

/// Signs the ledger after a run, and creates its bundle if it has ended or stopped, whatever the result. A failure here only produces a
/// message: the recovery matters more than its proof.
pub fn let_go(
    (context, presenter): (&Context, &dyn Presenter),
    store: &SqliteJournal,
    now: Timestamp,
    run: &RunId,
) {
    match keep(context, store, now, run) {
        Ok(Some((file, bundle))) if bundle.world == WorldKind::Live => {
            let digest = Digest::of_bytes(&bundle.bytes);
            presenter.note(&format!("evidence: {} (SHA-256 {digest})", file.display()));
        }
        Ok(_) => {}
        Err(e) => presenter.note(&format!("drctl sealed no evidence of run {run}: {}", e.message)),
    }
}

/// The same, but returns errors. Returns the file if it is new.
fn keep(
    context: &Context,
    store: &SqliteJournal,
    now: Timestamp,
    run: &RunId,
) -> Result<Option<(PathBuf, Bundle)>, AppError> {
    let bundle = make(context, store, now, (Why::Seal, run))?;
    if !bundle.over {
        return Ok(None);
    }
    let folder = bundles::folder(store.path());
    private(&folder)?;
    let file = folder.join(&bundle.name);
    if place_new(&file, &bundle.bytes, 0o600)? {
        return Ok(Some((file, bundle)));
    }
    // An existing file is from an earlier release without new events, or somebody else put it there.
    match sealed(&file, &store_key::announced(store)?) {
        Ok(_) => Ok(None),
        Err(why) => Err(AppError::usage(format!("{} already exists, and {why}", file.display()))),
    }
}

/// An intact bundle of the store whose content matches its name.
///
/// # Errors
/// What is wrong with it.
pub fn sealed(file: &Path, keys: &[PublicKey]) -> Result<(Vec<u8>, Verdict), String> {
    let bytes = files::read(file, Use::Bundle).map_err(|e| e.to_string())?;
    let verdict = judged(file, &bytes, keys)?;
    Ok((bytes, verdict))
}

/// The same for a bundle that was already read.
///
/// # Errors
/// What is wrong with it.
pub fn judged(file: &Path, bytes: &[u8], keys: &[PublicKey]) -> Result<Verdict, String> {
    let verdict = bundle::check(bytes, keys);
    if let Some(fault) = verdict.faults.first() {
        return Err(format!("{}: {}", fault.place, fault.why));
    }
    let said = verdict.manifest.as_ref().map(|m| bundles::name(&m.drctl.run_id, m.drctl.chain.entries));
    match said.as_deref() == file.file_name().and_then(std::ffi::OsStr::to_str) {
        true => Ok(verdict),
        false => Err(format!("it is the bundle {}", said.unwrap_or_default())),
    }
}

fn private(folder: &Path) -> Result<(), AppError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|e| AppError::file(folder, &e))?;
    // The folder must not be a link.
    match std::fs::symlink_metadata(folder).map_err(|e| AppError::file(folder, &e))?.is_dir() {
        true => Ok(()),
        false => Err(AppError::usage(format!("{} is not a separate folder", folder.display()))),
    }
}

/// Drives a run between two checkpoints: one before anything is done, one when this process releases it. If a checkpoint fails the run
/// continues, because a recovery is more important than its proof.
pub async fn kept<T>(
    (context, presenter, session): (&Context, &dyn Presenter, &Session<'_>),
    store: &SqliteJournal,
    run: &RunId,
    work: impl Future<Output = T>,
) -> T {
    if let Err(e) = begun(store, session.world.now(), run) {
        presenter.note(&format!("the ledger does not contain the terms of the run: {}", e.message));
    }
    if let Err(e) = ledger::checkpoint(context, store, session.world.now(), (Why::Start, Some(run))) {
        presenter.note(&format!("no checkpoint of the ledger: {}", e.message));
    }
    let done = work.await;
    let_go((context, presenter), store, session.world.now(), run);
    done
}

/// Records the terms under which a run started, once, in the signed ledger.
fn begun(store: &SqliteJournal, now: Timestamp, run: &RunId) -> Result<(), AppError> {
    let is_known = |record: &Record| match Entry::read(&record.bytes) {
        Ok(Entry::Terms { run: known, .. }) => known == *run,
        _ => false,
    };
    if store.entries(b"{\"ledger\":\"ter")?.iter().any(is_known) {
        return Ok(());
    }
    let first = store.read(run)?.into_iter().next().and_then(|record| Event::read(&record.bytes).ok());
    let Some(Event { what: EventKind::RunCreated(created), .. }) = first else { return Ok(()) };
    let at = store.date(now)?;
    store.enter(&Entry::Terms { at, run: run.clone(), terms: created.terms_digest })?;
    Ok(())
}
