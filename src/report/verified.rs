//! Whether a plan is verified, by the last drill that changed something or the last recovery.

use std::fmt;

use serde::Serialize;

use super::attainment::attainment;
use super::summary;
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::RestoreStep;
use crate::kinds::{Fact, Operation, State, Target};
use crate::model::ids::{ComponentName, PlanName, RunId};
use crate::model::intent::{Drill, Intent};
use crate::model::time::{Dur, Timestamp};
use crate::plan::Plan;
use crate::record::action::Action;
use crate::record::event::{Outcome, WorldKind};
use crate::record::runbook::{Phase, Step};
use crate::run::RunState;
use crate::run::state::Mode;

/// The status of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It worked recently, and has not changed since.
    Verified,
    /// It is unknown whether it works in its current form.
    NeedsVerification,
    /// The last attempt failed.
    Failed,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Verified => "verified",
            Self::NeedsVerification => "needs verification",
            Self::Failed => "FAILED",
        })
    }
}

/// The status and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The status.
    pub status: Status,
    /// The reason, for people.
    pub why: String,
    /// The run that it is based on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// When that run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Until when the proof is or was valid, by the plan's tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When people are reminded that it expires.
    #[serde(skip)]
    pub remind: Option<Timestamp>,
}

/// The requirements of a tier, and from when they apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cadence {
    /// The maximum age of a proof.
    pub every: Option<Dur>,
    /// Since when drctl knows the plan. A plan that was never tested must be tested within `every` from then on.
    pub known: Option<Timestamp>,
}

impl Cadence {
    fn until(&self, proven: Option<Timestamp>) -> (Option<Timestamp>, Option<Timestamp>) {
        let until = self.every.zip(proven.or(self.known)).map(|(every, at)| at + every);
        let remind = until.zip(self.every).map(|(until, every)| until - Dur(every.millis() / 4));
        (until, remind)
    }
}

/// What the runs of a store prove about a plan. Tabletop drills and rehearsals change nothing and prove nothing. A cancelled run proves
/// nothing either way.
pub fn verified(plan: &Plan, cadence: Cadence, runs: &[RunState], now: Timestamp) -> Verified {
    let of_plan =
        || runs.iter().filter(|run| run.created.plan == plan.name && says(run) && !makes_up(run, runs));
    let stores: Vec<_> = plan
        .components
        .values()
        .filter(|c| crate::plan::types::Component::is_store(c))
        .map(|c| &c.name)
        .collect();
    // A good copy does not compensate for a failed move, nor for a failed copy of another database.
    let copy_of = |store| of_plan().filter(|run| copied(run) == Some(store)).max_by_key(|run| over_at(run));
    let copies: Vec<_> = stores.iter().map(|store| copy_of(*store)).collect();
    let moved = of_plan().filter(|run| run.runbook.intent != Intent::Drill).max_by_key(|run| over_at(run));
    let all = || copies.iter().flatten().copied().chain(moved);
    let failed = all().filter(|run| failure(run).is_some()).max_by_key(|run| over_at(run));
    // Copies prove a plan once all of its databases were copied. The proof is as old as the oldest of these copies.
    let every_copy = copies.iter().copied().collect::<Option<Vec<_>>>();
    let oldest = every_copy.and_then(|copies| copies.into_iter().min_by_key(|run| over_at(run)));
    let Some(last) = failed.or_else(|| oldest.into_iter().chain(moved).max_by_key(|run| over_at(run))) else {
        let untried = stores.iter().zip(&copies).find(|(_, copy)| copy.is_none()).map(|(store, _)| *store);
        let why = match (untried, copies.iter().any(Option::is_some)) {
            (Some(store), true) => format!("no drill has ever copied {store}, and users have never moved"),
            _ => {
                "no recovery has run, and no drill that changes anything; rehearsals do not count".to_owned()
            }
        };
        let (until, remind) = cadence.until(None);
        let late = until.zip(cadence.every).filter(|(until, _)| *until < now);
        let why =
            late.map_or(why.clone(), |(_, every)| format!("{why}; its tier requires one every {every}"));
        return Verified { status: Status::NeedsVerification, why, run: None, at: None, until, remind };
    };
    // A failure is not a proof, so the validity counts from the last success.
    let good = || of_plan().filter(|run| failure(run).is_none());
    let moves = good().filter(|run| run.runbook.intent != Intent::Drill).map(over_at);
    let copy_of = |store| good().filter(|run| copied(run) == Some(store)).map(over_at).max();
    let copies = stores.iter().map(|store| copy_of(*store)).collect::<Option<Vec<_>>>();
    let good = moves.chain(copies.and_then(|copies| copies.into_iter().min())).max();
    let proven = if failure(last).is_some() { good } else { Some(over_at(last)) };
    let (until, remind) = cadence.until(proven);
    let (run, at) = (Some(last.created.run.clone()), over_at(last));
    let is = |status, why| Verified { status, why, run, at: Some(at), until, remind };
    let what = what(last);
    if let Some(why) = failure(last) {
        return is(Status::Failed, format!("{what} of {at}: {why}"));
    }
    if last.created.plan_text != plan.text {
        return is(Status::NeedsVerification, format!("the plan changed after {what} of {at}"));
    }
    if let Some(every) = cadence.every.filter(|_| until.is_some_and(|until| until < now)) {
        let why = format!("the last was {what} of {at}; its tier requires one every {every}");
        return is(Status::NeedsVerification, why);
    }
    is(Status::Verified, format!("{what} of {at}"))
}

/// Whether it is the return of a live drill whose first move failed. Moving users back does not compensate for that.
pub fn makes_up(run: &RunState, runs: &[RunState]) -> bool {
    let first =
        run.created.returns.as_ref().and_then(|first| runs.iter().find(|run| run.created.run == *first));
    first.is_some_and(|first| proof(first) == Some(false))
}

/// The observations of the last run that proved the plan, before its first change, and which run that was. Runs that only make a copy
/// observe nothing. Servers that the run created are excluded, because the service decides their properties.
pub fn seen_before(plan: &PlanName, runs: &[RunState]) -> Option<(RunId, Vec<(String, State)>)> {
    let seen = |run: &RunState| -> Vec<(String, State)> {
        let anew = |step: &Step| match &step.action {
            Action::Op(Operation::Rejoin(Rejoin { db, .. })) => Some(Target::Database(db.clone()).key()),
            _ => None,
        };
        let anew: Vec<String> = run.runbook.steps.iter().filter_map(anew).collect();
        // Observations at the end include the run's own changes.
        let steps = run.runbook.steps.iter().zip(&run.steps);
        let facts = steps.filter(|(step, _)| step.phase == Phase::Evidence).flat_map(|(_, at)| &at.facts);
        let seen = facts.filter_map(|fact| match fact {
            Fact::Seen { target, state } => Some((target.clone(), state.clone())),
            _ => None,
        });
        seen.filter(|(target, _)| !anew.contains(target)).collect()
    };
    // A run that missed its objective still made the observations.
    let recovered = |run: &&RunState| really_ended(run) && run.mode == Mode::Finished(Outcome::Recovered);
    let proofs = runs.iter().filter(|run| run.created.plan == *plan).filter(recovered);
    let of = |run: &RunState| Some((over_at(run), run.created.run.clone(), seen(run)));
    let all = proofs.filter_map(of).filter(|(.., seen)| !seen.is_empty());
    all.max_by_key(|(at, ..)| *at).map(|(_, run, seen)| (run, seen))
}

impl Verified {
    /// The same, unless something in the estate changed. The change may be harmless for a recovery, but that is untested.
    #[must_use]
    pub fn unless(self, drifted: Option<&str>) -> Self {
        match drifted.filter(|_| self.status == Status::Verified) {
            Some(why) => {
                let why = format!("{}, but the estate changed: {why}", self.why);
                Self { status: Status::NeedsVerification, why, ..self }
            }
            None => self,
        }
    }
}

/// When it ended. Later records of people do not make the proof younger.
pub fn over_at(run: &RunState) -> Timestamp {
    run.finished_at.unwrap_or(run.last_at)
}

/// Whether a run changed something real and is finished. An undone run proves nothing, unless it is a live drill, which should have moved
/// users, or users failed and it left them so.
fn says(run: &RunState) -> bool {
    really_ended(run) && run.is_evidence()
}

/// Whether the run really acted and ended, whatever it counts for: observations of a test estate are valid as well.
fn really_ended(run: &RunState) -> bool {
    let real = run.created.world == WorldKind::Live
        && !matches!(run.runbook.drill, Some(Drill::Tabletop | Drill::Rehearsal));
    let meant = matches!(
        run.runbook.intent,
        Intent::Drill | Intent::Failover | Intent::Switchover | Intent::Failback
    );
    let over = match run.mode {
        Mode::Finished(Outcome::Cancelled) => {
            run.runbook.drill == Some(Drill::Live) || attainment(run, run.last_at).never_recovered
        }
        Mode::Finished(Outcome::Read) => false,
        Mode::Finished(_) => true,
        _ => false,
    };
    real && meant && over
}

/// Whether a run proves that its plan works or that it does not; `None` if it proves neither.
pub fn proof(run: &RunState) -> Option<bool> {
    says(run).then(|| failure(run).is_none())
}

/// The database that an isolated drill copied.
fn copied(run: &RunState) -> Option<&ComponentName> {
    let mut restored = run.runbook.steps.iter().filter_map(|step: &Step| match &step.action {
        Action::Op(Operation::Restore(RestoreStep { of, .. })) => Some(&of.db.component),
        _ => None,
    });
    (run.runbook.intent == Intent::Drill).then(|| restored.next()).flatten()
}

fn what(run: &RunState) -> String {
    match run.runbook.drill {
        Some(drill) => format!("the {} drill", drill.id()),
        None => format!("the {}", run.runbook.intent),
    }
}

fn failure(run: &RunState) -> Option<String> {
    if let Some(why) = crate::run::drill::called_off(run) {
        return Some(why.to_owned());
    }
    match run.mode {
        Mode::Finished(Outcome::Recovered) => {}
        Mode::Finished(Outcome::Cancelled) if attainment(run, run.last_at).never_recovered => {
            return Some("the run was cancelled while users failed".to_owned());
        }
        Mode::Finished(Outcome::Cancelled) => return Some("the run was undone".to_owned()),
        Mode::Finished(Outcome::Failed) => {
            return Some("the drill found that the recovery would not have worked".to_owned());
        }
        _ => return Some("the run ended without recovery".to_owned()),
    }
    if run.runbook.intent == Intent::Drill {
        return None;
    }
    let report = summary::report(run, run.last_at);
    match (report.rto.holds(), report.rpo.holds()) {
        (true, true) => None,
        (false, true) => Some("the RTO was missed, or not proven".to_owned()),
        (true, false) => Some("the RPO was missed, or not proven".to_owned()),
        (false, false) => Some("RTO and RPO were missed, or not proven".to_owned()),
    }
}
