//! The report of one run: the document that `--output json` prints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::attainment::{Attainment, attainment, unsampled};
use super::buckets::BucketReport;
use super::changes::changes;
use super::fences::{self, Fence};
use super::measured::Measured;
use super::protection::{self, Protection};
use super::restore::{Restored, restored};
use super::steps::{self, StepReport};
use super::typed::typed;
use super::unsettled::{InDoubt, Store};
use super::{afterwards, decisions, duties, foretold, measured, onward, outcomes, overrides, said, steered};
use crate::kinds::shared::restore::{RestoreJob, RestoreStep};
use crate::kinds::{Fact, Operation};
use crate::model::change::Change;
use crate::model::evidence::Under;
use crate::model::ids::{ComponentName, RunId, SiteName};
use crate::model::intent::{Drill, Intent};
use crate::model::measure::Figure;
use crate::model::plain;
use crate::model::time::Timestamp;
use crate::model::waiver::{Person, Waiver};
use crate::record::action::Action;
use crate::record::event::{Outcome, WorldKind};
use crate::run::outstanding::Outstanding;
use crate::run::state::{Mode, Status};
use crate::run::waits::Waits;
use crate::run::ways::PossibleCommand;
use crate::run::{RunState, drill, exposure};

/// The report. Seconds are decimal, times RFC 3339 in UTC.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunReport {
    /// Version of this shape.
    pub schema_version: u32,
    /// The run.
    pub run_id: RunId,
    /// The application.
    pub plan: String,
    /// Its intent.
    pub intent: String,
    /// The mode, if it is a drill: `tabletop`, `rehearsal`, `isolated` or `live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// What the drill touches, and so what it proves.
    #[serde(skip)]
    pub means: Option<&'static str>,
    /// Who cancelled it, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Cancelled>,
    /// The first move of the live drill, if this is its return.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returns: Option<RunId>,
    /// The site that was left.
    pub from: Option<String>,
    /// The target site.
    pub to: String,
    /// Live, or a rehearsal with its scenario and seed.
    #[serde(flatten)]
    pub world: WorldKind,
    /// Whether it came from a file and nobody of the store adopted it, so that it proves nothing there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_file: bool,
    /// Whether it has not ended and no process drives it. Events do not show that of a process that was killed, so evidence lacks it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undriven: bool,
    /// `recovered`, `watch_paused`, `running`, `halted`, `cancelled` or `abandoned`; of a drill also `passed`, `read` or `failed`.
    pub outcome: String,
    /// Where the application is active.
    pub active: Active,
    /// The terms under which it was decided.
    pub terms: Under,
    /// Recovery time.
    pub rto: Measured,
    /// Recovery point.
    pub rpo: Measured,
    /// What each store may lose if it is promoted now, in words, as long as a person can decide that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub if_promoted_now: Vec<String>,
    /// By store.
    pub stores: BTreeMap<ComponentName, Store>,
    /// The four clocks.
    pub clocks: Clocks,
    /// Fences.
    pub fence: Fence,
    /// Effects in doubt: calls of a stopped run that may still take effect.
    pub in_doubt: Vec<InDoubt>,
    /// Whether a second site could take over from the target site, as far as this run ensured it.
    pub protection: Protection,
    /// What a reader must not miss, the gravest first, with the commands that help.
    pub warnings: Vec<onward::Warning>,
    /// Refusals that people accepted.
    pub waivers: Vec<Waiver>,
    /// What people said and did.
    pub said: Vec<said::Said>,
    /// Approvals.
    pub approvals: Vec<Approval>,
    /// Approvals that somebody overrode.
    pub overrides: Vec<overrides::Override>,
    /// Steps that people skipped, or did by hand.
    pub by_people: Vec<steered::ByPeople>,
    /// All of this in the order of the journal: statements, waivers, overrides, and steps that people skipped or did by hand.
    pub decisions: Vec<decisions::Decision>,
    /// Steps at which the run stopped, and the decision about each.
    pub stops: Vec<duties::Stop>,
    /// The duties of people after it.
    pub duties: Vec<duties::Obligation>,
    /// Open items after the end of the run.
    pub debts: Vec<afterwards::Debt>,
    /// Steps that wait for a person, whether or not a process drives the run.
    pub waits_for: Vec<Waits>,
    /// The requester.
    pub requester: Person,
    /// The severity that the requester declared: `P0` to `P3`. `terms.severity` is the one that counts, also if nobody declared any.
    pub severity: Option<String>,
    /// The incident it belongs to.
    pub incident: Option<String>,
    /// The given reason.
    pub reason: Option<String>,
    /// The run that this one continues.
    pub continues: Option<RunId>,
    /// When it was declared.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Digest of the runbook.
    pub runbook_digest: String,
    /// The steps in the order of the runbook.
    pub steps: Vec<StepReport>,
    /// Notes for the reader.
    pub notes: Vec<String>,
    /// Changed attributes that other tools will revert unless they are updated.
    pub changed: Vec<Change>,
    /// The state of replicated buckets.
    pub buckets: BTreeMap<ComponentName, BucketReport>,
    /// Restores and verified copies.
    pub restored: Vec<Restored>,
    /// Why the run has not ended, if it has not.
    pub error: Option<ReportError>,
    /// The possible commands of a run that stands still, the likeliest first.
    pub ways_on: Vec<PossibleCommand>,
}

/// Where the application is active.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Active {
    /// The site.
    pub site: Option<String>,
    /// `observed` or `last_known`.
    pub basis: String,
    /// When that was observed.
    pub observed_at: Option<Timestamp>,
}

/// The times of detection, decision, execution and validation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Clocks {
    /// The first failed public probe.
    pub detected: Option<Timestamp>,
    /// The run was declared.
    pub decided: Timestamp,
    /// When the last change was complete: after the watch if the run also makes a standby and that takes longer.
    pub executed: Option<Timestamp>,
    /// The first of the consecutive good samples of public probes.
    pub validated: Option<Timestamp>,
    /// From `decided` to `validated`.
    pub rto_from_declaration: String,
}

/// An approval.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Approval {
    /// The gate.
    pub step: String,
    /// The person.
    pub who: Person,
}

/// A cancellation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Cancelled {
    /// The person.
    pub who: Person,
    /// Why.
    pub reason: String,
}

/// Why a run has not ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReportError {
    /// `halted`, `blocked`, `approval`, `held`, `paused` or `past_return`.
    pub code: String,
    /// What happened.
    pub why: String,
    /// What happened and the first thing to do. `ways_on` has all commands.
    pub hint: String,
}

/// The report of a run.
pub fn report(state: &RunState, now: Timestamp) -> RunReport {
    let (runbook, attained) = (&state.runbook, attainment(state, now));
    let rto = measured::rto(state, &attained);
    let (fence, protection) = (fences::of_run(state), protection::of_run(state));
    let mut report = RunReport {
        schema_version: 1,
        run_id: state.created.run.clone(),
        plan: runbook.plan.to_string(),
        intent: runbook.intent.to_string(),
        drill: runbook.drill,
        means: drill::means(state),
        cancelled: cancelled(state),
        returns: state.created.returns.clone(),
        from: runbook.from.as_ref().map(ToString::to_string),
        to: runbook.to.to_string(),
        world: state.created.world.clone(),
        from_file: false,
        undriven: false,
        outcome: outcome(state).to_owned(),
        active: active(state, &attained),
        terms: state.under(),
        rpo: measured::rpo(state, &attained),
        if_promoted_now: exposure::if_promoted_now(state, now),
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
        warnings: onward::warnings(state, &fence, &protection),
        protection,
        waivers: waivers(state),
        said: said::of_run(state),
        approvals: approvals(state),
        overrides: overrides::of_run(state, now),
        by_people: steered::of_run(state),
        decisions: Vec::new(),
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
        steps: steps::of_run(state),
        notes: notes(state),
        changed: changes(state),
        buckets: super::buckets::of_run(state, fence.state == "proven"),
        fence,
        restored: restored(state),
        error: error(state),
        ways_on: onward::ways(state),
    };
    report.owe(state);
    report.decisions = decided(state, &report);
    report
}

impl RunReport {
    /// What Terraform or GitOps makes of the changes, in words. Nobody knows whether people wrote the first move into a configuration.
    pub fn reverts(&self) -> &'static str {
        match (&self.returns, self.intent.as_str()) {
            (Some(_), _) => {
                "Terraform or GitOps will revert these changes where its configuration differs. If you updated it for the drill, put it back if you have not yet; otherwise it has the values from before the drill"
            }
            (None, "failback") => {
                "Terraform or GitOps will revert these changes where its configuration differs. If you updated it after users left, put it back if you have not yet; otherwise it has the values from before users left"
            }
            _ => "Terraform or GitOps will revert these changes unless you update their configuration",
        }
    }

    /// Notes that no process drives the run, with its effects in doubt. A process that was killed recorded no halt, so the events alone do
    /// not show that nobody waits for its calls.
    pub fn note_undriven(&mut self, state: &RunState, now: Timestamp) {
        if state.halted.is_none() && !state.finished() {
            self.undriven = true;
            self.in_doubt = left(state, now);
        }
    }

    /// Collects the open items after the end from the other parts of the report.
    pub fn owe(&mut self, state: &RunState) {
        let parts =
            ((&self.stores, self.in_doubt.as_slice()), (self.overrides.as_slice(), self.duties.as_slice()));
        self.debts = afterwards::debts(state, parts.0, parts.1);
    }
}

fn cancelled(state: &RunState) -> Option<Cancelled> {
    let (who, reason) = state.cancelled_by.as_ref()?;
    Some(Cancelled { who: who.clone(), reason: reason.clone() })
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

/// The notes of the runbook, and remarks from the proofs of fences.
fn notes(state: &RunState) -> Vec<String> {
    let mut all = foretold::notes(state);
    all.extend(state.counts_for_nothing().map(|why| format!("this run proves nothing: {why}")));
    all.extend(state.waivers.iter().filter_map(|waiver| state.waives_nothing(waiver)));
    all.extend(unsampled(state));
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

fn decided(state: &RunState, report: &RunReport) -> Vec<decisions::Decision> {
    let RunReport { waivers, overrides, by_people, .. } = report;
    decisions::of_run(state, decisions::Sources { waivers, overrides, by_people })
}

/// The state of a run in one word.
pub fn outcome(state: &RunState) -> &'static str {
    outcomes::of_run(state).id()
}

fn stores(state: &RunState, attained: &Attainment) -> BTreeMap<ComponentName, Store> {
    let store = |(component, (figure, exposure)): (&ComponentName, &(Figure, crate::kinds::Exposure))| {
        let store = Store {
            rpo: measured::rpo_of(state, component, (*figure, attained.replaced.get(component)))
                .known_at(attained.losses_as_of.get(component).copied()),
            last_instant: exposure.last_instant,
            because: exposure.because.clone(),
            last_replayed: exposure.last_replayed,
        };
        (component.clone(), store)
    };
    attained.stores.iter().map(store).collect()
}

/// Effects in doubt of a stopped run. A run that a process drives has none: its effects are in progress.
fn in_doubt(state: &RunState, now: Timestamp) -> Vec<InDoubt> {
    if state.halted.is_none() && !state.finished() { Vec::new() } else { left(state, now) }
}

/// The effects of its calls that may still happen.
fn left(state: &RunState, now: Timestamp) -> Vec<InDoubt> {
    let told = |effect: Outstanding| InDoubt {
        text: effect.words(state),
        step: effect.step,
        since: effect.since,
        until: effect.until,
    };
    state.outstanding(state.looked_at(now)).into_iter().map(told).collect()
}

/// The waivers. The requester accepted those in the runbook, and signed the whole.
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

fn runbook_is_planned(state: &RunState) -> bool {
    matches!(state.runbook.intent, Intent::Switchover | Intent::Failback)
}

/// Whether drctl can move the writes back. The old server must become a standby first.
const fn moves_back(action: &Action) -> bool {
    matches!(action, Action::Op(Operation::Fence(f)) if f.db.host.is_some())
}

/// What happens to the live data if a restore stops here, and who may use it.
fn restore_hint(state: &RunState, resume: &str) -> String {
    let back = state.created.command("runs cancel", " --reason TEXT");
    let done = |i: usize| matches!(state.steps[i].work.status, Status::Done(_));
    let of = |wanted: fn(&Action) -> bool| (0..state.steps.len()).find(|&i| wanted(&state.step(i).action));
    let swapped =
        of(|a| matches!(a, Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::Swap, .. }))))
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
    let halted = state.why_stopped()?;
    if let Some(next) = state.next_as_decided() {
        let hint = format!("{halted}. Next, {}", typed(state, &next));
        return Some(ReportError { code: "halted".to_owned(), why: halted, hint });
    }
    let asked = state.stops_to_ask();
    let on = state.to_continue();
    let (code, next) = match (&state.mode, asked) {
        (Mode::Paused, _) if state.unwinds() => {
            ("paused", format!("the run is being undone; {on} continues that"))
        }
        // What the run waits for still has to be answered first.
        (Mode::Paused, _) => ("paused", onward::ways(state).into_iter().next().map_or(on, |way| way.command)),
        (_, Some((_, flag, true))) => ("blocked", state.created.command("runs resume", &format!(" {flag}"))),
        (_, Some((_, command, false))) => ("approval", command),
        (Mode::Cancelling, _) if state.runbook.intent == Intent::Restore => {
            let close = state.created.command("runs cancel", " --reason TEXT");
            let again = state.created.command_of_plan("reprotect", " --to SITE");
            (
                "past_return",
                format!(
                    "the restored server serves and stays; {close} closes the run as it is; then run {again} for the site of each standby"
                ),
            )
        }
        (Mode::Cancelling, _) => {
            let back = match state.runbook.steps.iter().any(|s| moves_back(&s.action)) {
                true => {
                    let from = state.runbook.from.as_ref().map_or("SITE", SiteName::as_str);
                    let back = state.created.command_of_plan("failback", &format!(" --to {from}"));
                    format!(", or, once {from} is back, {back}")
                }
                false => String::new(),
            };
            let close = state.created.command("runs cancel", " --reason TEXT");
            ("past_return", format!("{on}{back}; {close} closes it as it is"))
        }
        _ if state.lacks_only_answers() => ("halted", format!("{on} asks for the approval again")),
        // A planned move that stopped keeps users out of a working primary.
        _ if runbook_is_planned(state) && state.promoted.is_empty() => {
            let back = state.created.command("runs cancel", " --reason TEXT");
            ("halted", format!("{back} lets users in again where they were; or correct the cause, then {on}"))
        }
        _ if state.runbook.intent == Intent::Restore => ("halted", restore_hint(state, &on)),
        _ => ("halted", format!("correct the cause, then {on}")),
    };
    let code = if code == "halted" && state.guard_is_held() { "held" } else { code };
    let hint = format!("{}. Next: {next}", plain::clause(&halted));
    Some(ReportError { code: code.to_owned(), why: halted, hint })
}
