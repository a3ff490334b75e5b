//! Names that follow routing controls: how a run moves them, and what is refused.

use drctl::kinds::Operation;
use drctl::model::ids::SiteName;
use drctl::model::intent::Intent;
use drctl::model::waiver::Rule;
use drctl::planner::Refusal;
use drctl::record::action::Action;
use drctl::record::event::{EventKind, Outcome};
use drctl::report::changes::changes;
use drctl::run::state::Mode;

use crate::cli::contract::Folder;
use crate::run::resume::events;
use crate::support::rig::{Rig, plan};
use crate::support::shop::{names_only, shop, two_moved_at_once, until};

pub const WWW: &str = r#"  www:
    kind: aws.route53
    via: dns
    needs: [db]
    zone: Z1
    switch: arc_routing_control
    cluster:
      endpoints:
        us-east-1: "https://a.route53-recovery-cluster.us-east-1.amazonaws.com/v1"
        us-west-2: "https://b.route53-recovery-cluster.us-west-2.amazonaws.com/v1"
        eu-west-1: "https://c.route53-recovery-cluster.eu-west-1.amazonaws.com/v1"
        ap-northeast-1: "https://d.route53-recovery-cluster.ap-northeast-1.amazonaws.com/v1"
        ap-southeast-2: "https://e.route53-recovery-cluster.ap-southeast-2.amazonaws.com/v1"
      controls:
        west: "arn:aws:route53-recovery-control::111122223333:controlpanel/0123/routingcontrol/aaaa"
        east: "arn:aws:route53-recovery-control::111122223333:controlpanel/0123/routingcontrol/bbbb"
    records:
      - name: www.shop.example
        type: A
        ttl: 60s
        policy: failover
        at:
          west: {set: w, values: [192.0.2.1], role: primary, health_check: hc-1}
          east: {set: e, values: [198.51.100.1], role: secondary, health_check: hc-2}
"#;

const TWO: &str = "east: {region: us-east-1}}";

/// A third site with a control but without an answer of its own.
fn deaf() -> String {
    let arn = "arn:aws:route53-recovery-control::111122223333:controlpanel/0123/routingcontrol/cccc";
    let text = shop(WWW).replace(TWO, "east: {region: us-east-1}, eu: {region: eu-west-1}}");
    text.replace("      controls:\n", &format!("      controls:\n        eu: \"{arn}\"\n"))
}

fn rig(intent: Intent, scenario: &str) -> Rig {
    Rig { intent, ..Rig::new(plan(&shop(WWW)), scenario, 1) }
}

#[test]
fn users_follow_the_controls_there_and_back() {
    for (intent, scenario) in
        [(Intent::Failover, "region-lost"), (Intent::Switchover, "calm"), (Intent::Failback, "away")]
    {
        let done = rig(intent, scenario).rehearse().unwrap();
        let state = &done.ended.state;
        assert_eq!(state.mode, Mode::Finished(Outcome::Recovered), "{intent}: {:?}", done.ended.stop);
        let finished = |step: &str| {
            let ends =
                |w: &EventKind| matches!(w, EventKind::StepFinished { step: s, .. } if s.as_str() == step);
            events(&done).iter().position(|e| ends(&e.what)).unwrap_or_else(|| panic!("{step}"))
        };
        assert!(finished("verify.db") < finished("switch.www"), "{intent}");
        assert!(finished("switch.www") < finished("served.www"), "{intent}");
        assert!(finished("served.www") < finished("confirm.app"), "{intent}");
        assert!(done.truth.turns.last().is_some_and(|(_, served)| *served), "{intent}: users fail");
    }
}

#[test]
fn a_move_that_is_called_off_turns_them_back() {
    let rig = Rig { intent: Intent::Switchover, ..Rig::new(plan(&names_only(WWW)), "calm", 1) };
    let done = rig.rehearse().unwrap();
    let called =
        |w: &EventKind| matches!(w, EventKind::CallAnswered { step, .. } if step.as_str() == "switch.www");
    let (n, notes) = until(&done, |e| called(&e.what));
    let (_, during) = rig.second(&done.records[..n], &notes, &[], Some(1)).unwrap();
    let (back, seen) = rig.cancel(&done.records[..n], &notes, None);
    let controls = |seen: &crate::support::rig::Seen| {
        serde_json::to_value(&seen["controls/dns/www"]).unwrap()["on"].clone()
    };
    assert_eq!(controls(&during), serde_json::json!({"west": false, "east": true}));
    assert_eq!(controls(&seen), serde_json::json!({"west": true, "east": false}), "{:?}", back.ended.stop);
}

#[test]
fn the_way_back_is_to_the_one_that_was_on() {
    let done = rig(Intent::Switchover, "calm").rehearse().unwrap();
    let find = |a: &Action| {
        if let Action::Op(Operation::SetRoutingControls(r)) = a { Some(r.clone()) } else { None }
    };
    let route = done.ended.state.runbook.steps.iter().find_map(|s| find(&s.action)).unwrap();
    let [west, east] = ["west", "east"].map(SiteName::new);
    assert_eq!(route.wanted(), [(west.clone(), false), (east.clone(), true)].into());
    let back = route.reversed().unwrap();
    assert_eq!((&back.to, &back.from), (&west, &route.wanted()));
    assert_eq!(back.reversed().unwrap().to, east);
    let said = changes(&done.ended.state);
    let one = said.iter().find(|c| c.resource == "routing controls of www").unwrap();
    assert_eq!((one.before.as_str(), one.after.as_str()), ("west", "east"));
}

#[test]
fn a_plan_whose_controls_would_not_move_users_is_an_error() {
    for (from, to, rule, code) in [
        (
            "arn:aws:route53-recovery-control::111122223333:controlpanel/0123/routingcontrol/aaaa",
            "west-control",
            "switch-controls-unusable",
            2,
        ),
        ("routingcontrol/aaaa", "routingcontrol/bbbb", "switch-controls-unusable", 2),
        ("        east: \"arn", "        north: \"arn", "switch-controls-unusable", 2),
        ("https://a.route53", "a.route53", "switch-controls-unusable", 2),
        ("policy: failover", "policy: weighted", "switch-controls-unwatched", 2),
        (", health_check: hc-2", "", "switch-controls-unwatched", 2),
        ("health_check: hc-2", "health_check: hc-1", "switch-controls-unwatched", 2),
        ("role: secondary", "role: primary", "switch-controls-unwatched", 2),
        (
            "values: [198.51.100.1]",
            "alias: {name: lb.example, zone: Z9, evaluate_health: true}",
            "switch-controls-unwatched",
            2,
        ),
        ("        ap-southeast-2: \"https://e", "        #", "switch-controls-few-endpoints", 0),
        ("us-east-1: \"https://a", "eu-north-1: \"https://a", "switch-controls-unusable", 2),
        ("", "shared", "moves the names of two components", 2),
        ("", "deaf", "one of the names has no answer there", 2),
    ] {
        let text = match (from, to) {
            ("", "shared") => two_moved_at_once(WWW),
            ("", _) => deaf(),
            _ => shop(WWW).replace(from, to),
        };
        assert_ne!(text, shop(WWW), "{from}");
        let folder = Folder::empty();
        std::fs::create_dir(folder.path().join("plans")).unwrap();
        std::fs::write(folder.path().join("plans/shop.yaml"), text).unwrap();
        let (ended, out, err) = folder.run(&["check", "plans/shop.yaml", "--output", "json"]);
        assert!(ended == code && format!("{out}{err}").contains(rule), "{to}: {ended} {out} {err}");
    }
    let folder = Folder::empty();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    std::fs::write(folder.path().join("plans/shop.yaml"), shop(WWW)).unwrap();
    let (code, out, err) = folder.run(&["check", "plans/shop.yaml", "--output", "json"]);
    assert!(code == 0 && !format!("{out}{err}").contains("switch-controls"), "{code} {out} {err}");
}

/// Users would be sent to a site without an answer, after its database was promoted.
#[test]
fn a_site_without_a_control_is_no_target() {
    let three = shop(WWW).replace(TWO, "east: {region: us-east-1}, eu: {region: eu-west-1}}");
    let rig = Rig { to: Some(SiteName::new("eu")), ..Rig::new(plan(&three), "region-lost", 1) };
    let refused = rig.rehearse().err().unwrap();
    let said = |r: &Refusal| r.rule == Rule::NotRecoverable && r.facts.contains("no routing control for eu");
    assert!(refused.iter().any(said), "{refused:#?}");
}
