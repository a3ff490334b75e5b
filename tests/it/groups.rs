//! Stores that are promoted together or not at all.

use drctl::model::event::What;
use drctl::model::ids::ComponentName;
use drctl::model::time::Dur;
use drctl::model::waiver::{Rule, Waiver};
use drctl::run::Stop;

use crate::cancelled::until;
use crate::hard_cases::{two_stores, waiver};
use crate::rig::{BEGAN, Rig, plan};

/// Two stores of one group in a region that is dark: a person accepts so much loss with each.
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

fn promotes(what: &What) -> bool {
    matches!(what, What::CallIntended { step, .. } if step.as_str().starts_with("promote."))
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
