//! The store's own key, and what is put into its ledger with it.

use std::io::Write as _;
use std::path::PathBuf;

use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey};

use super::context::Context;
use super::error::CliError;
use super::printer::Printer;
use super::{environment, keys};
use crate::executor::Session;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::{Checkpoint, Entry, Known, Signed, Why};
use crate::model::time::Timestamp;
use crate::policy::checkpoint;

/// The file of the store's key, beside the journal. Nobody is asked for a passphrase: runs begin with nobody at the terminal.
fn file(store: &SqliteJournal) -> PathBuf {
    Context::lock_folder(store).join("store.key")
}

/// The store's key, made if it is not there.
fn key(store: &SqliteJournal) -> Result<PrivateKey, CliError> {
    let path = file(store);
    if !path.exists() {
        make(&path)?;
    }
    keys::read(&path, None)
}

/// Two processes that begin together get one key: the whole file comes into its place at once, and never over another.
fn make(path: &std::path::Path) -> Result<(), CliError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |e: ssh_key::Error| CliError::usage(format!("no key could be made: {e}"));
    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(failed)?;
    key.set_comment("drctl store");
    let text = key.to_openssh(LineEnding::LF).map_err(failed)?;
    let beside = path.with_extension(format!("key.{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let written = options.write(true).create_new(true).mode(0o600).open(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let placed = written.and_then(|()| match std::fs::hard_link(&beside, path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    drop(std::fs::remove_file(&beside));
    placed.map_err(|e| CliError::file(path, &e))
}

/// The public half, for auditors.
///
/// # Errors
/// If there is none and none can be made.
pub fn public(store: &SqliteJournal) -> Result<PublicKey, CliError> {
    Ok(key(store)?.public_key().clone())
}

/// Puts a checkpoint into the ledger, after the key that signs it and the settings that hold, where either is not what the ledger knows.
///
/// # Errors
/// If there is no key, or the store cannot be written.
pub fn checkpoint(
    context: &Context,
    store: &SqliteJournal,
    now: Timestamp,
    (why, run): (Why, Option<&RunId>),
) -> Result<(u64, Signed), CliError> {
    let key = key(store)?;
    announce(store, &key, now)?;
    configuration(context, store, now)?;
    let head = store.ledger_head()?.ok_or_else(|| CliError::usage("the ledger is empty"))?;
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
        checkpoint::sign(&key, &said).map_err(|e| CliError::usage(format!("it cannot be signed: {e}")))?;
    let record = store.enter(&Entry::Checkpoint(signed.clone()))?;
    Ok((record.seq, signed))
}

/// Drives a run between two of them: before anything is done, and when this process lets go of it. The run goes on without: what is done
/// for an application is worth more than the proof of it.
pub async fn kept<T>(
    (context, printer, session): (&Context, &Printer, &Session<'_>),
    store: &SqliteJournal,
    run: &RunId,
    work: impl Future<Output = T>,
) -> T {
    let make = |why| {
        if let Err(e) = checkpoint(context, store, session.world.now(), (why, Some(run))) {
            printer.note(&format!("no checkpoint of the ledger: {}", e.message));
        }
    };
    make(Why::Start);
    let done = work.await;
    make(Why::Seal);
    done
}

/// The last entry of a kind.
fn last<T>(store: &SqliteJournal, of: impl Fn(Entry) -> Option<T>) -> Result<Option<T>, CliError> {
    let entries = store.ledger(1)?;
    let read = |bytes: &[u8]| serde_json::from_slice::<Entry>(bytes).ok().and_then(&of);
    Ok(entries.iter().rev().find_map(|record| read(&record.bytes)))
}

fn announce(store: &SqliteJournal, key: &PrivateKey, at: Timestamp) -> Result<(), CliError> {
    let known = last(store, |entry| match entry {
        Entry::Key { public, .. } => PublicKey::from_openssh(&public).ok(),
        _ => None,
    })?;
    if known.is_some_and(|known| known.key_data() == key.public_key().key_data()) {
        return Ok(());
    }
    let public = key.public_key().to_openssh().map_err(|e| CliError::usage(e.to_string()))?;
    store.enter(&Entry::Key { at, public })?;
    Ok(())
}

/// Who may say what changes with drctl.yaml, and nothing else would tell when.
fn configuration(context: &Context, store: &SqliteJournal, at: Timestamp) -> Result<(), CliError> {
    let bytes = context.settings_text.as_ref().map_or(&[][..], |(_, bytes)| bytes.as_slice());
    let now = Digest::of(bytes);
    let known = last(store, |entry| match entry {
        Entry::Configuration { settings, .. } => Some(settings),
        _ => None,
    })?;
    if known.as_ref() == Some(&now) {
        return Ok(());
    }
    let fingerprint =
        |line: &str| PublicKey::from_openssh(line).map(|key| key.fingerprint(HashAlg::Sha256).to_string());
    let operators = context.settings.authority.operators.iter().map(|(name, operator)| {
        let key = fingerprint(&operator.key).unwrap_or_default();
        (name.clone(), Known { key, roles: operator.roles.iter().cloned().collect() })
    });
    let operators = operators.collect();
    store.enter(&Entry::Configuration { at, who: environment::os_identity(), settings: now, operators })?;
    Ok(())
}
