//! What people may tell a run, and how far a batch of record sets is moved and undone: both sides of each condition.

use drctl::kinds::shared::names::{Answers, RecordChange, RecordSet, RecordsState, Switch};
use drctl::kinds::shared::restart::Restart;
use drctl::kinds::{Group, Op, Operation, Parts, State};
use drctl::model::authority::{Authority, Operator};
use drctl::model::ids::{ComponentName, StepId};
use drctl::model::properties::Moves;
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::record::action::{Action, Check, Gate};
use drctl::record::event::{Direction, EventKind, Signal};
use drctl::run::model::calls::PartCalls;
use drctl::run::parts::{self, Next};
use drctl::run::state::{Status, Work};
use drctl::run::{RunState, signal};

use crate::run::decisions::{
    DONE, after, cancelled, change, component, minutes, object, over, promote, records, route, run, say,
    scale, set, step, switch, told, under_way, words,
};
use crate::support::rig::{BEGAN, Rig, cancel, plan};
use crate::support::shop::shop;

fn answer(state: &RunState, said: Signal) -> String {
    words(&signal::take(state, said, Person::claimed("sam"), minutes(1)))
}

fn skip(state: &RunState, id: &str) -> String {
    answer(state, Signal::Skip { step: StepId::new(id), reason: "r".to_owned() })
}

#[test]
fn only_a_fence_that_is_owed_is_settled_by_a_word() {
    for (owes, own) in
        [(None, "signal_refused"), (Some(true), "signal_refused"), (Some(false), "debt_settled")]
    {
        assert_eq!(skip(&over(owes), "own"), own, "{owes:?}");
        assert_eq!(skip(&over(owes), "earlier"), "signal_refused", "{owes:?}: it is another server");
    }
}

/// Both the process that drives the run and the command line refuse it.
#[test]
fn a_waiver_for_less_than_is_known_to_be_lost_is_refused() {
    let state = Rig::new(plan(&shop("")), "replica-lagging", 1).rehearse().unwrap().ended.state;
    let component = state.runbook.stores[0].clone();
    let bound = state.exposure(&component).unwrap().logged_at(state.last_at).value_ms.unwrap();
    let accept = |rule: Rule, of: Option<ComponentName>, loss: Dur| {
        let who = Person::claimed("sam");
        let waiver = Waiver { rule, component: of, accept_loss_ms: Some(loss), reason: "r".to_owned(), who };
        let said = Signal::Waive { waiver };
        match signal::take(&state, said, Person::claimed("sam"), state.last_at).as_slice() {
            [EventKind::SignalRefused { reason, .. }] => reason.clone(),
            [EventKind::Waived { .. }] => String::new(),
            other => panic!("{other:?}"),
        }
    };
    for rule in [Rule::ExposureAboveRpo, Rule::UnfencedPromotion] {
        let refused = accept(rule, Some(component.clone()), Dur(bound.millis() - 1));
        assert!(
            refused.contains("is less than the bound of") && refused.contains("runs resume"),
            "{refused}"
        );
        assert_eq!(accept(rule, Some(component.clone()), bound), "");
    }
    assert_eq!(
        accept(Rule::ExposureUnknown, Some(component.clone()), Dur(1)),
        "",
        "no figure is known of that"
    );
    assert_eq!(accept(Rule::ExposureAboveRpo, Some("other".into()), Dur(1)), "");
}

#[test]
fn a_second_cancel_closes_only_what_is_stuck() {
    let (failed, awaiting) = (Status::Failed, Status::Awaiting { answered_at: BEGAN, token: None });
    for (a, b, follows) in [
        (None, None, "cancel_requested"),
        (Some(DONE), None, "cancel_requested"),
        (Some(failed.clone()), Some(awaiting), "cancel_requested"),
        (Some(failed.clone()), None, "run_finished"),
        (Some(failed), Some(DONE), "run_finished"),
    ] {
        let context = format!("{a:?}, {b:?}");
        let mut state = cancelled(under_way(["a", "b"].map(|id| (step(id, scale()), DONE)).into()));
        for (at, undo) in state.steps.iter_mut().zip([a, b]) {
            at.undo = undo.map(|status| Work { status, ..Work::new() });
        }
        assert_eq!(answer(&state, cancel(None)), follows, "{context}");
    }
    let steps = vec![(step("a", scale()), DONE), (step("promote", promote()), DONE)];
    let mut past = cancelled(under_way(steps));
    past.promoted.insert(component());
    assert_eq!(answer(&past, cancel(None)), "run_finished");
    past.steps[0].work.status = Status::Calling;
    assert_eq!(answer(&past, cancel(None)), "cancel_requested");
}

#[test]
fn what_shows_that_users_are_served_is_never_left_out() {
    let check = |names| Action::Op(Operation::CheckAnswers(Answers { names, resolvers_ttl_ms: None }));
    let probe = Check::Probe { probe: "public".into(), site: None, consecutive: 3 };
    let pending = [
        (step("verify", check(Vec::new())), "signal_refused"),
        (step("confirm", check(Vec::new())), "step_skipped confirm"),
        (step("scale", scale()), "step_skipped scale"),
        (after(step("switch", switch()), &["verify", "scale"]), "signal_refused"),
        (step("object", object()), "signal_refused"),
        (step("route", route()), "signal_refused"),
        (step("probe", Action::Check(probe)), "signal_refused"),
    ];
    let state = under_way(pending.iter().map(|(s, _)| (s.clone(), Status::Pending)).collect());
    for (of, follows) in pending {
        assert_eq!(skip(&state, of.id.as_str()), follows, "{}", of.id);
    }
    for status in [DONE, Status::Skipped, Status::InDoubt { since: BEGAN }] {
        let context = format!("{status:?}");
        let state = under_way(vec![(step("scale", scale()), status)]);
        assert_eq!(skip(&state, "scale"), "signal_refused", "{context}");
    }
}

/// A person who can skip a step is told the consequence. For a step that nobody may skip, no consequence is shown.
#[test]
fn only_a_step_that_may_be_skipped_says_what_follows_without_it() {
    let runs = ["region-lost", "chaos"].map(|name| Rig::new(plan(&shop("")), name, 1).rehearse().unwrap());
    let actions = runs.iter().flat_map(|run| &run.ended.state.runbook.steps).map(|s| s.action.clone());
    let more = [scale(), switch(), object(), route(), promote()];
    for action in actions.chain(more) {
        let properties = action.properties();
        let probe = matches!(action, Action::Check(Check::Probe { .. }));
        let never = properties.safety || properties.moves == Moves::ByName || probe;
        assert_eq!(action.left_out().is_none(), never, "{action}");
    }
}

/// There is no cause to correct: somebody has to answer in time.
#[test]
fn an_approval_that_expired_is_asked_for_again() {
    let ways = |action: Action| {
        let mut state = under_way(vec![(step("approve.look", action), Status::Failed)]);
        state.halted = Some("nobody approved".to_owned());
        let means = state.ways_on().into_iter().map(|way| way.means).collect::<Vec<_>>().join("\n");
        (means.contains("asks for the approval again; an approver then runs drctl approve"), means)
    };
    let (ask, expires_after_ms) = ("may we?".to_owned(), Dur::mins(30));
    let gate = Gate::Approval { ask, expires_after_ms, by: Vec::new(), override_by: None };
    for (action, asked) in [(Action::Gate(gate), true), (scale(), false)] {
        let (found, means) = ways(action);
        assert_eq!(found, asked, "{means}");
        assert_ne!(means.contains("tries approve.look again; correct the cause first"), asked, "{means}");
    }
}

#[test]
fn what_is_over_is_not_done_by_hand_and_what_failed_goes_on() {
    for (status, follows) in [
        (DONE, "signal_refused"),
        (Status::Skipped, "signal_refused"),
        (Status::Failed, "claimed_done a, resumed"),
        (Status::Started, "claimed_done a"),
        (Status::Pending, "claimed_done a"),
    ] {
        let context = format!("{status:?}");
        let state = under_way(vec![(step("a", scale()), status)]);
        assert_eq!(answer(&state, Signal::Done { step: StepId::new("a") }), follows, "{context}");
    }
}

#[test]
fn stopping_is_everybodys() {
    let mut state = run(Vec::new());
    let ann = Operator { key: "ssh-ed25519 A".to_owned(), roles: ["dba".to_owned()].into() };
    state.created.authority = Authority { operators: [("ann".to_owned(), ann)].into() };
    assert!(!signal::vouches(&state, &Signal::Pause));
    assert_eq!(answer(&state, Signal::Pause), "paused");
    assert_eq!(answer(&state, cancel(None)), "signal_refused");
}

/// The state of the record sets of a step's switch, if these sets exist.
fn find(state: &RunState, switch: &Switch, there: &[RecordSet]) -> Parts {
    let seen = State::Records(RecordsState { sets: there.to_vec() });
    switch.parts(&seen, &|change| parts::in_scope(state, 0, change)).unwrap()
}

fn names(groups: &[Group]) -> Vec<&str> {
    groups.iter().map(|g| g.name.as_str()).collect()
}

/// A value that somebody else set instead of the run's stays.
#[test]
fn a_switch_is_taken_back_as_far_as_it_was_called_and_no_further() {
    let touched = |parts: &PartCalls| [0, 1, 2].map(|change| parts.touched(change));
    let half = PartCalls { accepted: vec![vec![1]], doubted: vec![vec![2]], ..PartCalls::new() };
    assert_eq!(touched(&PartCalls::new()), [false; 3]);
    assert_eq!(touched(&half), [false, true, true]);
    assert_eq!(touched(&PartCalls { accepted: vec![Vec::new()], ..PartCalls::new() }), [true; 3]);

    let both = records(["api", "www"].map(|n| change(n, (60, "192.0.2.1"), (60, "198.51.100.1"))).into());
    let found = |state: &RunState| {
        let found = find(state, &both, &both.sets_after());
        names(&found.done).join(", ")
    };
    let mut state =
        under_way(vec![(step("switch", Action::Op(Operation::Switch(both.clone()))), Status::Failed)]);
    state.steps[0].work.parts = PartCalls { accepted: vec![vec![1]], ..PartCalls::new() };
    assert_eq!(found(&state), "api A, www A");
    let mut state = cancelled(state);
    assert_eq!(found(&state), "www A");
    state.steps[0].undo = Some(Work { status: Status::Started, ..Work::new() });
    assert_eq!(found(&state), "www A");
    state.steps[0].work.status = DONE;
    assert_eq!(found(&state), "www A", "what was found done is not this run's to take back");
    state.steps[0].work.parts = PartCalls::new();
    assert_eq!(found(&state), "api A, www A");
}

#[test]
fn a_name_that_is_new_is_created_unless_exactly_that_set_is_there() {
    let new = set("www", "A", Some("east"), 60, "198.51.100.1");
    let creates = records(vec![RecordChange::seen(None, Some(new.clone()))]);
    let state =
        under_way(vec![(step("switch", Action::Op(Operation::Switch(creates.clone()))), Status::Started)]);
    for (there, counts) in [
        (None, [0, 1, 0]),
        (Some(new), [1, 0, 0]),
        (Some(set("www", "A", Some("east"), 60, "203.0.113.1")), [0, 0, 1]),
        (Some(set("api", "A", Some("east"), 60, "203.0.113.1")), [0, 1, 0]),
        (Some(set("www", "AAAA", Some("east"), 60, "2001:db8::1")), [0, 1, 0]),
        (Some(set("www", "A", Some("west"), 60, "192.0.2.1")), [0, 1, 0]),
        (Some(set("api", "AAAA", Some("east"), 60, "2001:db8::1")), [0, 1, 0]),
    ] {
        let Parts { done, ready, foreign, .. } = find(&state, &creates, there.as_slice());
        assert_eq!([done.len(), ready.len(), foreign.len()], counts, "{there:?}");
    }
}

#[test]
fn what_is_not_suspect_moves_in_one_call() {
    let group = |n: u32| Group { name: format!("n{n}"), changes: vec![n], ..Group::default() };
    let of = |ready: u32, foreign: u32| Parts {
        ready: (0..ready).map(group).collect(),
        foreign: (ready..ready + foreign).map(group).collect(),
        ..Parts::default()
    };
    let no = |parts: &[&[u32]]| parts.iter().map(|p| (p.to_vec(), "no".to_owned())).collect::<Vec<_>>();
    // A change by somebody else explains why the whole batch was rejected, so nothing else is suspected.
    assert_eq!(parts::next(&of(2, 1), &no(&[&[]])), Next::Call(vec![0, 1]));
    assert_eq!(parts::next(&of(4, 1), &no(&[&[]])), Next::Call(vec![0, 1, 2, 3]));
    // A set that has its new value already was in the rejected batch, so it is unknown which of the two caused the rejection.
    let half_done = Parts { done: of(1, 0).ready, ready: of(2, 0).ready.split_off(1), ..Parts::default() };
    assert_eq!(parts::next(&half_done, &no(&[&[]])), Next::Call(vec![1]));
    // Nor is the last one suspected if somebody changed the other.
    assert_eq!(parts::next(&of(1, 1), &no(&[&[]])), Next::Call(vec![0]));
    // A rejected half clears the other half.
    assert_eq!(parts::next(&of(4, 0), &no(&[&[], &[0, 1]])), Next::Call(vec![2, 3]));
    let named = [("www A".to_owned(), "no such zone".to_owned())];
    let words = parts::failure(&named, 3);
    assert!(words.starts_with("1 of 3 names were not switched: www A (no such zone);"), "{words}");
}

/// A call whose answer was lost may still take effect, whatever happened to the step since.
#[test]
fn a_step_that_is_tried_again_forgets_nothing_of_its_calls() {
    let called = Work {
        status: Status::Failed,
        attempts: 3,
        generation: 2,
        key: "key".to_owned(),
        restart: Restart { accepted: Some(BEGAN) },
        doubt: Some(BEGAN),
        lost_at: Some(BEGAN),
        started_at: Some(BEGAN),
        ended_at: Some(BEGAN),
        reason: Some("not done in time".to_owned()),
        ..Work::new()
    };
    let expected =
        Work { status: Status::Pending, started_at: None, ended_at: None, reason: None, ..called.clone() };
    assert_eq!(called.again(), expected);
}

#[test]
fn what_is_taken_back_late_has_its_whole_time_from_its_first_call() {
    let mut state = cancelled(under_way(vec![(step("a", scale()), DONE)]));
    let (step, key) = (StepId::new("a"), "key".to_owned());
    let (direction, part) = (Direction::Undo, Vec::new());
    let intended = EventKind::CallIntended {
        step: step.clone(),
        direction,
        attempt: 1,
        generation: 1,
        key,
        part,
        found: None,
    };
    say(&mut state, minutes(4), intended);
    say(&mut state, minutes(4), EventKind::CallAnswered { step, token: None });
    assert_eq!(told(&state, minutes(5)), "look a, wake 9m");
    assert_eq!(told(&state, minutes(9)), "expire a");
}

/// Where no component holds writes, nobody can accept a loss of them.
#[test]
fn a_waiver_that_cannot_apply_is_no_accepted_risk() {
    let folder = crate::cli::contract::Folder::with_plans();
    let loss = ["--waive", "unfenced-promotion", "--accept-data-loss", "5m", "--reason", "habit"];
    let to = ["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"];
    let (code, _, err) = folder.run(&[&to[..], &loss].concat());
    assert!(code == 0 && err.contains("--waive unfenced-promotion has no effect"), "{code}: {err}");
    let report = ["report", "compliance", "--sandbox", "--format", "json"];
    let report = crate::cli::contract::json(&folder.ok(&report));
    assert_eq!(report["totals"]["waivers"], 0, "{:#}", report["runs"]);
    let unused = "the waiver of unfenced-promotion by ";
    let found = report["findings"].as_array().unwrap().iter().filter_map(|f| f["text"].as_str());
    let found: Vec<_> = found.filter(|text| text.contains("unfenced-promotion")).collect();
    assert!(found.len() == 1 && found[0].starts_with(unused), "{found:?}");
    let shown = folder.ok(&["report", "run", "sandbox-starter-failover-s1-1", "--sandbox"]);
    assert!(shown.contains("had no effect: no component of this run holds writes"), "{shown}");
}

/// Nobody accepts a risk in a drill in which nothing runs. The waiver only lets it show the runbook.
#[test]
fn a_waiver_of_a_tabletop_drill_is_no_accepted_risk() {
    let folder = crate::cli::contract::Folder::with_plans();
    let loss = ["--waive", "unfenced-promotion:db", "--accept-data-loss", "5m", "--reason", "practice"];
    folder.run(&[&["drill", "truststream", "--mode", "tabletop", "--sandbox"][..], &loss].concat());
    let report = ["report", "compliance", "--sandbox", "--format", "json"];
    let report = crate::cli::contract::json(&folder.ok(&report));
    assert_eq!(report["totals"]["waivers"], 0, "{:#}", report["runs"]);
    let unused = &report["runs"][0]["unused_waivers"];
    let unused: Vec<_> = unused.as_array().unwrap().iter().filter_map(|u| u.as_str()).collect();
    assert!(unused.len() == 1 && unused[0].contains("a tabletop drill changes nothing"), "{unused:?}");
    let findings = report["findings"].as_array().unwrap().iter().filter_map(|f| f["text"].as_str());
    let accepted = findings.filter(|text| text.starts_with("accepted: ")).count();
    assert_eq!(accepted, 0, "{:#}", report["findings"]);
}
