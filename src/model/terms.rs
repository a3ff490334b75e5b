//! The terms of a run: what decides it besides its plan. Trusted operators, required approvals, objectives, endpoints, and whether it is a
//! test.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::environment::{Endpoint, Environment};
use crate::model::ids::Digest;
use crate::model::ledger::RecordedOperator;
use crate::model::objectives::Objectives;
use crate::model::time::Dur;

/// The promise of a recovery class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// Recovery time and point.
    pub objectives: Objectives,
    /// How often a drill must prove it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_every_ms: Option<Dur>,
}

/// What decides a run besides its plan, from the start of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The declared environment.
    pub environment: Environment,
    /// The operators: fingerprints of their keys, and roles.
    pub operators: BTreeMap<String, RecordedOperator>,
    /// The promises of the recovery classes.
    pub tiers: BTreeMap<String, Promise>,
    /// All other deciding settings, by their names in `drctl.yaml`, with defaults filled in.
    pub settings: BTreeMap<String, String>,
    /// Configured endpoints of services.
    pub endpoints: BTreeSet<Endpoint>,
}

/// The maximum number of shown characters of a value.
const SHOWN: usize = 200;

impl Terms {
    /// The digest of the canonical JSON with sorted keys.
    pub fn digest(&self) -> Digest {
        Digest::of_bytes(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// As lines: names from `drctl.yaml` with their values.
    pub fn lines(&self) -> BTreeMap<String, String> {
        let mut all = self.settings.clone();
        all.insert("environment".to_owned(), self.environment.to_string());
        for (name, who) in &self.operators {
            let roles = if who.roles.is_empty() { "no role".to_owned() } else { who.roles.join(", ") };
            all.insert(format!("operators.{name}"), format!("{} as {roles}", who.key));
        }
        for (name, tier) in &self.tiers {
            all.insert(format!("tiers.{name}.rto"), tier.objectives.rto_ms.exact());
            all.insert(format!("tiers.{name}.rpo"), tier.objectives.rpo_ms.exact());
            let every = tier.drill_every_ms.map_or_else(|| "never".to_owned(), Dur::exact);
            all.insert(format!("tiers.{name}.drill_every"), every);
        }
        let mut urls: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for endpoint in &self.endpoints {
            let said = format!("{} ({})", endpoint.url, endpoint.from.words());
            urls.entry(format!("endpoints.{}", endpoint.service)).or_default().push(said);
        }
        all.extend(urls.into_iter().map(|(key, said)| (key, said.join(" and "))));
        all
    }

    /// The differences from earlier terms, one line each: `tiers.critical.rto: 15m -> 4h`, `operators.mallory: added, SHA256:... as dba`.
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let (was, is) = (before.lines(), self.lines());
        let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        let shown = |text: &String| match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{} ...", &text[..end]),
            None => text.clone(),
        };
        let line = |name: &String| match (was.get(name), is.get(name)) {
            (Some(was), Some(is)) if was == is => None,
            (Some(was), Some(is)) => Some(format!("{name}: {} -> {}", shown(was), shown(is))),
            (None, Some(is)) => Some(format!("{name}: added, {}", shown(is))),
            (Some(was), None) => Some(format!("{name}: removed, {}", shown(was))),
            (None, None) => None,
        };
        names.into_iter().filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_name_what_was_and_what_is() {
        let promise = |minutes| Promise {
            objectives: Objectives { rto_ms: Dur::mins(minutes), rpo_ms: Dur::mins(5) },
            drill_every_ms: None,
        };
        let mut before = Terms::default();
        before.tiers.insert("critical".to_owned(), promise(15));
        before.settings.insert("policy.changes.database.by".to_owned(), "dba, cto".to_owned());
        let mut after = before.clone();
        after.tiers.insert("critical".to_owned(), promise(240));
        after.settings.insert("policy.changes.database.by".to_owned(), "nobody".to_owned());
        let mallory = RecordedOperator { key: "SHA256:m".to_owned(), roles: vec!["dba".to_owned()] };
        after.operators.insert("mallory".to_owned(), mallory);
        assert_eq!(
            after.changes(&before),
            [
                "operators.mallory: added, SHA256:m as dba",
                "policy.changes.database.by: dba, cto -> nobody",
                "tiers.critical.rto: 15m -> 4h",
            ]
        );
        assert_eq!(before.changes(&after)[0], "operators.mallory: removed, SHA256:m as dba");
        assert_ne!(before.digest(), after.digest());
        assert!(before.changes(&before.clone()).is_empty());
    }
}
