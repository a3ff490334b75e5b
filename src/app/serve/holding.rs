//! One scheduled drill, from its start to its end. A later process continues it if this one dies.

use serde_json::json;

use super::{Clock, Server};
use crate::app::context::Context;
use crate::app::drill::{DrillOptions, Due};
use crate::app::ending::{Came, Ending};
use crate::app::error::AppError;
use crate::app::live_drill::gave_up;
use crate::app::post::post;
use crate::app::restore::Point;
use crate::app::start::RunOptions;
use crate::app::waived::WaiverRequest;
use crate::app::{drill, drill_schedules, exit, keys, resume, run_outcome, uploads};
use crate::executor::drive::INTERRUPTED;
use crate::journal::lock::RunLock;
use crate::journal::{Journal as _, Record};
use crate::model::ids::{ComponentName, RunId};
use crate::model::intent::Drill;
use crate::model::ledger::Entry;
use crate::model::schedule::{Definition, Fate, Schedule};
use crate::model::time::{Dur, Timestamp};
use crate::plan::types::Component;
use crate::policy::schedules;
use crate::record::event::{Event, EventKind, Outcome, Signal};
use crate::report::summary;
use crate::run::signal::person_of;
use crate::run::state::Mode;
use crate::run::{RunState, Stop};

/// How long a blocked drill waits before the next check: each check queries production, which may be in trouble.
const BLOCKED: Dur = Dur::mins(1);

/// A drill that started.
struct Open<'a> {
    due: &'a schedules::Due,
    is: Definition,
    runs: Vec<RunId>,
}

/// The result of an attempt to run a drill.
enum DrillAttempt {
    /// It ran, or it was refused for this reason.
    Over(Option<String>),
    /// Another process or run holds what it needs.
    Later(String),
    /// User probes fail, or an alarm is on. drctl checks again later.
    Blocked(String),
    /// It could not start in time.
    Late,
    /// Users are already at the target, so nothing had to move.
    Nothing,
}

impl Server {
    /// Records the drill and the names of its runs in the ledger first, so that a later process finds them after a crash.
    pub(super) fn begin(&mut self, due: &schedules::Due) -> Result<(), AppError> {
        let Some(schedule) = self.schedule(&due.0).cloned() else { return Ok(()) };
        let runs = self.runs_of(&schedule, due.1)?;
        let fate = match runs.is_empty() {
            true => Fate::Missed { why: format!("plan {} has no database to copy", schedule.is.plan) },
            false => Fate::Begun { is: schedule.is, runs },
        };
        let begun = matches!(fate, Fate::Begun { .. });
        self.enter(&Entry::Drill { at: self.now(), schedule: due.0.clone(), due: due.1, fate })?;
        if begun { self.carry(due) } else { Ok(()) }
    }

    fn runs_of(&self, schedule: &Schedule, due: Timestamp) -> Result<Vec<RunId>, AppError> {
        let (is, prefix) = (&schedule.is, self.store.world().prefix());
        let plan = self.context.plan(is.plan.as_str(), &*self.presenter)?;
        let stores = plan.components.values().filter(|c| Component::is_store(c)).map(|c| c.name.clone());
        let components: Vec<ComponentName> = match (&is.drill, &is.component) {
            (Drill::Isolated, Some(named)) => vec![named.clone()],
            (Drill::Isolated, None) => stores.collect(),
            _ => return Ok(vec![is.run(prefix, (&schedule.name, due), None)]),
        };
        Ok(components
            .iter()
            .map(|component| is.run(prefix, (&schedule.name, due), Some(component)))
            .collect())
    }

    /// Continues a drill: resumes unfinished runs and starts missing ones.
    pub(super) fn carry(&mut self, due: &schedules::Due) -> Result<(), AppError> {
        let mut known = drill_schedules::known(&self.store)?;
        let Some(Fate::Begun { is, runs }) = known.fates.remove(due) else { return Ok(()) };
        let open = Open { due, is, runs };
        for state in self.states(&open)?.into_iter().filter(|state| !state.finished()) {
            let run = &state.created.run;
            if RunLock::is_held(&Context::lock_folder(&self.store), run) {
                self.waits(due, &format!("another process drives run {run}"));
                return Ok(());
            }
            if !self.goes_on(&state)? {
                self.waits(due, &format!("run {run} waits for a person: drctl runs show {run}"));
                return Ok(());
            }
            self.say("carried_on", &json!({"run": run}), &format!("{}: continuing run {run}", due.0));
            self.holds(due, |server| {
                resume::resume_run(&server.context, &*server.quiet(), &server.store, run)
            })?;
            if self.interrupts.count() > 0 {
                // The next server continues from here.
                return Ok(());
            }
        }
        let held = match self.wanting(&open)? {
            Wanting::Nothing => DrillAttempt::Over(None),
            Wanting::Runs if self.now() > due.1 + open.is.late_ms => DrillAttempt::Late,
            Wanting::Runs | Wanting::WayBack => match self.stands_against(&open)? {
                Some(why) => DrillAttempt::Later(why),
                None => self.holds(due, |server| server.hold(&open))?,
            },
        };
        self.judge(&open, held)
    }

    /// Why a drill that waited and has no run yet may not start now: a window closed, or somebody moved users.
    fn stands_against(&mut self, open: &Open<'_>) -> Result<Option<String>, AppError> {
        if self.context.is_rehearsal() || !self.states(open)?.is_empty() {
            return Ok(None);
        }
        let lately = open.is.drill == Drill::Live && self.plan_moved_lately(open.due, open.is.plan.clone());
        let against = schedules::against(&self.context.settings.policy, &open.is, &self.kept, self.now());
        Ok(against
            .or_else(|| lately.then(|| "it is unknown whether the application moved recently".to_owned())))
    }

    /// Does work that takes long, and shows it on the health page.
    fn holds<T>(&mut self, due: &schedules::Due, work: impl FnOnce(&Self) -> T) -> T {
        self.show(|shown| shown.holding = Some(due.0.clone()));
        let done = self.beside(work);
        self.show(|shown| shown.holding = None);
        done
    }

    /// Whether a run continues automatically, because its process died or was stopped. A run that needs a decision waits for a person.
    fn goes_on(&self, state: &RunState) -> Result<bool, AppError> {
        let run = &state.created.run;
        let records = self.store.read(run)?;
        let read =
            |record: &Record| serde_json::from_slice::<Event>(&record.bytes).ok().map(|event| event.what);
        let events: Vec<EventKind> = records.iter().rev().filter_map(read).collect();
        let let_go = events.first().is_some_and(|last| matches!(last, EventKind::Halted { .. }));
        // A command to a run that no process drives is recorded by its own process, which then halts the run again.
        let this_process = events.iter().take_while(|what| !matches!(what, EventKind::EpochTaken { .. }));
        let said = this_process.into_iter().any(|what| person_of(what).is_some());
        if !let_go || said || !self.store.waiting(state)?.is_empty() {
            return Ok(true);
        }
        let why = |what: &EventKind| match what {
            EventKind::Paused { why } => Some(why.clone()),
            _ => None,
        };
        if state.mode != Mode::Paused || events.iter().find_map(why).as_deref() != Some(INTERRUPTED) {
            return Ok(false);
        }
        // A restarted server does not overrule what a person decided about a stop.
        if !state.is_under_way() {
            return Ok(false);
        }
        post((&self.context, &*self.quiet()), &self.store, run, Signal::Resume, keys::GOOD_FOR).map(|_| true)
    }

    /// The runs of a drill that exist. For a live drill, also the returns, successful or not.
    fn states(&self, open: &Open<'_>) -> Result<Vec<RunState>, AppError> {
        let states = drill_schedules::states(&self.store, &open.is, &open.runs)?;
        let foreign = states.iter().find(|state| state.created.plan != open.is.plan);
        match foreign {
            Some(state) => Err(AppError::usage(format!("run {} belongs to another plan", state.created.run))),
            None => Ok(states),
        }
    }

    /// What remains to be done.
    fn wanting(&self, open: &Open<'_>) -> Result<Wanting, AppError> {
        let states = self.states(open)?;
        if states.iter().any(|state| !state.finished()) {
            return Ok(Wanting::Nothing);
        }
        let there = |run: &RunId| states.iter().any(|state| state.created.run == *run);
        if !open.runs.iter().all(there) {
            return Ok(Wanting::Runs);
        }
        Ok(if drill_schedules::away(&states).is_some() { Wanting::WayBack } else { Wanting::Nothing })
    }

    /// Runs what remains.
    fn hold(&self, open: &Open<'_>) -> Result<DrillAttempt, AppError> {
        let (name, due) = open.due;
        let args = arguments(name, &open.is, *due);
        let asked = Some(Due {
            schedule: name,
            is: &open.is,
            at: *due,
            begins: self.now(),
            world: self.store.world(),
            runs: &open.runs,
        });
        let told = match drill::hold(&self.context, &*self.quiet(), &args, (&self.interrupts, asked)) {
            // The next server holds it.
            Err(e) if e.is_interrupted() => return Ok(DrillAttempt::Over(None)),
            Err(e) if e.exit == exit::HELD => return Ok(DrillAttempt::Later(e.message)),
            Err(e) => return Ok(DrillAttempt::Over(Some(e.message))),
            Ok(told) => told,
        };
        uploads::rest(&self.context, &*self.presenter, &self.store, &self.interrupts);
        // A drill with a run is judged by that run.
        let without = told.iter().find(|ending| !matches!(ending.came, Came::Ran));
        // In a rehearsal, a block never ends.
        let blocked = |ending: &Ending| ending.is_blocked() && !self.context.is_rehearsal();
        Ok(match without {
            Some(ending) if ending.code == exit::HELD => DrillAttempt::Later(ending.why_not()),
            Some(ending) if blocked(ending) => DrillAttempt::Blocked(ending.why_not()),
            Some(ending) if matches!(ending.came, Came::Nothing(..)) => DrillAttempt::Nothing,
            Some(ending) => DrillAttempt::Over(Some(ending.why_not())),
            None => DrillAttempt::Over(None),
        })
    }

    /// Records the result, if there is one. A run that waits for a person stays open, and so does a drill whose users are still away.
    fn judge(&mut self, open: &Open<'_>, held: DrillAttempt) -> Result<(), AppError> {
        let (refused, already) = match held {
            DrillAttempt::Later(why) => {
                self.waits(open.due, &why);
                return Ok(());
            }
            DrillAttempt::Blocked(why) => {
                let again = (self.now() + BLOCKED).min(open.due.1 + open.is.late_ms + Dur(1));
                self.kept.until.insert(open.due.clone(), again);
                self.waits(open.due, &why);
                return Ok(());
            }
            DrillAttempt::Late => {
                let died = || "the process for this drill died".to_owned();
                let why = self.waiting.get(open.due).cloned().unwrap_or_else(died);
                let why = format!("the drill may start up to {} late: {why}", open.is.late_ms);
                if self.states(open)?.is_empty() {
                    return self.missed(open.due, why);
                }
                (Some(why), false)
            }
            DrillAttempt::Over(why) => (why, false),
            DrillAttempt::Nothing => {
                (Some("users are already there, so nothing had to move".to_owned()), true)
            }
        };
        let states = self.states(open)?;
        if let Clock::Rehearsed(now) = &mut self.clock {
            *now = states.iter().map(|state| state.last_at).fold(*now, Timestamp::max);
        }
        if let Some(state) = states.iter().find(|state| !state.finished()) {
            let run = &state.created.run;
            let words = match self.interrupts.count() {
                0 => format!("run {run} waits for a person: drctl runs show {run}"),
                _ => format!("run {run} was stopped; the next server continues it"),
            };
            self.waits(open.due, &words);
            return Ok(());
        }
        if let Some(there) = drill_schedules::away(&states).filter(|_| !already) {
            let why = refused.unwrap_or_else(|| "drctl could not move them back".to_owned());
            let words = format!("USERS ARE NOT BACK from {}: {why}; drctl tries again", there.runbook.to);
            self.waits(open.due, &words);
            return Ok(());
        }
        let missing: Vec<_> =
            open.runs.iter().filter(|run| !states.iter().any(|state| state.created.run == **run)).collect();
        if !missing.is_empty() && refused.is_none() && self.interrupts.count() > 0 {
            // The next server runs the rest.
            return Ok(());
        }
        let good = |state: &RunState| {
            run_outcome::code_of(state, &Stop::Finished) == exit::DONE && gave_up(state).is_none()
        };
        let passed = missing.is_empty() && refused.is_none() && states.iter().all(good);
        let of_runs = states.iter().map(|state| match (&state.mode, gave_up(state)) {
            (_, Some(why)) => format!("{} {why}", state.created.run),
            (Mode::Finished(Outcome::Recovered | Outcome::Read), None) if !good(state) => {
                format!("{} {}, but without its objectives", state.created.run, word(state))
            }
            (Mode::Finished(_), None) => format!("{} {}", state.created.run, word(state)),
            _ => state.created.run.to_string(),
        });
        let untried = missing.iter().map(|run| format!("{run} was not tried"));
        let words = of_runs.chain(untried).chain(refused).collect::<Vec<_>>().join("; ");
        self.ended(&open.due.0, open.due.1, passed, &words)
    }
}

/// What remains to be done of a drill.
enum Wanting {
    /// Nothing, or nothing until an unfinished run ends.
    Nothing,
    /// Some runs never started.
    Runs,
    /// Users are away because of this drill and must return.
    WayBack,
}

/// How a run ended. A drill that makes copies recovers nobody: like everywhere else, it `passed`.
fn word(state: &RunState) -> &'static str {
    match state.mode {
        Mode::Finished(Outcome::Read) => "was read",
        Mode::Finished(Outcome::Failed) => "found that the recovery would not have worked",
        Mode::Finished(Outcome::Cancelled) => "was undone",
        Mode::Finished(Outcome::Abandoned) => "was abandoned",
        _ => summary::outcome(state),
    }
}

fn arguments(name: &str, is: &Definition, due: Timestamp) -> DrillOptions {
    DrillOptions {
        plan: is.plan.to_string(),
        mode: is.drill,
        to: is.to.as_ref().map(ToString::to_string),
        scenario: None,
        hold: is.hold_ms.map(|hold| format!("{}ms", hold.millis())),
        component: is.component.as_ref().map(ToString::to_string),
        point: Point { to_time: is.ago_ms.map(|ago| format!("{}ms ago", ago.millis())), ..Point::default() },
        how: RunOptions {
            dry_run: false,
            yes: true,
            severity: None,
            incident: None,
            take_over: false,
            waive: WaiverRequest {
                reason: Some(format!("schedule {name}, due {due}")),
                ..WaiverRequest::default()
            },
        },
    }
}
