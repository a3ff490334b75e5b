//! Which approvals the rules require: the strictest rule applies, every number is configurable, and hooks declare what they change.

use drctl::model::intent::Intent;
use drctl::model::policy::{Change, Policy};
use drctl::model::severity::Severity;
use drctl::policy::matrix;
use drctl::record::action::{Action, Gate};

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures::{as_operator, people_of};
use crate::kinds::restores;
use crate::planner::approval_policy::{GATE, RESTORE, asked, by, orders};
use crate::support::rig::{self, Rig};

#[test]
fn the_strictest_of_the_rules_wins() {
    let policy = Policy::default();
    let by = |severity, changes: &[Change]| {
        matrix::demand(&policy, severity, &changes.iter().copied().collect()).by
    };
    let both = [Change::Database, Change::Dns];
    // The lead of engineering can stand in for those below; nobody stands in for the change manager or the product owner.
    assert_eq!(by(Severity::P0, &both), ["dba", "engineering-lead"]);
    assert_eq!(by(Severity::P1, &[Change::Database]), ["dba", "engineering-lead"]);
    assert_eq!(by(Severity::P2, &both), ["change-manager", "dba", "engineering-lead"]);
    assert_eq!(by(Severity::P3, &[Change::Configuration]), ["devops-lead", "product-owner"]);
    assert_eq!(by(Severity::P0, &[Change::Dns]), ["devops-lead"]);
    assert_eq!(by(Severity::P0, &[]), Vec::<String>::new(), "what changes nothing needs nobody");
    let over = |severity| matrix::demand(&policy, severity, &both.into()).override_by;
    assert_eq!(over(Severity::P0).unwrap().also, ["cto"]);
    assert_eq!(over(Severity::P1), None);
    // Two of three roles are a choice, asked for twice; a second rule with the same request adds nobody.
    let mut two = Policy::default();
    let rule = two.changes.get_mut(&Change::Database).unwrap();
    rule.by = vec!["dba or cto".to_owned(), "dba or cto".to_owned()];
    two.changes.get_mut(&Change::Dns).unwrap().by = vec!["dba or cto".to_owned()];
    let by = matrix::demand(&two, Severity::P0, &both.into()).by;
    assert_eq!(by, ["dba or cto", "dba or cto", "on-call-engineer"], "a CTO stands for nobody on call");
    // A high role is still one person: a rule with two approvals needs two people.
    let mut pair = Policy::default();
    pair.changes.get_mut(&Change::Database).unwrap().by =
        vec!["engineering-lead".to_owned(), "devops-lead".to_owned()];
    pair.changes.get_mut(&Change::Dns).unwrap().by = vec!["devops-lead".to_owned(); 2];
    assert_eq!(matrix::demand(&pair, Severity::P0, &both.into()).by, ["devops-lead", "engineering-lead"]);
    pair.severities.get_mut(&Severity::P0).unwrap().by = vec!["on-call-engineer".to_owned(); 3];
    assert_eq!(matrix::demand(&pair, Severity::P0, &both.into()).by.len(), 3);
}

#[test]
fn the_policy_is_explained_and_every_number_of_it_is_configuration() {
    let folder = orders("");
    let text = folder.ok(&["policy", "explain", "orders", "--severity", "P1", "--intent", "restore"]);
    for words in [
        "restore of orders at P1 (high",
        "severity P1 requires team-lead (the approval of engineering-lead counts for it)",
        "a change to database requires dba and engineering-lead",
        "together  dba and engineering-lead, each a different person and none of them the requester",
        "dba: bob, eve",
        "override  at P0 only",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let all = json(&folder.ok(&["policy", "explain", "orders", "--output", "json"]));
    let severities: Vec<_> =
        all["intents"].as_array().unwrap().iter().map(|i| i["severity"].as_str().unwrap()).collect();
    assert_eq!(severities, ["P0", "P1", "P2", "P2", "P2", "P3"], "{all:#}");
    assert!(all["intents"][0]["override_possible"].as_bool().unwrap());

    let own = "policy:
  severities: {P1: {by: [], respond_within: 10m}}
  changes: {database: {by: [dba or cto, dba or cto], override_with: []}}
  severity_of: {restore: P1, failover: P1}
  override: {by: [cto], at: [P1], approve_within: 90m}
  expires_after: 20m
";
    let folder = orders(own);
    let text = folder.ok(&["policy", "explain", "orders", "--intent", "restore"]);
    for words in [
        "respond   within 10m",
        "together  dba or cto and dba or cto,",
        "a request is valid for 20m",
        "dba or cto: bob, eve, kim",
        "override  in an emergency cto (but not the requester) can override it; the approvals must then follow within 1h 30m",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let (run, _) = asked(&folder, RESTORE);
    assert_eq!(by(&folder, "bob.key", &["approve", "--yes", &run, GATE]).0, 0);
    assert_eq!(by(&folder, "kim.key", &["approve", "--yes", &run, GATE]).0, 0, "either will do");
    let (code, out, err) = by(&folder, "ann.key", &["runs", "resume", &run, "--output", "json"]);
    assert_eq!(code, 5, "{out}\n{err}");
}

/// The person who overrides is neither the requester nor one whose approval is required at once.
#[test]
fn an_override_that_nobody_can_make_is_found_before_the_day() {
    let said = |people: &[(&str, &str)]| {
        let folder = Folder::with_plans();
        people_of(&folder, "plans/drctl.yaml", people, "");
        let (code, out, err) = folder.run(&["check", "plans/truststream.yaml"]);
        assert_eq!(code, 0, "{out}{err}");
        format!("{out}{err}").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (ann, bob, kim) = (("ann", "dba"), ("bob", "incident-commander"), ("kim", "cto"));
    let whole = said(&[ann, bob, kim]);
    assert!(!whole.contains("policy-nobody-can-override"), "{whole}");
    let words = "nobody can override the approvals of a failover at P0 (incident-commander with cto";
    for people in [&[ann, bob][..], &[ann, kim], &[bob, kim], &[ann, ("bob", "incident-commander, cto")]] {
        let found = said(people);
        assert!(found.contains("policy-nobody-can-override") && found.contains(words), "{people:?}: {found}");
    }
}

/// Found by a check, and again before anything is done; and no environment variable can set a policy.
#[test]
fn a_policy_that_nobody_can_meet_is_found_before_the_day() {
    let folder = restores::folder();
    people_of(&folder, "drctl.yaml", &[("ann", "dba"), ("bob", "on-call-engineer")], "");
    let (code, out, err) = folder.run(&["check"]);
    let said = format!("{out}{err}");
    assert!(code == 0 && said.contains("policy-nobody-can-approve"), "{code} {said}");
    assert!(said.contains("a live drill at "), "{said}");
    assert!(said.contains("a failover at P0 (dba and engineering-lead)"), "{said}");
    let (code, _, err) = as_operator(&folder, "bob.key", &[RESTORE, &["--yes"]].concat());
    assert!(code == 3 && err.contains("approve.policy waits for engineering-lead"), "{code} {err}");
    let (code, _, err) = crate::cli::contract::finish(
        folder.command(&["check"]).env("DRCTL_POLICY__EXPIRES_AFTER", "1s").output().unwrap(),
    );
    assert!(code == 2 && err.contains("drctl reads only from the file"), "{code} {err}");
    for (bad, words) in [
        ("policy: {severities: {P9: {by: []}}}\n", "P9"),
        ("policy: {changes: {databse: {by: []}}}\n", "database"),
        ("policy: {override: {at: [P7]}}\n", "P7"),
        ("policy: {expires_after: soon}\n", "expires_after"),
        ("policy: {includes: {dba: [engineering-lead], engineering-lead: [dba]}}\n", "includes itself"),
    ] {
        let folder = orders(bad);
        let (code, _, err) = folder.run(&["check"]);
        assert!(code == 2 && err.contains(words) && err.contains("drctl.yaml"), "{bad}: {code} {err}");
    }
}

/// A hook's declared change is approved before it runs, by the roles in the matrix, and can be overridden by the roles there.
#[test]
fn hooks_make_changes_that_people_agree_to() {
    let with = |hook: &str| {
        let hooks = format!("hooks: [{{{hook}, step: {{command: [x], idempotent: true}}}}]\n");
        include_str!("../../../plans/truststream.yaml").to_owned() + &hooks
    };
    let approval = |hook: &str| {
        let rig =
            Rig { policy: Some(Policy::default()), ..Rig::new(rig::plan(&with(hook)), "region-lost", 1) };
        let runbook = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}")).ended.state.runbook;
        let of = |id: &str| runbook.steps.iter().find(|s| s.id.as_str() == id).unwrap().clone();
        let Action::Gate(Gate::Approval { by, override_by, ask, .. }) = of(GATE).action else { panic!() };
        let waits = of("hook.rules").needs.iter().any(|need| need.step.as_str() == GATE);
        (by, override_by.unwrap().also, ask, waits)
    };
    let seats = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let (by, also, ask, waits) = approval("at: before.verify, name: rules, change: policy");
    assert_eq!(by, seats(&["dba", "engineering-lead", "governance-lead", "security"]));
    assert_eq!(also, seats(&["ciso", "cto"]));
    assert!(ask.ends_with("a change to database and dns and policy") && waits, "{ask}");
    let (by, also, _, waits) = approval("at: after.redirect, name: rules, change: state");
    assert_eq!((by, waits), (seats(&["approver", "data-owner", "dba", "engineering-lead"]), true));
    assert_eq!(also, seats(&["cto", "engineering-lead"]));
    // The person on call restores the last version; a hook that declares no change needs no approval.
    let (by, _, _, waits) = approval("at: before.verify, name: rules, change: deployment");
    assert_eq!((by, waits), (seats(&["dba", "engineering-lead"]), true));
    let (by, _, ask, waits) = approval("at: before.verify, name: rules");
    assert!(by == seats(&["dba", "engineering-lead"]) && !waits && !ask.contains("deployment"), "{ask}");
    let early = with("at: before.scale, name: rules, change: policy");
    let checked = drctl::plan::check("x.yaml", early.as_bytes(), &drctl::plan::Settings::default());
    assert!(
        checked.plan.is_none() && checked.findings.iter().any(|f| f.id == "plan-bad-hook"),
        "{:#?}",
        checked.findings
    );
}

/// Hooks at the end of a run count as well, and looking up the rules gives the same result as the runbook.
#[test]
fn a_hook_at_the_end_is_agreed_to_as_well() {
    let hooks =
        "hooks: [{at: before.seal, name: rules, change: state, step: {command: [x], idempotent: true}}]\n";
    let text = include_str!("../../../plans/truststream.yaml").to_owned() + hooks;
    let rig = Rig { policy: Some(Policy::default()), ..Rig::new(rig::plan(&text), "region-lost", 1) };
    let runbook = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}")).ended.state.runbook;
    let of = |id: &str| runbook.steps.iter().find(|s| s.id.as_str() == id).unwrap();
    let Action::Gate(Gate::Approval { by, .. }) = &of(GATE).action else { panic!() };
    assert!(by.contains(&"data-owner".to_owned()), "{by:?}");
    assert!(of("hook.rules").needs.iter().any(|need| need.step.as_str() == GATE));
}

/// The effect of a hook that declares nothing is unknown: a planned move asks before it runs, wherever it is.
#[test]
fn a_hook_that_says_nothing_waits_for_people_where_nobody_is_down() {
    let waits = |scenario: &str, intent: Intent, change: &str| {
        let hook = format!(
            "hooks: [{{at: before.evidence, name: rules{change}, step: {{command: [x], idempotent: true}}}}]\n"
        );
        let plan = include_str!("../../../plans/truststream.yaml").to_owned() + &hook;
        let rig = Rig { policy: Some(Policy::default()), intent, ..Rig::new(rig::plan(&plan), scenario, 1) };
        let runbook = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}")).ended.state.runbook;
        assert!(runbook.steps.iter().any(|s| s.id.as_str() == GATE), "nobody is asked at all");
        let hook = runbook.steps.iter().find(|s| s.id.as_str() == "hook.rules").unwrap();
        hook.needs.iter().any(|need| need.step.as_str() == GATE)
    };
    assert!(waits("calm", Intent::Switchover, ""));
    assert!(!waits("calm", Intent::Switchover, ", change: none"), "it says that it changes nothing");
    assert!(!waits("region-lost", Intent::Failover, ""), "in an outage it waits no longer than a fence");
}

/// Whatever the purpose: only in an outage a hook that may change anything runs before people are asked.
#[test]
fn only_an_outage_lets_a_hook_run_unasked() {
    use drctl::model::intent::Intent::{Drill, Failback, Failover, Reprotect, Restore, Switchover};
    for intent in [Failover, Switchover, Failback, Reprotect, Restore, Drill] {
        assert_eq!(intent.starts_served(), intent != Failover, "{intent}");
    }
}

/// A hook that may change anything is a change: two operators must not both run it.
#[test]
fn a_hook_runs_under_the_first_guard() {
    let runs_under = |scenario: &str, intent: Intent, at: &str, change: &str| {
        let hook =
            format!("hooks: [{{at: {at}, name: rules{change}, step: {{command: [x], idempotent: true}}}}]\n");
        let plan = include_str!("../../../plans/truststream.yaml").to_owned() + &hook;
        let guard = Some(crate::run::guards::place());
        let rig = Rig { guard, intent, ..Rig::new(rig::plan(&plan), scenario, 1) };
        let runbook = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}")).ended.state.runbook;
        let hook = runbook.steps.iter().find(|s| s.id.as_str() == "hook.rules").unwrap();
        hook.needs.iter().find(|need| need.step.as_str().starts_with("guard.")).map(|n| n.step.to_string())
    };
    for (scenario, intent) in [("region-lost", Intent::Failover), ("calm", Intent::Switchover)] {
        assert!(runs_under(scenario, intent, "before.evidence", "").is_some(), "{intent}");
        assert_eq!(
            runs_under(scenario, intent, "before.fence.db", "").as_deref(),
            Some("guard.db"),
            "{intent}"
        );
        assert_eq!(runs_under(scenario, intent, "before.evidence", ", change: none"), None);
    }
}
