//! The ways on from a run that stands still, and what a cancel would do to it.

use drctl::model::authority::{Authority, Operator};
use drctl::model::ids::StepId;
use drctl::model::intent::Intent;
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule};
use drctl::record::action::{Action, Check, Gate, Write};
use drctl::record::event::{Event, EventKind, Outcome};
use drctl::record::runbook::{OnFailure, Phase, Step};
use drctl::run::RunState;
use drctl::run::state::{Mode, Status};

use crate::kinds::planned_moves::moving;
use crate::run::decisions::{
    DONE, after, cancelled, command, component, db, minutes, promote, say, scale, step, under_way,
};
use crate::run::resume::events;
use crate::support::rig::BEGAN;

fn guard() -> Action {
    let (place, holder) = (db("db-east").place, "run".to_owned());
    Action::Write(Write::Guard { component: component(), place, holder, instead_of: None })
}

fn looks() -> Action {
    Action::Check(Check::Evidence { targets: Vec::new() })
}

/// A guard, a scaling that is done, one that has not begun, a check and a fence step of an earlier run.
fn half_way() -> RunState {
    under_way(vec![
        (step("guard", guard()), DONE),
        (step("scale", scale()), DONE),
        (step("later", scale()), Status::Pending),
        (step("looks", looks()), DONE),
        (Step { debt: true, ..step("debt", scale()) }, DONE),
    ])
}

#[test]
fn a_cancel_before_the_point_of_no_return_undoes_what_was_done() {
    let off = half_way().called_off();
    assert_eq!((off.past, off.undone), (None, vec!["guard".to_owned(), "scale".to_owned()]));
    assert!(off.stays.is_empty() && off.guards.is_empty() && !off.grave && !off.users_out);
}

#[test]
fn a_cancel_under_another_holder_undoes_nothing_and_keeps_no_guard() {
    let mut state = half_way();
    state.displaced = true;
    let off = state.called_off();
    assert_eq!(off.past.as_deref(), Some("another run holds the guard"));
    assert!(off.undone.is_empty() && off.guards.is_empty() && off.users_out);
    assert!(off.stays.iter().any(|step| step == "scale"), "{off:?}");
}

#[test]
fn a_cancel_after_a_promotion_keeps_the_guards_and_says_how_users_are() {
    let off = |change: &dyn Fn(&mut RunState)| {
        let mut state = half_way();
        state.promoted.insert(component());
        change(&mut state);
        state.called_off()
    };
    let out = off(&|_| {});
    assert!(out.past.is_some() && out.undone.is_empty() && out.users_out && !out.served);
    assert_eq!(out.guards, ["db"]);
    assert!(
        !off(&|state| state.runbook.intent = Intent::Switchover).users_out,
        "users were served before it"
    );
    let watch = |state: &mut RunState| {
        let wait = Action::Wait { duration_ms: Dur::mins(60), until: None };
        let mut watched =
            under_way(vec![(Step { phase: Phase::Watch, ..step("watch", wait) }, Status::Started)]);
        watched.promoted.insert(component());
        *state = watched;
    };
    let served = off(&watch);
    assert!(served.served && !served.users_out, "they are served again");
    // Who agreed before that is asked again, with words that are true now.
    assert!(served.differs(&out) && !out.differs(&out.clone()));
    assert!(served.words().contains("although users are served and it only watches"), "{}", served.words());
}

/// The call was made, and nobody knows yet what came of it.
#[test]
fn a_cancel_during_a_promotion_says_that_it_was_requested_and_not_that_it_was_done() {
    let awaiting = Status::Awaiting { answered_at: BEGAN, token: None };
    let why = |status: Status| {
        let mut state = under_way(vec![(step("promote", promote()), status)]);
        state.promoted.insert(component());
        state.called_off().past.unwrap()
    };
    for status in [awaiting, Status::InDoubt { since: BEGAN }, Status::Failed] {
        assert_eq!(why(status), "the promotion of db was requested and cannot be withdrawn");
    }
    assert_eq!(why(DONE), "db was promoted and takes writes that the old primary does not have");
}

/// The fence of the old primary came over by replication. Until the run lifts it, no server takes the writes of users.
#[test]
fn a_cancel_between_a_promotion_and_its_admission_says_that_the_run_should_go_on_first() {
    let all = events(&moving(Intent::Switchover, "calm", 1).rehearse().unwrap());
    let after = |step: &str| {
        let ends =
            |e: &Event| matches!(&e.what, EventKind::StepFinished { step: s, .. } if s.as_str() == step);
        let ended = all.iter().position(ends).unwrap_or_else(|| panic!("{step}"));
        RunState::fold(&all[..=ended]).unwrap()
    };
    let mut closed = after("promote.db");
    let off = closed.called_off();
    assert_eq!(off.past.as_deref(), Some("db was promoted, and a promotion cannot be undone"));
    let first = |first: &str| {
        format!("admit.db has not let users write to the new server yet, so {first}; a cancel closes the run")
    };
    assert!(off.words().starts_with(&first("let the run continue first")), "{}", off.words());
    closed.halted = Some("paused".to_owned());
    let words = closed.called_off().words();
    assert!(words.starts_with(&first("resume the run first")), "{words}");
    let off = after("admit.db").called_off();
    let past = off.past.clone().unwrap();
    assert!(past.contains("db was promoted and takes writes that the old primary does not have"), "{past}");
    assert_eq!(off.before, None, "{off:?}");
}

/// A step that failed after a part of its calls may have changed something.
#[test]
fn what_had_a_part_of_its_effect_stays_or_is_undone() {
    let off = |action: Action, status: Status| {
        let mut state = under_way(vec![(step("a", action), status)]);
        state.steps[0].work.parts.accepted = vec![Vec::new()];
        let off = state.called_off();
        (off.undone.len(), off.stays.len(), off.grave)
    };
    assert_eq!(off(promote(), Status::Failed), (0, 1, true));
    assert_eq!(off(scale(), Status::Failed), (1, 0, false));
    // What is in progress ends first, and is undone if anything undoes it.
    assert_eq!(off(scale(), Status::Awaiting { answered_at: BEGAN, token: None }), (1, 0, false));
}

/// The commands up to their options.
fn commands(state: &RunState) -> Vec<String> {
    let verb = |command: &str| {
        let rest = command.strip_prefix("drctl ").unwrap_or(command);
        rest.split(' ').take_while(|word| word.chars().all(char::is_alphabetic)).collect::<Vec<_>>().join(" ")
    };
    state.ways_on().iter().map(|way| verb(&way.command)).collect()
}

#[test]
fn only_a_failed_step_that_halts_the_run_has_ways_around_it() {
    let failed = under_way(vec![(step("a", scale()), Status::Failed)]);
    assert_eq!(
        commands(&failed),
        ["runs resume run", "runs done run a", "runs skip run a", "runs cancel run"]
    );
    let passed_over = Step { on_failure: OnFailure::Continue, ..step("a", scale()) };
    let goes_on = under_way(vec![(passed_over, Status::Failed), (step("b", scale()), Status::Pending)]);
    assert_eq!(commands(&goes_on), ["runs resume run", "runs cancel run"]);
    assert_eq!(goes_on.ways_on()[0].means, "continues the run");
}

#[test]
fn what_was_done_by_hand_is_checked_unless_it_is_a_command() {
    let means =
        |action: Action| under_way(vec![(step("a", action), Status::Failed)]).ways_on()[1].means.clone();
    assert!(means(scale()).contains("which checks the result while steps that do not need it continue"));
    assert!(!means(command(false)).contains("checks"), "{}", means(command(false)));
}

#[test]
fn a_run_that_is_over_or_is_being_undone_has_no_ways_around_a_step() {
    let failed = || under_way(vec![(step("a", scale()), Status::Failed), (step("b", scale()), DONE)]);
    let mut over = failed();
    over.mode = Mode::Finished(Outcome::Abandoned);
    assert!(over.ways_on().is_empty());
    let undoing = cancelled(failed());
    assert_eq!(commands(&undoing), ["runs resume run", "runs cancel run"]);
    assert_eq!(undoing.ways_on()[0].means, "continues to undo the run");
}

/// A resume of a paused undo tries no failed step again.
#[test]
fn a_pause_of_an_undo_changes_nothing_about_the_ways_on() {
    let mut state = under_way(vec![(step("a", scale()), Status::Started), (step("b", scale()), DONE)]);
    let (step, reason) = (StepId::new("a"), "no capacity".to_owned());
    say(&mut state, minutes(1), EventKind::StepFailed { step, reason });
    let mut state = cancelled(state);
    let before = state.ways_on();
    say(&mut state, minutes(2), EventKind::Paused { why: "wait".to_owned() });
    assert_eq!(state.mode, Mode::Paused);
    assert_eq!(state.ways_on(), before);
    assert_eq!(commands(&state), ["runs resume run", "runs cancel run"]);
}

#[test]
fn a_blocked_step_is_answered_and_not_just_resumed() {
    let blocked = |flag: &str| {
        let status = Status::Blocked { why: "w".to_owned(), rule: None, flag: Some(flag.to_owned()) };
        under_way(vec![(step("a", scale()), status)])
    };
    let state = blocked("drctl approve run a");
    let ways: Vec<_> = state.ways_on().into_iter().map(|way| way.command).collect();
    assert_eq!(ways[0], "drctl approve run a");
    assert_eq!(commands(&state), ["approve run a", "runs cancel run"]);
}

/// A named person decides first where people are known; not for a run that is being undone anyway. A skip and a cancel need no decision.
#[test]
fn somebody_decides_before_the_run_is_resumed() {
    let stopped = || {
        let mut state = under_way(vec![(step("a", scale()), Status::Started), (step("b", scale()), DONE)]);
        let ann = Operator { key: String::new(), roles: ["dba".to_owned()].into() };
        state.created.authority = Authority { operators: [("ann".to_owned(), ann)].into() };
        let (step, reason) = (state.step(0).id.clone(), "no capacity".to_owned());
        say(&mut state, minutes(1), EventKind::StepFailed { step, reason });
        state
    };
    let ways = commands(&stopped());
    assert_eq!(ways, ["ack run", "runs resume run", "runs done run a", "runs skip run a", "runs cancel run"]);
    let means = &stopped().ways_on()[0].means;
    assert_eq!(
        means,
        "a named person decides to continue; before a decision, drctl refuses to resume the run"
    );
    // The answers that decide say so, and the others name the decision that is still missing.
    let ways = stopped().ways_on();
    let means = |command: &str| ways.iter().find(|way| way.command.contains(command)).unwrap().means.clone();
    assert!(
        means("runs done")
            .contains("also the decision to continue (fix-forward); then drctl runs resume run")
    );
    let missing = "then drctl ack run --decide fix-forward --reason TEXT; then drctl runs resume run";
    assert!(means("runs skip").contains(missing), "{}", means("runs skip"));
    let mut undoing = stopped();
    undoing.mode = Mode::Cancelling;
    undoing.cancelled_at = Some(minutes(2));
    assert_ne!(commands(&undoing)[0], "ack run");
}

/// The result of a command is what it does, not that it was given.
#[test]
fn the_answer_to_a_blocked_step_says_what_is_accepted_and_what_follows() {
    let means = |action: Action, flag: &str, rule: Option<Rule>| {
        let status = Status::Blocked { why: "w".to_owned(), rule, flag: Some(flag.to_owned()) };
        let next = (after(step("b", scale()), &["a"]), Status::Pending);
        under_way(vec![(step("a", action), status), next]).ways_on()[0].means.clone()
    };
    let bound = "--waive unfenced-promotion:db --accept-data-loss 9m --reason TEXT";
    assert_eq!(
        means(promote(), bound, Some(Rule::UnfencedPromotion)),
        "accepts a loss of up to 9m on your authority, then promotes db"
    );
    assert_eq!(
        means(scale(), "--waive guard-unread:db --reason TEXT", Some(Rule::GuardUnread)),
        "accepts guard-unread:db on your authority, then continues with a"
    );
    // Nothing is promoted by name if the flag names no component.
    assert_eq!(
        means(
            scale(),
            "--waive exposure-above-rpo --accept-data-loss 9m --reason TEXT",
            Some(Rule::ExposureAboveRpo)
        ),
        "accepts exposure-above-rpo on your authority, then continues with a"
    );
    assert_eq!(
        means(scale(), "--reason TEXT", Some(Rule::GuardUnread)),
        "accepts on your authority that a continues"
    );
    let asked = means(command(false), "drctl runs done run a, or drctl runs skip run a", None);
    assert_eq!(asked, "says whether a ran; then drctl runs resume run");
}

fn approval(by: &[&str]) -> Action {
    Action::Gate(Gate::Approval {
        ask: "may we?".to_owned(),
        expires_after_ms: Dur::mins(30),
        by: by.iter().map(|role| (*role).to_owned()).collect(),
        override_by: None,
    })
}

#[test]
fn an_approval_names_the_few_grave_steps_that_follow_and_counts_many() {
    let means = |steps: u32| {
        let flag = Some("drctl approve run go".to_owned());
        let asks = Status::Blocked { why: "w".to_owned(), rule: None, flag };
        let mut all = vec![(step("go", approval(&[])), asks)];
        let next = |n: u32| (after(step(&format!("s{n}"), promote()), &["go"]), Status::Pending);
        all.extend((0..steps).map(next));
        under_way(all).ways_on()[0].means.clone()
    };
    for (steps, follows) in [
        (0, "continues the run"),
        (2, "lets the run continue to s0, s1"),
        (6, "lets the run continue to s0, s1, s2, s3, s4, s5"),
        (7, "lets the run continue to 7 steps, such as s0"),
    ] {
        let who = "for somebody other than ann, with DRCTL_OPERATOR=NAME: ";
        assert_eq!(means(steps), format!("{who}{follows}; then drctl runs resume run"));
    }
}

/// No gate opens in an undo, so an approval or a waiver of it would have no effect.
#[test]
fn an_answer_that_has_no_effect_is_not_offered() {
    let fenced = Action::Gate(Gate::Fenced { component: component() });
    let waiver = "--waive unfenced-promotion:db --accept-data-loss 9m --reason TEXT";
    for (gate, rule, flag) in
        [(approval(&[]), None, "drctl approve run go"), (fenced, Some(Rule::UnfencedPromotion), waiver)]
    {
        let asks = Status::Blocked { why: "w".to_owned(), rule, flag: Some(flag.to_owned()) };
        let next = (after(step("next", promote()), &["go"]), Status::Pending);
        let state = under_way(vec![(step("scale", scale()), DONE), (step("go", gate), asks), next]);
        assert!(state.ways_on()[0].command.contains(flag) && state.asks_now(1).is_some(), "{flag}");
        let mut undoing = cancelled(state);
        say(&mut undoing, minutes(2), EventKind::Paused { why: "wait".to_owned() });
        assert_eq!(commands(&undoing), ["runs resume run", "runs cancel run"], "{flag}");
        assert_eq!(undoing.ways_on()[0].means, "continues to undo the run");
        assert!(undoing.waits_for_people().is_empty() && undoing.asks_now(1).is_none(), "{flag}");
    }
    // Only a person can say whether a command ran, in an undo as well.
    let asks =
        Status::Blocked { why: "w".to_owned(), rule: None, flag: Some("drctl runs done run a".to_owned()) };
    let undoing = cancelled(under_way(vec![(step("a", command(false)), asks)]));
    assert_eq!(commands(&undoing), ["runs done run a", "runs cancel run"]);
}

#[test]
fn a_run_lacks_only_answers_if_nothing_but_a_request_failed() {
    for (asked, called, lacks) in [
        (Status::Failed, Status::Pending, true),
        (Status::Failed, Status::Failed, false),
        (Status::Started, Status::Failed, false),
        (Status::Started, Status::Pending, false),
    ] {
        let words = format!("{asked:?} {called:?}");
        let state = under_way(vec![(step("go", approval(&[])), asked), (step("a", scale()), called)]);
        assert_eq!(state.lacks_only_answers(), lacks, "{words}");
    }
}

#[test]
fn a_run_waits_for_the_roles_that_are_missing_or_for_anybody() {
    let whom = |action: Action| {
        under_way(vec![(step("a", action), Status::Started)]).waits_for_whom(&StepId::new("a"))
    };
    assert_eq!(whom(approval(&["dba", "cto"])), "WAITS FOR dba, cto");
    assert_eq!(whom(command(false)), "WAITS FOR A PERSON: a");
}

/// The request was made again by the answers to it, and no process has asked since.
#[test]
fn an_answered_request_waits_for_a_process_only_while_the_run_can_continue_with_it() {
    let waits = |needed: Status, asked: Status, change: &dyn Fn(&mut RunState)| {
        let mut state = under_way(vec![
            (step("needed", scale()), needed),
            (after(step("go", approval(&[])), &["needed"]), asked),
            (step("beside", scale()), Status::Pending),
        ]);
        state.steps[1].approved_by = vec![Person::claimed("bob")];
        change(&mut state);
        state.asks_now(1).is_some_and(|waits| waits.answered)
    };
    assert!(waits(DONE, Status::Started, &|_| {}) && waits(DONE, Status::Pending, &|_| {}));
    assert!(!waits(DONE, DONE, &|_| {}), "it is no longer open");
    assert!(!waits(Status::Started, Status::Pending, &|_| {}), "another step comes first");
    assert!(!waits(DONE, Status::Started, &|state| state.closing = true), "the run is being closed");
    let fails = |state: &mut RunState| state.steps[2].work.status = Status::Failed;
    assert!(!waits(DONE, Status::Started, &fails), "another step stopped the run");
    let over = |state: &mut RunState| state.mode = Mode::Finished(Outcome::Abandoned);
    assert!(!waits(DONE, Status::Started, &over), "the run is over");
}

/// Whoever watches a run from another terminal has no key that stops it.
#[test]
fn the_line_about_a_pause_names_what_it_waits_for_and_no_key() {
    use drctl::cli::formats::Format;
    use drctl::cli::printer::Printer;
    let mut state =
        under_way(vec![(step("scale", scale()), Status::Awaiting { answered_at: BEGAN, token: None })]);
    let event = drctl::record::event::Event {
        at: minutes(1),
        what: EventKind::Paused { why: "requested".to_owned() },
    };
    state.apply(&event).unwrap();
    let words = drctl::cli::progress::words(&Printer::new(Format::Human), &event, &state).unwrap();
    assert_eq!(words, "paused: requested; stops after scale");
    // The screen of the run says the same while a process drives it.
    let shown = |driven| drctl::cli::commands::outcome::pausing(&state, driven);
    assert_eq!(shown(true).as_deref(), Some("no new step starts; stops after scale"));
    assert_eq!(shown(false), None);
}

/// A rebuild continues for a long time without drctl, so a run that stops does not wait for it.
#[test]
fn a_pause_does_not_wait_for_what_goes_on_without_drctl() {
    let all = events(&moving(Intent::Switchover, "calm", 1).rehearse().unwrap());
    let alone = |state: &RunState| (0..state.steps.len()).any(|i| state.goes_on_alone(i));
    let mut states = (1..=all.len()).map(|n| RunState::fold(&all[..n]).unwrap());
    let mut state = states.find(alone).unwrap();
    let what = EventKind::Paused { why: "requested".to_owned() };
    state.apply(&drctl::record::event::Event { at: state.last_at, what }).unwrap();
    let words = drctl::cli::progress::stops_after(&state);
    assert!(words.contains("; does not wait for rejoin."), "{words}");
    assert!(!words.split("; does not wait").next().unwrap().contains("rejoin."), "{words}");
}
