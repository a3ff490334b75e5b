//! Checkpoints: signed with the store's key, and checked with its public key alone.

use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

use crate::model::ledger::{Checkpoint, NAMESPACE, Signed};

/// Signs a checkpoint.
///
/// # Errors
/// If the key cannot sign.
pub fn sign(key: &PrivateKey, checkpoint: &Checkpoint) -> Result<Signed, String> {
    let statement = serde_json::to_string(checkpoint).map_err(|e| e.to_string())?;
    let signature = key
        .sign(NAMESPACE, HashAlg::Sha512, statement.as_bytes())
        .and_then(|s| s.to_pem(LineEnding::LF))
        .map_err(|e| e.to_string())?;
    Ok(Signed { statement, signature })
}

/// The fingerprint of the signing key, if it is none of these.
pub fn stranger(signed: &Signed, keys: &[PublicKey]) -> Option<String> {
    let theirs = PublicKey::from(SshSig::from_pem(&signed.signature).ok()?.public_key().clone());
    let known = keys.iter().any(|key| key.key_data() == theirs.key_data());
    (!known).then(|| theirs.fingerprint(HashAlg::Sha256).to_string())
}

/// The checkpoint, if one of these keys signed exactly that.
///
/// # Errors
/// Why it is not valid.
pub fn check(signed: &Signed, keys: &[PublicKey]) -> Result<Checkpoint, String> {
    let signature =
        SshSig::from_pem(&signed.signature).map_err(|e| format!("its signature is not readable: {e}"))?;
    let theirs = PublicKey::from(signature.public_key().clone());
    let known = keys.iter().find(|key| key.key_data() == theirs.key_data());
    let fingerprint = || theirs.fingerprint(HashAlg::Sha256);
    let key = known
        .ok_or_else(|| format!("it is signed with {}, which is not the key of the store", fingerprint()))?;
    let said = signed.statement.as_bytes();
    let of_these = key.verify(NAMESPACE, said, &signature);
    of_these.map_err(|_| {
        "the signature does not match this checkpoint: the signature is forged, or one of the two was changed".to_owned()
    })?;
    let checkpoint: Checkpoint =
        serde_json::from_str(&signed.statement).map_err(|e| format!("this version cannot read it: {e}"))?;
    match checkpoint.drctl {
        Checkpoint::VERSION => Ok(checkpoint),
        other => Err(format!("it has version {other}, but this build reads {}", Checkpoint::VERSION)),
    }
}
