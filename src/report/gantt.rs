//! The timeline of a run as a chart: when each step ran, which step it waited for last, and when users were not served.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::ids::StepId;
use crate::model::time::{Dur, Timestamp};
use crate::planner::critical_path;
use crate::record::event::End;
use crate::record::runbook::ProbeRole;
use crate::run::RunState;
use crate::run::state::{Status, StepState, Work};

/// The left edge of the time axis, to the right of the names of steps.
const LEFT: f64 = 240.0;
/// The right edge of the time axis. The space after it is for the duration of the last bar.
const RIGHT: f64 = 925.0;
/// The top of the first step.
const TOP: f64 = 64.0;
/// The height of a step, including the space below it.
const ROW: f64 = 20.0;
/// The width of a letter.
const LETTER: f64 = 7.0;
/// The possible intervals between marks on the time axis.
const MARKS: [u64; 16] =
    [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800];

/// The chart, in its own units: 1,000 wide.
#[derive(Clone, Debug, Serialize)]
pub struct Gantt {
    height: f64,
    bottom: f64,
    marks: Vec<Mark>,
    outages: Vec<Bar>,
    clocks: Vec<Mark>,
    rows: Vec<Row>,
    links: Vec<Link>,
    /// Whether a bar goes on after the end of the chart.
    cut: bool,
    /// Steps that started after users were served. They are not drawn, because a long watch would make the rest too small.
    later: usize,
}

/// A vertical line.
#[derive(Clone, Debug, Serialize)]
struct Mark {
    x: f64,
    label: String,
    /// The vertical position of its label, so that close labels do not overlap.
    y: f64,
}

/// A span of time: users were not served, or a step was first tried.
#[derive(Clone, Debug, Serialize)]
struct Bar {
    x: f64,
    width: f64,
    title: String,
}

/// A step.
#[derive(Clone, Debug, Serialize)]
struct Row {
    id: String,
    y: f64,
    x: f64,
    width: f64,
    /// Its result: `done`, `waived`, `noop`, `failed`, `skipped`, `open`, and `background` in addition.
    class: String,
    /// Whether it is on the critical path.
    critical: bool,
    /// When it first started, if it was tried again later. The bar is its last try, so that a wait for a person is no work.
    first: Option<Bar>,
    /// Its undo, if that has started.
    undo: Option<Undo>,
    /// Its duration; empty if there is no room for it.
    took: String,
    took_x: f64,
    took_width: f64,
    /// Whether it took longer than its bar shows: the bar ends with the chart.
    cut: bool,
    title: String,
}

/// The undo of a step, with its own duration beside it.
#[derive(Clone, Debug, Serialize)]
struct Undo {
    x: f64,
    width: f64,
    title: String,
    took: String,
    took_x: f64,
    took_width: f64,
}

/// From the end of the last step that a step waited for to its own start.
#[derive(Clone, Debug, Serialize)]
struct Link {
    x1: f64,
    y1: f64,
    x2: f64,
    y2: f64,
}

/// Converts times to positions.
struct Scale {
    from: Timestamp,
    span: Dur,
}

impl Scale {
    fn x(&self, at: Timestamp) -> f64 {
        let share = at.since(self.from).as_secs_f64() / self.span.as_secs_f64().max(0.001);
        round(LEFT + (RIGHT - LEFT) * share.clamp(0.0, 1.0))
    }

    /// Whether a time is after the end of the chart.
    fn is_beyond(&self, at: Timestamp) -> bool {
        at > self.from + self.span
    }
}

/// The width of a duration beside a bar.
fn wide(text: &str) -> f64 {
    LETTER * count(text.chars().count())
}

/// Rounds to tenths, so that charts of the same run are identical.
fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// Draws a run up to its last event.
pub fn draw(state: &RunState) -> Gantt {
    let told = super::attainment::attainment(state, state.last_at);
    let from = told.detected.map_or(state.created_at, |detected| detected.min(state.created_at));
    let end = end(state);
    let until = told.validated.map_or(end, |served| shown_until(from, served).min(end));
    let scale = Scale { from, span: until.since(from) };
    let began = |i: &usize| drawn_from(state, *i);
    let mut begun: Vec<usize> = (0..state.steps.len()).filter(|i| began(i).is_some()).collect();
    let all = begun.len();
    begun.retain(|i| began(i).is_some_and(|at| at <= until));
    begun.sort_by_key(|i| (began(i), *i));
    let later = all - begun.len();
    let critical: BTreeSet<StepId> = critical_path::critical(&state.runbook).steps.into_iter().collect();
    let y = |n: usize| TOP + ROW * count(n);
    let rows: Vec<Row> = begun
        .iter()
        .enumerate()
        .map(|(n, i)| row(state, *i, y(n), &scale, critical.contains(&state.step(*i).id)))
        .collect();
    let bottom = y(rows.len());
    let clocks = [
        ("detected", told.detected),
        ("decided", Some(told.decided)),
        ("executed", told.executed),
        ("validated", told.validated),
    ];
    let clocks = clocks.into_iter().filter_map(|(label, at)| at.map(|at| (label.to_owned(), scale.x(at))));
    Gantt {
        height: bottom + 24.0,
        bottom,
        marks: marks(&scale),
        outages: outages(state, &scale),
        clocks: apart(clocks),
        links: links(state, &begun, &scale, y),
        cut: rows.iter().any(|row| row.cut),
        rows,
        later,
    }
}

/// The time of the last action or observation. Later records of people are not drawn.
fn end(state: &RunState) -> Timestamp {
    let ended = |step: &StepState| step.undo.as_ref().and_then(|undo| undo.ended_at).max(step.work.ended_at);
    let done = state.steps.iter().filter_map(ended).max();
    state.finished_at.map_or(state.last_at, |finished| done.map_or(finished, |done| done.max(finished)))
}

/// When a step first started; for a step that was skipped before, when that was recorded.
fn drawn_from(state: &RunState, i: usize) -> Option<Timestamp> {
    let left_out = || state.steps[i].past.steered.first().map(|by| by.at);
    state.steps[i].began().or_else(left_out)
}

/// A little longer than until users were served.
fn shown_until(from: Timestamp, served: Timestamp) -> Timestamp {
    served + Dur(served.since(from).millis() / 8)
}

fn row(state: &RunState, i: usize, y: f64, scale: &Scale, critical: bool) -> Row {
    let (step, work) = (state.step(i), &state.steps[i].work);
    let first = drawn_from(state, i).unwrap_or(state.created_at);
    let began = work.started_at.map_or(first, |last| last.max(first));
    let ended = work.ended_at.unwrap_or_else(|| end(state)).max(began);
    let x = scale.x(began);
    // Steps without a duration stay visible.
    let width = round((scale.x(ended) - x).max(2.0));
    let took = ended.since(began);
    let word = if state.passed_by_waiver(i) { "waived" } else { class(work) };
    let class = format!("{word}{}", if step.background { " background" } else { "" });
    let said = if word == "waived" { word } else { work.status.word() };
    let title = format!("{}: {said}, {} to {}, {took}", state.action_words(i), began.clock(), ended.clock());
    let undo = undo(state, i, scale);
    // Beside the box of the undo it would look like the duration of the undo.
    let took_x = x + width + 4.0;
    let cut = scale.is_beyond(ended);
    let text = if cut { format!("… {took}") } else { took.to_string() };
    let fits = undo.as_ref().is_none_or(|undo| took_x + wide(&text) <= undo.x);
    let mark = |at: Timestamp| Bar {
        x: scale.x(at),
        width: 2.0,
        title: format!("{}: first tried at {}", step.id, at.clock()),
    };
    Row {
        id: step.id.to_string(),
        y,
        x,
        width,
        class,
        critical,
        first: (first < began).then(|| mark(first)),
        undo,
        took_width: wide(&text),
        took: if fits { text } else { String::new() },
        took_x,
        cut,
        title,
    }
}

/// The undo of a step, if that has started. The bar of the step itself keeps its times.
fn undo(state: &RunState, i: usize, scale: &Scale) -> Option<Undo> {
    let undo = state.steps[i].undo.as_ref()?;
    let began = undo.started_at?;
    let ended = undo.ended_at.unwrap_or_else(|| end(state)).max(began);
    let x = scale.x(began);
    let said = match &undo.status {
        Status::Done(_) => "undone",
        Status::Failed => "could not be undone",
        _ => "being undone",
    };
    let id = &state.step(i).id;
    let took = ended.since(began).to_string();
    let title = format!("{id}: {said}, {} to {}, {took}", began.clock(), ended.clock());
    let width = round((scale.x(ended) - x).max(2.0));
    Some(Undo { x, width, title, took_width: wide(&took), took, took_x: x + width + 4.0 })
}

fn class(work: &Work) -> &'static str {
    match work.status {
        Status::Done(End::Noop) => "noop",
        Status::Done(_) => "done",
        Status::Failed => "failed",
        Status::Skipped => "skipped",
        _ => "open",
    }
}

/// For each step, the required step that ended last. A step that began without what it requires waited for whatever ended last before it:
/// the last look of a run that halts begins once nothing else is in progress.
fn links(state: &RunState, begun: &[usize], scale: &Scale, y: impl Fn(usize) -> f64) -> Vec<Link> {
    let places: BTreeMap<&StepId, usize> =
        begun.iter().enumerate().map(|(n, i)| (&state.step(*i).id, n)).collect();
    let link = |(n, i): (usize, &usize)| {
        let needs = &state.step(*i).needs;
        let met = |at: Timestamp| {
            let over = |work: &Work| work.status.settled() && work.ended_at.is_none_or(|ended| ended <= at);
            needs.iter().filter_map(|need| state.position(&need.step)).all(|p| over(&state.steps[p].work))
        };
        let first = drawn_from(state, *i)?;
        let began = match (met(first), state.steps[*i].work.started_at) {
            (false, Some(last)) => last.max(first),
            _ => first,
        };
        let waited_for: Vec<usize> = match met(began) {
            true => needs.iter().filter_map(|need| places.get(&need.step).copied()).collect(),
            false => (0..begun.len()).filter(|p| *p != n).collect(),
        };
        let ended = |p: usize| state.steps[begun[p]].work.ended_at.filter(|ended| *ended <= began);
        let ends = waited_for.into_iter().filter_map(|p| Some((p, ended(p)?)));
        let (last, ended) = ends.max_by_key(|(_, at)| *at)?;
        Some(Link {
            x1: scale.x(ended),
            y1: y(last) + ROW / 2.0,
            x2: scale.x(began),
            y2: y(n) + ROW / 2.0 - 2.0,
        })
    };
    begun.iter().enumerate().filter_map(link).collect()
}

/// Periods in which public probes failed.
fn outages(state: &RunState, scale: &Scale) -> Vec<Bar> {
    let mut bars = Vec::new();
    for probe in state.runbook.probes.iter().filter(|probe| probe.role == ProbeRole::Public) {
        let turns = state.turns.get(&probe.key()).map_or(&[][..], Vec::as_slice);
        for (n, turn) in turns.iter().enumerate().filter(|(_, turn)| !turn.good) {
            let until = turns.get(n + 1).map_or_else(|| end(state), |next| next.since);
            let (x, to) = (scale.x(turn.since), scale.x(until));
            let title =
                format!("probe {} failed from {} to {}", probe.name, turn.since.clock(), until.clock());
            bars.push(Bar { x, width: round((to - x).max(1.0)), title });
        }
    }
    bars
}

fn marks(scale: &Scale) -> Vec<Mark> {
    let seconds = scale.span.millis() / 1_000;
    let every = MARKS.into_iter().find(|every| seconds / every <= 8).unwrap_or(seconds.max(1) / 8 + 1);
    let mark = |n: u64| {
        let after = Dur::secs(n * every);
        Mark { x: scale.x(scale.from + after), label: format!("+{after}"), y: 0.0 }
    };
    (0..=seconds / every).map(mark).collect()
}

/// Labels that are close to each other get different lines.
fn apart(clocks: impl Iterator<Item = (String, f64)>) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for (label, x) in clocks {
        let taken = |y: f64| marks.iter().any(|mark| (mark.x - x).abs() < 64.0 && (mark.y - y).abs() < 1.0);
        let y = [12.0, 24.0, 36.0, 48.0].into_iter().find(|y| !taken(*y)).unwrap_or(12.0);
        marks.push(Mark { x, label, y });
    }
    marks
}

#[expect(clippy::cast_precision_loss, reason = "a runbook has some hundred steps")]
fn count(n: usize) -> f64 {
    n as f64
}
