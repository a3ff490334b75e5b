//! Drills: a tabletop drill changes nothing, one that moves users is called off when they are affected, and each drill is marked as such.

use std::collections::BTreeSet;

use drctl::inventory::Estate;
use drctl::kinds::world::feed::Feed;
use drctl::model::ids::{ProbeName, SiteName};
use drctl::model::intent::{Drill, Intent};
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Rule;
use drctl::record::event::{Event, EventKind, Outcome, WorldKind};
use drctl::record::runbook::{Probe, ProbeRole, ProbeVia};
use drctl::run::state::Mode;
use drctl::run::{Effect, RunState, Stop, decide};
use serde_json::{Value, json};

use crate::cli::contract::{Folder, finish};
use crate::run::clocks::after;
use crate::run::resume::events;
use crate::support::rig::{BEGAN, Rehearsed, Rig, truststream};
use crate::support::shop::until;

pub fn live() -> Rig {
    let rig = Rig::new(truststream(), "calm", 1);
    Rig { intent: Intent::Switchover, drill: Some(Drill::Live), ..rig }
}

pub fn rehearsed(rig: &Rig) -> Rehearsed {
    rig.rehearse().unwrap_or_else(|refusals| panic!("{refusals:#?}"))
}

/// Exit code, document and messages.
fn drill(folder: &Folder, args: &[&str]) -> (i32, Value, String) {
    let (code, out, err) = folder.run(&[&["drill", "truststream", "--output", "json"], args].concat());
    (code, serde_json::from_str(&out).unwrap_or_default(), err)
}

/// Not even a process that resumes it acts: a tabletop drill that died between its first and its last event is not a failover.
#[test]
fn nothing_of_a_tabletop_drill_is_ever_done() {
    let rig = Rig { drill: Some(Drill::Tabletop), ..Rig::new(truststream(), "calm", 1) };
    let whole = rehearsed(&rig);
    assert_eq!(whole.ended.state.mode, Mode::Finished(Outcome::Read));
    let all = events(&whole);
    assert!(
        all.iter().all(|e| !matches!(e.what, EventKind::CallIntended { .. } | EventKind::StepStarted { .. }))
    );
    let over = Effect::Record(vec![EventKind::RunFinished { outcome: Outcome::Read }]);
    for n in 1..all.len() {
        let state = RunState::fold(&all[..n]).unwrap();
        assert_eq!(decide(&state, state.last_at), std::slice::from_ref(&over), "after {n} events");
    }
    // A rehearsal that is moved to the real world ends there as well; in its sandbox it continues.
    let rig = Rig { drill: Some(Drill::Rehearsal), ..Rig::new(truststream(), "region-lost", 1) };
    let mut begun = events(&rehearsed(&rig))[..3].to_vec();
    let goes_on = |events: &[Event]| {
        let state = RunState::fold(events).unwrap();
        decide(&state, state.last_at) != [over.clone()]
    };
    assert!(goes_on(&begun));
    let EventKind::RunCreated(created) = &mut begun[0].what else { panic!("{begun:#?}") };
    created.world = WorldKind::Live;
    assert!(!goes_on(&begun));
}

pub fn fails(whole: &Rehearsed) -> EventKind {
    let good = |e: &&Event| matches!(&e.what, EventKind::ProbeTurned { probe, .. } if probe == "public");
    let first = events(whole).into_iter().find(|e| good(&e)).unwrap();
    let EventKind::ProbeTurned { probe, detail, .. } = first.what else { unreachable!() };
    EventKind::ProbeTurned { probe, good: false, since: BEGAN + Dur::mins(5), last_other: None, detail }
}

fn called_off(state: &RunState) -> Option<String> {
    decide(state, state.last_at).into_iter().find_map(|effect| match effect {
        Effect::Record(events) => events.into_iter().find_map(|what| match what {
            EventKind::CancelRequested { reason, .. } => Some(reason),
            _ => None,
        }),
        _ => None,
    })
}

#[test]
fn a_live_drill_is_called_off_while_it_can_be() {
    let whole = rehearsed(&live());
    let all = events(&whole);
    let bad = fails(&whole);
    // Before anything affects users: at once.
    let (n, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "fence.db.sql"),
    );
    let state = after(&all[..n], vec![(Dur::secs(1), bad.clone())]);
    assert!(called_off(&state).unwrap().contains("has not affected users"), "{:?}", called_off(&state));
    // While its own fence keeps users out: after the objective has passed, and then at once.
    let (n, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str() == "fence.db.sql"),
    );
    let since = all[n - 1].at;
    let EventKind::ProbeTurned { probe, detail, .. } = bad else { unreachable!() };
    let bad = EventKind::ProbeTurned { probe, good: false, since, last_other: None, detail };
    let early = after(&all[..n], vec![(Dur::secs(10), bad.clone())]);
    assert_eq!(called_off(&early), None);
    let due = since + early.runbook.objectives.rto_ms;
    assert!(decide(&early, early.last_at).contains(&Effect::WakeAt(due)), "nothing wakes it at {due}");
    let late = after(&all[..n], vec![(early.runbook.objectives.rto_ms, bad.clone())]);
    assert!(called_off(&late).unwrap().contains("longer than the objective"), "{:?}", called_off(&late));
    // After the point of no return, continuing is the shorter way.
    let (n, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db"),
    );
    let promoting = after(&all[..n], vec![(Dur::mins(60), bad.clone())]);
    assert_eq!(called_off(&promoting), None);
    // A run that is not a drill is never called off.
    let rig = Rig { drill: None, ..live() };
    let plain = rehearsed(&rig);
    let (n, _) = until(
        &plain,
        |e| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "fence.db.sql"),
    );
    assert_eq!(called_off(&after(&events(&plain)[..n], vec![(Dur::mins(60), bad)])), None);
}

/// Whoever reads that production moved believes that it did.
#[test]
fn a_live_drill_has_moved_production_once_it_did() {
    let whole = rehearsed(&live());
    let all = events(&whole);
    let means = |events: &[Event], world: Option<WorldKind>| {
        let mut state = RunState::fold(events).unwrap();
        if let Some(world) = world {
            state.created.world = world;
        }
        drctl::run::drill::means(&state).unwrap()
    };
    let (moves, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db"),
    );
    for (n, words) in [
        (3, "production moves if the run continues."),
        (moves, "production moved. The drill proves the time"),
        (all.len(), "production moved. The drill proves the time"),
    ] {
        let said = means(&all[..n], Some(WorldKind::Live));
        assert!(said.starts_with(words), "after {n} events: {said}");
    }
    let said = means(&all, None);
    assert!(said.starts_with("production moves in a live run, which proves"), "{said}");
}

/// On the return users may be affected, because that may be its reason. It is not called off, and users then stay at home for the full
/// time.
#[test]
fn the_way_back_is_not_called_off() {
    let rig = Rig { returns: true, scenario: Rig::new(truststream(), "region-slow", 1).scenario, ..live() };
    // Nor because of users who are affected before it starts, unlike the first move.
    let whole = rehearsed(&rig);
    let (n, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "evidence.before"),
    );
    let state = after(&events(&whole)[..n], vec![(Dur::mins(60), fails(&whole))]);
    assert_eq!(called_off(&state), None);
    let way_there = Rig { returns: false, ..live() };
    let there = rehearsed(&way_there);
    let (n, _) = until(
        &there,
        |e| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "evidence.before"),
    );
    assert!(called_off(&after(&events(&there)[..n], vec![(Dur::secs(1), fails(&there))])).is_some());
}

#[test]
fn a_live_drill_stays_no_longer_where_users_fail() {
    let whole = rehearsed(&live());
    let (n, _) =
        until(&whole, |e| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "watch"));
    let state = after(&events(&whole)[..n], vec![(Dur::secs(1), fails(&whole))]);
    let left = |effect: &Effect| {
        match effect {
        Effect::Record(events) => events.iter().any(|what| {
            matches!(what, EventKind::StepSkipped { step, reason, .. } if step.as_str() == "watch" && reason.starts_with("called off: public has failed"))
        }),
        _ => false,
    }
    };
    assert!(decide(&state, state.last_at).iter().any(left));
    let served = RunState::fold(&events(&whole)[..n]).unwrap();
    assert!(!decide(&served, served.last_at).iter().any(left));
}

/// A live drill does not move users who are affected already, or who are not watched by a probe.
#[test]
fn a_live_drill_needs_users_that_are_served() {
    let facts = |rig: &Rig| {
        let refusals = rig.rehearse().map(|_| ()).unwrap_err();
        let rules: BTreeSet<Rule> = refusals.iter().map(|r| r.rule).collect();
        let facts = refusals.into_iter().map(|r| r.facts).collect::<Vec<_>>().join("; ");
        (rules.into_iter().collect::<Vec<_>>(), facts)
    };
    let mut unwatched = live();
    unwatched.plan.probes.clear();
    let (rules, said) = facts(&unwatched);
    assert!(rules == [Rule::NotRecoverable] && said.contains("nothing would stop the drill"), "{said}");
    let lost = Rig { scenario: Rig::new(truststream(), "region-slow", 1).scenario, ..with_an_alarm() };
    let (rules, said) = facts(&lost);
    assert_eq!(rules, [Rule::DrillBlocked]);
    let alarm = format!("alarm {ALARM} is on");
    assert!(said.contains("public is bad: users already fail") && said.contains(&alarm), "{said}");
}

const ALARM: &str = "errors@us-west-2";

fn with_an_alarm() -> Rig {
    let mut rig = live();
    let site = SiteName::new("us-west-2");
    let place = rig.plan.sites[&site].place.clone();
    let mut probe = rig.plan.probes[0].clone();
    probe.value = Probe {
        name: ProbeName::new("errors"),
        role: ProbeRole::Alarm,
        site: Some(site),
        via: ProbeVia::Alarm { place, alarm: "orders-5xx".to_owned() },
        ..probe.value
    };
    rig.plan.probes.push(probe);
    rig
}

/// An alarm calls off a live drill in the same way, and has no effect on a failover.
#[test]
fn an_alarm_calls_a_live_drill_off_and_is_not_asked_by_anything_else() {
    let whole = rehearsed(&with_an_alarm());
    let bad = |since| EventKind::ProbeTurned {
        probe: ALARM.to_owned(),
        good: false,
        since,
        last_other: None,
        detail: "ALARM".to_owned(),
    };
    let (n, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "fence.db.sql"),
    );
    let state = after(&events(&whole)[..n], vec![(Dur::secs(1), bad(BEGAN + Dur::mins(5)))]);
    let why = called_off(&state).unwrap();
    assert!(why.contains(&format!("{ALARM} has failed since")), "{why}");
    let (n, _) =
        until(&whole, |e| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "watch"));
    let there = &events(&whole)[..n];
    let state = after(there, vec![(Dur::secs(1), bad(there[n - 1].at))]);
    let skipped = |effect: &Effect| matches!(effect, Effect::Record(all) if all.iter().any(|what| matches!(what, EventKind::StepSkipped { .. })));
    assert!(decide(&state, state.last_at).iter().any(skipped));
    for drill in [None, Some(Drill::Tabletop)] {
        let runbook = Rig { drill, ..with_an_alarm() }.rehearse().unwrap().ended.state.runbook.clone();
        assert!(!runbook.probes.is_empty() && runbook.probes.iter().all(|p| p.role != ProbeRole::Alarm));
    }
}

#[test]
fn there_and_back_and_every_word_says_that_it_was_a_drill() {
    let folder = Folder::with_plans();
    let (code, document, words) = drill(&folder, &["--mode", "live", "--sandbox", "--yes", "--hold", "5m"]);
    let [there, back] = document["runs"].as_array().unwrap().as_slice() else { panic!("{document:#}") };
    assert_eq!(code, 0, "{document:#}\n{words}");
    for (run, from, to) in [(there, "us-west-2", "us-east-1"), (back, "us-east-1", "us-west-2")] {
        assert_eq!((&run["drill"], &run["intent"]), (&json!("live"), &json!("switchover")), "{run:#}");
        assert_eq!((&run["from"], &run["to"]), (&json!(from), &json!(to)));
        assert_eq!(run["rpo"]["achieved_s"], 0.0, "{run:#}");
        // Compared with what happened in this half alone.
        assert_eq!(
            (&run["truth"]["lost_s"]["db"], &run["truth"]["two_primaries_s"]),
            (&json!(0.0), &json!(0.0))
        );
        let failed = run["truth"]["users_failed_as_sampled_s"].as_f64().unwrap();
        assert!(failed > 0.0 && run["rto"]["achieved_s"].as_f64().unwrap() >= failed, "{run:#}");
        assert!(run["run_id"].as_str().unwrap().contains("drill-live"), "{run:#}");
        let watch = run["steps"].as_array().unwrap().iter().find(|s| s["id"] == "watch").unwrap();
        let held = if to == "us-east-1" { "watch for 5m" } else { "watch for 2h" };
        assert_eq!(watch["action"], held, "{watch:#}");
    }
    let at = |run: &Value, key: &str| Timestamp::parse(run[key].as_str().unwrap()).unwrap();
    let stayed = at(back, "started_at").since(at(there, "ended_at"));
    assert!(stayed < Dur::mins(1), "the way back begins when the hold is over, not {stayed} later");
    assert_eq!((&back["returns"], &there["returns"]), (&there["run_id"], &Value::Null));
    let run = back["run_id"].as_str().unwrap();
    let report = folder.ok(&["report", "run", run, "--sandbox"]);
    assert!(report.starts_with("# Live drill (switchover) of truststream"), "{report}");
    assert!(report.contains("**A drill, class live**") && report.contains("The return of run"), "{report}");
    let listed = folder.ok(&["runs", "list", "--sandbox"]);
    let first = there["run_id"].as_str().unwrap();
    let first = format!("return of live drill {first} ");
    for (of, kind) in [(run, format!("{first}recovered")), ("", "  live drill recovered".to_owned())] {
        let line = |l: &str| l.starts_with(of) && l.contains(&kind);
        assert!(listed.lines().any(line), "{kind}: {listed}");
    }
    let status = folder.run(&["status", "--sandbox"]).1;
    assert!(status.contains(&first), "{status}");
    let year = ["--since", "2026-01-01", "--until", "2027-01-01", "--format", "md", "--sandbox"];
    let compliance = folder.run(&[&["report", "compliance"], &year[..]].concat()).1;
    assert!(compliance.contains(&format!("{first}of truststream")), "{compliance}");
    let shown = folder.ok(&["runs", "show", run, "--sandbox"]);
    assert!(shown.contains("live drill (switchover) of truststream, us-east-1 -> us-west-2"), "{shown}");
}

/// A live drill proves that users move. If nothing of the plan can move them, it does not start.
#[test]
fn a_plan_that_moves_nobody_has_no_live_drill() {
    let folder = Folder::with_plans();
    let (head, rest) = crate::kinds::ecs::PLAN.split_once("  www:\n").unwrap();
    let probes = &rest[rest.find("probes:").unwrap()..];
    std::fs::write(folder.path().join("plans/shop.yaml"), format!("{head}{probes}")).unwrap();
    let (code, out, err) = folder.run(&["drill", "shop", "--mode", "live", "--sandbox", "--yes"]);
    assert!(code == 3 && err.contains("would move neither users nor their writes"), "{code} {out}{err}");
    assert!(err.contains("--mode rehearsal") && !(out + &err).contains("passed"), "{err}");
    assert!(folder.ok(&["runs", "list", "--sandbox"]).contains("no runs yet"), "it started");
}

/// A half that waited for an approval is ended by a command that does not know of the other half.
#[test]
fn a_half_that_was_resumed_is_named_until_users_are_back() {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/starter.yaml");
    let gate = "gates:\n  go: {at: redirect, approval: \"may we?\"}\n";
    let ungated = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, ungated.clone() + gate).unwrap();
    let live =
        ["drill", "starter", "--mode", "live", "--sandbox", "--yes", "--hold", "5m", "--output", "json"];
    let read = |(code, out, err): (i32, String, String)| {
        (code, serde_json::from_str::<Value>(&out).unwrap_or_default(), err)
    };
    let (code, there, words) = read(folder.run(&live));
    assert_eq!(code, 4, "{there:#}\n{words}");
    let run = there["run_id"].as_str().unwrap();
    let ways = format!(
        "starter: run drctl runs cancel {run} --reason TEXT --sandbox to undo it, or drctl approve {run} approve.go --sandbox, then drctl runs resume {run} --sandbox to continue it\n"
    );
    assert!(words.contains(&ways), "{words}");
    let approve = ["approve", "--yes", run, "approve.go", "--sandbox"];
    let (code, _, err) = finish(folder.command(&approve).env("DRCTL_OPERATOR", "bob").output().unwrap());
    assert_eq!(code, 0, "{err}");
    let resume = ["runs", "resume", run, "--sandbox", "--output", "json"];
    for again in ["it ends", "it is over"] {
        let (code, half, words) = read(folder.run(&resume));
        assert_eq!((code, &half["outcome"]), (5, &json!("recovered")), "{again}: {half:#}\n{words}");
        assert!(
            words.contains("starter: users are in us-east-1 for a drill. To move them back, run "),
            "{words}"
        );
        assert!(!words.contains("nothing is pending"), "{words}");
    }
    let status = || folder.run(&["status", "--sandbox"]).1;
    assert!(status().contains("LIVE DRILL HALFWAY  starter: users are in us-east-1"), "{}", status());
    std::fs::write(&plan, ungated).unwrap();
    let (code, back, words) = read(folder.run(&live));
    let verdict = "users moved there and back, but an objective was missed or not proven";
    assert!(words.contains(verdict), "{words}");
    assert_eq!(
        (code, &back["returns"], &back["to"]),
        (5, &there["run_id"], &json!("us-west-2")),
        "{back:#}\n{words}"
    );
    assert!(!status().contains("LIVE DRILL"), "{}", status());
}

/// The return is asked for an approval of its own. Whoever starts the drill again is sent to that return, and its end is the verdict.
#[test]
fn a_return_that_waits_is_found_again_and_ends_with_the_verdict() {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/starter.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text + "gates:\n  go: {at: redirect, approval: \"may we?\"}\n").unwrap();
    let live = ["drill", "starter", "--mode", "live", "--sandbox", "--yes", "--hold", "5m"];
    let begun = |code: i32| {
        let (ended, out, err) = folder.run(&[&live[..], &["--output", "json"]].concat());
        assert_eq!(ended, code, "{out}{err}");
        let run = serde_json::from_str::<Value>(&out).unwrap();
        (run["run_id"].as_str().unwrap().to_owned(), run, err)
    };
    let approved = |run: &str| {
        let approve = ["approve", "--yes", run, "approve.go", "--sandbox"];
        let (code, _, err) = finish(folder.command(&approve).env("DRCTL_OPERATOR", "bob").output().unwrap());
        assert_eq!(code, 0, "{err}");
        folder.run(&["runs", "resume", run, "--sandbox"])
    };
    let (there, ..) = begun(4);
    assert_eq!(approved(&there).0, 5);
    let (back, document, words) = begun(4);
    let next = format!(
        "run drctl approve {back} approve.go --sandbox, then drctl runs resume {back} --sandbox to continue the return"
    );
    let waits =
        format!("users are still in us-east-1: the return, run {back}, waits for a person. To go on, {next}");
    assert!(words.contains(&waits) && !words.contains("USERS ARE NOT BACK"), "{words}");
    assert_eq!((&document["returns"], &document["exit_code"]), (&json!(there), &json!(4)), "{document:#}");
    let (code, out, err) = folder.run(&live);
    let found = format!(
        "the return {back} of live drill {there} of starter, us-east-1 -> us-west-2, waits for a person"
    );
    assert!(code == 4 && err.contains(&found) && err.contains(&next), "{code}: {out}{err}");
    assert_eq!(folder.ok(&["runs", "list", "--sandbox"]).lines().count(), 2, "another return was started");
    // A return that is cancelled leaves users away, and says so before and after, however often somebody resumes it.
    let shown = folder.ok(&["runs", "show", &back, "--sandbox"]);
    assert!(shown.contains("; users then stay in us-east-1\n"), "{shown}");
    let (_, _, err) = folder.run(&["runs", "cancel", &back, "--reason", "stay", "--yes", "--sandbox"]);
    let again = "drctl drill starter --mode live --sandbox=calm --seed 1";
    let not_back = format!(
        "USERS ARE NOT BACK from us-east-1: the return, run {back}, was cancelled. To move them back, run {again}."
    );
    assert!(err.contains(&not_back) && !err.contains("Correct the problem"), "{err}");
    for _ in 0..2 {
        let (code, _, err) = folder.run(&["runs", "resume", &back, "--sandbox"]);
        let words = format!("users are in us-east-1 for a drill. To move them back, run {again}");
        assert!(code == 5 && err.contains(&words) && !err.contains("nothing is pending"), "{code}: {err}");
    }
    let (back, ..) = begun(4);
    let (code, out, err) = approved(&back);
    let verdict =
        "live drill of starter: users moved there and back, but an objective was missed or not proven";
    assert!(code == 5 && err.contains(verdict), "{code}: {out}{err}");
}

/// A tabletop drill is about the outage of its scenario: what that would lose, and what it would refuse.
#[test]
fn a_tabletop_drill_is_read_for_the_time_of_its_outage() {
    let folder = Folder::with_plans();
    let (code, read, words) = drill(&folder, &["--sandbox=replica-lagging"]);
    assert_eq!((code, &read["outcome"]), (0, &json!("read")), "{read:#}\n{words}");
    let notes: Vec<_> = read["notes"].as_array().unwrap().iter().filter_map(|note| note.as_str()).collect();
    let loss = "possible loss of db in us-east-1: up to 8m 8s of writes";
    assert!(notes.iter().any(|note| note.starts_with(loss)), "{notes:#?}");
    let (code, refused, words) = drill(&folder, &["--sandbox=region-dark"]);
    assert_eq!(code, 3, "{refused:#}\n{words}");
    assert_eq!(refused["refusals"][0]["rule"], "unfenced-promotion", "{refused:#}");
}

#[test]
fn the_other_kinds_say_what_they_are() {
    let folder = Folder::with_plans();
    let (code, read, words) = drill(&folder, &["--sandbox"]);
    assert_eq!(
        (code, &read["drill"], &read["outcome"]),
        (0, &json!("tabletop"), &json!("read")),
        "{read:#}\n{words}"
    );
    assert!(read["steps"].as_array().unwrap().iter().all(|s| s["state"] == "pending"), "{read:#}");
    let human = folder.ok(&["drill", "truststream", "--sandbox"]);
    assert!(human.contains("tabletop: drctl computed the runbook. Nothing ran"), "{human}");
    let (code, copied, words) = drill(&folder, &["--mode", "isolated", "--sandbox"]);
    assert_eq!(
        (code, &copied["outcome"], &copied["drill"]),
        (0, &json!("passed"), &json!("isolated")),
        "{copied:#}\n{words}"
    );
    // In the recovery site, not where production is.
    let gone = copied["restored"][0]["destroyed"]["folder"].as_str().unwrap();
    assert!(gone.contains("copy-of-truststream-replica-1") && gone.contains("us-east-1"), "{gone}");
    for (args, words) in [
        (vec!["--hold", "5m"], "--hold has no effect here"),
        (vec!["--mode", "live", "--scenario", "chaos"], "--scenario has no effect here"),
        (vec!["--component", "db"], "--mode isolated"),
        (vec!["--mode", "rehearsal", "--to-time", "5m ago"], "--mode isolated"),
        (vec!["--to", "us-west-2"], "cannot recover to `us-west-2`"),
        (vec!["--to", "nowhere"], "choose one of: us-east-1"),
    ] {
        let (code, said, _) = drill(&folder, &[&args[..], &["--sandbox"]].concat());
        let said = said.to_string();
        assert!(code == 2 && said.contains(words), "{args:?}: {code} {said}");
    }
}

/// The observation of an estate in which only the scenario's own problem exists.
pub fn observed(scenario: &str) -> (Estate, SiteName) {
    let estate = Rig::new(truststream(), scenario, 7).observed();
    let away = scenario == "away";
    (estate, SiteName::new(if away { "us-east-1" } else { "us-west-2" }))
}

/// The same outage ends differently if the observation is different.
#[test]
fn a_rehearsal_begins_with_what_was_observed() {
    let plan = truststream();
    let of = |scenario: &str| {
        let (seen, active) = observed(scenario);
        drctl::adapters::sandbox::feed(&plan, &seen, active, BEGAN)
    };
    let run = |feed: Feed, to: &str| {
        let rig = Rig::new(truststream(), "region-lost", 3);
        let to = Some(SiteName::new(to));
        Rig { drill: Some(Drill::Rehearsal), from: Some(feed.active.clone()), feed: Some(feed), to, ..rig }
            .rehearse()
    };
    let well = run(of("region-lost"), "us-east-1").unwrap();
    assert_eq!(well.ended.state.mode, Mode::Finished(Outcome::Recovered));
    // A replica with a lag of eight minutes loses these, and what is written until the old primary is fenced.
    let refused = run(of("replica-lagging"), "us-east-1");
    let Ok(Rehearsed { ended, .. }) = refused else {
        panic!("it is refused only once the loss was measured")
    };
    let Stop::Blocked(why) = ended.stop else { panic!("{:?}", ended.stop) };
    assert!(why.starts_with("exposure.db: ") && why.contains("at most 10m "), "{why}");
    // If the application is active away from home, that site is lost, and home is the target.
    let back = run(of("away"), "us-west-2").unwrap();
    assert_eq!(back.ended.state.mode, Mode::Finished(Outcome::Recovered));
    assert_eq!(back.ended.state.runbook.from, Some(SiteName::new("us-east-1")));
    assert_eq!(back.truth.two_primaries_ms, Dur::ZERO);
    // A later process finds the same estate.
    let feed = of("replica-lagging");
    assert_eq!(Feed::kept(&[(BEGAN, b"{}".to_vec()), (BEGAN, feed.bytes())]), Some(feed));
}

/// A rehearsal that starts from an observation in the sandbox continues that clock, and uses no time of this machine.
#[test]
fn a_rehearsal_in_a_sandbox_has_one_clock() {
    let folder = Folder::with_plans();
    let (code, run, words) = drill(&folder, &["--mode", "rehearsal", "--sandbox", "--yes"]);
    assert!(code == 0 || code == 5, "{code} {run:#} {words}");
    assert_eq!(run["outcome"], "recovered", "{run:#}");
    let lost = run["rpo"]["achieved_s"].as_f64().unwrap();
    assert!(lost < 300.0, "the distance of two clocks is no loss: {lost} s");
    for at in ["started_at", "ended_at"] {
        assert!(run[at].as_str().unwrap().starts_with("2026-01-01T"), "{run:#}");
    }
    let notes = run["notes"].to_string();
    assert!(notes.contains("from 2026-01-01T") && notes.contains("virtual clock"), "{notes}");
}

/// Nobody who sees an isolated drill has to wonder whether users are affected.
#[test]
fn every_screen_of_an_isolated_drill_says_that_users_are_untouched() {
    let folder = Folder::with_plans();
    let (code, screen, live) = folder.run(&["drill", "truststream", "--mode", "isolated", "--sandbox"]);
    assert_eq!(code, 0, "{screen}{live}");
    let run = "sandbox-truststream-drill-isolated-s1-1";
    let told = live.lines().find(|line| line.contains(&format!("run {run} created"))).unwrap();
    assert!(told.ends_with("; ISOLATED DRILL: users are untouched"), "{told}");
    assert!(!live.contains("nothing serves users there yet"), "{live}");
    let report = |format: &str| folder.ok(&["report", "run", run, "--format", format, "--sandbox"]);
    let shown = folder.ok(&["runs", "show", run, "--sandbox"]);
    for text in [screen, shown, report("md"), report("html")] {
        let mut lines = text.lines();
        let title = lines.position(|line| line.to_lowercase().contains("isolated drill of truststream"));
        let banner = "without traffic or promotion: users are untouched. It proves";
        assert!(title.is_some() && text.contains(banner), "{text}");
    }
}
