//! The audit of a whole store: every chain, and the ledger with the expected length of each.

use std::collections::{BTreeMap, BTreeSet};

use ssh_key::{HashAlg, PublicKey};

use super::chain::{self, Record};
pub use super::contents::{Contents, Fault, Head, LEDGER, head};
use super::imported::{self, Stored};
use super::{statements, terms};
use crate::model::evidence::Head as End;
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::{Checkpoint, Entry, RecordedOperator, Signed, Why};
use crate::model::time::{Dur, Timestamp};
use crate::policy::{checkpoint, signed};
use crate::record::event::{Event, EventKind};
use crate::report;
use crate::report::severity::RunSeverity;
use crate::report::terms::TermsChange;
use crate::run::RunState;

/// What an auditor trusts.
#[derive(Debug, Default)]
pub struct Trust {
    /// The public keys of the store that the auditor was given; the keys in the ledger if there are none.
    pub keys: Vec<PublicKey>,
    /// Checkpoints that the auditor kept elsewhere, by file name.
    pub kept: Vec<(String, Signed)>,
    /// The operators in `drctl.yaml`, if the store is audited where it is used.
    pub operators: BTreeMap<String, RecordedOperator>,
    /// Whether the store comes from an export, which ends with the checkpoint made for it.
    pub written_out: bool,
}

/// The outcome of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The number of runs read.
    pub runs: usize,
    /// The number of events read.
    pub events: usize,
    /// The number of valid checkpoints in the ledger, and of those kept elsewhere.
    pub checkpoints: (usize, usize),
    /// The last valid checkpoint in the ledger.
    pub last: Option<Checkpoint>,
    /// How many entries follow it; all entries if there is none.
    pub after: usize,
    /// `live`, `sandbox`, or both if somebody mixed them.
    pub worlds: BTreeSet<String>,
    /// Fingerprints of the keys for the checkpoints, and whether they come from the ledger itself.
    pub keys: (Vec<String>, bool),
    /// Imported runs that nobody of this store adopted. They count for nothing.
    pub imported: Vec<RunId>,
    /// Runs with other terms than the run before them. That is no fault, but somebody must be able to explain it.
    pub terms: Vec<TermsChange>,
    /// The severity that each run was decided under.
    pub severities: Vec<RunSeverity>,
    /// The first fault of every chain that has one.
    pub faults: Vec<Fault>,
    /// Damaged files beside the store. They are no faults of the store itself.
    pub damaged: Vec<Fault>,
}

/// Checks everything.
pub fn audit(contents: &Contents, trust: &Trust) -> Audit {
    let mut by_run: BTreeMap<&RunId, Vec<Record>> = BTreeMap::new();
    for record in &contents.events {
        by_run.entry(&record.run).or_default().push(record.clone());
    }
    let mut found = Audit { runs: by_run.len(), events: contents.events.len(), ..Audit::default() };
    let ledger = RunId::new(LEDGER);
    if let Some((seq, why)) = chain::broken(&ledger, &contents.ledger) {
        found.faults.push(Fault { run: LEDGER.to_owned(), seq, why });
    }
    for (run, records) in &by_run {
        if let Some((seq, why)) = chain::broken(run, records).or_else(|| meaning(records).err()) {
            found.faults.push(Fault { run: run.to_string(), seq, why });
        }
    }
    heads(contents, &by_run, &mut found.faults);
    let worlds = worlds(&by_run);
    strangers(contents, &worlds, &mut found.faults);
    found.worlds = worlds.into_values().collect();
    checkpoints(contents, trust, &mut found);
    lists(contents, &by_run, &mut found.faults);
    let wrong = statements::unsound(&contents.ledger, &by_run).into_iter();
    found.faults.extend(wrong.map(|(run, seq, why)| Fault {
        run: LEDGER.to_owned(),
        seq,
        why: format!("run {run}: {why}"),
    }));
    adoptions((contents, trust), &by_run, &mut found);
    emptied(contents, &mut found);
    let begun = terms::begun(&by_run);
    found.faults.extend(terms::faults(&contents.ledger, &begun));
    let counted = terms::counted(contents, &begun, &found.imported);
    found.terms = report::terms::changes(&counted);
    found.severities = report::severity::all(&counted);
    // Each rehearsal has its own simulated time.
    if !found.worlds.contains("sandbox") && contents.world.as_deref() != Some("sandbox") {
        found.faults.extend(backward(contents, &by_run));
    }
    found
}

/// The world of each run, from its first event.
fn worlds(by_run: &BTreeMap<&RunId, Vec<Record>>) -> BTreeMap<RunId, String> {
    let world = by_run.iter().filter_map(|(run, records)| {
        match serde_json::from_slice::<Event>(&records.first()?.bytes).ok()?.what {
            EventKind::RunCreated(created) => Some(((*run).clone(), created.world.id().to_owned())),
            _ => None,
        }
    });
    world.collect()
}

/// The contents of a store, with the events by run.
struct Indexed<'a> {
    ledger: &'a [Record],
    by_run: &'a BTreeMap<&'a RunId, Vec<Record>>,
}

impl Stored for Indexed<'_> {
    fn entry(&self, seq: u64) -> Option<Digest> {
        hash_at(self.ledger, seq)
    }

    fn event(&self, run: &RunId, seq: u64) -> Option<Digest> {
        hash_at(self.by_run.get(run)?, seq)
    }

    fn follows(&self, seq: u64, bytes: &[u8]) -> bool {
        follows(self.ledger, seq, bytes)
    }

    fn is_named_before(&self, seq: u64, run: &RunId) -> bool {
        is_named_before(self.ledger, seq, run)
    }
}

impl Stored for Contents {
    fn entry(&self, seq: u64) -> Option<Digest> {
        hash_at(&self.ledger, seq)
    }

    fn event(&self, run: &RunId, seq: u64) -> Option<Digest> {
        self.events.iter().find(|e| e.seq == seq && e.run == *run).map(|e| e.hash.clone())
    }

    fn follows(&self, seq: u64, bytes: &[u8]) -> bool {
        follows(&self.ledger, seq, bytes)
    }

    fn is_named_before(&self, seq: u64, run: &RunId) -> bool {
        is_named_before(&self.ledger, seq, run)
    }
}

fn follows(ledger: &[Record], seq: u64, bytes: &[u8]) -> bool {
    ledger.iter().rev().take_while(|record| record.seq > seq).any(|record| record.bytes == bytes)
}

fn is_named_before(ledger: &[Record], seq: u64, run: &RunId) -> bool {
    let mut earlier = ledger.iter().take_while(|record| record.seq < seq);
    // Reading every entry takes long.
    let holds = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| text.contains(run.as_str()));
    earlier.any(|entry| holds(&entry.bytes) && imported::names(&entry.bytes).as_ref() == Some(run))
}

fn hash_at(records: &[Record], seq: u64) -> Option<Digest> {
    let i = records.binary_search_by_key(&seq, |r| r.seq).ok()?;
    Some(records[i].hash.clone())
}

/// Something that was signed and is kept outside the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The file.
    pub place: String,
    /// The ledger entry that it covers.
    pub ledger: End,
    /// The end of a run that it covers, if any.
    pub run: Option<Head>,
    /// The checkpoint, if it is one. It does not cover its own entry, but drctl hands none out before the ledger has that entry.
    pub own: Option<Signed>,
}

/// That the ledger lacks the entry of a checkpoint.
const NO_ENTRY: &str =
    "the entry about this checkpoint is missing: somebody restored an older copy or removed its end";

/// Whether the ledger has the entry of a checkpoint.
fn has_entry(signed: &Signed, entries: u64, stored: &dyn Stored) -> bool {
    serde_json::to_vec(&Entry::Checkpoint(signed.clone())).is_ok_and(|bytes| stored.follows(entries, &bytes))
}

/// How a store with this many ledger entries contradicts something that was signed about it, if it does.
pub fn contradiction(anchor: &Anchor, length: u64, stored: &dyn Stored) -> Option<String> {
    let End { entries, hash } = &anchor.ledger;
    match stored.entry(*entries) {
        None => {
            return Some(format!(
                "covers entry {entries} of the ledger, but this store has only {length}: somebody restored an older copy or removed its end"
            ));
        }
        Some(is) if is != *hash => {
            return Some(format!(
                "covers a different entry {entries} of the ledger: somebody rewrote that entry or an earlier one"
            ));
        }
        Some(_) => {}
    }
    if anchor.own.as_ref().is_some_and(|own| !has_entry(own, *entries, stored)) {
        return Some(format!("covers entry {entries} of the ledger, but {NO_ENTRY}"));
    }
    let head = anchor.run.as_ref()?;
    match stored.event(&head.run, head.seq) {
        None => Some(format!(
            "covers event {} of run {}, which is missing here: somebody removed it",
            head.seq, head.run
        )),
        Some(is) if is != head.hash => {
            Some(format!("covers a different event {} of run {}", head.seq, head.run))
        }
        Some(_) => None,
    }
}

/// Imported runs: whether drctl imported them, and whether the people who adopted them were allowed to.
fn adoptions(
    (contents, trust): (&Contents, &Trust),
    by_run: &BTreeMap<&RunId, Vec<Record>>,
    found: &mut Audit,
) {
    let stored = Indexed { ledger: &contents.ledger, by_run };
    let imported = imported::read(contents.ledger.iter(), &stored, &trust.operators);
    let unsound = imported.unsound.into_iter();
    found.faults.extend(unsound.map(|(seq, why)| Fault { run: LEDGER.to_owned(), seq, why }));
    found.imported = imported.waiting.into_keys().collect();
}

/// Entries after the last checkpoint that remove all operators: anybody who can write to the store can add one.
fn emptied(contents: &Contents, found: &mut Audit) {
    let mut had = false;
    for record in &contents.ledger {
        let Ok(Entry::Configuration { operators, .. }) = Entry::read(&record.bytes) else { continue };
        let unsigned = record.seq > (contents.ledger.len() - found.after) as u64;
        if had && operators.is_empty() && unsigned {
            let why = "it removes all operators, and no checkpoint covers it".to_owned();
            found.faults.push(Fault { run: LEDGER.to_owned(), seq: record.seq, why });
        }
        had = !operators.is_empty();
    }
}

/// The tolerated difference. Processes on one machine read the clock before they wait for the write lock, so their entries may be out of
/// order by a little. Nobody gains anything from so small a difference.
const APART: Dur = Dur::mins(1);

/// The first entry, and the first event of each run, with an earlier time than something written before it.
fn backward(contents: &Contents, by_run: &BTreeMap<&RunId, Vec<Record>>) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut known: Option<Timestamp> = None;
    // Imported events have times from another clock.
    let mut seen: BTreeMap<RunId, u64> = BTreeMap::new();
    for record in &contents.ledger {
        let said: Vec<(String, u64, Timestamp)> = match head(&record.bytes) {
            Some(head) => {
                let before = seen.insert(head.run.clone(), head.seq).unwrap_or(0);
                let events = by_run.get(&head.run).map_or(&[][..], Vec::as_slice);
                let new = events.iter().filter(|e| e.seq > before && e.seq <= head.seq);
                let at = |e: &Record| serde_json::from_slice::<Event>(&e.bytes).ok().map(|event| event.at);
                new.filter_map(|e| Some((head.run.to_string(), e.seq, at(e)?))).collect()
            }
            None => match Entry::read(&record.bytes) {
                Ok(Entry::Imported { run, events, at, .. }) => {
                    seen.insert(run, events);
                    vec![(LEDGER.to_owned(), record.seq, at)]
                }
                Ok(entry) => entry.at().map(|at| (LEDGER.to_owned(), record.seq, at)).into_iter().collect(),
                Err(_) => Vec::new(),
            },
        };
        for (of, seq, at) in said {
            if let Some(known) = known.filter(|known| known.since(at) > APART)
                && !faults.iter().any(|fault| fault.run == of)
            {
                let why = format!(
                    "it has the date {at}, but an earlier entry of the ledger has {known}: time ran backwards by {}",
                    known.since(at)
                );
                faults.push(Fault { run: of, seq, why });
            }
            known = known.max(Some(at));
        }
    }
    faults
}

/// Runs that do not belong in a store of this world.
fn strangers(contents: &Contents, worlds: &BTreeMap<RunId, String>, faults: &mut Vec<Fault>) {
    let Some(own) = &contents.world else { return };
    for (run, world) in worlds.iter().filter(|(_, world)| *world != own) {
        let why = format!("it is a {world} run in a {own} store; drctl never writes one there");
        faults.push(Fault { run: run.to_string(), seq: 1, why });
    }
}

/// Whether every run is in the list of runs, and whether the schema is the one that drctl creates.
fn lists(contents: &Contents, by_run: &BTreeMap<&RunId, Vec<Record>>, faults: &mut Vec<Fault>) {
    if let Some(listed) = &contents.listed {
        let there: BTreeSet<&RunId> = by_run.keys().copied().collect();
        let all: BTreeSet<&RunId> = listed.iter().collect();
        for run in there.symmetric_difference(&all) {
            let why = match all.contains(run) {
                true => "the store lists this run but has no event of it",
                false => {
                    "the list of runs in the store lacks it, so drctl status does not show what is pending"
                }
            };
            faults.push(Fault { run: run.to_string(), seq: 1, why: why.to_owned() });
        }
    }
    for name in &contents.dropped {
        let why = format!("somebody dropped the trigger {name}, which protects the store from changes");
        faults.push(Fault { run: "the store".to_owned(), seq: 0, why });
    }
    let changed = contents.changed.iter().cloned();
    faults.extend(changed.map(|why| Fault { run: "the store".to_owned(), seq: 0, why }));
}

/// Whether every run matches its heads in the ledger.
fn heads(contents: &Contents, by_run: &BTreeMap<&RunId, Vec<Record>>, faults: &mut Vec<Fault>) {
    let mut known = BTreeSet::new();
    for head in contents.heads() {
        let at = |records: &Vec<Record>| records.binary_search_by_key(&head.seq, |r| r.seq).ok();
        let found = by_run.get(&head.run).and_then(|records| records.get(at(records)?));
        let why = match found {
            None if !by_run.contains_key(&head.run) => {
                Some("the ledger records this event, but it is missing: the whole run was removed")
            }
            None => Some("the ledger records this event, but it is missing: the end of the run was removed"),
            Some(record) if record.hash != head.hash => Some("the ledger has another hash for it"),
            Some(_) => None,
        };
        if let Some(why) = why.filter(|_| !faults.iter().any(|f| f.run == head.run.as_str())) {
            faults.push(Fault { run: head.run.to_string(), seq: head.seq, why: why.to_owned() });
        }
        known.insert((head.run, head.seq));
    }
    for (run, records) in by_run {
        let last = records.last().map_or(1, |r| r.seq);
        if !known.contains(&((*run).clone(), last)) && !faults.iter().any(|f| f.run == run.as_str()) {
            let why = match known.iter().filter(|(of, _)| of == *run).map(|(_, seq)| *seq).max() {
                None => "the ledger does not contain this run".to_owned(),
                Some(known) => {
                    format!(
                        "the ledger contains the run only up to event {known}: the end of the ledger was removed"
                    )
                }
            };
            faults.push(Fault { run: run.to_string(), seq: last, why });
        }
    }
}

/// Whether the ledger matches its own checkpoints and those kept elsewhere.
fn checkpoints(contents: &Contents, trust: &Trust, found: &mut Audit) {
    let own = trust.keys.is_empty();
    let mut keys = trust.keys.clone();
    let mut named = Vec::new();
    let mut faults = Vec::new();
    found.after = contents.ledger.len();
    for (n, record) in contents.ledger.iter().enumerate().filter(|(_, record)| head(&record.bytes).is_none())
    {
        let fault = |why: String| Fault { run: LEDGER.to_owned(), seq: record.seq, why };
        match Entry::read(&record.bytes) {
            Ok(
                Entry::Configuration { .. }
                | Entry::Schedule { .. }
                | Entry::Drill { .. }
                | Entry::Readiness { .. }
                | Entry::Clock { .. }
                | Entry::Terms { .. }
                | Entry::Imported { .. }
                | Entry::Adopted { .. }
                | Entry::Statement { .. }
                | Entry::Kit { .. }
                | Entry::Notice { .. },
            ) => {}
            Ok(Entry::Key { public, .. }) => match PublicKey::from_openssh(&public) {
                Ok(key) => {
                    named.push(key.clone());
                    if own {
                        keys = vec![key];
                    }
                }
                Err(e) => faults.push(fault(format!("it names a key that is not valid: {e}"))),
            },
            Ok(Entry::Checkpoint(signed)) => {
                let stood = |c| stood(contents, &found.worlds, &c, record.seq).map(|()| c);
                match checkpoint::check(&signed, &keys).and_then(stood) {
                    Ok(checkpoint) => {
                        found.checkpoints.0 += 1;
                        found.after = contents.ledger.len() - n - 1;
                        found.last = Some(checkpoint);
                    }
                    Err(why) => faults.push(fault(format!("a checkpoint is not valid: {why}"))),
                }
            }
            Err(e) => faults.push(fault(format!("this version cannot read the entry: {e}"))),
        }
    }
    let every = if own { &named } else { &trust.keys };
    for (file, signed) in &trust.kept {
        let stood = |c: Checkpoint| kept_stood((contents, trust), &found.worlds, (signed, &c));
        match checkpoint::check(signed, every).and_then(stood) {
            Ok(()) => found.checkpoints.1 += 1,
            Err(why) => faults.push(Fault { run: file.clone(), seq: 0, why }),
        }
    }
    let ends = found.after == 0 && found.last.as_ref().is_some_and(|c| c.why == Why::Export);
    if trust.written_out && !ends {
        let why = "it does not end with the checkpoint of the export, so its end is missing".to_owned();
        faults.push(Fault { run: LEDGER.to_owned(), seq: contents.ledger.len() as u64, why });
    }
    if !own && found.checkpoints == (0, 0) && faults.is_empty() {
        let why = "nothing in it is signed with the given key, so nothing proves its content".to_owned();
        faults.push(Fault { run: LEDGER.to_owned(), seq: 1, why });
    }
    let known = every.iter().map(|key| key.fingerprint(HashAlg::Sha256).to_string());
    found.keys = (known.collect(), own);
    found.faults.extend(faults);
}

/// Whether the ledger matches a checkpoint that stands at this entry.
fn stood(
    contents: &Contents,
    worlds: &BTreeSet<String>,
    checkpoint: &Checkpoint,
    entry: u64,
) -> Result<(), String> {
    if let Some(other) = worlds.iter().find(|world| **world != checkpoint.store) {
        return Err(format!("it is for a {} store, but this store has {other} runs", checkpoint.store));
    }
    let (entries, at) = (checkpoint.entries, checkpoint.at);
    if entries >= entry {
        return Err(format!("it covers {entries} entries, but is itself entry {entry}"));
    }
    let Some(record) = contents.ledger.iter().find(|record| record.seq == entries) else {
        let have = contents.ledger.len();
        return Err(format!(
            "at {at} there were {entries} entries, but now there are {have}: the end of the ledger was removed"
        ));
    };
    if record.hash != checkpoint.head {
        return Err(format!(
            "at {at} entry {entries} had a different hash: somebody rewrote that entry or an earlier one"
        ));
    }
    Ok(())
}

/// The same for a checkpoint that was kept elsewhere. A store has its entry. An export may be older without being an older copy of a store.
fn kept_stood(
    (contents, trust): (&Contents, &Trust),
    worlds: &BTreeSet<String>,
    (signed, checkpoint): (&Signed, &Checkpoint),
) -> Result<(), String> {
    stood(contents, worlds, checkpoint, u64::MAX)?;
    let (entries, at) = (checkpoint.entries, checkpoint.at);
    match trust.written_out || has_entry(signed, entries, contents) {
        true => Ok(()),
        false => Err(format!("at {at} there were {entries} entries, and {NO_ENTRY}")),
    }
}

/// A valid chain can still contain an impossible event, or a statement that nobody signed.
///
/// # Errors
/// The first invalid event, and why it is invalid.
pub(super) fn meaning(records: &[Record]) -> Result<RunState, (u64, String)> {
    let mut events = Vec::new();
    for record in records {
        match Event::read(&record.bytes) {
            Ok(event) => events.push(event),
            Err(e) => return Err((record.seq, format!("this version cannot read it: {e}"))),
        }
    }
    let unsound = signed::first_unsound(&events).or_else(|| statements::without_result(&events));
    match (RunState::fold(&events), unsound) {
        (Ok(state), None) => Ok(state),
        (Err((i, why)), Some((seq, _))) if (i as u64) < seq => Err((i as u64 + 1, why.to_string())),
        (_, Some(unsound)) => Err(unsound),
        (Err((i, why)), None) => Err((i as u64 + 1, why.to_string())),
    }
}
