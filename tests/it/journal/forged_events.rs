//! Events that somebody added to a journal where no run writes them: each is a finding, and no action follows it.

use drctl::executor::{DriveError, create};
use drctl::journal::chain::{self, Record};
use drctl::journal::{Journal as _, Release, written};
use drctl::kinds::Fact;
use drctl::kinds::world::chance::roll;
use drctl::model::ids::{ComponentName, RunId, StepId};
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule};
use drctl::record::event::{Direction, End, Event, EventKind, Outcome};
use drctl::world::World;

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures::store;
use crate::journal::chain::{elsewhere, places, rehearsed, written_out};
use crate::run::resume::events;
use crate::support::rig::{Rehearsed, Rig, plan, run_id, truststream};
use crate::support::shop::{shop, until};

const ASKED: &str = "gates:\n  go: {at: promote, approval: \"may we?\", expires_after: 1h}\n";

fn asking() -> Rig {
    Rig::new(plan(&format!("{}{ASKED}", shop(""))), "region-lost", 1)
}

fn starts(step: &str) -> impl Fn(&Event) -> bool {
    move |e| matches!(&e.what, EventKind::StepStarted { step: s } if s.as_str() == step)
}

/// The journal of a run up to an event, and one forged event after it, with valid hashes.
fn with(before: &[Record], bytes: Vec<u8>) -> Vec<Record> {
    let last = before.last().unwrap();
    let forged = chain::link(&last.run, Some((last.seq, &last.hash)), last.epoch, bytes);
    before.iter().cloned().chain([forged]).collect()
}

fn bytes(at: Timestamp, what: EventKind) -> Vec<u8> {
    create::encode(&Event { at, what })
}

fn said(records: &[Record]) -> Result<(), String> {
    match create::replay(&run_id(), records) {
        Ok(_) => Ok(()),
        Err(DriveError::Foreign { why, .. }) => Err(why.to_string()),
        Err(other) => Err(other.to_string()),
    }
}

fn fenced_by(component: &str) -> Vec<Fact> {
    let text = r#"{"fact":"fenced","component":"C","method":"sql","at":"2026-01-01T00:00:00.000Z","last_commit":null,"proof":"none"}"#;
    vec![serde_json::from_str(&text.replace('C', component)).unwrap()]
}

/// Events that open a gate, start a step or make a call where no run would, in the order in which a run reaches these points.
fn impossible() -> Vec<(&'static str, EventKind, &'static str)> {
    [of_gates(), of_steps()].concat()
}

fn intended(step: &str, direction: Direction) -> EventKind {
    let (key, part) = (String::new(), Vec::new());
    let step = StepId::new(step);
    EventKind::CallIntended { step, direction, attempt: 1, generation: 1, key, part, found: None }
}

fn finished(step: &str, facts: Vec<Fact>) -> EventKind {
    EventKind::StepFinished { step: StepId::new(step), end: End::Performed, facts }
}

fn of_gates() -> Vec<(&'static str, EventKind, &'static str)> {
    let (id, who) = (|id: &str| StepId::new(id), || Person::claimed("eve"));
    let why = "no reason".to_owned();
    vec![
        (
            "fenced.db",
            finished("fenced.db", Vec::new()),
            "`fenced.db` is not valid: the fence of db is not proven, and nobody accepted that",
        ),
        (
            "fenced.db",
            EventKind::StepSkipped { step: id("fenced.db"), reason: why.clone(), who: None },
            "`fenced.db` is not valid: a safety step cannot be skipped",
        ),
        (
            "fenced.db",
            EventKind::StepSkipped { step: id("fenced.db"), reason: why.clone(), who: Some(who()) },
            "`fenced.db` is not valid: a safety step cannot be skipped",
        ),
        (
            "fenced.db",
            EventKind::FoundPromoted { step: id("fenced.db") },
            "`fenced.db` is not valid: this step does not check the replica that the run promotes",
        ),
        (
            "fenced.db",
            EventKind::GuardLost { step: id("fenced.db"), reason: why.clone() },
            "`fenced.db` is not valid: this step does not check a guard",
        ),
        (
            "fenced.db",
            EventKind::FencePending { component: ComponentName::new("db") },
            "`fenced.db` is not valid: nobody accepted a promotion of db without its fence",
        ),
        (
            "fenced.db",
            intended("fenced.db", Direction::Do),
            "`fenced.db` is not valid: this step only observes or waits, and cannot change anything",
        ),
        (
            "fenced.db",
            EventKind::FenceWaived { component: ComponentName::new("db") },
            "`fenced.db` is not valid: nobody accepted a promotion of db without its fence",
        ),
    ]
}

fn of_steps() -> Vec<(&'static str, EventKind, &'static str)> {
    let (id, who) = (|id: &str| StepId::new(id), || Person::claimed("eve"));
    let why = "no reason".to_owned();
    vec![
        (
            "fenced.db",
            EventKind::StepStarted { step: id("promote.db") },
            "`promote.db` is not valid: it started before ",
        ),
        (
            "fenced.db",
            intended("promote.db", Direction::Do),
            "`call_intended` is not valid while step `promote.db` is pending",
        ),
        (
            "fenced.db",
            intended("promote.db", Direction::Undo),
            "`promote.db` is not valid: this step has no undo",
        ),
        (
            "fenced.db",
            intended("fence.db.sql", Direction::Undo),
            "`fence.db.sql` is not valid: nobody cancelled the run",
        ),
        (
            "fenced.db",
            EventKind::StepUndone { step: id("fence.db.sql") },
            "`fence.db.sql` is not valid: nobody cancelled the run",
        ),
        (
            "fenced.db",
            EventKind::StepUndone { step: id("check.db") },
            "`check.db` is not valid: this step has no undo",
        ),
        (
            "fenced.db",
            EventKind::Rejected { step: id("fence.db.sql"), who: who(), reason: why.clone() },
            "`fence.db.sql` is not valid: this step does not require an approval",
        ),
        (
            "fenced.db",
            EventKind::Overridden { step: id("fenced.db"), who: who(), reason: why.clone() },
            "`fenced.db` is not valid: this step does not require an approval",
        ),
        ("fenced.db", EventKind::StepStarted { step: id("nowhere") }, "the runbook has no step `nowhere`"),
        ("fenced.db", finished("nowhere", fenced_by("db")), "the runbook has no step `nowhere`"),
        ("exposure.db", finished("exposure.db", Vec::new()), "`exposure.db` is not valid: db may lose "),
        (
            "measure.db",
            finished("measure.db", fenced_by("db")),
            "`measure.db` is not valid: this step cannot establish that fact (fenced)",
        ),
        (
            "approve.go",
            finished("approve.go", Vec::new()),
            "`approve.go` is not valid: the approval of somebody is missing",
        ),
    ]
}

#[test]
fn what_no_run_writes_is_a_finding_wherever_it_stands() {
    let asks = asking();
    let whole = asks.rehearse().unwrap();
    let lagging = Rig::new(plan(&shop("")), "replica-lagging", 1).rehearse().unwrap();
    for (step, what, expected) in impossible() {
        // Its loss is too large there; and if a person is asked, the run stops at that question.
        let of = if step == "exposure.db" { &lagging } else { &whole };
        let (n, _) = until(of, starts(step));
        let at = events(of)[n - 1].at;
        let told = said(&with(&of.records[..n], bytes(at, what.clone())));
        assert!(told.as_ref().is_err_and(|why| why.contains(expected)), "{what:?}: {told:?}");
    }
}

/// Bytes that other parsers read differently.
#[test]
fn keys_that_are_doubled_added_or_moved_and_numbers_that_are_too_large_are_findings() {
    let whole = asking().rehearse().unwrap();
    let n = events(&whole).iter().position(|e| matches!(e.what, EventKind::CallIntended { .. })).unwrap() + 1;
    let text = String::from_utf8(whole.records[n - 1].bytes.clone()).unwrap();
    let doubled = text.replacen("\"attempt\":1", "\"attempt\":1,\"attempt\":1", 1);
    let added = text.replacen("\"attempt\":1", "\"attempt\":1,\"by\":\"alice\"", 1);
    let spelled = text.replacen("\"attempt\":1", "\"attempt\":1 ", 1);
    let other = text.replacen("do", "d\\u006f", 1);
    let huge = |number: &str| text.replacen("\"attempt\":1", &format!("\"attempt\":{number}"), 1);
    let body = text.strip_prefix('{').unwrap();
    let first = format!("{{\"kind\":\"paused\",{body}");
    let cases = [
        doubled,
        added,
        spelled,
        other,
        first,
        huge("4294967296"),
        huge("99999999999999999999999"),
        huge("-1"),
        huge("1e3"),
        huge("1.5"),
    ];
    for forged in cases {
        assert_ne!(forged, text);
        let told = said(&with(&whole.records[..n - 1], forged.clone().into_bytes()));
        let named = format!("this version of drctl cannot read event {n} of run run");
        assert!(told.as_ref().is_err_and(|why| why.contains(&named)), "{forged}: {told:?}");
    }
    assert_eq!(said(&with(&whole.records[..n - 1], text.into_bytes())), Ok(()));
}

/// An event of any kind, about some step or component, with absurdly large numbers.
fn anything(seed: u64, done: &Rehearsed) -> EventKind {
    let pick = |what: &str, below: usize| usize::try_from(roll(seed, &[what], below as u64)).unwrap();
    let steps = &done.ended.state.runbook.steps;
    let step =
        steps.get(pick("step", steps.len() + 1)).map_or_else(|| StepId::new("nowhere"), |s| s.id.clone());
    let (who, reason) = (Person::claimed("eve"), "because".to_owned());
    let component = ComponentName::new(["db", "www", "nowhere"][pick("component", 3)]);
    let many = [1, 2, u32::MAX][pick("many", 3)];
    let long = Dur([0, 60_000, u64::MAX][pick("long", 3)]);
    match pick("kind", 26) {
        0 => EventKind::EpochTaken { epoch: u64::from(many), owner: reason },
        1 => EventKind::StepStarted { step },
        2 => EventKind::CallIntended {
            step,
            direction: [Direction::Do, Direction::Undo][pick("direction", 2)],
            attempt: many,
            generation: many,
            key: reason,
            part: [vec![], vec![many]][pick("part", 2)].clone(),
            found: None,
        },
        3 => EventKind::CallAnswered { step, token: Some(reason) },
        4 => EventKind::CallRefused {
            step,
            code: "Throttling".to_owned(),
            why: reason,
            retry_at: Some(Timestamp::from_millis(253_402_300_799_000)),
        },
        5 => EventKind::CallInDoubt { step, why: reason },
        6 => EventKind::PartSettled { step },
        7 => EventKind::EffectDisproved { step, seen: reason },
        8 => EventKind::StepFinished { step, end: End::Performed, facts: Vec::new() },
        9 => EventKind::StepFinished { step, end: End::Noop, facts: fenced_by("db") },
        10 => EventKind::StepFailed { step, reason },
        11 => EventKind::GuardLost { step, reason },
        12 => EventKind::FoundPromoted { step },
        13 => EventKind::DebtSettled { component, why: reason, who: Some(who) },
        14 => EventKind::StepSkipped { step, reason, who: Some(who) },
        15 => EventKind::GateBlocked { step, rule: Some(Rule::UnfencedPromotion), why: reason, flag: None },
        16 => EventKind::Approved { step, who },
        17 => EventKind::Rejected { step, who, reason },
        18 => [
            EventKind::FenceWaived { component: component.clone() },
            EventKind::FencePending { component: component.clone() },
            EventKind::NewPrimaryChecked { component, writes: true, seen: reason },
        ][pick("waived", 3)]
        .clone(),
        19 => EventKind::Overridden { step, who, reason },
        20 => EventKind::Ratified { step, who },
        21 => EventKind::ClaimedDone { step, who },
        22 => [EventKind::StepUndone { step: step.clone() }, EventKind::UndoFailed { step, reason }]
            [pick("undo", 2)]
        .clone(),
        23 => EventKind::ClockJumped { forward_ms: long, backward_ms: long },
        24 => {
            EventKind::Overdue { step, since: Timestamp::from_millis(0), why: reason.clone(), flag: reason }
        }
        _ => EventKind::RunFinished { outcome: [Outcome::Recovered, Outcome::Cancelled][pick("outcome", 2)] },
    }
}

/// At any position it is either refused, or the run continues from it as from a legal event: it never meets an illegal event of its own,
/// and never has two primaries.
#[test]
fn any_event_anywhere_is_refused_or_the_run_goes_on() {
    let rigs = [Rig::new(truststream(), "region-lost", 1), asking()];
    let wholes = rigs.each_ref().map(|rig| rig.rehearse().unwrap());
    let (mut refused, mut went_on) = (0, 0);
    for seed in 0..400 {
        let which = usize::try_from(seed % 2).unwrap();
        let (rig, whole) = (&rigs[which], &wholes[which]);
        let all = events(whole);
        let n = 1 + usize::try_from(roll(seed, &["where"], all.len() as u64 - 1)).unwrap();
        let at = all[n - 1].at;
        let what = anything(seed, whole);
        let forged = with(&whole.records[..n], bytes(at, what.clone()));
        if create::replay(&run_id(), &forged).is_err() {
            refused += 1;
            continue;
        }
        let notes: Vec<_> = whole.notes.iter().filter(|(then, _)| *then <= at).cloned().collect();
        let (done, _) = rig
            .second(&forged, &notes, &[], None)
            .unwrap_or_else(|e| panic!("seed {seed}: {what:?} after {n}: {e}"));
        assert_eq!(done.truth.two_primaries_ms, Dur::ZERO, "seed {seed}: {what:?} after {n}");
        went_on += 1;
    }
    assert!(refused > 150 && went_on > 30, "{refused} refused, {went_on} went on: the test has lost its aim");
}

/// Other parsers use the first of two equal keys, or accept an extra one, so they would see something that was not written.
#[test]
fn a_line_with_a_key_added_doubled_or_put_first_is_no_line_of_an_export() {
    let (folder, _) = rehearsed();
    let (whole, key) = written_out(&folder);
    let all: Vec<&str> = whole.lines().collect();
    let ledger = all.iter().position(|line| line.contains("\"run\":\"ledger\"")).unwrap();
    let key = ["--key", key.to_str().unwrap()];
    for n in [0, 1, all.len() / 2, ledger, all.len() - 1] {
        let body = all[n].strip_prefix('{').unwrap();
        let open = body.strip_suffix('}').unwrap();
        let (name, _) = body.split_once(':').unwrap();
        for changed in [
            format!("{{\"by\":\"alice\",{body}"),
            format!("{{{open},\"by\":\"alice\"}}"),
            format!("{{{name}:\"x\",{body}"),
            format!(
                "{{{open},{name}:{}}}",
                body[name.len() + 1..].split(',').next().unwrap().trim_end_matches('}')
            ),
            format!("{{ {body}"),
            format!("{}\r", all[n]),
            all[n].replacen("\"epoch\":", "\"epoch\": ", 1).replacen("\"tool\":", "\"tool\": ", 1),
        ] {
            let mut lines = all.clone();
            lines[n] = &changed;
            let (code, found) = elsewhere(&(lines.join("\n") + "\n"), &key);
            let told = places(&found);
            let expected = format!("line {}: this is not a line of an export: it was changed", n + 1);
            assert!(code == 1 && told.iter().any(|t| t.contains(&expected)), "{changed}: {told:?}");
        }
    }
    let (code, found) = elsewhere(whole.trim_end(), &key);
    assert!(code == 1 && places(&found)[0].contains("the line is incomplete"), "{found:#}");
    let (code, found) = elsewhere(&format!("{whole}\n"), &key);
    assert!(code == 1 && places(&found)[0].contains("it was changed"), "{found:#}");
}

/// The store's own reader and the import of a run say the same, and neither calls it a bug.
#[test]
fn a_forged_gate_is_no_bug_of_drctl() {
    let (folder, elsewhere) = (Folder::with_plans(), Folder::with_plans());
    let args = [
        "failover",
        "truststream",
        "--to",
        "us-east-1",
        "--yes",
        "--sandbox",
        "replica-lagging",
        "--output",
        "json",
    ];
    let (_, out, _) = folder.run(&args);
    let run = json(&out)["run_id"].as_str().unwrap().to_owned();
    let text = folder.ok(&["runs", "export", &run, "--sandbox"]);
    let records: Vec<Record> = text.lines().map(|line| written::parse_line(line).unwrap()).collect();
    let whole: Vec<Event> = records.iter().map(|r| Event::read(&r.bytes).unwrap()).collect();
    let gate = whole.iter().find_map(|e| match &e.what {
        EventKind::GateBlocked { step, .. } => Some(step.clone()),
        _ => None,
    });
    let finished = EventKind::StepFinished { step: gate.unwrap(), end: End::Performed, facts: Vec::new() };
    let at = whole.last().unwrap().at;
    let forged_bytes = bytes(at, finished);
    let forged = with(&records, forged_bytes.clone());
    let file = elsewhere.path().join("run.jsonl");
    std::fs::write(&file, forged.iter().map(|r| written::line(r) + "\n").collect::<String>()).unwrap();
    let (code, _, err) = elsewhere.run(&["runs", "import", file.to_str().unwrap(), "--sandbox"]);
    let named = format!("event {} of run {run} is not valid in a run of drctl", forged.len());
    assert!(
        code == 2 && err.contains(&named) && err.contains("the run was changed or forged"),
        "{code}: {err}"
    );
    // Direct write access to the store does not help either.
    let store = store(&folder);
    let id = RunId::new(&run);
    let opened = store.open(&id).unwrap();
    let written =
        store.append(&id, opened.epoch, opened.records.len() as u64, vec![forged_bytes], Release::Keep);
    World::live().unwrap().block_on(written).unwrap();
    drop(store);
    for verb in [&["resume"][..], &["show"], &["pause"], &["replay"], &["cancel", "--reason", "r"]] {
        let args = [&["runs", verb[0], &run], &verb[1..], &["--sandbox"]].concat();
        let (code, out, err) = folder.run(&args);
        assert!(code == 2 && err.contains(&named), "{verb:?}: {code}: {out}{err}");
    }
}
