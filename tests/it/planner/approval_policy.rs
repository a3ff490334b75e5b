//! Who must approve what: the strictest matching rule, before anything that users notice; and how it is overridden.

use drctl::executor::create;
use drctl::journal::Journal as _;
use drctl::model::ids::{Digest, RunId, StepId};
use drctl::model::intent::Intent;
use drctl::model::policy::Policy;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Person;
use drctl::record::event::{Event, EventKind, Outcome, Signal, WorldKind};
use drctl::record::statement::Statement;
use drctl::run::state::Mode;
use drctl::run::{RunState, signal};
use drctl::world::World;

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures::{as_operator, people_of, signed, state_of, store};
use crate::kinds::restores;
use crate::support::rig::{self, Rig};

pub const GATE: &str = "approve.policy";
const PEOPLE: &[(&str, &str)] = &[
    ("ann", "on-call-engineer"),
    ("bob", "dba"),
    ("eve", "dba, engineering-lead"),
    ("ivy", "incident-commander, engineering-lead"),
    ("kim", "cto"),
    ("cy", ""),
];

pub fn orders(more: &str) -> Folder {
    let folder = restores::folder();
    people_of(&folder, "drctl.yaml", PEOPLE, more);
    folder
}

pub fn truststream() -> Folder {
    let folder = Folder::with_plans();
    people_of(&folder, "plans/drctl.yaml", PEOPLE, "");
    folder
}

/// The request of ann, and what it waits for.
pub fn asked(folder: &Folder, args: &[&str]) -> (String, serde_json::Value) {
    let (code, out, err) = as_operator(folder, "ann.key", &[args, &["--yes", "--output", "json"]].concat());
    let report = json(&out);
    assert_eq!(code, 4, "{report:#}\n{err}");
    (report["run_id"].as_str().unwrap().to_owned(), report)
}

fn step<'r>(report: &'r serde_json::Value, id: &str) -> &'r serde_json::Value {
    let all = report["steps"].as_array().unwrap();
    all.iter().find(|s| s["id"] == id).unwrap_or_else(|| panic!("no {id}: {report:#}"))
}

pub fn by(folder: &Folder, key: &str, args: &[&str]) -> (i32, String, String) {
    as_operator(folder, key, &[args, &["--sandbox"]].concat())
}

fn refused(folder: &Folder, key: &str, args: &[&str], words: &str) {
    let (code, _, err) = by(folder, key, args);
    assert!(code == 3 && err.contains(words), "{key} {args:?}: {code} {err}");
}

fn yes(state: &RunState, who: &str, now: Timestamp) -> Statement {
    let runbook = state.created.runbook_digest.clone();
    let signal = Signal::Approve { step: StepId::new(GATE), runbook };
    Statement {
        by: who.to_owned(),
        at: now,
        until: now + Dur::mins(10),
        nonce: format!("{who}-{}", now.millis()),
        ..Statement::about(&state.created, state.runbook.to.as_str(), Some(signal))
    }
}

fn taken(state: &RunState, person: Person, now: Timestamp) -> Result<Vec<EventKind>, String> {
    let runbook = state.created.runbook_digest.clone();
    let events = signal::take(state, Signal::Approve { step: StepId::new(GATE), runbook }, person, now);
    match events.iter().find_map(|e| match e {
        EventKind::SignalRefused { reason, .. } => Some(reason.clone()),
        _ => None,
    }) {
        Some(reason) => Err(reason),
        None => Ok(events),
    }
}

pub const RESTORE: &[&str] = &[
    "restore",
    "orders",
    "--component",
    "db",
    "--to-time",
    "15m ago",
    "--sandbox",
    "--waive",
    "exposure-above-rpo:db",
    "--accept-data-loss",
    "60m",
    "--reason",
    "bad release",
    "--severity",
    "P1",
];

/// The copy is made in the meantime; but writes are not stopped and nothing is put in place before both have approved.
#[test]
fn a_restore_at_p1_waits_for_a_dba_and_an_engineering_lead() {
    let folder = orders("");
    let (run, report) = asked(&folder, RESTORE);
    assert_eq!((&report["severity"], &report["fence"]["state"]), (&"P1".into(), &"none".into()));
    assert_eq!(step(&report, "swap.db")["state"], "pending");
    // A row has both, and says the question once.
    let says = |what: &str| step(&report, GATE)[what].as_str().unwrap().to_owned();
    assert!(says("action").contains("P1 restore to west, a change to database"), "{report:#}");
    assert_eq!(says("reason"), "waiting for approval by dba and engineering-lead");

    let approve = ["approve", "--yes", &run, GATE];
    refused(&folder, "ann.key", &approve, "the requester of a run cannot approve it");
    refused(
        &folder,
        "cy.key",
        &approve,
        "cy does not have a required role; still required: dba and engineering-lead",
    );
    refused(&folder, "kim.key", &approve, "kim does not have a required role");
    let state = state_of(&folder, &run);
    let now = state.last_at + Dur::mins(1);
    let good = yes(&state, "bob", now);
    let by_bob =
        |statement: Statement| taken(&state, signed(&folder, "bob.key", &statement), now).unwrap_err();
    assert!(
        by_bob(Statement { runbook: Digest::of_bytes(b"x"), ..good.clone() }).contains("it is for runbook")
    );
    assert!(by_bob(Statement { until: now, ..good.clone() }).contains("it expired at"));
    let forged = Person { statement: Some("{}".to_owned()), ..signed(&folder, "bob.key", &good) };
    assert!(taken(&state, forged, now).unwrap_err().contains("is not readable"));
    let other = serde_json::to_string(&Statement { until: now + Dur::mins(99), ..good.clone() }).unwrap();
    let forged = Person { statement: Some(other), ..signed(&folder, "bob.key", &good) };
    assert!(taken(&state, forged, now).unwrap_err().contains("the signature is forged"));
    let mut said = state.clone();
    let bob = signed(&folder, "bob.key", &good);
    for what in taken(&said, bob.clone(), now).unwrap() {
        said.apply(&drctl::record::event::Event { at: now, what }).unwrap();
    }
    assert!(taken(&said, bob, now).unwrap_err().contains("was already used; each statement is valid once"));

    assert_eq!(by(&folder, "bob.key", &approve).0, 0);
    let resume = ["runs", "resume", &run, "--output", "json"];
    let (code, out, _) = by(&folder, "ann.key", &resume);
    assert!(
        code == 4 && out.contains("waiting for approval by engineering-lead"),
        "one of two: {code} {out}"
    );
    let year = json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]));
    let gate = &year["runs"][0]["approvals"][0];
    assert_eq!(gate["text"], format!("{GATE}: approved by bob; missing: engineering-lead"), "{gate:#}");
    assert_eq!(by(&folder, "eve.key", &approve).0, 0);
    let (code, out, err) = by(&folder, "ann.key", &resume);
    assert_eq!((code, &json(&out)["outcome"]), (5, &"recovered".into()), "{out}\n{err}");
    assert!(folder.ok(&["audit", "verify", "--sandbox"]).contains("whole"));
}

/// The requester has no vote, whatever their roles.
#[test]
fn a_dba_and_engineering_lead_who_asks_approves_nothing() {
    let folder = orders("");
    let (code, out, err) =
        as_operator(&folder, "eve.key", &[RESTORE, &["--yes", "--output", "json"]].concat());
    assert_eq!(code, 4, "{out}\n{err}");
    let run = json(&out)["run_id"].as_str().unwrap().to_owned();
    refused(
        &folder,
        "eve.key",
        &["approve", "--yes", &run, GATE],
        "the requester of a run cannot approve it",
    );
}

/// A planned move does not stop writes while it waits for approvals.
#[test]
fn a_planned_move_asks_before_it_stops_anybody() {
    let folder = truststream();
    let start = ["switchover", "truststream", "--sandbox", "calm", "--to", "us-east-1"];
    let (code, _, err) = as_operator(&folder, "ann.key", &[&start[..], &["--yes"]].concat());
    assert!(code == 3 && err.contains("approve.policy waits for change-manager"), "{code} {err}");
    let (_, report) = asked(&folder, &[&start[..], &["--severity", "P1"]].concat());
    assert_eq!(report["fence"]["state"], "none", "{report:#}");
    assert!(report["truth"]["outage_s"].is_null() || report["truth"]["outage_s"] == 0.0, "{report:#}");
    assert_eq!(step(&report, GATE)["state"], "blocked", "{report:#}");
    // Nor does a declared severity make it an emergency.
    let (run, _) = asked(&folder, &[&start[..], &["--severity", "P0"]].concat());
    let words = "nobody can override this approval";
    refused(&folder, "ivy.key", &["override", &run, "--reason", "hurry"], words);
}

/// What a failback first does to the old primary is a database change as well.
#[test]
fn a_way_home_rebuilds_nothing_before_people_agree() {
    let folder = truststream();
    let back =
        ["failback", "truststream", "--sandbox", "after-failover", "--to", "us-west-2", "--severity", "P1"];
    let (_, report) = asked(&folder, &back);
    let mut found = std::collections::BTreeSet::new();
    for s in report["steps"].as_array().unwrap() {
        let id = s["id"].as_str().unwrap();
        let verb = id.split('.').next().unwrap();
        if ["retire", "rejoin", "fence", "promote", "switch", "ttl"].contains(&verb) {
            found.insert(verb);
            assert_eq!(s["state"], "pending", "{id}: {report:#}");
        }
    }
    assert!(found.contains("retire") && found.contains("rejoin"), "{found:?}");
}

/// The approval of the first move includes the return, so that users do not wait away from home.
#[test]
fn the_way_back_of_a_drill_asks_nobody() {
    for returns in [false, true] {
        let mut rig = Rig::new(rig::truststream(), "calm", 1);
        (rig.intent, rig.returns, rig.policy) = (Intent::Switchover, returns, Some(Policy::default()));
        let state = rig.rehearse().unwrap().ended.state;
        assert_eq!(state.position(&StepId::new(GATE)).is_none(), returns);
        let over = state.mode == Mode::Finished(Outcome::Recovered);
        assert_eq!(over, returns, "{:?}", state.mode);
    }
}

/// A tabletop drill asks nobody, and a gate in the plan does not replace the policy's approval.
#[test]
fn nothing_else_passes_for_the_policys_approval() {
    let folder = truststream();
    let table = ["drill", "truststream", "--mode", "tabletop", "--sandbox", "--yes"];
    let (code, out, err) = as_operator(&folder, "ann.key", &table);
    assert!([0, 5].contains(&code), "{code} {out} {err}");
    let plan = folder.path().join("plans/truststream.yaml");
    let gate = "gates: {policy: {at: promote, approval: \"ok?\", expires_after: 30m}}\n";
    std::fs::write(&plan, std::fs::read_to_string(&plan).unwrap() + gate).unwrap();
    let (code, _, err) = folder.run(&["check"]);
    assert!(code == 2 && err.contains("reserved-name"), "{code} {err}");
}

pub fn overridden(folder: &Folder) -> String {
    let start = ["failover", "truststream", "--sandbox", "region-lost", "--to", "us-east-1"];
    let (run, report) = asked(folder, &start);
    assert_eq!(report["severity"], "P0", "a region failover is as bad as it gets: {report:#}");
    assert_eq!(report["fence"]["state"], "proven", "the fence waits for nobody: {report:#}");
    let over = ["override", &run, "--reason", "DBA unreachable"];
    refused(
        folder,
        "bob.key",
        &over,
        "only incident-commander can override it, and bob does not have that role",
    );
    let (code, _, err) = by(folder, "ivy.key", &over);
    assert!(
        code == 0 && err.contains("it is in the journal; the run is still waiting for approval by cto"),
        "{err}"
    );
    let resume = ["runs", "resume", &run, "--output", "json"];
    let (code, out, _) = by(folder, "ann.key", &resume);
    assert!(code == 4 && out.contains("waiting for approval by cto"), "{code} {out}");
    refused(folder, "ivy.key", &over, "ivy already overrode it at ");
    refused(
        folder,
        "ivy.key",
        &["approve", "--yes", &run, GATE],
        "ivy overrode this approval and cannot also approve it",
    );
    let (code, _, err) = by(folder, "kim.key", &["approve", "--yes", &run, GATE]);
    let owed = "the approvals that are owed afterwards: dba, engineering-lead";
    assert!(code == 0 && err.contains(owed) && !err.contains("no more approvals are required"), "{err}");
    let (code, out, err) = by(folder, "ann.key", &resume);
    let report = json(&out);
    assert_eq!((code, &report["outcome"]), (0, &"recovered".into()), "{report:#}\n{err}");
    let over = &report["overrides"][0];
    assert_eq!((&over["by"]["who"], &over["state"]), (&"ivy".into(), &"owed".into()), "{over:#}");
    assert_eq!(over["owed_by"], serde_json::json!(["dba", "engineering-lead"]));
    run
}

/// The commander and the CTO override it. The required people ratify after the run, each once, and one may refuse.
#[test]
fn an_override_is_named_and_approved_afterwards() {
    let folder = truststream();
    let run = overridden(&folder);
    let status = folder.ok(&["status", "--sandbox"]);
    assert!(status.contains("APPROVAL DUE") && status.contains("overridden by ivy"), "{status}");
    let html = folder.ok(&["report", "compliance", "--sandbox", "--format", "html"]);
    assert!(
        html.contains("<span class=\"warn\">1; 1 not approved yet</span>"),
        "an owed approval is not green"
    );
    let approve = ["approve", "--yes", &run, GATE];
    refused(&folder, "ann.key", &approve, "the requester of a run cannot approve it");
    refused(&folder, "ivy.key", &approve, "ivy overrode this approval and cannot also approve it");
    // Nobody signs something that they have not seen, or that differs from what they saw elsewhere.
    let digest = state_of(&folder, &run).created.runbook_digest.to_string();
    let wrong = [&approve[..], &["--runbook", "00000000000000"]].concat();
    refused(&folder, "bob.key", &wrong, "but you reviewed 00000000000000");
    refused(&folder, "bob.key", &[&approve[..], &["--runbook", &digest[..4]]].concat(), "but you reviewed");
    let (code, _, err) = by(&folder, "bob.key", &[&approve[..], &["--runbook", &digest[..16]]].concat());
    assert!(code == 0 && err.contains("it is in the journal"), "{err}");
    for words in [
        "failover us-west-2 -> us-east-1 of truststream at P0, requested by ann",
        &digest,
        "requires  dba and engineering-lead",
        "may lose  db: at most ",
    ] {
        assert!(err.contains(words), "{words}: {err}");
    }
    refused(&folder, "bob.key", &approve, "bob already approved approve.policy at 2026-");
    // Half of the approvals is not a duty that somebody did.
    let report = json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]));
    let duty =
        report["obligations"].as_array().unwrap().iter().find(|o| o["what"] == "approval:approve.policy");
    let duty = duty.unwrap();
    assert_eq!((&duty["standing"], &duty["by"]), (&"open".into(), &serde_json::Value::Null), "{duty:#}");
    assert!(duty["detail"].as_str().unwrap().ends_with("; approved so far: bob"), "{duty:#}");
    assert_eq!(by(&folder, "cy.key", &["reject", &run, GATE, "--reason", "too early"]).0, 0);
    assert_eq!(by(&folder, "eve.key", &approve).0, 0);
    let listed = json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    assert_eq!(listed["runs"][0]["outcome"], "recovered", "{listed:#}");
    let all = "all required approvals are already there: kim approved it at 2026-";
    refused(&folder, "kim.key", &approve, all);
    let report = json(&folder.ok(&["report", "run", &run, "--format", "json", "--sandbox"]));
    let over = &report["overrides"][0];
    assert_eq!(
        (&over["state"], &over["late_by_s"]),
        (&"approved".into(), &serde_json::Value::Null),
        "{over:#}"
    );
    assert!(over["text"].as_str().unwrap().contains("cy rejected it at "), "{over:#}");
    assert_eq!(report["outcome"], "recovered", "a no undoes nothing");
    assert!(!folder.ok(&["status", "--sandbox"]).contains("APPROVAL DUE"));
    assert!(folder.ok(&["audit", "verify", "--sandbox"]).contains("whole"));
}

/// Four hours and a minute after the override, the approval counts, but stays late.
#[test]
fn an_approval_after_four_hours_and_a_minute_is_late_for_ever() {
    let folder = truststream();
    let run = overridden(&folder);
    let over = |state: &RunState| {
        let gate = state.position(&StepId::new(GATE)).unwrap();
        state.steps[gate].overridden.clone().unwrap()
    };
    let state = state_of(&folder, &run);
    let at = over(&state).at;
    assert_eq!(over(&state).due, at + Dur::mins(240));
    assert_eq!(over(&state).late(at + Dur::mins(240)), None, "in time is in time");
    let late = at + Dur::mins(241);
    let clock = World::live().unwrap();
    for who in ["bob", "eve"] {
        let state = state_of(&folder, &run);
        let person = signed(&folder, &format!("{who}.key"), &yes(&state, who, late));
        let words = taken(&state, person, late).unwrap();
        assert!(matches!(&words[..], [EventKind::Ratified { .. }]), "{words:?}");
        let run = RunId::new(&*run);
        clock.block_on(create::note(&store(&folder), &run, who, late, words)).unwrap();
    }
    let report = json(&folder.ok(&["report", "run", &run, "--format", "json", "--sandbox"]));
    let said = &report["overrides"][0];
    assert_eq!((&said["state"], &said["late_by_s"]), (&"approved_late".into(), &60.0.into()), "{said:#}");
    let text = folder.ok(&["report", "run", &run, "--sandbox"]);
    assert!(text.contains("**Override**") && text.contains("1m LATE; it was due by "), "{text}");
    assert!(folder.ok(&["audit", "verify", "--sandbox"]).contains("whole"), "the chain still holds");
    // It is in the auditor's report of the year.
    let year = ["report", "compliance", "--sandbox", "--profile", "soc2", "--format", "json"];
    let year = json(&folder.ok(&year));
    assert_eq!(
        (&year["totals"]["overrides"], &year["totals"]["overrides_late"]),
        (&1.into(), &1.into()),
        "{year:#}"
    );
    let gate = &year["runs"][0]["approvals"][0];
    assert_eq!(
        (&gate["step"], &gate["by"]),
        (&GATE.into(), &serde_json::json!(["kim", "bob", "eve"])),
        "{gate:#}"
    );
    assert_eq!((&gate["overridden_by"], &gate["late_by_s"]), (&"ivy".into(), &60.0.into()), "{gate:#}");
    let found = year["findings"].as_array().unwrap().iter().find(|f| f["section"] == "approvals").unwrap();
    assert!(
        found["text"].as_str().unwrap().contains("1m LATE; it was due by ") && found["run"] == *run,
        "{found:#}"
    );
    assert_eq!(found["controls"], serde_json::json!(["CC8.1"]));
}

/// The clock of a signature may be ahead of the clock that recorded it. For a live run the later time counts, whether it was before the run
/// continued or afterwards.
#[test]
fn a_yes_that_was_signed_late_is_late_whenever_it_was_written_down() {
    let folder = truststream();
    let run = overridden(&folder);
    let id = RunId::new(&*run);
    let events = create::decode(&id, &store(&folder).read(&id).unwrap()).unwrap();
    let n = 1 + events.iter().position(|e| matches!(e.what, EventKind::Overridden { .. })).unwrap();
    for (upto, afterwards) in [(n, false), (events.len(), true)] {
        for world in [WorldKind::Live, state_of(&folder, &run).created.world] {
            let mut state = RunState::fold(&events[..upto]).unwrap();
            let live = world == WorldKind::Live;
            state.created.world = world;
            let at = state.last_at;
            let signed_at = at + Dur::secs(50);
            for who in ["bob", "eve"] {
                let statement = serde_json::to_string(&yes(&state, who, signed_at)).unwrap();
                let who = Person { claimed: false, statement: Some(statement), ..Person::claimed(who) };
                let step = StepId::new(GATE);
                let what = if afterwards {
                    EventKind::Ratified { step, who }
                } else {
                    EventKind::Approved { step, who }
                };
                state.apply(&Event { at, what }).unwrap();
            }
            let gate = state.position(&StepId::new(GATE)).unwrap();
            let ratified = state.steps[gate].overridden.as_ref().unwrap().ratified_at;
            assert_eq!(ratified, Some(if live { signed_at } else { at }), "{live} {afterwards}");
        }
    }
}

/// A forged statement about an override is not accepted either.
#[test]
fn an_override_by_hand_is_not_believed() {
    let folder = truststream();
    let start = ["failover", "truststream", "--sandbox", "region-lost", "--to", "us-east-1"];
    let (run, _) = asked(&folder, &start);
    let state = state_of(&folder, &run);
    let person = |who: &str| signed(&folder, &format!("{who}.key"), &yes(&state, who, state.last_at));
    let step = || StepId::new(GATE);
    let no = |what: EventKind| {
        let event = drctl::record::event::Event { at: state.last_at, what };
        state.clone().apply(&event).unwrap_err().to_string()
    };
    let reason = "x".to_owned();
    let over = |who: &str| EventKind::Overridden { step: step(), who: person(who), reason: reason.clone() };
    assert!(no(over("bob")).contains("only incident-commander can override it"));
    assert!(
        no(EventKind::Ratified { step: step(), who: person("bob") })
            .contains("did not continue on an override")
    );
    let refused = EventKind::RatificationRefused { step: step(), who: person("bob"), reason: reason.clone() };
    assert!(no(refused).contains("did not continue on an override"));
    assert!(no(over("ann")).contains("only incident-commander"));
    // A lower severity allows no override.
    let (run, _) = asked(&folder, &[&start[..], &["--severity", "P1"]].concat());
    refused_override(&folder, &run);
}

fn refused_override(folder: &Folder, run: &str) {
    let words = "nobody can override this approval";
    refused(folder, "ivy.key", &["override", run, "--reason", "hurry"], words);
}

/// An override adds no requirement, and an earlier approval does not count as ratification.
#[test]
fn until_the_run_goes_on_an_override_is_one_way_of_two() {
    let own = "policy: {expires_after: 80s}\n";
    let folder = Folder::with_plans();
    people_of(&folder, "plans/drctl.yaml", PEOPLE, own);
    let start = ["failover", "truststream", "--sandbox", "region-lost", "--to", "us-east-1"];
    let resume = |run: &str| by(&folder, "ann.key", &["runs", "resume", run, "--output", "json"]);
    let (run, _) = asked(&folder, &start);
    let over = ["override", &run, "--reason", "nobody there"];
    assert_eq!(by(&folder, "ivy.key", &over).0, 0);
    for key in ["bob.key", "eve.key"] {
        assert_eq!(by(&folder, key, &["approve", "--yes", &run]).0, 0, "{key}");
    }
    let (code, out, err) = resume(&run);
    assert_eq!(
        (code, &json(&out)["outcome"]),
        (0, &"recovered".into()),
        "the CTO is not needed any more: {out}{err}"
    );

    // The request expires. A rejection rejects it, and an approval makes the run ask again.
    let (run, _) = asked(&folder, &start);
    assert_eq!(by(&folder, "ivy.key", &["override", &run, "--reason", "x"]).0, 0);
    let expired = || {
        (0..4).any(|_| {
            json(&resume(&run).1)["outcome"] == "halted"
                && state_of(&folder, &run).steps.iter().any(|s| s.work.status.word() == "failed")
        })
    };
    assert!(expired(), "it never expired");
    let (code, _, err) = by(&folder, "bob.key", &["reject", &run, "--reason", "the replica is corrupt"]);
    assert!(code == 3 && err.contains("is failed"), "there is nothing that waits for a no: {code} {err}");
    assert!(folder.ok(&["status", "--sandbox"]).contains("nobody approved within 1m 20s"));
    let (code, _, err) = by(&folder, "kim.key", &["approve", "--yes", &run]);
    assert_eq!(code, 0, "{err}");
    let status = folder.ok(&["status", "--sandbox"]);
    let words = "approve.policy, approved by kim, overridden by ivy, and no process continues the run yet";
    assert!(status.contains(words) && !status.contains("nobody approved"), "{status}");
    let state = state_of(&folder, &run);
    let gate = state.position(&StepId::new(GATE)).unwrap();
    assert_eq!(state.steps[gate].approved_by.len(), 1, "a yes before the run goes on is not one afterwards");
    assert_eq!(by(&folder, "bob.key", &["reject", &run, "--reason", "the replica is corrupt"]).0, 0);
    let (code, out, _) = resume(&run);
    assert!(code == 4 || code == 1, "a no is not gone on against: {code} {out}");
    // It is cancelled, so the override had no effect.
    let (_, out, _) =
        by(&folder, "ann.key", &["runs", "cancel", &run, "--yes", "--reason", "no", "--output", "json"]);
    assert_eq!(json(&out)["outcome"], "cancelled", "{out}");
    assert!(!folder.ok(&["status", "--sandbox"]).contains(&format!("APPROVAL DUE  run {run}")));
    assert!(folder.ok(&["audit", "verify", "--sandbox"]).contains("whole"));
}

/// Two simultaneous approvals both count.
#[test]
fn two_words_at_once_are_both_written() {
    let folder = truststream();
    let run = overridden(&folder);
    std::thread::scope(|scope| {
        for key in ["bob.key", "eve.key"] {
            let (folder, run) = (&folder, &run);
            scope.spawn(move || {
                let (code, _, err) = by(folder, key, &["approve", "--yes", run]);
                assert!(code == 0 && err.contains("it is in the journal"), "{key}: {code} {err}");
            });
        }
    });
    let report = json(&folder.ok(&["report", "run", &run, "--format", "json", "--sandbox"]));
    assert_eq!(report["overrides"][0]["state"], "approved", "{report:#}");
}

/// An override takes two people: the requester cannot do it alone.
#[test]
fn the_requester_overrides_nothing() {
    let folder = truststream();
    let start = [
        "failover",
        "truststream",
        "--sandbox",
        "region-lost",
        "--to",
        "us-east-1",
        "--yes",
        "--output",
        "json",
    ];
    let (code, out, err) = as_operator(&folder, "ivy.key", &start);
    assert_eq!(code, 4, "{out}{err}");
    let run = json(&out)["run_id"].as_str().unwrap().to_owned();
    let words = "the requester of a run cannot override its approval";
    refused(&folder, "ivy.key", &["override", &run, "--reason", "x"], words);
}

/// Answers are in the inbox until a process reads them, and no screen asks again.
#[test]
fn answers_that_no_process_has_read_are_on_every_screen() {
    let folder = truststream();
    let start = ["failover", "truststream", "--sandbox", "region-lost", "--to", "us-east-1"];
    let (run, _) = asked(&folder, &start);
    let screens = || {
        [
            folder.run(&["status", "--sandbox"]).1,
            folder.run(&["runs", "list", "--sandbox"]).1,
            folder.run(&["runs", "show", &run, "--sandbox"]).1,
        ]
    };
    let say = |key, args: &[&str]| assert_eq!(by(&folder, key, &[args, &[&run, GATE]].concat()).0, 0);
    say("bob.key", &["approve", "--yes"]);
    let words = "waiting for approval by engineering-lead (bob approved it)";
    screens().iter().for_each(|screen| assert!(screen.contains(words), "{screen}"));
    say("eve.key", &["approve", "--yes"]);
    let words = "approved by bob and eve, and no process continues the run yet: drctl runs resume";
    let waiting = "WAITS FOR A PERSON";
    screens().iter().for_each(|s| assert!(s.contains(words) && !s.contains(waiting), "{s}"));
    // Nor does a way on, the row of the step or a second approval.
    let show = screens()[2].clone();
    let (rows, ways) = show.split_once("  ways on").unwrap_or_else(|| panic!("{show}"));
    assert!(!rows.contains("waiting for approval") && !ways.contains("drctl approve "), "{show}");
    assert!(ways.contains(&format!("drctl runs resume {run} --sandbox")), "{show}");
    let again = ["approve", "--yes", &run, GATE];
    refused(&folder, "eve.key", &again, "; no more approvals are required; nothing was signed");
    refused(&folder, "eve.key", &again, "if no process continues the run, run drctl runs resume");

    let (run, _) = asked(&folder, &start);
    assert_eq!(by(&folder, "eve.key", &["reject", &run, GATE, "--reason", "wrong site"]).0, 0);
    for screen in [folder.run(&["status", "--sandbox"]).1, folder.run(&["runs", "show", &run, "--sandbox"]).1]
    {
        assert!(screen.contains("wrong site"), "{screen}");
    }
}

/// A run that nobody approved, or that somebody rejected, is about approvals as much as one that was approved.
#[test]
fn a_run_without_its_approvals_has_the_controls_of_approvals() {
    let folder = truststream();
    asked(&folder, &["failover", "truststream", "--sandbox", "region-lost", "--to", "us-east-1"]);
    let report = ["report", "compliance", "--sandbox", "--profile", "soc2", "--format", "json"];
    let report = json(&folder.ok(&report));
    let controls = report["runs"][0]["controls"].as_array().unwrap();
    assert!(controls.contains(&"CC8.1".into()), "{controls:?}");
}
