//! Whether recoveries would work, looked at again and again while nothing is due. The ledger has what changed, and when.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::Server;
use crate::cli::commands::{ready, status};
use crate::cli::error::CliError;
use crate::cli::printer::{GREEN, RED, YELLOW};
use crate::inventory::{NO_CREDENTIALS, same_cause};
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::PlanName;
use crate::model::ledger::Entry;
use crate::model::notice::Notice;
use crate::model::readiness::{Area, Check, Standing};
use crate::model::time::Timestamp;
use crate::report::{notices, readiness};

/// What the ledger knows of a plan.
pub struct Found {
    /// Since when exactly that is not ready which is not.
    since: Timestamp,
    /// Whether something was not ready before, and nothing is now.
    mended: bool,
    /// When that was entered which was last.
    at: Timestamp,
    /// What.
    checks: Vec<Check>,
}

/// The same of plans.
pub type Last = BTreeMap<PlanName, Found>;

/// What the ledger knows of the readiness of some plans. Those that are there no more stand no way at all.
pub fn last(store: &SqliteJournal, plans: &BTreeSet<PlanName>) -> Result<Last, CliError> {
    let mut last = Last::new();
    for record in store.entries(b"{\"ledger\":\"rea")? {
        let Ok(Entry::Readiness { at, plan, checks, .. }) = serde_json::from_slice(&record.bytes) else {
            continue;
        };
        if !plans.contains(&plan) {
            continue;
        }
        let (mut since, mut mended) = (at, false);
        if let Some(before) = last.get(&plan) {
            let (was, is) = (unready(&before.checks), unready(&checks));
            mended = is.is_empty() && (before.mended || !was.is_empty());
            if was == is {
                since = before.since;
            }
        }
        last.insert(plan, Found { since, mended, at, checks });
    }
    Ok(last)
}

impl Found {
    /// When that was entered which was last.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Everything that was looked at.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// What changed of the estate since the plan was shown to work, as it was last looked at. A look from before that knows nothing of it.
    pub fn drifted_since(&self, proven: Option<Timestamp>) -> Option<&str> {
        let drift = |check: &&Check| check.area == Area::Drift && check.standing == Standing::Degraded;
        let found = self.checks.iter().find(drift).filter(|_| proven.is_none_or(|proven| self.at > proven));
        found.map(|check| check.facts.as_str())
    }

    /// The notifications: what is not ready, each time that it changes, and when all problems are solved.
    pub fn news(&self, plan: &PlanName) -> Option<Notice> {
        let fails = self.checks.iter().filter(|check| check.standing == Standing::NotReady);
        let why: Vec<_> = fails.map(|check| format!("{}: {}", check.about, check.facts)).collect();
        match (why.is_empty(), self.mended) {
            (false, _) => Some(notices::unready(plan, self.since, &why.join("; "))),
            (true, true) => Some(notices::ready_again(plan, self.since)),
            (true, false) => None,
        }
    }
}

fn unready(checks: &[Check]) -> BTreeSet<(Area, &str)> {
    let fails = checks.iter().filter(|check| check.standing == Standing::NotReady);
    fails.map(|check| (check.area, check.about.as_str())).collect()
}

/// The same words without the reason why nobody is let in, where that is what was said last: it is one reason, however many things
/// nobody can look at, and however many plans have them.
fn once(facts: &str, said: &mut Option<String>) -> String {
    let cause = facts.split_once(NO_CREDENTIALS).and_then(|(before, rest)| {
        let (cause, after) = rest.strip_prefix(" (")?.rsplit_once(')')?;
        Some((before, cause, after))
    });
    let Some((before, cause, after)) = cause else { return facts.to_owned() };
    if said.as_ref().is_some_and(|known| same_cause(known, cause)) {
        return format!("{before}{NO_CREDENTIALS}{after}");
    }
    *said = Some(cause.to_owned());
    facts.to_owned()
}

/// What makes a look another one. Figures in words change with every look; what changed, and what is denied, has none.
fn verdicts(checks: &[Check]) -> BTreeSet<(Area, &str, Standing, &str)> {
    let words = |check: &Check| matches!(check.area, Area::Drift | Area::Permissions | Area::Parity);
    let told = checks.iter().map(|check| (check, if words(check) { check.facts.as_str() } else { "" }));
    told.map(|(check, words)| (check.area, check.about.as_str(), check.standing, words)).collect()
}

impl Server<'_> {
    /// Looks at one plan, and enters how it stands if that is another way than before. One at a time: what is due does not wait for all.
    pub(super) fn look_ahead(&mut self, plan: &PlanName) -> Result<(), CliError> {
        let plan = self.context.plan(plan.as_str(), &self.quiet().silent())?;
        let before = last(&self.store, &BTreeSet::from([plan.name.clone()]))?;
        let runs = status::states(&self.store)?;
        let (at, checks) = ready::evaluate(&self.context, &self.store, &plan, &runs)?;
        self.show(|shown| shown.looked_ahead_at = Some(at));
        let known = before.get(&plan.name).map(|found| verdicts(&found.checks));
        if known.as_ref() != Some(&verdicts(&checks)) {
            let standing = readiness::worst(&checks);
            self.enter(&Entry::Readiness { at, plan: plan.name, standing, checks })?;
        }
        Ok(())
    }

    /// Says how a plan stands.
    pub(super) fn said_of(&mut self, plan: &PlanName, standing: Standing, checks: &[Check]) {
        let colour = match standing {
            Standing::Ready => GREEN,
            Standing::Degraded | Standing::Unknown => YELLOW,
            Standing::NotReady => RED,
        };
        let worst = checks.iter().filter(|check| check.standing == standing && standing != Standing::Ready);
        let locked_out = &mut self.locked_out;
        let worst: Vec<_> = worst
            .map(|check| format!("{} of {}: {}", check.area, check.about, once(&check.facts, locked_out)))
            .collect();
        let word = self.printer.paint(colour, &standing.to_string());
        let words = if worst.is_empty() { word } else { format!("{word}; {}", worst.join("; ")) };
        let more = json!({"plan": plan, "standing": standing, "checks": checks});
        self.say("readiness", &more, &format!("{plan}: a recovery is {words}"));
    }
}

#[cfg(test)]
mod tests {
    use super::once;
    use crate::inventory::Observation;

    #[test]
    fn one_reason_is_said_once_and_again_when_it_is_another() {
        let mut said = None;
        // As a look says it: what is taken apart here is what is put together there.
        let of = |what: &str, why: &str| {
            let seen = Observation::Unauthenticated { why: why.to_owned(), clock: false };
            format!("{what}: {}; and so on", seen.why_not())
        };
        let none = "no credentials found in chain (tried: Environment)";
        assert_eq!(once(&of("group/east", none), &mut said), of("group/east", none));
        let short = "group/west: no valid credentials; and so on";
        assert_eq!(once(&of("group/west", none), &mut said), short);
        let secret = format!("secret db/admin in east: {none}");
        assert_eq!(once(&of("group/west", &secret), &mut said), short, "it says which login was wanted");
        assert_eq!(once(&of("group/west", "expired"), &mut said), of("group/west", "expired"));
        assert_eq!(once(&of("group/west", "expired"), &mut said), short);
        assert_eq!(once("no answer (no valid credentials)", &mut said), "no answer (no valid credentials)");
    }
}
