//! The screens while a recovery is stopped, was given up, or has left two servers that take writes.

use std::io::{BufRead as _, BufReader};

use drctl::journal::Journal as _;
use drctl::model::ids::RunId;
use drctl::model::waiver::Person;
use drctl::record::event::Signal;

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures::{state_of, store};

const RUN: &str = "sandbox-truststream-failover-s1-1";

fn failover(folder: &Folder, scenario: &str, more: &[&str]) -> String {
    let scenario = format!("--sandbox={scenario}");
    let begin = ["failover", "truststream", "--to", "us-east-1", "--yes", &scenario];
    let (_, out, err) = folder.run(&[&begin[..], more].concat());
    format!("{out}{err}")
}

const UNFENCED: [&str; 6] =
    ["--waive", "unfenced-promotion:db", "--accept-data-loss", "10m", "--reason", "dark"];

#[test]
fn the_status_of_a_recovery_that_stopped_says_that_nobody_can_write_and_users_are_out() {
    let folder = Folder::with_plans();
    failover(&folder, "replica-lagging", &[]);
    let status = folder.ok(&["status", "truststream", "--sandbox"]);
    for words in [
        "  active      us-west-2, but no server takes the writes of db\n",
        "  users       have not been served for at least 1m ",
        "    db                   fenced in us-west-2, takes no writes\n",
    ] {
        assert!(status.contains(words), "{words}: {status}");
    }
    // Nobody has looked since, and the time goes on.
    assert!(status.contains(", as of 2026-01-01T03:"), "{status}");
    let told = json(&folder.ok(&["status", "truststream", "--sandbox", "--output", "json"]));
    assert_eq!(told["plans"][0]["fenced"], serde_json::json!({"db": "us-west-2"}), "{told:#}");
    assert!(told["plans"][0]["users"].as_str().unwrap().contains(RUN), "{told:#}");
    // If all is well, nothing about that is shown.
    let calm = Folder::with_plans();
    failover(&calm, "region-lost", &[]);
    let status = calm.ok(&["status", "truststream", "--sandbox"]);
    for words in ["  users  ", "but no server", "fenced in"] {
        assert!(!status.contains(words), "{words}: {status}");
    }
    // The lost site had capacity when it was last seen, so the group does not show where the application is active.
    let row = status.lines().find(|line| line.starts_with("    nodes "));
    assert!(row.is_some_and(|row| row.contains("us-east-1: 4 in service")), "{status}");
}

/// A security group alone leaves older sessions open. Only the restart after it proves the fence, about a minute later.
#[test]
fn a_server_is_not_called_fenced_before_its_fence_is_proven() {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    let (ladder, group) = ("fence: [sql, security_group]", "fence: [security_group]");
    assert!(text.contains(ladder));
    std::fs::write(&plan, text.replacen(ladder, group, 1)).unwrap();
    let args = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox=replica-lagging"];
    let mut child = folder.start(&[&args[..], &["--pace", "20"]].concat());
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("fence.db.security_group call 2") {
        line.clear();
        assert!(err.read_line(&mut line).unwrap() > 0, "the restart was not requested");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let told = || {
        let status = folder.run(&["status", "truststream", "--sandbox"]).1;
        let told = json(&folder.run(&["status", "truststream", "--sandbox", "--output", "json"]).1);
        (status, told["plans"][0].clone())
    };
    let (status, plan) = told();
    for words in [
        "  active      us-west-2, but the fence of db is not proven: the old primary may still take writes\n",
        "    db                   being fenced in us-west-2, not proven: may still take writes\n",
    ] {
        assert!(status.contains(words), "{words}: {status}");
    }
    for words in [" db                   fenced in", "takes no writes", "no server takes"] {
        assert!(!status.contains(words), "{words}: {status}");
    }
    let (none, west) = (serde_json::json!({}), serde_json::json!({"db": "us-west-2"}));
    assert_eq!((&plan["fenced"], &plan["being_fenced"]), (&none, &west), "{plan:#}");
    // A process that was killed recorded no halt, and its last call may still take effect.
    let asked = "IN DOUBT fence.db.security_group: the run requested ";
    let screen = folder.run(&["runs", "show", RUN, "--sandbox"]).1;
    assert!(screen.contains(asked) && status.contains("  IN DOUBT  run "), "{screen}{status}");
    let report = |format: &str| folder.ok(&["report", "run", RUN, "--sandbox", "--format", format]);
    let document = json(&report("json"));
    let mut effects = document["in_doubt"].as_array().unwrap().iter();
    assert!(effects.any(|effect| effect["step"] == "fence.db.security_group"), "{document:#}");
    assert!(report("md").contains("**In doubt:** "), "{}", report("md"));
    // The run proves the fence, and stops later.
    folder.run(&["runs", "resume", RUN, "--sandbox"]);
    let (status, plan) = told();
    assert!(status.contains("    db                   fenced in us-west-2, takes no writes\n"), "{status}");
    assert_eq!((&plan["fenced"], &plan["being_fenced"]), (&west, &none), "{plan:#}");
}

/// The report of the run says that no standby follows, and that clients of the dark region use the old server. So does the status.
#[test]
fn the_status_after_a_dark_region_names_the_clients_that_use_the_old_server() {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    let api = "  api:\n    kind: clients\n    of: db\n    at:\n      us-west-2: {secret: ts/api}\n      us-east-1: {secret: ts/api}\n  www:\n";
    std::fs::write(&plan, text.replacen("  www:\n", api, 1)).unwrap();
    let said = failover(&folder, "region-dark", &UNFENCED);
    assert!(said.contains("standby  UNPROTECTED: no standby follows db"), "{said}");
    let status = folder.run(&["status", "truststream", "--sandbox"]).1;
    for words in [
        "  protection  UNPROTECTED: no standby follows db (us-west-2 cannot be observed)\n",
        "  CLIENTS LEFT  api in us-west-2 may still use the old server, which is not fenced: ",
        "Once us-west-2 answers, run drctl reprotect truststream --to us-west-2 --sandbox\n",
    ] {
        assert!(status.contains(words), "{words}: {status}");
    }
    assert!(!status.contains("  advice      secret ts/api in us-west-2"), "{status}");
    let told = json(&folder.run(&["status", "truststream", "--sandbox", "--output", "json"]).1);
    let (plan, left) = (&told["plans"][0], &told["plans"][0]["clients_left"]);
    assert_eq!(plan["protection"], "UNPROTECTED", "{plan:#}");
    assert_eq!((&left[0]["site"], &left[0]["secret"]), (&"us-west-2".into(), &"ts/api".into()), "{left:#}");
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left:#}");
    // A region that answers is compared with the database, and nothing is left.
    failover(&folder, "region-lost", &[]);
    let status = folder.run(&["status", "truststream", "--sandbox"]).1;
    assert!(!status.contains("CLIENTS LEFT"), "{status}");
}

/// Everything else on the screen is about the last rehearsal.
#[test]
fn the_pending_fence_of_another_rehearsal_is_called_that() {
    let folder = Folder::with_plans();
    failover(&folder, "region-dark", &UNFENCED);
    let status = folder.run(&["status", "truststream", "--sandbox"]).1;
    assert!(status.contains(&format!("(run {RUN}); drctl ")), "{status}");
    failover(&folder, "region-lost", &[]);
    let status = folder.run(&["status", "truststream", "--sandbox"]).1;
    assert!(status.contains(&format!("(run {RUN}, another rehearsal); drctl ")), "{status}");
}

/// Each rehearsal has its own time, so an observation of another one may seem to come from after the outage.
#[test]
fn what_is_last_known_of_a_dark_region_comes_from_the_rehearsal_that_is_shown() {
    let folder = Folder::with_plans();
    failover(&folder, "region-lost", &[]);
    folder.run(&["status", "truststream", "--sandbox"]);
    failover(&folder, "region-dark", &UNFENCED);
    let status = folder.run(&["status", "truststream", "--sandbox"]).1;
    let row = status.lines().find(|line| line.starts_with("    nodes "));
    let before_the_outage = "us-west-2: 4 in service (last known, 3h ";
    assert!(row.is_some_and(|row| row.contains(before_the_outage)), "{status}");
}

/// A decision that no process has read yet counts for resume, so every screen and report shows it, and the way that it means comes first.
#[test]
fn a_decision_that_waits_is_on_the_screen_and_in_the_report() {
    let folder = Folder::with_plans();
    folder.run(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox=capacity-short"]);
    let (run, waits) = ("sandbox-starter-failover-s1-1", "(waits until a process of the run reads it)");
    // What follows a statement that waits has to wait, too.
    let seen = Signal::Acknowledge { decision: None, reason: "seen".to_owned() };
    let at = state_of(&folder, run).last_at;
    store(&folder).post(&RunId::new(run), at, &Person::claimed("ann"), &seen).unwrap();
    folder.ok(&["ack", run, "--decide", "take-back", "--reason", "no, go back.", "--sandbox"]);
    let shown = folder.ok(&["runs", "show", run, "--sandbox"]);
    assert!(shown.contains(&format!("decided on take-back: no, go back. {waits}")), "{shown}");
    let (_, ways) = shown.split_once("  ways on\n").unwrap();
    assert!(ways.starts_with(&format!("    drctl runs cancel {run} ")), "{ways}");
    let report = |format: &str| folder.ok(&["report", "run", run, "--sandbox", "--format", format]);
    let md = report("md");
    assert!(md.contains(&format!("decided on take-back: no, go back. {waits}")), "{md}");
    assert!(
        md.contains(&format!(": take back: no, go back {waits}.")) && !md.contains("Nobody has decided"),
        "{md}"
    );
    assert!(!md.contains(".. "), "each sentence has one full stop: {md}");
    assert!(report("html").contains(waits));
    assert_eq!(json(&report("json"))["stops"][0]["waits"], true);
    folder.run(&["runs", "cancel", run, "--reason", "enough", "--sandbox", "--yes"]);
    assert!(!report("md").contains(waits), "a process has read it");
}

#[test]
fn a_split_names_both_sites_of_the_database_and_a_fence_is_pending_by_that_word_alone() {
    let folder = Folder::with_plans();
    let said = failover(&folder, "primary-returns", &UNFENCED);
    assert!(said.contains("FENCE PENDING") && said.contains("tried "), "{said}");
    assert!(said.contains("objective 5m: not proven"), "nobody knows yet: {said}");
    assert!(said.contains("fence.db.sql: no answer since "), "whether it answered: {said}");
    let old = said.lines().find(|line| line.contains("old primary truststream-db: no answer; asked every"));
    let end =
        json(&folder.run(&["report", "run", RUN, "--sandbox", "--format", "json"]).1)["ended_at"].clone();
    assert!(old.is_some_and(|line| line.contains(&format!("tried {}", end.as_str().unwrap()))), "{said}");
    let steps = || folder.ok(&["runs", "show", RUN, "--sandbox"]);
    assert!(steps().contains("\nnot proven   fence.db.sql "), "{}", steps());
    let status = folder.run(&["status", "truststream", "--sandbox"]).1;
    for words in [
        "  active      split: db in us-east-1 and in us-west-2, www in us-east-1\n",
        "    db                   us-east-1 and us-west-2\n",
    ] {
        assert!(status.contains(words), "{words}: {status}");
    }
    let (_, out, err) = folder.run(&["runs", "resume", RUN, "--sandbox"]);
    let resumed = format!("{out}{err}");
    assert!(resumed.contains("one hour after its end, in virtual time"), "{resumed}");
    assert!(resumed.contains("pending fence: the new primary of db takes writes"), "{resumed}");
    assert!(resumed.contains("pending fence of db: the old primary was fenced at "), "{resumed}");
    let shown = folder.ok(&["runs", "show", RUN, "--sandbox", "--output", "json"]);
    assert_eq!(json(&shown)["fence"]["state"], "fenced", "{shown}");
    assert!(!steps().contains("not proven   fence") && !steps().contains("\nstarted "), "{}", steps());
    // What the old primary committed after the promotion is lost, whatever the replica had: that is known now.
    let rpo = &json(&shown)["rpo"];
    assert_eq!((&rpo["basis"], &rpo["verdict"]), (&"upper_bound".into(), &"missed".into()), "{rpo:#}");
    assert!(
        resumed.contains("(upper bound); at least 3h") && resumed.contains("objective 5m: MISSED"),
        "{resumed}"
    );
    let truth = resumed.lines().find(|l| l.contains("truth")).unwrap();
    assert!(truth.contains("db lost 3h 4m of writes"), "the bounds hold: {truth}");
    let report = folder.ok(&["report", "run", RUN, "--sandbox"]);
    for screen in [&said, &status, &resumed, &report] {
        for word in ["fence owed", "paid", "PAID", "OWED"] {
            assert!(!screen.contains(word), "{word}: {screen}");
        }
    }
}

/// What a process did that had no answer, before the time of its first question.
const ASKED: &str = "no answer; asked every second since ";

/// The new primary answers, so looks at it say nothing about the old one.
#[test]
fn a_fence_that_stays_pending_says_that_the_old_primary_was_asked_again_and_did_not_answer() {
    let folder = Folder::with_plans();
    failover(&folder, "region-dark", &UNFENCED);
    let tried = || {
        let shown = folder.run(&["runs", "show", RUN, "--sandbox"]).1;
        let line = shown.lines().find(|line| line.contains(" old primary truststream-db: no answer; "));
        line.unwrap_or_else(|| panic!("{shown}")).to_owned()
    };
    let before = tried();
    let (_, out, err) = folder.run(&["runs", "resume", RUN, "--sandbox"]);
    let result = "pending fence of db: the old primary truststream-db did not answer; no fence call was made; the fence is still pending";
    let result = err.lines().find(|line| line.starts_with(result)).unwrap_or_else(|| panic!("{err}"));
    assert!(result.ends_with("; the fence is still pending"), "{result}");
    let after = tried();
    assert!(after > before, "a later process asked again: {before} {after}");
    // Each method names the time at which this process last tried it, and since when no process had an answer.
    let span = |line: &str, words: &str| {
        let (until, since) = line.split_once(words).unwrap_or_else(|| panic!("{words}: {line}"));
        let until = until.trim().trim_start_matches("tried ").split(' ').next().unwrap().to_owned();
        (until, since.to_owned())
    };
    let (asked, first) = (span(&after, ASKED), span(&before, ASKED));
    assert!(asked.1 > first.1, "each process asks: {before} {after}");
    let silent = (asked.0, first.1);
    let methods: Vec<_> = out.lines().filter(|line| line.contains(" fence.db.")).collect();
    let methods: Vec<_> = methods.iter().filter(|line| line.contains("tried ")).collect();
    assert!(!methods.is_empty(), "{out}");
    methods.iter().for_each(|line| assert_eq!(span(line, "no answer since "), silent, "{out}"));
    let report = json(&folder.run(&["report", "run", RUN, "--sandbox", "--format", "json"]).1);
    let text = report["debts"][0]["text"].as_str().unwrap();
    assert!(text.ends_with(", 0 fence calls, because truststream-db did not answer"), "{text}");
}

/// A planned move that waited for an approval before users noticed anything, and that another process continued.
fn continued_move(folder: &Folder, more: &[&str]) -> String {
    let plan = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text + "gates:\n  go: {at: promote, approval: \"may we?\"}\n").unwrap();
    let start = ["switchover", "truststream", "--to", "us-east-1", "--yes", "--sandbox=calm"];
    let (code, out, err) = folder.run(&start);
    assert_eq!(code, 4, "{out}{err}");
    let run = "sandbox-truststream-switchover-s1-1";
    let approve = ["approve", run, "approve.go", "--sandbox", "--yes"];
    let output = folder.command(&approve).env("DRCTL_OPERATOR", "alice").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    folder.ok(&[&["runs", "resume", run, "--sandbox"], more].concat())
}

/// The figure of the simulation has the grid of the probe, whatever is unknown between two processes.
#[test]
fn the_truth_of_a_continued_move_is_what_its_probes_saw() {
    let report = json(&continued_move(&Folder::with_plans(), &["--output", "json"]));
    let (rto, truth) = (&report["rto"], &report["truth"]);
    let most = rto["achieved_s"].as_f64().unwrap();
    let least = most - rto["resolution_s"].as_f64().unwrap();
    for seen in ["users_failed_s", "users_failed_as_sampled_s"] {
        let seen = truth[seen].as_f64().unwrap();
        assert!(least <= seen && seen <= most, "{rto:#} {truth:#}");
    }
}

/// Nobody sampled between two processes, which hides when the outage began. The decision has an exact time.
#[test]
fn the_time_from_the_decision_is_exact_although_the_start_of_the_outage_is_not() {
    let report = json(&continued_move(&Folder::with_plans(), &["--output", "json"]));
    let since = report["clocks"]["rto_from_declaration"].as_str().unwrap();
    assert!(since.ends_with(" ± 5s (measured)"), "{since}");
    assert!(report["rto"]["resolution_s"].as_f64() > Some(60.0), "{:#}", report["rto"]);
    let why = "no sample of probe public is recorded between 2026-01-01T03:00:00";
    let notes: Vec<_> = report["notes"].as_array().unwrap().iter().filter_map(|n| n.as_str()).collect();
    let note = notes.iter().find(|note| note.starts_with(why)).unwrap_or_else(|| panic!("{notes:#?}"));
    assert!(note.contains(", so the start of the outage is known only to within 2m"), "{note}");
}

/// The failed samples show the least, and the outage can only have begun earlier. So the figure is no `±`, and totals are no exact times.
#[test]
fn a_recovery_time_whose_start_nobody_sampled_is_an_interval_in_every_report() {
    let folder = Folder::with_plans();
    let rto = json(&continued_move(&folder, &["--output", "json"]))["rto"].clone();
    let (text, resolution) = (rto["text"].as_str().unwrap(), rto["resolution_s"].as_f64().unwrap());
    assert_eq!(rto["basis"], "interval", "{rto:#}");
    assert!(text.contains(" to ") && text.ends_with(" (interval)") && !text.contains('±'), "{text}");
    let report = json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]));
    let mut applications = report["applications"].as_array().unwrap().iter();
    let longest = &applications.find(|a| a["plan"] == "truststream").unwrap()["figures"]["rto_s"]["max"];
    assert_eq!((&longest["at_most"], &longest["at_least"]), (&true.into(), &false.into()), "{longest}");
    assert_eq!(longest["seconds"], rto["achieved_s"]);
    assert!(
        rto["achieved_s"].as_f64() > Some(resolution),
        "the most, and less the resolution the least: {rto:#}"
    );
    let md = folder.ok(&["report", "compliance", "--sandbox", "--format", "md"]);
    assert!(md.contains("; longest at most ") && md.contains(text), "{md}");
    let csv = folder.ok(&["report", "compliance", "--sandbox", "--format", "csv"]);
    assert!(csv.contains(",rto_achieved_s,rto_basis,rto_resolution_s,rto_verdict,"), "{csv}");
    assert!(
        csv.contains(&format!(",{},interval,{resolution},", rto["achieved_s"].as_f64().unwrap())),
        "{csv}"
    );
}

/// A reader at 3 a.m. sees a single number for the required servers.
#[test]
fn a_screen_that_stops_for_capacity_says_one_number_of_what_is_required() {
    let folder = Folder::with_plans();
    let path = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (floor, less) = ("capacity_floor: 4, proceed_at: 80%", "capacity_floor: 4, proceed_at: 60%");
    assert!(text.contains(floor));
    std::fs::write(&path, text.replacen(floor, less, 1)).unwrap();
    let said = failover(&folder, "capacity-short", &["--seed", "3"]);
    let screen = &said[said.find("\nHALTED").unwrap_or_else(|| panic!("{said}"))..];
    assert!(screen.contains("of 4 in service, at least 3 must be"), "{screen}");
    assert!(screen.contains("although 3 of 4 must be in service"), "{screen}");
    assert!(!screen.contains("required"), "{screen}");
}

#[test]
fn what_was_given_up_says_what_a_person_must_do_and_nothing_that_harms() {
    let folder = Folder::with_plans();
    failover(&folder, "capacity-short", &[]);
    let cancel = ["runs", "cancel", RUN, "--reason", "enough", "--yes", "--sandbox"];
    let (_, out, _) = folder.run(&cancel);
    let title = out.find("ABANDONED: users have not been served").unwrap_or_else(|| panic!("{out}"));
    assert!(out[title..].contains("next     a rehearsal ends here. In a live run, a failover of truststream to us-east-1 would complete the move"), "{out}");
    assert!(out.contains("UNPROTECTED: no standby follows db"), "{out}");
    // A standby would be made from an unreachable server, and a failover with --sandbox starts over.
    for harmful in ["reprotect truststream", "failback", "drctl --sandbox failover"] {
        assert!(!out[title..].contains(harmful), "{harmful}: {out}");
    }
    let resume = ["runs", "resume", RUN, "--sandbox"];
    let (code, _, err) = folder.run(&resume);
    let over = format!(
        "run {RUN} is over: it was cancelled after its point of no return, and it cannot be continued"
    );
    assert!(code == 1 && err.contains(&over) && !err.contains("nothing is pending"), "{code}: {err}");
    assert!(err.contains("NOT SERVED: users have not been served for at least "), "{err}");
    assert!(err.contains("would complete the move") && err.contains("GUARDS KEPT: "), "{err}");
    let folder = Folder::with_plans();
    failover(&folder, "replica-lagging", &[]);
    let (_, out, _) = folder.run(&cancel);
    let (code, _, err) = folder.run(&resume);
    let words = "is over: it was cancelled, and it cannot be continued";
    assert!(
        code == 1 && err.contains(words) && err.contains("users still fail in us-west-2"),
        "{code}: {err}"
    );
    let title = out.find("CANCELLED: users have not been served").unwrap_or_else(|| panic!("{out}"));
    let next = out[title..].lines().nth(1).unwrap();
    assert!(next.contains("next     users still fail in us-west-2: repair us-west-2, or run "), "{next}");
    assert!(next.contains("failover truststream --to us-east-1 again"), "{next}");
    let status = folder.ok(&["status", "truststream", "--sandbox"]);
    assert!(status.contains("  users       have not been served for at least "), "{status}");
}

#[test]
fn a_rehearsal_that_goes_by_slowly_says_what_it_waits_for() {
    let folder = Folder::with_plans();
    let said = failover(&folder, "region-lost", &["--pace", "100000"]);
    let waits =
        said.find("truststream: waiting until probes see the outage").unwrap_or_else(|| panic!("{said}"));
    assert!(waits < said.find(" created, runbook ").unwrap(), "{said}");
    assert!(!failover(&Folder::with_plans(), "region-lost", &[]).contains("waiting until probes"));
    // A planned move has no outage that anybody detects.
    let planned = ["switchover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", "calm"];
    let (_, out, err) = Folder::with_plans().run(&[&planned[..], &["--pace", "100000"]].concat());
    assert!(err.contains("truststream: waiting for the first samples of the probes"), "{err}");
    let took = out.lines().find(|line| line.starts_with("  took ")).unwrap_or_else(|| panic!("{out}"));
    assert!(!took.contains("detection") && !format!("{out}{err}").contains("see the outage"), "{out}{err}");
}

#[test]
fn what_is_shown_of_a_scenario_before_its_outage_says_so() {
    let folder = Folder::with_plans();
    let words = "the estate of scenario region-dark before its outage";
    for verb in ["ready", "status"] {
        let (_, out, err) = folder.run(&[verb, "truststream", "--sandbox=region-dark"]);
        assert!(err.contains(words), "{verb}: {out}{err}");
        let (_, _, err) = folder.run(&[verb, "truststream", "--sandbox=calm"]);
        assert!(!err.contains("before its outage"), "{verb}: {err}");
    }
    // After a run, the estate is in the state that the run left.
    failover(&folder, "region-dark", &UNFENCED);
    let (_, _, err) = folder.run(&["status", "truststream", "--sandbox=region-dark"]);
    assert!(!err.contains(words), "{err}");
}

/// Lines of runs and of slow steps have a time and its time zone.
#[test]
fn every_line_of_a_run_has_its_time_with_the_zone() {
    let folder = Folder::with_plans();
    let (_, out, err) = folder.run(&["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox"]);
    let lines: Vec<_> =
        err.lines().filter(|line| line.contains("started") || line.contains(" done")).collect();
    assert!(lines.len() > 10, "{err}");
    for line in lines {
        let clock = line.split_whitespace().next().unwrap();
        assert!(clock.len() == 9 && clock.ends_with('Z') && line.contains(" +"), "{line}");
    }
    let took = out.lines().find(|l| l.contains("  took ")).unwrap();
    assert!(took.contains(" with detection and decision, real "), "{took}");
    assert!(!took.contains("this process alone"), "{took}");
}

/// A cancel and a resume take only a part of the time of their run.
#[test]
fn a_later_process_of_a_run_says_that_it_took_only_its_own_time() {
    let folder = Folder::with_plans();
    failover(&folder, "capacity-short", &[]);
    for args in [
        &["runs", "resume", RUN, "--sandbox"][..],
        &["runs", "cancel", RUN, "--reason", "enough", "--yes", "--sandbox"],
    ] {
        let (_, out, err) = folder.run(args);
        assert!(err.contains("a new process drives the run (epoch ") && !err.contains("by sandbox"), "{err}");
        let took = out.lines().find(|l| l.contains("  took ")).unwrap_or_else(|| panic!("{out}{err}"));
        assert!(took.ends_with("; this process alone, not the whole run"), "{took}");
        assert!(!took.contains("virtual 0s"), "its clock went on: {took}");
    }
}

/// The same thing always has the same word: a drill ends as its title says, and a gate has no maximum duration.
#[test]
fn words_of_drills_gates_and_reports_need_no_second_reading() {
    let folder = Folder::with_plans();
    let (_, out, err) = folder.run(&["drill", "truststream", "--mode", "isolated", "--yes", "--sandbox"]);
    assert!(err.contains("finished: passed") && out.contains("PASSED"), "{out}{err}");
    let shown = folder.ok(&["plan", "show", "truststream", "--to", "us-east-1", "--sandbox"]);
    assert!(shown.contains("wait until db is fenced") && !shown.contains("at most 0s"), "{shown}");
    let report = |until: &str| {
        folder.ok(&[
            "report",
            "compliance",
            "--sandbox",
            "--since",
            "2026-01-01",
            "--until",
            until,
            "--format",
            "md",
        ])
    };
    let report_of_all = report("2027-01-01");
    assert!(
        report_of_all.contains("The period is not over yet.") && report_of_all.contains("## Duties"),
        "{report_of_all}"
    );
    assert!(!report_of_all.contains("bligations"), "{report_of_all}");
    assert!(!report("2026-01-01T02:00:00Z").contains("not over yet"));
}

/// The go-bag of a rehearsal is useless in an outage.
#[test]
fn a_go_bag_of_rehearsals_takes_the_place_of_none_of_the_live_store() {
    let folder = Folder::with_plans();
    let export = |more: &[&str]| folder.run(&[&["kit", "export"], more].concat());
    assert_eq!((export(&[]).0, export(&["--sandbox"]).0), (0, 0));
    let at = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let (live, sandbox) = (at("drctl-kit.json"), at("drctl-kit-sandbox.json"));
    let (code, _, err) = export(&["--sandbox", "--out", "drctl-kit.json"]);
    assert!(code == 2 && err.contains("drctl-kit.json is a go-bag of the live store"), "{code} {err}");
    let (code, _, err) = export(&["--out", "drctl-kit-sandbox.json"]);
    assert!(code == 2 && err.contains("is a go-bag of rehearsals"), "{code} {err}");
    assert!(at("drctl-kit.json") == live && at("drctl-kit-sandbox.json") == sandbox);
    // A go-bag of the same world is replaced.
    assert_eq!((export(&[]).0, export(&["--sandbox"]).0), (0, 0));
    let (_, out, err) = folder.run(&["doctor", "--assume-down", "us-west-2", "--sandbox"]);
    let said = format!("{out}{err}").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("schedule drctl kit export to a place outside"), "{said}");
}

/// The state of one plan is not hidden among the runs of the others.
#[test]
fn the_status_of_a_plan_lists_only_its_own_runs() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "truststream", "--to", "us-east-1", "--sandbox", "--yes"]);
    let own = folder.ok(&["status", "truststream", "--sandbox"]);
    let other = folder.ok(&["status", "starter", "--sandbox"]);
    assert!(own.contains("sandbox-truststream") && !other.contains("sandbox-truststream"), "{own}{other}");
    let all = folder.ok(&["status", "--sandbox"]);
    assert!(all.contains("sandbox-truststream"), "{all}");
}

#[test]
fn an_unknown_active_site_is_no_place() {
    use drctl::inventory::ActiveSite;
    assert_eq!(ActiveSite::Unknown.words(), "active site unknown");
    assert_eq!(ActiveSite::At(drctl::model::ids::SiteName::new("west")).words(), "active in west");
}

/// A run that was paused after users are served still has to make the standby, so no other run has to. A server that is still being created
/// protects nothing.
#[test]
fn a_paused_watch_says_that_this_run_makes_the_standby() {
    let folder = Folder::with_plans();
    let args = ["switchover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", "--pace", "300"];
    let (_, out, rest) = folder.interrupted_at("rejoin.db.us-west-2 started", &args);
    assert!(out.contains("RECOVERED, watch paused: switchover of truststream"), "{out}{rest}");
    let resume = "drctl runs resume sandbox-truststream-switchover-s1-1 --sandbox";
    let standby = format!("UNPROTECTED: no standby follows db\n           this run makes it: {resume}\n");
    assert!(out.contains(&standby), "{out}");
    assert!(!out.contains("reprotect") && !out.contains("failback truststream"), "{out}");
    let next = "makes the standby of db, and continues to watch that users stay served; until then the run holds its guards";
    let next = format!("{next}: {resume}");
    assert!(out.contains(&next), "{out}");
    let status = folder.run(&["status", "truststream", "--sandbox"]).1;
    let protection = status.lines().find(|line| line.starts_with("  protection  ")).unwrap();
    assert!(protection.contains("UNPROTECTED: db has no replica that keeps up"), "{status}");
    assert!(protection.contains("; a server in us-west-2 is still being created"), "{status}");
    folder.run(&["runs", "resume", "--sandbox"]);
    let status = folder.run(&["status", "truststream", "--sandbox"]).1;
    assert!(status.contains("  protection  protected\n"), "{status}");
}

/// The recovery time and the loss are known once users are served again, so the report for auditors has them, too.
#[test]
fn a_paused_watch_of_a_planned_move_has_its_figures_in_the_compliance_report() {
    let folder = Folder::with_plans();
    let args = ["switchover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", "--pace", "300"];
    let (_, out, rest) = folder.interrupted_at("watch started", &args);
    assert!(out.contains("RECOVERED, watch paused: switchover of truststream"), "{out}{rest}");
    // The provider says that the old server does not exist. That is an answer, and no loss: this run renamed it.
    let status = folder.run(&["status", "truststream", "--sandbox"]).1;
    let run = "sandbox-truststream-switchover-s1-1";
    let aside =
        format!("truststream-db in us-west-2 was set aside by run {run} as truststream-db-set-aside-");
    let bare = format!("UNPROTECTED: db has no replica that keeps up; {aside}");
    assert!(status.contains(&bare), "{status}");
    assert!(status.contains("; once it continues, that run makes a new standby\n"), "{status}");
    assert!(!status.contains("does not exist"), "{status}");
    let own = json(&folder.ok(&["report", "run", run, "--sandbox", "--format", "json"]));
    let report = json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]));
    let line = &report["runs"][0];
    assert_eq!((line["outcome"].as_str(), line["ended_at"].is_null()), (Some("watch_paused"), true));
    for figure in ["rto", "rpo"] {
        assert!(line[figure]["achieved_s"].is_number(), "{line:#}");
        assert_eq!(line[figure]["achieved_s"], own[figure]["achieved_s"], "{figure}");
        assert_eq!(report["totals"][figure][own[figure]["verdict"].as_str().unwrap()], 1, "{figure}");
    }
    assert!(line["not_recovered_s"].is_null(), "{line:#}");
}
