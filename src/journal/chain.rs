//! The hash chain. Hashes cover the stored bytes and everything that identifies the event, with length framing.

use crate::model::ids::{Digest, RunId};

/// One stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The run.
    pub run: RunId,
    /// From 1, without gaps.
    pub seq: u64,
    /// The epoch of its writer.
    pub epoch: u64,
    /// The exact bytes.
    pub bytes: Vec<u8>,
    /// The hash of the previous event; all zeros for the first one.
    pub previous: Digest,
    /// The hash of this one.
    pub hash: Digest,
}

/// The hash that the first event of a chain follows.
pub fn genesis() -> Digest {
    Digest::from_stored("0".repeat(64))
}

/// The hash of an event.
pub fn hash(run: &RunId, seq: u64, epoch: u64, previous: &Digest, bytes: &[u8]) -> Digest {
    Digest::of_fields(&[
        run.as_str().as_bytes(),
        &seq.to_be_bytes(),
        &epoch.to_be_bytes(),
        previous.as_str().as_bytes(),
        bytes,
    ])
}

/// The next record after `last`.
pub fn link(run: &RunId, last: Option<(u64, &Digest)>, epoch: u64, bytes: Vec<u8>) -> Record {
    let (seq, previous) = last.map_or_else(|| (1, genesis()), |(seq, hash)| (seq + 1, hash.clone()));
    let hash = hash(run, seq, epoch, &previous, &bytes);
    Record { run: run.clone(), seq, epoch, bytes, previous, hash }
}

/// The first record that does not follow from the one before it, and why.
pub fn broken(run: &RunId, records: &[Record]) -> Option<(u64, String)> {
    broken_after(run, (0, genesis()), records)
}

/// The same for a part of a chain that follows an entry with this number and hash.
pub fn broken_after(
    run: &RunId,
    (before, mut previous): (u64, Digest),
    records: &[Record],
) -> Option<(u64, String)> {
    for (record, i) in records.iter().zip(1_u64..) {
        let expected = before.saturating_add(i);
        if record.run != *run {
            return Some((record.seq, format!("it belongs to run {}", record.run)));
        }
        if record.seq != expected {
            return Some((
                expected,
                format!("event {expected} is missing; event {} is in its place", record.seq),
            ));
        }
        if record.previous != previous {
            return Some((record.seq, "it does not contain the hash of the event before it".to_owned()));
        }
        if record.hash != hash(run, record.seq, record.epoch, &record.previous, &record.bytes) {
            return Some((
                record.seq,
                "its hash does not match its content: it was changed after it was written".to_owned(),
            ));
        }
        previous = record.hash.clone();
    }
    None
}
