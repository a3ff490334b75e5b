//! The lifetime of cached answers: TTLs are lowered before planned moves, and drctl waits for them after every move.

use drctl::kinds::shared::names::{
    Answers, RecordAnswer, RecordChange, RecordPolicy, RecordSet, Switch, ZoneRef,
};
use drctl::kinds::{Fact, Operation, Role};
use drctl::model::ids::{ComponentName, SiteName};
use drctl::model::intent::Intent;
use drctl::model::time::Dur;
use drctl::planner::critical_path;
use drctl::planner::ttl::wanted;
use drctl::record::action::{Action, Undo};
use drctl::record::event::{Event, EventKind, Outcome};
use drctl::record::runbook::{Phase, Runbook};
use drctl::report::changes::changes;
use drctl::run::RunState;
use drctl::run::state::Mode;

use crate::run::resume::events;
use crate::support::rig::{Rehearsed, Rig, Seen, plan};
use crate::support::shop::{names_only, shop, until};

const WWW: &str = r#"  www:
    kind: aws.route53
    via: dns
    needs: [db]
    zone: Z1
    records:
      - {name: www.shop.example, type: A, ttl: 300s, at: {west: [192.0.2.1], east: [198.51.100.1]}}
      - {name: short.shop.example, type: A, ttl: 5s, at: {west: [192.0.2.1], east: [198.51.100.1]}}
      - name: shared.shop.example
        type: A
        ttl: 120s
        policy: weighted
        at: {west: {set: w, values: [192.0.2.2], weight: 100}, east: {set: e, values: [198.51.100.2], weight: 0}}
"#;

fn rehearse(intent: Intent, scenario: &str) -> (Rig, Rehearsed) {
    let rig = Rig { intent, ..Rig::new(plan(&shop(WWW)), scenario, 1) };
    let done = rig.rehearse().unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{intent}: {:?}", done.ended.stop);
    (rig, done)
}

fn begins(step: &str) -> impl Fn(&Event) -> bool {
    move |e| matches!(&e.what, EventKind::StepStarted { step: s } if s.as_str() == step)
}

fn ends(step: &str) -> impl Fn(&Event) -> bool {
    move |e| matches!(&e.what, EventKind::StepFinished { step: s, .. } if s.as_str() == step)
}

fn began(done: &Rehearsed, step: &str) -> usize {
    events(done).iter().position(begins(step)).unwrap_or_else(|| panic!("{step}"))
}

fn ended(done: &Rehearsed, step: &str) -> usize {
    events(done).iter().position(ends(step)).unwrap_or_else(|| panic!("{step}"))
}

/// How long resolvers may cache what a step replaced.
fn old_ttl(done: &Rehearsed, step: &str) -> Dur {
    let EventKind::StepFinished { facts, .. } = &events(done)[ended(done, step)].what else { unreachable!() };
    let ttl = |f: &Fact| if let Fact::Switched { old_ttl_ms, .. } = f { Some(*old_ttl_ms) } else { None };
    facts.iter().find_map(ttl).unwrap()
}

/// The names that are checked at the end, and for how long.
fn asked(book: &Runbook) -> (Vec<String>, Dur) {
    let found = book.steps.iter().find_map(|s| match &s.action {
        Action::Op(Operation::CheckAnswers(Answers { names, resolvers_ttl_ms: Some(ttl) })) => {
            Some((names.iter().map(|n| n.name.clone()).collect(), *ttl))
        }
        _ => None,
    });
    found.unwrap()
}

fn ttls(seen: &Seen) -> Vec<(String, u64)> {
    let records = seen.iter().find(|(key, _)| key.starts_with("records/")).unwrap().1;
    let text = serde_json::to_value(records).unwrap();
    let of = |s: &serde_json::Value| {
        (s["name"].as_str().unwrap().to_owned(), s["answer"]["values"]["ttl_s"].as_u64().unwrap())
    };
    let mut all: Vec<_> = text["sets"].as_array().unwrap().iter().map(of).collect();
    all.sort();
    all
}

#[test]
fn writes_end_when_the_long_ttl_is_over_and_the_plan_has_its_ttl_again() {
    let (rig, done) = rehearse(Intent::Switchover, "calm");
    assert_eq!(old_ttl(&done, "ttl.www"), Dur::secs(300));
    assert_eq!(old_ttl(&done, "switch.www"), Dur::secs(10));
    assert!(ended(&done, "ttl.www") < began(&done, "expire.www"));
    assert!(ended(&done, "expire.www") < began(&done, "fence.db.sql"));
    let at = |n: usize| events(&done)[n].at;
    assert!(at(ended(&done, "expire.www")).since(at(ended(&done, "ttl.www"))) >= Dur::secs(300));
    let (names, kept) = asked(&done.ended.state.runbook);
    assert_eq!((names.len(), kept), (3, Dur::secs(10)), "{names:?}");
    let (_, seen) = rig.second(&done.records, &done.notes, &[], None).unwrap();
    let mut there = ttls(&seen);
    there.dedup();
    let name = |n: &str| format!("{n}.shop.example");
    assert_eq!(there, [(name("shared"), 120), (name("short"), 5), (name("www"), 300)]);
    // Values that come and go are not drift.
    let said: Vec<_> =
        changes(&done.ended.state).into_iter().filter(|c| c.resource.contains("www.shop")).collect();
    let [one] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!((one.before.as_str(), one.after.as_str()), ("192.0.2.1 ttl 300s", "198.51.100.1 ttl 300s"));
}

#[test]
fn a_move_that_is_called_off_gives_names_their_ttl_back() {
    let (rig, done) = rehearse(Intent::Switchover, "calm");
    let (n, notes) = until(&done, ends("expire.www"));
    let (carried, during) = rig.second(&done.records[..n], &notes, &[], Some(1)).unwrap();
    assert!(
        !carried.ended.state.finished() && ttls(&during).iter().all(|(_, ttl)| *ttl <= 10),
        "{during:#?}"
    );
    let (back, seen) = rig.cancel(&done.records[..n], &notes, None);
    assert_eq!(back.ended.state.mode, Mode::Finished(Outcome::Cancelled), "{:?}", back.ended.stop);
    assert_eq!(ttls(&seen), ttls(&rig.untouched()));
    assert_eq!(changes(&back.ended.state), []);
}

/// A lower TTL moves nobody, so a cancel needs no confirmation before the fence.
#[test]
fn a_cancel_after_ttls_were_lowered_is_not_grave() {
    let (_, done) = rehearse(Intent::Switchover, "calm");
    let off = |step: &str| RunState::fold(&events(&done)[..=ended(&done, step)]).unwrap().called_off();
    let lowered = off("ttl.www");
    assert!(!lowered.grave && lowered.undone.contains(&"ttl.www".to_owned()), "{lowered:?}");
    assert!(off("fence.db.sql").grave);
}

#[test]
fn a_failover_waits_for_no_ttl_and_asks_until_the_old_one_is_over() {
    let (_, done) = rehearse(Intent::Failover, "region-lost");
    let book = &done.ended.state.runbook;
    assert!(
        !book.steps.iter().any(|s| s.id.as_str().starts_with("ttl.") || s.id.as_str().starts_with("expire."))
    );
    assert_eq!(asked(book).1, Dur::secs(300));
    // No check that users are served waits for resolvers.
    let step = |id: &str| book.steps.iter().find(|s| s.id.as_str() == id).unwrap();
    assert_eq!(step("resolvers.www").phase, Phase::Watch);
    let waits = |id: &str| step(id).needs.iter().any(|n| n.step.as_str() == "resolvers.www");
    assert!(!waits("confirm.app") && !waits("watch"));
    assert!(ended(&done, "confirm.app") < ended(&done, "watch"));
}

/// While at home, that name alternates between both sites, so no answer is wrong.
#[test]
fn a_name_that_sites_share_is_not_asked_for() {
    let plan = plan(&shop(WWW).replace("weight: 0", "weight: 10"));
    let Role::Traffic(zone) = plan.components[&ComponentName::new("www")].role() else { panic!() };
    let home = SiteName::new("west");
    let names = |to: &str| {
        let asked = wanted(zone, &SiteName::new(to), &home, |_| true);
        asked.into_iter().map(|n| format!("{} {}", n.name, n.values.join(","))).collect::<Vec<_>>()
    };
    assert_eq!(names("west"), ["short.shop.example 192.0.2.1", "www.shop.example 192.0.2.1"]);
    let [shared, short, www] = names("east").try_into().unwrap();
    assert!(
        shared.ends_with("198.51.100.2") && short.ends_with("198.51.100.1") && www.ends_with("198.51.100.1")
    );
}

/// The move is done except for the watch: traffic is undone first, and then the TTL is restored.
#[test]
fn a_move_of_names_alone_is_called_off_after_it_was_done() {
    let rig = Rig { intent: Intent::Switchover, ..Rig::new(plan(&names_only(WWW)), "calm", 1) };
    let done = rig.rehearse().unwrap();
    let (n, notes) = until(&done, begins("watch"));
    let (back, seen) = rig.cancel(&done.records[..n], &notes, None);
    assert_eq!(back.ended.state.mode, Mode::Finished(Outcome::Cancelled), "{:?}", back.ended.stop);
    assert_eq!(ttls(&seen), ttls(&rig.untouched()));
    assert_eq!(changes(&back.ended.state), []);
}

/// A cancel admits users before it restores TTLs.
#[test]
fn nobody_is_kept_out_for_a_ttl() {
    let (rig, done) = rehearse(Intent::Switchover, "calm");
    let (n, notes) = until(&done, ends("fence.db.sql"));
    let (back, seen) = rig.cancel(&done.records[..n], &notes, None);
    assert_eq!(back.ended.state.mode, Mode::Finished(Outcome::Cancelled), "{:?}", back.ended.stop);
    let undone = |step: &str| {
        let of = |w: &EventKind| matches!(w, EventKind::StepUndone { step: s, .. } if s.as_str() == step);
        events(&back).iter().position(|e| of(&e.what)).unwrap_or_else(|| panic!("{step}"))
    };
    assert!(undone("fence.db.sql") < undone("ttl.www"));
    assert_eq!(ttls(&seen), ttls(&rig.untouched()));
}

/// Sets of one name share a TTL: if one is not in the plan, none is changed.
#[test]
fn a_name_with_sets_that_the_plan_does_not_know_keeps_its_ttl() {
    let mut rig = Rig { intent: Intent::Switchover, ..Rig::new(plan(&shop(WWW)), "calm", 1) };
    let set = RecordSet {
        name: "shared.shop.example".to_owned(),
        rtype: "A".to_owned(),
        set_identifier: Some("n".to_owned()),
        policy: RecordPolicy::Weighted { weight: 0 },
        answer: RecordAnswer::Values { ttl_s: 120, values: vec!["203.0.113.2".to_owned()] },
        health_check: None,
    };
    let zone = done_zone(&rig);
    rig.deeds = vec![Action::Op(Operation::Switch(Switch {
        zone,
        changes: vec![RecordChange::seen(None, Some(set))],
    }))];
    let done = rig.rehearse().unwrap();
    let lowered = done.ended.state.runbook.steps.iter().find_map(|s| match &s.action {
        Action::Op(Operation::Switch(s)) if s.only_ttl().is_some() => Some(s.names()),
        _ => None,
    });
    assert_eq!(lowered.unwrap(), [("www.shop.example".to_owned(), "A".to_owned())]);
}

fn done_zone(rig: &Rig) -> ZoneRef {
    let book =
        Rig { intent: Intent::Switchover, ..Rig::new(rig.plan.clone(), "calm", 1) }.rehearse().unwrap();
    let zone =
        |a: &Action| if let Action::Op(Operation::Switch(s)) = a { Some(s.zone.clone()) } else { None };
    book.ended.state.runbook.steps.iter().find_map(|s| zone(&s.action)).unwrap()
}

/// Another tool restores a TTL during the wait for the old one: it is lowered again while users are served.
#[test]
fn a_ttl_that_was_reverted_meanwhile_is_set_again_before_writes_end() {
    let (rig, done) = rehearse(Intent::Switchover, "calm");
    let (n, mut notes) = until(&done, ends("ttl.www"));
    let at = events(&done)[n - 1].at;
    let ttl = done.ended.state.runbook.steps.iter().find(|s| s.id.as_str() == "ttl.www").unwrap();
    let Undo::By(back) = ttl.action.undo() else { panic!() };
    notes.push((at, serde_json::to_vec(&back).unwrap()));
    let (carried, _) = rig.second(&done.records[..n], &notes, &[], None).unwrap();
    assert_eq!(carried.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", carried.ended.stop);
    assert!(ended(&carried, "ttl-stands.www") < began(&carried, "fence.db.sql"));
    assert_eq!(old_ttl(&carried, "ttl-stands.www"), Dur::secs(300));
    assert_eq!(old_ttl(&carried, "switch.www"), Dur::secs(10));
}

/// Whether this much time really passed is unknown: resolvers may still have the old answer.
#[test]
fn a_clock_that_jumps_ahead_does_not_end_the_wait_for_resolvers() {
    let (rig, whole) = rehearse(Intent::Switchover, "calm");
    let (n, notes) = until(&whole, begins("expire.www"));
    let mut prefix = events(&whole)[..n].to_vec();
    let jump = Dur::mins(20);
    let at = prefix[n - 1].at + jump;
    prefix.push(Event { at, what: EventKind::ClockJumped { forward_ms: jump, backward_ms: Dur::ZERO } });
    let done = rig.carry_on(&Rig::journal_of(&prefix), &notes);
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    let waited = events(&done)[ended(&done, "expire.www")].at.since(at);
    assert_eq!(waited, old_ttl(&whole, "ttl.www"));
}

/// The wait of a planned move between the switch and the standby, with a name for the database itself, if `server` is the database's
/// address.
fn waits_before_the_standby(needs: &str, rtype: &str, west: &str, server: &str) -> Option<Dur> {
    let at = |site: &str, server: &str| {
        format!(
            "      {site}: {{endpoint: \"{server}:5432/app\", admin: {{secret: \"file:a\"}}, host: {{run: [ssh, x], data: /data, replication: {{secret: \"file:r\"}}}}}}\n"
        )
    };
    let plan = plan(&format!(
        "plan: orders\nobjectives: {{rto: 20m, rpo: 5m}}\nsites:\n  west: {{region: us-west-2}}\n  east: {{region: us-east-1}}\nconnections:\n  dns: {{}}\nhome: west\ncomponents:\n  db:\n    kind: postgres\n    fence: [sql]\n    at:\n{}{}  nodes:\n    kind: aws.autoscaling\n    needs: [db]\n    at:\n      west: {{group: w, capacity_floor: 2}}\n      east: {{group: e, capacity_floor: 2}}\n  names:\n    kind: aws.route53\n    via: dns\n    needs: [{needs}]\n    zone: Z1\n    records:\n      - {{name: db.shop.example, type: {rtype}, ttl: 300s, at: {{west: [{west}], east: [elsewhere.example]}}}}\n",
        at("west", server),
        at("east", "east.example"),
    ).replace("[elsewhere.example]", if rtype == "A" { "[198.51.100.9]" } else { "[elsewhere.example]" }));
    let rig = Rig { intent: Intent::Switchover, ..Rig::new(plan, "calm", 1) };
    let done = rig.rehearse().unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    assert!(ended(&done, "switch.names") < began(&done, "rejoin.db.west"));
    let all = events(&done);
    all.iter().position(begins("expire.db.west")).map(|begun| {
        let over = ended(&done, "expire.db.west");
        assert!(ended(&done, "switch.names") < begun && over < began(&done, "rejoin.db.west"));
        all[over].at.since(all[begun].at)
    })
}

/// A session that connects to the old address by a cached answer would stay on the standby, which refuses every write.
#[test]
fn an_old_primary_is_no_standby_while_resolvers_still_lead_clients_to_it() {
    let low = Some(Dur(10_000));
    assert_eq!(waits_before_the_standby("db", "CNAME", "west.example", "west.example"), low);
    assert_eq!(waits_before_the_standby("db", "CNAME", "West.Example.", "west.example"), low);
    assert_eq!(waits_before_the_standby("db", "A", "192.0.2.1", "192.0.2.1"), low);
    // It may be that host's address.
    assert_eq!(waits_before_the_standby("db", "A", "192.0.2.1", "west.example"), low);
    // These names point elsewhere, and clients that know both servers need a standby soon.
    assert_eq!(waits_before_the_standby("db", "A", "192.0.2.1", "192.0.2.7"), None);
    assert_eq!(waits_before_the_standby("db", "CNAME", "front.example", "west.example"), None);
    assert_eq!(waits_before_the_standby("nodes", "A", "192.0.2.1", "192.0.2.1"), None);
}

/// Users with a cached old answer are not served until it expires, so the predicted time includes that, whether or not a step checks
/// resolvers.
#[test]
fn the_expected_time_has_the_waiting_for_resolvers_in_it() {
    let text = include_str!("../../../plans/truststream.yaml");
    let expected = |ttl: &str, shared: bool| {
        let text = text.replace("type: A, ttl: 60s,", &format!("type: A, ttl: {ttl},"));
        let mut plan = plan(&text);
        plan.objectives.rto_ms = Dur::mins(600);
        let rig = Rig { intent: Intent::Failover, ..Rig::new(plan, "region-lost", 1) };
        let mut book = rig.rehearse().unwrap().ended.state.runbook;
        if shared {
            // Names with weighted answers have no single answer to check.
            book.steps.retain(|s| !s.id.as_str().starts_with("resolvers."));
        }
        critical_path::critical(&book)
    };
    for shared in [false, true] {
        let (short, long) = (expected("60s", shared), expected("10m", shared));
        assert_eq!(Dur(long.expected.millis() - short.expected.millis()), Dur::mins(9), "{short:?} {long:?}");
        let last = if shared { "switch.www" } else { "resolvers.www" };
        assert_eq!(long.steps.last().unwrap().as_str(), last, "{long:?}");
    }
}

/// In a planned move nobody raises the TTL again: the second step sees that it stands, and calls nothing that would be refused.
#[test]
fn a_ttl_that_stands_is_seen_without_a_call() {
    let (_, done) = rehearse(Intent::Switchover, "calm");
    let of = |e: &&Event| match &e.what {
        EventKind::CallIntended { step, .. } | EventKind::CallRefused { step, .. } => {
            step.as_str() == "ttl-stands.www"
        }
        _ => false,
    };
    assert!(ended(&done, "ttl-stands.www") < began(&done, "fence.db.sql"));
    assert_eq!(events(&done).iter().find(of), None);
}
