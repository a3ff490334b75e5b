//! Checks that a bundle is what was sealed. It needs nothing but the file and a key.

use std::collections::BTreeMap;

use ssh_key::{HashAlg, PublicKey};

use super::archive;
use super::files::{
    ENVELOPE, EVENTS, LEDGER, MANIFEST, RENDERS, WRITTEN, Written, contents, described, pretty,
};
use crate::journal::chain::{self, Record};
use crate::journal::contents;
use crate::journal::{verify, written};
use crate::model::evidence::{Manifest, PAYLOAD_TYPE};
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::Entry;
use crate::policy::{checkpoint, dsse};
use crate::report::{summary, words};
use crate::run::RunState;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file of the bundle, with the line, event or entry where there is one.
    pub place: String,
    /// What is wrong.
    pub why: String,
}

/// The result of checking a bundle.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The manifest, if a trusted key signed it.
    pub manifest: Option<Manifest>,
    /// The fingerprint of the key.
    pub key: Option<String>,
    /// The operators whose statements the run accepted, with the fingerprints of their keys, from its first event.
    pub operators: BTreeMap<String, String>,
    /// The state of the run in the words that people read, from its events.
    pub standing: String,
    /// Whether reports, figures and texts were recomputed from the events and are the same. Another version than the sealing one may use
    /// different wording for the same events.
    pub recomputed: bool,
    /// Its faults; none if it is valid.
    pub faults: Vec<Fault>,
}

/// How many bytes of an untrusted file are parsed before its signature is verified.
const MOST_OF_A_MANIFEST: usize = 16 << 20;

type Files = BTreeMap<String, Vec<u8>>;

fn fault(place: impl Into<String>, why: impl Into<String>) -> Fault {
    Fault { place: place.into(), why: why.into() }
}

/// Checks everything that can be checked with the file and a key.
pub fn check(bytes: &[u8], keys: &[PublicKey]) -> Verdict {
    let mut found = Verdict::default();
    let files = match archive::read(bytes) {
        Ok(files) => files,
        Err(why) => return Verdict { faults: vec![fault("the file", why)], ..found },
    };
    let manifest = match signed(&files, keys) {
        Ok((manifest, key)) => {
            found.key = Some(key.fingerprint(HashAlg::Sha256).to_string());
            manifest
        }
        Err(fault) => return Verdict { faults: vec![fault], ..found },
    };
    found.faults = differences(bytes, &files, &manifest);
    if found.faults.is_empty() {
        match chains(&files, &manifest, keys) {
            Ok((written, state)) => match follows(&files, &manifest, &written, &state) {
                Ok((recomputed, operators, standing)) => {
                    (found.recomputed, found.operators, found.standing) = (recomputed, operators, standing);
                }
                Err(fault) => found.faults.push(fault),
            },
            Err(fault) => found.faults.push(fault),
        }
    }
    found.manifest = Some(manifest);
    found
}

/// What was changed in a bundle after it was sealed. Unlike [`check`], this recomputes nothing from the events.
pub fn changed(bytes: &[u8], keys: &[PublicKey]) -> Option<Fault> {
    let files = match archive::read(bytes) {
        Ok(files) => files,
        Err(why) => return Some(fault("the file", why)),
    };
    match signed(&files, keys) {
        Ok((manifest, _)) => differences(bytes, &files, &manifest).into_iter().next(),
        Err(fault) => Some(fault),
    }
}

/// Files that differ from the signed manifest, otherwise other bytes that do.
fn differences(bytes: &[u8], files: &Files, manifest: &Manifest) -> Vec<Fault> {
    let mut faults = digests(files, manifest);
    let sealed = packed(files, manifest);
    if faults.is_empty() && sealed.as_deref() != Ok(bytes) {
        let why = match sealed.is_ok_and(|sealed| sealed.starts_with(bytes)) {
            true => "its end was cut off after it was sealed",
            false => "bytes between its files were changed after it was sealed",
        };
        faults.push(fault("the file", why));
    }
    faults
}

/// Why something proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// None of the known keys signed it, but the one with this fingerprint.
    Stranger(String),
    /// It cannot be read, or was changed.
    Damaged(String),
}

/// The manifest of a bundle, if one of these keys signed it. The rest of the file is not read.
///
/// # Errors
/// Why it proves nothing.
pub fn manifest(file: impl std::io::Read, keys: &[PublicKey]) -> Result<Manifest, Unproven> {
    let damaged = |why: &str| Unproven::Damaged(why.to_owned());
    let files =
        archive::beginning(file, MOST_OF_A_MANIFEST as u64).ok_or_else(|| damaged("it is not a bundle"))?;
    let why = match signed(&files, keys) {
        Ok((manifest, _)) => return Ok(manifest),
        Err(why) => why,
    };
    let envelope = files.get(ENVELOPE).and_then(|bytes| serde_json::from_slice::<dsse::Envelope>(bytes).ok());
    let by = envelope.and_then(|envelope| envelope.signatures.into_iter().next()).map(|signed| signed.keyid);
    let known =
        |print: &String| keys.iter().any(|key| key.fingerprint(HashAlg::Sha256).to_string() == *print);
    Err(match by.filter(|print| !known(print)) {
        Some(print) => Unproven::Stranger(print),
        None => Unproven::Damaged(format!("{}: {}", why.place, why.why)),
    })
}

/// The manifest, if one of these keys signed exactly these bytes.
fn signed<'k>(files: &Files, keys: &'k [PublicKey]) -> Result<(Manifest, &'k PublicKey), Fault> {
    let file = |name: &str| {
        let bytes = files
            .get(name)
            .ok_or_else(|| fault(name, "it is missing: this is not a bundle, or somebody removed it"))?;
        // The file is not verified yet, so the work is limited.
        match bytes.len() > MOST_OF_A_MANIFEST {
            true => Err(fault(name, "it is too large for a manifest")),
            false => Ok(bytes),
        }
    };
    let (stored, plain) = (file(ENVELOPE)?, file(MANIFEST)?);
    let envelope: dsse::Envelope = serde_json::from_slice(stored)
        .map_err(|e| fault(ENVELOPE, format!("it is not a DSSE envelope: {e}")))?;
    // The signature covers the payload and not the form of the envelope, so the envelope must have exactly the written form.
    if serde_json::to_vec(&envelope).ok().as_ref() != Some(stored) {
        return Err(fault(ENVELOPE, "it was changed after it was sealed"));
    }
    let (payload, key) = dsse::open(&envelope, PAYLOAD_TYPE, keys).map_err(|why| fault(ENVELOPE, why))?;
    if payload != *plain {
        return Err(fault(MANIFEST, "it differs from the signed one"));
    }
    let manifest = serde_json::from_slice(&payload)
        .map_err(|e| fault(MANIFEST, format!("this version cannot read it: {e}")))?;
    Ok((manifest, key))
}

/// Every file matches its digest, and no file is missing or added.
fn digests(files: &Files, manifest: &Manifest) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in &manifest.drctl.files {
        let why = match files.get(&file.path) {
            None => "it is missing: somebody removed it",
            Some(bytes) if bytes.len() as u64 != file.size || Digest::of_bytes(bytes) != file.sha256 => {
                "it was changed: its digest differs from the signed one"
            }
            Some(_) => continue,
        };
        faults.push(fault(&*file.path, why));
    }
    let named = |path: &str| {
        [MANIFEST, ENVELOPE].contains(&path) || manifest.drctl.files.iter().any(|f| f.path == path)
    };
    let added = files.keys().filter(|path| !named(path));
    faults.extend(added.map(|path| fault(&**path, "it was added: the manifest does not list it")));
    faults
}

/// Packs the same files again: an archive could hold unsigned data between its files.
fn packed(files: &Files, manifest: &Manifest) -> Result<Vec<u8>, String> {
    let names = [ENVELOPE, MANIFEST].into_iter().chain(manifest.drctl.files.iter().map(|f| f.path.as_str()));
    let files = names.map(|name| (name, files.get(name).map_or(&[][..], Vec::as_slice)));
    archive::write(files, manifest.timestamp).map_err(|e| e.to_string())
}

fn records(files: &Files, name: &str) -> Result<Vec<Record>, Fault> {
    let text = str::from_utf8(files.get(name).map_or(&[], Vec::as_slice));
    let text = text.map_err(|e| fault(name, format!("byte {} is not UTF-8", e.valid_up_to())))?;
    let line = |(n, line): (usize, &str)| {
        written::parse_line(line)
            .ok_or_else(|| fault(format!("{name}, line {}", n + 1), "this is not a record"))
    };
    text.lines().enumerate().map(line).collect()
}

/// The run's chain, and the part of the ledger that contains its head, up to the checkpoint.
fn chains(files: &Files, manifest: &Manifest, keys: &[PublicKey]) -> Result<(Written, RunState), Fault> {
    let about = &manifest.drctl;
    let event = |(seq, why): (u64, String)| fault(format!("{EVENTS}, event {seq}"), why);
    let events = records(files, EVENTS)?;
    if let Some(broken) = chain::broken(&about.run_id, &events) {
        return Err(event(broken));
    }
    let state = verify::meaning(&events).map_err(event)?;
    let ledger = records(files, LEDGER)?;
    let entry = |seq: u64, why: &str| fault(format!("{LEDGER}, entry {seq}"), why);
    let before = (about.chain_head_before.entries, about.chain_head_before.hash.clone());
    if let Some((seq, why)) = chain::broken_after(&RunId::new(contents::LEDGER), before, &ledger) {
        return Err(entry(seq, &why));
    }
    let mut known = 0;
    for record in &ledger {
        let Some(head) = contents::head(&record.bytes).filter(|head| head.run == about.run_id) else {
            continue;
        };
        let at = head.seq.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        if at.and_then(|at| events.get(at)).is_none_or(|e| e.hash != head.hash) {
            return Err(entry(
                record.seq,
                "it records a different event of the run than the bundle contains",
            ));
        }
        known = head.seq;
    }
    if known != events.len() as u64 {
        return Err(event((known, "the ledger contains the run only up to here".to_owned())));
    }
    vouched(&ledger, manifest, keys).map_err(|why| entry(ledger.last().map_or(0, |r| r.seq), &why))?;
    Ok((Written { events, ledger }, state))
}

/// The last entry is a checkpoint for this bundle, signed with the store's key, over the entry before it.
fn vouched(ledger: &[Record], manifest: &Manifest, keys: &[PublicKey]) -> Result<(), String> {
    let [.., before, last] = ledger else { return Err("there is no checkpoint".to_owned()) };
    let Ok(Entry::Checkpoint(signed)) = Entry::read(&last.bytes) else {
        return Err("it is not a checkpoint, so nothing covers the ledger".to_owned());
    };
    let checkpoint = checkpoint::check(&signed, keys)?;
    if (checkpoint.entries, &checkpoint.head) != (before.seq, &before.hash) {
        return Err("the checkpoint is for another ledger".to_owned());
    }
    let about = &manifest.drctl;
    if checkpoint.run.as_ref() != Some(&about.run_id) || checkpoint.at != manifest.timestamp {
        return Err("the checkpoint was made for another run, or at another time".to_owned());
    }
    match checkpoint.store == about.world {
        true => Ok(()),
        false => Err(format!(
            "the checkpoint is from a {} store, but the run was {}",
            checkpoint.store, about.world
        )),
    }
}

/// Reports must follow from the events. Returns whether their wording was also recomputed, whose statements the run accepted, and its state
/// in words.
fn follows(
    files: &Files,
    manifest: &Manifest,
    written: &Written,
    state: &RunState,
) -> Result<(bool, BTreeMap<String, String>, String), Fault> {
    let created = &state.created;
    if Digest::of_bytes(created.runbook.as_bytes()) != created.runbook_digest {
        return Err(fault(
            format!("{EVENTS}, event 1"),
            "the digest of the runbook differs from the approved one",
        ));
    }
    let report = summary::report(state, state.last_at);
    let told = (state, &report);
    let all = contents(written, told, manifest.timestamp).map_err(|why| fault(EVENTS, why))?;
    let same_words = manifest.drctl.renders == RENDERS;
    for content in all.iter().filter(|c| same_words || WRITTEN.contains(&c.path)) {
        if files.get(content.path) != Some(&content.bytes) {
            return Err(fault(content.path, "it does not match the events"));
        }
    }
    let mut expected =
        described(written, told, &all, manifest.timestamp).map_err(|why| fault(MANIFEST, why))?;
    expected.drctl.tool.clone_from(&manifest.drctl.tool);
    let (expected, said) = match same_words {
        true => (expected, manifest.clone()),
        false => (without_words(expected), without_words(manifest.clone())),
    };
    if expected != said {
        return Err(fault(MANIFEST, "it does not match the events"));
    }
    // Every parser must read the file alike, so duplicate keys and different number forms are refused.
    if pretty(manifest).ok().as_ref() != files.get(MANIFEST) {
        return Err(fault(MANIFEST, "drctl would write it differently, so it was changed"));
    }
    let fingerprint =
        |line: &str| PublicKey::from_openssh(line).map(|key| key.fingerprint(HashAlg::Sha256).to_string());
    let operators = created.authority.operators.iter();
    let operators = operators.map(|(name, o)| (name.clone(), fingerprint(&o.key).unwrap_or_default()));
    Ok((same_words, operators.collect(), words::state(&report, true)))
}

/// The part that every version derives alike from the same events, without wording and without derived files.
fn without_words(mut manifest: Manifest) -> Manifest {
    for words in [
        &mut manifest.migration_reverted,
        &mut manifest.backup_location,
        &mut manifest.data_loss,
        &mut manifest.downtime,
        &mut manifest.dba_approval,
    ] {
        *words = None;
    }
    manifest.approver.clear();
    let about = &mut manifest.drctl;
    about.terms.severity.text.clear();
    about.renders = RENDERS;
    about.overrides.iter_mut().chain(&mut about.waivers).for_each(String::clear);
    about.statements.clear();
    about.decisions.clear();
    for figure in std::iter::once(&mut about.rto).chain(about.rpo.values_mut()) {
        (figure.resolution_s, figure.as_of) = (None, None);
    }
    about.files.retain(|file| WRITTEN.contains(&file.path.as_str()));
    manifest
}
