//! Durations of steps in earlier runs, and the prediction from them for a new run and for one in progress.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::kinds::Operation;
use crate::model::ids::{SiteName, StepId};
use crate::model::intent::Intent;
use crate::model::time::{Dur, Timestamp};
use crate::planner::critical_path;
use crate::record::action::Action;
use crate::record::event::End;
use crate::record::runbook::{Runbook, Step};
use crate::run::RunState;
use crate::run::state::Status;

/// The minimum number of runs for statistics.
const ENOUGH: usize = 4;
/// The quantile above which a step counts as slow, and the one above which people are notified.
const SLOW: f64 = 0.75;
const STALLED: f64 = 0.95;
/// A delay that is too short to report: a step of milliseconds may wait once for a lost answer.
pub const MATTERS: Dur = Dur::secs(30);
/// The number of simulations of a runbook. Shares are then accurate to about one percent.
const DRAWS: u32 = 1_000;

/// Durations in earlier runs of one plan.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By intent class, target site and step, in ascending order.
    steps: BTreeMap<(Class, SiteName, StepId), Vec<Dur>>,
    /// By kind of step, for any component and site. Used for steps with too few measured runs.
    kinds: BTreeMap<(Class, String), Vec<Dur>>,
    /// From detection to decision of failovers, in ascending order.
    decisions: Vec<Dur>,
    /// The number of runs that changed something.
    runs: BTreeMap<Class, usize>,
}

/// The kind of intent. Durations in an outage differ from those of a planned move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Failover,
    Move,
    Restore,
    Reprotect,
}

impl Class {
    const fn from_intent(intent: Intent) -> Self {
        match intent {
            Intent::Failover => Self::Failover,
            Intent::Switchover | Intent::Failback => Self::Move,
            Intent::Restore | Intent::Drill => Self::Restore,
            Intent::Reprotect => Self::Reprotect,
        }
    }
}

/// The kind of a step without its target: the verb, and which operation, check or write.
fn kind(step: &Step) -> String {
    let action = serde_json::to_value(&step.action).unwrap_or_default();
    let of = |key: &str| action.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    [of("verb"), of("op"), of("what"), of("method"), of("part")].join(" ")
}

/// How much longer than usual a step takes, with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// The category.
    pub late: Late,
    /// The threshold.
    pub usual: Dur,
    /// The number of earlier measurements.
    pub of: usize,
}

impl Beyond {
    /// As text.
    pub fn words(&self) -> String {
        let Self { usual, of, .. } = self;
        match self.late {
            Late::Slow => format!("longer than in three quarters of the earlier runs ({usual})"),
            Late::Stalled if *of >= 19 => format!("longer than in 95% of the earlier runs ({usual})"),
            // With few measurements, the threshold is twice the longest.
            Late::Stalled => {
                format!("more than twice as long as the longest of {of} runs ({})", Dur(usual.millis() / 2))
            }
        }
    }
}

/// How much longer than usual a step takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// Longer than three of four runs.
    Slow,
    /// Longer than 19 of 20 runs; with fewer runs, more than twice the longest.
    Stalled,
}

/// The predicted duration of a runbook.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The median duration.
    pub p50_ms: Dur,
    /// The 95th percentile of the duration.
    pub p95_ms: Dur,
    /// In a planned move, the median of the time in which users are not served: until it fences, they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users_p50_ms: Option<Dur>,
    /// The 95th percentile of that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users_p95_ms: Option<Dur>,
    /// The share of runs in which the RTO is met, from 0 to 1.
    pub within_rto: Option<f64>,
    /// The number of earlier runs.
    pub runs: usize,
    /// Steps of the critical path.
    pub steps: usize,
    /// The number of these steps with enough measured runs.
    pub known: usize,
    /// The number of steps whose durations come from similar steps, of other components or target sites.
    pub alike: usize,
    /// Whether it includes detection and decision, which needs enough earlier runs.
    pub with_decision: bool,
}

impl History {
    /// Computes the history of finished runs.
    pub fn from_runs<'r>(runs: impl IntoIterator<Item = &'r RunState>) -> Self {
        let mut history = Self::default();
        for state in runs.into_iter().filter(|state| state.finished()) {
            history.learn(state);
        }
        history.steps.values_mut().chain(history.kinds.values_mut()).for_each(|took| took.sort_unstable());
        history.decisions.sort_unstable();
        history
    }

    fn learn(&mut self, state: &RunState) {
        let class = Class::from_intent(state.runbook.intent);
        let mut did = false;
        for (step, at) in state.runbook.steps.iter().zip(&state.steps) {
            let work = &at.work;
            if let (Status::Done(End::Performed), Some(from), Some(to)) =
                (&work.status, work.started_at, work.ended_at)
            {
                let took = state.by_this_clock(to).since(state.by_this_clock(from));
                let key = (class, state.runbook.to.clone(), step.id.clone());
                self.steps.entry(key).or_default().push(took);
                self.kinds.entry((class, kind(step))).or_default().push(took);
                did = true;
            }
        }
        // A tabletop drill has no durations.
        if !did {
            return;
        }
        *self.runs.entry(class).or_default() += 1;
        let noticed = super::attainment::attainment(state, state.last_at).detected;
        if let (Intent::Failover, Some(noticed)) = (state.runbook.intent, noticed) {
            self.decisions.push(state.created_at.since(noticed));
        }
    }

    /// Durations of a step, in ascending order, if there are enough.
    fn step(&self, runbook: &Runbook, step: &Step) -> Option<&[Dur]> {
        let own = self.steps.get(&(Class::from_intent(runbook.intent), runbook.to.clone(), step.id.clone()));
        own.map(Vec::as_slice).filter(|took| took.len() >= ENOUGH)
    }

    /// Durations of similar steps, of other components or for other sites, for steps with too few measurements. Response times of people,
    /// and steps with a configured duration, predict nothing about other steps.
    fn alike(&self, runbook: &Runbook, step: &Step) -> Option<&[Dur]> {
        if matches!(step.action, Action::Gate(_) | Action::Wait { .. } | Action::Op(Operation::Run(_))) {
            return None;
        }
        let all = self.kinds.get(&(Class::from_intent(runbook.intent), kind(step)));
        all.map(Vec::as_slice).filter(|took| took.len() >= ENOUGH && self.step(runbook, step).is_none())
    }

    /// How much longer than usual a step in progress takes. Nobody measured how long its undo usually takes.
    pub fn late(&self, state: &RunState, step: &StepId, now: Timestamp) -> Option<Beyond> {
        let at = state.position(step)?;
        if state.steps[at].taken_back() || state.steps[at].work.status.settled() {
            return None;
        }
        let since = now.since(state.by_this_clock(state.steps[at].work.started_at?));
        let took = self.step(&state.runbook, &state.runbook.steps[at])?;
        let longest = took.last()?;
        let stalled = share_of(took, STALLED).unwrap_or_else(|| longest.plus(*longest));
        let beyond = |late, usual| Beyond { late, usual, of: took.len() };
        match share_of(took, SLOW) {
            _ if since > stalled.plus(MATTERS) => Some(beyond(Late::Stalled, stalled)),
            Some(slow) if since > slow.plus(MATTERS) => Some(beyond(Late::Slow, slow)),
            _ => None,
        }
    }

    /// The prediction. The same history and runbook give the same figures.
    pub fn predict(&self, runbook: &Runbook) -> Prediction {
        let decisions =
            (runbook.intent == Intent::Failover && self.decisions.len() >= ENOUGH).then_some(&self.decisions);
        let drawn = |draw| {
            let decided =
                decisions.map_or(Dur::ZERO, |all| observed(all, share(draw, u32::MAX), Dur(u64::MAX)));
            let served = critical_path::served(runbook, |step: &Step| self.drawn(runbook, step, draw));
            (decided.plus(served.after), decided.plus(served.wait()), served.users)
        };
        let drawn: Vec<(Dur, Dur, Option<Dur>)> = (0..DRAWS).map(drawn).collect();
        let (rto, _) = runbook.promised_rto();
        let within = drawn.iter().filter(|(_, wait, _)| *wait <= rto).count();
        let mut took: Vec<Dur> = drawn.iter().map(|(after, ..)| *after).collect();
        let mut users: Vec<Dur> = drawn.iter().filter_map(|(.., users)| *users).collect();
        took.sort_unstable();
        users.sort_unstable();
        let of_users = |share| (!users.is_empty()).then(|| quantile(&users, share));
        let critical = critical_path::critical(runbook).steps;
        let of_path = || runbook.steps.iter().filter(|step| critical.contains(&step.id));
        Prediction {
            p50_ms: quantile(&took, 0.5),
            p95_ms: quantile(&took, 0.95),
            users_p50_ms: of_users(0.5),
            users_p95_ms: of_users(0.95),
            within_rto: runbook.intent.has_rto().then(|| ratio(within, took.len())),
            runs: self.runs.get(&Class::from_intent(runbook.intent)).copied().unwrap_or_default(),
            steps: critical.len(),
            known: of_path().filter(|step| self.step(runbook, step).is_some()).count(),
            alike: of_path().filter(|step| self.alike(runbook, step).is_some()).count(),
            with_decision: decisions.is_some(),
        }
    }

    fn drawn(&self, runbook: &Runbook, step: &Step, draw: u32) -> Dur {
        let at = runbook.steps.iter().position(|s| s.id == step.id).unwrap_or_default();
        let share = share(draw, u32::try_from(at).unwrap_or_default());
        match self.step(runbook, step).or_else(|| self.alike(runbook, step)) {
            Some(took) => observed(took, share, step.estimate.timeout_ms),
            None => estimated(step, share),
        }
    }
}

impl Prediction {
    /// As text.
    pub fn words(&self) -> String {
        let share = match self.within_rto {
            None => String::new(),
            Some(all) if all >= 0.995 => "more than 99% meet the RTO, ".to_owned(),
            Some(none) if none < 0.005 => "less than 1% meet the RTO, ".to_owned(),
            // Rounded down: beside "19 of 20 within" a time above the RTO, 94.6% must not read 95%.
            Some(share) => format!("{:.0}% meet the RTO, ", (share * 100.0).floor()),
        };
        let decision = if self.with_decision { "with" } else { "without" };
        let alike = match self.alike {
            0 => String::new(),
            n => format!(", {n} from similar steps"),
        };
        let basis = match self.known {
            0 if self.alike > 0 => format!("from estimates{alike}; no step has enough measured runs"),
            0 => "from estimates only; no step has enough measured runs".to_owned(),
            known => format!(
                "{known} of {} steps on the critical path are measured in {} runs{alike}",
                self.steps, self.runs
            ),
        };
        let users = match (self.users_p50_ms, self.users_p95_ms) {
            (Some(half), Some(most)) => {
                format!(
                    "users wait {} in half of them, at most {} in 19 of 20; ",
                    half.shown_up(),
                    most.shown_up()
                )
            }
            _ => String::new(),
        };
        format!(
            "half of all runs within {}, 19 of 20 within {}; {users}{share}{decision} detection and decision; {basis}",
            self.p50_ms.shown_up(),
            self.p95_ms.shown_up()
        )
    }
}

/// A reproducible pseudorandom number from 0 to 1 (splitmix64).
fn share(draw: u32, of: u32) -> f64 {
    let mut z = (u64::from(draw) << 32 | u64::from(of)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let top = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(u32::MAX);
    f64::from(top) / f64::from(u32::MAX)
}

/// A duration of a step with `n` measurements. One in `n + 1` runs takes longer than all of them: up to twice the longest, but within the
/// timeout.
fn observed(took: &[Dur], share: f64, timeout: Dur) -> Dur {
    let (Some(first), Some(last)) = (took.first(), took.last()) else { return Dur::ZERO };
    let place = share * ratio(took.len() + 1, 1);
    if place >= ratio(took.len(), 1) {
        let most = last.plus(*last).min(timeout.max(*last));
        return between(*last, most, place - ratio(took.len(), 1));
    }
    let below = took.iter().enumerate().take_while(|(i, _)| ratio(i + 1, 1) <= place).last();
    below.map_or(*first, |(i, low)| between(*low, took[(i + 1).min(took.len() - 1)], place - ratio(i + 1, 1)))
}

/// A duration of a step without measurements: half of all runs take the expected time, and one in twenty takes twice as long or more, up to
/// the timeout. That is an assumption.
fn estimated(step: &Step, share: f64) -> Dur {
    let (expected, timeout) =
        (step.estimate.expected_ms, step.estimate.timeout_ms.max(step.estimate.expected_ms));
    let twice = expected.plus(expected).min(timeout);
    match share {
        low if low <= 0.5 => expected,
        middle if middle <= 0.95 => between(expected, twice, (middle - 0.5) / 0.45),
        high => between(twice, timeout, (high - 0.95) / 0.05),
    }
}

fn between(from: Dur, to: Dur, share: f64) -> Dur {
    let more = to.as_secs_f64() - from.as_secs_f64();
    from.plus(Dur(whole(more.max(0.0) * share.clamp(0.0, 1.0) * 1_000.0)))
}

/// The duration that the next run does not exceed with this probability; `None` if there are too few measurements.
fn share_of(sorted: &[Dur], share: f64) -> Option<Dur> {
    let rank = usize::try_from(whole((ratio(sorted.len() + 1, 1) * share).ceil())).ok()?;
    sorted.get(rank.checked_sub(1)?).copied()
}

/// The quantile of a sorted list, by nearest rank.
pub fn quantile(sorted: &[Dur], share: f64) -> Dur {
    let rank = whole((ratio(sorted.len(), 1) * share).ceil());
    let at = usize::try_from(rank).unwrap_or(usize::MAX).saturating_sub(1);
    sorted.get(at).or(sorted.last()).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^53 here")]
fn ratio(part: usize, of: usize) -> f64 {
    part as f64 / of.max(1) as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "milliseconds that were added up, and ranks"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
