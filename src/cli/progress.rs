//! The progress of a run: one line for each event on stderr. On a terminal, also what drctl waits for, and the elapsed and the remaining
//! time.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;

mod asked;
mod dates;
mod facts;
mod live;
mod long;
mod parting;
mod turns;
mod under_way;

pub use asked::PrintedCommands;
pub use dates::Dates;
use live::{LinePart, LiveLine};
use long::Said;
use under_way::{eta, in_progress, watched_until};
pub use under_way::{still_to_type, stops_after};

use super::formats::Format;
use super::printer::{DIM, GREEN, Printer, RED, YELLOW};
use super::terminal::columns;
use super::wrap;
use crate::executor::View;
use crate::kinds::{Fact, Operation};
use crate::model::ids::{ComponentName, StepId};
use crate::model::intent::Drill;
use crate::model::measure::Verdict;
use crate::model::plain::line;
use crate::model::time::{Dur, Timestamp};
use crate::record::action::Action;
use crate::record::event::{Direction, End, Event, EventKind, WorldKind};
use crate::report::attainment::attainment;
use crate::report::history::{History, Late};
use crate::report::summary;
use crate::run::RunState;
use crate::run::state::Status;
use crate::run::stopped::PAUSED;

/// The display of a run.
pub struct Progress {
    printer: Printer,
    bar: OnceCell<LiveLine>,
    /// Whether a person watches at a terminal.
    watched: bool,
    /// Whether the line about users being served was printed.
    served: Cell<bool>,
    waiting: RefCell<BTreeMap<String, String>>,
    label: String,
    dates: Dates,
    asked: PrintedCommands,
    /// The machine's time when the display began, unless this process drives the run.
    opened: Option<Timestamp>,
    /// Whether this process drives the run, and does not only show it.
    drives: bool,
    /// Whether users are served, in the words of a second Ctrl-C.
    users: Cell<&'static str>,
    history: History,
    late: RefCell<BTreeMap<StepId, Late>>,
    /// The steps for which it printed why they are not done.
    long: Said,
}

impl Progress {
    /// With a status line if a person watches. `pace` is that of the run's time. If a rehearsal takes no time, that is `None`, and the line
    /// begins when the run waits for a person.
    pub fn new(printer: Printer, pace: Option<f64>) -> Self {
        let watched = printer.format == Format::Human && printer.is_interactive();
        let looking =
            || LiveLine::new(vec![LinePart::still("observing the estate and running the probes".to_owned())]);
        let bar = pace.filter(|_| watched).map_or_else(OnceCell::new, |_| OnceCell::from(looking()));
        Self { printer, bar, watched, label: String::new(), ..Self::beside(printer, "") }
    }

    /// For one of several parallel runs: plain lines that name the plan.
    pub fn beside(printer: Printer, plan: &str) -> Self {
        Self {
            printer,
            bar: OnceCell::new(),
            watched: false,
            served: Cell::new(false),
            waiting: RefCell::default(),
            label: format!("{plan}: "),
            dates: Dates::default(),
            asked: PrintedCommands::default(),
            opened: None,
            drives: false,
            users: Cell::new(""),
            history: History::default(),
            late: RefCell::default(),
            long: Said::default(),
        }
    }

    /// The same for a run that this process drives, with the durations of earlier runs.
    #[must_use]
    pub fn knowing(self, history: History) -> Self {
        Self { history, drives: true, ..self }
    }

    /// The same for a run that this process only shows, from this time on.
    #[must_use]
    pub fn opened(self, now: Timestamp) -> Self {
        Self { opened: Some(now), ..self }
    }

    /// Prints once that a step is not done although somebody said so; once that it takes longer than expected, with the ways around it;
    /// once that it takes longer than usual; and once that it takes much longer than that.
    fn call_out(&self, step: &StepId, why: &str, now: Timestamp, state: &RunState) {
        self.long.refuted(state, step, why).into_iter().for_each(|words| self.say_at(now, state, &words));
        if let Some((words, ways)) = self.long.called_out(state, step, why, now) {
            self.say_at(now, state, &words);
            ways.iter().for_each(|way| self.say(way));
        }
        let Some(beyond) = self.history.late(state, step, now) else { return };
        let late = beyond.late;
        if self.late.borrow().get(step).is_some_and(|said| *said >= late) {
            return;
        }
        self.late.borrow_mut().insert(step.clone(), late);
        let words = match late {
            Late::Slow => {
                let word = self.printer.paint(YELLOW, "slow");
                format!("{step} is {word}: it takes {}", beyond.words())
            }
            Late::Stalled => {
                let word = self.printer.paint(RED, "STALLED");
                let show = state.created.command("runs show", "");
                format!("{step} {word}: it takes {}; a person should check it: {show}", beyond.words())
            }
        };
        self.say_at(now, state, &words);
    }

    /// Prints a line that begins with its time, the time since the start, and the plan; before it the date, if that is new.
    fn say_at(&self, at: Timestamp, state: &RunState, text: &str) {
        if let Some(date) = self.dates.turn(at, self.today(at, state)) {
            self.say(&format!("{}{date}", self.label));
        }
        self.say(&format!("{}{}{text}", stamp(&self.printer, at, state), self.label));
    }

    /// The day that needs no date. A rehearsal begins with its own time, and a process that drives a live run prints what happens now.
    fn today(&self, at: Timestamp, state: &RunState) -> Timestamp {
        match (self.opened, &state.created.world) {
            (Some(now), _) => now,
            (None, WorldKind::Live) => at,
            (None, WorldKind::Sandbox { .. }) => state.created_at,
        }
    }

    /// Removes the status line.
    pub fn finish(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish();
        }
    }

    fn say(&self, text: &str) {
        match self.bar.get() {
            // Each event is one line, whatever its text contains.
            Some(bar) => {
                let text = self.printer.shown(&self.printer.commands(&text.replace(['\n', '\r'], " ")));
                let text = wrap::lines(&text, columns());
                self.asked.printed(text.lines().count());
                bar.println(text);
            }
            None => {
                self.asked.printed(1);
                self.printer.note(text);
            }
        }
    }

    fn status_line(&self, state: &RunState, now: Timestamp) {
        if self.bar.get().is_some() {
            self.show(state, now);
        }
    }

    /// Shows the status line, if a person watches.
    pub fn show(&self, state: &RunState, now: Timestamp) {
        if self.watched {
            let parts = self.parts(state, now);
            // A rehearsal has its own clock, which the line would leave behind.
            let pace = if state.created.world == WorldKind::Live { 1.0 } else { 0.0 };
            self.bar.get_or_init(|| LiveLine::new(parts.clone())).set(parts, pace);
        }
    }

    fn parts(&self, state: &RunState, now: Timestamp) -> Vec<LinePart> {
        let people = state.waits_for_people_as_of(now);
        let mut parts: Vec<LinePart> = under_way::stopping(state).into_iter().collect();
        parts.extend(people.iter().map(|waits| under_way::whom(state, waits)));
        parts.extend(isolated(state).map(|words| LinePart::still(words.to_owned())));
        // A narrow terminal has space for two parts, and the clock is one of them.
        let others = parts.split_off(parts.len().min(1));
        let watched = watched_until(state);
        // The time that is still running comes first.
        let pending: Vec<&str> = state.owed().map(ComponentName::as_str).collect();
        let pending =
            (!pending.is_empty()).then(|| LinePart::still(format!("FENCE PENDING: {}", pending.join(", "))));
        // Once users are served, two primaries are the worst that can still happen.
        let (first, then) = if watched.is_some() { (pending, None) } else { (None, pending) };
        parts.extend(first);
        parts.extend(watched.map(|until| watch(until, now)));
        parts.push(clock(state, now));
        // Only the process that drives a rehearsal knows its time.
        if !self.drives && state.created.world != WorldKind::Live {
            parts.push(LinePart::still(format!("as of {}", now.clock())));
        }
        parts.extend(then.into_iter().chain(others));
        // What blocks the run comes before the remaining time.
        match people.is_empty() {
            true if watched.is_some() => {}
            true => parts.extend(in_progress(state, &self.waiting.borrow(), now)),
            // A command that is cut is of no use.
            false => {
                let commands = people.iter().filter_map(|waits| waits.command.as_ref());
                let whole = |command: &String| self.printer.commands(command).replace(' ', "\u{a0}");
                parts.extend(commands.map(|command| LinePart::still(whole(command))));
                parts.extend(people.iter().map(|waits| LinePart::still(line(&waits.why))));
            }
        }
        let done = state.steps.iter().filter(|s| s.work.status.settled()).count();
        parts.push(LinePart::still(format!("{done}/{} steps", state.steps.len())));
        let left = eta(state, now).filter(|left| *left > Dur::ZERO && under_way::goes_on(state));
        if let Some(left) = left.filter(|_| people.is_empty() && watched.is_none()) {
            parts.push(LinePart::left("about", left, "left".to_owned()));
        }
        parts
    }

    /// Prints once that users are served again, as soon as the probes show it.
    fn call_served(&self, event: &Event, state: &RunState) {
        if self.served.get() || state.finished() {
            return;
        }
        let Some(words) = served_again(event, state) else { return };
        self.served.set(true);
        // The previous process of the run has printed that already.
        if matches!(event.what, EventKind::EpochTaken { .. }) {
            return;
        }
        self.say(&format!("{}{}", self.label, self.printer.paint(GREEN, &words)));
    }
}

/// The beginning of the line of an event: its time, and the time since the start of the run.
pub fn stamp(p: &Printer, at: Timestamp, state: &RunState) -> String {
    format!("{} {:>7}  ", p.paint(DIM, &at.clock()), format!("+{}", at.since(state.created_at)))
}

/// That it is an isolated drill. Whatever happens to users meanwhile is not its doing.
fn isolated(state: &RunState) -> Option<&'static str> {
    (state.runbook.drill == Some(Drill::Isolated)).then_some("ISOLATED DRILL: users are untouched")
}

/// That users are served again, if this event can show it and the probes do.
pub fn served_again(event: &Event, state: &RunState) -> Option<String> {
    let may_be = matches!(
        event.what,
        EventKind::ProbeTurned { good: true, .. }
            | EventKind::StepFinished { .. }
            | EventKind::EpochTaken { .. }
    );
    let told = may_be.then(|| attainment(state, event.at)).filter(|_| isolated(state).is_none())?;
    let served = told.detected.is_some() && told.validated.is_some();
    served.then(|| format!("USERS ARE SERVED AGAIN: RTO {}", told.rto))
}

/// Until when it watches.
fn watch(until: Timestamp, now: Timestamp) -> LinePart {
    let minute = under_way::minute(until);
    LinePart::left(&format!("watching until {minute},"), until.since(now), "left".to_owned())
}

/// How long users have not been served, or how long that took. If probes saw no failure, no objective applies.
fn clock(state: &RunState, now: Timestamp) -> LinePart {
    let told = attainment(state, now);
    let rto = state.runbook.promised_rto().0;
    let missed = if told.rto.verdict(rto) == Verdict::Missed { ", MISSED" } else { "" };
    let of_rto = format!("of RTO {}{missed}", live::one_word(rto));
    match (told.detected.filter(|_| isolated(state).is_none()), told.validated) {
        (Some(from), Some(at)) => {
            if let Some(since) = state.fails_again() {
                let again = LinePart::up("users fail again for", now.since(since), String::new());
                return again.or_short("out", "");
            }
            let took = told.rto.value_ms.unwrap_or(at.since(from));
            LinePart::still(format!("served again after {} {of_rto}", live::time(took)))
        }
        (Some(_), None) => LinePart::up("users out for", told.seen_out_for(now).unwrap_or_default(), of_rto)
            .or_short("users out for", missed)
            .or_short("out", missed),
        (None, _) => LinePart::up("running for", now.since(state.created_at), String::new()),
    }
}

/// The prefix of lines about actions after the end of a run.
fn after_the_end(event: &Event, state: &RunState) -> &'static str {
    // The run's last actions are written together with its end, and were not pending.
    let owed = |id: &StepId| {
        let action = state.position(id).map(|i| &state.step(i).action);
        matches!(action, Some(Action::Op(Operation::Fence(_))))
    };
    match &event.what {
        EventKind::NewPrimaryChecked { .. } => "pending fence: ",
        EventKind::StepStarted { step: id }
        | EventKind::StepFinished { step: id, .. }
        | EventKind::StepFailed { step: id, .. }
        | EventKind::CallIntended { step: id, .. }
            if state.finished() && owed(id) && state.owed().next().is_some() =>
        {
            "pending fence: "
        }
        _ => "",
    }
}

impl View for Progress {
    fn event(&self, event: &Event, state: &RunState) {
        if self.drives {
            parting::users(event, state).into_iter().for_each(|users| self.users.set(users));
            // No tick follows the last event.
            if state.finished() {
                parting::keep(&self.printer, self.users.get(), state);
            }
        }
        match self.printer.format {
            Format::Jsonl => self.printer.line(&serde_json::to_string(event).unwrap_or_default()),
            Format::Json => {}
            Format::Human => {
                let refuted = self.long.called(event, state);
                refuted.into_iter().for_each(|words| self.say_at(event.at, state, &words));
                if let Some(text) = words(&self.printer, event, state) {
                    let paused = matches!(event.what, EventKind::Paused { .. });
                    // Nobody else can stop it with that key.
                    let waits = stops_after(state).starts_with("; stops ");
                    let again = match paused && self.bar.get().is_some() && waits {
                        true => ". Ctrl-C again stops at once",
                        false => "",
                    };
                    let text = format!("{}{text}{again}", after_the_end(event, state));
                    self.say_at(event.at, state, &text);
                    if self.watched {
                        still_to_type(event, state, &self.asked).iter().for_each(|command| self.say(command));
                    }
                }
                to_type(event, state, &self.asked).iter().for_each(|command| self.say(command));
                if let EventKind::StepFinished { step, .. }
                | EventKind::StepFailed { step, .. }
                | EventKind::GuardLost { step, .. }
                | EventKind::StepSkipped { step, .. } = &event.what
                {
                    self.waiting.borrow_mut().remove(step.as_str());
                }
                self.call_served(event, state);
                self.status_line(state, event.at);
            }
        }
    }

    fn waiting(&self, step: &StepId, why: &str, now: Timestamp, state: &RunState) {
        self.call_out(step, why, now, state);
        if !self.watched {
            return;
        }
        let settled = state
            .runbook
            .steps
            .iter()
            .zip(&state.steps)
            .any(|(s, w)| s.id == *step && matches!(w.work.status, Status::Done(_)));
        if !settled {
            self.waiting.borrow_mut().insert(step.to_string(), why.to_owned());
            self.status_line(state, now);
        }
    }

    fn tick(&self, now: Timestamp, state: &RunState) {
        if self.drives {
            parting::keep(&self.printer, self.users.get(), state);
        }
        match self.bar.get() {
            Some(bar) if bar.is_due() => self.show(state, now),
            Some(_) => {}
            None if self.watched && !state.waits_for_people().is_empty() => self.show(state, now),
            None => {}
        }
    }
}

fn in_part(part: &[u32]) -> String {
    if part.is_empty() { String::new() } else { format!(", with {} of its changes", part.len()) }
}

/// The line about an answer to an approval request.
fn approval_words(p: &Printer, what: &EventKind) -> Option<String> {
    Some(match what {
        EventKind::Approved { step, who } => format!("{step} approved by {who}"),
        EventKind::Overridden { step, who, reason } => {
            p.paint(YELLOW, &format!("{step} OVERRIDDEN by {who}: {reason}; its approvals are still due"))
        }
        EventKind::Ratified { step, who } => format!("{step} approved afterwards by {who}"),
        EventKind::RatificationRefused { step, who, reason } => {
            p.paint(YELLOW, &format!("{step} rejected afterwards by {who}: {reason}; nothing is undone"))
        }
        EventKind::Acknowledged { who, decision: Some(decision), reason } => {
            format!("{who} decided to {decision}: {reason}")
        }
        EventKind::Acknowledged { who, decision: None, reason } => format!("{who} acknowledged it: {reason}"),
        EventKind::Fulfilled { duty, who, reference, .. } => {
            format!("{duty} done, confirmed by {who}: {reference}")
        }
        EventKind::Rejected { step, who, reason } => format!("{step} rejected by {who}: {reason}"),
        _ => return None,
    })
}

/// The line about something that is pending, or may still happen.
fn owed_words(p: &Printer, what: &EventKind) -> Option<String> {
    Some(match what {
        EventKind::DebtSettled { component, why, .. } => {
            format!("{component}: its fence is no longer pending: {why}")
        }
        EventKind::FenceWaived { component } => format!(
            "{component} continues without a proven fence because of a waiver. After the promotion, its fence is pending"
        ),
        EventKind::FencePending { component } => p.paint(
            YELLOW,
            &format!("the fence of {component} is PENDING, because a waiver allowed the promotion"),
        ),
        EventKind::NewPrimaryChecked { component, writes: true, .. } => {
            format!("the new primary of {component} takes writes")
        }
        EventKind::NewPrimaryChecked { component, writes: false, seen } => p.paint(
            YELLOW,
            &format!("it is not known that the new primary of {component} takes writes: {seen}"),
        ),
        EventKind::WithdrawIntended { step } => {
            format!("{step}: drctl withdraws the request; it stops the standby and starts it again")
        }
        EventKind::Withdrawn { step } => format!("{step} was withdrawn and can no longer take effect"),
        EventKind::WithdrawFailed { step, why } => {
            p.paint(RED, &format!("{step} could not be withdrawn and may still take effect: {why}"))
        }
        EventKind::PlaceAnswered { place, who } => p.paint(
            YELLOW,
            &format!(
                "{place} answers: {who}; drctl tries every method to fence the old primary there at once"
            ),
        ),
        _ => return None,
    })
}

/// The command that answers the question of an event. It has its own line, so that it can be copied.
pub fn to_type(event: &Event, state: &RunState, asked: &PrintedCommands) -> Option<String> {
    let EventKind::GateBlocked { step, rule, flag: Some(flag), .. } = &event.what else { return None };
    asked.asks(step);
    Some(format!("    {}", state.to_type(*rule, flag)))
}

/// The line for an event; `None` for those that only programs need.
pub fn words(p: &Printer, event: &Event, state: &RunState) -> Option<String> {
    let text = match &event.what {
        EventKind::RunCreated(c) => {
            let drill = isolated(state).map_or_else(String::new, |words| format!("; {words}"));
            format!("run {} created, runbook {}{drill}", c.run, c.runbook_digest.short())
        }
        EventKind::ProbeTurned { .. } => return turns::words(p, event, state),
        EventKind::StepStarted { step }
            if step.as_str().starts_with("fenced.") || step.as_str().starts_with("exposure.") =>
        {
            return None;
        }
        EventKind::StepStarted { step } => format!("{step} started"),
        EventKind::CallIntended { step, attempt, direction: Direction::Do, part, .. } if *attempt > 1 => {
            format!("{step} call {attempt}{}", in_part(part))
        }
        EventKind::CallIntended { step, direction: Direction::Undo, .. } => format!("{step} is being undone"),
        EventKind::CallRefused { step, code, why, retry_at } => {
            let again = retry_at.map_or_else(String::new, |at| format!("; next try {}", at.clock()));
            format!("{step} {}: {code}: {}{again}", p.paint(YELLOW, "refused"), once(code, why))
        }
        EventKind::CallInDoubt { step, why } => format!("{step} {}: {why}", p.paint(YELLOW, "in doubt")),
        EventKind::PartSettled { step } => format!("{step} is partly done"),
        EventKind::Overdue { step, why, flag, .. } => {
            format!("{step} is {}: {why} [{flag}]", p.paint(YELLOW, "overdue"))
        }
        EventKind::EffectDisproved { step, seen } => format!("{step} did not take effect: {seen}"),
        EventKind::StepFinished { step, end, facts } => finished(p, (step, state), *end, facts),
        EventKind::StepFailed { step, reason }
            if state.position(step).is_some_and(|i| state.asks_people(i)) =>
        {
            format!("{step} {}: {reason}", p.paint(YELLOW, "expired"))
        }
        EventKind::StepFailed { step, reason } | EventKind::GuardLost { step, reason } => {
            format!("{step} {}: {reason}", p.paint(RED, "failed"))
        }
        EventKind::FoundPromoted { step } => {
            format!("{step} found that somebody else already promoted the writer; the fence stays")
        }
        EventKind::StepSkipped { step, reason, .. } => format!("{step} skipped: {reason}"),
        EventKind::GateBlocked { step, why, .. } => format!("{step} {}: {why}", p.paint(YELLOW, "waits")),
        EventKind::Waived { waiver } => {
            format!("waived {}: {}", waiver.subject(&state.created.plan), waiver.reason)
        }
        EventKind::SignalRefused { reason, who, .. } => format!("request of {who} refused: {reason}"),
        EventKind::Paused { why } => format!("paused: {why}{}", stops_after(state)),
        EventKind::Resumed { who } => format!("resumed by {who}"),
        EventKind::CancelRequested { who, reason, displaced_by } => {
            let held = |other| format!("; {other} holds its guard, so nothing is undone");
            format!("cancelled by {who}: {reason}{}", displaced_by.as_ref().map_or_else(String::new, held))
        }
        EventKind::ClaimedDone { step, who } => format!("{who} confirms that {step} was done by hand"),
        EventKind::StepUndone { step } => format!("{step} undone"),
        EventKind::UndoFailed { step, reason } => {
            format!("{step} {}: {reason}", p.paint(RED, "could not be undone"))
        }
        EventKind::ClockJumped { forward_ms, backward_ms } => {
            format!("clock jump (forward {forward_ms}, backward {backward_ms}): figures become bounds")
        }
        EventKind::Halted { reason } => halted(reason, state),
        EventKind::RunFinished { .. } => format!("finished: {}", summary::outcome(state)),
        EventKind::CallIntended { .. } | EventKind::CallAnswered { .. } => return None,
        said => {
            return approval_words(p, said).or_else(|| owed_words(p, said)).or_else(|| driver_words(said));
        }
    };
    Some(text)
}

/// What changed about the process that drives the run.
fn driver_words(what: &EventKind) -> Option<String> {
    match what {
        EventKind::EndpointsUsed { endpoints } => {
            let all: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
            Some(format!("calls go to {}", all.join(", ")))
        }
        EventKind::Adopted { holder, .. } => {
            Some(format!("adopted from another store; its guards are now held by {holder}"))
        }
        // A rehearsal has no named owner.
        EventKind::EpochTaken { epoch, owner } if *epoch > 1 && owner == "sandbox" => {
            Some(format!("a new process drives the run (epoch {epoch})"))
        }
        EventKind::EpochTaken { epoch, owner } if *epoch > 1 => {
            Some(format!("{owner} writes the journal from here on (epoch {epoch})"))
        }
        _ => None,
    }
}

fn halted(reason: &str, state: &RunState) -> String {
    match state.stops_to_ask() {
        _ if reason == PAUSED => "paused; no process drives the run".to_owned(),
        // Nothing failed, and nobody has to accept a risk.
        Some((_, _, false)) => format!("waits for a person: {reason}"),
        _ => format!("halted: {reason}"),
    }
}

/// A message without its code, which some providers repeat in front of it.
fn once<'w>(code: &str, why: &'w str) -> &'w str {
    why.strip_prefix(code).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(why)
}

fn finished(p: &Printer, (step, state): (&StepId, &RunState), end: End, facts: &[Fact]) -> String {
    if state.position(step).is_some_and(|i| state.passed_by_waiver(i)) {
        return format!("{step} {}: no proof that the old primary is fenced", p.paint(YELLOW, "waived"));
    }
    let how = match end {
        End::Performed => "done",
        End::Noop => "already done",
        End::ByHand => "done by hand",
    };
    let facts: Vec<_> = facts.iter().filter_map(facts::words).collect();
    let facts = if facts.is_empty() { String::new() } else { format!(": {}", facts.join("; ")) };
    format!("{step} {}{facts}", p.paint(GREEN, how))
}

#[cfg(test)]
mod tests {
    use super::once;

    #[test]
    fn a_code_is_said_once() {
        assert_eq!(once("InvalidChangeBatch", "InvalidChangeBatch: Tried to delete"), "Tried to delete");
        assert_eq!(once("Throttling", "Rate exceeded"), "Rate exceeded");
        assert_eq!(once("Invalid", "InvalidChangeBatch: Tried"), "InvalidChangeBatch: Tried");
    }
}
