//! Runs named by a prefix, by `latest`, or not at all; and failovers that would move nothing.

use crate::cli::contract::Folder;

const REHEARSE: &[&str] = &["failover", "truststream", "--sandbox", "--yes", "--to"];

fn rehearsed(folder: &Folder, seed: &str) {
    let (code, out, err) = folder.run(&[REHEARSE, &["us-east-1", "--seed", seed]].concat());
    assert_eq!(code, 0, "{out}\n{err}");
}

#[test]
fn a_run_is_named_by_a_beginning_that_no_other_has() {
    let folder = Folder::with_plans();
    rehearsed(&folder, "1");
    rehearsed(&folder, "2");
    let json = |args: &[&str]| {
        let (code, out, err) = folder.run(&[args, &["--sandbox", "--output", "json"]].concat());
        (code, out, err)
    };
    let (code, out, err) = json(&["runs", "show", "sandbox-truststream-failover-s1"]);
    assert!(code == 0 && out.contains("\"sandbox-truststream-failover-s1-"), "{code}: {out}\n{err}");
    let (code, out, err) = json(&["runs", "show", "latest"]);
    assert!(code == 0 && out.contains("\"sandbox-truststream-failover-s2-"), "{code}: {out}\n{err}");
    let (code, out, err) = json(&["runs", "show", "sandbox-truststream"]);
    let said = format!("{out}{err}");
    assert!(
        code == 2 && said.contains("2 runs start with") && said.contains("failover-s2"),
        "{code}: {said}"
    );
    // A command that changes something needs a name.
    let (code, out, err) = json(&["runs", "pause", "latest"]);
    assert_ne!(code, 0, "{out}\n{err}");
    let (code, out, err) = json(&["runs", "resume"]);
    let said = format!("{out}{err}");
    assert!(code == 2 && said.contains("every run is finished"), "{code}: {said}");
}

#[test]
fn the_only_run_that_is_not_over_is_resumed_without_its_name() {
    let folder = Folder::with_plans();
    let halted = ["us-east-1", "--sandbox=replica-lagging"];
    let (code, out, err) = folder.run(&[&["failover", "truststream", "--yes", "--to"][..], &halted].concat());
    assert_eq!(code, 1, "{out}\n{err}");
    let more = ["--waive", "exposure-above-rpo:db", "--accept-data-loss", "30m", "--reason", "it is gone"];
    let (code, out, err) = folder.run(&[&["runs", "resume", "--sandbox"][..], &more].concat());
    assert!([0, 5].contains(&code) && out.contains("RECOVERED"), "{code}: {out}\n{err}");
}

#[test]
fn a_failover_to_the_site_that_fails_is_refused() {
    let folder = Folder::with_plans();
    let (code, out, err) = folder.run(&[REHEARSE, &["us-west-2"]].concat());
    let said = format!("{out}{err}");
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("would move nothing"), "{said}");
    assert!(said.contains("drctl --sandbox failover truststream --to us-east-1"), "{said}");
}

#[test]
fn a_plan_without_probes_is_rehearsed_and_told_what_it_lacks() {
    let folder = Folder::with_plans();
    let path = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("\nprobes:").unwrap();
    let watch = rest.find("\nwatch:").unwrap();
    std::fs::write(&path, format!("{before}{}", &rest[watch..])).unwrap();
    let (code, out, err) = folder.run(&[REHEARSE, &["us-east-1"]].concat());
    let said = format!("{out}{err}");
    // Without a probe it is unknown when users were served again, so the objective is not proven.
    assert!([0, 5].contains(&code) && said.contains("RECOVERED"), "{code}: {said}");
    let shown = folder.ok(&["runs", "show", "latest", "--sandbox", "--output", "json"]);
    assert!(shown.contains("no public probe") || said.contains("no public probe"), "{said}\n{shown}");
}

/// Without names of plans, a site that none of them has is no reason to leave a plan out.
#[test]
fn a_site_that_no_plan_has_is_named_with_those_that_exist() {
    let folder = Folder::with_plans();
    for site in [["--to", "us-east-9"], ["--from", "us-west-9"]] {
        let other = if site[0] == "--to" { &["--from", "us-west-2"] } else { &["--to", "us-east-1"] };
        let (code, _, err) = folder.run(&[&["failover", "--sandbox", "--yes"], &site[..], other].concat());
        let named = err.contains(&format!("no plan has a site `{}` ({})", site[1], site[0]));
        assert!(code == 2 && named && err.contains("us-east-1, us-west-2"), "{site:?}: {code} {err}");
    }
}
