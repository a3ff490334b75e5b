//! The go-bag: one signed file with everything that a person needs on another machine.
//!
//! Its contents can act: plans contain hooks and commands of hosts. So the file is one DSSE envelope, like the manifests of bundles, with
//! the public key of its signer. Nothing of the payload is parsed before that key is trusted and its signature is valid.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use ssh_key::{HashAlg, PrivateKey, PublicKey};
use thiserror::Error;

use crate::inventory::estate::Remembered;
use crate::model::ids::Digest;
use crate::model::ledger::StoreWorld;
use crate::model::time::Timestamp;
use crate::policy::dsse::{self, Envelope};
use crate::record::event::WorldKind;

/// The signed payload type: a signature of a bundle is not valid for a go-bag.
const PAYLOAD_TYPE: &str = "application/vnd.drctl.kit+json";
/// The version of this format.
const VERSION: u32 = 2;

/// The contents of the bag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// The version of drctl that made it.
    pub tool: String,
    /// When, by the clock of the machine that made it.
    pub made_at: Timestamp,
    /// The user who made it, according to the operating system.
    pub made_by: String,
    /// The world of its runs. A scenario stands for every rehearsal.
    pub world: WorldKind,
    /// `drctl.yaml`, byte by byte.
    pub settings: Option<String>,
    /// File names and texts of plans.
    pub plans: Vec<(String, String)>,
    /// The last observed states.
    pub observations: Vec<(String, Remembered)>,
    /// Unfinished runs, and runs with something pending: lines of `runs export`.
    pub runs: Vec<Vec<String>>,
}

/// An opened bag.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The contents.
    pub contents: Contents,
    /// Digest of exactly the bytes that were signed.
    pub digest: Digest,
    /// The fingerprint of the key that signed it; none if it is unsigned.
    pub signed_by: Option<String>,
}

/// Why a bag was not opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Closed {
    /// It is not a go-bag.
    #[error("it is not a file from drctl kit export")]
    Other,
    /// It was changed.
    #[error("it was changed: {0}")]
    Changed(String),
    /// It is not signed.
    #[error("it is not signed")]
    Unsigned,
    /// It is signed with a key that is not trusted here.
    #[error("it is signed with {0}, which is not a known key here")]
    Unknown(String),
    /// It is signed, but another version of drctl made it.
    #[error("this version of drctl cannot read it: {0}")]
    Unreadable(String),
}

/// Whether to open an unsigned bag. A bag with an invalid signature is never opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsigned {
    /// Do not open it.
    Refuse,
    /// Open it, because a person on record accepted that.
    Accept,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bag {
    drctl_kit: u32,
    /// Without the comment, so that there is only one form.
    key: Option<String>,
    envelope: Envelope,
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn plain(key: &PublicKey) -> Result<String, String> {
    PublicKey::from(key.key_data().clone()).to_openssh().map_err(|e| e.to_string())
}

/// Packs the contents, and signs them if there is a key.
///
/// # Errors
/// If the key cannot sign.
pub fn seal(contents: &Contents, key: Option<&PrivateKey>) -> Result<Vec<u8>, String> {
    let payload = serde_json::to_vec(contents).map_err(|e| e.to_string())?;
    let envelope = match key {
        Some(key) => dsse::seal(key, PAYLOAD_TYPE, &payload)?,
        None => Envelope {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(&payload),
            signatures: Vec::new(),
        },
    };
    let key = key.map(|key| plain(key.public_key())).transpose()?;
    serde_json::to_vec(&Bag { drctl_kit: VERSION, key, envelope }).map_err(|e| e.to_string())
}

/// The world that a bag claims, to check whether it would replace data of another world. The claim is not trusted.
pub fn world(bytes: &[u8]) -> Option<StoreWorld> {
    let bag: Bag = serde_json::from_slice(bytes).ok()?;
    let contents: Contents = serde_json::from_slice(&STANDARD.decode(bag.envelope.payload).ok()?).ok()?;
    Some(match contents.world {
        WorldKind::Live => StoreWorld::Live,
        WorldKind::Sandbox { .. } => StoreWorld::Sandbox,
    })
}

/// Opens a bag if one of these trusted keys signed it. Keys are named by their fingerprints.
///
/// # Errors
/// Why it was not opened.
pub fn open(bytes: &[u8], believed: &BTreeSet<String>, unsigned: Unsigned) -> Result<Opened, Closed> {
    let bag: Bag = serde_json::from_slice(bytes).map_err(|_| Closed::Other)?;
    if bag.drctl_kit != VERSION {
        return Err(Closed::Other);
    }
    // The signature covers the payload and not the form of the file, so the file must have exactly the written form.
    if serde_json::to_vec(&bag).ok().as_deref() != Some(bytes) {
        return Err(Closed::Changed("its content differs from what drctl wrote".to_owned()));
    }
    let (payload, signed_by) = match (&bag.key, bag.envelope.signatures.first()) {
        (None, None) => (unvouched(&bag.envelope, unsigned)?, None),
        (Some(key), Some(signed)) => {
            let (payload, by) = vouched(&bag.envelope, key, &signed.keyid, believed)?;
            (payload, Some(by))
        }
        _ => return Err(Closed::Changed("it has a key without a signature, or the reverse".to_owned())),
    };
    let contents = serde_json::from_slice(&payload).map_err(|e| Closed::Unreadable(e.to_string()))?;
    Ok(Opened { contents, digest: Digest::of_bytes(&payload), signed_by })
}

/// The payload, if this trusted key signed it.
fn vouched(
    envelope: &Envelope,
    key: &str,
    keyid: &str,
    believed: &BTreeSet<String>,
) -> Result<(Vec<u8>, String), Closed> {
    let changed = |why: &str| Closed::Changed(why.to_owned());
    let key = PublicKey::from_openssh(key)
        .ok()
        .filter(|public| plain(public).as_deref() == Ok(key))
        .ok_or_else(|| changed("its key is not valid"))?;
    let by = fingerprint(&key);
    if by != keyid {
        return Err(changed("its signature names a different key"));
    }
    if !believed.contains(&by) {
        return Err(Closed::Unknown(by));
    }
    let (payload, _) =
        dsse::open(envelope, PAYLOAD_TYPE, std::slice::from_ref(&key)).map_err(Closed::Changed)?;
    Ok((payload, by))
}

fn unvouched(envelope: &Envelope, unsigned: Unsigned) -> Result<Vec<u8>, Closed> {
    if unsigned == Unsigned::Refuse {
        return Err(Closed::Unsigned);
    }
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(Closed::Other);
    }
    STANDARD
        .decode(&envelope.payload)
        .map_err(|_| Closed::Changed("its payload is not valid base64".to_owned()))
}
