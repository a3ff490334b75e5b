//! What was signed and lies beside the store, or was kept elsewhere: a store that does not know it was put back to an older copy, or cut.

use std::path::{Path, PathBuf};

use ssh_key::PublicKey;

use super::context::Context;
use super::error::CliError;
use super::{evidence, ledger, uploads};
use crate::files::{self, Use};
use crate::journal::StoreError;
use crate::journal::bundle;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::verify::{Anchor, Contents, Fault, Head, contradiction};
use crate::model::evidence::{Head as End, Manifest};
use crate::model::ledger::{Signed, StoreWorld};
use crate::policy::checkpoint;

/// More than the signature and the manifest of a bundle, which come first in it, in bytes.
const BEGINNING: u64 = 4 << 20;

/// The last checkpoint, beside the journal and with its name.
pub fn beside(store: &Path) -> PathBuf {
    store.with_extension("checkpoint")
}

/// Every key that may have signed: those that the ledger announced, and that which lies beside it, of which a ledger that was cut may know
/// nothing.
pub fn keys(store_file: &Path, announced: Vec<PublicKey>) -> Vec<PublicKey> {
    announced.into_iter().chain(ledger::public(store_file).ok()).collect()
}

/// What lies beside the store and was signed with one of these keys. What is not whole is named by `evidence list`.
pub fn lying_there(store_file: &Path, keys: &[PublicKey]) -> Vec<Anchor> {
    let bundles = uploads::bundles(&evidence::folder(store_file)).unwrap_or_default();
    let sealed = bundles.iter().filter_map(|file| {
        let manifest = bundle::manifest(&*files::open(file, Use::Bundle).ok()?.first(BEGINNING).ok()?, keys)?;
        Some(of_bundle(file, &manifest))
    });
    let file = beside(store_file);
    let last = file.is_file().then(|| of_file(&file, keys).ok()).flatten();
    sealed.chain(last).collect()
}

/// What a bundle knows.
pub fn of_bundle(file: &Path, manifest: &Manifest) -> Anchor {
    let about = &manifest.drctl;
    let run = Head { run: about.run_id.clone(), seq: about.chain.entries, hash: about.chain.hash.clone() };
    Anchor { place: file.display().to_string(), ledger: about.chain_head_after.clone(), run: Some(run) }
}

/// A checkpoint from a file.
///
/// # Errors
/// If it is none, or somebody else's.
pub fn of_file(file: &Path, keys: &[PublicKey]) -> Result<Anchor, CliError> {
    let text = files::text(file, Use::Checkpoint)?;
    let not_one =
        |why: String| CliError::usage(format!("{} is not a checkpoint of this store: {why}", file.display()));
    let signed: Signed = serde_json::from_str(&text).map_err(|e| not_one(e.to_string()))?;
    let said = checkpoint::check(&signed, keys).map_err(not_one)?;
    let ledger = End { entries: said.entries, hash: said.head };
    Ok(Anchor { place: file.display().to_string(), ledger, run: None })
}

/// A store that may be acted on only if it knows what lies beside it. A rehearsal's proves nothing, and is thrown away by whoever likes.
///
/// # Errors
/// If it cannot be read.
pub fn hold(store: &SqliteJournal) -> Result<(), CliError> {
    if store.world() == StoreWorld::Live {
        let keys = keys(store.path(), ledger::announced(store)?);
        let found = lying_there(store.path(), &keys).into_iter().find_map(|anchor| {
            store.contradicts(&anchor).transpose().map(|why| why.map(|why| format!("{} {why}", anchor.place)))
        });
        if let Some(why) = found.transpose()? {
            store.only_read(why);
        }
    }
    Ok(())
}

/// Holds a store against checkpoints that were kept elsewhere.
///
/// # Errors
/// If one is none of this store, or the store does not know it.
pub fn kept(store: &SqliteJournal, files: &[PathBuf]) -> Result<(), CliError> {
    match unknown(store, files)?.into_iter().next() {
        None => Ok(()),
        Some((file, why)) => Err(StoreError::PutBack(format!("{} {why}", file.display())).into()),
    }
}

/// Checkpoints that were kept elsewhere and that the store does not know, each with why.
///
/// # Errors
/// If one is none of this store.
pub fn unknown(store: &SqliteJournal, files: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, CliError> {
    let keys = keys(store.path(), ledger::announced(store)?);
    let mut found = Vec::new();
    for file in files {
        found.extend(store.contradicts(&of_file(file, &keys)?)?.map(|why| (file.clone(), why)));
    }
    Ok(found)
}

/// The same of what lies beside the store, for the audit of everything in it.
pub fn faults(context: &Context, contents: &Contents) -> Vec<Fault> {
    if context.world() == StoreWorld::Sandbox {
        return Vec::new();
    }
    let file = context.store_file();
    let keys = keys(&file, contents.announced());
    let of = |anchor: Anchor| {
        let why = contradiction(&anchor, contents.ledger.len() as u64, contents)?;
        Some(Fault { run: anchor.place, seq: 0, why })
    };
    lying_there(&file, &keys).into_iter().filter_map(of).collect()
}
