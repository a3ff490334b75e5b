//! A run that continues another one does not rely on observations from before a gap, nor on a fence that a call was about to lift.

use drctl::kinds::Operation;
use drctl::kinds::world::scenario::Scenario;
use drctl::model::ids::{ComponentName, SiteName};
use drctl::model::intent::Intent;
use drctl::model::measure::Basis;
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule};
use drctl::record::action::Action;
use drctl::record::event::{Direction, Event, EventKind};
use drctl::report::attainment::attainment;
use drctl::run::RunState;
use drctl::run::continued::continued;

use crate::kinds::planned_moves::two_stores;
use crate::run::cancel::until;
use crate::run::hard_cases::waiver;
use crate::run::resume::events;
use crate::support::rig::{BEGAN, Rehearsed, Rig, plan};

const DIES: Dur = Dur::mins(30);

fn dying(mut rig: Rig) -> Rig {
    rig.scenario = Scenario { loses_home: true, control_plane_lost: true, lost_after: DIES, ..rig.scenario };
    rig.later = Some(BEGAN + DIES + Dur::mins(2));
    rig
}

fn told(done: &Rehearsed) -> String {
    let state = &done.ended.state;
    let stores = attainment(state, state.last_at).stores;
    stores
        .iter()
        .map(|(c, (f, e))| format!("{c}: told {f} ({}), lost {:?}", e.because, done.truth.lost_ms.get(c)))
        .collect::<Vec<_>>()
        .join("; ")
}

fn understated(done: &Rehearsed) -> bool {
    let state = &done.ended.state;
    let stores = attainment(state, state.last_at).stores;
    done.truth.lost_ms.iter().any(|(c, lost)| {
        stores.get(c).is_some_and(|(f, _)| f.basis != Basis::Unknown && f.value_ms.is_some_and(|v| v < *lost))
    })
}

/// The move saw a write probe fail. Then nobody sampled for half an hour, in which the source took writes; then it failed.
#[test]
fn what_a_probe_said_to_the_run_before_is_not_believed_of_the_time_between() {
    let text = two_stores("postgres", |name, site| {
        format!(
            "{{endpoint: \"{name}-{site}:5432/app\", admin: {{secret: \"file:a\"}}, host: {{run: [ssh, x], data: /data, replication: {{secret: \"file:r\"}}}}}}"
        )
    })
    .text
    .replace("probes:\n", "probes:\n  - {name: orders, role: write, http: \"https://www.example/orders\", every: 5s, timeout: 3s}\n");
    let rig = dying(Rig { intent: Intent::Switchover, ..Rig::new(plan(&text), "calm", 5) });
    let first =
        until(&rig, |w| matches!(w, EventKind::StepStarted { step } if step.as_str() == "scale.nodes"));
    let mut all = events(&first);
    let at = all.last().unwrap().at;
    all.push(Event {
        at,
        what: EventKind::ProbeTurned {
            probe: "orders".to_owned(),
            good: false,
            since: at - Dur::secs(15),
            last_other: Some(at - Dur::secs(20)),
            detail: "503".to_owned(),
        },
    });
    let mut next = dying(Rig { intent: Intent::Switchover, ..Rig::new(plan(&text), "calm", 5) });
    // The lag is eight minutes, and two are accepted.
    next.scenario.lag_ms = 480_000;
    next.waivers = vec![waiver(Rule::UnfencedPromotion, Dur::mins(2))];
    let done = next.take_over(&Rig::journal_of(&all), &first.notes, &[]).unwrap_or_else(|r| panic!("{r:#?}"));
    let exposure = done.ended.state.exposure(&ComponentName::new("db")).unwrap();
    assert!(!understated(&done), "{}", told(&done));
    assert!(exposure.last_instant.unwrap() >= BEGAN + DIES, "{exposure:?}");
}

/// Only two stores, and nothing else to undo.
fn stores() -> Rig {
    let text = two_stores("postgres", |name, site| {
        format!(
            "{{endpoint: \"{name}-{site}:5432/app\", admin: {{secret: \"file:a\"}}, host: {{run: [ssh, x], data: /data, replication: {{secret: \"file:r\"}}}}}}"
        )
    })
    .text;
    let nodes = "  nodes:\n    kind: aws.autoscaling\n    at:\n      west: {group: w, capacity_floor: 2}\n      east: {group: e, capacity_floor: 2}\n";
    assert!(text.contains(nodes));
    let text = text.replace(nodes, "").replace("[billing, nodes]", "[billing]");
    Rig { intent: Intent::Switchover, ..Rig::new(plan(&text), "calm", 5) }
}

/// The answer to a call that lifts the fence was lost, the undo timed out, the run was resumed, and its source went dark.
#[test]
fn a_fence_that_a_call_was_to_lift_is_no_proof_after_a_resume_either() {
    let rig = stores();
    let first =
        until(&rig, |w| matches!(w, EventKind::StepStarted { step } if step.as_str() == "caught-up.db"));
    let (back, _) = rig.cancel(&first.records, &first.notes, None);
    let all = events(&back);
    let lifts = |e: &Event| matches!(&e.what, EventKind::CallIntended { direction: Direction::Undo, step, .. } if step.as_str().starts_with("fence."));
    let n = all.iter().position(lifts).unwrap() + 1;
    let EventKind::CallIntended { step, .. } = all[n - 1].what.clone() else { unreachable!() };
    let mut journal = all[..n].to_vec();
    let at = journal[n - 1].at;
    for what in [
        EventKind::CallInDoubt { step: step.clone(), why: "no answer".to_owned() },
        EventKind::UndoFailed { step: step.clone(), reason: "not done within 2m".to_owned() },
    ] {
        journal.push(Event { at, what });
    }
    let east = SiteName::new("east");
    let state = RunState::fold(&journal).unwrap();
    assert!(continued(&state, 1, &east).is_err());
    journal.push(Event { at, what: EventKind::Resumed { who: Person::claimed("alice") } });
    let state = RunState::fold(&journal).unwrap();
    assert!(continued(&state, 1, &east).is_err(), "nobody knows yet what the call did");
    // The run's own claims prove neither the fence nor that the server is kept out.
    let component = ComponentName::new(step.as_str().split('.').nth(1).unwrap());
    let Action::Op(Operation::Fence(fence)) = state.step(state.position(&step).unwrap()).action.clone()
    else {
        unreachable!()
    };
    assert_eq!((state.fenced(&component), state.kept_out(&fence.db)), (None, None));
    assert!(state.unfenced_at(&fence.db).is_some());
}
