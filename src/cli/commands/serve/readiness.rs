//! Whether recoveries would work, looked at again and again while nothing is due. The ledger has what changed, and when.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::Server;
use crate::cli::commands::{ready, status};
use crate::cli::error::CliError;
use crate::cli::printer::{GREEN, RED, YELLOW};
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::PlanName;
use crate::model::ledger::Entry;
use crate::model::readiness::{Area, Check, Standing};
use crate::model::time::Timestamp;
use crate::report::readiness;

/// What was last entered of each plan, and since when it stands so.
pub type Last = BTreeMap<PlanName, (Timestamp, Vec<Check>)>;

/// What the ledger knows of the readiness of plans.
pub fn last(store: &SqliteJournal) -> Result<Last, CliError> {
    let mut last = Last::new();
    for record in store.entries(b"{\"ledger\":\"rea")? {
        if let Ok(Entry::Readiness { at, plan, standing, checks }) = serde_json::from_slice(&record.bytes) {
            let as_before = |(_, before): &&(Timestamp, Vec<Check>)| readiness::worst(before) == standing;
            let since = last.get(&plan).filter(as_before).map_or(at, |(since, _)| *since);
            last.insert(plan, (since, checks));
        }
    }
    Ok(last)
}

/// What changed of the estate of a plan since it was shown to work, as it was last looked at.
pub fn drifted<'a>(last: &'a Last, plan: &PlanName) -> Option<&'a str> {
    let (_, checks) = last.get(plan)?;
    let drift = |check: &&Check| check.area == Area::Drift && check.standing == Standing::Degraded;
    checks.iter().find(drift).map(|check| check.facts.as_str())
}

/// What makes a look another one: figures in words change with every look.
fn verdicts(checks: &[Check]) -> BTreeSet<(Area, &str, Standing)> {
    checks.iter().map(|check| (check.area, check.about.as_str(), check.standing)).collect()
}

impl Server<'_> {
    /// Looks at every plan, and enters those of which something is another way than before.
    pub(super) fn look_ahead(&mut self) -> Result<(), CliError> {
        let before = last(&self.store)?;
        let runs = status::states(&self.store)?;
        for plan in self.context.plans(&[], &self.quiet().silent())? {
            if self.interrupts.count() > 0 {
                break;
            }
            // A look at a dark region takes as long as nobody answers, and is no illness of the server.
            let now = self.now();
            self.show(|shown| shown.looked_at = Some(now));
            let (at, checks) = ready::evaluate(&self.context, &self.store, &plan, &runs)?;
            let known = before.get(&plan.name).map(|(_, checks)| verdicts(checks));
            if known.as_ref() != Some(&verdicts(&checks)) {
                let standing = readiness::worst(&checks);
                self.enter(&Entry::Readiness { at, plan: plan.name, standing, checks })?;
            }
        }
        Ok(())
    }

    /// Says how a plan stands.
    pub(super) fn said_of(&self, plan: &PlanName, standing: Standing, checks: &[Check]) {
        let colour = match standing {
            Standing::Ready => GREEN,
            Standing::Degraded | Standing::Unknown => YELLOW,
            Standing::NotReady => RED,
        };
        let worst = checks.iter().filter(|check| check.standing == standing && standing != Standing::Ready);
        let worst: Vec<_> =
            worst.map(|check| format!("{} of {}: {}", check.area, check.about, check.facts)).collect();
        let word = self.printer.paint(colour, &standing.to_string());
        let words = if worst.is_empty() { word } else { format!("{word}; {}", worst.join("; ")) };
        let more = json!({"plan": plan, "standing": standing, "checks": checks});
        self.say("readiness", &more, &format!("{plan}: a recovery is {words}"));
    }
}
