//! One command for several plans.

use crate::cli::contract::{Folder, json};
use crate::cli::steering::twenty;

/// Two plans, the second of which needs the first.
fn two() -> Folder {
    let folder = Folder::with_plans();
    let path = folder.path().join("plans/starter.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, text.replace("owner: platform", "owner: platform\nafter: [truststream]")).unwrap();
    folder
}

const FAILOVER: &[&str] = &["failover", "--to", "us-east-1", "--yes"];

#[test]
fn a_rehearsed_plan_starts_when_the_one_that_it_needs_serves() {
    let told = json(&two().ok(&[FAILOVER, &["--sandbox", "--output", "json"]].concat()));
    let runs = told["runs"].as_array().unwrap();
    let names: Vec<_> = runs.iter().map(|run| run["plan"].as_str().unwrap()).collect();
    assert_eq!(names, ["truststream", "starter"]);
    let at = |run: usize, clock: &str| runs[run]["clocks"][clock].as_str().unwrap().to_owned();
    assert_eq!(at(0, "detected"), at(1, "detected"), "the outage is the same");
    assert!(at(1, "decided") >= at(0, "validated"), "{} {}", at(1, "decided"), at(0, "validated"));
}

#[test]
fn a_rehearsed_plan_does_not_start_without_the_one_that_it_needs() {
    let folder = two();
    let (code, out, err) = folder.run(&[FAILOVER, &["--sandbox=region-dark"]].concat());
    assert_eq!(code, 3, "no run was started: {out}{err}");
    assert!(
        err.contains("starter: not started, because it needs truststream, which does not serve"),
        "{err}"
    );
    let (_, summary) =
        out.split_once("2 plans: 1 not started; 1 refused\n").unwrap_or_else(|| panic!("{out}"));
    let lines: Vec<_> = summary.lines().collect();
    assert_eq!(lines[0], "  not started  starter: recover truststream first");
    assert!(lines[1].starts_with("  refused  truststream: unfenced-promotion (db): "), "{out}");
    assert_eq!(lines[2], "2 plans need a person: truststream, starter");
    let told = folder.run(&[FAILOVER, &["--sandbox=region-dark", "--output", "json"]].concat()).1;
    for run in json(&told)["runs"].as_array().unwrap() {
        assert_eq!(run["exit_code"], 3, "{run:#}");
    }
}

#[test]
fn several_plans_end_with_one_summary() {
    let folder = two();
    let out = folder.ok(&[FAILOVER, &["--sandbox"]].concat());
    let (_, summary) = out.split_once("\n2 plans: 2 recovered\n").unwrap_or_else(|| panic!("{out}"));
    assert!(summary.contains("  recovered  truststream: RTO 5m 15s ± 5s (measured): met, RPO "), "{summary}");
    assert!(summary.ends_with("; UNPROTECTED\nno plan waits for a person\n"), "{summary}");
    // One plan needs none.
    let out = folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    assert!(!out.contains("waits for a person"), "{out}");
}

/// A waiver for one component of several plans is about the plans that have it. A component that none has is a mistake.
#[test]
fn a_waiver_may_name_a_component_that_only_one_of_the_plans_has() {
    let folder = two();
    let dark = |component: &str, more: &[&str]| {
        let rule = format!("unfenced-promotion:{component}");
        let waive = ["--waive", &rule, "--accept-data-loss", "5m", "--reason", "dark"];
        folder.run(&[FAILOVER, &["--sandbox=region-dark"], &waive, more].concat())
    };
    let (code, out, err) = dark("db", &[]);
    assert!(
        code == 5 && out.contains("\n2 plans: 1 recovered, FENCE PENDING; 1 recovered\n"),
        "{code} {out}{err}"
    );
    assert_eq!(dark("db", &["--dry-run"]).0, 0);
    for more in [&[][..], &["--dry-run"]] {
        let (code, _, err) = dark("bd", more);
        assert!(
            code == 2 && err.contains("none of the 2 plans has a component `bd`"),
            "{more:?}: {code} {err}"
        );
        assert!(err.contains("choose one of: db, nodes, www"), "{err}");
    }
    let (code, _, err) = folder.run(
        &[
            &["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"][..],
            &["--waive", "unfenced-promotion:db", "--accept-data-loss", "5m", "--reason", "dark"],
        ]
        .concat(),
    );
    assert!(code == 2 && err.contains("plan starter has no component `db`"), "{code} {err}");
}

/// The times of a dry run count from the command. A plan that waits for another one shows that, and its RTO includes it.
#[test]
fn a_dry_run_of_several_plans_counts_the_wait_of_one_for_another() {
    let folder = two();
    let dry = [FAILOVER, &["--sandbox", "--dry-run"]].concat();
    let told = json(&folder.ok(&[&dry[..], &["--output", "json"]].concat()));
    let runs = told["runs"].as_array().unwrap();
    assert_eq!(runs[0]["begins"], serde_json::Value::Null, "{}", runs[0]["begins"]);
    let begins = &runs[1]["begins"];
    assert_eq!(begins["after"], "truststream", "{begins:#}");
    let (expected, worst) = (begins["expected_s"].as_f64().unwrap(), begins["worst_s"].as_f64().unwrap());
    assert!(expected > 60.0 && worst > expected, "{begins:#}");
    let wait = drctl::model::time::Dur::from_secs_f64(expected);
    let out = folder.ok(&dry);
    let (first, second) = out.split_once("failover of starter").unwrap_or_else(|| panic!("{out}"));
    assert!(
        first.contains("if every step takes its expected time") && !first.contains("\nstarts "),
        "{first}"
    );
    let words =
        format!("\nstarts         when truststream serves its users: expected {wait} after the command, ");
    assert!(second.contains(&words), "{words}: {second}");
    assert_eq!(second.matches(" after the command, if every step ").count(), 2, "{second}");
    // Five minutes are enough for each of both, but not for one after the other.
    let settings = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("rto: 60m", "rto: 5m")).unwrap();
    let alone = ["failover", "starter", "--to", "us-east-1", "--sandbox", "--dry-run"];
    assert!(folder.ok(&alone).contains("within the RTO of 5m"));
    let out = folder.ok(&dry);
    let (_, second) = out.split_once("failover of starter").unwrap();
    assert!(second.contains("above the RTO of 5m"), "{second}");
}

#[test]
fn a_dry_run_says_that_a_plan_would_wait_in_vain() {
    let out = two().run(&[FAILOVER, &["--sandbox=region-dark", "--dry-run"]].concat()).1;
    let words = "starts         never: it needs truststream, which would not serve its users";
    assert!(out.contains(words), "{out}");
}

/// From six plans on, there is a line for each. Only runs that need a person have a screen of their own, below the summary.
#[test]
fn many_plans_have_a_summary_and_the_screens_that_need_a_person() {
    let folder = twenty();
    for args in [&["doctor", "--assume-down", "us-west-2", "--sandbox"][..], &["observe", "--sandbox"]] {
        let (_, out, err) = folder.run(args);
        assert!(out.starts_with("21 plans: ") && out.lines().count() <= 24, "{args:?}: {out}{err}");
    }
    let go = ["failover", "--all", "--to", "us-east-1", "--yes"];
    let (_, out, err) = folder.run(&[&go[..], &["--sandbox"]].concat());
    assert!(out.contains("21 plans: 1 halted; 20 recovered") && !out.contains("RECOVERED"), "{out}{err}");
    // The TTL of this one is so long that its run halts.
    let (_, screen) = out.split_once("1 plan needs a person: shop13").unwrap_or_else(|| panic!("{out}"));
    assert!(screen.contains("failover of shop13"), "{out}");
    let dark = ["--sandbox=region-dark", "--waive", "unfenced-promotion", "--accept-data-loss", "10m"];
    let (_, out, err) = folder.run(&[&go[..], &dark, &["--reason", "dark"]].concat());
    let (summary, screens) = out.split_once("20 fences are pending").unwrap_or_else(|| panic!("{out}{err}"));
    assert!(summary.contains("21 plans: 1 halted; 20 recovered, FENCE PENDING"), "{out}");
    assert!(!summary.contains("RECOVERED, ") && !out.contains("no plan waits"), "{out}");
    assert_eq!(screens.matches("RECOVERED, FENCE PENDING").count(), 20, "{out}");
}

/// A plan that was left out without a word would count as recovered.
#[test]
fn a_plan_with_errors_is_named_at_the_end_and_the_command_does_not_succeed() {
    let folder = two();
    folder.ok(&["failover", "--sandbox", "--to", "us-east-1", "--yes"]);
    let broken = folder.path().join("plans/broken.yaml");
    std::fs::write(&broken, "plan: broken\nowner: nobody\n").unwrap();
    let (code, out, err) =
        folder.run(&["failover", "--sandbox", "--to", "us-east-1", "--yes", "--output", "json"]);
    let of = json(&out)["runs"].as_array().unwrap().iter().find(|run| run["plan"] == "broken").cloned();
    assert_eq!((code, of.map(|run| run["outcome"].clone())), (2, Some("not_started".into())), "{err}");
    for verb in [&["failover", "--to", "us-east-1", "--yes"][..], &["ready"], &["status"]] {
        let (code, out, err) = folder.run(&[verb, &["--sandbox"]].concat());
        assert!(code != 0 || verb[0] == "status", "{verb:?}: {out}{err}");
        assert!(err.contains("1 plan has errors and is left out: broken"), "{verb:?}: {out}{err}");
    }
}

/// Whoever names one plan alone learns which others it needs.
#[test]
fn a_plan_named_alone_says_what_it_needs() {
    let folder = two();
    let note = "starter needs truststream (`after:`), which this command leaves out and does not check";
    for more in [&[][..], &["--dry-run"]] {
        let one = ["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"];
        let (code, out, err) = folder.run(&[&one[..], more].concat());
        assert!(code == 0 && err.contains(note), "{more:?}: {code} {out}{err}");
    }
    let (_, _, err) = folder.run(&[FAILOVER, &["--sandbox"]].concat());
    assert!(!err.contains("leaves out"), "{err}");
}

const NO_HOST: &str = "plan: orders
objectives: {rto: 15m, rpo: 5m}
sites: {west: {cloud: none}, east: {cloud: none}}
home: west
components:
  db:
    kind: postgres
    fence: [sql]
    at:
      west: {endpoint: \"db-west.example:5432/orders\", admin: {secret: \"file:a\"}}
      east: {endpoint: \"db-east.example:5432/orders\", admin: {secret: \"file:a\"}}
    verify: {sql_write: {table: drctl_canary}}
probes:
  - {name: app, role: public, http: \"https://o.example/\", every: 1s, timeout: 3s}
watch: {for: 1m}
";

/// drctl can make such a server a standby only on its host.
#[test]
fn a_way_back_that_the_plan_does_not_allow_names_what_the_plan_lacks() {
    let folder = Folder::empty();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    std::fs::write(folder.path().join("plans/orders.yaml"), NO_HOST).unwrap();
    let add = "add `host:` beside its endpoint (docs: plans/postgres.md)";
    let start = ["failover", "orders", "--to", "east", "--yes", "--sandbox=region-slow"];
    let (code, out, err) = folder.run(&start);
    let first = out.find(&format!("\n           first {add}: the plan gives no `host` for db-west.example"));
    let then = out.find("reprotect orders --to west");
    assert!(code == 0 && first.is_some() && first < then, "{code} {out}{err}");
    let report = ["report", "run", "sandbox-orders-failover-s1-1", "--sandbox", "--format"];
    let html = folder.ok(&[&report[..], &["html"]].concat());
    assert!(html.contains("; first add `host:` beside its endpoint"), "{html}");
    let back = ["failback", "orders", "--to", "west", "--yes", "--sandbox=after-failover"];
    let (code, out, err) = folder.run(&back);
    assert!(
        code == 3 && format!("{out}{err}").contains(&format!("(before that, {add})")),
        "{code} {out}{err}"
    );
}
