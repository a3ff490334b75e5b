//! Whether a bundle is what was sealed, by nothing but the file and a key.

use std::collections::BTreeMap;

use ssh_key::{HashAlg, PublicKey};

use super::{ENVELOPE, EVENTS, LEDGER, MANIFEST, TOOL, Written, archive, described, replayed};
use crate::journal::chain::{self, Record};
use crate::journal::{verify, written};
use crate::model::evidence::{Manifest, PAYLOAD_TYPE};
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::Entry;
use crate::policy::{checkpoint, dsse};

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file of the bundle, with the line, event or entry where there is one.
    pub place: String,
    /// What is wrong.
    pub why: String,
}

/// What a bundle was found to be.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What it says, if somebody who is believed signed that.
    pub manifest: Option<Manifest>,
    /// The fingerprint of the key.
    pub key: Option<String>,
    /// Whether what follows from the events was computed anew, and is the same: only the version that sealed it can tell.
    pub recomputed: bool,
    /// What is wrong with it; nothing if it holds.
    pub faults: Vec<Fault>,
}

type Files = BTreeMap<String, Vec<u8>>;

fn fault(place: impl Into<String>, why: impl Into<String>) -> Fault {
    Fault { place: place.into(), why: why.into() }
}

/// Checks everything that the file and a key can tell.
pub fn check(bytes: &[u8], keys: &[PublicKey]) -> Checked {
    let mut found = Checked::default();
    let files = match archive::read(bytes) {
        Ok(files) => files,
        Err(why) => return Checked { faults: vec![fault("the file", why)], ..found },
    };
    let manifest = match signed(&files, keys) {
        Ok((manifest, key)) => {
            found.key = Some(key.fingerprint(HashAlg::Sha256).to_string());
            manifest
        }
        Err(fault) => return Checked { faults: vec![fault], ..found },
    };
    found.faults = digests(&files, &manifest);
    if found.faults.is_empty() && packed(&files, &manifest).as_deref() != Ok(bytes) {
        found.faults.push(fault(
            "the file",
            "it is not packed as it was sealed: bytes between its files were changed",
        ));
    }
    if found.faults.is_empty() {
        match chains(&files, &manifest, keys) {
            Ok(written) => match follows(&files, &manifest, &written) {
                Ok(recomputed) => found.recomputed = recomputed,
                Err(fault) => found.faults.push(fault),
            },
            Err(fault) => found.faults.push(fault),
        }
    }
    found.manifest = Some(manifest);
    found
}

/// The manifest, if one of these keys signed exactly these bytes.
fn signed<'k>(files: &Files, keys: &'k [PublicKey]) -> Result<(Manifest, &'k PublicKey), Fault> {
    let file = |name: &str| files.get(name).ok_or_else(|| fault(name, "it is missing"));
    let (stored, plain) = (file(ENVELOPE)?, file(MANIFEST)?);
    let envelope: dsse::Envelope = serde_json::from_slice(stored)
        .map_err(|e| fault(ENVELOPE, format!("it is no envelope (DSSE): {e}")))?;
    // A signature covers the payload, and not how the envelope is written: nothing may hide in that.
    if serde_json::to_vec(&envelope).ok().as_ref() != Some(stored) {
        return Err(fault(ENVELOPE, "it is not written as it was sealed: it was changed"));
    }
    let (payload, key) = dsse::open(&envelope, PAYLOAD_TYPE, keys).map_err(|why| fault(ENVELOPE, why))?;
    if payload != *plain {
        return Err(fault(MANIFEST, "it is not what was signed: it was changed"));
    }
    let manifest = serde_json::from_slice(&payload)
        .map_err(|e| fault(MANIFEST, format!("this version cannot read it: {e}")))?;
    Ok((manifest, key))
}

/// Every file has its digest, none is missing, and none was added.
fn digests(files: &Files, manifest: &Manifest) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in &manifest.drctl.files {
        let why = match files.get(&file.path) {
            None => "it is missing: it was removed",
            Some(bytes) if bytes.len() as u64 != file.size || Digest::of(bytes) != file.sha256 => {
                "it does not have the digest that was signed: it was changed"
            }
            Some(_) => continue,
        };
        faults.push(fault(&*file.path, why));
    }
    let named = |path: &str| {
        [MANIFEST, ENVELOPE].contains(&path) || manifest.drctl.files.iter().any(|f| f.path == path)
    };
    let added = files.keys().filter(|path| !named(path));
    faults.extend(added.map(|path| fault(&**path, "the manifest does not name it: it was added")));
    faults
}

/// The same files as they are packed: what lies between them says nothing that anybody signed.
fn packed(files: &Files, manifest: &Manifest) -> Result<Vec<u8>, String> {
    let names = [ENVELOPE, MANIFEST].into_iter().chain(manifest.drctl.files.iter().map(|f| f.path.as_str()));
    let files = names.map(|name| (name, files.get(name).map_or(&[][..], Vec::as_slice)));
    archive::write(files, manifest.timestamp).map_err(|e| e.to_string())
}

fn records(files: &Files, name: &str) -> Result<Vec<Record>, Fault> {
    let text = String::from_utf8_lossy(files.get(name).map_or(&[], Vec::as_slice));
    let line = |(n, line): (usize, &str)| {
        written::parse_line(line).ok_or_else(|| fault(format!("{name}, line {}", n + 1), "this is no record"))
    };
    text.lines().enumerate().map(line).collect()
}

/// The run's chain, and the part of the ledger that knows it, up to the checkpoint.
fn chains(files: &Files, manifest: &Manifest, keys: &[PublicKey]) -> Result<Written, Fault> {
    let about = &manifest.drctl;
    let event = |(seq, why): (u64, String)| fault(format!("{EVENTS}, event {seq}"), why);
    let events = records(files, EVENTS)?;
    let broken = chain::broken(&about.run_id, &events).or_else(|| verify::meaningless(&events));
    if let Some(broken) = broken {
        return Err(event(broken));
    }
    let ledger = records(files, LEDGER)?;
    let entry = |seq: u64, why: &str| fault(format!("{LEDGER}, entry {seq}"), why);
    let before = (about.chain_head_before.entries, about.chain_head_before.hash.clone());
    if let Some((seq, why)) = chain::broken_after(&RunId::new(verify::LEDGER), before, &ledger) {
        return Err(entry(seq, &why));
    }
    let mut known = 0;
    for record in &ledger {
        let Some(head) = verify::head(&record.bytes).filter(|head| head.run == about.run_id) else {
            continue;
        };
        let at = head.seq.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        if at.and_then(|at| events.get(at)).is_none_or(|e| e.hash != head.hash) {
            return Err(entry(record.seq, "it knows another event of the run than there is"));
        }
        known = head.seq;
    }
    if known != events.len() as u64 {
        return Err(event((known, "the ledger knows the run up to here, and no further".to_owned())));
    }
    vouched(&ledger, about, keys).map_err(|why| entry(ledger.last().map_or(0, |r| r.seq), &why))?;
    Ok(Written { events, ledger })
}

/// The last entry is a checkpoint of the store's key, over the one before it.
fn vouched(
    ledger: &[Record],
    about: &crate::model::evidence::About,
    keys: &[PublicKey],
) -> Result<(), String> {
    let [.., before, last] = ledger else { return Err("there is no checkpoint".to_owned()) };
    let Ok(Entry::Checkpoint(signed)) = serde_json::from_slice(&last.bytes) else {
        return Err("it is no checkpoint: nobody vouches for the ledger".to_owned());
    };
    let checkpoint = checkpoint::check(&signed, keys)?;
    if (checkpoint.entries, &checkpoint.head) != (before.seq, &before.hash) {
        return Err("the checkpoint is of another ledger".to_owned());
    }
    match checkpoint.store == about.world {
        true => Ok(()),
        false => {
            Err(format!("the checkpoint is of a {} store, and the run was {}", checkpoint.store, about.world))
        }
    }
}

/// What is told is what follows from the events. Answers whether it was computed anew: another version may tell it in other words.
fn follows(files: &Files, manifest: &Manifest, written: &Written) -> Result<bool, Fault> {
    let state = replayed(&written.events).map_err(|why| fault(EVENTS, why))?;
    let created = &state.created;
    if Digest::of(created.runbook.as_bytes()) != created.runbook_digest {
        return Err(fault(
            format!("{EVENTS}, event 1"),
            "the runbook does not have the digest that was agreed to",
        ));
    }
    let all = super::contents(written, &state).map_err(|why| fault(EVENTS, why))?;
    let same_version = manifest.drctl.tool == TOOL;
    for content in all.iter().filter(|c| same_version || super::WRITTEN.contains(&c.path)) {
        if files.get(content.path) != Some(&content.bytes) {
            return Err(fault(content.path, "it is not what follows from the events"));
        }
    }
    let expected =
        described(written, &state, &all, manifest.timestamp).map_err(|why| fault(MANIFEST, why))?;
    match !same_version || expected == *manifest {
        true => Ok(same_version),
        false => Err(fault(MANIFEST, "it does not say what follows from the events")),
    }
}
