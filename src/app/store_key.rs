//! The key of a store, which signs its ledger and its evidence.

use std::path::{Path, PathBuf};

use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey, PublicKey};

use super::context::Context;
use super::error::AppError;
use super::files::{beside, place_new};
use super::keys;
use crate::files::{self, Unread, Use};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Record, StoreError};
use crate::model::ledger::Entry;

/// The file of the store's key, beside the journal and named after it, so that rehearsals do not sign for live runs. It has no passphrase,
/// because runs may start without a person at the terminal.
fn file(store: &Path) -> PathBuf {
    beside(store, ".key")
}

/// The store's key; created if it does not exist.
///
/// # Errors
/// If it cannot be created or used.
pub fn key(store: &SqliteJournal) -> Result<PrivateKey, AppError> {
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
    match store.may_write() {
        Ok(()) => denied().map(|e| e.to_string()),
        // Every command says what is newer.
        Err(StoreError::PutBack(_)) => Some("drctl only reads this store".to_owned()),
        Err(e) => Some(e.to_string()),
    }
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
