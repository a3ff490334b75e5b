//! Reports are complete about what happened to a step, what people accepted, and what a run changed.

use drctl::kinds::Fact;
use drctl::model::intent::Intent;
use drctl::model::time::Timestamp;
use drctl::report::changes::changes;
use drctl::run::state::StepState;

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures::state_of;
use crate::support::rig::{Rig, truststream};

const RUN: &str = "sandbox-truststream-failover-s1-1";

fn failover<'a>(scenario: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", scenario];
    [&args[..], more].concat()
}

#[test]
fn a_step_that_failed_twice_and_was_skipped_keeps_its_attempts_and_its_start() {
    let folder = Folder::with_plans();
    folder.run(&failover("capacity-short", &[]));
    let report = || json(&folder.ok(&["report", "run", RUN, "--format", "json", "--sandbox"]));
    let step = |report: &serde_json::Value| {
        report["steps"].as_array().unwrap().iter().find(|s| s["id"] == "scale.nodes").unwrap().clone()
    };
    let first = step(&report());
    assert_eq!(first["state"], "failed", "{first:#}");
    folder.run(&["runs", "resume", RUN, "--sandbox"]);
    let again = step(&report());
    assert_eq!(again["started_at"], first["started_at"], "{again:#}");
    folder.run(&["runs", "skip", RUN, "scale.nodes", "--reason", "half has to do", "--sandbox"]);
    folder.run(&["runs", "resume", RUN, "--sandbox"]);
    let report = report();
    let skipped = step(&report);
    assert_eq!((&skipped["state"], &skipped["attempts"]), (&"skipped".into(), &2.into()), "{skipped:#}");
    assert_eq!(skipped["started_at"], first["started_at"], "{skipped:#}");
    let by = &report["by_people"][0];
    assert_eq!((&by["step"], &by["reason"]), (&"scale.nodes".into(), &"half has to do".into()), "{by:#}");
    let html = folder.ok(&["report", "run", RUN, "--format", "html", "--sandbox"]);
    assert!(html.contains("<rect class=\"skipped"), "it is drawn");
    let texts = [
        html,
        folder.ok(&["report", "run", RUN, "--format", "md", "--sandbox"]),
        folder.ok(&["report", "document", RUN, "--kind", "post-incident", "--sandbox"]),
        folder.ok(&["report", "document", RUN, "--kind", "rollback", "--sandbox"]),
    ];
    for text in texts {
        assert!(text.contains("half has to do") && text.contains("skipped by"), "{text}");
    }
    let rollback = folder.ok(&["report", "document", RUN, "--kind", "rollback", "--sandbox"]);
    let health = rollback.lines().find(|line| line.contains("System Health")).unwrap();
    assert!(health.contains("NOT WHOLE: scale.nodes"), "{health}");
}

#[test]
fn a_bound_beyond_what_was_accepted_is_said_wherever_the_loss_is() {
    let folder = Folder::with_plans();
    let accept = ["--waive", "unfenced-promotion", "--accept-data-loss", "5m", "--reason", "nobody answers"];
    let (_, screen, _) = folder.run(&failover("region-dark", &accept));
    folder.ok(&["evidence", "export", RUN, "--out", "b.tar", "--sandbox"]);
    let texts = [
        screen,
        folder.ok(&["report", "run", RUN, "--format", "md", "--sandbox"]),
        folder.ok(&["report", "run", RUN, "--format", "html", "--sandbox"]),
        folder.ok(&["evidence", "verify", "b.tar", "--sandbox"]),
        folder.ok(&["report", "document", RUN, "--kind", "incident", "--sandbox"]),
    ];
    for text in &texts {
        assert!(text.contains("accepted: 5m; the bound is "), "{text}");
        assert!(text.contains(": beyond what was accepted"), "{text}");
    }
    let [_, markdown, _, _, incident] = &texts;
    let debts = markdown.split("## After the end").nth(1).unwrap();
    assert!(!debts.contains("check.db: proven") && !debts.contains("Nothing else happens"), "{debts}");
    let impact = incident.lines().find(|line| line.contains("Impact")).unwrap();
    assert!(!impact.contains("nobody answers"), "why a risk was accepted is no impact: {impact}");
    assert!(incident.contains("Waived") && incident.contains("PENDING"), "{incident}");
}

#[test]
fn a_loss_that_was_accepted_and_is_less_than_the_bound_is_called_that() {
    let folder = Folder::with_plans();
    let accept = ["--waive", "exposure-above-rpo:db", "--accept-data-loss", "1s", "--reason", "agreed"];
    let (code, out, err) = folder.run(&failover("region-lost", &accept));
    assert_eq!(code, 1, "{out}\n{err}");
    assert!(out.contains("the accepted loss of 1s is less than the bound of 1m "), "{out}");
}

#[test]
fn what_will_revert_a_run_is_its_result_and_not_its_history() {
    let back = Rig { intent: Intent::Failback, ..Rig::new(truststream(), "after-failover", 1) };
    let done = back.rehearse().unwrap();
    let state = &done.ended.state;
    let all = changes(state);
    assert!(!all.is_empty());
    for (i, change) in all.iter().enumerate() {
        assert_ne!(change.before, change.after, "{change:?}");
        let same = |c: &&drctl::model::change::Change| {
            c.resource == change.resource && c.attribute == change.attribute
        };
        assert!(!all[i + 1..].iter().any(|c| same(&c)), "{change:?} stands there twice: {all:#?}");
    }
}

#[test]
fn a_way_back_is_counted_in_the_table_as_in_the_figures() {
    let folder = Folder::with_plans();
    let (_, out, err) = folder.run(&["drill", "truststream", "--mode", "live", "--yes", "--sandbox"]);
    let csv = folder.ok(&["report", "compliance", "--sandbox", "--format", "csv"]);
    let totals =
        json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]))["totals"].clone();
    let classes = |class: &str| csv.lines().filter(|l| l.split(',').nth(5) == Some(class)).count() as u64;
    assert_eq!(totals["returns"], 1, "{out}\n{err}");
    assert_eq!((classes("drill"), classes("way_back")), (totals["drills"].as_u64().unwrap(), 1), "{csv}");
}

#[test]
fn what_a_person_claims_and_drctl_did_not_see_is_called_a_claim() {
    let folder = Folder::with_plans();
    folder.run(&failover("capacity-short", &[]));
    let listed = folder.ok(&["runs", "list", "--sandbox"]);
    let run = listed.split_whitespace().next().unwrap().to_owned();
    folder.run(&["runs", "done", &run, "scale.nodes", "--sandbox"]);
    let (_, _, err) = folder.run(&["runs", "resume", &run, "--sandbox"]);
    // The check of the claim is told at once, and not when the step fails.
    let told: Vec<&str> = err.lines().filter(|line| line.contains("was done by hand, but ")).collect();
    let [told] = told[..] else { panic!("once: {err}") };
    assert!(told.contains("drctl does not see that: 2 of 4 in service"), "{told}");
    assert!(told.contains(". drctl tries the step again until "), "{told}");
    let at = |words: &str| err.find(words).unwrap_or_else(|| panic!("{words}: {err}"));
    assert!(at("scale.nodes started") < at(told) && at(told) < at("scale.nodes is not done after "), "{err}");
    let report = folder.ok(&["report", "run", &run, "--sandbox", "--format", "md"]);
    assert!(report.contains("scale.nodes not seen to be done, but claimed by "), "{report}");
    assert!(!report.contains("scale.nodes done by hand"), "{report}");
}

/// Nobody drives the run, and the next process reads the command later.
#[test]
fn the_time_of_a_skip_or_a_claim_is_that_of_the_command() {
    let (none, why): (&[&str], &[&str]) = (&[], &["--reason", "half has to do"]);
    for (verb, more) in [("done", none), ("skip", why)] {
        let folder = Folder::with_plans();
        folder.run(&failover("capacity-short", &[]));
        let (code, out, err) =
            folder.run(&[&["runs", verb, RUN, "scale.nodes", "--sandbox"][..], more].concat());
        assert!(code == 0 && err.contains("it is in the journal"), "{verb}: {code} {out}{err}");
        let said = || {
            let screen = folder.run(&["runs", "show", RUN, "--sandbox"]).1;
            let by_people = |l: &&str| l.starts_with("  by hand ") || l.starts_with("  skipped ");
            screen.lines().find(by_people).unwrap_or_else(|| panic!("{verb}: {screen}")).to_owned()
        };
        let before = said();
        let (_, _, err) = folder.run(&["runs", "resume", RUN, "--sandbox"]);
        assert_eq!(err.matches(" resumed by ").count(), 1, "{verb}: {err}");
        // After another look it also says what was in service then.
        let after = said();
        assert!(after.starts_with(&before) && after.contains("; 2 of 4 in service at "), "{after}");
    }
}

#[test]
fn a_run_that_stands_still_is_on_one_screen_with_its_cause_and_the_way_on() {
    let folder = Folder::with_plans();
    folder.run(&failover("capacity-short", &[]));
    let run = folder.ok(&["runs", "list", "--sandbox"]).split_whitespace().next().unwrap().to_owned();
    let status = folder.run(&["status", "--sandbox"]).1;
    let at = status.lines().position(|l| l.contains(&run) && l.contains("RTO"));
    let lines: Vec<&str> = status.lines().skip(at.unwrap_or_else(|| panic!("{status}"))).take(3).collect();
    let told = ["halted: users have not been served for ", "      cause    scale.nodes: ", "      ways on  "];
    assert!(lines.iter().zip(told).all(|(line, words)| line.contains(words)), "{lines:#?}");
    let cancel = ["runs", "cancel", &run, "--reason", "enough", "--yes", "--sandbox"];
    let (code, out, err) = folder.run(&cancel);
    let title = out.lines().position(|l| l.starts_with("ABANDONED: users have not been served for "));
    let title = title.unwrap_or_else(|| panic!("{code}: {out}{err}"));
    let next = out.lines().nth(title + 1).unwrap();
    assert!(next.contains("a failover of truststream to us-east-1 would complete the move"), "{next}");
}

/// A corrected loss replaces the earlier figure everywhere, with a note.
#[test]
fn a_reconciled_loss_is_on_every_screen_with_what_it_replaced() {
    let folder = Folder::with_plans();
    let waived = ["--waive", "unfenced-promotion:db", "--accept-data-loss", "5m", "--reason", "dark"];
    folder.run(&failover("primary-returns", &waived));
    let run = folder.ok(&["runs", "list", "--sandbox"]).split_whitespace().next().unwrap().to_owned();
    let before = folder.run(&["runs", "show", &run, "--sandbox"]).1;
    // The fence is pending, so the loss grows: every report says which time the figure holds for.
    let grows = "at most 2h 5m (upper bound), as of 2026-01-01T";
    assert!(before.contains(&format!("RPO      {grows}")), "{before}");
    let md = folder.ok(&["report", "run", &run, "--sandbox", "--format", "md"]);
    let compliance = folder.ok(&["report", "compliance", "--sandbox", "--format", "md"]);
    let beyond = "db: accepted: 5m; the bound is 2h 4m 44s: beyond what was accepted";
    for text in [beyond.to_owned(), format!("| loss of {beyond} |")] {
        assert!(compliance.contains(&text), "in the runs and in the findings: {compliance}");
    }
    assert!(md.contains(grows), "{md}");
    let grows = grows.replace('T', " ");
    assert!(compliance.contains(&grows), "a sheet has one form of time: {compliance}");
    let page = folder.ok(&["report", "run", &run, "--sandbox", "--format", "html"]);
    assert!(page.contains("(upper bound), as of <span class=\"at\">2026-01-01T"), "{page}");
    let page = folder.ok(&["report", "compliance", "--sandbox", "--format", "html"]);
    assert!(page.contains("(upper bound), as of <span class=\"at\">2026-01-01 "), "{page}");
    // The difference of the two times in the report equals the figure.
    let report = json(&folder.ok(&["report", "run", &run, "--sandbox", "--format", "json"]));
    let db = &report["stores"]["db"];
    let at = |name: &str| Timestamp::parse(db[name].as_str().unwrap()).unwrap();
    let apart = at("last_instant").since(at("last_replayed")).as_secs_f64();
    assert!((apart - db["rpo"]["achieved_s"].as_f64().unwrap()).abs() < 0.001, "{db:#}");
    folder.run(&["runs", "resume", &run, "--sandbox"]);
    let shown = [
        folder.run(&["runs", "show", &run, "--sandbox"]).1,
        folder.run(&["status", "--sandbox"]).1,
        folder.ok(&["report", "run", &run, "--sandbox", "--format", "md"]),
        folder.ok(&["report", "run", &run, "--sandbox", "--format", "html"]),
        folder.ok(&["report", "run", &run, "--sandbox", "--format", "json"]),
        folder.ok(&["report", "compliance", "--sandbox", "--since", "2026-01-01", "--format", "md"]),
    ];
    // The earlier figure grew, so it has the time that it held for.
    let words = "at most 3h 5m (upper bound); at least 3h 3m, reconciled: replaces at most 2h 5m (upper bound), as of ";
    shown.iter().for_each(|text| assert!(text.contains(words), "{text}"));
    let at = report["ended_at"].as_str().unwrap();
    assert!(shown[0].contains(&format!("{words}{at}")), "{at}: {}", shown[0]);
}

/// Each duration on a screen names its two clocks, and the clocks are shown.
#[test]
fn the_four_clocks_explain_every_duration_of_the_screen() {
    let folder = Folder::with_plans();
    let screen = folder.run(&failover("region-lost", &[])).1;
    let line = screen.lines().find(|l| l.starts_with("  clocks   ")).unwrap_or_else(|| panic!("{screen}"));
    let report = json(&folder.ok(&["report", "run", RUN, "--format", "json", "--sandbox"]));
    let at = |name: &str| Timestamp::parse(report["clocks"][name].as_str().unwrap()).unwrap();
    let [detected, decided, executed, validated] = ["detected", "decided", "executed", "validated"].map(at);
    // A figure never looks smaller than it is, and one interval has one duration.
    let later = |at: Timestamp| at.since(detected).shown_up();
    let (rto, own) = (later(validated), validated.since(decided).shown_up());
    let said = [("decided", later(decided)), ("executed", later(executed)), ("validated", rto)]
        .map(|(n, d)| format!(", {n} +{d}"));
    assert_eq!(*line, format!("  clocks   detected {detected}{}", said.concat()));
    let said = format!(
        "RTO      {rto} ± 5s (measured); objective 15m: met; {own} ± 5s (measured) from decided to validated"
    );
    assert!(screen.contains(&said), "{said}: {screen}");
    // A planned move has no outage before its decision, and makes a standby after users are served.
    let planned = ["switchover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", "calm"];
    let screen = folder.run(&planned).1;
    let at = |words: &str| screen.find(words).unwrap_or_else(|| panic!("{words}: {screen}"));
    let order = [at("  clocks   decided 2"), at(", detected +"), at(", validated +"), at(", executed +")];
    assert!(order.is_sorted(), "{screen}");
    let glossary = include_str!("../../../docs/src/reference/glossary.md");
    for words in ["counts `+` from the first clock", "makes a standby, that is the last change"] {
        assert!(glossary.contains(words), "{words}");
    }
    for clock in ["detected", "decided", "executed", "validated"] {
        assert_eq!(glossary.matches(&format!("\n| {clock} | clock ")).count(), 1, "{clock}");
    }
}

/// A planned move begins with the decision, so two lines have the same interval.
#[test]
fn a_planned_move_has_one_duration_from_decided_to_validated() {
    let folder = Folder::with_plans();
    // Without a database, no probe fails: the bound of an outage that nobody saw is a recovery time, and not this duration.
    for (plan, seed) in
        [("truststream", "1"), ("truststream", "2"), ("truststream", "3"), ("starter", "1"), ("starter", "2")]
    {
        let args = ["switchover", plan, "--to", "us-east-1", "--yes", "--sandbox=calm", "--seed", seed];
        let screen = folder.run(&args).1;
        assert_eq!(screen.contains("(upper bound); objective"), plan == "starter", "{screen}");
        let (_, own) = screen.split_once(": met; ").unwrap_or_else(|| panic!("{screen}"));
        let (own, _) = own.split_once(" ± ").unwrap_or_else(|| panic!("{screen}"));
        assert!(
            screen.contains("  clocks   decided ") && screen.contains(&format!(", validated +{own}")),
            "{screen}"
        );
    }
}

/// A command without its plan would move every plan.
#[test]
fn every_printed_move_names_its_plan_and_its_site() {
    for (scenario, more, moves) in [
        ("calm", &[][..], 1),
        ("region-lost", &[], 2),
        (
            "region-dark",
            &["--waive", "unfenced-promotion", "--accept-data-loss", "5m", "--reason", "dark"],
            2,
        ),
    ] {
        let folder = Folder::with_plans();
        let (_, out, err) = folder.run(&failover(scenario, more));
        let shown = format!("{out}{err}");
        let verbs = ["switchover", "failback", "reprotect", "failover"];
        let of = |verb: &str| shown.split(&format!("drctl --sandbox {verb} ")).skip(1).collect::<Vec<_>>();
        let all: Vec<&str> = verbs.iter().flat_map(|verb| of(verb)).collect();
        assert!(all.len() >= moves, "{scenario}: {shown}");
        assert!(all.iter().all(|rest| rest.starts_with("truststream --to us-")), "{scenario}: {shown}");
        let bare = |verb: &&str| shown.contains(&format!("drctl {verb}"));
        assert_eq!(verbs.iter().find(|verb| bare(verb)), None, "{shown}");
        // A region that is dark has to be back first, and the server is what fences it then.
        let dark = scenario == "region-dark";
        assert_eq!(shown.contains("once us-west-2 is back, run drctl --sandbox reprotect"), dark, "{shown}");
        assert_eq!(shown.contains("drctl --sandbox serve tries to fence it"), dark, "{shown}");
        // Nobody completes the commands of a document.
        if dark {
            let md = folder.ok(&["report", "run", RUN, "--format", "md", "--sandbox"]);
            assert!(md.contains("serve tries to fence it") && !md.contains("drctl serve tries"), "{md}");
        }
    }
}

/// Skipping works while the step runs, and nobody should have to wait for its timeout to learn why it is not done.
#[test]
fn a_step_that_is_much_too_slow_names_the_cause_and_the_ways_around_it_before_its_timeout() {
    let folder = Folder::with_plans();
    let (_, _, err) = folder.run(&failover("capacity-short", &[]));
    let at = |words: &str| err.find(words).unwrap_or_else(|| panic!("{words}: {err}"));
    let (told, failed) = (at("scale.nodes is not done after "), at("scale.nodes failed"));
    assert!(told < failed, "{err}");
    let between = &err[told..failed];
    assert!(between.contains("InsufficientInstanceCapacity"), "{between}");
    let waits = between.lines().next().unwrap();
    let look = "Look in the provider's console for failed launches and quotas. You can also run:";
    assert!(
        waits.ends_with(&format!(
            ". drctl waits until 03:11:28Z; then the run halts and lists more ways on. {look}"
        )),
        "it has not failed: {waits}"
    );
    // A step that is under way cannot be skipped. To say that it is done helps only once it is.
    let done = format!("\n    drctl runs done {RUN} scale.nodes --sandbox\n");
    let pause = format!("\n    drctl runs pause {RUN} --sandbox\n");
    let means = format!("{done}        use this only once it is done; drctl checks the result\n");
    for command in [means, pause] {
        assert!(between.contains(&command), "{command}: {between}");
    }
    assert_eq!(err.matches("scale.nodes is not done after").count(), 1, "{err}");
}

#[test]
fn a_closed_run_shows_no_work_that_is_still_to_come() {
    let folder = Folder::with_plans();
    folder.run(&failover("capacity-short", &[]));
    let shown = || folder.ok(&["runs", "show", RUN, "--sandbox"]);
    assert!(shown().lines().any(|line| line.starts_with("pending ") && line.contains("(waits for ")));
    folder.run(&["runs", "cancel", RUN, "--reason", "enough", "--yes", "--sandbox"]);
    let shown = shown();
    assert!(shown.contains("ABANDONED") && shown.contains("not begun    switch.www "), "{shown}");
    assert!(
        !shown.lines().any(|line| line.starts_with("pending ") || line.contains("(waits for ")),
        "{shown}"
    );
    // The report has the same words.
    let report = |format: &str| folder.ok(&["report", "run", RUN, "--format", format, "--sandbox"]);
    let (md, html) = (report("md"), report("html"));
    assert!(md.contains("| `switch.www` | not begun |") && !md.contains("| pending |"), "{md}");
    assert!(html.contains("<code>switch.www</code></td><td>not begun</td>"), "{html}");
    assert!(!html.contains("<td>noop</td>") && !html.contains("<li>`"), "{html}");
}

#[test]
fn whoever_watches_a_run_is_told_when_users_are_served_again() {
    let folder = Folder::with_plans();
    folder.run(&failover("region-lost", &[]));
    let watched = folder.ok(&["runs", "watch", RUN, "--sandbox"]);
    assert_eq!(watched.matches("USERS ARE SERVED AGAIN: RTO ").count(), 1, "{watched}");
    let began = watched.lines().find(|line| line.ends_with("  measure.db started")).unwrap();
    assert!(began.contains("Z ") && began.contains(" +"), "its time since the start: {began}");
    // Lines have the time of day. What is not of today has its date first, on every screen that shows an earlier run.
    let (_, _, replayed) = folder.run(&["runs", "replay", RUN, "--sandbox"]);
    for shown in [&watched, &replayed] {
        assert!(shown.contains("2026-01-01 UTC\n03:01:28Z "), "{shown}");
        assert_eq!(shown.lines().filter(|line| *line == "2026-01-01 UTC").count(), 1, "{shown}");
    }
}

/// A wait of days for a person.
#[test]
fn a_new_date_is_printed_before_the_first_line_of_its_day() {
    let folder = Folder::with_plans();
    let (_, _, driven) = folder.run(&failover("region-lost", &[]));
    assert!(
        !driven.lines().any(|line| line == "2026-01-01 UTC"),
        "it began on the day of its clock: {driven}"
    );
    let at = |day: u32| Timestamp::parse(&format!("2026-01-0{day}T03:00:00Z")).unwrap();
    let dates = drctl::cli::progress::Dates::default();
    let told = [1, 1, 3, 3, 4].map(|day| dates.turn(at(day), at(1)));
    let told = told.iter().map(Option::as_deref).collect::<Vec<_>>();
    assert_eq!(told, [None, None, Some("2026-01-03 UTC"), None, Some("2026-01-04 UTC")]);
}

/// The lines of probes at the start of a run are about what was seen before it.
#[test]
fn a_probe_is_not_said_to_be_good_while_it_fails_nor_the_new_site_to_be_down() {
    let (_, _, err) = Folder::with_plans().run(&failover("region-lost", &[]));
    assert!(err.contains("up probe public good from 03:00:00Z"), "{err}");
    assert!(err.contains("down probe public failed from 03:00:55Z (no answer within 3s)\n"), "{err}");
    let direct = err.lines().find(|line| line.contains("down probe direct@us-east-1")).unwrap();
    assert!(direct.ends_with("; nothing serves users there yet"), "{direct}");
}

/// The state that nobody continues has a command where people look first.
#[test]
fn the_status_of_an_abandoned_run_says_what_would_complete_the_move() {
    let folder = Folder::with_plans();
    folder.run(&failover("capacity-short", &[]));
    folder.run(&["runs", "cancel", RUN, "--reason", "enough", "--yes", "--sandbox"]);
    let status = folder.run(&["status", "--sandbox"]).1;
    let users =
        status.lines().find(|line| line.starts_with("  users ")).unwrap_or_else(|| panic!("{status}"));
    assert!(users.contains("a failover of truststream to us-east-1 would complete the move"), "{users}");
}

/// Nothing makes the other site smaller again, and Terraform still has the values from before a drill.
#[test]
fn a_return_names_what_keeps_its_size_and_what_needs_no_update() {
    let folder = Folder::with_plans();
    let stays = "truststream-nodes-dr in us-east-1 keeps 4 instances after the move";
    let smaller = "aws autoscaling update-auto-scaling-group --region us-east-1 --auto-scaling-group-name truststream-nodes-dr";
    let own = "it has the values from before";
    let back = ["failback", "truststream", "--to", "us-west-2", "--yes", "--sandbox=after-failover"];
    let screen = folder.ok(&back);
    assert!(
        screen.contains(stays) && screen.contains(smaller) && screen.contains("--desired-capacity 0"),
        "{screen}"
    );
    assert!(screen.contains(&format!("{own} users left:")), "{screen}");
    // People or Terraform may have done either since.
    let (size, list) = ("set its size if nobody has done it yet", "put it back if you have not yet");
    assert!(screen.contains(size) && screen.contains(list), "{screen}");
    let drill = ["drill", "truststream", "--mode", "live", "--hold", "30m", "--yes", "--sandbox"];
    let screen = folder.ok(&drill);
    let (first, second) = screen.split_once("the return of run").unwrap_or_else(|| panic!("{screen}"));
    assert!(!first.contains(stays) && first.contains("unless you update their configuration:"), "{first}");
    assert!(second.contains(list) && !first.contains(list), "{second}");
    assert!(second.contains(stays) && second.contains(&format!("{own} the drill:")), "{second}");
}

/// A database is without a standby until a standby streams, however long the run watches after that.
#[test]
fn a_database_has_a_standby_from_the_step_that_proved_it() {
    let folder = Folder::with_plans();
    folder.ok(&["drill", "truststream", "--mode", "live", "--hold", "30m", "--yes", "--sandbox"]);
    let report = json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]));
    let gaps = report["applications"][0]["unprotected"].as_array().unwrap();
    assert_eq!(gaps.len(), 2, "there and back: {gaps:#?}");
    for gap in gaps {
        let state = state_of(&folder, gap["run"].as_str().unwrap());
        let promoted = state.promoted_at.values().next().unwrap();
        let follows = |at: &&StepState| at.facts.iter().any(|fact| matches!(fact, Fact::Rejoined { .. }));
        let streams = state.steps.iter().filter(follows).filter_map(|at| at.work.ended_at);
        let streams = streams.filter(|at| at > promoted).min().unwrap();
        assert!(Some(streams) < state.finished_at, "the run watches for longer");
        assert_eq!(gap["from"], promoted.to_string(), "{gap:#}");
        assert_eq!((&gap["to"], &gap["open"]), (&streams.to_string().into(), &false.into()), "{gap:#}");
    }
}

/// Whoever skips a step decides that users are served with less: who, when, why, and what carries the load.
#[test]
fn a_step_that_a_person_skipped_is_in_every_form() {
    let folder = Folder::with_plans();
    let (code, out, _) = folder.run(&failover("capacity-short", &["--output", "json"]));
    assert_eq!(code, 1, "it stops at scale.nodes: {out}");
    let run = json(&out)["run_id"].as_str().unwrap().to_owned();
    folder.ok(&["runs", "skip", &run, "scale.nodes", "--reason", "half has to do", "--sandbox"]);
    let (_, screen, err) = folder.run(&["runs", "resume", &run, "--sandbox"]);
    let of = |text: &str| {
        text.replace("<span class=\"at\">", "").contains("half has to do; 2 of 4 in service at 2026-01-01")
    };
    assert!(of(&screen), "{screen}{err}");
    let asked = |format: &str| folder.ok(&["report", "compliance", "--sandbox", "--format", format]);
    for format in ["json", "md", "html", "csv"] {
        let text = asked(format);
        assert!(text.contains("step scale.nodes skipped by ") && of(&text), "{format}: {text}");
    }
    let report = json(&asked("json"));
    assert_eq!(report["totals"]["steps_without_proof"], 1, "{:#}", report["totals"]);
    let findings = report["findings"].as_array().unwrap().iter();
    let mut skipped = findings.filter(|f| f["text"].as_str().unwrap().starts_with("step scale.nodes"));
    let only = skipped.next().unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!((&only["section"], &only["weight"]), (&"approvals".into(), &"warning".into()), "{only:#}");
    assert!(asked("md").contains("| Steps that people skipped, or only claimed to be done | 1 |"));
    folder.ok(&["evidence", "export", &run, "--out", "b.tar", "--sandbox"]);
    let told = folder.ok(&["evidence", "verify", "b.tar", "--sandbox"]);
    assert!(told.contains("Z: Step skipped: scale.nodes skipped by ") && of(&told), "{told}");
}

/// The notes of a runbook say what its steps do. Before these steps that is a plan, and after a cancel it did not happen.
#[test]
fn a_run_that_did_nothing_reports_nothing_that_it_would_have_done() {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    let gate = "gates:\n  go: {at: promote, approval: \"promote now?\"}\n";
    std::fs::write(&plan, format!("{text}\n{gate}")).unwrap();
    let start = ["switchover", "truststream", "--to", "us-east-1", "--yes", "--sandbox"];
    let (code, out, err) = folder.run(&start);
    assert!(
        code == 4 && out.contains("drctl renames truststream-db to truststream-db-set-aside-"),
        "{out}{err}"
    );
    let run = "sandbox-truststream-switchover-s1-1";
    folder.run(&["runs", "cancel", run, "--reason", "not today", "--yes", "--sandbox"]);
    let report = json(&folder.ok(&["report", "run", run, "--format", "json", "--sandbox"]));
    assert_eq!(report["outcome"], "cancelled", "{report:#}");
    let notes = report["notes"].to_string();
    for words in ["drctl renames", "after the move", "again before the switch"] {
        assert!(!notes.contains(words), "{words}: {notes}");
    }
    let (_, out, err) = folder.run(&["failback", "truststream", "--yes", "--sandbox=after-failover"]);
    assert!(out.contains("is not a standby. This run first makes it one"), "{out}{err}");
}
