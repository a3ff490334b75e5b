//! A server: it runs drills when they are due, notifies people, delivers evidence, and watches what runs left.

mod figures;
mod holding;
mod presenter;
mod readiness;
mod rehearsed;
mod watch;

pub use presenter::{ServerPresenter, Tone};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::context::{Context, SANDBOX_BEGAN};
use super::error::AppError;
use super::interrupt::Interrupts;
use super::notifier::Notifier;
use super::notifier::told::Scope;
use super::presenter::Quiet;
use super::run_presenter::RunPresenter;
use super::snapshot::Snapshot;
use super::telemetry::Exporter;
use super::{anchors, drill_schedules, exit, ledger, live_drill, run_states, uploads};
use crate::files::{self, Use};
use crate::journal::StoreError;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::{PlanName, RunId};
use crate::model::intent::Drill;
use crate::model::ledger::{Entry, Why};
use crate::model::plain::count;
use crate::model::schedule::{Fate, Schedule};
use crate::model::time::{Dur, Timestamp};
use crate::policy::schedules::{self, DrillHolds, Next, Tally};
use crate::world::World;

/// How often a server checks its settings, the clock and its inbox.
const LOOK: Dur = Dur::secs(1);
/// How often it checks for news outside of runs if nobody reads its metrics.
const NEWS: Dur = Dur::mins(5);
/// How often it uploads evidence that sinks lack.
const DELIVER: Dur = Dur::mins(15);
/// How far the clock may be behind the ledger before the server reports it.
const SLACK: Dur = Dur::mins(5);
/// How often it updates its metrics.
const FIGURES: Dur = Dur::secs(30);
/// The length of a rehearsal without `--until`.
const YEAR: Dur = Dur::secs(366 * 24 * 60 * 60);

/// The source of the time.
enum Clock {
    Live(World),
    /// Virtual time: the end of the last drill, or the next due time.
    Rehearsed(Timestamp),
}

/// Pending fences in a rehearsal.
#[derive(Default)]
struct Rehearsed {
    /// The number of runs when it was last searched for pending fences.
    runs: usize,
    tried: BTreeSet<RunId>,
}

struct Server {
    context: Context,
    presenter: Arc<dyn ServerPresenter>,
    store: SqliteJournal,
    interrupts: Interrupts,
    clock: Clock,
    until: Option<Timestamp>,
    /// What prevents drills from starting for now.
    kept: DrillHolds,
    /// The last message about each drill that waits.
    waiting: BTreeMap<schedules::Due, String>,
    /// The last error reported, by subject.
    noted: BTreeMap<String, String>,
    /// The last reported reason why all credentials were rejected.
    locked_out: Option<String>,
    /// Changed settings that were read once and do not apply yet.
    pending: Option<Vec<u8>>,
    /// The results of the drills that ended in this process.
    held: Tally,
    board: Option<Box<dyn Board>>,
    /// Sends notifications.
    herald: Option<Notifier>,
    exporter: Option<Exporter>,
    shown: Snapshot,
    /// Pending fences and effects in doubt of runs that no process drives.
    watching: Option<watch::Watch>,
    rehearsed: Rehearsed,
}

/// Publishes the state of a server.
pub trait Board: Sync {
    /// Replaces what is published.
    fn put(&self, snapshot: Snapshot);
}

/// Starts to publish, beginning with a snapshot.
pub type Listen = Box<dyn FnOnce(Snapshot) -> Result<Box<dyn Board>, AppError>>;

/// How a server works.
pub struct ServeOptions {
    /// The start time of a rehearsal.
    pub from: Option<String>,
    /// The end time.
    pub until: Option<String>,
    /// Publishes its state.
    pub listen: Option<Listen>,
}

/// Runs drills when they are due. Returns the exit code.
///
/// # Errors
/// If another process serves the store, the store cannot be used, or there is no clock.
pub fn run(
    context: Context,
    presenter: Arc<dyn ServerPresenter>,
    options: ServeOptions,
) -> Result<u8, AppError> {
    let store = context.store()?;
    let _lock = RunLock::take(&Context::lock_folder(&store), &RunId::new("serve")).map_err(|e| match e {
        StoreError::Owned(_) => AppError {
            code: "held",
            message: "another process serves this store".to_owned(),
            hint: Some("one is enough; drctl drill schedules shows its drills and their times".to_owned()),
            exit: exit::HELD,
        },
        e => e.into(),
    })?;
    let interrupts = Interrupts::listen().map_err(|e| AppError::usage(format!("no signals: {e}")))?;
    let instant =
        |text: &Option<String>| text.as_deref().map(Timestamp::parse).transpose().map_err(AppError::usage);
    let (from, until) = (instant(&options.from)?, instant(&options.until)?);
    let (clock, until) = match context.is_rehearsal() {
        true => {
            let known = drill_schedules::known(&store)?;
            let now = from.or(known.last).unwrap_or(SANDBOX_BEGAN).max(known.last.unwrap_or(SANDBOX_BEGAN));
            (Clock::Rehearsed(now), Some(until.unwrap_or(now + YEAR)))
        }
        false if from.is_some() => {
            return Err(AppError::usage_fix("--from works only with --sandbox", "--sandbox"));
        }
        false => (Clock::Live(World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?), until),
    };
    if !context.is_rehearsal() {
        context.unlock()?;
    }
    let mut server = Server {
        context,
        presenter,
        store,
        interrupts,
        clock,
        until,
        kept: DrillHolds::default(),
        waiting: BTreeMap::new(),
        noted: BTreeMap::new(),
        locked_out: None,
        pending: None,
        held: Tally::default(),
        board: None,
        herald: None,
        exporter: None,
        shown: Snapshot::default(),
        watching: None,
        rehearsed: Rehearsed::default(),
    };
    if let Some(listen) = options.listen {
        server.figures()?;
        server.board = Some(listen(server.shown.clone())?);
    }
    server.herald = Notifier::begin(&server.context, &*server.presenter, Scope::Everything);
    server.exporter = Exporter::begin(&server.context, &*server.presenter, None);
    server.keep_watching();
    let code = server.serve();
    if let Some(watching) = server.watching.take() {
        watching.end(&*server.presenter, &server.interrupts);
    }
    if let Some(exporter) = server.exporter.take() {
        exporter.end(&*server.presenter, &server.interrupts);
    }
    if let Some(herald) = server.herald.take() {
        herald.end(&*server.presenter, &server.interrupts);
    }
    code
}

impl Server {
    fn now(&self) -> Timestamp {
        match &self.clock {
            Clock::Live(world) => world.shown(),
            Clock::Rehearsed(now) => *now,
        }
    }

    fn serve(&mut self) -> Result<u8, AppError> {
        let schedules = &self.context.settings.schedules;
        self.say(
            "serving",
            &json!({"schedules": schedules.len()}),
            &format!("{}. Ctrl-C ends the server. It then pauses an isolated drill, and undoes a live drill if that is still possible", count(schedules.len(), "schedule")),
        );
        if let Some(last) =
            drill_schedules::known(&self.store)?.last.filter(|last| *last > self.now() + SLACK)
        {
            let words = format!(
                "THE CLOCK WAS AHEAD, or is behind now: the ledger has an entry of {last}. Drills that were due until then do not run again"
            );
            self.say("clock", &json!({"ledger": last}), &self.presenter.toned(Tone::Bad, &words));
        }
        let (mut looked, mut delivered, mut figured) = (self.now(), self.now(), self.now());
        let (mut ahead, mut began): (Vec<PlanName>, Option<Timestamp>) = (Vec::new(), None);
        loop {
            let now = self.now();
            if self.interrupts.count() > 0 || self.until.is_some_and(|until| now >= until) {
                return self.end();
            }
            let known = drill_schedules::known(&self.store)?;
            self.looked(now);
            let (schedules, policy) = (&self.context.settings.schedules, &self.context.settings.policy);
            match schedules::next(schedules, &known, policy, &self.kept, now) {
                Next::Enter(entry) => self.enter(&entry)?,
                Next::Begin(due) if self.moved_lately(&due) => {}
                Next::Begin(due) => self.contained(&due, |server, due| server.begin(due)),
                Next::Carry(due) => self.contained(&due, |server, due| server.carry(due)),
                // Every schedule is known by then, so that no due time passes before its schedule is announced.
                Next::Wait(then) if matches!(self.clock, Clock::Rehearsed(_)) => {
                    if !self.pay_rehearsed()? {
                        self.wait(then);
                    }
                }
                Next::Wait(then) => {
                    if let Some(plan) = self.to_look_at(&mut ahead, &mut began) {
                        let looked = self.look_ahead(&plan);
                        self.cannot(plan.as_str(), &format!("no readiness check of {plan}"), looked);
                    } else {
                        self.wait(then);
                    }
                }
            }
            if matches!(self.clock, Clock::Rehearsed(_)) {
                continue;
            }
            self.keep_watching();
            if now.since(looked) >= watch::FOLLOW {
                looked = now;
                self.still_ours()?;
                self.keep_telling();
                self.reload();
                self.kept.until.retain(|_, until| *until > now);
                self.kept.left = self.kept.until.keys().cloned().collect();
            }
            let often = if self.board.is_some() { FIGURES } else { NEWS };
            let watched = self.board.is_some() || self.herald.is_some();
            if watched && now.since(figured) >= often {
                figured = now;
                let figures = self.figures();
                self.cannot("figures", "no metrics", figures);
            }
            if now.since(delivered) >= DELIVER {
                delivered = now;
                uploads::rest(&self.context, &*self.presenter, &self.store, &self.interrupts);
            }
        }
    }

    /// The next plan to check for readiness, if one is due. All plans get their turn, at the interval in the settings.
    fn to_look_at(&self, ahead: &mut Vec<PlanName>, began: &mut Option<Timestamp>) -> Option<PlanName> {
        let (every, now) = (self.context.settings.readiness_every, self.now());
        if self.context.is_rehearsal() || every == Dur::ZERO {
            return None;
        }
        if ahead.is_empty() && began.is_none_or(|at| now.since(at) >= every) {
            *began = Some(now);
            let plans = self.context.plans(&[], &Quiet).unwrap_or_default();
            ahead.extend(plans.into_iter().rev().map(|plan| plan.name));
        }
        ahead.pop()
    }

    /// Ends the server if somebody put an older store back meanwhile.
    fn still_ours(&self) -> Result<(), AppError> {
        anchors::hold(&self.store)?;
        match self.store.may_write() {
            Err(e @ StoreError::PutBack(_)) => Err(e.into()),
            _ => Ok(()),
        }
    }

    /// Starts the thread that watches, again if it ended, and prints what it could not do.
    fn keep_watching(&mut self) {
        if let Some(watching) = &self.watching {
            watching.tell(&*self.presenter);
        }
        let live = matches!(self.clock, Clock::Live(_));
        if !live || self.watching.as_ref().is_some_and(|watching| !watching.is_gone()) {
            return;
        }
        let begun = watch::Watch::begin(&self.context, &self.presenter);
        let failed = |e| AppError::usage(format!("no thread: {e}"));
        let (watching, done) = match begun {
            Ok(watching) => (Some(watching), Ok(())),
            Err(e) => (None, Err(failed(e))),
        };
        self.watching = watching;
        self.cannot("runs", "no check of pending fences", done);
    }

    /// Reports failed notifications, and restarts the notification thread if it ended.
    fn keep_telling(&mut self) {
        self.exporter.iter().for_each(|exporter| exporter.tell(&*self.presenter));
        let Some(herald) = &self.herald else { return };
        herald.tell(&*self.presenter);
        if herald.is_gone() {
            self.presenter.note("notify: the notification thread ended, and a new one starts");
            self.herald = Notifier::begin(&self.context, &*self.presenter, Scope::Everything);
        }
    }

    /// An error in one drill does not stop the others.
    fn contained(
        &mut self,
        due: &schedules::Due,
        work: impl FnOnce(&mut Self, &schedules::Due) -> Result<(), AppError>,
    ) {
        if let Err(e) = work(self, due) {
            self.waits(due, &e.message);
        }
    }

    /// A rehearsal ends with a summary, and its exit code tells the result.
    fn end(&self) -> Result<u8, AppError> {
        let open = drill_schedules::known(&self.store)?.open().len();
        let Tally { passed, failed, missed, .. } = self.held;
        if self.context.is_rehearsal() {
            let words = format!(
                "end of the rehearsal: {passed} passed, {failed} failed, {missed} missed, {open} not finished"
            );
            let more = json!({"passed": passed, "failed": failed, "missed": missed, "not_finished": open});
            self.say("end", &more, &words);
        }
        Ok(match (self.context.is_rehearsal(), open > 0, failed + missed > 0) {
            (false, ..) | (true, false, false) => exit::DONE,
            (true, true, _) => exit::WAITING,
            (true, false, true) => exit::NOT_RECOVERED,
        })
    }

    /// Updates the metrics and the health page.
    fn show(&mut self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.shown);
        if let Some(board) = &self.board {
            board.put(self.shown.clone());
        }
    }

    /// Publishes when it last checked what is due.
    fn looked(&mut self, now: Timestamp) {
        let rehearsed = matches!(self.clock, Clock::Rehearsed(_));
        self.show(|shown| {
            shown.looked_at = Some(now);
            shown.rehearsed_at = rehearsed.then_some(now);
        });
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

    /// Applies changed settings once two reads in a row agree: a file that is being overwritten is empty for a moment. Invalid settings
    /// change nothing.
    fn reload(&mut self) {
        let Some((path, bytes)) = &self.context.settings_text else { return };
        let read = match files::read(path, Use::Settings) {
            Ok(read) if read.is_empty() => Err(format!("{}: the file is empty", path.display())),
            Ok(read) => Ok(read),
            Err(e) => Err(e.to_string()),
        };
        if read.as_ref() == Ok(bytes) {
            self.pending = None;
            return self.unfollowed(None);
        }
        let read = match read {
            Ok(read) => read,
            Err(why) => return self.unfollowed(Some(why)),
        };
        if self.pending.as_ref() != Some(&read) {
            self.pending = Some(read);
            return;
        }
        let followed = Context::load(self.context.options(), &*self.presenter).and_then(|context| {
            let (here, there) = (self.store.path(), context.store_file());
            if here != there {
                let why = format!("it names another store, {}; restart drctl serve", there.display());
                return Err(AppError::usage(why));
            }
            context.unlock()?;
            Ok(context)
        });
        match followed {
            Ok(context) => {
                self.context = context;
                self.watching.iter().for_each(|watching| watching.follow(&self.context));
                self.herald = Notifier::begin(&self.context, &*self.presenter, Scope::Everything);
                self.exporter = Exporter::begin(&self.context, &*self.presenter, None);
                self.pending = None;
                self.unfollowed(None);
                self.say("settings", &json!({}), "drctl.yaml changed; the new settings apply from now on");
            }
            Err(e) => self.unfollowed(Some(e.message)),
        }
    }

    /// Reports why changed settings do not apply, in the log and in `/healthz`, for as long as that lasts.
    fn unfollowed(&mut self, why: Option<String>) {
        let words = why.map(|why| format!("the previous settings stay in effect: {why}"));
        if self.shown.settings != words {
            words.iter().for_each(|words| self.presenter.note(words));
            self.show(|shown| shown.settings = words);
        }
    }

    /// Reports an error once, and again if it changes or returns.
    fn cannot(&mut self, about: &str, what: &str, done: Result<(), AppError>) {
        let Err(e) = done else {
            self.noted.remove(about);
            return;
        };
        let words = format!("{what}: {}", e.message);
        if self.noted.get(about) != Some(&words) {
            self.presenter.note(&words);
            self.noted.insert(about.to_owned(), words);
        }
    }

    fn say(&self, what: &str, more: &Value, words: &str) {
        self.presenter.event(self.now(), what, more, words);
    }

    fn enter(&mut self, entry: &Entry) -> Result<(), AppError> {
        self.store.enter(entry)?;
        if let Entry::Drill { fate, .. } = entry {
            match fate {
                Fate::Begun { .. } => {}
                Fate::Missed { .. } => self.held.missed += 1,
                Fate::Ended { passed: true, .. } => self.held.passed += 1,
                Fate::Ended { passed: false, .. } => self.held.failed += 1,
            }
            self.sign();
        }
        match entry {
            Entry::Schedule { name, is: Some(is), .. } => {
                let words =
                    format!("{name}: {} drill of {} at `{}` {}", is.drill.id(), is.plan, is.pattern, is.zone);
                self.say("schedule", &json!({"schedule": name, "is": is}), &words);
            }
            Entry::Schedule { name, is: None, .. } => {
                self.say("schedule", &json!({"schedule": name, "is": null}), &format!("{name}: removed"));
            }
            Entry::Drill { schedule, due, fate, .. } => {
                let words = match fate {
                    Fate::Begun { .. } => self.presenter.toned(Tone::Doubtful, "begins"),
                    Fate::Missed { why } => format!("{}: {why}", self.presenter.toned(Tone::Bad, "MISSED")),
                    Fate::Ended { passed: true, why } => {
                        format!("{}: {why}", self.presenter.toned(Tone::Good, "passed"))
                    }
                    Fate::Ended { passed: false, why } => {
                        format!("{}: {why}", self.presenter.toned(Tone::Bad, "FAILED"))
                    }
                };
                let more = json!({"schedule": schedule, "due": due, "fate": fate});
                self.say("drill", &more, &format!("{schedule}, due {}: {words}", self.shown(schedule, *due)));
            }
            Entry::Readiness { plan, standing, checks, .. } => self.said_of(plan, *standing, checks),
            Entry::Key { .. }
            | Entry::Statement { .. }
            | Entry::Kit { .. }
            | Entry::Configuration { .. }
            | Entry::Clock { .. }
            | Entry::Terms { .. }
            | Entry::Imported { .. }
            | Entry::Adopted { .. }
            | Entry::Notice { .. }
            | Entry::Checkpoint(_) => {}
        }
        Ok(())
    }

    /// Whether the application of a live drill was moved so recently that drctl does not move it automatically yet. Asked right before a
    /// drill starts, because it reads all runs.
    fn moved_lately(&mut self, due: &schedules::Due) -> bool {
        let of = self.schedule(&due.0).filter(|schedule| schedule.is.drill == Drill::Live);
        match of.map(|schedule| schedule.is.plan.clone()) {
            Some(plan) => self.plan_moved_lately(due, plan),
            None => false,
        }
    }

    fn plan_moved_lately(&mut self, due: &schedules::Due, plan: PlanName) -> bool {
        let runs = match run_states::all(&self.store) {
            Ok(runs) => runs,
            Err(e) => {
                self.waits(due, &e.message);
                return true;
            }
        };
        let Some(moved) = live_drill::last_moved(&plan, &runs) else { return false };
        // The next decision sees this: the drill waits, or is missed because of it.
        self.kept.moved.insert(plan, moved);
        self.now() < moved + self.context.settings.policy.apart
    }

    fn schedule(&self, name: &str) -> Option<&Schedule> {
        self.context.settings.schedules.iter().find(|schedule| schedule.name == name)
    }

    fn shown(&self, name: &str, due: Timestamp) -> String {
        self.schedule(name).map_or_else(|| due.to_string(), |schedule| schedule.calendar.shown(due))
    }

    /// For the output of runs. A rehearsal of a year shows none.
    fn quiet(&self) -> Box<dyn RunPresenter> {
        self.presenter.quiet(self.context.is_rehearsal())
    }

    /// Reports that a drill waits for a person or for another process.
    fn waits(&mut self, due: &schedules::Due, words: &str) {
        self.kept.left.insert(due.clone());
        // Report it once until it changes.
        if self.waiting.insert(due.clone(), words.to_owned()).as_deref() != Some(words) {
            let shown = format!("{}, due {}: {words}", due.0, self.shown(&due.0, due.1));
            self.say("waits", &json!({"schedule": due.0, "due": due.1, "why": words}), &shown);
        }
    }

    fn ended(&mut self, name: &str, due: Timestamp, passed: bool, why: &str) -> Result<(), AppError> {
        let fate = Fate::Ended { passed, why: why.to_owned() };
        self.enter(&Entry::Drill { at: self.now(), schedule: name.to_owned(), due, fate })
    }

    fn missed(&mut self, (name, due): &schedules::Due, why: String) -> Result<(), AppError> {
        let fate = Fate::Missed { why };
        self.enter(&Entry::Drill { at: self.now(), schedule: name.clone(), due: *due, fate })
    }

    /// Signs the ledger after a drill ended or was missed.
    fn sign(&self) {
        if let Err(e) = ledger::checkpoint(&self.context, &self.store, self.now(), (Why::Schedule, None)) {
            self.presenter.note(&format!("no checkpoint of the ledger: {}", e.message));
        }
    }
}
