//! Names that nobody observed before the runbook was made: they are read right before the change, and recorded with it.

use std::collections::BTreeSet;

use drctl::kinds::shared::names::{Basis, RecordChange, RecordSet, Switch};
use drctl::kinds::{FoundValues, Operation, Role, State};
use drctl::model::ids::{ComponentName, SiteName};
use drctl::model::intent::Intent;
use drctl::model::time::Dur;
use drctl::model::waiver::Rule;
use drctl::plan::Plan;
use drctl::record::action::Action;
use drctl::record::event::{Direction, Event, EventKind, Outcome};
use drctl::report::changes::changes;
use drctl::run::continued::written;
use drctl::run::state::Mode;

use crate::run::hard_cases::waiver;
use crate::run::resume::events;
use crate::support::rig::{Listing, Rehearsed, Rig, Seen, plan};
use crate::support::shop::{names_only, shop, until};

const WWW: &str = r#"  www:
    kind: aws.route53
    via: dns
    needs: [db]
    zone: Z1
    records:
      - {name: www.shop.example, type: A, ttl: 300s, at: {west: [192.0.2.1], east: [198.51.100.1]}}
      - name: shared.shop.example
        type: A
        ttl: 120s
        policy: weighted
        at: {west: {set: w, values: [192.0.2.2], weight: 100}, east: {set: e, values: [198.51.100.2], weight: 0}}
"#;

/// The same with a third site.
const THREE: &str = "plan: three\nobjectives: {rto: 20m, rpo: 5m}\nsites: {west: {region: us-west-2}, east: {region: us-east-1}, zold: {region: eu-west-1}}\nconnections: {dns: {}}\nhome: west\ncomponents:\n  www:\n    kind: aws.route53\n    via: dns\n    zone: Z1\n    records:\n      - {name: a.shop.example, type: A, ttl: 20s, at: {west: [192.0.2.1], east: [198.51.100.1], zold: [203.0.113.1]}}\n      - {name: b.shop.example, type: A, ttl: 20s, at: {west: [192.0.2.1], east: [198.51.100.1], zold: [203.0.113.1]}}\nprobes:\n  - {name: app, role: public, http: \"https://a.shop.example/\", every: 5s, timeout: 3s}\n";

fn unseen(text: &str, scenario: &str) -> Rig {
    Rig { listing: Listing::NeverAnswered, ..Rig::new(plan(text), scenario, 1) }
}

/// The record sets of the plan while a site is active.
fn sets(plan: &Plan, site: &str) -> Vec<RecordSet> {
    let Role::Traffic(spec) = plan.components[&ComponentName::new("www")].role() else { panic!() };
    let (site, home) = (SiteName::new(site), plan.home.value.clone());
    spec.records.iter().flat_map(|r| r.sets_when_active(&site, &home)).collect()
}

/// The record sets at the end, sorted.
fn there(seen: &Seen) -> BTreeSet<RecordSet> {
    let records = seen.iter().find(|(key, _)| key.starts_with("records/")).unwrap().1;
    let State::Records(records) = records else { panic!() };
    records.sets.iter().cloned().collect()
}

fn left_there(rig: &Rig, done: &Rehearsed) -> BTreeSet<RecordSet> {
    let (_, seen) = rig.second(&done.records, &done.notes, &[], None).unwrap();
    there(&seen)
}

fn switch(done: &Rehearsed) -> Switch {
    let step = done.ended.state.runbook.steps.iter().find(|s| s.id.as_str() == "switch.www").unwrap();
    let Action::Op(Operation::Switch(switch)) = &step.action else { panic!() };
    switch.clone()
}

/// What each call of the switch has read.
fn read(done: &Rehearsed) -> Vec<Option<FoundValues>> {
    let of = |e: Event| match e.what {
        EventKind::CallIntended { step, direction: Direction::Do, found, .. }
            if step.as_str() == "switch.www" =>
        {
            Some(found)
        }
        _ => None,
    };
    events(done).into_iter().filter_map(of).collect()
}

/// Somebody changes a set before the run, unobserved.
fn deed(rig: &Rig, changed: impl Fn(&RecordSet) -> RecordSet) -> Vec<Action> {
    let healthy = Rig { listing: Listing::Answers, ..rig.clone() };
    let zone = switch(&healthy.rehearse().unwrap()).zone;
    let was = sets(&rig.plan, rig.plan.home.value.as_str());
    let change = |set: RecordSet| {
        let after = changed(&set);
        (after != set).then(|| RecordChange::seen(Some(set), Some(after)))
    };
    vec![Action::Op(Operation::Switch(Switch {
        zone,
        changes: was.into_iter().filter_map(change).collect(),
    }))]
}

#[test]
fn names_that_were_never_seen_move_from_what_the_plan_declares() {
    let rig = unseen(&shop(WWW), "region-lost");
    let done = rig.rehearse().unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    let book = &done.ended.state.runbook;
    assert!(switch(&done).changes.iter().all(|c| c.basis == Basis::Declared && c.before.is_some()));
    let note = "record sets of `www` were never observed. Each one is read right before the change, and replaced only if it matches the declaration in the plan for west";
    assert!(book.notes.iter().any(|n| n == note), "{:?}", book.notes);
    let [Some(FoundValues::Sets(found))] = &read(&done)[..] else { panic!("{:?}", read(&done)) };
    let found: BTreeSet<_> = found.iter().filter_map(|f| f.set.clone()).collect();
    assert_eq!(found, sets(&rig.plan, "west").into_iter().collect(), "what was read is in the journal");
    assert_eq!(left_there(&rig, &done), sets(&rig.plan, "east").into_iter().collect());
    let said = changes(&done.ended.state);
    let www = said.iter().find(|c| c.resource.contains("www.shop")).unwrap();
    assert_eq!((www.before.as_str(), www.after.as_str()), ("192.0.2.1 ttl 300s", "198.51.100.1 ttl 300s"));
}

/// If the target state exists already nothing is done, for all of a name or for half of a pair.
#[test]
fn what_is_as_it_shall_be_is_left_alone() {
    let east = |rig: &Rig| sets(&rig.plan, "east");
    let half = |set: &RecordSet, to: &[RecordSet]| match set.set_identifier.as_deref() {
        Some("e") => to.iter().find(|s| s.same_set(set)).unwrap().clone(),
        _ => set.clone(),
    };
    let rig = unseen(&shop(WWW), "region-lost");
    let target = east(&rig);
    let all = |set: &RecordSet| target.iter().find(|s| s.same_set(set)).unwrap().clone();
    let there_already = Rig { deeds: deed(&rig, all), ..rig.clone() }.rehearse().unwrap();
    assert_eq!(there_already.ended.state.mode, Mode::Finished(Outcome::Recovered));
    assert_eq!(read(&there_already), [], "nothing was called");
    for listing in [Listing::NeverAnswered, Listing::Fails] {
        let pair = Rig { deeds: deed(&rig, |set| half(set, &target)), listing, ..rig.clone() };
        let done = pair.rehearse().unwrap();
        assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
        assert_eq!(left_there(&pair, &done), target.iter().cloned().collect(), "{listing:?}");
        let touched = changes(&done.ended.state);
        assert!(!touched.iter().any(|c| c.resource.ends_with("(e)")), "it was not changed: {touched:?}");
    }
}

/// Any other value stops the change, including that of a third site, and the message shows both. The other names move.
#[test]
fn what_is_neither_declared_nor_the_target_halts_and_shows_both() {
    let rig = unseen(THREE, "calm");
    let rig = Rig { intent: Intent::Switchover, to: Some(SiteName::new("east")), ..rig };
    let elsewhere = sets(&rig.plan, "zold").remove(0);
    let third = |set: &RecordSet| if set.same_set(&elsewhere) { elsewhere.clone() } else { set.clone() };
    let longer = |set: &RecordSet| if set.same_set(&elsewhere) { set.with_ttl(77) } else { set.clone() };
    for (deeds, is) in [(deed(&rig, third), "203.0.113.1 ttl 20s"), (deed(&rig, longer), "192.0.2.1 ttl 77s")]
    {
        let rig = Rig { deeds, from: Some(SiteName::new("west")), ..rig.clone() };
        let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
        let reason = done.ended.state.steps.iter().find_map(|s| s.work.reason.clone()).unwrap();
        let said = format!(
            "1 of 2 names were not switched: a.shop.example A (it is {is}, but the plan declares 192.0.2.1 ttl 20s for the source site; drctl had not observed it before); correct them and resume, or plan again"
        );
        assert_eq!(reason, said);
        let left = left_there(&rig, &done);
        assert!(left.contains(&sets(&rig.plan, "east")[1]) && !left.contains(&sets(&rig.plan, "east")[0]));
    }
}

/// A run that lowered TTLs was interrupted. The next one cannot list the zone, and knows it only from before.
#[test]
fn what_a_run_wrote_itself_is_no_change_by_somebody() {
    let first = Rig { intent: Intent::Switchover, ..Rig::new(plan(&shop(WWW)), "calm", 1) };
    let lowered = first.rehearse().unwrap();
    let ends =
        |e: &Event| matches!(&e.what, EventKind::StepFinished { step, .. } if step.as_str() == "ttl.www");
    let (n, notes) = until(&lowered, ends);
    let state =
        drctl::executor::create::replay(&crate::support::rig::run_id(), &lowered.records[..n]).unwrap();
    for listing in [Listing::Fails, Listing::NeverAnswered] {
        let waivers = vec![waiver(Rule::HealthySource, Dur::ZERO)];
        let mut next = Rig { listing, written: written(&state), waivers, ..first.clone() };
        let done = next.take_over(&lowered.records[..n], &notes, &[]).unwrap();
        assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
        assert!(switch(&done).changes.iter().all(|c| c.basis == Basis::Seen), "it is known from the journal");
    }
}

/// The run lowers TTLs, and another tool restores them right before the switch. This run recognizes that value as well.
#[test]
fn a_ttl_that_came_back_is_one_that_this_run_knows() {
    let rig = Rig { intent: Intent::Switchover, ..Rig::new(plan(&shop(WWW)), "calm", 1) };
    let done = rig.rehearse().unwrap();
    let begins =
        |e: &Event| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "switch.www");
    let (n, mut notes) = until(&done, begins);
    let at = events(&done)[n - 1].at;
    let ttl = done.ended.state.runbook.steps.iter().find(|s| s.id.as_str() == "ttl.www").unwrap();
    let Action::Op(Operation::Switch(lowering)) = &ttl.action else { panic!() };
    notes.push((at, serde_json::to_vec(&Action::Op(Operation::Switch(lowering.reversed()))).unwrap()));
    let (carried, seen) = rig.second(&done.records[..n], &notes, &[], None).unwrap();
    assert_eq!(carried.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", carried.ended.stop);
    assert_eq!(there(&seen), sets(&rig.plan, "east").into_iter().collect());
}

/// After a kill at any point the run ends the same way, and a cancel restores what was read: the TTL of the zone, not the plan's.
#[test]
fn a_run_that_never_saw_its_names_is_carried_on_and_taken_back_from_anywhere() {
    let from = Some(SiteName::new("west"));
    let rig = Rig { intent: Intent::Switchover, from, ..unseen(&names_only(WWW), "calm") };
    let whole = rig.rehearse().unwrap();
    assert_eq!(whole.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", whole.ended.stop);
    let all = events(&whole);
    let over = all.iter().position(|e| matches!(e.what, EventKind::RunFinished { .. })).unwrap();
    for n in 1..=over {
        let at = all[n - 1].at;
        let notes: Vec<_> = whole.notes.iter().filter(|(then, _)| *then <= at).cloned().collect();
        let carried = rig.carry_on(&whole.records[..n], &notes);
        assert_eq!(
            carried.ended.state.mode,
            Mode::Finished(Outcome::Recovered),
            "{n}: {:?}",
            carried.ended.stop
        );
        assert_eq!(left_there(&rig, &carried), sets(&rig.plan, "east").into_iter().collect(), "{n}");
        let (back, seen) = rig.cancel(&whole.records[..n], &notes, None);
        assert_eq!(back.ended.state.mode, Mode::Finished(Outcome::Cancelled), "{n}: {:?}", back.ended.stop);
        assert_eq!(there(&seen), there(&rig.untouched()), "{n}");
    }
}

/// A name that drctl had seen, and that somebody changed since.
#[test]
fn what_somebody_changed_since_it_was_seen_halts_and_shows_both() {
    let east = Some(SiteName::new("east"));
    let rig = Rig { intent: Intent::Switchover, to: east, ..Rig::new(plan(THREE), "calm", 1) };
    let elsewhere = sets(&rig.plan, "zold").remove(0);
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let begins =
        |e: &Event| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "switch.www");
    let (n, mut notes) = until(&done, begins);
    let at = events(&done)[n - 1].at;
    // The run may have lowered its TTL. Only the change that finds its set is made.
    let was = sets(&rig.plan, "west").remove(0);
    for before in [was.with_ttl(10), was] {
        let changes = vec![RecordChange::seen(Some(before), Some(elsewhere.clone()))];
        let by_hand = Action::Op(Operation::Switch(Switch { zone: switch(&done).zone, changes }));
        notes.push((at, serde_json::to_vec(&by_hand).unwrap()));
    }
    let (carried, _) = rig.second(&done.records[..n], &notes, &[], None).unwrap();
    let reason = carried.ended.state.steps.iter().find_map(|s| s.work.reason.clone());
    let reason = reason.unwrap_or_else(|| panic!("{:?}", carried.ended.stop));
    let is = "a.shop.example A (it is 203.0.113.1 ttl 20s, but the runbook expects 192.0.2.1 ttl ";
    assert!(reason.contains(is) && reason.contains("somebody changed it"), "{reason}");
}
