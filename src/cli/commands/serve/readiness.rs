//! Checks again and again whether recoveries would work, while no drill is due. The ledger records each change and its time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::Server;
use crate::app::error::AppError;
use crate::app::run_states;
use crate::cli::commands::ready;
use crate::cli::printer::{GREEN, RED, YELLOW};
use crate::inventory::{NO_CREDENTIALS, same_cause};
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::PlanName;
use crate::model::ledger::Entry;
use crate::model::notice::Notice;
use crate::model::readiness::{Area, Check, Standing};
use crate::model::time::Timestamp;
use crate::report::{notices, readiness};

/// The readiness of a plan, from the ledger.
pub struct Found {
    /// Since when the current set of problems exists.
    since: Timestamp,
    /// Whether there were problems before, and there are none now.
    mended: bool,
    /// The time of the last entry.
    at: Timestamp,
    /// The checks in the last entry.
    checks: Vec<Check>,
}

/// The same by plan.
pub type Last = BTreeMap<PlanName, Found>;

/// The readiness of some plans, from the ledger. Plans that no longer exist have none.
pub fn last(store: &SqliteJournal, plans: &BTreeSet<PlanName>) -> Result<Last, AppError> {
    let mut last = Last::new();
    for record in store.entries(b"{\"ledger\":\"rea")? {
        let Ok(Entry::Readiness { at, plan, checks, .. }) = Entry::read(&record.bytes) else {
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
    /// The time of the last entry.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// All checks.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// What has changed in the estate since the plan was verified, according to the last check. `None` if that check was before.
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

/// The same words without the reason why credentials were rejected, if that reason was just printed: it is the same for all
/// targets of all plans.
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

/// What makes a check count as changed. Words with figures change every time, so they count only for areas without figures.
fn verdicts(checks: &[Check]) -> BTreeSet<(Area, &str, Standing, &str)> {
    let words = |check: &Check| matches!(check.area, Area::Drift | Area::Permissions | Area::Parity);
    let told = checks.iter().map(|check| (check, if words(check) { check.facts.as_str() } else { "" }));
    told.map(|(check, words)| (check.area, check.about.as_str(), check.standing, words)).collect()
}

impl Server<'_> {
    /// Checks one plan, and records the result if it changed. Checks one plan at a time, so that due drills do not wait for all.
    pub(super) fn look_ahead(&mut self, plan: &PlanName) -> Result<(), AppError> {
        let plan = self.context.plan(plan.as_str(), &self.quiet().silent())?;
        let before = last(&self.store, &BTreeSet::from([plan.name.clone()]))?;
        let runs = run_states::all(&self.store)?;
        let checked = ready::evaluate(&self.context, &self.store, (&plan, &runs), &self.interrupts);
        let (at, checks) = match checked {
            // The next server checks it again.
            Err(e) if e.is_interrupted() => return Ok(()),
            checked => checked?,
        };
        self.show(|shown| shown.looked_ahead_at = Some(at));
        let known = before.get(&plan.name).map(|found| verdicts(&found.checks));
        if known.as_ref() != Some(&verdicts(&checks)) {
            let standing = readiness::worst(&checks);
            self.enter(&Entry::Readiness { at, plan: plan.name, standing, checks })?;
        }
        Ok(())
    }

    /// Prints the readiness of a plan.
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
        // The facts of a check in its own form.
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
