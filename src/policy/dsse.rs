//! Signed envelopes: the signature covers the payload and its type (Dead Simple Signing Envelope, v1.0.2,
//! <https://github.com/secure-systems-lab/dsse>), with Ed25519 keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use signature::{Signer as _, Verifier as _};
use ssh_key::{Algorithm, HashAlg, PrivateKey, PublicKey, Signature};

/// An envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Envelope {
    /// The type of the payload.
    pub payload_type: String,
    /// The payload, in base64.
    pub payload: String,
    /// The signatures.
    pub signatures: Vec<Signed>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The SHA-256 fingerprint of the key, in the format of OpenSSH. The verifier decides which keys it trusts.
    pub keyid: String,
    /// Ed25519 (RFC 8032) over the pre-authentication encoding, in base64.
    pub sig: String,
}

/// The signed bytes: unique for each type and payload.
fn encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Signs a payload.
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

/// The payload and the key, if one of these keys signed it with this type. An envelope must have exactly one signature, so it holds nothing
/// unsigned.
///
/// # Errors
/// Why no trusted key signed it.
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
