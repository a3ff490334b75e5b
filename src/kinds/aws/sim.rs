//! What an account of AWS answers in a simulation, whatever is in it.

use std::collections::BTreeMap;

use crate::kinds::control::IdentityState;
use crate::model::place::Place;
use crate::model::readiness::{GrantedState, Quota, QuotasState};

/// Whose credentials are used.
pub fn identity(place: &Place) -> IdentityState {
    let arn = format!("arn:aws:sts::sandbox:assumed-role/{}", place.role.as_deref().unwrap_or("drctl"));
    IdentityState { account: place.account.clone().unwrap_or_else(|| "000000000000".to_owned()), arn }
}

/// All permissions are granted.
pub fn granted(place: &Place, asked: usize) -> GrantedState {
    let principal = place.role.clone().unwrap_or_else(|| "drctl".to_owned());
    GrantedState { principal, asked, ..GrantedState::default() }
}

/// The quotas of an account with this many databases.
pub fn quotas(databases: usize) -> QuotasState {
    let of = Quota { used: i64::try_from(databases).unwrap_or(i64::MAX), max: 40 };
    QuotasState { of: BTreeMap::from([("DBInstances".to_owned(), of)]) }
}
