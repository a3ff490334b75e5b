//! Signed checkpoints beside the store or kept elsewhere. A store that does not contain them was restored from an older copy or
//! truncated.

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

/// Bytes at the start of a bundle that are read: more than its signature and manifest, which come first.
const BEGINNING: u64 = 4 << 20;

/// The last checkpoint, beside the journal and named after it.
pub fn beside(store: &Path) -> PathBuf {
    store.with_extension("checkpoint")
}

/// All keys that may have signed: those that the ledger announced, and the key file beside the store, which a truncated ledger
/// may not mention.
pub fn keys(store_file: &Path, announced: Vec<PublicKey>) -> Vec<PublicKey> {
    announced.into_iter().chain(ledger::public(store_file).ok()).collect()
}

/// The anchors beside the store that one of these keys signed. Damaged files are skipped here and reported by `evidence list`.
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

/// The anchor in a bundle.
pub fn of_bundle(file: &Path, manifest: &Manifest) -> Anchor {
    let about = &manifest.drctl;
    let run = Head { run: about.run_id.clone(), seq: about.chain.entries, hash: about.chain.hash.clone() };
    Anchor { place: file.display().to_string(), ledger: about.chain_head_after.clone(), run: Some(run) }
}

/// Reads a checkpoint from a file.
///
/// # Errors
/// If it is not a checkpoint, or is signed with another key.
pub fn of_file(file: &Path, keys: &[PublicKey]) -> Result<Anchor, CliError> {
    let text = files::text(file, Use::Checkpoint)?;
    let not_one =
        |why: String| CliError::usage(format!("{} is not a checkpoint of this store: {why}", file.display()));
    let signed: Signed = serde_json::from_str(&text).map_err(|e| not_one(e.to_string()))?;
    let said = checkpoint::check(&signed, keys).map_err(not_one)?;
    let ledger = End { entries: said.entries, hash: said.head };
    Ok(Anchor { place: file.display().to_string(), ledger, run: None })
}

/// Makes a live store read-only if it contradicts the anchors beside it. A rehearsal's store proves nothing and may be deleted at
/// any time.
///
/// # Errors
/// If the store cannot be read.
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

/// Compares a store with checkpoints that were kept elsewhere.
///
/// # Errors
/// If one does not belong to this store, or the store does not contain it.
pub fn kept(store: &SqliteJournal, files: &[PathBuf]) -> Result<(), CliError> {
    match unknown(store, files)?.into_iter().next() {
        None => Ok(()),
        Some((file, why)) => Err(StoreError::PutBack(format!("{} {why}", file.display())).into()),
    }
}

/// Checkpoints that were kept elsewhere and that the store does not contain, each with the reason.
///
/// # Errors
/// If one does not belong to this store.
pub fn unknown(store: &SqliteJournal, files: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, CliError> {
    let keys = keys(store.path(), ledger::announced(store)?);
    let mut found = Vec::new();
    for file in files {
        found.extend(store.contradicts(&of_file(file, &keys)?)?.map(|why| (file.clone(), why)));
    }
    Ok(found)
}

/// The same check with the anchors beside the store, for an audit of its content.
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
