//! The store's own key, and the ledger entries that it signs.

use std::path::{Path, PathBuf};

use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey, PublicKey};

use super::context::Context;
use super::error::AppError;
use super::files::{beside, place_new, place_over};
use super::presenter::Presenter;
use super::{anchors, environment, evidence, keys};
use crate::executor::Session;
use crate::files::{self, Unread, Use};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, Record};
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::{Checkpoint, Entry, Signed, StoreWorld, Why};
use crate::model::time::Timestamp;
use crate::plan::terms;
use crate::policy::checkpoint;
use crate::record::event::{Event, EventKind};
use crate::world::JUMP;

/// The file of the store's key, beside the journal and named after it, so that rehearsals do not sign for live runs. It has no passphrase,
/// because runs may start without a person at the terminal.
fn file(store: &Path) -> PathBuf {
    beside(store, ".key")
}

/// The store's key; created if it does not exist.
pub(crate) fn key(store: &SqliteJournal) -> Result<PrivateKey, AppError> {
    let path = file(store.path());
    if std::fs::symlink_metadata(&path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
        // Files that another key signed forbid a new one.
        store.may_write()?;
        make(&path)?;
    }
    read(&path)
}

/// Never waits for input, nor for something that is not a file.
fn read(path: &Path) -> Result<PrivateKey, AppError> {
    let unusable = |why: String| {
        let fix = format!(
            "restore the previous key, or move {} away. drctl then creates a new key, which auditors must know",
            path.display()
        );
        AppError::usage_fix(format!("{} is not the key of the store: {why}", path.display()), fix)
    };
    files::open(path, Use::Key).map_err(|e| match e.is_denied() {
        true => AppError::usage_fix(
            format!("this user may not read the key of the store, {}", path.display()),
            "sign as the user who starts runs. Nothing needs the key to read or verify the store",
        ),
        false => unusable(e.why.to_string()),
    })?;
    let key = keys::load(path)?;
    if key.is_encrypted() {
        return Err(unusable("it has a passphrase, but runs start without a person to type it".to_owned()));
    }
    Ok(key)
}

/// If two processes start at the same time they share one key: the file is created atomically and never overwritten.
fn make(path: &Path) -> Result<(), AppError> {
    let failed = |e: ssh_key::Error| AppError::usage(format!("drctl cannot create a key: {e}"));
    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(failed)?;
    key.set_comment("drctl store");
    let text = key.to_openssh(LineEnding::LF).map_err(failed)?;
    place_new(path, text.as_bytes(), 0o600).map(drop)
}

/// The public key, for auditors. It is created with the first run, not by this call, which may be made in the wrong folder.
///
/// # Errors
/// If there is none.
pub fn public(store: &Path) -> Result<PublicKey, AppError> {
    let path = file(store);
    match files::open(&path, Use::Key) {
        Err(e) if e.is_missing() => Err(AppError::usage_fix(
            format!(
                "the key {} does not exist, because nothing was signed in this store yet",
                path.display()
            ),
            "use drctl -C DIR for the folder where runs were started, or --store FILE",
        )),
        _ => Ok(read(&path)?.public_key().clone()),
    }
}

/// The same for a user who may not read the key file: the key that the ledger announced last.
///
/// # Errors
/// If there is none.
pub fn announced_last(context: &Context) -> Result<PublicKey, AppError> {
    let store = context.store_file();
    let announced = || SqliteJournal::look(&store, context.world()).ok()?.announced().pop();
    match files::open(&file(&store), Use::Key) {
        Err(e) if e.is_denied() => announced().map_or_else(|| public(&store), Ok),
        _ => public(&store),
    }
}

/// Why this user cannot sign for a store, if so: an auditor can often only read it.
pub fn cannot_sign(store: &SqliteJournal) -> Option<String> {
    let denied = || files::open(&file(store.path()), Use::Key).err().filter(Unread::is_denied);
    store.may_write().err().map(|e| e.to_string()).or_else(|| denied().map(|e| e.to_string()))
}

/// All keys that the ledger announced. Older ones are included, because what they signed stays valid.
///
/// # Errors
/// If the store cannot be read.
pub fn announced(store: &SqliteJournal) -> Result<Vec<PublicKey>, AppError> {
    let entries = store.entries(b"{\"ledger\":\"key")?;
    let key = |record: Record| match Entry::read(&record.bytes) {
        Ok(Entry::Key { public, .. }) => PublicKey::from_openssh(&public).ok(),
        _ => None,
    };
    Ok(entries.into_iter().filter_map(key).collect())
}

/// Adds a checkpoint to the ledger; before it the signing key and the settings, if the ledger does not have them yet.
///
/// # Errors
/// If there is no key, or the store cannot be written.
pub fn checkpoint(
    context: &Context,
    store: &SqliteJournal,
    now: Timestamp,
    (why, run): (Why, Option<&RunId>),
) -> Result<(u64, Signed), AppError> {
    let now = store.date(now)?;
    configuration(context, store, now)?;
    let key = key(store)?;
    announce(store, &key, now)?;
    let head = store.ledger_head()?.ok_or_else(|| AppError::usage("the ledger is empty"))?;
    let said = Checkpoint {
        drctl: Checkpoint::VERSION,
        store: if context.is_rehearsal() { "sandbox" } else { "live" }.to_owned(),
        entries: head.seq,
        head: head.hash,
        at: now,
        why,
        run: run.cloned(),
    };
    let signed =
        checkpoint::sign(&key, &said).map_err(|e| AppError::usage(format!("drctl cannot sign it: {e}")))?;
    let record = store.enter(&Entry::Checkpoint(signed.clone()))?;
    if store.world() == StoreWorld::Live {
        // A copy beside the store reveals later that the store was restored from an older copy. If it cannot be written, the entry counts
        // all the same.
        let text = format!("{}\n", serde_json::json!(signed));
        drop(place_over(&anchors::beside(store.path()), text, record.seq));
    }
    Ok((record.seq, signed))
}

/// The time for a new signature: never earlier than the times in the ledger. Shows a note if the machine's clock is behind.
///
/// # Errors
/// If the store cannot be read or written.
pub fn dated(
    presenter: &dyn Presenter,
    store: &SqliteJournal,
    now: Timestamp,
) -> Result<Timestamp, AppError> {
    let at = store.date(now)?;
    let behind = at.since(now);
    if behind >= JUMP {
        presenter.note(&format!(
            "the clock is {behind} behind the ledger. This entry has the date {at}, the last time in the ledger. Set the clock of this machine"
        ));
    }
    Ok(at)
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
    if let Err(e) = checkpoint(context, store, session.world.now(), (Why::Start, Some(run))) {
        presenter.note(&format!("no checkpoint of the ledger: {}", e.message));
    }
    let done = work.await;
    evidence::let_go((context, presenter), store, session.world.now(), run);
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

/// The last entry of a kind.
fn last(store: &SqliteJournal, kind: &[u8; 14]) -> Result<Option<Entry>, AppError> {
    Ok(store.entries(kind)?.pop().and_then(|record| Entry::read(&record.bytes).ok()))
}

fn announce(store: &SqliteJournal, key: &PrivateKey, at: Timestamp) -> Result<(), AppError> {
    let known = match last(store, b"{\"ledger\":\"key")? {
        Some(Entry::Key { public, .. }) => PublicKey::from_openssh(&public).ok(),
        _ => None,
    };
    if known.is_some_and(|known| known.key_data() == key.public_key().key_data()) {
        return Ok(());
    }
    let public = key.public_key().to_openssh().map_err(|e| AppError::usage(e.to_string()))?;
    store.enter(&Entry::Key { at, public })?;
    Ok(())
}

/// The operators change only with drctl.yaml. The ledger records when.
pub(crate) fn configuration(context: &Context, store: &SqliteJournal, at: Timestamp) -> Result<(), AppError> {
    let bytes = context.settings_text.as_ref().map_or(&[][..], |(_, bytes)| bytes.as_slice());
    let now = Digest::of(bytes);
    let known = last(store, b"{\"ledger\":\"con")?;
    let operators = terms::known(&context.settings.authority);
    let same = |settings: &Digest, before: &_| *settings == now && *before == operators;
    if matches!(&known, Some(Entry::Configuration { settings, operators, .. }) if same(settings, operators)) {
        return Ok(());
    }
    store.enter(&Entry::Configuration {
        at,
        who: environment::os_identity(),
        operator: keys::operator(&context.settings),
        command: context.command(),
        settings: now,
        operators,
    })?;
    Ok(())
}
