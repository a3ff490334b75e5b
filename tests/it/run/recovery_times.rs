//! The recovery time, by when probes turned.

use drctl::model::measure::{Basis, Figure};
use drctl::model::time::{Dur, Timestamp};
use drctl::record::runbook::{Probe, ProbeRole, ProbeVia};
use drctl::report::attainment::attainment;
use drctl::run::state::Turn;

use crate::run::loss::{at, failover};

/// The recovery time of an outage from 100 s to 200 s whose last failed sample was sent `before` the first good one. `first` is when the last
/// good sample before it was sent.
fn recovered(before: Dur, first: Option<Timestamp>) -> Figure {
    let probe = Probe {
        name: "shop".into(),
        role: ProbeRole::Public,
        site: None,
        via: ProbeVia::Tcp { address: "x:1".to_owned() },
        every_ms: Dur::secs(5),
        timeout_ms: Dur::secs(3),
    };
    let mut state = failover("fence.db.sql");
    state.created.outage_began = None;
    let turn = |good, since, last_other| Turn { good, since, last_other };
    let turns = vec![turn(false, at(100), first), turn(true, at(200), Some(at(200) - before))];
    state.turns = [(probe.key(), turns)].into();
    state.runbook.probes = vec![probe];
    attainment(&state, at(900)).rto
}

/// Every sample of a black-holed name times out, and the next one is sent an interval later, or some milliseconds more. Somebody watched all
/// the time, so the outage lasted until the first good sample, within the time between the two samples.
#[test]
fn samples_that_time_out_measure_an_outage_like_any_others() {
    for before in [Dur::secs(5), Dur(8_007), Dur::secs(12)] {
        let figure = recovered(before, Some(at(95)));
        assert_eq!(figure, Figure { resolution_ms: before, ..Figure::new(Dur::secs(100), Basis::Measured) });
    }
}

/// The value alone is never better than the outage: it is the most, and less the resolution it is the least.
#[test]
fn an_end_that_nobody_sampled_makes_the_value_the_longest_that_the_outage_can_be() {
    // The outage may also have begun up to 5 s before its first failed sample.
    let figure = recovered(Dur::secs(60), Some(at(95)));
    assert_eq!(figure.to_string(), "40s to 1m 45s (interval)");
    assert_eq!((figure.value_ms, figure.resolution_ms), (Some(Dur::secs(105)), Dur::secs(65)));
}

/// Only the failed samples prove how long users were out at least.
#[test]
fn a_lower_bound_ends_with_the_last_failed_sample() {
    for before in [Dur::secs(5), Dur::secs(12), Dur::secs(60)] {
        let figure = recovered(before, None);
        assert_eq!((figure.value_ms, figure.basis), (Some(Dur::secs(100).minus(before)), Basis::LowerBound));
    }
}
