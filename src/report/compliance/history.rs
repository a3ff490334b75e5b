//! Periods without a proof or a standby, the state at the end of each month, and statistics.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::asked::ReportRequest;
use crate::model::ids::{ComponentName, RunId};
use crate::model::intent::Drill;
use crate::model::measure::Basis;
use crate::model::time::{Dur, Timestamp};
use crate::report::measured::Measured;
use crate::run::RunState;

/// The tier of a plan that names none.
pub const NO_TIER: &str = "none";

/// The tier of the plan when the run started.
pub fn tier_of(run: &RunState) -> String {
    let read = crate::model::document::parse("plan", run.created.plan_text.as_bytes());
    let tier = read.ok().and_then(|tree| match &tree.get("tier")?.value {
        crate::model::document::Value::Text(tier) => Some(tier.clone()),
        _ => None,
    });
    tier.unwrap_or_else(|| NO_TIER.to_owned())
}

/// A period in which something was missing.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Gap {
    /// The start, at the earliest that of the report.
    pub from: Timestamp,
    /// The end, at the latest that of the report.
    pub to: Timestamp,
    /// The duration, rounded to the nearest second.
    pub seconds: f64,
    /// Whether it continued at the end of the report.
    pub open: bool,
    /// The part of the application, if it concerns only a part.
    pub what: Option<String>,
    /// The run after which it was missing, if there was one.
    pub run: Option<RunId>,
}

/// A part of an application, and the run after which it was missing.
type Lack = (ComponentName, RunId);

impl Gap {
    fn between(
        from: Timestamp,
        to: Option<Timestamp>,
        of: Option<Lack>,
        asked: &ReportRequest,
    ) -> Option<Self> {
        let last = asked.until.min(asked.now);
        let (from, open) = (from.max(asked.since), to.is_none_or(|to| to > last));
        let to = to.unwrap_or(last).min(last);
        let (what, run) = of.map(|(what, run)| (what.to_string(), run)).unzip();
        (from < to).then(|| Self { from, to, seconds: whole(to.since(from)), open, what, run })
    }

    /// A description for people.
    pub fn words(&self) -> String {
        let what = self.what.as_ref().map_or_else(String::new, |what| format!(" ({what})"));
        let on = if self.open { ", still open" } else { "" };
        format!("{} from {}{on}{what}", shown(self.seconds), super::cells::when(self.from))
    }
}

/// The duration of all gaps in seconds. Each is rounded once, so what is printed for them adds up to it.
pub fn total<'g>(gaps: impl Iterator<Item = &'g Gap>) -> f64 {
    // An empty sum of floats is -0.0.
    gaps.fold(0.0, |all, gap| all + gap.seconds)
}

/// Whole seconds for people, however many.
pub fn shown(seconds: f64) -> String {
    Dur::from_secs_f64(seconds).in_full()
}

/// The nearest number of seconds.
fn whole(of: Dur) -> f64 {
    Dur::secs(of.plus(Dur(500)).millis() / 1_000).as_secs_f64()
}

/// Periods in which the last proof was too old, or in which there was none since drctl first knew the plan. `every` is the maximum age of a
/// proof.
pub fn unproven(
    proofs: &[(Timestamp, bool)],
    first: Option<Timestamp>,
    every: Dur,
    asked: &ReportRequest,
) -> Vec<Gap> {
    // Proofs before the report count, and so does their absence, so that a short report hides nothing.
    let good = proofs.iter().filter(|(_, good)| *good).map(|(at, _)| *at);
    let mut marks: Vec<Timestamp> = first.into_iter().chain(good).filter(|at| *at < asked.until).collect();
    marks.sort_unstable();
    let next = |i: usize| marks.get(i + 1).copied();
    marks.iter().enumerate().filter_map(|(i, at)| Gap::between(*at + every, next(i), None, asked)).collect()
}

/// Periods in which a store that a run promoted had no standby, until the end of the step that proved that one streams.
pub fn unprotected(runs: &[&RunState], asked: &ReportRequest) -> Vec<Gap> {
    let mut since: BTreeMap<&ComponentName, (Timestamp, RunId)> = BTreeMap::new();
    let mut gaps = Vec::new();
    for run in runs {
        let promoted = run.promoted_at.iter().map(|(component, at)| (*at, true, component));
        let streams = run.streamed_at().map(|(component, at)| (at, false, component));
        let mut changes: Vec<_> = promoted.chain(streams).collect();
        changes.sort_unstable();
        for (at, promotes, component) in changes {
            if promotes {
                since.entry(component).or_insert_with(|| (at, run.created.run.clone()));
            } else if let Some((from, by)) = since.remove(component) {
                gaps.extend(Gap::between(from, Some(at), Some((component.clone(), by)), asked));
            }
        }
    }
    let open = since.into_iter();
    gaps.extend(open.filter_map(|(of, (from, by))| Gap::between(from, None, Some((of.clone(), by)), asked)));
    gaps.sort_by_key(|gap| gap.from);
    gaps
}

impl ReportRequest {
    /// The periods without a standby. Those of a rehearsal end with its world.
    pub(super) fn unprotected(&self, runs: &[&RunState]) -> Vec<Gap> {
        if !self.rehearsal {
            return unprotected(runs, self);
        }
        let own = |run: &&RunState| unprotected(&[*run], &Self { now: run.last_at, ..self.clone() });
        // A rehearsal drill counts for no other figure either.
        let counts = |run: &&&RunState| run.runbook.drill != Some(Drill::Rehearsal);
        runs.iter().filter(counts).flat_map(own).collect()
    }
}

/// The state of an application at the end of a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Month {
    /// `2026-11`.
    pub month: String,
    /// `proven`, `overdue`, `failed` or `never`.
    pub state: String,
}

/// The state at the end of each month, as it was known then.
pub fn months(proofs: &[(Timestamp, bool)], every: Option<Dur>, asked: &ReportRequest) -> Vec<Month> {
    let last = asked.until.min(asked.now);
    let mut all = Vec::new();
    let mut at = asked.since;
    while at < last && all.len() < 60 {
        let name: String = at.to_string().chars().take(7).collect();
        let end = next_month(at).min(last);
        let latest = proofs.iter().filter(|(proof, _)| *proof <= end).max_by_key(|(proof, _)| *proof);
        let state = match latest {
            None => "never",
            Some((_, false)) => "failed",
            Some((proof, true)) if every.is_some_and(|every| *proof + every < end) => "overdue",
            Some((_, true)) => "proven",
        };
        all.push(Month { month: name, state: state.to_owned() });
        at = end;
    }
    all
}

/// The start of the next month, in UTC.
fn next_month(at: Timestamp) -> Timestamp {
    let text = at.to_string();
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<u32>().ok());
    let (Some(year), Some(month)) = (number(0..4), number(5..7)) else { return at + Dur::secs(30 * 86_400) };
    let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    Timestamp::parse(&format!("{year:04}-{month:02}-01T00:00:00Z")).unwrap_or(at + Dur::secs(30 * 86_400))
}

/// A recovery time or a loss, and how exact it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The value that is shown: the most that is known.
    seconds: f64,
    /// The least that it can be.
    least: f64,
    /// The most that it can be.
    most: f64,
    /// Users were never served again, so it counts as longer than every completed recovery.
    never: bool,
}

impl Sample {
    /// A sample of a figure; `None` if it is unknown.
    pub fn from_figure(figure: &Measured) -> Option<Self> {
        let seconds = figure.achieved_s?;
        let least = if figure.basis == Basis::Interval { seconds - figure.resolution_s } else { seconds };
        Some(Self::between(least, seconds, figure.basis))
    }

    /// A figure with its bounds. An upper bound may really be zero, and a lower bound has no end.
    fn between(least: f64, seconds: f64, basis: Basis) -> Self {
        let least = if basis == Basis::UpperBound { 0.0 } else { least };
        let most = if basis == Basis::LowerBound { f64::INFINITY } else { seconds };
        Self { seconds, least, most, never: false }
    }

    /// A sample of a run that never recovered, by the time that has passed.
    pub const fn never(seconds: f64) -> Self {
        Self { seconds, least: seconds, most: f64::INFINITY, never: true }
    }

    /// The same with the least that it can be.
    fn least(self) -> Self {
        Self { seconds: self.least, ..self }
    }

    /// The same with the most that it can be.
    fn most(self) -> Self {
        Self { seconds: self.most, ..self }
    }

    /// Shorter first. Users who were not served again come after all others.
    fn order(&self, other: &Self) -> Ordering {
        self.never.cmp(&other.never).then(self.seconds.total_cmp(&other.seconds))
    }
}

/// The sample at a rank.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Rank {
    /// The value in seconds.
    pub seconds: f64,
    /// Whether it may be more, because samples are only lower bounds.
    pub at_least: bool,
    /// Whether it may be less, because samples are only upper bounds or intervals.
    pub at_most: bool,
    /// Whether users had not been served again by then.
    pub not_recovered: bool,
}

impl Rank {
    /// As text.
    pub fn words(&self) -> String {
        let least = Dur::from_secs_f64(self.seconds);
        match (self.not_recovered, self.at_least, self.at_most) {
            (true, ..) => format!("not recovered (at least {least})"),
            (false, true, true) => format!("about {least} (may be less or more)"),
            (false, true, false) => format!("at least {least}"),
            (false, false, true) => format!("at most {}", shown(self.seconds)),
            (false, false, false) => shown(self.seconds),
        }
    }
}

/// Statistics of figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Statistics {
    /// The number of known figures.
    pub known: usize,
    /// The median, by nearest rank.
    pub p50: Option<Rank>,
    /// The 95th percentile, by nearest rank.
    pub p95: Option<Rank>,
    /// The maximum.
    pub max: Option<Rank>,
    /// By how much the median of the later half exceeds that of the earlier half; below zero means an improvement. Needs at least four
    /// figures and exact medians.
    pub trend: Option<f64>,
}

impl Statistics {
    /// Statistics of samples in order of time.
    pub fn from_samples(samples: &[Sample]) -> Self {
        let (early, late) = samples.split_at(samples.len() / 2);
        let exact =
            |half| rank(half, 0.5).filter(|rank| !rank.at_least && !rank.at_most).map(|rank| rank.seconds);
        let trend = exact(late).zip(exact(early)).map(|(late, early)| late - early);
        Self {
            known: samples.len(),
            p50: rank(samples, 0.5),
            p95: rank(samples, 0.95),
            max: rank(samples, 1.0),
            trend: trend.filter(|_| samples.len() >= 4),
        }
    }
}

/// By nearest rank. Runs that have not recovered rank after all others.
fn rank(samples: &[Sample], share: f64) -> Option<Rank> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "nobody counts to 2^53 here"
    )]
    let at = ((samples.len() as f64 * share).ceil() as usize).saturating_sub(1);
    let ranked = |real: fn(Sample) -> Sample| {
        let mut sorted: Vec<Sample> = samples.iter().copied().map(real).collect();
        sorted.sort_by(Sample::order);
        sorted.get(at).copied()
    };
    let found = ranked(|sample| sample)?;
    // One that is shorter than it looks may move the others up, so that a shorter one had this rank; the same for a longer one.
    let at_most = ranked(Sample::least)?.order(&found).is_lt();
    let at_least = ranked(Sample::most)?.order(&found).is_gt();
    Some(Rank { seconds: found.seconds, at_least, at_most, not_recovered: found.never })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: f64, basis: Basis) -> Sample {
        Sample::between(seconds, seconds, basis)
    }

    fn took(seconds: f64) -> Sample {
        sample(seconds, Basis::Measured)
    }

    #[test]
    fn who_never_recovered_is_the_longest_and_counts_in_p95() {
        let all: Vec<_> = (1..=9).map(|n| took(f64::from(n) * 60.0)).collect();
        let good = Statistics::from_samples(&all);
        assert_eq!(good.max.unwrap().words(), "9m");
        // Given up after two minutes, which does not make it a fast recovery.
        let all = [all, vec![Sample::never(120.0)]].concat();
        let with = Statistics::from_samples(&all);
        assert_eq!((with.known, with.p50.unwrap().words().as_str()), (10, "5m"));
        assert_eq!(with.p95.unwrap().words(), "not recovered (at least 2m)");
        assert_eq!(with.max.unwrap().words(), "not recovered (at least 2m)");
    }

    #[test]
    fn what_may_be_more_makes_every_rank_above_it_a_lower_bound() {
        let all = [took(60.0), sample(90.0, Basis::LowerBound), took(120.0), took(30.0)];
        let whole = Statistics::from_samples(&all);
        assert_eq!((words(whole.p50).as_str(), words(whole.max).as_str()), ("1m", "at least 2m"));
        assert_eq!(whole.trend, Some(-30.0), "both medians are exact");
        let later = [&all[..], &[all[1], all[1]]].concat();
        assert_eq!(
            Statistics::from_samples(&later).trend,
            None,
            "the median of the later half may be more: {later:?}"
        );
    }

    fn words(rank: Option<Rank>) -> String {
        rank.unwrap().words()
    }

    #[test]
    fn what_may_be_less_makes_every_rank_below_it_an_upper_bound() {
        let all = [took(10.0), took(20.0), sample(30.0, Basis::UpperBound), took(40.0)];
        let whole = Statistics::from_samples(&all);
        assert_eq!(words(whole.p50), "at most 20s", "30s may really be 5s, and then 10s has this rank");
        assert_eq!(words(whole.max), "40s", "the longest is exact, whatever the shorter ones are");
        assert_eq!(whole.trend, None, "the median of the later half may be less");
        let longest = Statistics::from_samples(&[took(10.0), sample(91.04, Basis::UpperBound)]);
        assert_eq!(words(longest.max), "at most 1m 32s", "a bound is not rounded down");
        let between = Sample::between(155.0, 305.0, Basis::Interval);
        let interval = Statistics::from_samples(&[took(10.0), took(200.0), between]);
        assert_eq!(words(interval.max), "at most 5m 5s", "the most of an interval is shown");
        assert_eq!(words(interval.p50), "at most 3m 20s", "the interval may be shorter than the 200s");
        let exact = [took(0.0), took(0.0), took(0.0), sample(104.7, Basis::UpperBound)];
        assert_eq!(words(Statistics::from_samples(&exact).p50), "0s", "nothing is less than a measured zero");
        let most = [took(30.0), took(30.0), sample(90.0, Basis::UpperBound)];
        assert_eq!(
            words(Statistics::from_samples(&most).p50),
            "30s",
            "it stays, even if the 90s are really 0s"
        );
        let alike = [took(30.0), sample(30.0, Basis::LowerBound), sample(30.0, Basis::UpperBound)];
        assert_eq!(words(Statistics::from_samples(&alike).p50), "30s", "one of the three is exact");
        let both =
            Statistics::from_samples(&[sample(10.0, Basis::LowerBound), sample(30.0, Basis::UpperBound)]);
        assert_eq!(words(both.p50), "about 10s (may be less or more)");
    }
}
