//! Checks again and again whether recoveries would work, while no drill is due. The ledger records each change and its time.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Server, Tone};
use crate::app::error::AppError;
use crate::app::presenter::Quiet;
use crate::app::{readiness, run_states};
use crate::inventory::{NO_CREDENTIALS, same_cause};
use crate::model::ids::PlanName;
use crate::model::ledger::Entry;
use crate::model::readiness::{Area, Check, Standing};
use crate::report::readiness::worst;

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

impl Server {
    /// Checks one plan, and records the result if it changed. Checks one plan at a time, so that due drills do not wait for all.
    pub(super) fn look_ahead(&mut self, plan: &PlanName) -> Result<(), AppError> {
        let plan = self.context.plan(plan.as_str(), &Quiet)?;
        let before = readiness::last(&self.store, &BTreeSet::from([plan.name.clone()]))?;
        let runs = run_states::all(&self.store)?;
        let checked = readiness::evaluate(&self.context, &self.store, (&plan, &runs), &self.interrupts);
        let (at, checks) = match checked {
            // The next server checks it again.
            Err(e) if e.is_interrupted() => return Ok(()),
            checked => checked?,
        };
        self.show(|shown| shown.looked_ahead_at = Some(at));
        let known = before.get(&plan.name).map(|found| verdicts(found.checks()));
        if known.as_ref() != Some(&verdicts(&checks)) {
            let standing = worst(&checks);
            self.enter(&Entry::Readiness { at, plan: plan.name, standing, checks })?;
        }
        Ok(())
    }

    /// Prints the readiness of a plan.
    pub(super) fn said_of(&mut self, plan: &PlanName, standing: Standing, checks: &[Check]) {
        let tone = match standing {
            Standing::Ready => Tone::Good,
            Standing::Degraded | Standing::Unknown => Tone::Doubtful,
            Standing::NotReady => Tone::Bad,
        };
        let worst = checks.iter().filter(|check| check.standing == standing && standing != Standing::Ready);
        let locked_out = &mut self.locked_out;
        let worst: Vec<_> = worst
            .map(|check| format!("{} of {}: {}", check.area, check.about, once(&check.facts, locked_out)))
            .collect();
        let word = self.presenter.toned(tone, &standing.to_string());
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
