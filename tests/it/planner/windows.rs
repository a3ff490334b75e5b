//! When planned work may start: maintenance windows, blackouts and the freeze.

use drctl::model::ids::PlanName;
use drctl::model::intent::{Drill, Intent};
use drctl::model::policy::Policy;
use drctl::model::severity::Severity;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::plan::Settings;
use drctl::policy::windows::{self, Closed};

use crate::cli::contract::{Folder, json};
use crate::kinds::planned_moves::moving;
use crate::support::rig::Rig;

const ALL: &str = "policy:
  windows:
    - {opens: \"0 2 * * SUN\", for: 4h, zone: Europe/Prague}
    - {opens: \"0 22 * * FRI\", for: 2h, zone: America/New_York, plans: [orders]}
  blackouts:
    - {why: peak season, from: \"2026-12-18T00:00:00+01:00\", to: \"2027-01-04T00:00:00+01:00\"}
  freeze: {why: audit, until: \"2026-11-24T00:00:00Z\"}
";

fn policy(text: &str) -> Policy {
    Settings::load(Some(("drctl.yaml", text.as_bytes())), Default::default(), &[]).unwrap().policy
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn rules(closed: &[Closed]) -> Vec<Rule> {
    closed.iter().map(|c| c.rule).collect()
}

#[test]
fn the_strictest_holds_and_each_says_until_when() {
    let policy = policy(ALL);
    let closed =
        |plan: &str, now: &str| windows::closed(&policy, &PlanName::new(plan), Severity::P2, at(now));
    // Monday: no window, and a freeze.
    let monday = closed("orders", "2026-11-23T12:00:00Z");
    assert_eq!(rules(&monday), [Rule::ChangeFreeze, Rule::OutsideWindow]);
    assert_eq!(monday[0].facts, "changes are frozen until 2026-11-24T00:00:00.000Z: audit");
    // Friday evening in New York comes before Sunday in Prague, for a plan with both.
    assert!(
        monday[1].facts.contains(
            "the next window opens Fri 2026-11-27 22:00 America/New_York (2026-11-28T03:00:00.000Z)"
        ),
        "{monday:?}"
    );
    let other = closed("billing", "2026-11-28T03:30:00Z");
    assert_eq!(rules(&other), [Rule::OutsideWindow]);
    assert!(
        other[0].facts.contains("Sun 2026-11-29 02:00 Europe/Prague (2026-11-29T01:00:00.000Z)"),
        "{other:?}"
    );
    assert_eq!(closed("orders", "2026-11-28T03:30:00Z"), []);
    assert_eq!(closed("billing", "2026-11-29T01:00:00Z"), []);
    assert_eq!(
        rules(&closed("billing", "2026-11-29T05:00:00Z")),
        [Rule::OutsideWindow],
        "the end is not in it"
    );
    // A window within a blackout is closed.
    let season = closed("orders", "2026-12-20T02:00:00Z");
    assert_eq!(rules(&season), [Rule::BlackoutWindow]);
    assert!(season[0].facts.contains("(peak season) lasts until 2027-01-03T23:00:00.000Z"), "{season:?}");
}

#[test]
fn what_cannot_wait_keeps_to_nothing_and_which_those_are_is_configuration() {
    let keeps = |policy: &Policy| Severity::ALL.map(|severity| windows::keeps(policy, severity));
    assert_eq!(keeps(&Policy::default()), [false, false, true, true]);
    assert_eq!(keeps(&policy("policy: {keep_to_windows: [P1]}\n")), [false, true, false, false]);
    assert_eq!(keeps(&policy("policy: {keep_to_windows: []}\n")), [false; 4]);
}

fn closed() -> Vec<Closed> {
    [Rule::ChangeFreeze, Rule::BlackoutWindow, Rule::OutsideWindow]
        .map(|rule| Closed { rule, facts: format!("{rule} says so"), lifted: false })
        .into()
}

fn refused(rig: &Rig) -> Vec<Rule> {
    rig.rehearse().err().unwrap_or_default().into_iter().map(|refusal| refusal.rule).collect()
}

/// All rules are reported at once, and each is waived by its own name only. What has started is completed, such as the return of a drill.
#[test]
fn a_move_does_not_begin_when_it_is_closed_unless_each_rule_is_waived() {
    let rig = Rig { closed: closed(), ..moving(Intent::Switchover, "calm", 1) };
    assert_eq!(refused(&rig), [Rule::ChangeFreeze, Rule::BlackoutWindow, Rule::OutsideWindow]);
    let waiver = |rule| Waiver {
        rule,
        component: None,
        accept_loss_ms: None,
        reason: "the hall floods".to_owned(),
        who: Person::claimed("ann"),
    };
    let two = vec![waiver(Rule::ChangeFreeze), waiver(Rule::OutsideWindow)];
    assert_eq!(refused(&Rig { waivers: two, ..rig }), [Rule::BlackoutWindow]);
    let rig = Rig { closed: closed(), ..moving(Intent::Switchover, "calm", 1) };
    let all = closed().iter().map(|c| waiver(c.rule)).collect();
    assert_eq!(refused(&Rig { waivers: all, ..rig }), []);
    let live = Rig { closed: closed(), drill: Some(Drill::Live), ..moving(Intent::Switchover, "calm", 1) };
    assert_eq!(refused(&live).len(), 3, "users feel a live drill");
    assert_eq!(refused(&Rig { returns: true, ..live }), [], "whoever was let out is let back in");
}

/// Urgent work that does not wait lists the windows that it ignored.
#[test]
fn a_severity_that_waits_for_nothing_begins_and_the_runbook_says_so() {
    let lifted = closed().into_iter().map(|c| Closed { lifted: true, ..c }).collect();
    let done = Rig { closed: lifted, ..moving(Intent::Switchover, "calm", 1) }.rehearse().unwrap();
    let notes = done.ended.state.runbook.notes.join("\n");
    assert!(
        notes.contains(
            "starts although change-freeze says so (change-freeze), because its severity does not wait for a window"
        ),
        "{notes}"
    );
    let policy = policy(ALL);
    let told = windows::closed(&policy, &PlanName::new("orders"), Severity::P0, at("2026-11-23T12:00:00Z"));
    assert!(told.len() == 2 && told.iter().all(|c| c.lifted), "{told:?}");
}

/// A blackout that starts where another ends extends it.
#[test]
fn a_blackout_that_follows_another_is_told_with_it() {
    let text = "policy:\n  blackouts:\n    - {from: \"2026-12-01T00:00:00Z\", to: \"2026-12-02T00:00:00Z\"}\n    - {from: \"2026-12-02T00:00:00Z\", to: \"2026-12-03T00:00:00Z\"}\n    - {opens: \"0 0 * * *\", for: 24h, zone: UTC, plans: [billing]}\n";
    let policy = policy(text);
    let until = |plan: &str| {
        windows::closed(&policy, &PlanName::new(plan), Severity::P3, at("2026-12-01T12:00:00Z"))[0]
            .facts
            .clone()
    };
    assert!(until("orders").ends_with("until 2026-12-03T00:00:00.000Z"), "{}", until("orders"));
    assert!(until("billing").contains("until 2028-"), "it never ends: {}", until("billing"));
}

#[test]
fn a_copy_beside_production_keeps_to_no_window() {
    let tabletop = moving(Intent::Switchover, "calm", 1);
    assert_eq!(refused(&Rig { closed: closed(), drill: Some(Drill::Rehearsal), ..tabletop }), []);
}

#[test]
fn windows_are_explained_for_any_time_and_bad_ones_name_themselves() {
    let folder = Folder::with_plans();
    let settings = folder.path().join("plans/drctl.yaml");
    std::fs::write(&settings, ALL.replace("orders", "truststream")).unwrap();
    let text = folder.ok(&["policy", "explain", "truststream", "--at", "2026-11-23T12:00:00Z"]);
    for words in [
        "when      at any time; P0 does not wait for windows",
        "when      NOT at 2026-11-23T12:00:00.000Z: changes are frozen",
        "(outside-window)",
        "window 0 2 * * SUN Europe/Prague for 4h: next Sun 2026-11-29 02:00 Europe/Prague (2026-11-29T01:00:00.000Z)",
        "blackout 2026-12-17T23:00:00.000Z to 2027-01-03T23:00:00.000Z (peak season): next 2026-12-17T23:00:00.000Z",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let open = ["policy", "explain", "truststream", "--at", "2026-11-29T03:00:00+01:00", "--output", "json"];
    let open = json(&folder.ok(&open));
    assert_eq!(open["at"], "2026-11-29T02:00:00.000Z");
    assert!(
        open["intents"].as_array().unwrap().iter().all(|i| i["closed"] == serde_json::json!([])),
        "{open:#}"
    );
    for (bad, words) in [
        ("windows: [{opens: \"0 2 * * SUN\", for: 4h}]", "policy.windows[1]: a window needs"),
        ("windows: [{opens: \"0 2 * * SUN\", for: 4h, zone: Mars/Base}]", "`Mars/Base` is not a time zone"),
        (
            "blackouts: [{opens: \"0 0 31 2 *\", for: 4h, zone: UTC}]",
            "policy.blackouts[1]: `0 0 31 2 *` never matches a date",
        ),
        ("windows: [{opens: \"0 2 * * *\", for: 0s, zone: UTC}]", "must be above zero"),
        (
            "windows: [{from: \"2026-12-01T00:00:00\", to: \"2026-12-02T00:00:00Z\"}]",
            "not a time with a zone",
        ),
        ("windows: [{from: \"2026-12-02T00:00:00Z\", to: \"2026-12-01T00:00:00Z\"}]", "never opens"),
        ("freeze: {until: \"2026-12-02T00:00:00Z\"}", "`why`"),
        ("keep_to_windows: [P5]", "P5"),
        ("windows: [{opens: \"15,45 2 * * *\", for: 1h, zone: UTC}]", "plain numbers"),
        ("windows: [{opens: \"0 2 * * *\", for: 1h, zone: UTC, plans: []}]", "`plans` is empty"),
    ] {
        std::fs::write(&settings, format!("policy:\n  {bad}\n")).unwrap();
        let (code, out, err) = folder.run(&["check"]);
        let said = one_line(&out, &err);
        assert!(code == 2 && said.contains(words), "{bad}: {code} {said}");
    }
}

/// The text before it was wrapped.
fn one_line(out: &str, err: &str) -> String {
    format!("{out}{err}").replace('│', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A blackout for a renamed plan protects nothing, which is reported.
#[test]
fn a_window_that_binds_nothing_is_found() {
    let folder = Folder::with_plans();
    let settings = folder.path().join("plans/drctl.yaml");
    let text = "policy:\n  windows: [{from: \"2020-01-01T00:00:00Z\", to: \"2020-01-02T00:00:00Z\"}]\n  blackouts: [{from: \"2020-01-01T00:00:00Z\", to: \"2020-01-02T00:00:00Z\", plans: [truststraem]}]\n";
    std::fs::write(&settings, text).unwrap();
    let (code, out, err) = folder.run(&["check"]);
    let said = one_line(&out, &err);
    assert_eq!(code, 0, "{said}");
    for words in
        ["names plan truststraem, which does not exist", "plan truststream has no future maintenance window"]
    {
        assert!(said.contains(words), "{words}\n{said}");
    }
    std::fs::write(&settings, "policy: {keep_to_windows: [P0], freeze: {why: audit}}\n").unwrap();
    let (code, out, err) = folder.run(&["check"]);
    assert!(code == 0 && one_line(&out, &err).contains("windows-keep-emergencies"), "{out}{err}");
    std::fs::write(&settings, text).unwrap();
    let (_, out, err) = folder.run(&["check", "plans/truststream.yaml"]);
    assert!(!format!("{out}{err}").contains("does not exist"), "there may be others");
}

#[test]
fn a_freeze_is_over_when_it_says_so() {
    let freeze = policy("policy: {freeze: {why: audit, until: \"2026-11-24T00:00:00Z\"}}\n");
    let orders = PlanName::new("orders");
    let end = at("2026-11-24T00:00:00Z");
    assert_eq!(rules(&windows::closed(&freeze, &orders, Severity::P2, end - Dur(1))), [Rule::ChangeFreeze]);
    assert_eq!(windows::closed(&freeze, &orders, Severity::P2, end), []);
    let open_ended = policy("policy: {freeze: {why: audit}}\n");
    let said = windows::closed(&open_ended, &orders, Severity::P2, end);
    assert!(said[0].facts.contains("until somebody removes the freeze from drctl.yaml"), "{said:?}");
}
