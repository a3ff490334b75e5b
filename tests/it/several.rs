//! One command for several plans.

use crate::cli::{Folder, json};
use crate::steered::twenty;

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
    let (code, out, err) = two().run(&[FAILOVER, &["--sandbox=region-dark"]].concat());
    assert_eq!(code, 1, "{out}{err}");
    assert!(
        err.contains("starter: not started, because it needs truststream, which does not serve"),
        "{err}"
    );
    let (_, summary) =
        out.split_once("2 plans: 1 not started, 1 refused\n").unwrap_or_else(|| panic!("{out}"));
    let lines: Vec<_> = summary.lines().collect();
    assert_eq!(lines[0], "  not started  starter: recover truststream first");
    assert!(lines[1].starts_with("  refused  truststream: unfenced-promotion (db): "), "{out}");
    assert_eq!(lines[2], "2 plans need a person: truststream, starter");
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
    assert!(out.contains("21 plans: 1 halted, 20 recovered") && !out.contains("RECOVERED"), "{out}{err}");
    // The TTL of this one is so long that its run halts.
    let (_, screen) = out.split_once("1 plan needs a person: shop13").unwrap_or_else(|| panic!("{out}"));
    assert!(screen.contains("failover of shop13"), "{out}");
    let dark = ["--sandbox=region-dark", "--waive", "unfenced-promotion", "--accept-data-loss", "10m"];
    let (_, out, err) = folder.run(&[&go[..], &dark, &["--reason", "dark"]].concat());
    let (summary, screens) = out.split_once("20 fences are pending").unwrap_or_else(|| panic!("{out}{err}"));
    assert!(summary.contains("21 plans: 1 halted, 20 recovered, FENCE PENDING"), "{out}");
    assert!(!summary.contains("RECOVERED, ") && !out.contains("no plan waits"), "{out}");
    assert_eq!(screens.matches("RECOVERED, FENCE PENDING").count(), 20, "{out}");
}
