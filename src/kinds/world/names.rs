//! What names resolve to, and where secrets lead clients.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::shared::names::plan::Record;
use crate::kinds::shared::names::records::RecordSet;
use crate::model::ids::{ComponentName, SiteName};

/// The names of one component.
pub struct NamesOfZone {
    /// The component.
    pub component: ComponentName,
    /// What they lead to: the components that it needs.
    pub needs: BTreeSet<ComponentName>,
    /// The names, as the plan declares them.
    pub records: Vec<Record>,
    /// Whether names that need no database count for users.
    pub static_too: bool,
    /// The answers of authoritative servers.
    pub published: Vec<RecordSet>,
    /// The answers of the users' resolvers.
    pub cached: Vec<RecordSet>,
    /// The site to which each name points, by authoritative servers. A name without exactly one site points to none.
    pub published_to: Vec<Option<SiteName>>,
    /// The same by the users' resolvers.
    pub cached_to: Vec<Option<SiteName>>,
}

impl NamesOfZone {
    /// Computes where the names point, after the answers changed.
    pub fn follow(&mut self) {
        let lead = |sets: &[RecordSet]| {
            let asked = self.records.iter().filter(|r| !r.is_static || self.static_too);
            asked.map(|r| r.answered_by(sets)).collect()
        };
        (self.published_to, self.cached_to) = (lead(&self.published), lead(&self.cached));
    }
}

/// Where a secret leads clients.
pub struct SecretRoute {
    /// The database that they need.
    pub of: ComponentName,
    /// The fields with the endpoint.
    pub fields: BTreeMap<String, String>,
}
