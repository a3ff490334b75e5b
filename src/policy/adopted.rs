//! Whether an operator of a store took a run over that came from a file.

use std::collections::BTreeMap;

use ssh_key::{HashAlg, PublicKey, SshSig};

use crate::model::ledger::{ADOPTION, Adoption, Known};
use crate::model::waiver::Person;

/// What was said, if one of these operators signed exactly that. Where a store has no operators a name is all that there is.
///
/// # Errors
/// Why nobody of theirs said it.
pub fn check(operators: &BTreeMap<String, Known>, person: &Person) -> Result<Adoption, String> {
    let text = person.statement.as_deref().ok_or("nothing was said")?;
    let adoption: Adoption =
        serde_json::from_str(text).map_err(|e| format!("it cannot be read by this version: {e}"))?;
    if adoption.drctl != Adoption::VERSION {
        return Err(format!(
            "it is of version {}, and this build reads {}",
            adoption.drctl,
            Adoption::VERSION
        ));
    }
    if adoption.by != person.who {
        return Err(format!("it says that it is by {}, and is written to be by {}", adoption.by, person.who));
    }
    if operators.is_empty() {
        return Ok(adoption);
    }
    let signature = person.signature.as_deref().ok_or("it is not signed, and the store has operators")?;
    let signature = SshSig::from_pem(signature).map_err(|e| format!("its signature cannot be read: {e}"))?;
    let key = PublicKey::from(signature.public_key().clone());
    let print = key.fingerprint(HashAlg::Sha256).to_string();
    let of = |(name, known): (&String, &Known)| (known.key == print).then(|| name.clone());
    let Some(name) = operators.iter().find_map(of) else {
        return Err(format!("it is signed with {print}, which was no operator's key then"));
    };
    key.verify(ADOPTION, text.as_bytes(), &signature).map_err(|_| {
        "the signature is not of this statement: it is forged, or one of them was changed".to_owned()
    })?;
    match name == adoption.by {
        true => Ok(adoption),
        false => Err(format!("it says that it is by {}, and is signed with the key of {name}", adoption.by)),
    }
}
