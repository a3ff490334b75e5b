//! The report of one run: the document that `--output json` prints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::attainment::{Attainment, attainment};
use super::buckets::BucketReport;
use super::changes::changes;
use super::measured::Measured;
use super::restore::{Restored, restored};
use super::{afterwards, duties, measured, overrides, steered};
use crate::kinds::shared::rebuild::Diverged;
use crate::kinds::shared::restore::{Part, RestoreStep};
use crate::kinds::{Fact, Operation};
use crate::model::change::Change;
use crate::model::evidence::Under;
use crate::model::ids::{ComponentName, RunId, StepId};
use crate::model::intent::{Drill, Intent};
use crate::model::measure::Figure;
use crate::model::time::Timestamp;
use crate::model::waiver::{Person, Waiver};
use crate::record::action::Action;
use crate::record::event::{Outcome, Request, WorldKind};
use crate::run::RunState;
use crate::run::outstanding::Outstanding;
use crate::run::state::{Mode, Status, StepState};
use crate::run::waits::Waits;

/// The report. Seconds are decimal, times RFC 3339 in UTC.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunReport {
    /// Version of this shape.
    pub schema_version: u32,
    /// The run.
    pub run_id: RunId,
    /// The application.
    pub plan: String,
    /// What it was for.
    pub intent: String,
    /// How far it goes, if it is a drill: `tabletop`, `rehearsal`, `isolated` or `live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// Who called it off, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Cancelled>,
    /// The first half of a live drill, whose way back this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returns: Option<RunId>,
    /// The site that was left.
    pub from: Option<String>,
    /// The site that was recovered to.
    pub to: String,
    /// Live, or a rehearsal with its scenario and seed.
    #[serde(flatten)]
    pub world: WorldKind,
    /// `recovered`, `cancelled`, `abandoned`, `halted` or `running`; of a drill `passed` or `failed`.
    pub outcome: String,
    /// Where the application is active.
    pub active: Active,
    /// The terms that it was decided under.
    pub terms: Under,
    /// Recovery time.
    pub rto: Measured,
    /// Recovery point.
    pub rpo: Measured,
    /// By store.
    pub stores: BTreeMap<ComponentName, Store>,
    /// The four clocks.
    pub clocks: Clocks,
    /// Fences.
    pub fence: Fence,
    /// What was asked for and may still take effect, though the run has stopped.
    pub in_doubt: Vec<InDoubt>,
    /// Whether a second site could take over from the one that was recovered to, as far as this run saw to it.
    pub protection: Protection,
    /// Refusals that people accepted.
    pub waivers: Vec<Waiver>,
    /// People who said yes.
    pub approvals: Vec<Approval>,
    /// Approvals that somebody overrode.
    pub overrides: Vec<overrides::Override>,
    /// Steps that people left out, or did by hand.
    pub by_people: Vec<steered::ByPeople>,
    /// Steps that brought the run to a stop, and what somebody made of each.
    pub stops: Vec<duties::Stop>,
    /// The duties of people after it.
    pub duties: Vec<duties::Obligation>,
    /// Open items after the end, and nothing else.
    pub debts: Vec<afterwards::Debt>,
    /// Steps that wait for a person, whoever drives the run.
    pub waits_for: Vec<Waits>,
    /// Who asked for the run.
    pub requester: Person,
    /// How bad it was said to be: `P0` to `P3`.
    pub severity: Option<String>,
    /// The incident it belongs to.
    pub incident: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The run that this one continues.
    pub continues: Option<RunId>,
    /// When it was declared.
    pub started_at: Timestamp,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Digest of the runbook.
    pub runbook_digest: String,
    /// The steps in the order of the runbook.
    pub steps: Vec<StepReport>,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// What will revert this if nobody tells it.
    pub changed: Vec<Change>,
    /// What is known of copies of buckets.
    pub buckets: BTreeMap<ComponentName, BucketReport>,
    /// What was brought back to a point in time, or drilled.
    pub restored: Vec<Restored>,
    /// Why the run is not over, if it is not.
    pub error: Option<ReportError>,
}

/// An effect that may still come.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct InDoubt {
    /// The step that asked for it.
    pub step: StepId,
    /// When.
    pub since: Timestamp,
    /// Until when it may come; none where only what is then seen tells.
    pub until: Option<Timestamp>,
    /// What may happen, and how it is withdrawn.
    pub text: String,
}

/// Where the application is active.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Active {
    /// The site.
    pub site: Option<String>,
    /// `observed` or `last_known`.
    pub basis: String,
    /// When.
    pub observed_at: Option<Timestamp>,
}

/// Whether a second site could take over.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Protection {
    /// `protected`, `UNPROTECTED`, or `unchanged` where the run promoted nothing.
    pub state: String,
    /// Stores that it promoted and that no standby follows.
    pub unprotected: Vec<ComponentName>,
    /// What servers that this run made standbys had committed and the new primary never got, by store.
    pub diverged: BTreeMap<ComponentName, Vec<Diverged>>,
}

/// One store.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Store {
    /// Its figure.
    pub rpo: Measured,
    /// The last instant at which the old primary can have acknowledged a write.
    pub last_instant: Option<Timestamp>,
    /// How that is known.
    pub because: String,
    /// The last commit on the new primary from the old one.
    pub last_replayed: Option<Timestamp>,
}

/// When what was known and done.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Clocks {
    /// The first failed public probe.
    pub detected: Option<Timestamp>,
    /// The run was declared.
    pub decided: Timestamp,
    /// The last change was in place, before the run began to watch.
    pub executed: Option<Timestamp>,
    /// The first of the good answers of public probes in a row.
    pub validated: Option<Timestamp>,
    /// From `decided` to `validated`.
    pub rto_from_declaration: String,
}

/// Fences of the run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Fence {
    /// `none`, `proven`, `pending` or `paid`.
    pub state: String,
    /// By component.
    pub components: BTreeMap<ComponentName, String>,
}

/// A person's yes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Approval {
    /// The gate.
    pub step: String,
    /// Who.
    pub who: Person,
}

/// One step.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StepReport {
    /// Its id.
    pub id: String,
    /// Its component.
    pub component: Option<ComponentName>,
    /// In words.
    pub action: String,
    /// `done`, `waived`, `noop`, `by_hand`, `failed`, `skipped`, `pending` and so on.
    pub state: String,
    /// How often it was tried: by calls, or again after it had failed.
    pub attempts: u32,
    /// When, for the first time.
    pub started_at: Option<Timestamp>,
    /// When.
    pub ended_at: Option<Timestamp>,
    /// Why it failed, was skipped or waits.
    pub reason: Option<String>,
    /// What providers call the requests of its calls, in order: service, their id, and the code of a no.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<String>,
}

/// Who called a run off.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Cancelled {
    /// Who.
    pub who: Person,
    /// Why.
    pub reason: String,
}

/// Why a run is not over.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReportError {
    /// `halted`, `blocked`, `approval` or `paused`.
    pub code: String,
    /// What happened and what to do.
    pub hint: String,
}

/// Reads a run.
pub fn report(state: &RunState, now: Timestamp) -> RunReport {
    let attained = attainment(state, now);
    let runbook = &state.runbook;
    let rto = measured::rto(state, &attained);
    let fence = fence(state);
    let mut report = RunReport {
        schema_version: 1,
        run_id: state.created.run.clone(),
        plan: runbook.plan.to_string(),
        intent: runbook.intent.to_string(),
        drill: runbook.drill,
        cancelled: state
            .cancelled_by
            .as_ref()
            .map(|(who, reason)| Cancelled { who: who.clone(), reason: reason.clone() }),
        returns: state.created.returns.clone(),
        from: runbook.from.as_ref().map(ToString::to_string),
        to: runbook.to.to_string(),
        world: state.created.world.clone(),
        outcome: outcome(state).to_owned(),
        active: active(state, &attained),
        terms: state.under(),
        rpo: measured::rpo(state, &attained),
        stores: stores(state, &attained),
        clocks: Clocks {
            detected: attained.detected,
            decided: attained.decided,
            executed: attained.executed,
            validated: attained.validated,
            rto_from_declaration: match rto.applies() {
                true => attained.rto_from_declaration.to_string(),
                false => rto.text.clone(),
            },
        },
        rto,
        in_doubt: in_doubt(state, now),
        protection: protection(state),
        waivers: waivers(state),
        approvals: approvals(state),
        overrides: overrides::of(state, now),
        by_people: steered::of(state),
        stops: duties::stops(state),
        duties: duties::of_people(state, now),
        debts: Vec::new(),
        waits_for: state.waits_for_people(),
        requester: state.created.requester.clone(),
        severity: state.created.severity.clone(),
        incident: state.created.incident.clone(),
        reason: state.created.reason.clone(),
        continues: state.created.continues.clone(),
        started_at: state.created_at,
        ended_at: state.finished_at,
        runbook_digest: state.created.runbook_digest.to_string(),
        steps: steps(state),
        notes: notes(state),
        changed: changes(state),
        buckets: super::buckets::of(state, fence.state == "proven"),
        fence,
        restored: restored(state),
        error: error(state),
    };
    report.owe(state);
    report
}

impl RunReport {
    /// Collects the open items after the end from the other parts of the report.
    pub fn owe(&mut self, state: &RunState) {
        let parts =
            ((&self.stores, self.in_doubt.as_slice()), (self.overrides.as_slice(), self.duties.as_slice()));
        self.debts = afterwards::debts(state, parts.0, parts.1);
    }
}

fn active(state: &RunState, attained: &Attainment) -> Active {
    let runbook = &state.runbook;
    let (site, basis, observed_at) = match state.mode {
        Mode::Finished(Outcome::Recovered) => {
            (Some(&runbook.to), "observed", attained.validated.or(state.finished_at))
        }
        _ => (runbook.from.as_ref(), "last_known", Some(state.created_at)),
    };
    Active { site: site.map(ToString::to_string), basis: basis.to_owned(), observed_at }
}

/// What the runbook said, and what the proof of a fence found besides.
fn notes(state: &RunState) -> Vec<String> {
    let mut all = state.runbook.notes.clone();
    all.extend(state.counts_for_nothing().map(|why| format!("this run proves nothing: {why}")));
    for fact in state.steps.iter().flat_map(|at| &at.facts) {
        let Fact::Fenced { component, unexplained, unreplicated, .. } = fact else { continue };
        all.extend(unexplained.iter().map(|why| format!("`{component}`: {why}")));
        for thing in unreplicated {
            if !all.iter().any(|said| said.contains(&thing.name)) {
                all.push(format!("`{component}`: {}", thing.words()));
            }
        }
    }
    all
}

/// One word for where a run is.
pub fn outcome(state: &RunState) -> &'static str {
    match (&state.mode, &state.halted) {
        (Mode::Finished(Outcome::Recovered), _) if state.runbook.intent == Intent::Drill => "passed",
        (Mode::Finished(Outcome::Recovered), _) => "recovered",
        (Mode::Finished(Outcome::Read), _) => "read",
        (Mode::Finished(Outcome::Cancelled), _) => "cancelled",
        (Mode::Finished(Outcome::Failed), _) => "failed",
        (Mode::Finished(Outcome::Abandoned), _) => "abandoned",
        // Users are served: whoever reads this in a list must not take it for a recovery that stopped.
        _ if state.watch_paused() => "watch_paused",
        (_, Some(_)) => "halted",
        (_, None) => "running",
    }
}

/// A store that was promoted is protected once a standby follows the new primary.
pub fn protection(state: &RunState) -> Protection {
    let follows = |c: &ComponentName| state.rejoined(c);
    let moved: Vec<_> = state.promoted_at.keys().collect();
    let rebuilt = state.runbook.stores.iter().any(follows);
    let unprotected: Vec<_> = moved.iter().filter(|c| !follows(c)).map(|c| (*c).clone()).collect();
    let word = match (unprotected.is_empty(), moved.is_empty() && !rebuilt) {
        (_, true) => "unchanged",
        (true, _) => "protected",
        (false, _) => "UNPROTECTED",
    };
    let mut diverged: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for fact in state.steps.iter().flat_map(|s| &s.facts) {
        if let Fact::Rejoined { component, diverged: Some(found), .. } = fact {
            diverged.entry(component.clone()).or_default().push(found.clone());
        }
    }
    Protection { state: word.to_owned(), unprotected, diverged }
}

fn stores(state: &RunState, attained: &Attainment) -> BTreeMap<ComponentName, Store> {
    let store = |(component, (figure, exposure)): (&ComponentName, &(Figure, crate::kinds::Exposure))| {
        let store = Store {
            rpo: measured::rpo_of(state, component, (*figure, attained.replaced.get(component))),
            last_instant: exposure.last_instant,
            because: exposure.because.clone(),
            last_replayed: exposure.last_replayed,
        };
        (component.clone(), store)
    };
    attained.stores.iter().map(store).collect()
}

fn fence(state: &RunState) -> Fence {
    let mut components = BTreeMap::new();
    for step in &state.runbook.steps {
        let Action::Op(Operation::Fence(fence)) = &step.action else { continue };
        let component = &fence.db.component;
        if let Some((method, at)) = state.fenced(component) {
            let proof = state.proof(component).unwrap_or_default();
            components.insert(component.clone(), format!("proven by {} at {at}: {proof}", method.id()));
        }
    }
    let mut word = if components.is_empty() { "none" } else { "proven" };
    for (component, debt) in &state.debts {
        let owed = state.owed().any(|c| c == component);
        let text = match (&debt.paid, &debt.settled) {
            (Some((at, proof)), _) => format!("pending from {}, proven at {at}: {proof}", debt.since),
            (None, Some((at, why))) => {
                format!("pending from {}, settled at {at} without a fence: {why}", debt.since)
            }
            (None, None) if owed => format!("PENDING since {}", debt.since),
            // Nothing was promoted: the old primary is the only one.
            (None, None) => continue,
        };
        components.insert(component.clone(), text);
        word = match () {
            () if owed || word == "pending" => "pending",
            () if debt.paid.is_none() || word == "settled" => "settled",
            () => "fenced",
        };
    }
    Fence { state: word.to_owned(), components }
}

/// What a run left that stopped. While somebody drives it, it is under way.
fn in_doubt(state: &RunState, now: Timestamp) -> Vec<InDoubt> {
    if state.halted.is_none() && !state.finished() {
        return Vec::new();
    }
    let left = state.outstanding(now).into_iter();
    let told = |effect: Outstanding| InDoubt {
        text: effect.words(state),
        step: effect.step,
        since: effect.since,
        until: effect.until,
    };
    left.map(told).collect()
}

/// What was accepted. What the runbook has of it was accepted by whoever asked for the run, with their signature under the whole.
fn waivers(state: &RunState) -> Vec<Waiver> {
    let requester = &state.created.requester;
    let of = |waiver: &Waiver| {
        let asked = state.runbook.waivers.contains(waiver) && waiver.who.is(requester);
        if asked { Waiver { who: requester.clone(), ..waiver.clone() } } else { waiver.clone() }
    };
    state.waivers.iter().map(of).collect()
}

fn approvals(state: &RunState) -> Vec<Approval> {
    let of = |(step, s): (&crate::run::state::StepState, &crate::record::runbook::Step)| {
        step.approved_by
            .iter()
            .map(|who| Approval { step: s.id.to_string(), who: who.clone() })
            .collect::<Vec<_>>()
    };
    state.steps.iter().zip(&state.runbook.steps).flat_map(of).collect()
}

fn steps(state: &RunState) -> Vec<StepReport> {
    let report = |i: usize| {
        let (step, at) = (state.step(i), &state.steps[i]);
        let work = at.undo.as_ref().unwrap_or(at.of_run());
        // A run that is being undone is reported as that.
        let (attempts, started_at) = match at.undo {
            Some(_) => (work.attempts, work.started_at),
            None => (at.tries(), at.began()),
        };
        let word = match (&work.status, &state.steps[i].undo) {
            (Status::Done(_), Some(_)) => "undone",
            (Status::Done(_), None) if state.passed_by_waiver(i) => "waived",
            (Status::Done(crate::record::event::End::Noop), None) => "noop",
            (Status::Done(crate::record::event::End::ByHand), None) => "by_hand",
            (status, _) => status.word(),
        };
        StepReport {
            id: step.id.to_string(),
            component: step.component.clone(),
            action: step.action.to_string(),
            state: word.to_owned(),
            attempts,
            started_at,
            ended_at: work.ended_at,
            reason: work.reason.clone(),
            requests: requests(&state.steps[i]),
        }
    };
    (0..state.steps.len()).map(report).collect()
}

/// Those of doing it, and those of taking it back.
fn requests(of: &StepState) -> Vec<String> {
    let all = of.work.requests.iter().chain(of.undo.iter().flat_map(|work| &work.requests));
    let words = |request: &Request| {
        let code = request.code.as_ref().map_or_else(String::new, |code| format!(" ({code})"));
        format!("{} {}{code}", request.service, request.id)
    };
    all.map(words).collect()
}

fn runbook_is_planned(state: &RunState) -> bool {
    matches!(state.runbook.intent, Intent::Switchover | Intent::Failback)
}

/// Whether drctl can take the writes back: the old server has to be made a standby first.
const fn moves_back(action: &Action) -> bool {
    matches!(action, Action::Op(Operation::Fence(f)) if f.db.host.is_some())
}

/// What happens to the live data if a restore stops here, and who may use it.
fn restore_hint(state: &RunState, resume: &str) -> String {
    let back = state.created.command("runs cancel", " --reason TEXT");
    let done = |i: usize| matches!(state.steps[i].work.status, Status::Done(_));
    let of = |wanted: fn(&Action) -> bool| (0..state.steps.len()).find(|&i| wanted(&state.step(i).action));
    let swapped = of(|a| matches!(a, Action::Op(Operation::Restore(RestoreStep { part: Part::Swap, .. }))))
        .is_some_and(done);
    let fenced = of(|a| matches!(a, Action::Op(Operation::Fence(_))))
        .is_some_and(|i| state.steps[i].work.attempts > 0);
    match (swapped, fenced) {
        (true, _) => format!("the copy is in place; correct the cause, then {resume}"),
        (false, true) => format!(
            "users are kept out until then; {back} undoes everything and lets them in; or correct the cause, then {resume}"
        ),
        (false, false) => format!(
            "the live data is unchanged and in use; correct the cause, then {resume}; or {back}, which removes the copy"
        ),
    }
}

fn error(state: &RunState) -> Option<ReportError> {
    let halted = state.halted.clone()?;
    let blocked = state.steps.iter().find_map(|s| match &s.work.status {
        Status::Blocked { flag, rule, .. } => Some((flag.clone(), *rule)),
        _ => None,
    });
    let resume = |more: &str| state.created.command("runs resume", more);
    let (code, next) = match (&state.mode, blocked) {
        (Mode::Paused, _) if state.unwinds() => {
            ("paused", format!("the run is being undone; {} continues that", resume("")))
        }
        (Mode::Paused, _) => ("paused", resume("")),
        (_, Some((Some(flag), Some(_)))) => ("blocked", resume(&format!(" {flag}"))),
        (_, Some((Some(flag), None))) => ("approval", flag),
        (Mode::Cancelling, _) if state.runbook.intent == Intent::Restore => {
            let close = state.created.command("runs cancel", " --reason TEXT");
            (
                "past_return",
                format!(
                    "the restored server serves and stays; {close} closes the run as it is; then run drctl reprotect for the site of each standby"
                ),
            )
        }
        (Mode::Cancelling, _) => {
            let back = match state.runbook.steps.iter().any(|s| moves_back(&s.action)) {
                true => ", or drctl failback once the old site is back",
                false => "",
            };
            let close = state.created.command("runs cancel", " --reason TEXT");
            ("past_return", format!("{}{back}; {close} closes it as it is", resume("")))
        }
        // A planned move that stopped keeps users out of a primary that works.
        _ if runbook_is_planned(state) && state.promoted.is_empty() => {
            let back = state.created.command("runs cancel", " --reason TEXT");
            (
                "halted",
                format!(
                    "{back} lets users in again where they were; or correct the cause, then {}",
                    resume("")
                ),
            )
        }
        _ if state.runbook.intent == Intent::Restore => ("halted", restore_hint(state, &resume(""))),
        _ => ("halted", format!("correct the cause, then {}", resume(""))),
    };
    Some(ReportError { code: code.to_owned(), hint: format!("{halted}. Next: {next}") })
}
