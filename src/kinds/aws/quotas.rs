//! The quotas of an account.

use std::collections::BTreeMap;

use crate::model::readiness::{Quota, Reading, Standing, not, ready};

/// The quotas that a recovery needs to create a replica or a copy. RDS may report others as well.
const ROOM: [&str; 2] = ["DBInstances", "AllocatedStorage"];

/// Whether there is room for an instance.
pub(crate) fn room(of: &BTreeMap<String, Quota>) -> Reading {
    let known = ROOM.iter().filter_map(|name| Some((*name, of.get(*name)?))).collect::<Vec<_>>();
    if known.is_empty() {
        return not(Standing::Unknown, "RDS reports no quota", "run aws rds describe-account-attributes");
    }
    let full = known.iter().find(|(_, quota)| quota.used >= quota.max);
    let words = |(name, quota): &(&str, &Quota)| format!("{name} {} of {}", quota.used, quota.max);
    match full {
        Some(full) => {
            let facts = format!("{}: RDS can create no copy and no replica", words(full));
            not(Standing::NotReady, facts, "raise the quota (Service Quotas), or remove instances")
        }
        None => ready(known.iter().map(words).collect::<Vec<_>>().join(", ")),
    }
}
