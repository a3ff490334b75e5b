//! Signed checkpoints beside the store or kept elsewhere. A store that does not contain them was restored from an older copy or
//! truncated.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ssh_key::PublicKey;

use super::context::Context;
use super::error::AppError;
use super::files::checkpoint_of;
use super::{bundles, store_key};
use crate::files::{self, Use};
use crate::journal::StoreError;
use crate::journal::bundle::{self, Unproven};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::verify::{Anchor, Contents, Fault, Head, Trust, contradiction};
use crate::model::evidence::{Head as End, Manifest};
use crate::model::ledger::{Signed, StoreWorld};
use crate::plan::terms;
use crate::policy::checkpoint;

/// Bytes at the start of a bundle that are read: more than its signature and manifest, which come first.
const BEGINNING: u64 = 4 << 20;

/// All keys that may have signed: those that the ledger announced, and the key file beside the store, which a truncated ledger
/// may not mention.
pub fn keys(store_file: &Path, announced: Vec<PublicKey>) -> Vec<PublicKey> {
    announced.into_iter().chain(store_key::public(store_file).ok()).collect()
}

/// What is beside a store.
struct Lying {
    file: PathBuf,
    place: String,
    is: Result<Anchor, Unproven>,
}

impl Lying {
    /// How the store contradicts it, if it does. What an unknown key signed belongs to a newer store, or to another one.
    fn against(
        &self,
        contradicts: impl Fn(&Anchor) -> Result<Option<String>, StoreError>,
    ) -> Result<Option<String>, StoreError> {
        match &self.is {
            Ok(anchor) => contradicts(anchor),
            Err(Unproven::Stranger(print)) => Ok(Some(format!(
                "is signed with {print}, which is not a key of this store: somebody restored an older copy, or removed its key"
            ))),
            Err(Unproven::Damaged(_)) => Ok(None),
        }
    }
}

/// The bundles and the checkpoint beside the store.
fn lying_there(store_file: &Path, world: StoreWorld, keys: &[PublicKey]) -> Vec<Lying> {
    let bundles = bundles::all(&bundles::folder(store_file)).unwrap_or_default();
    let read =
        |file: &PathBuf, of: Use, most: u64| match files::open(file, of).and_then(|open| open.first(most)) {
            Ok(bytes) => Some(Ok(bytes)),
            // An auditor need not have access to it.
            Err(e) if e.is_missing() || e.is_denied() => None,
            Err(e) => Some(Err(Unproven::Damaged(e.why.to_string()))),
        };
    let sealed = bundles.iter().filter_map(|file| {
        let manifest = read(file, Use::Bundle, BEGINNING)?.and_then(|bytes| bundle::manifest(&*bytes, keys));
        // A rehearsal says nothing about a live store, whoever signed its bundle.
        let counts = manifest.as_ref().map_or(true, |m| m.drctl.world == world.id());
        let is = manifest.map(|m| of_bundle(file, &m));
        counts.then(|| Lying { file: file.clone(), place: file.display().to_string(), is })
    });
    let file = checkpoint_of(store_file);
    let last = read(&file, Use::Checkpoint, BEGINNING).map(|bytes| Lying {
        file: file.clone(),
        place: file.display().to_string(),
        is: bytes.and_then(|bytes| checkpoint_in(&file, &bytes, keys)),
    });
    sealed.chain(last).collect()
}

fn checkpoint_in(file: &Path, bytes: &[u8], keys: &[PublicKey]) -> Result<Anchor, Unproven> {
    let damaged = |why: String| Unproven::Damaged(format!("it is not a checkpoint of this store: {why}"));
    let signed: Signed = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
    if let Some(print) = checkpoint::stranger(&signed, keys) {
        return Err(Unproven::Stranger(print));
    }
    let said = checkpoint::check(&signed, keys).map_err(damaged)?;
    let ledger = End { entries: said.entries, hash: said.head };
    Ok(Anchor { place: file.display().to_string(), ledger, run: None, own: Some(signed) })
}

/// The anchor in a bundle.
pub fn of_bundle(file: &Path, manifest: &Manifest) -> Anchor {
    let about = &manifest.drctl;
    let run = Head { run: about.run_id.clone(), seq: about.chain.entries, hash: about.chain.hash.clone() };
    Anchor {
        place: file.display().to_string(),
        ledger: about.chain_head_after.clone(),
        run: Some(run),
        own: None,
    }
}

/// Reads a checkpoint from a file.
///
/// # Errors
/// If it is not a checkpoint, or is signed with another key.
pub fn of_file(file: &Path, keys: &[PublicKey]) -> Result<Anchor, AppError> {
    let text = files::text(file, Use::Checkpoint)?;
    let not_one =
        |why: String| AppError::usage(format!("{} is not a checkpoint of this store: {why}", file.display()));
    let signed: Signed = serde_json::from_str(&text).map_err(|e| not_one(e.to_string()))?;
    let said = checkpoint::check(&signed, keys).map_err(not_one)?;
    let ledger = End { entries: said.entries, hash: said.head };
    Ok(Anchor { place: file.display().to_string(), ledger, run: None, own: Some(signed) })
}

/// Makes a live store read-only if it contradicts what is beside it. A damaged file there is left to the audit, because a recovery must not
/// depend on it. A rehearsal's store proves nothing and may be deleted at any time. Returns what the store lacks.
///
/// # Errors
/// If the store cannot be read.
pub fn hold(store: &SqliteJournal) -> Result<Vec<String>, AppError> {
    let mut lacks = Vec::new();
    if store.world() == StoreWorld::Live {
        let keys = keys(store.path(), store_key::announced(store)?);
        for lying in lying_there(store.path(), store.world(), &keys) {
            if let Some(why) = lying.against(|anchor| store.contradicts(anchor))? {
                lacks.push(format!("{} {why}", lying.place));
            }
        }
    }
    lacks.iter().for_each(|why| store.only_read(why.clone()));
    Ok(lacks)
}

/// Makes a store read-only if it lacks anything of a checkpoint that was kept elsewhere. Returns what it lacks.
///
/// # Errors
/// If one does not belong to this store.
pub fn hold_to(store: &SqliteJournal, files: &[PathBuf]) -> Result<Vec<String>, AppError> {
    let of = |(file, why): (PathBuf, String)| format!("{} {why}", file.display());
    let lacks: Vec<String> = unknown(store, files)?.into_iter().map(of).collect();
    lacks.iter().for_each(|why| store.only_read(why.clone()));
    Ok(lacks)
}

/// Checkpoints that were kept elsewhere and that the store does not contain, each with the reason.
///
/// # Errors
/// If one does not belong to this store.
pub fn unknown(store: &SqliteJournal, files: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, AppError> {
    let keys = keys(store.path(), store_key::announced(store)?);
    let mut found = Vec::new();
    for file in files {
        found.extend(store.contradicts(&of_file(file, &keys)?)?.map(|why| (file.clone(), why)));
    }
    Ok(found)
}

/// What an audit trusts where the store is used.
pub fn trust(context: &Context) -> Trust {
    Trust { operators: terms::known(&context.settings.authority), ..Trust::default() }
}

/// What a live store lacks of the files beside it.
pub fn newer(context: &Context, contents: &Contents) -> Vec<String> {
    match context.world() {
        StoreWorld::Sandbox => Vec::new(),
        StoreWorld::Live => put_back(context, contents)
            .into_iter()
            .map(|fault| format!("{} {}", fault.run, fault.why))
            .collect(),
    }
}

/// What a store lacks of the checkpoints that were kept elsewhere.
///
/// # Errors
/// If one does not belong to this store.
pub fn kept_newer(context: &Context, contents: &Contents) -> Result<Vec<String>, AppError> {
    let keys = keys(&context.store_file(), contents.announced());
    let length = contents.ledger.len() as u64;
    let mut lacks = Vec::new();
    for file in &context.options().checkpoint {
        let why = contradiction(&of_file(file, &keys)?, length, contents);
        lacks.extend(why.map(|why| format!("{} {why}", file.display())));
    }
    Ok(lacks)
}

/// How a store contradicts what is beside it. Nothing depends on a store of rehearsals, but an audit names the same faults as the list of
/// its bundles.
pub fn put_back(context: &Context, contents: &Contents) -> Vec<Fault> {
    let length = contents.ledger.len() as u64;
    let of = |lying: Lying| {
        let why = lying.against(|anchor| Ok(contradiction(anchor, length, contents))).ok().flatten()?;
        Some(Fault { run: lying.place, seq: 0, why })
    };
    lying_beside(context, contents).into_iter().filter_map(of).collect()
}

/// The files beside a store whose signed parts are damaged. They say nothing about the store itself.
pub fn damaged(context: &Context, contents: &Contents) -> Vec<Fault> {
    damaged_or(context, contents, |_, _, _| None)
}

/// The same, and bundles that were changed behind their manifest. This reads every bundle in full, so it is for audits.
pub fn damaged_or_changed(context: &Context, contents: &Contents) -> Vec<Fault> {
    damaged_or(context, contents, changed)
}

fn damaged_or(
    context: &Context,
    contents: &Contents,
    changed: impl Fn(&Path, &Head, &[PublicKey]) -> Option<String>,
) -> Vec<Fault> {
    let keys = keys(&context.store_file(), contents.announced());
    let of = |lying: Lying| {
        let why = match &lying.is {
            Err(Unproven::Damaged(why)) => why.clone(),
            Ok(Anchor { run: Some(head), .. }) => changed(&lying.file, head, &keys)?,
            _ => return None,
        };
        Some(Fault { run: lying.place, seq: 0, why })
    };
    lying_beside(context, contents).into_iter().filter_map(of).collect()
}

/// What was changed in a bundle behind its manifest, or in its name.
fn changed(file: &Path, of: &Head, keys: &[PublicKey]) -> Option<String> {
    let name = bundles::name(&of.run, of.seq);
    if file.file_name() != Some(OsStr::new(&name)) {
        return Some(format!("it is the bundle {name}"));
    }
    match files::read(file, Use::Bundle) {
        Ok(bytes) => bundle::changed(&bytes, keys).map(|fault| format!("{}: {}", fault.place, fault.why)),
        Err(e) => Some(e.why.to_string()),
    }
}

fn lying_beside(context: &Context, contents: &Contents) -> Vec<Lying> {
    let file = context.store_file();
    lying_there(&file, context.world(), &keys(&file, contents.announced()))
}
