//! Output that people must understand at first reading: lists, logs, clocks and labels.

use drctl::cli::commands::outcome::after_the_end;
use drctl::model::place::Place;
use drctl::model::time::Timestamp;
use drctl::record::event::{Outcome, WorldKind};
use drctl::run::RunState;
use drctl::run::state::Mode;
use serde_json::Value;

use crate::cli::contract::{Folder, json};
use crate::run::guards;
use crate::support::rig::{Rig, truststream};

fn at(value: &Value) -> Timestamp {
    Timestamp::parse(value.as_str().unwrap_or_else(|| panic!("{value}"))).unwrap()
}

fn runs(folder: &Folder) -> Vec<Value> {
    let listed = json(&folder.run(&["runs", "list", "--sandbox", "--output", "json"]).1);
    listed["runs"].as_array().unwrap().clone()
}

fn report(folder: &Folder, run: &str, format: &str) -> String {
    folder.ok(&["report", "run", run, "--sandbox", "--format", format])
}

#[test]
fn a_clock_that_does_not_apply_is_called_so() {
    let folder = Folder::with_plans();
    folder.run(&["drill", "truststream", "--mode", "isolated", "--sandbox"]);
    folder.run(&["drill", "truststream", "--sandbox"]);
    let all = runs(&folder);
    let named = |what: &str| {
        let run = all.iter().find(|run| run["drill"] == what).unwrap_or_else(|| panic!("{all:#?}"));
        run["run_id"].as_str().unwrap().to_owned()
    };
    let isolated = report(&folder, &named("isolated"), "md");
    for clock in ["detected", "validated"] {
        assert!(isolated.contains(&format!("| {clock} | not applicable |")), "{isolated}");
    }
    let tabletop = report(&folder, &named("tabletop"), "md");
    assert!(tabletop.contains("| Recovery time | not applicable: nothing ran |"), "{tabletop}");
    assert!(tabletop.contains("| executed | not applicable |"), "{tabletop}");
    for text in [&isolated, &tabletop] {
        assert!(!text.contains("not yet") && !text.contains("| unknown |"), "{text}");
    }
    let status = folder.run(&["status", "--sandbox"]).1;
    let line = |of: &str| status.lines().find(|line| line.contains(of)).unwrap_or_else(|| panic!("{status}"));
    assert!(line("tabletop drill").ends_with("read; nothing ran"), "{status}");
    assert!(line("isolated drill").ends_with("passed; nobody was moved"), "{status}");
}

/// A rehearsal is realistic: attaching a group, a restart and its report take about as long as the plan expects.
#[test]
fn a_rehearsed_fence_by_security_group_takes_about_what_the_plan_expects() {
    for seed in 1..=8 {
        let rig = Rig::new(truststream(), "region-lost", seed);
        let state = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}")).ended.state;
        let i =
            (0..state.steps.len()).find(|i| state.step(*i).id.as_str() == "fence.db.security_group").unwrap();
        let work = &state.steps[i].work;
        let took = work.ended_at.unwrap().since(work.started_at.unwrap()).as_secs_f64();
        let expected = state.step(i).estimate.expected_ms.as_secs_f64();
        assert!(
            took > expected / 3.0 && took < expected * 1.5,
            "seed {seed}: {took} s, expected {expected} s"
        );
        assert_eq!(work.attempts, 2, "the group, and the restart");
    }
}

/// Steps without calls show no number of attempts, because a zero would look like a step that was never tried.
#[test]
fn a_step_without_calls_shows_no_number_of_attempts() {
    let folder = Folder::with_plans();
    folder.run(&["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox"]);
    let md = report(&folder, "sandbox-truststream-failover-s1-1", "md");
    let line = |step: &str| {
        md.lines().find(|l| l.starts_with(&format!("| `{step}`"))).unwrap_or_else(|| panic!("{md}"))
    };
    assert!(line("evidence.before").contains("| done |  | 2026"), "{md}");
    assert!(line("promote.db").contains("| done | 1 | 2026"), "{md}");
}

#[test]
fn a_report_of_rehearsals_says_that_its_time_is_virtual() {
    let folder = Folder::with_plans();
    folder.run(&["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox"]);
    let last = at(&runs(&folder)[0]["ended_at"]).to_string()[..19].replace('T', " ");
    for format in ["md", "html"] {
        let text = folder.ok(&["report", "compliance", "--sandbox", "--format", format]);
        let words = format!("from rehearsals, which run in virtual time up to {last}");
        assert!(text.contains(&words) && !text.contains("Created at"), "{text}");
    }
    let md = folder.ok(&["report", "compliance", "--sandbox", "--format", "md"]);
    assert!(!md.contains("\\`"), "{md}");
    assert!(md.contains("| Time without a standby, added up over all databases |"), "{md}");
}

/// The run's report and the compliance report agree about the outage.
#[test]
fn users_who_were_never_served_again_have_one_duration() {
    let folder = Folder::with_plans();
    folder.run(&["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox=capacity-short"]);
    let run = "sandbox-truststream-failover-s1-1";
    folder.run(&["runs", "cancel", run, "--reason", "enough", "--yes", "--sandbox"]);
    let own = json(&report(&folder, run, "json"))["rto"].clone();
    assert_eq!(own["never_recovered"], true, "{own:#}");
    let all = json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]));
    let line = &all["runs"][0];
    assert!(own["achieved_s"].as_f64().is_some_and(|s| s > 60.0), "{own:#}");
    assert_eq!(line["not_recovered_s"], own["achieved_s"], "{line:#}");
}

#[test]
fn the_newest_run_is_listed_first_unless_another_needs_somebody() {
    let folder = Folder::with_plans();
    folder.run(&["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox=capacity-short"]);
    folder.run(&["drill", "truststream", "--sandbox"]);
    folder.run(&["drill", "truststream", "--mode", "isolated", "--sandbox"]);
    let listed = folder.ok(&["runs", "list", "--sandbox"]);
    let first = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    let names: Vec<_> = listed.lines().map(first).collect();
    assert_eq!(
        names,
        [
            "sandbox-truststream-failover-s1-1",
            "sandbox-truststream-drill-isolated-s1-3",
            "sandbox-truststream-drill-tabletop-s1-2"
        ],
        "{listed}"
    );
}

const SCHEDULES: &str = "
schedules:
  weekly: {plan: truststream, drill: isolated, at: \"30 2 * * SUN\", zone: Europe/Prague, jitter: 20m}
  quarterly: {plan: truststream, drill: live, at: \"0 11 1 1,4,7,10 *\", zone: UTC, hold: 30m}
";

#[test]
fn the_log_of_rehearsed_schedules_has_the_times_of_their_runs() {
    let folder = Folder::with_plans();
    let settings = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text + SCHEDULES).unwrap();
    let serve = ["serve", "--sandbox", "--until", "2026-01-20T00:00:00Z"];
    let said = folder.ok(&[&serve[..], &["--output", "json"]].concat());
    let lines: Vec<Value> = said.lines().map(json).collect();
    let of = |fate: &str| -> Vec<&Value> { lines.iter().filter(|l| l["fate"]["fate"] == fate).collect() };
    let (begun, ended) = (of("begun"), of("ended"));
    assert_eq!((begun.len(), ended.len()), (4, 4), "{said}");
    let copies = ended.iter().filter(|line| line["schedule"] == "weekly");
    let why: Vec<&str> = copies.map(|line| line["fate"]["why"].as_str().unwrap()).collect();
    assert!(!why.is_empty() && why.iter().all(|why| why.ends_with(" passed")), "nobody recovered: {why:?}");
    let all = runs(&folder);
    let find = |name: &Value| all.iter().find(|run| run["run_id"] == *name).unwrap();
    let mut last = Vec::new();
    for (begun, ended) in begun.iter().zip(&ended) {
        let run = find(&begun["fate"]["runs"][0]);
        let looked = at(&run["started_at"]).since(at(&begun["at"]));
        assert!(at(&begun["at"]) <= at(&run["started_at"]) && looked.as_secs_f64() < 60.0, "{begun} {run}");
        assert!(at(&ended["at"]) >= at(&run["ended_at"]), "{ended} {run}");
        last.push(at(&run["ended_at"]).to_string()[14..].to_owned());
    }
    let weekly = begun.iter().filter(|line| line["schedule"] == "weekly");
    let late = weekly.filter(|line| at(&line["at"]) > at(&line["due"])).count();
    assert_eq!(late, 3, "the jitter is in the run, too: {said}");
    last.sort();
    last.dedup();
    assert_eq!(last.len(), 4, "no two end at the same minute and second of an hour: {last:?}");
    // All run names have the same form, including the return of the live drill.
    assert_eq!(all.len(), 5);
    for run in &all {
        assert!(run["run_id"].as_str().unwrap().starts_with("sandbox-202601"), "{run}");
    }
    let end = lines.last().unwrap();
    assert_eq!(
        (end["event"].as_str(), end["passed"].as_u64(), end["failed"].as_u64()),
        (Some("end"), Some(4), Some(0))
    );
    // The same for people.
    let again = Folder::with_plans();
    std::fs::copy(&settings, again.path().join("plans/drctl.yaml")).unwrap();
    let said = again.ok(&serve);
    let end = said.lines().last().unwrap();
    assert!(end.ends_with("end of the rehearsal: 4 passed, 0 failed, 0 missed, 0 not finished"), "{said}");
}

#[test]
fn one_name_for_the_command_that_makes_keys() {
    let folder = Folder::empty();
    let help = folder.ok(&["--help"]);
    assert!(help.lines().any(|line| line.starts_with("  key ")), "{help}");
    let usage = folder.ok(&["key", "new", "--help"]);
    assert!(usage.contains("Usage: drctl key new"), "{usage}");
    let all = ["--help", "policy --help", "key --help", "key new --help", "key show --help"];
    for args in all {
        let args: Vec<_> = args.split(' ').collect();
        let text = folder.ok(&args);
        assert!(!text.contains("policy key"), "{text}");
    }
}

/// The default store is in the folder where drctl runs, wherever the settings are.
#[test]
fn help_says_where_the_store_is() {
    let folder = Folder::with_plans();
    folder.run(&["drill", "truststream", "--sandbox"]);
    assert!(folder.path().join(".drctl/sandbox.db").exists());
    let help = folder.ok(&["status", "--help"]);
    let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(".drctl/drctl.db in this folder, or in that of -C"), "{help}");
    assert!(!flat.contains("beside"), "{help}");
}

/// A live failover that somebody closed past its point of no return.
fn abandoned(guard: Option<Place>) -> RunState {
    let guarded = guard.is_some();
    let rig = Rig { guard, ..Rig::new(truststream(), "capacity-short", 1) };
    let stopped = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let (done, _) = rig.cancel(&stopped.records, &stopped.notes, None);
    let mut state = done.ended.state;
    assert_eq!(state.mode, Mode::Finished(Outcome::Abandoned));
    state.created.world = WorldKind::Live;
    assert_eq!(!state.unreturned_guards().is_empty(), guarded);
    state
}

#[test]
fn an_abandoned_live_run_says_how_to_complete_the_move() {
    let next = after_the_end(&abandoned(None)).unwrap();
    assert_eq!(next, "run drctl failover truststream --to us-east-1 to complete the move");
    let next = after_the_end(&abandoned(Some(guards::place()))).unwrap();
    let take_over = "; add --take-over --reason TEXT for the guards that this run keeps";
    assert_eq!(
        next,
        format!("run drctl failover truststream --to us-east-1 to complete the move{take_over}")
    );
}
