//! What drctl assumes about calls whose result is unknown: a batch that was split, event by event.

use drctl::inventory::Observation;
use drctl::kinds::aws::autoscaling::{GroupState, Scale};
use drctl::kinds::control::GuardState;
use drctl::kinds::shared::capacity::{Capacity, Size};
use drctl::kinds::shared::names::{RecordsState, Switch};
use drctl::kinds::{Operation, State, Target};
use drctl::model::again::Again;
use drctl::model::ids::StepId;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule};
use drctl::record::action::{Action, Check, Write};
use drctl::record::event::{Direction, End, Event, EventKind, Outcome};
use drctl::run::outcome::{CallOutcome, after_call};
use drctl::run::state::{Mode, Status};
use drctl::run::{Effect, RunState, StepDecision, StepObservation, decide, judge};

use crate::run::cancel::stateless;
use crate::run::judged_steps::refused;
use crate::run::resume::events;
use crate::support::rig::{Rig, truststream};

/// A run whose step that switches `www` (change 0) and `api` (changes 1 and 2, one name) has just started.
struct Story {
    state: RunState,
    at: Timestamp,
    step: usize,
}

const API: &[u32] = &[1, 2];
const WWW: &[u32] = &[0];

impl Story {
    fn new() -> Self {
        let story = Self::at(|a| matches!(a, Action::Op(Operation::Switch(_))));
        let names: Vec<_> =
            story.switch().changes.iter().map(|c| c.before.as_ref().unwrap().name.clone()).collect();
        assert_eq!(names, ["www.example", "api.example", "api.example"]);
        story
    }

    /// The scaling step has just started.
    fn scaling() -> Self {
        Self::at(|a| matches!(a, Action::Op(Operation::Scale(_))))
    }

    fn at(is_it: impl Fn(&Action) -> bool) -> Self {
        let whole = Rig::new(stateless(), "region-lost", 1).rehearse().unwrap();
        let all = events(&whole);
        let state = RunState::fold(&all).unwrap();
        let step = (0..state.steps.len()).find(|&i| is_it(&state.step(i).action)).unwrap();
        let id = state.step(step).id.clone();
        let starts = |e: &Event| matches!(&e.what, EventKind::StepStarted { step } if *step == id);
        let began = all.iter().position(starts).unwrap();
        let state = RunState::fold(&all[..=began]).unwrap();
        Self { at: state.last_at, state, step }
    }

    fn switch(&self) -> Switch {
        let Action::Op(Operation::Switch(switch)) = &self.state.step(self.step).action else {
            panic!("it scales")
        };
        switch.clone()
    }

    fn scale(&mut self) -> &mut Scale {
        let Action::Op(Operation::Scale(scale)) = &mut self.state.runbook.steps[self.step].action else {
            panic!("it switches")
        };
        scale
    }

    fn id(&self) -> StepId {
        self.state.step(self.step).id.clone()
    }

    fn status(&self) -> &Status {
        &self.state.work(self.step).status
    }

    fn later(&mut self, by: Dur) {
        self.at = self.at + by;
    }

    fn say(&mut self, what: EventKind) {
        self.later(Dur::secs(1));
        let event = Event { at: self.at, what };
        self.state.apply(&event).unwrap_or_else(|e| panic!("{e}: {event:?}"));
    }

    fn person(&mut self, what: impl Fn(Person) -> EventKind) {
        self.say(what(Person::claimed("alice")));
    }

    fn cancel(&mut self) {
        self.person(|who| EventKind::CancelRequested {
            who,
            reason: "not now".to_owned(),
            displaced_by: None,
        });
    }

    /// Another process resumes the run after a while.
    fn resume(&mut self, after: Dur) {
        self.later(after);
        self.say(EventKind::EpochTaken { epoch: self.state.epoch + 1, owner: "test".to_owned() });
        self.person(|who| EventKind::Resumed { who });
    }

    /// The decision after an observation in which exactly these changes are made.
    fn look(&self, made: &[&[u32]]) -> StepDecision {
        let switch = self.switch();
        let made: Vec<u32> = made.concat();
        let set = |(c, i): (&drctl::kinds::shared::names::RecordChange, u32)| match made.contains(&i) {
            true => c.after.clone(),
            false => c.before.clone(),
        };
        let sets = switch.changes.iter().zip(0..).filter_map(set).collect();
        let target = Target::Records { zone: switch.zone.clone(), names: switch.names() };
        self.judged(target, State::Records(RecordsState { sets }))
    }

    fn judged(&self, target: Target, state: State) -> StepDecision {
        let value = |state| Observation::Value { state, observed_at: self.at, source: "test".to_owned() };
        let mut things = vec![(target, value(state))];
        // If the run holds a guard, it is read as well.
        things.extend(self.state.guard_of(self.step).map(|guard| {
            let held = GuardState { holder: Some(guard.holder) };
            (guard.target, value(State::Guard(held)))
        }));
        judge(&self.state, self.step, &StepObservation::Things(things), self.at)
    }

    /// The decision after observing a group with this size and so many instances, without suspended processes.
    fn group(&mut self, size: Size, in_service: u32) -> StepDecision {
        let target = Target::Group(self.scale().group.clone());
        self.judged(
            target,
            State::Group(GroupState {
                capacity: Capacity { size, in_service, last_failure: None },
                ..GroupState::default()
            }),
        )
    }

    /// Records a decision.
    fn follow(&mut self, ruling: StepDecision) -> EventKind {
        let (StepDecision::Record(what) | StepDecision::Perform(what)) = ruling else { panic!("{ruling:?}") };
        self.say(what.clone());
        what
    }

    /// Observes, and makes the call that follows. Returns its direction and its part; an empty part means everything.
    fn call(&mut self, made: &[&[u32]]) -> (Direction, Vec<u32>) {
        let StepDecision::Perform(what) = self.look(made) else { panic!("no call: {:?}", self.look(made)) };
        let EventKind::CallIntended { direction, part, .. } = what.clone() else { panic!("{what:?}") };
        self.say(what);
        (direction, part)
    }

    /// Observes, and records the decision.
    fn see(&mut self, made: &[&[u32]]) -> EventKind {
        let StepDecision::Record(what) = self.look(made) else { panic!("no event: {:?}", self.look(made)) };
        self.say(what.clone());
        what
    }

    fn answered(&mut self, outcome: CallOutcome) {
        for what in after_call(&self.state, self.step, outcome, self.at, 0) {
            self.say(what);
        }
    }

    fn refused(&mut self) {
        let (code, why) = ("InvalidChangeBatch".to_owned(), "no".to_owned());
        self.answered(CallOutcome::Refused { code, why, again: Again::InParts });
    }

    fn throttled(&mut self) {
        let (code, why) = ("Throttling".to_owned(), "slow down".to_owned());
        self.answered(CallOutcome::Refused { code, why, again: Again::Later });
    }

    fn unanswered(&mut self) {
        self.answered(CallOutcome::InDoubt { why: "timeout".to_owned() });
    }

    fn accepted(&mut self) {
        self.answered(CallOutcome::Accepted { token: None });
    }

    /// The whole batch was rejected, and then the half with `api` was called.
    fn apart() -> Self {
        let mut story = Self::new();
        assert_eq!(story.call(&[]), (Direction::Do, vec![]));
        story.refused();
        assert_eq!(story.call(&[]), (Direction::Do, API.to_vec()));
        story
    }
}

#[test]
fn a_part_that_timed_out_and_took_is_settled_after_a_resume() {
    let mut story = Story::apart();
    story.accepted();
    story.say(EventKind::StepFailed { step: story.id(), reason: "not done within 5m".to_owned() });
    story.resume(Dur::mins(5));
    story.say(EventKind::StepStarted { step: story.id() });
    assert_eq!(story.see(&[API]), EventKind::PartSettled { step: story.id() });
    assert_eq!(story.call(&[API]), (Direction::Do, WWW.to_vec()));
    story.accepted();
    assert_eq!(
        story.see(&[API, WWW]),
        EventKind::StepFinished {
            step: story.id(),
            end: End::Performed,
            facts: vec![drctl::kinds::Fact::Switched { change: None, old_ttl_ms: Dur::secs(60) }],
        }
    );
}

#[test]
fn a_part_in_doubt_is_settled_before_it_is_taken_back_and_nothing_else_is() {
    let mut story = Story::apart();
    story.unanswered();
    story.cancel();
    // For a while, the absence of the effect proves nothing, and no call is repeated.
    assert!(matches!(story.look(&[]), StepDecision::Keep(_)), "{:?}", story.look(&[]));
    assert_eq!(story.see(&[API]), EventKind::PartSettled { step: story.id() });
    assert_eq!(*story.status(), Status::Started);
    story.later(Dur::mins(1));
    assert_eq!(story.call(&[API]), (Direction::Undo, API.to_vec()));
    story.accepted();
    assert_eq!(story.see(&[]), EventKind::StepUndone { step: story.id() });
}

#[test]
fn a_part_that_never_came_to_be_is_disproved_and_there_is_nothing_to_take_back() {
    let mut story = Story::apart();
    story.unanswered();
    story.cancel();
    story.later(Dur::mins(1));
    assert!(matches!(story.see(&[]), EventKind::EffectDisproved { .. }));
    assert_eq!(story.see(&[]), EventKind::StepUndone { step: story.id() });
}

#[test]
fn what_an_earlier_try_changed_is_taken_back_by_a_cancel_after_the_next() {
    let mut story = Story::apart();
    story.accepted();
    assert_eq!(story.see(&[API]), EventKind::PartSettled { step: story.id() });
    assert_eq!(story.call(&[API]), (Direction::Do, WWW.to_vec()));
    story.refused();
    assert!(matches!(story.see(&[API]), EventKind::StepFailed { .. }));
    story.resume(Dur::mins(1));
    story.say(EventKind::StepStarted { step: story.id() });
    // What was rejected is tried again, because somebody may have fixed the cause.
    assert_eq!(story.call(&[API]), (Direction::Do, WWW.to_vec()));
    story.refused();
    story.cancel();
    assert_eq!(story.call(&[API]), (Direction::Undo, API.to_vec()));
    story.accepted();
    assert_eq!(story.see(&[]), EventKind::StepUndone { step: story.id() });
}

#[test]
fn a_cancel_while_a_throttled_call_waits_makes_no_forward_call() {
    let mut story = Story::new();
    story.call(&[]);
    story.throttled();
    assert!(matches!(story.status(), Status::Backoff { .. }));
    story.cancel();
    story.later(Dur::mins(1));
    assert_eq!(story.see(&[]), EventKind::StepUndone { step: story.id() });
}

#[test]
fn an_undo_that_failed_is_tried_again_by_the_next_cancel() {
    let mut story = Story::apart();
    story.accepted();
    story.see(&[API]);
    story.cancel();
    assert_eq!(story.call(&[API]), (Direction::Undo, API.to_vec()));
    let (code, why) = ("AccessDenied".to_owned(), "no".to_owned());
    story.answered(CallOutcome::Refused { code, why, again: Again::Never });
    let stuck = decide(&story.state, story.at);
    assert!(!stuck.contains(&Effect::Look(story.step)), "{stuck:?}");
    story.cancel();
    assert_eq!(story.call(&[API]), (Direction::Undo, API.to_vec()));
}

#[test]
fn time_in_which_nobody_drove_the_run_expires_nothing() {
    let mut story = Story::new();
    let expires = |s: &Story| decide(&s.state, s.at).contains(&Effect::Expire(s.step));
    story.later(Dur::mins(60));
    assert!(expires(&story), "a step has a deadline");
    story.say(EventKind::EpochTaken { epoch: 9, owner: "test".to_owned() });
    assert!(!expires(&story), "it was taken this second");
    story.later(Dur::mins(60));
    assert!(expires(&story), "the new owner has a deadline too");
}

#[test]
fn each_part_has_a_deadline_of_its_own() {
    let mut story = Story::apart();
    story.accepted();
    story.later(Dur::mins(60));
    story.see(&[API]);
    assert!(!decide(&story.state, story.at).contains(&Effect::Expire(story.step)));
}

#[test]
fn credentials_that_were_renewed_are_tried_before_anybody_is_asked_again() {
    let mut story = Story::new();
    let why = "waiting for credentials".to_owned();
    story.say(EventKind::GateBlocked { step: story.id(), rule: None, why, flag: None });
    let stops = |s: &Story| decide(&s.state, s.at).iter().any(|e| matches!(e, Effect::Stop(_)));
    assert!(stops(&story));
    story.resume(Dur::mins(60));
    assert_eq!(*story.status(), Status::Started);
    assert!(!stops(&story));
    assert_eq!(story.call(&[]), (Direction::Do, vec![]));
}

#[test]
fn a_run_that_is_over_stays_over() {
    let mut story = Story::new();
    story.cancel();
    story.say(EventKind::RunFinished { outcome: Outcome::Cancelled });
    let late = Event { at: story.at, what: EventKind::RunFinished { outcome: Outcome::Recovered } };
    story.state.apply(&late).unwrap_err();
    assert_eq!(story.state.mode, Mode::Finished(Outcome::Cancelled));
}

fn undone(story: &Story) -> StepDecision {
    StepDecision::Record(EventKind::StepUndone { step: story.id() })
}

fn takes_back(ruling: &StepDecision) -> bool {
    matches!(ruling, StepDecision::Perform(EventKind::CallIntended { direction: Direction::Undo, .. }))
}

#[test]
fn a_refusal_says_nothing_about_the_call_before_it() {
    let mut story = Story::scaling();
    let (from, to) = (story.scale().from, story.scale().to);
    let first = story.group(from, 0);
    story.follow(first);
    story.unanswered();
    let again = story.group(from, 0);
    story.follow(again);
    story.throttled();
    story.cancel();
    assert!(matches!(story.group(from, 0), StepDecision::Keep(_)), "the first call may still come to be");
    story.later(Dur::secs(20));
    assert!(takes_back(&story.group(to, 0)));
    assert_eq!(story.group(from, 0), undone(&story));
}

#[test]
fn a_part_in_doubt_is_taken_back_however_its_step_ended() {
    let mut failed = Story::apart();
    failed.unanswered();
    failed.say(EventKind::StepFailed { step: failed.id(), reason: "access denied".to_owned() });
    let mut blocked = Story::apart();
    blocked.unanswered();
    let why = "credentials".to_owned();
    blocked.say(EventKind::GateBlocked { step: blocked.id(), rule: None, why, flag: None });
    let mut late = Story::new();
    late.call(&[]);
    late.unanswered();
    late.later(Dur::secs(6));
    assert!(matches!(late.see(&[]), EventKind::EffectDisproved { .. }));
    late.call(&[]);
    for (mut story, part, there) in [
        (failed, API.to_vec(), vec![API]),
        (blocked, API.to_vec(), vec![API]),
        (late, vec![], vec![API, WWW]),
    ] {
        story.cancel();
        if *story.status() == Status::Calling {
            // Because the first call took effect after all.
            story.refused();
        }
        story.later(Dur::mins(1));
        assert_eq!(story.call(&there), (Direction::Undo, part));
    }
}

#[test]
fn what_a_person_did_after_a_refusal_is_the_persons() {
    let mut story = Story::scaling();
    let (from, to) = (story.scale().from, story.scale().to);
    let first = story.group(from, 0);
    story.follow(first);
    story.throttled();
    story.cancel();
    let looks = decide(&story.state, story.at);
    assert!(!looks.contains(&Effect::Look(story.step)), "{looks:?}");

    let mut story = Story::scaling();
    let first = story.group(from, 0);
    story.follow(first);
    story.throttled();
    let finished = story.group(to, to.desired);
    assert!(
        matches!(finished, StepDecision::Record(EventKind::StepFinished { end: End::Noop, .. })),
        "{finished:?}"
    );
}

#[test]
fn processes_that_were_resumed_are_suspended_again_though_the_size_was_never_set() {
    let mut story = Story::scaling();
    let from = story.scale().from;
    story.scale().resume = ["Launch".to_owned()].into();
    let first = story.group(from, 0);
    story.follow(first);
    let refused =
        CallOutcome::Refused { code: "AccessDenied".to_owned(), why: "no".to_owned(), again: Again::Never };
    story.answered(refused.halfway());
    assert_eq!(*story.status(), Status::Failed);
    story.cancel();
    story.later(Dur::mins(1));
    assert!(takes_back(&story.group(from, 0)));
}

#[test]
fn instances_that_went_away_keep_no_size_from_being_taken_back() {
    let mut story = Story::scaling();
    let (from, to) = (story.scale().from, story.scale().to);
    let first = story.group(from, 0);
    story.follow(first);
    story.accepted();
    let finished = story.group(to, to.desired);
    story.follow(finished);
    story.cancel();
    assert!(takes_back(&story.group(to, 0)));
    // Observation is not possible: the undo fails, instead of a run without an end.
    story.later(Dur::mins(60));
    assert!(decide(&story.state, story.at).contains(&Effect::Expire(story.step)));
}

/// A run whose first pending step checks the guard.
fn holding() -> (Story, Target) {
    let mut story = Story::new();
    let place = story.switch().zone.place;
    let component = story.state.step(story.step).component.clone().unwrap();
    story.step = story.state.steps.iter().position(|s| s.work.status == Status::Pending).unwrap();
    let check = Check::Guard { component: component.clone(), place: place.clone(), holder: "run".to_owned() };
    story.state.runbook.steps[story.step].action = Action::Check(check);
    story.say(EventKind::StepStarted { step: story.id() });
    (story, Target::Guard { component, place })
}

#[test]
fn a_guard_that_nobody_may_look_at_is_not_a_lost_one() {
    let over = Effect::Record(vec![EventKind::RunFinished { outcome: Outcome::Abandoned }]);
    let (mut story, target) = holding();
    let denied = refused();
    story.later(Dur::secs(10));
    let ruling = judge(&story.state, story.step, &StepObservation::Things(vec![(target, denied)]), story.at);
    assert!(matches!(story.follow(ruling), EventKind::GateBlocked { rule: Some(Rule::GuardUnread), .. }));
    story.cancel();
    assert!(!decide(&story.state, story.at).contains(&over));

    let (mut story, target) = holding();
    let ruling = story.judged(target, State::Guard(GuardState { holder: Some("run of bob".to_owned()) }));
    assert!(matches!(story.follow(ruling), EventKind::GuardLost { .. }));
    story.cancel();
    assert!(decide(&story.state, story.at).contains(&over));
}

#[test]
fn while_traffic_cannot_be_taken_back_the_guard_is_kept() {
    let mut story = Story::new();
    let (zone, component) = (story.switch().zone, story.state.step(story.step).component.clone().unwrap());
    let is_check = |i: &usize| matches!(story.state.step(*i).action, Action::Check(_));
    let guard = (0..story.state.steps.len()).find(is_check).unwrap();
    let holder = "run".to_owned();
    story.state.runbook.steps[guard].action =
        Action::Write(Write::Guard { component, place: zone.place, holder, instead_of: None });
    assert_eq!(story.state.steps[guard].work.status, Status::Done(End::Performed));
    story.call(&[]);
    story.accepted();
    story.see(&[API, WWW]);
    story.cancel();
    assert_eq!(story.call(&[API, WWW]).0, Direction::Undo);
    let (code, why) = ("AccessDenied".to_owned(), "no".to_owned());
    story.answered(CallOutcome::Refused { code, why, again: Again::Never });
    // Capacity is still undone.
    let scale = story.state.steps.iter().zip(&story.state.runbook.steps);
    let scale = scale
        .filter(|(_, of)| matches!(of.action, Action::Op(Operation::Scale(_))))
        .map(|(_, of)| of.id.clone())
        .next();
    assert!(!decide(&story.state, story.at).iter().any(|e| matches!(e, Effect::Stop(_))));
    story.say(EventKind::StepUndone { step: scale.unwrap() });
    let next = decide(&story.state, story.at);
    assert!(matches!(next.as_slice(), [Effect::Stop(_)]), "{next:?}");
}

#[test]
fn time_spent_waiting_for_credentials_is_not_the_steps() {
    let mut story = Story::new();
    story.say(EventKind::GateBlocked {
        step: story.id(),
        rule: None,
        why: "credentials".to_owned(),
        flag: None,
    });
    story.later(Dur::mins(60));
    story.call(&[]);
    story.accepted();
    assert!(!decide(&story.state, story.at).contains(&Effect::Expire(story.step)));
}

/// The clock is set ahead right after the answer to a call was lost: its effect may still come as late as before.
#[test]
fn a_clock_that_jumps_ahead_settles_no_doubt() {
    let rig = Rig::new(truststream(), "region-lost", 1);
    let whole = rig.rehearse().unwrap();
    let promote =
        |e: &Event| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db");
    let (n, notes) = crate::support::shop::until(&whole, promote);
    let mut prefix = events(&whole)[..n].to_vec();
    let EventKind::CallIntended { step, .. } = prefix[n - 1].what.clone() else { unreachable!() };
    let asked = prefix[n - 1].at;
    let promotes =
        |bytes: &[u8]| matches!(serde_json::from_slice(bytes), Ok(Action::Op(Operation::Promote(_))));
    let notes = notes.into_iter().filter(|(_, bytes)| !promotes(bytes)).collect();
    prefix.push(Event { at: asked, what: EventKind::CallInDoubt { step, why: "no answer".to_owned() } });
    let jump = Dur::mins(20);
    prefix.push(Event {
        at: asked + jump,
        what: EventKind::ClockJumped { forward_ms: jump, backward_ms: Dur::ZERO },
    });
    let done = rig.carry_on(&Rig::journal_of(&prefix), &notes);
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    let all = events(&done);
    let disproved = all.iter().find(|e| matches!(&e.what, EventKind::EffectDisproved { .. })).unwrap();
    assert!(disproved.at >= asked + jump + Dur::mins(1), "{} after {asked}", disproved.at);
}

/// Control planes may answer with a state from seconds ago. An observed effect of a step is not considered undone because one observation
/// lacks it.
#[test]
fn a_look_that_may_be_from_before_undoes_nothing() {
    let mut story = Story::scaling();
    let (from, to) = (story.scale().from, story.scale().to);
    let ruling = story.group(from, from.desired);
    story.follow(ruling);
    story.accepted();
    let ruling = story.group(to, to.desired);
    assert!(matches!(story.follow(ruling), EventKind::StepFinished { .. }));
    story.later(Dur::secs(2));
    story.cancel();
    assert!(matches!(story.group(from, from.desired), StepDecision::Keep(_)), "believed at once");
    // When it is observed again, it is undone at once.
    assert!(takes_back(&story.group(to, to.desired)));
    story.later(Dur::secs(29));
    assert!(matches!(story.group(from, from.desired), StepDecision::Record(EventKind::StepUndone { .. })));
}
