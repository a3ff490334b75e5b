//! Compares where the clients of a database are sent with where that database takes writes.

use super::{Estate, active};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::{Role, Target};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::time::Timestamp;
use crate::plan::types::Plan;

/// The database of a site with its endpoint: as configured in the plan, or as last observed.
pub fn reached(
    plan: &Plan,
    estate: &Estate,
    now: Timestamp,
    (database, site): (&ComponentName, &SiteName),
) -> Option<DatabaseRef> {
    let Role::Store(spec) = plan.components.get(database)?.role() else { return None };
    let db = spec.server(plan, database, site)?;
    let known = estate.database(&Target::Database(db.clone()), now);
    Some(db.reached_at(known.value().and_then(|d| d.endpoint.as_ref())))
}

/// Secrets that send clients to a server other than the only one that takes writes: the secret, and what to do about it.
pub fn endpoint_mismatch(plan: &Plan, estate: &Estate, now: Timestamp) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for component in plan.components.values() {
        let Role::Clients(of) = component.role() else { continue };
        let Some(database) = plan.components.get(&of.of.value) else { continue };
        let writers = active::live_writers(plan, estate, database);
        let [writer] = writers.as_slice() else { continue };
        let writes = reached(plan, estate, now, (&database.name, writer));
        let Some(endpoint) = writes.and_then(|db| db.endpoint) else { continue };
        for site in plan.sites.keys() {
            let Some(secret) = of.secret(plan, &component.name, site) else { continue };
            let wanted = secret.leading_to(&endpoint);
            let what = format!("secret {} in {site}", secret.id);
            let known = estate.secret(&Target::Secret(secret), now);
            let Some(seen) = known.value().filter(|seen| Some(&seen.fields) != wanted.as_ref()) else {
                continue;
            };
            let to: Vec<_> = seen.fields.values().map(String::as_str).collect();
            let why = format!(
                "points {} to {}, but {} takes writes in {writer}. To point them there, run drctl reprotect {} --to {site}; then restart them",
                component.name,
                to.join(":"),
                database.name,
                plan.name
            );
            found.push((what, why));
        }
    }
    found
}
