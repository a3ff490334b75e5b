//! A lost region is still alive: the sandbox's truth about its databases, and the oracle's judgement of waivers.

use drctl::model::ids::ComponentName;
use drctl::model::measure::Basis;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Rule;
use drctl::record::event::{Event, EventKind, Outcome};
use drctl::report::attainment::attainment;
use drctl::run::state::Mode;

use crate::run::hard_cases::waiver;
use crate::support::oracle::{Oracle, Waived, invariants};
use crate::support::rig::{BEGAN, Rehearsed, Rig, truststream};

fn db() -> ComponentName {
    ComponentName::new("db")
}

/// A failover from a region without any answer, with a waiver.
fn waived(scenario: &str) -> (Rig, Rehearsed) {
    let waivers = vec![waiver(Rule::UnfencedPromotion, Dur::mins(20))];
    let rig = Rig { waivers, ..Rig::new(truststream(), scenario, 1) };
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    invariants(&rig, &done, scenario);
    (rig, done)
}

/// Clients beside a dark primary keep writing and lose these writes; clients of a dead one lose what was not replicated.
#[test]
fn a_dark_primary_takes_writes_and_a_dead_one_does_not() {
    let (rig, dark) = waived("region-dark");
    let oracle = Oracle::new(&rig.plan, &dark.watched);
    let two = oracle.two_primaries(&Waived::default());
    assert!(two[&db()] > Dur::mins(1), "{two:?}");
    assert!(oracle.lost()[&db()] > Dur::mins(3), "{:?}", oracle.lost());
    let (rig, dead) = waived("region-dies");
    let oracle = Oracle::new(&rig.plan, &dead.watched);
    assert!(oracle.two_primaries(&Waived::default()).is_empty());
    assert!(oracle.lost()[&db()] < Dur::secs(2), "{:?}", oracle.lost());
    // drctl cannot tell the two apart, and reports the maximum loss of both.
    for (done, least) in [(&dark, Dur::mins(3)), (&dead, Dur::mins(3))] {
        let (figure, _) = attainment(&done.ended.state, done.asked).stores[&db()].clone();
        assert!(figure.basis == Basis::UpperBound && figure.value_ms > Some(least), "{figure}");
    }
}

/// A failed write probe is not a bound: the reported loss grows until the old primary is fenced.
#[test]
fn what_is_told_of_a_dark_primary_grows_until_it_is_fenced() {
    let (_, dark) = waived("region-dark");
    let at = |later| {
        let told = attainment(&dark.ended.state, dark.asked + later);
        told.stores[&db()].0.value_ms.unwrap()
    };
    assert_eq!(at(Dur::mins(10)).millis() - at(Dur::ZERO).millis(), Dur::mins(10).millis());
}

/// A waiver applies to one component, from when the run continues without its fence.
#[test]
fn a_waiver_lifts_the_invariant_for_what_it_names_only() {
    let at = |s| BEGAN + Dur::secs(s);
    let event = |s: u64, what| Event { at: at(s), what };
    let waived = Waived::of(&[
        event(10, EventKind::FenceWaived { component: db() }),
        event(60, EventKind::DebtSettled { component: db(), why: "gone".to_owned(), who: None }),
    ]);
    let covers = |c: &str, at: Timestamp| waived.covers(&ComponentName::new(c), at);
    assert!(covers("db", at(10)) && covers("db", at(59)));
    assert!(!covers("db", at(9)) && !covers("db", at(60)) && !covers("billing", at(30)));
}
