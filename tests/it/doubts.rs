//! What is believed of calls whose fate nobody knows: a batch that was taken apart, told event by event.

use drctl::inventory::Observation;
use drctl::model::action::{Action, Switch};
use drctl::model::event::{Direction, Event, Outcome, What};
use drctl::model::ids::StepId;
use drctl::model::state::{RecordsState, State};
use drctl::model::target::Target;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Person;
use drctl::run::outcome::{Again, CallOutcome, after_call};
use drctl::run::state::{Mode, Status};
use drctl::run::{Effect, Ruling, RunState, Sight, decide, judge};

use crate::cancelled::stateless;
use crate::resume::events;
use crate::rig::Rig;

/// A run whose step that switches `www` (change 0) and `api` (changes 1 and 2, one name) was just started.
struct Story {
    state: RunState,
    at: Timestamp,
    step: usize,
    switch: Switch,
}

const API: &[u32] = &[1, 2];
const WWW: &[u32] = &[0];

impl Story {
    fn new() -> Self {
        let whole = Rig::new(stateless(), "region-lost", 1).rehearse().unwrap();
        let all = events(&whole);
        let state = RunState::fold(&all).unwrap();
        let is_switch = |a: &Action| matches!(a, Action::Switch(_));
        let step = (0..state.steps.len()).find(|&i| is_switch(&state.step(i).action)).unwrap();
        let id = state.step(step).id.clone();
        let starts = |e: &Event| matches!(&e.what, What::StepStarted { step } if *step == id);
        let began = all.iter().position(starts).unwrap();
        let state = RunState::fold(&all[..=began]).unwrap();
        let Action::Switch(switch) = state.step(step).action.clone() else { unreachable!() };
        let names: Vec<_> = switch.changes.iter().map(|c| c.before.as_ref().unwrap().name.as_str()).collect();
        assert_eq!(names, ["www.example", "api.example", "api.example"]);
        Self { at: state.last_at, state, step, switch }
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

    fn say(&mut self, what: What) {
        self.later(Dur::secs(1));
        let event = Event { at: self.at, what };
        self.state.apply(&event).unwrap_or_else(|e| panic!("{e}: {event:?}"));
    }

    fn person(&mut self, what: impl Fn(Person) -> What) {
        self.say(what(Person::claimed("alice")));
    }

    fn cancel(&mut self) {
        self.person(|who| What::CancelRequested { who, reason: "not now".to_owned(), displaced_by: None });
    }

    /// Somebody carries the run on after a while.
    fn resume(&mut self, after: Dur) {
        self.later(after);
        self.say(What::EpochTaken { epoch: self.state.epoch + 1, owner: "test".to_owned() });
        self.person(|who| What::Resumed { who });
    }

    /// What follows from a look at which these changes are made, and no others.
    fn look(&self, made: &[&[u32]]) -> Ruling {
        let zone = self.switch.zone.clone();
        let made: Vec<u32> = made.concat();
        let set = |(c, i): (&drctl::model::action::RecordChange, u32)| match made.contains(&i) {
            true => c.after.clone(),
            false => c.before.clone(),
        };
        let sets = self.switch.changes.iter().zip(0..).filter_map(set).collect();
        let seen = Observation::Value {
            state: State::Records(RecordsState { sets }),
            observed_at: self.at,
            source: "test".to_owned(),
        };
        let target = Target::Records { zone, names: self.switch.names() };
        judge(&self.state, self.step, &Sight::Things(vec![(target, seen)]), self.at)
    }

    /// Looks, and makes the call that follows. Gives its direction and its part; nothing is everything.
    fn call(&mut self, made: &[&[u32]]) -> (Direction, Vec<u32>) {
        let Ruling::Perform(what) = self.look(made) else { panic!("no call: {:?}", self.look(made)) };
        let What::CallIntended { direction, part, .. } = what.clone() else { panic!("{what:?}") };
        self.say(what);
        (direction, part)
    }

    /// Looks, and records what follows.
    fn see(&mut self, made: &[&[u32]]) -> What {
        let Ruling::Record(what) = self.look(made) else { panic!("no event: {:?}", self.look(made)) };
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

    fn unanswered(&mut self) {
        self.answered(CallOutcome::InDoubt { why: "timeout".to_owned() });
    }

    fn accepted(&mut self) {
        self.answered(CallOutcome::Accepted { token: None });
    }

    /// Everything was refused, and of the halves `api` was called.
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
    story.say(What::StepFailed { step: story.id(), reason: "not done within 5m".to_owned() });
    story.resume(Dur::mins(5));
    story.say(What::StepStarted { step: story.id() });
    assert_eq!(story.see(&[API]), What::PartSettled { step: story.id() });
    assert_eq!(story.call(&[API]), (Direction::Do, WWW.to_vec()));
    story.accepted();
    assert_eq!(
        story.see(&[API, WWW]),
        What::StepFinished {
            step: story.id(),
            end: drctl::model::event::End::Performed,
            facts: vec![drctl::model::facts::Fact::Switched { change: None, old_ttl_ms: Dur::secs(60) }],
        }
    );
}

#[test]
fn a_part_in_doubt_is_settled_before_it_is_taken_back_and_nothing_else_is() {
    let mut story = Story::apart();
    story.unanswered();
    story.cancel();
    // Its absence is not believed for a while, and nothing is called again.
    assert!(matches!(story.look(&[]), Ruling::Keep(_)), "{:?}", story.look(&[]));
    assert_eq!(story.see(&[API]), What::PartSettled { step: story.id() });
    assert_eq!(*story.status(), Status::Started);
    assert_eq!(story.call(&[API]), (Direction::Undo, API.to_vec()));
    story.accepted();
    assert_eq!(story.see(&[]), What::StepUndone { step: story.id() });
}

#[test]
fn a_part_that_never_came_to_be_is_disproved_and_there_is_nothing_to_take_back() {
    let mut story = Story::apart();
    story.unanswered();
    story.cancel();
    story.later(Dur::mins(1));
    assert!(matches!(story.see(&[]), What::EffectDisproved { .. }));
    assert_eq!(story.see(&[]), What::StepUndone { step: story.id() });
}

#[test]
fn what_an_earlier_try_changed_is_taken_back_by_a_cancel_after_the_next() {
    let mut story = Story::apart();
    story.accepted();
    assert_eq!(story.see(&[API]), What::PartSettled { step: story.id() });
    assert_eq!(story.call(&[API]), (Direction::Do, WWW.to_vec()));
    story.refused();
    assert!(matches!(story.see(&[API]), What::StepFailed { .. }));
    story.resume(Dur::mins(1));
    story.say(What::StepStarted { step: story.id() });
    // What was refused is tried again, for somebody may have put it right.
    assert_eq!(story.call(&[API]), (Direction::Do, WWW.to_vec()));
    story.refused();
    story.cancel();
    assert_eq!(story.call(&[API]), (Direction::Undo, API.to_vec()));
    story.accepted();
    assert_eq!(story.see(&[]), What::StepUndone { step: story.id() });
}

#[test]
fn a_cancel_while_a_throttled_call_waits_makes_no_forward_call() {
    let mut story = Story::new();
    story.call(&[]);
    let (code, why) = ("Throttling".to_owned(), "slow down".to_owned());
    story.answered(CallOutcome::Refused { code, why, again: Again::Later });
    assert!(matches!(story.status(), Status::Backoff { .. }));
    story.cancel();
    story.later(Dur::mins(1));
    assert_eq!(story.see(&[]), What::StepUndone { step: story.id() });
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
    story.say(What::EpochTaken { epoch: 9, owner: "test".to_owned() });
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
    story.say(What::GateBlocked { step: story.id(), rule: None, why, flag: None });
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
    story.say(What::RunFinished { outcome: Outcome::Cancelled });
    let late = Event { at: story.at, what: What::RunFinished { outcome: Outcome::Recovered } };
    story.state.apply(&late).unwrap_err();
    assert_eq!(story.state.mode, Mode::Finished(Outcome::Cancelled));
}
