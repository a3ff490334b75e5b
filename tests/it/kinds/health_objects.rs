//! Names that follow an object: how a run moves them, what is refused, and what the answers of name servers mean.

use drctl::executor::create;
use drctl::inventory::Observation;
use drctl::kinds::shared::names::{AnswersState, ServerAnswer};
use drctl::kinds::{Called, Fact, State};
use drctl::model::ids::StepId;
use drctl::model::intent::Intent;
use drctl::model::time::Dur;
use drctl::record::event::{Event, EventKind, Outcome};
use drctl::report::changes::changes;
use drctl::run::RunState;
use drctl::run::state::Mode;
use drctl::run::{StepDecision, StepObservation, judge};

use crate::cli::contract::Folder;
use crate::run::resume::events;
use crate::support::rig::{Rig, plan, run_id};
use crate::support::shop::{shop, two_moved_at_once};

const WWW: &str = r#"  www:
    kind: aws.route53
    via: dns
    needs: [db]
    zone: Z1
    switch: health_object
    object: {url: "s3://shop-dr-east/failover/www", site: east}
    records:
      - name: www.shop.example
        type: A
        ttl: 60s
        policy: failover
        at:
          west: {set: w, values: [192.0.2.1], role: primary, health_check: hc-1}
          east: {set: e, values: [198.51.100.1], role: secondary}
"#;

fn rig(intent: Intent, scenario: &str) -> Rig {
    Rig { intent, ..Rig::new(plan(&shop(WWW)), scenario, 1) }
}

#[test]
fn users_follow_the_object_there_and_back() {
    for (intent, scenario) in
        [(Intent::Failover, "region-lost"), (Intent::Switchover, "calm"), (Intent::Failback, "away")]
    {
        let done = rig(intent, scenario).rehearse().unwrap();
        let state = &done.ended.state;
        assert_eq!(state.mode, Mode::Finished(Outcome::Recovered), "{intent}: {:?}", done.ended.stop);
        let finished = |step: &str| {
            events(&done).iter().position(
                |e| matches!(&e.what, EventKind::StepFinished { step: s, .. } if s.as_str() == step),
            )
        };
        let [write, switch, served] =
            ["verify.db", "switch.www", "served.www"].map(|s| finished(s).unwrap_or_else(|| panic!("{s}")));
        assert!(write < switch && switch < served, "{intent}: {write} {switch} {served}");
        assert!(done.truth.turns.last().is_some_and(|(_, served)| *served), "{intent}: users fail");
    }
}

#[test]
fn the_object_is_among_what_would_revert_the_run() {
    let object = |intent, scenario| {
        let done = rig(intent, scenario).rehearse().unwrap();
        let all = changes(&done.ended.state);
        let of = all.iter().find(|c| c.resource == "aws_s3_object s3://shop-dr-east/failover/www");
        of.map(|c| (c.before.clone(), c.after.clone()))
    };
    let moved = |before: &str, after: &str| Some((before.to_owned(), after.to_owned()));
    assert_eq!(object(Intent::Failover, "region-lost"), moved("none", "present"));
    assert_eq!(object(Intent::Failback, "away"), moved("present", "none"));
}

/// A state in which a step has just started.
fn begun(step: &str) -> (RunState, usize) {
    let done = rig(Intent::Switchover, "calm").rehearse().unwrap();
    let starts = |e: &Event| matches!(&e.what, EventKind::StepStarted { step: s } if s.as_str() == step);
    let n = events(&done).iter().position(starts).unwrap() + 1;
    let state = create::replay(&run_id(), &done.records[..n]).unwrap();
    let i = state.position(&StepId::new(step)).unwrap();
    (state, i)
}

fn judged(
    (state, i): &(RunState, usize),
    after: Dur,
    answers: &[(&str, bool, Option<bool>)],
) -> Result<Vec<Fact>, String> {
    let servers = answers.iter().map(|&(server, authoritative, right)| ServerAnswer {
        server: server.to_owned(),
        authoritative,
        // The name of the server.
        name: server.split_once('/').map_or("www.shop.example A", |(_, name)| name).to_owned(),
        right,
        said: "192.0.2.1".to_owned(),
    });
    let target = state.step(*i).action.watch(&Called::NOT_YET).unwrap();
    let now = state.last_at + after;
    let seen = State::Answers(AnswersState { servers: servers.collect() });
    let seen = Observation::Value { state: seen, observed_at: now, source: "dns".to_owned() };
    match judge(state, *i, &StepObservation::Things(vec![(target, seen)]), now) {
        StepDecision::Record(EventKind::StepFinished { facts, .. }) => Ok(facts),
        StepDecision::Keep(why) => Err(why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_server_of_the_zone_that_answers_has_to_be_right() {
    let at = begun("served.www");
    let yes = Some(true);
    assert!(judged(&at, Dur::ZERO, &[("ns1", true, yes), ("ns2", true, yes)]).is_ok());
    assert!(judged(&at, Dur::ZERO, &[("ns1", true, yes), ("ns2", true, None)]).is_ok());
    let wrong = judged(&at, Dur::ZERO, &[("ns1", true, yes), ("ns2", true, Some(false))]).unwrap_err();
    assert!(wrong.contains("ns2") && wrong.contains("192.0.2.1"), "{wrong}");
    // No answer proves nothing, and a resolver with the old answer does not contradict the zone's own server.
    assert!(judged(&at, Dur::ZERO, &[("ns1", true, None)]).is_err());
    assert!(judged(&at, Dur::ZERO, &[]).is_err());
    assert!(judged(&at, Dur::ZERO, &[("ns1", true, yes), ("8.8.8.8", false, Some(false))]).is_ok());
    assert!(judged(&at, Dur::ZERO, &[("ns1", true, Some(false)), ("8.8.8.8", false, yes)]).is_err());
    // Each name must be proven, by a server that may answer for it.
    assert!(judged(&at, Dur::ZERO, &[("ns1", true, yes), ("ns1/api.example A", true, None)]).is_err());
    assert!(judged(&at, Dur::ZERO, &[("ns1", true, yes), ("ns1/api.example A", true, yes)]).is_ok());
    // If the zone's servers cannot be asked, every resolver that answers must be right.
    let silent = ("ns1", true, None);
    assert!(judged(&at, Dur::ZERO, &[silent, ("8.8.8.8", false, yes)]).is_ok());
    let one = [silent, ("8.8.8.8", false, yes), ("9.9.9.9", false, Some(false))];
    assert!(judged(&at, Dur::ZERO, &one).unwrap_err().contains("9.9.9.9"));
}

#[test]
fn resolvers_have_the_old_ttl_and_are_named_after_it() {
    let at = begun("resolvers.www");
    let late = [("ns1", true, Some(true)), ("8.8.8.8", false, Some(false)), ("9.9.9.9", false, None)];
    let waits = judged(&at, Dur::secs(59), &late).unwrap_err();
    assert!(waits.contains("8.8.8.8"), "{waits}");
    let facts = judged(&at, Dur::secs(61), &late).unwrap();
    let [Fact::Answered { right: 1, tail, silent }] = facts.as_slice() else { panic!("{facts:?}") };
    assert!(tail.len() == 1 && tail[0].contains("8.8.8.8"), "{tail:?}");
    assert!(silent.len() == 1 && silent[0].contains("9.9.9.9"), "{silent:?}");
    // The answer of the zone's own server counts at any time.
    assert!(judged(&at, Dur::secs(61), &[("ns1", true, Some(false))]).is_err());
}

#[test]
fn a_plan_whose_names_would_not_follow_is_an_error() {
    for (from, to, rule) in [
        ("s3://shop-dr-east/failover/www", "s3://shop-dr-east", "switch-object-unusable"),
        ("site: east}", "site: west}", "switch-object-unusable"),
        ("site: east}", "site: north}", "switch-object-unusable"),
        ("    object: {url: \"s3://shop-dr-east/failover/www\", site: east}\n", "", "switch-object-unusable"),
        ("policy: failover", "policy: weighted", "switch-object-unwatched"),
        (", health_check: hc-1", "", "switch-object-unwatched"),
        ("role: secondary", "role: primary", "switch-object-unwatched"),
        ("role: secondary", "role: secondary, health_check: hc-2", "switch-object-unwatched"),
        (
            "values: [192.0.2.1]",
            "alias: {name: lb.example, zone: Z9, evaluate_health: true}",
            "switch-object-unwatched",
        ),
        ("", "", "switch-object-unusable"),
    ] {
        let text = if from.is_empty() { two_moved_at_once(WWW) } else { shop(WWW).replace(from, to) };
        assert_ne!(text, shop(WWW), "{from}");
        let folder = Folder::empty();
        std::fs::create_dir(folder.path().join("plans")).unwrap();
        std::fs::write(folder.path().join("plans/shop.yaml"), text).unwrap();
        let (code, out, err) = folder.run(&["check", "plans/shop.yaml", "--output", "json"]);
        assert!(code == 2 && format!("{out}{err}").contains(rule), "{to}: {code} {out} {err}");
    }
}
