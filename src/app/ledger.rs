//! Entries of the ledger, and the checkpoints that the store's key signs.

use ssh_key::{PrivateKey, PublicKey};

use super::context::Context;
use super::error::AppError;
use super::files::{checkpoint_of, place_over};
use super::presenter::Presenter;
use super::{environment, keys, store_key};
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::{Checkpoint, Entry, Signed, StoreWorld, Why};
use crate::model::time::Timestamp;
use crate::plan::terms;
use crate::policy::checkpoint;
use crate::world::JUMP;

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
    let key = store_key::key(store)?;
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
        drop(place_over(&checkpoint_of(store.path()), text, record.seq));
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
    let now = Digest::of_bytes(bytes);
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
