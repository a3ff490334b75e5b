//! Turns samples into state changes of probes.

use std::collections::{BTreeMap, VecDeque};

use super::sample::Sample;
use crate::inventory::estate::ProbeHealth;
use crate::model::time::{Dur, Timestamp};
use crate::record::event::EventKind;
use crate::run::observed::ProbeSight;
use crate::run::state::Turn;

/// Records all probes of a run.
#[derive(Clone, Debug)]
pub struct Recorder {
    consecutive: u32,
    probes: BTreeMap<String, Series>,
}

#[derive(Clone, Debug, Default)]
struct Series {
    /// The last confirmed state.
    current: Option<bool>,
    since: Option<Timestamp>,
    /// The current row of equal samples: their result, their number, and when the first was sent.
    row: Option<(bool, u32, Timestamp)>,
    last_good: Option<Timestamp>,
    last_bad: Option<Timestamp>,
    /// The last attempt without a result, and why there was none.
    unasked: Option<(Timestamp, String)>,
    /// When the last good samples in a row were sent; at most `consecutive` of them.
    window: VecDeque<Timestamp>,
}

impl Recorder {
    /// A recorder that needs `consecutive` equal samples in a row.
    pub fn new(consecutive: u32) -> Self {
        Self { consecutive, probes: BTreeMap::new() }
    }

    /// A recorder that continues where another process stopped, with the state changes so far.
    pub fn resumed(consecutive: u32, turns: &BTreeMap<String, Vec<Turn>>) -> Self {
        let series = |turn: &Turn| Series {
            current: Some(turn.good),
            since: Some(turn.since),
            last_good: if turn.good { Some(turn.since) } else { turn.last_other },
            last_bad: if turn.good { turn.last_other } else { Some(turn.since) },
            ..Series::default()
        };
        let last = turns.iter().filter_map(|(key, turns)| Some((key.clone(), series(turns.last()?))));
        Self { consecutive, probes: last.collect() }
    }

    /// Adds a sample. Returns a turn if this sample caused one.
    pub fn take(&mut self, key: &str, sample: &Sample) -> Option<EventKind> {
        let consecutive = self.consecutive;
        let series = self.probes.entry(key.to_owned()).or_default();
        let Some(good) = sample.good else {
            series.unasked = Some((sample.sent_at, sample.detail.clone()));
            return None;
        };
        series.unasked = None;
        let (count, first) = match series.row {
            Some((kind, count, first)) if kind == good => (count + 1, first),
            _ => (1, sample.sent_at),
        };
        series.row = Some((good, count, first));
        let last_other = if good { series.last_bad } else { series.last_good };
        if good {
            series.last_good = Some(sample.sent_at);
            series.window.push_back(sample.sent_at);
            while series.window.len() > consecutive as usize {
                series.window.pop_front();
            }
        } else {
            series.last_bad = Some(sample.sent_at);
            series.window.clear();
        }
        if count < consecutive || series.current == Some(good) {
            return None;
        }
        series.current = Some(good);
        series.since = Some(first);
        Some(EventKind::ProbeTurned {
            probe: key.to_owned(),
            good,
            since: first,
            last_other,
            detail: sample.detail.clone(),
        })
    }

    /// Whether a probe has a confirmed state.
    pub fn believes(&self, key: &str) -> bool {
        self.probes.get(key).is_some_and(|s| s.current.is_some())
    }

    /// The status of a probe, for steps that wait for it.
    pub fn sight(&self, key: &str) -> ProbeSight {
        let Some(series) = self.probes.get(key) else { return ProbeSight::default() };
        match series.row {
            Some((true, count, _)) => {
                ProbeSight { good_in_row: count, window_began: series.window.front().copied() }
            }
            _ => ProbeSight::default(),
        }
    }

    /// The next time of a probe, on the grid of its interval.
    pub fn next_due(&self, key: &str, every: Dur, now: Timestamp) -> Timestamp {
        let unasked = |s: &Series| s.unasked.as_ref().map(|(at, _)| *at);
        let last = self.probes.get(key).and_then(|s| s.last_good.max(s.last_bad).max(unasked(s)));
        let Some(last) = last else { return now };
        let every = every.max(Dur(1));
        last + every.times(now.since(last).millis().div_ceil(every.millis()).max(1))
    }

    /// The status of every probe, for the inventory.
    pub fn health(&self) -> BTreeMap<String, ProbeHealth> {
        let of = |s: &Series| ProbeHealth {
            good: s.current,
            since: s.since,
            last_good: s.last_good,
            unasked: s.unasked.as_ref().map(|(_, why)| why.clone()),
        };
        self.probes.iter().map(|(k, s)| (k.clone(), of(s))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_s: u64, good: bool) -> Sample {
        let sent_at = Timestamp::from_millis(0) + Dur::secs(at_s);
        Sample { sent_at, good: Some(good), detail: String::new() }
    }

    #[test]
    fn one_bad_sample_is_no_outage() {
        let mut recorder = Recorder::new(3);
        for (i, good) in [true, true, true, false, true, true, false, false].into_iter().enumerate() {
            let turn = recorder.take("p", &sample(i as u64, good));
            assert_eq!(turn.is_some(), i == 2, "sample {i}");
        }
    }

    #[test]
    fn an_outage_begins_with_the_first_bad_sample_and_knows_the_last_good_one() {
        let mut recorder = Recorder::new(2);
        let turns: Vec<_> = [(0, true), (5, true), (10, false), (15, false)]
            .into_iter()
            .filter_map(|(at, good)| recorder.take("p", &sample(at, good)))
            .collect();
        let t = |s| Timestamp::from_millis(0) + Dur::secs(s);
        assert!(
            matches!(&turns[1], EventKind::ProbeTurned { good: false, since, last_other: Some(last), .. } if *since == t(10) && *last == t(5))
        );
    }
}
