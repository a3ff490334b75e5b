//! What must hold in every rehearsal, whatever failed in it.

use std::collections::BTreeMap;

use drctl::inventory::ActiveSite;
use drctl::kinds::Operation;
use drctl::kinds::shared::promotion::{Promote, Withdraw};
use drctl::model::ids::ComponentName;
use drctl::model::intent::Intent;
use drctl::model::measure::{Basis, Figure};
use drctl::model::time::Dur;
use drctl::model::waiver::Rule;
use drctl::record::action::{Action, Undo};
use drctl::record::event::{Event, EventKind, Outcome};
use drctl::report::attainment::attainment;
use drctl::run::RunState;
use drctl::run::state::Mode;

use super::recovers::can_be_had;
use super::users::{Names, Sessions};
use super::writes::runbook;
use super::{Ground, Oracle, Waived, Watched};
use crate::run::resume::events;
use crate::support::rig::{Rehearsed, Rig};

/// Within this time a zone's servers answer with an accepted change (Amazon Route 53, FAQ, «How quickly will changes I make propagate»).
const PROPAGATION: Dur = Dur::mins(1);

pub fn invariants(rig: &Rig, done: &Rehearsed, context: &str) {
    safe_and_told(rig, done, context);
    rto_told(rig, done, context);
    let called = crate::run::stops::called_in_spite_of_a_stop(&events(done));
    assert!(called.is_none(), "{}: {context}", called.unwrap_or_default());
}

/// Two servers of a component take writes only while a waiver of its fence applies, and no promotion is requested before the other one was
/// observed to take none.
pub fn one_primary(rig: &Rig, ground: &impl Ground, journals: &[Vec<Event>], context: &str) {
    let oracle = Oracle::new(&rig.plan, ground);
    let waived = Waived::of(journals.iter().flatten());
    let two = oracle.two_primaries(&waived);
    assert!(two.is_empty(), "two primaries, by component: {two:?}: {context}");
    for journal in journals {
        for (i, event) in journal.iter().enumerate() {
            let EventKind::FenceWaived { component } = &event.what else { continue };
            let had = can_be_had(rig, component);
            assert!(!had, "a waiver stands for a fence of {component} that can be had: {context}");
            let given = waived_by_a_person(rig, &journal[..i], component);
            assert!(given, "nobody waived the fence of {component}: {context}");
        }
        let vain = oracle.proven_in_vain(journal);
        assert!(vain.is_empty(), "told as fenced: {}: {context}", vain.join("; "));
        let early = oracle.asked_too_early(journal, &waived);
        assert!(early.is_empty(), "promoted before the fence: {}: {context}", early.join("; "));
    }
}

/// Whether the request or an earlier event of the run has a person's waiver of a component's fence.
fn waived_by_a_person(rig: &Rig, before: &[Event], component: &ComponentName) -> bool {
    let later = before.iter().filter_map(|e| match &e.what {
        EventKind::Waived { waiver } => Some(waiver),
        _ => None,
    });
    rig.waivers.iter().chain(later).any(|waiver| {
        let named = waiver.component.as_ref();
        waiver.rule == Rule::UnfencedPromotion && named.is_none_or(|named| named == component)
    })
}

pub fn safe_and_told(rig: &Rig, done: &Rehearsed, context: &str) {
    let state = &done.ended.state;
    one_primary(rig, &done.watched_later, &done.journals, context);
    shown_is_done(done, context);
    let oracle = Oracle::new(&rig.plan, &done.watched);
    for oracle in [&oracle, &Oracle::new(&rig.plan, &done.watched_later)] {
        let early = oracle.traffic_before_database();
        assert!(early.is_none(), "traffic came before a database: {early:?}: {context}");
    }
    let simulated = (&done.truth.turns, done.truth.traffic_before_database);
    assert_eq!(simulated, (&oracle.turns(), false), "the sandbox's own truth is another: {context}");
    let legal = state.finished() || state.halted.is_some() || waits_for_silence(rig, state);
    assert!(legal, "the run ended in no legal state: {context}");
    active_told(rig, done, context);
    let lost = nonzero(oracle.lost());
    assert_eq!(nonzero(done.truth.lost_ms.clone()), lost, "rows lost by the sandbox's own truth: {context}");
    let attained = attainment(state, done.asked);
    let untold = lost.keys().find(|component| !attained.stores.contains_key(*component));
    assert!(untold.is_none(), "nothing is told of {untold:?}, which lost {lost:?}: {context}");
    for (component, (figure, exposure)) in &attained.stores {
        let lost = lost.get(component).copied().unwrap_or_default();
        let told = format!("{} from {:?}, {:?}", exposure.because, exposure.last_replayed, exposure.taken_at);
        holds(
            figure,
            lost,
            &format!("RPO of {component} ({told}, {:?}): {context}", state.debts.get(component)),
        );
    }
}

/// A person interrupted a run that waits for the result of a call that it may have made, in a site that never answers again. No run knows
/// more, so it neither repeats such a call nor gives it up.
fn waits_for_silence(rig: &Rig, state: &RunState) -> bool {
    let forever = rig.scenario.cuts.iter().flatten().any(|cut| cut.lasts.is_none());
    forever && state.mode == Mode::Paused && state.steps.iter().any(|step| step.work.overdue.is_some())
}

type Lost = BTreeMap<ComponentName, Dur>;

fn nonzero(mut lost: Lost) -> Lost {
    lost.retain(|_, lost| *lost > Dur::ZERO);
    lost
}

/// Every call that took effect is a step of a displayed runbook, or undoes one.
fn shown_is_done(done: &Rehearsed, context: &str) {
    let runbooks: Vec<_> = done.journals.iter().filter_map(|journal| runbook(journal)).collect();
    let steps = || runbooks.iter().flat_map(|r| &r.steps).map(|s| &s.action);
    let is = |shown: &Action, done: &Action| match (shown, done) {
        // A batch of changes may be made in parts.
        (Action::Op(Operation::Switch(shown)), Action::Op(Operation::Switch(done))) => {
            shown.zone == done.zone
        }
        (shown, done) => shown == done,
    };
    for (at, bytes) in &done.notes {
        let Ok(action) = serde_json::from_slice::<Action>(bytes) else { continue };
        let undone = |shown: &Action| matches!(shown.undo(), Undo::By(undo) if is(&undo, &action));
        // A requested promotion that would lose more than was accepted is withdrawn through its host.
        let withdrawn = |shown: &Action| matches!((shown, &action), (Action::Op(Operation::Promote(Promote { db, .. })), Action::Op(Operation::Withdraw(Withdraw { db: of }))) if db == of);
        let shown = steps().any(|shown| is(shown, &action) || undone(shown) || withdrawn(shown));
        assert!(shown, "nobody was shown this, at {at}: {action:?}: {context}");
    }
}

/// An upper bound is not below the truth, a lower bound not above it, and a measured figure equals it; and a figure never proves something
/// that is not true.
fn holds(figure: &Figure, truth: Dur, context: &str) {
    assert!(!flatters(figure, truth), "flatters: {figure} against {truth}: {context}");
    match (figure.basis, figure.value_ms) {
        (Basis::Measured, Some(v)) => assert_eq!(v, truth, "not the truth: {context}"),
        (Basis::UpperBound, Some(v)) => assert!(v >= truth, "flatters: {v} against {truth}: {context}"),
        (Basis::LowerBound, Some(v)) => assert!(v <= truth, "too much: {v} against {truth}: {context}"),
        (Basis::Unknown, None) => {}
        (basis, value) => panic!("{basis} with {value:?}: {context}"),
    }
}

/// Whether it proves an objective that was missed by a millisecond.
fn flatters(figure: &Figure, truth: Dur) -> bool {
    truth > Dur::ZERO && figure.proves(Dur(truth.millis() - 1))
}

/// Compares the active site as drctl sees it, and the names of a recovered application, with the truth.
fn active_told(rig: &Rig, done: &Rehearsed, context: &str) {
    let (told, [began, ended]) = &done.active;
    // A zone lists a change as soon as it is accepted, and its servers answer with it later.
    let mut times = vec![*ended, *began, *ended + PROPAGATION];
    // A site may be out of sight for a part of the observation.
    let within = done.watched_later.moments.iter().filter(|m| *began < m.at && m.at < *ended);
    let unseen = within.clone().next_back().map(|m| &m.unseen);
    times.extend(within.filter(|m| Some(&m.unseen) != unseen).map(|m| m.at));
    // While record sets cannot be read, nobody knows where names point.
    let down = rig.scenario.dns_down > Dur::ZERO;
    let names: &[Names] = if down { &[Names::Hidden, Names::Seen] } else { &[Names::Seen] };
    let ground = |until| Watched { until, ..done.watched_later.clone() };
    let grounds: Vec<_> = times.into_iter().map(ground).collect();
    let oracles: Vec<_> = grounds.iter().map(|ground| Oracle::new(&rig.plan, ground)).collect();
    // A call of a dead process may take effect during the observation, so both states are acceptable.
    let seen = |oracle: &Oracle<'_>| {
        let of =
            |names: &Names| [Sessions::Old, Sessions::New].map(|sessions| oracle.active(*names, sessions));
        names.iter().flat_map(of).collect::<Vec<_>>()
    };
    let sites: Vec<_> = oracles.iter().flat_map(seen).collect();
    match told {
        ActiveSite::At(site) => {
            let only = sites.iter().any(|sites| sites.iter().all(|s| s == site));
            assert!(only, "active is told as {site}, not {sites:?}: {context}");
        }
        // A fence by SQL in a lost site cannot be observed.
        ActiveSite::Split(votes) if oracles.iter().all(Oracle::all_reached) => {
            let split = sites.iter().any(|s| s.len() != 1 || *s != sites[0]);
            assert!(split, "split is told ({votes:?}), not {sites:?}: {context}");
        }
        ActiveSite::Split(_) | ActiveSite::LastKnown(..) | ActiveSite::Unknown => {}
    }
    let state = &done.ended.state;
    let moved = !matches!(rig.intent, Intent::Restore | Intent::Drill | Intent::Reprotect);
    if moved && state.mode == Mode::Finished(Outcome::Recovered) && state.runbook.drill.is_none() {
        let led = oracles[0].names_lead_to(&state.runbook.to);
        assert!(led.is_ok(), "{}: {context}", led.unwrap_err());
    }
}

pub fn rto_told(rig: &Rig, done: &Rehearsed, context: &str) {
    let (state, oracle) = (&done.ended.state, Oracle::new(&rig.plan, &done.watched));
    let (every, row) = (done.recorder_every, state.runbook.probe_consecutive);
    // A failure that lasts for fewer samples than a turn needs is not seen; one that lasts for up to one interval more may be seen or not.
    let seen = [row.saturating_sub(1), row].map(|n| Dur(u64::from(n) * every.millis()));
    let outage = seen.iter().filter_map(|seen| oracle.outage_ms(*seen)).min();
    let attained = attainment(state, done.asked);
    if let (Basis::UpperBound, Some(rto)) = (attained.rto.basis, attained.rto.value_ms) {
        let exact = outage.unwrap_or_default();
        assert!(rto >= exact, "RTO flatters: {rto} against {exact}: {context}");
    }
    if let Some(exact) = outage {
        assert!(!flatters(&attained.rto, exact), "RTO flatters: {} against {exact}: {context}", attained.rto);
    }
    if let (Basis::LowerBound, Some(rto)) = (attained.rto.basis, attained.rto.value_ms) {
        // drctl cannot tell that users reach a site that it does not reach itself.
        let most = oracle.outage_of_probes(Dur::ZERO).max(oracle.outage_ms(Dur::ZERO));
        let most = most.unwrap_or_default().plus(attained.rto.resolution_ms);
        assert!(rto <= most, "RTO is too much from below: {rto} against {most}: {context}");
    }
    if let (Basis::Measured, Some(rto)) = (attained.rto.basis, attained.rto.value_ms)
        && matches!(state.mode, Mode::Finished(_))
    {
        if !done.resumed {
            let phase = state.turns["public"][0].since;
            let timeout = state.runbook.probes.iter().find(|p| p.key() == "public").map(|p| p.timeout_ms);
            let by = (every, timeout.unwrap_or_default(), row as usize);
            // A sample in the very millisecond of a turn may show either side of it.
            let sampled = [phase, phase - Dur(1)].map(|p| oracle.outage_as_sampled(p, by));
            let told = sampled.map(Option::unwrap_or_default).contains(&rto);
            assert!(told, "RTO is not the truth: {rto:?}, {sampled:?}: {context}");
        }
        let exact = outage.unwrap_or_default();
        assert!(
            rto.plus(attained.rto.resolution_ms) >= exact,
            "RTO flatters beyond its resolution: {context}"
        );
    }
}
