//! Envelopes: bytes with a signature over exactly those and their type (Dead Simple Signing Envelope, v1.0.2,
//! <https://github.com/secure-systems-lab/dsse>), by Ed25519 keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use signature::{Signer as _, Verifier as _};
use ssh_key::{Algorithm, HashAlg, PrivateKey, PublicKey, Signature};

/// An envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The bytes, in base64.
    pub payload: String,
    /// Who vouches for them.
    pub signatures: Vec<Signed>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The SHA-256 fingerprint of the key, as OpenSSH writes it. Which keys are believed says whoever verifies.
    pub keyid: String,
    /// Ed25519 (RFC 8032) over the pre-authentication encoding, in base64.
    pub sig: String,
}

/// What is really signed: no other type, and no other bytes, have the same.
fn encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Signs bytes.
///
/// # Errors
/// If the key cannot sign.
pub fn seal(key: &PrivateKey, payload_type: &str, payload: &[u8]) -> Result<Envelope, String> {
    let signed = key.try_sign(&encoding(payload_type, payload)).map_err(|e| e.to_string())?;
    Ok(Envelope {
        payload_type: payload_type.to_owned(),
        payload: STANDARD.encode(payload),
        signatures: vec![Signed {
            keyid: key.fingerprint(HashAlg::Sha256).to_string(),
            sig: STANDARD.encode(signed.as_bytes()),
        }],
    })
}

/// The bytes, if one of these keys signed them as what they are taken for, and which. An envelope has one signature, and says whose it is:
/// nothing else stands in it that nobody signed.
///
/// # Errors
/// Why nobody who is believed vouches for them.
pub fn open<'k>(
    envelope: &Envelope,
    payload_type: &str,
    keys: &'k [PublicKey],
) -> Result<(Vec<u8>, &'k PublicKey), String> {
    if envelope.payload_type != payload_type {
        return Err(format!("its type is not `{payload_type}`"));
    }
    let [signed] = envelope.signatures.as_slice() else {
        return Err(format!("it has {} signatures, but must have one", envelope.signatures.len()));
    };
    let fingerprint = |key: &PublicKey| key.fingerprint(HashAlg::Sha256).to_string();
    let Some(key) = keys.iter().find(|key| fingerprint(key) == signed.keyid) else {
        let known: Vec<String> = keys.iter().map(fingerprint).collect();
        return Err(format!("it is not signed with the given key ({})", known.join(", ")));
    };
    let payload =
        STANDARD.decode(&envelope.payload).map_err(|e| format!("its payload is not valid base64: {e}"))?;
    let raw = STANDARD.decode(&signed.sig).ok();
    let signature = raw.and_then(|raw| Signature::new(Algorithm::Ed25519, raw).ok());
    match signature.map(|s| key.key_data().verify(&encoding(payload_type, &payload), &s)) {
        Some(Ok(())) => Ok((payload, key)),
        _ => Err("the signature does not match these bytes: the signature is forged, or one of the two was changed".to_owned()),
    }
}
