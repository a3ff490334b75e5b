//! `drctl serve` and `drctl schedules`

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::drill::{self, Due};
use super::ending::Ending;
use super::post::post;
use super::runs;
use crate::cli::args::{DrillArgs, DrillMode, Global, HowArgs, PointArgs, ServeArgs, WaiveArgs};
use crate::cli::context::{Context, SANDBOX_BEGAN};
use crate::cli::error::CliError;
use crate::cli::interrupt::Interrupts;
use crate::cli::printer::{Format, GREEN, Printer, RED, YELLOW};
use crate::cli::{delivery, exit, keys, ledger};
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, Record, StoreError};
use crate::model::event::{Event, Outcome, Signal, What};
use crate::model::ids::{ComponentName, RunId};
use crate::model::ledger::{Entry, Why};
use crate::model::runbook::Drill;
use crate::model::schedule::{Definition, Fate, Schedule};
use crate::model::time::{Dur, Timestamp};
use crate::plan::types::Component;
use crate::policy::schedules::{self, Known, Next};
use crate::run::RunState;
use crate::run::Stop;
use crate::run::apply::person_of;
use crate::run::state::Mode;
use crate::server::Board;
use crate::server::metrics::{Row, Snapshot};
use crate::world::World;

/// Why a run was paused whose process was told to stop, as `executor::drive` says it.
const STOPPED: &str = "interrupted at the terminal";
/// How often a server looks at its settings, at the clock and at what people said.
const LOOK: Dur = Dur::secs(1);
/// How often it delivers what is owed to sinks.
const DELIVER: Dur = Dur::mins(15);
/// How often figures are read anew.
const FIGURES: Dur = Dur::secs(30);
/// A rehearsal goes through so much, where nothing else is said.
const YEAR: Dur = Dur::secs(366 * 24 * 60 * 60);

/// What time it is, and how it goes by.
enum Clock {
    Live(World),
    /// In a rehearsal it is as late as was last done, and goes by as fast as drills are held.
    Rehearsed(Timestamp),
}

struct Server<'a> {
    context: Context,
    printer: &'a Printer,
    store: SqliteJournal,
    interrupts: Interrupts,
    clock: Clock,
    until: Option<Timestamp>,
    /// Drills that wait for a person: nobody looks at them for a while.
    left: BTreeSet<schedules::Due>,
    board: Option<Board>,
    shown: Snapshot,
}

/// Holds drills when they are due.
pub fn run(global: &Global, printer: &Printer, args: &ServeArgs) -> Result<u8, CliError> {
    let context = Context::load(global, printer)?;
    let store = context.store()?;
    let _lock = RunLock::take(&Context::lock_folder(&store), &RunId::new("serve")).map_err(|e| match e {
        StoreError::Owned(_) => CliError {
            code: "held",
            message: "another process serves this store".to_owned(),
            hint: Some("one is enough; drctl schedules shows what it holds and when".to_owned()),
            exit: exit::HELD,
        },
        e => e.into(),
    })?;
    let interrupts = Interrupts::listen().map_err(|e| CliError::usage(format!("no signals: {e}")))?;
    let instant =
        |text: &Option<String>| text.as_deref().map(Timestamp::parse).transpose().map_err(CliError::usage);
    let (from, until) = (instant(&args.from)?, instant(&args.until)?);
    let (clock, until) = match context.is_rehearsal() {
        true => {
            let known = known(&store)?;
            let now = from.or(known.last).unwrap_or(SANDBOX_BEGAN).max(known.last.unwrap_or(SANDBOX_BEGAN));
            (Clock::Rehearsed(now), Some(until.unwrap_or(now + YEAR)))
        }
        false if from.is_some() => {
            return Err(CliError::usage_fix("--from means nothing for what is real", "--sandbox"));
        }
        false => (Clock::Live(World::live().map_err(|e| CliError::usage(format!("no timers: {e}")))?), until),
    };
    if !context.is_rehearsal() {
        context.unlock()?;
    }
    let (left, shown) = (BTreeSet::new(), Snapshot::default());
    let mut server = Server { context, printer, store, interrupts, clock, until, left, board: None, shown };
    if let Some(address) = args.listen {
        server.figures()?;
        let board = Board::listen(address, server.shown.clone());
        server.board = Some(board.map_err(|why| CliError::usage(format!("nobody can listen at {why}")))?);
    }
    server.serve(global)
}

/// What the ledger of a store knows of schedules and drills.
pub fn known(store: &SqliteJournal) -> Result<Known, CliError> {
    let mut entries = store.entries(b"{\"ledger\":\"sch")?;
    entries.extend(store.entries(b"{\"ledger\":\"dri")?);
    entries.sort_by_key(|record| record.seq);
    Ok(Known::of(entries.iter().filter_map(|record| serde_json::from_slice(&record.bytes).ok())))
}

impl Server<'_> {
    fn now(&self) -> Timestamp {
        match &self.clock {
            Clock::Live(world) => world.shown(),
            Clock::Rehearsed(now) => *now,
        }
    }

    fn serve(&mut self, global: &Global) -> Result<u8, CliError> {
        let schedules = &self.context.settings.schedules;
        self.say(
            "serving",
            &json!({"schedules": schedules.len()}),
            &format!("{} schedules; Ctrl-C ends it, and a drill that runs then is paused", schedules.len()),
        );
        let (mut looked, mut delivered, mut figured) = (self.now(), self.now(), self.now());
        loop {
            let now = self.now();
            if self.interrupts.count() > 0 || self.until.is_some_and(|until| now >= until) {
                return Ok(exit::DONE);
            }
            let known = known(&self.store)?;
            self.show(|shown| shown.looked_at = Some(now));
            let (schedules, policy) = (&self.context.settings.schedules, &self.context.settings.policy);
            match schedules::next(schedules, &known, policy, &self.left, now) {
                Next::Enter(entry) => self.enter(&entry)?,
                Next::Begin((name, due)) => self.begin(&name, due)?,
                Next::Carry((name, due)) => self.carry(&known, &name, due)?,
                Next::Wait(then) => self.wait(then),
            }
            if now.since(looked) >= Dur::secs(30) && matches!(self.clock, Clock::Live(_)) {
                looked = now;
                self.reload(global);
                self.left.clear();
            }
            if self.board.is_some() && now.since(figured) >= FIGURES {
                figured = now;
                self.figures()?;
            }
            if now.since(delivered) >= DELIVER && matches!(self.clock, Clock::Live(_)) {
                delivered = now;
                delivery::rest(&self.context, self.printer, &self.store);
            }
        }
    }

    /// Changes what is shown to those who watch.
    fn show(&mut self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.shown);
        if let Some(board) = &self.board {
            board.put(self.shown.clone());
        }
    }

    /// Reads everything that is shown anew.
    fn figures(&mut self) -> Result<(), CliError> {
        let (known, now) = (known(&self.store)?, self.now());
        let states = super::status::states(&self.store)?;
        let rows = self.context.settings.schedules.iter().map(|schedule| {
            let drills = known.of_schedule(&schedule.name);
            let of = |fits: fn(&Fate) -> bool| drills.iter().filter(|(_, fate)| fits(fate)).count();
            Row {
                schedule: schedule.name.clone(),
                plan: schedule.is.plan.clone(),
                drill: schedule.is.drill.id(),
                next_due: schedule.calendar.after(now),
                passed: of(|fate| matches!(fate, Fate::Ended { passed: true, .. })),
                failed: of(|fate| matches!(fate, Fate::Ended { passed: false, .. })),
                missed: of(|fate| matches!(fate, Fate::Missed { .. })),
                open: of(|fate| matches!(fate, Fate::Begun { .. })),
            }
        });
        let rows = rows.collect();
        // A plan that cannot be read shows nothing; drctl check says why.
        let plans = self.context.plans(&[], &self.quiet().silent()).unwrap_or_default();
        let judged = plans.iter().map(|plan| {
            let found = super::status::verification(&self.context, plan, &states)?;
            Ok((plan.name.clone(), found.status, found.until))
        });
        let judged = judged.collect::<Result<_, CliError>>()?;
        let owed = delivery::owed(&self.context)?;
        self.show(|shown| (shown.schedules, shown.plans, shown.evidence_owed) = (rows, judged, owed));
        Ok(())
    }

    fn wait(&mut self, then: Timestamp) {
        match &mut self.clock {
            Clock::Live(world) => {
                let slice = then.min(world.shown() + LOOK);
                let slice = world.now() + slice.since(world.shown());
                world.block_on(world.sleep_until(slice));
            }
            Clock::Rehearsed(now) => *now = then.max(*now),
        }
    }

    /// Settings that changed hold from now on; those that cannot be read change nothing.
    fn reload(&mut self, global: &Global) {
        let path = self.context.settings_text.as_ref().map(|(path, bytes)| (path.clone(), bytes.clone()));
        if path.is_some_and(|(path, bytes)| std::fs::read(path).is_ok_and(|read| read == bytes)) {
            return;
        }
        match Context::load(global, self.printer) {
            Ok(context) => {
                self.context = context;
                self.say("settings", &json!({}), "drctl.yaml changed, and is followed from now on");
            }
            Err(e) => self.printer.note(&format!("drctl.yaml changed, and is not followed: {}", e.message)),
        }
    }

    fn say(&self, what: &str, more: &Value, words: &str) {
        if self.printer.format == Format::Human {
            return self.printer.line(&format!("{}  {words}", self.now()));
        }
        let mut document = json!({"schema_version": 1, "at": self.now(), "event": what});
        if let (Some(document), Some(more)) = (document.as_object_mut(), more.as_object()) {
            document.extend(more.clone());
        }
        self.printer.line(&document.to_string());
    }

    fn enter(&self, entry: &Entry) -> Result<(), CliError> {
        self.store.enter(entry)?;
        if matches!(entry, Entry::Drill { fate: Fate::Ended { .. } | Fate::Missed { .. }, .. }) {
            self.sign();
        }
        match entry {
            Entry::Schedule { name, is: Some(is), .. } => {
                let words =
                    format!("{name}: {} drill of {} at `{}` {}", is.drill.id(), is.plan, is.pattern, is.zone);
                self.say("schedule", &json!({"schedule": name, "is": is}), &words);
            }
            Entry::Schedule { name, is: None, .. } => {
                self.say("schedule", &json!({"schedule": name, "is": null}), &format!("{name}: taken out"));
            }
            Entry::Drill { schedule, due, fate, .. } => {
                let words = match fate {
                    Fate::Begun { .. } => self.printer.paint(YELLOW, "begins"),
                    Fate::Missed { why } => format!("{}: {why}", self.printer.paint(RED, "MISSED")),
                    Fate::Ended { passed: true, why } => {
                        format!("{}: {why}", self.printer.paint(GREEN, "passed"))
                    }
                    Fate::Ended { passed: false, why } => {
                        format!("{}: {why}", self.printer.paint(RED, "FAILED"))
                    }
                };
                let more = json!({"schedule": schedule, "due": due, "fate": fate});
                self.say("drill", &more, &format!("{schedule}, due {}: {words}", self.shown(schedule, *due)));
            }
            Entry::Key { .. } | Entry::Configuration { .. } | Entry::Checkpoint(_) => {}
        }
        Ok(())
    }

    fn schedule(&self, name: &str) -> Option<&Schedule> {
        self.context.settings.schedules.iter().find(|schedule| schedule.name == name)
    }

    fn shown(&self, name: &str, due: Timestamp) -> String {
        self.schedule(name).map_or_else(|| due.to_string(), |schedule| schedule.calendar.shown(due))
    }

    /// The ledger knows of it first, and under which names: whoever comes after a death finds all of that.
    fn begin(&mut self, name: &str, due: Timestamp) -> Result<(), CliError> {
        let Some(schedule) = self.schedule(name).cloned() else { return Ok(()) };
        let is = schedule.is.clone();
        let runs = match self.runs_of(&schedule, due) {
            Ok(runs) => runs,
            Err(e) => return self.ended(name, due, false, &e.message),
        };
        let at = self.now();
        self.enter(&Entry::Drill { at, schedule: name.to_owned(), due, fate: Fate::Begun { is, runs } })?;
        let known = known(&self.store)?;
        self.carry(&known, name, due)
    }

    fn runs_of(&self, schedule: &Schedule, due: Timestamp) -> Result<Vec<RunId>, CliError> {
        let is = &schedule.is;
        let plan = self.context.plan(is.plan.as_str(), self.printer)?;
        let stores = plan.components.values().filter(|c| Component::is_store(c)).map(|c| c.name.clone());
        let components: Vec<ComponentName> = match (&is.drill, &is.component) {
            (Drill::Isolated, Some(named)) => vec![named.clone()],
            (Drill::Isolated, None) => stores.collect(),
            _ => return Ok(vec![is.run(&schedule.name, due, None)]),
        };
        Ok(components.iter().map(|component| is.run(&schedule.name, due, Some(component))).collect())
    }

    /// What was begun goes on: runs that a process left are carried on, and those that are not there yet begin.
    fn carry(&mut self, known: &Known, name: &str, due: Timestamp) -> Result<(), CliError> {
        let key = (name.to_owned(), due);
        let Some(Fate::Begun { is, runs }) = known.fates.get(&key) else { return Ok(()) };
        for run in self.with_ways_back(runs)? {
            let Some(state) = self.state(&run)?.filter(|state| !state.finished()) else { continue };
            if RunLock::is_held(&Context::lock_folder(&self.store), &run) || !self.goes_on(&state)? {
                self.waits(key, &run);
                return Ok(());
            }
            self.say("carried_on", &json!({"run": run}), &format!("{name}: run {run} is carried on"));
            self.show(|shown| shown.holding = Some(name.to_owned()));
            let carried = runs::carry_on(&self.context, &self.quiet(), &self.store, &run);
            self.show(|shown| shown.holding = None);
            if let Err(e) = carried {
                self.printer.note(&format!("{run}: {}", e.message));
            }
        }
        if !self.unbegun(runs, is)? {
            return self.judge(key, runs, None);
        }
        if self.now() > due + is.late_ms {
            return self.judge(
                key,
                runs,
                Some("the process that was to hold it died, and now it is too late"),
            );
        }
        self.show(|shown| shown.holding = Some(name.to_owned()));
        let held = self.hold(name, is, due);
        self.show(|shown| shown.holding = None);
        match held {
            Ok(refused) => self.judge(key, runs, refused.as_deref()),
            Err(e) if e.exit == exit::HELD => {
                self.printer.note(&format!("{name}: {}", e.message));
                self.left.insert(key);
                Ok(())
            }
            Err(e) => self.judge(key, runs, Some(&e.message)),
        }
    }

    /// What the runs themselves say. In a rehearsal nobody wants to read a year of it.
    fn quiet(&self) -> Printer {
        let quiet = Printer::new(Format::Json);
        if self.context.is_rehearsal() { quiet.silent() } else { quiet }
    }

    /// Whether a run goes on without anybody's word: its process died, or was told to stop. What a person has to decide stays, until
    /// that person said something.
    fn goes_on(&self, state: &RunState) -> Result<bool, CliError> {
        let run = &state.created.run;
        let records = self.store.read(run)?;
        let read =
            |record: &Record| serde_json::from_slice::<Event>(&record.bytes).ok().map(|event| event.what);
        let events: Vec<What> = records.iter().rev().filter_map(read).collect();
        let let_go = events.first().is_some_and(|last| matches!(last, What::Halted { .. }));
        // What is said to a run that nobody drives is written by a process of its own, which halts it again.
        let this_process = events.iter().take_while(|what| !matches!(what, What::EpochTaken { .. }));
        let said = this_process.into_iter().any(|what| person_of(what).is_some());
        if !let_go || said || !self.store.letters(run)?.is_empty() {
            return Ok(true);
        }
        let why = |what: &What| match what {
            What::Paused { why } => Some(why.clone()),
            _ => None,
        };
        if state.mode != Mode::Paused || events.iter().find_map(why).as_deref() != Some(STOPPED) {
            return Ok(false);
        }
        let said = (&self.context, &self.quiet());
        post((said.0, said.1), &self.store, run, Signal::Resume, keys::GOOD_FOR).map(|_| true)
    }

    fn waits(&mut self, due: schedules::Due, run: &RunId) {
        let words = format!(
            "{}: run {run} waits for a person, or another process has it: drctl runs show {run}",
            due.0
        );
        self.say("waits", &json!({"schedule": due.0, "due": due.1, "run": run}), &words);
        self.left.insert(due);
    }

    /// A live drill has a way back, whose run knows the way there.
    fn with_ways_back(&self, runs: &[RunId]) -> Result<Vec<RunId>, CliError> {
        let states = super::status::states(&self.store)?;
        let back = states
            .iter()
            .filter(|state| state.created.returns.as_ref().is_some_and(|there| runs.contains(there)));
        Ok(runs.iter().cloned().chain(back.map(|state| state.created.run.clone())).collect())
    }

    fn state(&self, run: &RunId) -> Result<Option<RunState>, CliError> {
        match self.store.read(run) {
            Err(StoreError::NoRun(_)) => Ok(None),
            Err(e) => Err(e.into()),
            Ok(_) => runs::read(&self.store, run).map(Some),
        }
    }

    /// Whether something of it has not begun: a run, or the way back of one that moved users.
    fn unbegun(&self, runs: &[RunId], is: &Definition) -> Result<bool, CliError> {
        for run in runs {
            let Some(state) = self.state(run)? else { return Ok(true) };
            let there = is.drill == Drill::Live && state.mode == Mode::Finished(Outcome::Recovered);
            if there && self.with_ways_back(std::slice::from_ref(run))?.len() == 1 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Holds it. Answers why not, if it did not begin.
    fn hold(&self, name: &str, is: &Definition, due: Timestamp) -> Result<Option<String>, CliError> {
        let args = arguments(name, is, due);
        let asked = Some(Due { schedule: name, is, at: due });
        let told = drill::hold(&self.context, &self.quiet(), &args, (&self.interrupts, asked))?;
        delivery::rest(&self.context, self.printer, &self.store);
        // Whatever has a run is judged by it.
        let began = |ending: &&Ending| ending.document.as_ref().is_some_and(|d| d.get("run_id").is_some());
        Ok(told.iter().find(|ending| !began(ending)).map(refusal))
    }

    /// Writes how it ended, if it did. What waits for a person is left to that person.
    fn judge(&mut self, due: schedules::Due, runs: &[RunId], refused: Option<&str>) -> Result<(), CliError> {
        let (mut codes, mut words) = (Vec::new(), Vec::new());
        for run in self.with_ways_back(runs)? {
            let Some(state) = self.state(&run)? else { continue };
            if let Clock::Rehearsed(now) = &mut self.clock {
                *now = state.last_at.max(*now);
            }
            let Mode::Finished(outcome) = state.mode else {
                self.waits(due, &run);
                return Ok(());
            };
            codes.push(super::outcome::code_of(&state, &Stop::Finished));
            words.push(format!("{run} {}", word(outcome)));
        }
        let began = !codes.is_empty();
        let passed = began && refused.is_none() && codes.iter().all(|code| *code == exit::DONE);
        words.extend(refused.map(str::to_owned));
        self.ended(&due.0, due.1, passed, &words.join("; "))
    }

    fn ended(&self, name: &str, due: Timestamp, passed: bool, why: &str) -> Result<(), CliError> {
        let fate = Fate::Ended { passed, why: why.to_owned() };
        self.enter(&Entry::Drill { at: self.now(), schedule: name.to_owned(), due, fate })
    }

    /// Somebody vouches for how drills ended, and that they were missed.
    fn sign(&self) {
        if let Err(e) = ledger::checkpoint(&self.context, &self.store, self.now(), (Why::Schedule, None)) {
            self.printer.note(&format!("no checkpoint of the ledger: {}", e.message));
        }
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Recovered => "recovered",
        Outcome::Read => "was read",
        Outcome::Failed => "found that the recovery would not have worked",
        Outcome::Cancelled => "was taken back",
        Outcome::Abandoned => "was abandoned",
    }
}

/// Why something did not begin, by its document.
fn refusal(ending: &Ending) -> String {
    let document = ending.document.as_ref();
    let of = |pointer: &str| document.and_then(|d| d.pointer(pointer)).and_then(Value::as_str);
    let said = of("/error/message").or_else(|| of("/refusals/0/facts")).or_else(|| of("/outcome"));
    said.unwrap_or("it did not begin").to_owned()
}

fn arguments(name: &str, is: &Definition, due: Timestamp) -> DrillArgs {
    DrillArgs {
        plan: is.plan.to_string(),
        mode: match is.drill {
            Drill::Tabletop => DrillMode::Tabletop,
            Drill::Rehearsal => DrillMode::Rehearsal,
            Drill::Isolated => DrillMode::Isolated,
            Drill::Live => DrillMode::Live,
        },
        to: is.to.as_ref().map(ToString::to_string),
        scenario: None,
        hold: is.hold_ms.map(|hold| format!("{}ms", hold.millis())),
        component: is.component.as_ref().map(ToString::to_string),
        point: PointArgs::default(),
        how: HowArgs {
            dry_run: false,
            yes: true,
            severity: None,
            incident: None,
            take_over: false,
            waive: WaiveArgs { reason: Some(format!("schedule {name}, due {due}")), ..WaiveArgs::default() },
        },
    }
}
