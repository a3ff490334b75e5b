//! The decision of a step for each kind of observation, on both sides of every edge, in one word.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use drctl::inventory::Observation;
use drctl::kinds::aws::autoscaling::{GroupRef, GroupState, Scale};
use drctl::kinds::control::{GuardState, IdentityState};
use drctl::kinds::shared::capacity::{Capacity, Size};
use drctl::kinds::shared::database::{Available, DatabaseRef, DatabaseRole, DatabaseState, Promotable};
use drctl::kinds::shared::fence::{Fence, FenceMethod, FenceStage, FenceState};
use drctl::kinds::shared::names::{Answers, AnswersState, ChangeState, RecordsState, ServerAnswer};
use drctl::kinds::shared::rebuild::RebuildState;
use drctl::kinds::shared::restart::Restart;
use drctl::kinds::shared::restore::RestoreState;
use drctl::kinds::{Fact, Operation, State, Target};
use drctl::model::ids::{ComponentName, StepId};
use drctl::model::intent::Intent;
use drctl::model::place::Place;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule};
use drctl::record::action::{Action, Check, Write};
use drctl::record::event::{Direction, End, Event, EventKind, Outcome};
use drctl::record::runbook::Runbook;
use drctl::run::model::tries::PrimaryReading;
use drctl::run::state::{Status, Work};
use drctl::run::{RunState, StepDecision, StepObservation, judge};

use crate::run::cancel::stateless;
use crate::run::decisions::db;
use crate::run::hard_cases::waiver;
use crate::run::resume::events;
use crate::support::rig::{BEGAN, Rig, truststream};

/// A run, and one of its steps.
#[derive(Clone)]
pub struct At {
    pub state: RunState,
    pub i: usize,
}

/// A run with groups and names, whose step that switches `www` (change 0) and `api` (1 and 2) has just started.
pub static SWITCHING: LazyLock<At> = LazyLock::new(|| {
    At::begun(&Rig::new(stateless(), "region-lost", 1), |a| matches!(a, Action::Op(Operation::Switch(_))))
});

/// The same run with another action in that step.
pub fn doing(action: Action) -> At {
    let mut at = SWITCHING.clone();
    at.state.runbook.steps[at.i].action = action;
    at
}

/// The same run with another runbook of as many steps.
pub fn rewritten(state: &RunState, change: impl FnOnce(&mut Runbook)) -> RunState {
    let mut runbook = state.runbook.clone();
    change(&mut runbook);
    let mut fresh = RunState::new(state.created.clone(), runbook, state.created_at);
    fresh.steps.clone_from(&state.steps);
    (fresh.epoch, fresh.last_at, fresh.taken_at) = (state.epoch, state.last_at, state.taken_at);
    fresh
}

impl At {
    pub fn begun(rig: &Rig, is: impl Fn(&Action) -> bool) -> Self {
        let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
        let i = whole.ended.state.runbook.steps.iter().position(|s| is(&s.action)).unwrap();
        let id = &whole.ended.state.step(i).id;
        let all = events(&whole);
        let starts = |e: &Event| matches!(&e.what, EventKind::StepStarted { step } if step == id);
        let n = all.iter().position(starts).unwrap();
        Self { state: RunState::fold(&all[..=n]).unwrap(), i }
    }

    pub fn id(&self) -> StepId {
        self.state.step(self.i).id.clone()
    }

    pub fn then(mut self, after: Dur, what: EventKind) -> Self {
        let event = Event { at: self.state.last_at + after, what };
        self.state.apply(&event).unwrap_or_else(|e| panic!("{e}: {event:?}"));
        self
    }

    pub fn called(self, part: &[u32]) -> Self {
        let (step, direction, key) = (self.id(), self.state.direction(self.i), "k".to_owned());
        let part = part.to_vec();
        self.then(
            Dur::ZERO,
            EventKind::CallIntended { step, direction, attempt: 1, generation: 1, key, part, found: None },
        )
    }

    /// The same call again after a while, from any status of the step.
    pub fn asked(self, after: Dur) -> Self {
        let at = match self.state.work(self.i).status {
            Status::Calling => self.lost(),
            _ => self,
        };
        let id = at.id();
        at.then(
            after,
            EventKind::CallIntended {
                step: id,
                direction: Direction::Do,
                attempt: 1,
                generation: 1,
                key: "k".to_owned(),
                part: Vec::new(),
                found: None,
            },
        )
    }

    /// The same for the call of a restart.
    pub fn restarting(self) -> Self {
        let whole_seconds = self.state.last_at.millis() / 1_000 * 1_000;
        self.answered(Some(Restart::token(Timestamp::from_millis(whole_seconds))))
    }

    pub fn accepted(self) -> Self {
        self.answered(None)
    }

    fn answered(self, token: Option<String>) -> Self {
        let step = self.id();
        self.then(Dur::ZERO, EventKind::CallAnswered { step, token })
    }

    pub fn lost(self) -> Self {
        let step = self.id();
        self.then(Dur::ZERO, EventKind::CallInDoubt { step, why: "no answer".to_owned() })
    }

    pub fn refused(self, retry_at: Option<Timestamp>) -> Self {
        let (step, code, why) = (self.id(), "no".to_owned(), "no".to_owned());
        self.then(Dur::ZERO, EventKind::CallRefused { step, code, why, retry_at })
    }

    pub fn disproved(self, after: Dur) -> Self {
        let step = self.id();
        self.then(after, EventKind::EffectDisproved { step, seen: "nothing".to_owned() })
    }

    pub fn done(self, end: End) -> Self {
        let step = self.id();
        self.then(Dur::ZERO, EventKind::StepFinished { step, end, facts: Vec::new() })
    }

    pub fn cancelled(self) -> Self {
        let (who, reason) = (Person::claimed("alice"), "not now".to_owned());
        self.then(Dur::ZERO, EventKind::CancelRequested { who, reason, displaced_by: None })
    }

    pub fn rules(&self, after: Dur, seen: Observation) -> StepDecision {
        let (now, target) = (self.state.last_at + after, Target::Database(server("any")));
        judge(&self.state, self.i, &StepObservation::Things(vec![(target, seen)]), now)
    }

    /// The decision in a word or two.
    pub fn finds(&self, after: Dur, seen: Observation) -> &'static str {
        word(&self.rules(after, seen))
    }

    pub fn sees(&self, after: Dur, state: impl Into<Seen>) -> &'static str {
        self.finds(after, value(state))
    }

    /// The facts of a step that this observation completes.
    pub fn facts(&self, state: impl Into<Seen>) -> Vec<Fact> {
        match self.rules(Dur::ZERO, value(state)) {
            StepDecision::Record(EventKind::StepFinished { facts, .. }) => facts,
            other => panic!("{other:?}"),
        }
    }

    /// The next call, recorded: its direction, attempt, generation and key.
    pub fn calls(self, after: Dur, state: impl Into<Seen>) -> (Self, (Direction, u32, u32), String) {
        let StepDecision::Perform(what) = self.rules(after, value(state)) else { panic!("no call") };
        let EventKind::CallIntended { direction, attempt, generation, key, .. } = what.clone() else {
            panic!()
        };
        (self.then(after, what), (direction, attempt, generation), key)
    }
}

pub fn word(ruling: &StepDecision) -> &'static str {
    match ruling {
        StepDecision::Keep(_) => "waits",
        StepDecision::Perform(EventKind::CallIntended { direction: Direction::Do, .. }) => "calls",
        StepDecision::Perform(_) => "takes back",
        StepDecision::Record(what) => match what {
            EventKind::StepFinished { .. } => "done",
            EventKind::StepFailed { .. } => "failed",
            EventKind::StepUndone { .. } => "undone",
            EventKind::UndoFailed { .. } => "not undone",
            EventKind::EffectDisproved { .. } => "disproved",
            EventKind::PartSettled { .. } => "a part is done",
            EventKind::GateBlocked { .. } => "blocked",
            EventKind::FoundPromoted { .. } => "found promoted",
            EventKind::DebtSettled { .. } => "settled",
            EventKind::NewPrimaryChecked { writes: true, .. } => "takes writes",
            EventKind::NewPrimaryChecked { writes: false, .. } => "takes no writes",
            other => panic!("{other:?}"),
        },
    }
}

pub struct Seen(pub State);

macro_rules! seen {
    ($($of:ident $state:ty),*) => { $(impl From<$state> for Seen {
        fn from(state: $state) -> Self {
            Self(State::$of(state))
        }
    })* };
}
seen!(Database DatabaseState, Group GroupState, Fence FenceState, Records RecordsState, Change ChangeState);
seen!(Guard GuardState, Identity IdentityState, Answers AnswersState);
seen!(Rebuild Box<RebuildState>, Restore Box<RestoreState>);

pub fn value(state: impl Into<Seen>) -> Observation {
    Observation::Value { state: state.into().0, observed_at: BEGAN, source: "test".to_owned() }
}

pub fn missing() -> Observation {
    Observation::NotFound { observed_at: BEGAN }
}

/// An observation that the credentials may not make.
pub fn refused() -> Observation {
    let (code, call) = ("AccessDenied".to_owned(), "rds:DescribeEvents".to_owned());
    Observation::Refused { code, call, why: "no policy allows it".to_owned(), login: false }
}

fn dark() -> Observation {
    Observation::Unobservable { since: BEGAN, why: "no answer".to_owned() }
}

pub fn db_name() -> ComponentName {
    ComponentName::new("db")
}

pub fn place() -> Place {
    truststream().sites.values().next().unwrap().place.clone()
}

pub fn server(id: &str) -> DatabaseRef {
    let endpoint = Some(format!("{id}:5432/app"));
    DatabaseRef { component: db_name(), place: place(), endpoint, ..db(id) }
}

pub fn writer(status: &str) -> DatabaseState {
    DatabaseState { status: status.to_owned(), ..DatabaseState::default() }
}

pub fn replica(source: &str, status: &str) -> DatabaseState {
    DatabaseState { role: DatabaseRole::Replica { source: source.to_owned() }, ..writer(status) }
}

pub fn fence(method: FenceMethod) -> Action {
    Action::Op(Operation::Fence(Fence { db: server("old"), method, groups_before: Vec::new() }))
}

/// A fence by security group that has started.
pub fn group_fence() -> At {
    doing(fence(FenceMethod::SecurityGroup))
}

pub fn at_stage(stage: FenceStage) -> FenceState {
    FenceState { stage, proof: "a session is open".to_owned(), ..FenceState::default() }
}

fn size(min: u32, desired: u32, max: u32) -> Size {
    Size { min, desired, max }
}

fn group(size: Size, in_service: u32) -> GroupState {
    GroupState { capacity: Capacity { size, in_service, last_failure: None }, ..GroupState::default() }
}

fn scale(from: Size, to: Size, proceed_at: u32) -> Action {
    let group = GroupRef { component: ComponentName::new("nodes"), place: place(), group: "e".to_owned() };
    let (resume, suspend) = (BTreeSet::new(), BTreeSet::new());
    Action::Op(Operation::Scale(Scale { group, from, to, proceed_at, resume, suspend }))
}

/// From zero to four instances.
fn scaling() -> (At, GroupState, GroupState) {
    let (from, to) = (size(0, 0, 12), size(4, 4, 12));
    (doing(scale(from, to, 4)), group(from, 0), group(to, 4))
}

pub const NOW: Dur = Dur::ZERO;

#[test]
fn an_effect_that_is_missing_is_believed_missing_from_its_time_on() {
    let (at, from, to) = scaling();
    let awaited = at.clone().called(&[]).accepted();
    assert_eq!(awaited.sees(NOW, from.clone()), "waits");
    assert_eq!(awaited.sees(Dur(19_999), from.clone()), "waits");
    assert_eq!(awaited.sees(Dur::secs(20), from.clone()), "disproved");
    let fenced = doing(fence(FenceMethod::SecurityGroup)).called(&[]).lost();
    assert_eq!(fenced.sees(Dur(19_999), at_stage(FenceStage::Open)), "waits");
    assert_eq!(fenced.sees(Dur::secs(20), at_stage(FenceStage::Open)), "disproved");
    let until = (fenced.state.last_at + Dur::secs(20)).to_string();
    let waits = fenced.rules(Dur::secs(1), value(at_stage(FenceStage::Open)));
    assert!(matches!(&waits, StepDecision::Keep(why) if why.contains(&until)), "{waits:?}");
    // A call whose answer was lost may still take effect; and an observation may be older than the step's observed effect.
    let late = at.clone().called(&[]).lost().cancelled().disproved(NOW);
    assert_eq!(late.sees(Dur(19_999), from.clone()), "waits");
    assert_eq!(late.sees(Dur::secs(20), from.clone()), "undone");
    let old = at.called(&[]).accepted().done(End::Performed).cancelled();
    assert_eq!(old.sees(Dur(29_999), from.clone()), "waits");
    assert_eq!(old.sees(Dur::secs(30), from), "undone");
    assert_eq!(old.sees(NOW, to), "takes back");
}

#[test]
fn every_call_after_a_disproved_one_and_every_new_undo_is_another_job() {
    let (at, from, to) = scaling();
    let (at, first, key) = at.calls(NOW, from.clone());
    assert_eq!(first, (Direction::Do, 1, 1));
    let (at, second, other) = at.accepted().disproved(Dur::secs(20)).calls(NOW, from);
    assert_eq!(second, (Direction::Do, 2, 2));
    let mut keys = BTreeSet::from([key, other]);
    let mut at = at.accepted().done(End::Performed).cancelled();
    for round in 1..=3 {
        let (called, intent, key) = at.calls(Dur::secs(60), to.clone());
        assert_eq!(intent, (Direction::Undo, 1, round));
        let soon = called.state.last_at;
        let (again, intent, same) = called.refused(Some(soon)).calls(Dur::secs(1), to.clone());
        assert_eq!((intent, &same), ((Direction::Undo, 2, round), &key));
        assert!(keys.insert(key), "round {round} would be taken for an earlier one");
        let (step, reason) = (again.id(), "no".to_owned());
        at = again.refused(None).then(NOW, EventKind::UndoFailed { step, reason }).cancelled();
    }
}

/// The call was considered to have no effect, but took effect after all, so this run must undo it.
#[test]
fn what_came_late_of_an_earlier_call_was_performed() {
    let (at, _, to) = scaling();
    let at = at.called(&[]).accepted().disproved(Dur::secs(20));
    let ruling = at.rules(NOW, value(to));
    assert!(
        matches!(ruling, StepDecision::Record(EventKind::StepFinished { end: End::Performed, .. })),
        "{ruling:?}"
    );
}

#[test]
fn nothing_is_called_for_a_check() {
    let at = doing(Action::Op(Operation::CheckAvailable(Available { db: server("old") })));
    assert_eq!(word(&judge(&at.state, at.i, &StepObservation::Nothing, at.state.last_at)), "waits");
}

#[test]
fn a_fence_of_which_nothing_is_seen_is_lifted_all_the_same() {
    for method in [FenceMethod::Sql, FenceMethod::SecurityGroup] {
        let at = doing(fence(method)).called(&[]).accepted().done(End::Performed).cancelled();
        assert_eq!(at.sees(Dur::mins(5), at_stage(FenceStage::Open)), "takes back", "{method:?}");
    }
}

#[test]
fn the_second_of_two_calls_is_made_until_one_is_accepted_and_not_while_a_run_is_taken_back() {
    let begun = doing(fence(FenceMethod::SecurityGroup));
    let first = begun.clone().called(&[]);
    let second = first.clone().accepted().called(&[]);
    for (what, at, after, expected) in [
        ("nothing is called yet", begun, NOW, "calls"),
        ("the first was accepted", first.clone().accepted(), NOW, "calls"),
        ("the first was just lost", first.clone().lost(), Dur(4_999), "waits"),
        ("the first was lost", first.clone().lost(), Dur::secs(5), "calls"),
        ("the second was accepted", second.clone().restarting(), Dur(119_999), "waits"),
        ("the second was accepted long ago", second.clone().restarting(), Dur::mins(2), "calls"),
        ("the second was just lost", second.clone().lost(), Dur(4_999), "waits"),
        ("the second was lost", second.clone().lost(), Dur::secs(5), "calls"),
        ("the second was refused", second.clone().refused(None), NOW, "calls"),
        ("called off after the second", second.clone().restarting().cancelled(), NOW, "waits"),
        ("called off after the first", first.clone().accepted().cancelled(), NOW, "disproved"),
        ("called off, the first lost", first.lost().cancelled(), NOW, "disproved"),
    ] {
        assert_eq!(at.sees(after, at_stage(FenceStage::Half)), expected, "{what}");
    }
    let lost = second.lost();
    let until = (lost.state.last_at + Dur::secs(5)).to_string();
    let waits = lost.rules(Dur::secs(1), value(at_stage(FenceStage::Half)));
    assert!(matches!(&waits, StepDecision::Keep(why) if why.contains(&until)), "{waits:?}");
}

#[test]
fn only_who_would_call_or_look_next_asks_for_credentials() {
    let (at, ..) = scaling();
    let called = at.clone().called(&[]);
    let mut background = at.clone();
    background.state.runbook.steps[at.i].background = true;
    for (what, at, expected) in [
        ("begun", at, "blocked"),
        ("in doubt", called.clone().lost(), "blocked"),
        ("accepted", called.clone().accepted(), "blocked"),
        ("accepted, and called off", called.accepted().cancelled(), "waits"),
        ("in the background", background, "waits"),
    ] {
        let expired = Observation::Unauthenticated { why: "expired".to_owned(), clock: false };
        assert_eq!(at.finds(Dur::secs(60), expired), expected, "{what}");
    }
}

#[test]
fn a_guard_in_a_dark_bucket_is_asked_about_and_one_of_another_run_is_not_taken() {
    let (component, holder) = (ComponentName::new("www"), "run".to_owned());
    let check = Check::Guard { component: component.clone(), place: place(), holder: holder.clone() };
    let check = doing(Action::Check(check));
    assert_eq!(check.finds(Dur(9_999), dark()), "waits");
    assert_eq!(check.finds(Dur::secs(10), dark()), "blocked");
    let other = doing(Action::Op(Operation::CheckAvailable(Available { db: server("old") })));
    assert_eq!(other.finds(Dur::mins(10), dark()), "waits");
    for (instead_of, held, expected) in [
        (None, Some("run"), "done"),
        (None, None, "calls"),
        (None, Some("run of bob"), "failed"),
        (Some("run of bob"), Some("run"), "done"),
        (Some("run of bob"), None, "calls"),
        (Some("run of bob"), Some("run of bob"), "calls"),
        (Some("run of bob"), Some("run of eve"), "failed"),
    ] {
        let (component, holder) = (component.clone(), holder.clone());
        let instead_of = instead_of.map(str::to_owned);
        let at = doing(Action::Write(Write::Guard { component, place: place(), holder, instead_of }));
        let seen = || GuardState { holder: held.map(str::to_owned) };
        assert_eq!(at.sees(NOW, seen()), expected, "held by {held:?}");
        // Something that somebody else holds now is not restored.
        let at = at.called(&[]).accepted().done(End::Performed).cancelled();
        let back = if held == Some("run") { "takes back" } else { "undone" };
        assert_eq!(at.sees(Dur::mins(1), seen()), back, "held by {held:?}");
    }
}

#[test]
fn credentials_of_another_account_are_refused() {
    for (wanted, expected) in [(Some("1"), "done"), (Some("2"), "failed"), (None, "done")] {
        let place = Place { account: wanted.map(str::to_owned), ..place() };
        let at = doing(Action::Check(Check::Identity { place }));
        let seen = IdentityState { account: "1".to_owned(), arn: "arn".to_owned() };
        assert_eq!(at.sees(NOW, seen), expected, "{wanted:?}");
    }
}

#[test]
fn a_size_is_there_when_it_does_what_it_is_for() {
    let (none, four, six) = (size(0, 0, 12), size(4, 4, 12), size(4, 6, 12));
    for (from, to, seen, expected) in [
        (none, four, group(none, 0), "calls"),
        (none, four, group(four, 3), "waits"),
        (none, four, group(four, 4), "done"),
        // More instances than requested are as good; a minimum of fewer is not possible.
        (none, four, group(six, 6), "done"),
        (none, four, group(size(0, 4, 12), 4), "calls"),
        (none, four, group(size(0, 6, 12), 6), "calls"),
        // It has the size already, but not the instances yet.
        (four, four, group(four, 0), "waits"),
        (four, four, group(six, 4), "done"),
        // Fewer are requested: exactly that number.
        (six, four, group(six, 6), "calls"),
        (six, four, group(four, 6), "done"),
    ] {
        assert_eq!(doing(scale(from, to, 4)).sees(NOW, seen.clone()), expected, "{from:?} {to:?} {seen:?}");
    }
}

#[test]
fn a_size_is_taken_back_exactly_and_instances_that_do_not_come_are_not_waited_for() {
    let (at, _, to) = scaling();
    let awaited = at.called(&[]).accepted().cancelled();
    assert_eq!(awaited.sees(NOW, group(to.capacity.size, 0)), "done");
    // Only the minimum was raised; that is undone as well.
    let (low, high) = (size(0, 4, 12), size(4, 4, 12));
    let at = doing(scale(low, high, 4)).called(&[]).accepted().done(End::Performed).cancelled();
    let (at, intent, _) = at.calls(Dur::mins(1), group(high, 4));
    assert_eq!(intent.0, Direction::Undo);
    let at = at.accepted();
    assert_eq!(at.sees(NOW, group(high, 4)), "waits");
    assert_eq!(at.sees(NOW, group(low, 4)), "undone");
}

#[test]
fn resolvers_that_are_right_or_silent_are_not_waited_for() {
    let ttl = Some(Dur::secs(60));
    let at = doing(Action::Op(Operation::CheckAnswers(Answers { names: Vec::new(), resolvers_ttl_ms: ttl })));
    let answers = |right: Option<bool>| {
        let of = |server: &str, authoritative, right| ServerAnswer {
            server: server.to_owned(),
            authoritative,
            name: "www.example A".to_owned(),
            right,
            said: "192.0.2.1".to_owned(),
        };
        AnswersState { servers: vec![of("ns1", true, Some(true)), of("8.8.8.8", false, right)] }
    };
    assert_eq!(at.sees(NOW, answers(Some(true))), "done");
    assert_eq!(at.sees(NOW, answers(None)), "done");
    assert_eq!(at.sees(Dur(59_999), answers(Some(false))), "waits");
    assert_eq!(at.sees(Dur::secs(60), answers(Some(false))), "done");
}

#[test]
fn a_replica_is_judged_by_what_the_run_means_to_do_with_it() {
    let begun = doing(Action::Op(Operation::CheckPromotable(Promotable { db: server("new") })));
    let streams = |streaming| DatabaseState { streaming, ..replica("old", "available") };
    let (backed_up, changing) = (replica("old", "backing-up"), replica("old", "modifying"));
    for (seen, forward, moving, back) in [
        (streams(None), "done", "waits", "done"),
        (streams(Some(false)), "done", "waits", "done"),
        (streams(Some(true)), "done", "done", "done"),
        (backed_up, "waits", "waits", "done"),
        (changing, "waits", "waits", "waits"),
        (writer("available"), "done", "done", "found promoted"),
    ] {
        assert_eq!(begun.sees(NOW, seen.clone()), forward, "{seen:?}");
        let mut planned = begun.clone();
        planned.state.runbook.intent = Intent::Switchover;
        assert_eq!(planned.sees(NOW, seen.clone()), moving, "{seen:?}");
        let cancelled = begun.clone().cancelled();
        assert_eq!(cancelled.sees(NOW, seen.clone()), back, "{seen:?}");
        // In a finished run nothing is undone, and no observation has an effect.
        let over = cancelled.then(NOW, EventKind::RunFinished { outcome: Outcome::Cancelled });
        let settled = if seen.is_replica() { "settled" } else { "takes writes" };
        assert_eq!(over.sees(NOW, seen.clone()), settled, "{seen:?}");
    }
}

#[test]
fn the_last_commit_is_looked_for_before_the_loss_is_called_unknown() {
    let known = DatabaseState { last_commit: Some(BEGAN), ..replica("old", "available") };
    let unknown = replica("old", "available");
    let early = Dur(14_999);
    for (intent, after, seen, expected) in [
        (Intent::Failover, early, &unknown, "waits"),
        (Intent::Failover, Dur::secs(15), &unknown, "done"),
        (Intent::Failover, NOW, &known, "done"),
        (Intent::Switchover, early, &unknown, "waits"),
        (Intent::Restore, NOW, &unknown, "done"),
    ] {
        let mut at = doing(Action::Check(Check::Exposure {
            db: server("new"),
            ahead_ms: None,
            unreplicated: Vec::new(),
        }));
        at.state.runbook.intent = intent;
        assert_eq!(at.sees(after, seen.clone()), expected, "{intent} after {after}: {:?}", seen.last_commit);
    }
}

/// A finished run that promoted on a waiver, just taken over: its fence methods are tried again, and the new primary was just observed.
pub fn owing() -> (RunState, [usize; 2], usize) {
    let waivers = vec![waiver(Rule::UnfencedPromotion, Dur::mins(20))];
    let rig = Rig { waivers, ..Rig::new(truststream(), "primary-returns", 1) };
    let mut state = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}")).ended.state;
    assert!(state.finished() && state.owed().count() == 1);
    let rungs = <[usize; 2]>::try_from(state.rungs(&db_name())).unwrap();
    let (now, check) = (state.last_at, state.target_check(&db_name()).unwrap());
    state.taken_at = now;
    let begun = Work { status: Status::Started, started_at: Some(now), ..Work::new() };
    rungs.iter().for_each(|&r| state.steps[r].work = begun.clone());
    let look = PrimaryReading { at: now, writes: true, seen: "it takes writes".to_owned() };
    state.after_end.entry(db_name()).or_default().last = Some(look);
    (state, rungs, check)
}

#[test]
fn an_owed_fence_is_tried_rung_by_rung_while_the_new_primary_is_seen() {
    let (state, [first, second], check) = owing();
    let on = |i: usize| At { state: state.clone(), i };
    assert_eq!(on(first).sees(NOW, at_stage(FenceStage::Open)), "calls");
    assert_eq!(on(second).sees(Dur(14_999), at_stage(FenceStage::Open)), "waits");
    assert_eq!(on(second).sees(Dur::secs(15), at_stage(FenceStage::Open)), "calls");
    assert_eq!(on(first).sees(Dur::secs(30), at_stage(FenceStage::Open)), "waits", "that look is old");
    assert_eq!(on(first).sees(NOW, at_stage(FenceStage::Ineffective)), "waits");
    assert_eq!(on(first).finds(NOW, missing()), "settled");
    // The new primary is gone, which settles nothing about the old one.
    assert_eq!(on(check).finds(NOW, missing()), "takes no writes");
}
