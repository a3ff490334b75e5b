//! The evidence of one run as one file: a tar archive that verifies on any machine, with nothing but the public half of the store's key.
//!
//! Its contents were either recorded during the run (`events.jsonl`, `ledger.jsonl`, `plan.yaml`, `runbook.json`) or are derived from that,
//! for people and programs to read. `manifest.json` lists every file with its digest, and `manifest.dsse.json` is the signature.

mod archive;
mod check;
mod files;

use ssh_key::PrivateKey;

pub use archive::MOST_BYTES;
pub use check::{Fault, Unproven, Verdict, changed, check, manifest};

use crate::model::evidence::PAYLOAD_TYPE;
use crate::model::time::Timestamp;
use crate::policy::dsse;
use crate::report::summary;
use crate::run::RunState;
use files::{ENVELOPE, MANIFEST, contents, described, pretty};
pub use files::{RENDERS, Written};

/// Packs and signs a bundle.
///
/// # Errors
/// If the recorded data are incomplete, or the key cannot sign.
pub fn seal(written: &Written, state: &RunState, key: &PrivateKey, at: Timestamp) -> Result<Vec<u8>, String> {
    let report = summary::report(state, state.last_at);
    let contents = contents(written, (state, &report), at)?;
    let manifest = described(written, (state, &report), &contents, at)?;
    let bytes = pretty(&manifest)?;
    let envelope = dsse::seal(key, PAYLOAD_TYPE, &bytes)?;
    let envelope = serde_json::to_vec(&envelope).map_err(|e| e.to_string())?;
    let first = [(ENVELOPE, envelope.as_slice()), (MANIFEST, bytes.as_slice())];
    let all = first.into_iter().chain(contents.iter().map(|c| (c.path, c.bytes.as_slice())));
    let bundle = archive::write(all, at).map_err(|e| e.to_string())?;
    // drctl never signs a bundle that would not verify.
    let verdict = check(&bundle, std::slice::from_ref(key.public_key()));
    match verdict.faults.first() {
        None => Ok(bundle),
        Some(fault) => Err(format!("{}: {}", fault.place, fault.why)),
    }
}
