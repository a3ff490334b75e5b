//! Checks whether an operator of a store adopted an imported run.

use std::collections::BTreeMap;

use ssh_key::{HashAlg, PublicKey, SshSig};

use crate::model::ledger::{ADOPTION, Adoption, RecordedOperator};
use crate::model::waiver::Person;

/// The adoption, if one of the operators at that time signed exactly that, who is one `now` if `drctl.yaml` has operators. Without operators,
/// the name is only claimed.
///
/// # Errors
/// Why the adoption is not valid.
pub fn check(
    operators: &BTreeMap<String, RecordedOperator>,
    now: &BTreeMap<String, RecordedOperator>,
    person: &Person,
) -> Result<Adoption, String> {
    let text = person.statement.as_deref().ok_or("there is no statement")?;
    let adoption: Adoption =
        serde_json::from_str(text).map_err(|e| format!("this version cannot read it: {e}"))?;
    if adoption.drctl != Adoption::VERSION {
        return Err(format!("it has version {}, but this build reads {}", adoption.drctl, Adoption::VERSION));
    }
    if adoption.by != person.who {
        return Err(format!("the statement names {}, but the journal records {}", adoption.by, person.who));
    }
    if operators.is_empty() && now.is_empty() {
        return Ok(adoption);
    }
    let signature = person.signature.as_deref().ok_or("it is not signed, and the store has operators")?;
    let signature = SshSig::from_pem(signature).map_err(|e| format!("its signature is not readable: {e}"))?;
    let key = PublicKey::from(signature.public_key().clone());
    let print = key.fingerprint(HashAlg::Sha256).to_string();
    let of = |(name, known): (&String, &RecordedOperator)| (known.key == print).then(|| name.clone());
    let Some(name) = operators.iter().chain(now).find_map(of) else {
        return Err(format!("it is signed with {print}, which was not the key of an operator at that time"));
    };
    if !now.is_empty() && now.iter().find_map(of).is_none() {
        return Err(format!("it is signed with {print}, which is not the key of an operator in drctl.yaml"));
    }
    key.verify(ADOPTION, text.as_bytes(), &signature).map_err(|_| {
        "the signature does not match this statement: the signature is forged, or one of the two was changed".to_owned()
    })?;
    match name == adoption.by {
        true => Ok(adoption),
        false => Err(format!("the statement names {}, but it is signed with the key of {name}", adoption.by)),
    }
}
