//! Commands in rehearsals, which do not run them: a plan may declare the outcome of each.

use drctl::kinds::shared::command::{Command, Declared};
use drctl::kinds::{Fact, Operation};
use drctl::model::ids::StepId;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Rule;
use drctl::plan::{Settings, check};
use drctl::record::action::Action;
use drctl::record::event::{EventKind, Outcome, Signal};
use drctl::record::runbook::{Runbook, Step};
use drctl::run::Stop;
use drctl::run::state::Mode;

use crate::cli::contract::{Folder, json};
use crate::planner::refusals::{PLAN, case, site};
use crate::run::hard_cases::waiver;
use crate::run::resume::events;
use crate::support::rig::{Rehearsed, Rig, plan};
use crate::support::shop::{shop, until};

const WWW: &str = r#"  www:
    kind: aws.route53
    via: dns
    needs: [db]
    zone: Z1
    records:
      - {name: www.shop.example, type: A, ttl: 60s, at: {west: [192.0.2.1], east: [198.51.100.1]}}
"#;

/// A plan with one hook, whose step has these keys beside its command, and whose last line declares its outcome.
fn hooked(keys: &str, outcome: &str) -> String {
    format!(
        "{}hooks:\n  - at: after.promote\n    name: files\n    change: none\n    step:\n      command: [restore-files]\n{keys}      rehearsal: {outcome}\n",
        shop(WWW)
    )
}

#[test]
fn an_outcome_has_a_duration_a_code_and_an_output() {
    let declared = |outcome: &str| {
        let plan = plan(&hooked("", outcome));
        plan.hooks[0].command.rehearsal.clone().unwrap()
    };
    let of = |takes_ms, exit, output: &str| Declared { takes_ms, exit, output: output.to_owned() };
    assert_eq!(declared("{takes: 0s}"), of(Dur::ZERO, 0, ""));
    assert_eq!(declared("{takes: 1m30s, exit: 255, output: disk full}"), of(Dur::secs(90), 255, "disk full"));
    let longest = "x".repeat(2_000);
    assert_eq!(declared(&format!("{{takes: 40s, output: {longest}}}")).output, longest);
    let schema = drctl::plan::schema::schema(&drctl::plan::shapes::PLAN, "plan");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let fits = |outcome: &str| {
        let plan: serde_json::Value = serde_saphyr::from_slice(hooked("", outcome).as_bytes()).unwrap();
        validator.is_valid(&plan)
    };
    assert!(fits("{takes: 1m30s, exit: 255, output: disk full}"));
    assert!(!fits("{takes: 40s, exit: 256}") && !fits("{exit: 1}") && !fits("{takes: 40s, code: 1}"));
}

#[test]
fn an_outcome_that_cannot_be_is_refused_with_its_line() {
    let long = format!("{{takes: 40s, output: {}}}", "x".repeat(2_001));
    for (outcome, id, said, fix) in [
        ("{takes: 40}", "plan-wrong-unit", "`takes` needs a value with a unit", "40s for seconds"),
        ("{takes: soon}", "plan-wrong-unit", "`takes` is not a duration", "60s"),
        (
            "{takes: 40s, exit: 256}",
            "plan-out-of-range",
            "`exit` is 256, but must be from 0 to 255",
            "0 to 255",
        ),
        ("{takes: 40s, exit: -1}", "plan-out-of-range", "`exit` is -1", "0 to 255"),
        ("{takes: 40s, exit: failed}", "plan-wrong-type", "`exit` is text", "write "),
        (
            "{takes: 40s, output: \"\"}",
            "plan-bad-value",
            "is not the output of a command",
            "restored 120 files",
        ),
        (
            long.as_str(),
            "plan-bad-value",
            "`output` has 2001 characters, but the output of a command has at most 2000",
            "restored 120 files",
        ),
        ("{takes: 40s, output: \"a\\nb\"}", "plan-invisible-character", "`output` contains", "on one line"),
        ("{takes: 40s, code: 1}", "plan-unknown-key", "rehearsal has no key `code`", "takes, exit, output"),
        ("{take: 40s}", "plan-unknown-key", "did you mean `takes`?", "takes"),
        ("{exit: 1}", "plan-missing-key", "rehearsal has no `takes`", "add `takes:`"),
        ("40s", "plan-wrong-type", "`rehearsal` is text, but must be a mapping", "{takes: ..}"),
    ] {
        let text = hooked("", outcome);
        let found = check("plans/shop.yaml", text.as_bytes(), &Settings::default()).findings;
        let is = |f: &&drctl::model::finding::Finding| f.id == id && f.message.contains(said);
        let finding = found.iter().find(is).unwrap_or_else(|| panic!("{outcome}: {found:#?}"));
        let line = finding.span.map(|span| span.line);
        assert_eq!(
            (finding.file.as_str(), line),
            ("plans/shop.yaml", Some(text.lines().count())),
            "{outcome}"
        );
        assert!(finding.fix.contains(fix), "{outcome}: {finding:?}");
    }
    // The commands of clients have the same key.
    let app = "  app:\n    kind: clients\n    of: db\n    at:\n      west: {switch: {command: [lead], rehearsal: {takes: 1}}}\n      east: {restart: [{command: [again], rehearsal: {takes: 2s, exit: 300}}]}\n";
    let text = shop(&format!("{app}{WWW}"));
    let found = check("plans/shop.yaml", text.as_bytes(), &Settings::default()).findings;
    let at = |part: &str| text.lines().position(|line| line.contains(part)).map(|n| n + 1);
    let is =
        |id: &str, part: &str| found.iter().any(|f| f.id == id && f.span.map(|span| span.line) == at(part));
    assert!(is("plan-wrong-unit", "takes: 1}") && is("plan-out-of-range", "exit: 300"), "{found:#?}");
}

const IDEMPOTENT: &str = "      idempotent: true\n";
const RESTORED: &str = "{takes: 40s, output: restored 120 files}";
const FULL: &str = "{takes: 5s, exit: 3, output: disk full}";
const FAILED: &str = "hook.files: the command ended with 3: declared in the plan, not observed: disk full";

fn rehearsed(text: &str) -> (Rig, Rehearsed) {
    let rig = Rig::new(plan(text), "region-lost", 1);
    let done = rig.rehearse().unwrap_or_else(|refusals| panic!("{refusals:#?}"));
    (rig, done)
}

/// What happened to a step, and when.
fn course(done: &Rehearsed, of: &str) -> Vec<(&'static str, Timestamp)> {
    let told = |what: &EventKind| {
        let (step, word) = match what {
            EventKind::CallIntended { step, .. } => (step, "called"),
            EventKind::CallAnswered { step, .. } => (step, "answered"),
            EventKind::CallRefused { step, .. } => (step, "refused"),
            EventKind::CallInDoubt { step, .. } => (step, "in doubt"),
            EventKind::GateBlocked { step, .. } => (step, "asks"),
            EventKind::StepFinished { step, .. } => (step, "done"),
            EventKind::StepFailed { step, .. } => (step, "failed"),
            _ => return None,
        };
        (step.as_str() == of).then_some(word)
    };
    events(done).iter().filter_map(|event| Some((told(&event.what)?, event.at))).collect()
}

fn words(course: &[(&'static str, Timestamp)]) -> String {
    course.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}

/// What the step established, and why it failed.
fn result(done: &Rehearsed, step: &str) -> (Vec<Fact>, Option<String>) {
    let state = &done.ended.state;
    let i = state.position(&StepId::new(step)).unwrap();
    (state.steps[i].facts.clone(), state.work(i).reason.clone())
}

fn ran(tail: &str) -> Vec<Fact> {
    vec![Fact::Ran { tail: tail.to_owned() }]
}

#[test]
fn a_command_takes_the_declared_time_and_its_text_says_that_nobody_observed_it() {
    let again = "command: [restart, east], idempotent: true";
    let clients = crate::kinds::clients::text().replace(again, &format!("{again}, rehearsal: {RESTORED}"));
    for (text, step) in [(hooked("", RESTORED), "hook.files"), (clients, "restart.app.api")] {
        let (_, done) = rehearsed(&text);
        assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
        let course = course(&done, step);
        assert_eq!(words(&course), "called, answered, done", "{step}");
        assert_eq!(course[1].1.since(course[0].1), Dur::secs(40), "{step}");
        assert!(course[2].1.since(course[1].1) < Dur::secs(1), "{step}: {course:?}");
        let said = "declared in the plan, not observed: restored 120 files";
        assert_eq!(result(&done, step), (ran(said), None));
        let notes = &done.ended.state.runbook.notes;
        let note = |note: &&String| note.contains("nobody observed it") && note.ends_with(step);
        assert_eq!(notes.iter().filter(note).count(), 1, "{notes:?}");
    }
}

#[test]
fn a_command_without_a_declared_outcome_takes_no_time_and_says_why_it_is_none() {
    let text = hooked("", RESTORED).replace(&format!("      rehearsal: {RESTORED}\n"), "");
    let (_, done) = rehearsed(&text);
    let course = course(&done, "hook.files");
    assert!(course[2].1.since(course[0].1) < Dur::secs(1), "{course:?}");
    let said = "not run in a rehearsal, because the plan declares no outcome (`rehearsal:`)";
    assert_eq!(result(&done, "hook.files"), (ran(said), None));
    let notes = &done.ended.state.runbook.notes;
    assert!(
        notes.iter().any(|note| note.contains("no outcome (`rehearsal:`)") && note.ends_with("hook.files"))
    );
}

/// The same halt, the same repetition and the same question to a person as after a real failure.
#[test]
fn a_declared_failure_has_the_consequences_of_a_real_one() {
    let (rig, done) = rehearsed(&hooked(IDEMPOTENT, FULL));
    assert_eq!(done.ended.stop, Stop::Failed(FAILED.to_owned()));
    assert_eq!(words(&course(&done, "hook.files")), "called, answered, failed");
    let (again, _) = rig.second(&done.records, &done.notes, &[Signal::Resume], None).unwrap();
    assert_eq!(again.ended.stop, Stop::Failed(FAILED.to_owned()));
    assert_eq!(words(&course(&again, "hook.files")), "called, answered, failed, called, answered, failed");
    // Nobody knows whether a command that failed may run twice.
    let (rig, done) = rehearsed(&hooked("", FULL));
    let (again, _) = rig.second(&done.records, &done.notes, &[Signal::Resume], None).unwrap();
    let asks = |stop: &Stop| matches!(stop, Stop::Approval(why) if why.contains("may already have run"));
    assert!(asks(&again.ended.stop), "{:?}", again.ended.stop);
    let (_, done) =
        rehearsed(&hooked("", FULL).replace("change: none", "change: none\n    on_failure: continue"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    assert_eq!(words(&course(&done, "hook.files")), "called, answered, failed");
}

#[test]
fn a_declared_time_above_the_timeout_ends_as_a_real_timeout() {
    let (_, done) = rehearsed(&hooked("      idempotent: true\n      timeout: 20s\n", RESTORED));
    let timed_out = course(&done, "hook.files");
    assert_eq!(words(&timed_out), "called, refused, failed");
    assert_eq!(timed_out[2].1.since(timed_out[0].1), Dur::secs(20));
    let (facts, why) = result(&done, "hook.files");
    assert!(facts.is_empty() && why.unwrap().starts_with("TimedOut: it ran longer than 20s"));
    let (_, done) = rehearsed(&hooked("      timeout: 20s\n", RESTORED));
    assert_eq!(words(&course(&done, "hook.files")), "called, in doubt, asks");
    let (_, done) = rehearsed(&hooked("      timeout: 41s\n", RESTORED));
    assert_eq!(words(&course(&done, "hook.files")), "called, answered, done");
}

/// Wherever the process died: before, within or after the command.
#[test]
fn a_resumed_rehearsal_finds_the_same_outcome() {
    for (outcome, ends) in [(RESTORED, None), (FULL, Some(FAILED))] {
        let (rig, whole) = rehearsed(&hooked(IDEMPOTENT, outcome));
        let expected = result(&whole, "hook.files");
        let is = |what: &EventKind, word: &str| match what {
            EventKind::StepStarted { step } => word == "started" && step.as_str() == "hook.files",
            EventKind::CallIntended { step, .. } => word == "called" && step.as_str() == "hook.files",
            EventKind::CallAnswered { step, .. } => word == "answered" && step.as_str() == "hook.files",
            _ => false,
        };
        for (word, calls) in [("started", 1), ("called", 2), ("answered", 1)] {
            let (n, notes) = until(&whole, |event| is(&event.what, word));
            let resumed = rig.carry_on(&whole.records[..n], &notes);
            assert_eq!(result(&resumed, "hook.files"), expected, "{outcome}, {word}");
            let course = course(&resumed, "hook.files");
            assert_eq!(
                course.iter().filter(|(word, _)| *word == "called").count(),
                calls,
                "{word}: {course:?}"
            );
            let last = |word: &str| course.iter().rev().find(|(other, _)| *other == word).unwrap().1;
            let declared = if ends.is_none() { Dur::secs(40) } else { Dur::secs(5) };
            assert_eq!(last("answered").since(last("called")), declared, "{word}: {course:?}");
            match ends {
                None => assert_eq!(resumed.ended.state.mode, Mode::Finished(Outcome::Recovered), "{word}"),
                Some(why) => assert_eq!(resumed.ended.stop, Stop::Failed(why.to_owned()), "{word}"),
            }
        }
    }
}

/// The runbook of a live run is the same with and without a declared outcome.
#[test]
fn a_live_run_does_not_even_contain_a_declared_outcome() {
    let runbook = |outcome: &str, rehearsed: bool| {
        let hook = format!(
            "hooks: [{{at: after.promote, name: files, change: none, step: {{command: [restore-files]{outcome}}}}}]\n"
        );
        let mut case = case(&format!("{PLAN}{hook}"));
        case.group("east", 2);
        case.request.rehearsed = rehearsed;
        case.request.from = Some(site("west"));
        let waived = [Rule::UnfencedPromotion, Rule::ExposureUnknown];
        case.request.waivers = waived.map(|rule| waiver(rule, Dur::mins(60))).into();
        case.plan().unwrap_or_else(|refusals| panic!("{refusals:#?}"))
    };
    let hook = |runbook: &Runbook| -> (Command, Step) {
        let step = runbook.step(&StepId::new("hook.files")).unwrap().clone();
        let Action::Op(Operation::Run(command)) = &step.action else { panic!("{step:?}") };
        (command.clone(), step)
    };
    let outcome = format!(", rehearsal: {RESTORED}");
    let (live, without) = (runbook(&outcome, false), runbook("", false));
    assert_eq!((&live.steps, &live.notes), (&without.steps, &without.notes));
    let (command, step) = hook(&live);
    assert_eq!((command.rehearsal, step.estimate.expected_ms), (None, Dur::secs(30)));
    let (command, step) = hook(&runbook(&outcome, true));
    assert_eq!(command.rehearsal.unwrap().exit, 0);
    assert_eq!(step.estimate.expected_ms, Dur::secs(40), "the plan expects what it declares");
}

/// As a real command that fails before the promotion, it ends the drill.
#[test]
fn a_live_drill_in_a_rehearsal_is_undone_after_a_declared_failure() {
    let drill = |outcome: &str| {
        let folder = Folder::empty();
        std::fs::create_dir(folder.path().join("plans")).unwrap();
        let text = hooked(IDEMPOTENT, outcome).replace("after.promote", "before.fence");
        std::fs::write(folder.path().join("plans/shop.yaml"), text).unwrap();
        let (code, out, err) = folder.run(&["drill", "shop", "--mode", "live", "--sandbox", "--yes"]);
        let report = ["report", "run", "sandbox-shop-drill-live-s1-1", "--sandbox", "--format", "json"];
        (code, json(&folder.ok(&report)), format!("{out}{err}"))
    };
    let (code, report, said) = drill(RESTORED);
    assert_eq!((code, &report["outcome"]), (0, &"recovered".into()), "{said}");
    let (code, report, said) = drill(FULL);
    assert_eq!((code, &report["outcome"]), (1, &"cancelled".into()), "{said}");
    assert!(said.contains("the command ended with 3"), "{said}");
}

/// An auditor must not take a declared outcome for a proof.
#[test]
fn plans_and_reports_of_a_rehearsal_say_that_the_outcome_was_declared() {
    let folder = Folder::empty();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    std::fs::write(folder.path().join("plans/shop.yaml"), hooked("", RESTORED)).unwrap();
    let failover = ["failover", "shop", "--to", "east", "--sandbox"];
    let declared = "not run in a rehearsal; the plan declares 40s and exit code 0";
    let note = "The plan declares the outcome of these, and nobody observed it: hook.files";
    for args in [
        &["plan", "show", "shop", "--to", "east", "--sandbox"][..],
        &[&failover[..], &["--dry-run"]].concat(),
    ] {
        let text = folder.ok(args);
        assert!(text.contains(declared) && text.contains(note), "{args:?}: {text}");
    }
    let (code, out, err) = folder.run(&[&failover[..], &["--yes"]].concat());
    let result = "declared in the plan, not observed: restored 120 files";
    assert!(code == 0 && out.contains(note), "{code} {out}");
    assert!(err.contains(&format!("hook.files done: {result}")), "{err}");
    let run = "sandbox-shop-failover-s1-1";
    let report = |format: &str| folder.ok(&["report", "run", run, "--sandbox", "--format", format]);
    for text in [report("md"), report("html"), report("json")] {
        assert!(text.contains(declared) && text.contains(note) && text.contains(result), "{text}");
    }
    let shown = folder.ok(&["runs", "show", run, "--sandbox"]);
    assert!(shown.contains(declared) && shown.contains(result), "{shown}");
    let report = json(&report("json"));
    let step = report["steps"].as_array().unwrap().iter().find(|step| step["id"] == "hook.files").unwrap();
    assert_eq!(step["output"], result, "{step:#}");
}
