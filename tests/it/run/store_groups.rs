//! Stores that are promoted together or not at all.

use drctl::kinds::world::scenario::Scenario;
use drctl::model::ids::{ComponentName, StepId};
use drctl::model::time::Dur;
use drctl::model::waiver::{Rule, Waiver};
use drctl::record::event::{Event, EventKind, Outcome, Signal};
use drctl::run::Stop;
use drctl::run::state::Mode;

use crate::run::cancel::until;
use crate::run::hard_cases::{two_stores, waiver};
use crate::run::resume::events;
use crate::support::rig::{BEGAN, Rehearsed, Rig, plan};

/// Two stores of one group in a dark region, each with an accepted loss.
fn rig(loss_a: Dur, loss_b: Dur) -> Rig {
    let text = two_stores("after.promote").text + "groups:\n  both: {components: [a, b], gate: together}\n";
    let mut rig = Rig::new(plan(&text), "region-dark", 1);
    let with = |name, loss| Waiver {
        component: Some(ComponentName::new(name)),
        ..waiver(Rule::UnfencedPromotion, loss)
    };
    rig.waivers = vec![with("a", loss_a), with("b", loss_b)];
    rig
}

fn promotes(what: &EventKind) -> bool {
    matches!(what, EventKind::CallIntended { step, .. } if step.as_str().starts_with("promote."))
}

#[test]
fn none_is_promoted_before_each_could_be() {
    let first = until(&rig(Dur::mins(20), Dur::mins(20)), promotes);
    let runbook = &first.ended.state.runbook;
    for of in ["promote.a", "promote.b"] {
        let step = runbook.steps.iter().find(|s| s.id.as_str() == of).unwrap();
        for check in ["check.a", "check.b"] {
            assert!(step.needs.iter().any(|n| n.step.as_str() == check), "{of} waits for no {check}");
        }
    }
}

#[test]
fn a_loss_that_grew_too_large_with_one_keeps_all_from_being_promoted() {
    let rig = rig(Dur::mins(600), Dur::mins(20));
    let first = until(&rig, promotes);
    let rig = Rig { later: Some(BEGAN + Dur::mins(160)), ..rig };
    let (done, _) = rig.second(&first.records, &first.notes, &[], None).unwrap();
    let (state, stop) = (&done.ended.state, &done.ended.stop);
    assert!(matches!(stop, Stop::Blocked(why) if why.starts_with("promote.a")), "{stop:?}");
    assert!(state.promoted_at.is_empty(), "promoted alone: {:?}", state.promoted_at);
}

/// One store of the group waits for a store outside of the group, so the other is ready long before it.
fn one_comes_later(accepted: Dur) -> Rig {
    let site = |name: &str| {
        format!(
            "    at:\n      west: {{id: {name}-w, fence_group: sg-w, admin: {{secret: \"file:y\"}}}}\n      east: {{id: {name}-e, fence_group: sg-e, admin: {{secret: \"file:y\"}}}}\n"
        )
    };
    let text = format!(
        "plan: half\nobjectives: {{rto: 20m, rpo: 5m}}\nsites:\n  west: {{region: us-west-2}}\n  east: {{region: us-east-1}}\nconnections:\n  dns: {{}}\nhome: west\ncomponents:\n  a:\n    kind: aws.rds\n    fence: [sql]\n{}  b:\n    kind: aws.rds\n    needs: [c]\n    fence: [security_group]\n{}  c:\n    kind: aws.rds\n    fence: [security_group]\n{}groups:\n  both: {{components: [a, b], gate: together}}\nprobes:\n  - {{name: public, role: public, http: \"https://a.example\", every: 5s, timeout: 3s}}\nwatch: {{for: 5m}}\n",
        site("a"),
        site("b"),
        site("c"),
    );
    let of_a = waiver(Rule::UnfencedPromotion, accepted);
    let waivers = vec![Waiver { component: Some(ComponentName::new("a")), ..of_a }];
    Rig { waivers, ..Rig::new(plan(&text), "promotion-fails-once", 1) }
}

fn promoted(done: &Rehearsed) -> Vec<String> {
    let ends = |what: EventKind| match what {
        EventKind::StepFinished { step, .. } if step.as_str().starts_with("promote.") => {
            Some(step.to_string())
        }
        _ => None,
    };
    events(done).into_iter().filter_map(|e| ends(e.what)).collect()
}

#[test]
fn a_promotion_that_came_to_nothing_holds_back_the_others() {
    let rig = one_comes_later(Dur::mins(3));
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    // By the second attempt, `a` may have lost more than was accepted.
    assert!(
        matches!(&done.ended.stop, Stop::Blocked(why) if why.starts_with("promote.a")),
        "{:?}",
        done.ended.stop
    );
    assert_eq!(promoted(&done), ["promote.c"]);
}

#[test]
fn a_promotion_that_failed_holds_back_the_others() {
    let rig = Rig { scenario: Scenario::find("region-lost").unwrap(), ..one_comes_later(Dur::mins(120)) };
    let first =
        until(&rig, |w| matches!(w, EventKind::CallIntended { step, .. } if step.as_str() == "promote.a"));
    let mut all = events(&first);
    let last = all.last().unwrap().clone();
    let step = StepId::new("promote.a");
    all.push(Event { what: EventKind::StepFailed { step, reason: "no".to_owned() }, ..last });
    let (done, _) = rig.second(&Rig::journal_of(&all), &first.notes, &[], None).unwrap();
    assert!(
        matches!(&done.ended.stop, Stop::Failed(why) if why.starts_with("promote.a")),
        "{:?}",
        done.ended.stop
    );
    // Stores outside of the group do not continue either: a person decides that.
    assert!(promoted(&done).is_empty(), "{:?}", promoted(&done));
    let (done, _) = rig.second(&done.records, &done.notes, &[Signal::Resume], None).unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
}
