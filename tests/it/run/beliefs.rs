//! What a run believes: its own journal, calls that may still take effect, and a guard that is lost or cannot be read.

use drctl::inventory::Observation;
use drctl::kinds::control::GuardState;
use drctl::kinds::shared::command::Command;
use drctl::kinds::shared::database::{DatabaseRef, Engine, Host, Promotable};
use drctl::kinds::shared::fence::FenceMethod;
use drctl::kinds::shared::promotion::Promote;
use drctl::kinds::shared::restore::{RestoreJob, RestoreResults as Restored};
use drctl::kinds::shared::secret::SecretState;
use drctl::kinds::{Called, Exposure, Fact, FoundSet, FoundValues, Operation, State};
use drctl::model::again::Again;
use drctl::model::duty::Decision;
use drctl::model::ids::StepId;
use drctl::model::measure::{Basis, CLOCKS_AGREE, Figure};
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule};
use drctl::record::action::{Action, Check, Gate, Write};
use drctl::record::event::{Direction, End, Event, EventKind, Outcome, Signal};
use drctl::record::runbook::{Phase, Step, Unless};
use drctl::run::exposure::at_least;
use drctl::run::model::calls::Withdrawal;
use drctl::run::outcome::{CallOutcome, NO_CREDENTIALS, after_call};
use drctl::run::state::{FenceDebt, Mode, Status, Work};
use drctl::run::{RunState, StepDecision, StepObservation, judge, signal};

use crate::run::decisions::{
    DONE, after, cancelled, change, component, db, fence, minutes, object as lead, point, promote, restore,
    say, scale, step, switch, under_way, words,
};
use crate::run::judged_steps::{refused, word};
use crate::support::rig::BEGAN;

const SECOND: Dur = Dur::secs(1);

fn takes(mut state: RunState, what: EventKind) -> bool {
    state.apply(&Event { at: minutes(1), what }).is_ok()
}

fn intended(id: &str, direction: Direction, part: &[u32], found: Option<FoundValues>) -> EventKind {
    EventKind::CallIntended {
        step: StepId::new(id),
        direction,
        attempt: 1,
        generation: 1,
        key: "k".to_owned(),
        part: part.to_vec(),
        found,
    }
}

fn one(action: Action, status: Status) -> RunState {
    under_way(vec![(step("a", action), status)])
}

/// The first call of a step was made and accepted.
fn accepted(action: Action) -> RunState {
    let mut state = one(action, Status::Started);
    say(&mut state, minutes(1), intended("a", Direction::Do, &[], None));
    say(&mut state, minutes(1), EventKind::CallAnswered { step: StepId::new("a"), token: None });
    state
}

pub fn standby() -> Action {
    let host: Host = serde_json::from_value(
        serde_json::json!({"run": ["ssh"], "data": "/data", "replication_secret": "file:r"}),
    )
    .unwrap();
    let db = DatabaseRef { engine: Engine::Postgres, host: Some(host), ..db("db-east") };
    Action::Op(Operation::Promote(Promote { db, backup_days: None, takeover: None }))
}

fn job() -> Action {
    let argv = vec!["true".to_owned()];
    Action::Op(Operation::Run(Command { argv, idempotent: false, env: Vec::new(), rehearsal: None }))
}

fn client_secret() -> (Action, SecretState) {
    let action = point();
    let Action::Op(Operation::UpdateClientSecret(of)) = &action else { panic!() };
    let seen = SecretState { fields: of.from.clone(), replica_of: None, rotating: false, owned_by: None };
    (action, seen)
}

#[test]
fn no_call_changes_what_is_not_in_the_runbook() {
    let asks = |action: &Action, part: &[u32], found: Option<FoundValues>| {
        takes(one(action.clone(), Status::Started), intended("a", Direction::Do, part, found))
    };
    let read = |value: &str| {
        let set = change("www", (60, value), (60, value)).before;
        Some(FoundValues::Sets(vec![FoundSet { change: 0, set }]))
    };
    let fields = || Some(FoundValues::Fields([("host".to_owned(), "db-west".to_owned())].into()));
    let switch = switch();
    assert!(asks(&switch, &[], None) && asks(&switch, &[0], read("192.0.2.1")));
    assert!(!asks(&switch, &[1], None), "it has one change");
    assert!(!asks(&switch, &[], read("203.0.113.9")), "nobody said that this may be replaced");
    assert!(!asks(&switch, &[], fields()), "a record set has no fields");
    let (secret, _) = client_secret();
    assert!(asks(&secret, &[], fields()));
    assert!(!asks(&secret, &[0], None), "it is changed as a whole");
    assert!(!asks(&secret, &[], read("192.0.2.1")), "a secret is no record set");
    assert!(asks(&scale(), &[], None));
    assert!(!asks(&scale(), &[0], None) && !asks(&scale(), &[], fields()));
}

pub(crate) fn exposure() -> Fact {
    Fact::Exposure(Exposure {
        component: component(),
        figure: Figure::new(SECOND, Basis::Measured),
        last_instant: None,
        because: String::new(),
        last_replayed: None,
        last_replayed_there: None,
        taken_at: BEGAN,
        grows: false,
        beside: Vec::new(),
    })
}

#[test]
fn a_step_establishes_no_fact_that_is_anothers() {
    let ends = |action: Action, fact: Fact| {
        let what = EventKind::StepFinished { step: "a".into(), end: End::Noop, facts: vec![fact] };
        takes(one(action, Status::Started), what)
    };
    let measures =
        Action::Check(Check::Exposure { db: db("db-east"), ahead_ms: None, unreplicated: Vec::new() });
    assert!(ends(measures, exposure()));
    assert!(!ends(scale(), exposure()), "a gate would let the promotion through on it");
    let restored = || Fact::Restore {
        component: component(),
        part: RestoreJob::Loss,
        found: Box::new(Restored::default()),
    };
    assert!(ends(restore(RestoreJob::Loss), restored()));
    assert!(!ends(scale(), restored()), "the loss of a restore is counted by its own step");
}

/// A proven fence makes the next method unnecessary. It makes no approval unnecessary, whatever the runbook in the journal says.
#[test]
fn no_journal_skips_an_approval() {
    let skips = |action: Action| {
        let of = Step { unless: Some(Unless::Fenced(component())), ..step("a", action) };
        let sql = step("sql", fence(FenceMethod::Sql));
        let mut state = under_way(vec![(sql, Status::Started), (of, Status::Started)]);
        let facts = vec![proven(None)];
        let what = EventKind::StepFinished { step: "sql".into(), end: End::Performed, facts };
        say(&mut state, minutes(1), what);
        takes(state, EventKind::StepSkipped { step: "a".into(), reason: "fenced".to_owned(), who: None })
    };
    assert!(skips(fence(FenceMethod::SecurityGroup)));
    let (ask, expires_after_ms) = ("may we?".to_owned(), Dur::mins(30));
    let gate = Gate::Approval { ask, expires_after_ms, by: Vec::new(), override_by: None };
    assert!(!skips(Action::Gate(gate)));
}

#[test]
fn an_effect_may_come_for_as_long_as_its_service_takes_and_no_longer() {
    let state = accepted(switch());
    let since = minutes(1);
    let comes = |state: &RunState, now: Timestamp| state.outstanding(now).len();
    assert_eq!(comes(&state, since + Dur(4_999)), 1);
    assert_eq!(comes(&state, since + Dur::secs(5)), 0, "a change of record sets settles in 5 s");
    // The undo makes its own calls.
    let mut back = one(switch(), DONE);
    back.steps[0].undo = Some(Work { status: Status::Calling, asked: [Some(since), None], ..Work::new() });
    let late = back.outstanding(since + SECOND);
    assert_eq!(late.len(), 1);
    assert_ne!(late[0].action, switch(), "what may come is the way back");
}

#[test]
fn what_was_asked_for_is_forgotten_only_once_it_cannot_come() {
    let id = || StepId::new("a");
    let failed = |reason: &str| EventKind::StepFailed { step: id(), reason: reason.to_owned() };
    let disproved = || EventKind::EffectDisproved { step: id(), seen: "as before".to_owned() };
    let late = |action: Action, what: EventKind| {
        let mut state = accepted(action);
        say(&mut state, minutes(2), what);
        !state.outstanding(minutes(2)).is_empty()
    };
    // A job that ended is over. One that takes too long is not, and a standby keeps the request.
    assert!(!late(job(), failed("the command ended with 1")));
    assert!(late(job(), failed("not done within 5m")));
    assert!(late(standby(), failed("the replica is `stopped`")));
    assert!(late(standby(), disproved()), "its absence proves nothing");
    assert!(!late(scale(), disproved()));
}

#[test]
fn a_promotion_that_somebody_saw_is_no_longer_outstanding() {
    let looks = Action::Op(Operation::CheckPromotable(Promotable { db: db("db-east") }));
    let mut state =
        under_way(vec![(step("check", looks), Status::Started), (step("a", standby()), Status::Started)]);
    say(&mut state, minutes(1), intended("a", Direction::Do, &[], None));
    say(&mut state, minutes(1), EventKind::CallInDoubt { step: "a".into(), why: "lost".to_owned() });
    assert_eq!(state.outstanding(minutes(1)).len(), 1);
    say(&mut state, minutes(2), EventKind::FoundPromoted { step: "check".into() });
    assert!(state.outstanding(minutes(2)).is_empty());
}

#[test]
fn a_promotion_is_withdrawn_once_after_it_was_asked_for_and_not_while_it_is_called() {
    let (id, why) = (|| StepId::new("a"), || "the host does not answer".to_owned());
    let begin = || EventKind::WithdrawIntended { step: id() };
    let results =
        || [EventKind::Withdrawn { step: id() }, EventKind::WithdrawFailed { step: id(), why: why() }];
    let blocked = |asked: bool| {
        let mut state = if asked { accepted(standby()) } else { one(standby(), Status::Started) };
        let rule = Some(Rule::ExposureAboveRpo);
        state.steps[0].work.status = Status::Blocked { why: why(), rule, flag: None };
        state
    };
    let refusal = |mut state: RunState, what: EventKind| {
        state.apply(&Event { at: minutes(1), what }).unwrap_err().to_string()
    };
    let invalid = |event: &str| format!("`{event}` is not valid while step `a` is blocked");
    assert_eq!(refusal(blocked(false), begin()), invalid("withdraw_intended"), "nothing was asked for");
    let mut calling = blocked(true);
    calling.steps[0].work.status = Status::Calling;
    assert!(!takes(calling, begin()), "the call is under way");
    let [withdrawn, failed] = results();
    assert_eq!(refusal(blocked(true), withdrawn), invalid("withdrawn"), "nobody began it");
    assert!(takes(blocked(true), failed.clone()), "the guard was not read, so nobody began it");
    assert!(!takes(blocked(false), failed), "nothing was asked for");
    for result in results() {
        let mut state = blocked(true);
        assert!(!state.withdraws());
        say(&mut state, minutes(1), begin());
        assert!(state.withdraws());
        assert!(takes(state, result));
    }
}

/// A step that needs the guard, and the observed state of the guard.
fn guarded(id: &str, action: Action, background: bool) -> RunState {
    let (place, holder) = (db("db-east").place, "run".to_owned());
    let take = Write::Guard { component: component(), place, holder, instead_of: None };
    let acts = Step { background, ..after(step(id, action), &["guard"]) };
    under_way(vec![(step("guard", Action::Write(take)), DONE), (acts, Status::Started)])
}

fn sees(state: &RunState, seen: Vec<Observation>, guard: Observation, now: Timestamp) -> StepDecision {
    let held = state.guard_of(1).expect("a guard");
    let mut things = vec![(held.target, guard)];
    let target = state.step(1).action.watch(&Called::NOT_YET).expect("a target");
    things.extend(seen.into_iter().map(|seen| (target.clone(), seen)));
    judge(state, 1, &StepObservation::Things(things), now)
}

fn held_by(holder: &str) -> Observation {
    let state = State::Guard(GuardState { holder: Some(holder.to_owned()) });
    Observation::Value { state, observed_at: minutes(2), source: "test".to_owned() }
}

fn silent() -> Observation {
    Observation::Unobservable { since: BEGAN, why: "no answer".to_owned() }
}

fn object(present: bool) -> Vec<Observation> {
    let holder = present.then(|| "run".to_owned());
    let state = State::HealthObject(drctl::kinds::shared::names::HealthObjectState { holder });
    vec![Observation::Value { state, observed_at: BEGAN, source: "test".to_owned() }]
}

#[test]
fn a_guard_that_was_taken_ends_an_undo_as_one_that_failed() {
    let told = |what: StepDecision| match what {
        StepDecision::Record(what) => words(&[what]),
        StepDecision::Perform(_) => "calls".to_owned(),
        StepDecision::Keep(_) => "waits".to_owned(),
    };
    let forward = || guarded("a", lead(), false);
    let back = || {
        let mut state = forward();
        state.steps[1].work.status = DONE;
        state.steps[1].work.ended_at = Some(BEGAN);
        state.steps[1].work.parts.accepted = vec![Vec::new()];
        cancelled(state)
    };
    let at = minutes(2);
    assert_eq!(told(sees(&forward(), object(false), held_by("run"), at)), "calls");
    assert_eq!(told(sees(&forward(), object(false), held_by("another"), at)), "guard_lost a");
    assert_eq!(told(sees(&back(), object(true), held_by("another"), at)), "undo_failed a");
    // While everything is undone, nobody is asked about a guard: it is observed until it can be read.
    assert_eq!(told(sees(&back(), object(true), refused(), at)), "waits");
    let background = guarded("a", lead(), true);
    assert_eq!(told(sees(&background, object(false), refused(), at)), "waits");
    assert_eq!(told(sees(&forward(), object(false), refused(), BEGAN)), "gate_blocked a");
    assert_eq!(told(sees(&forward(), object(false), silent(), BEGAN)), "waits", "it may answer in a moment");
}

#[test]
fn a_guard_stays_with_a_run_whose_undo_of_it_failed() {
    let holds = |done: bool, undo: Option<Status>| {
        let mut state = guarded("a", scale(), false);
        state.steps[0].work.status = if done { DONE } else { Status::Failed };
        state.steps[0].undo = undo.map(|status| Work { status, ..Work::new() });
        !state.unreturned_guards().is_empty()
    };
    assert!(holds(true, None) && holds(true, Some(Status::Failed)));
    assert!(!holds(true, Some(DONE)) && !holds(true, Some(Status::Started)));
    assert!(!holds(false, None) && !holds(false, Some(Status::Failed)), "it was never taken");
}

fn expired() -> Observation {
    Observation::Unauthenticated { why: "the token expired".to_owned(), clock: false }
}

fn looks(state: &RunState, seen: Observation) -> StepDecision {
    let target = state.step(0).action.watch(&Called::NOT_YET).expect("a target");
    judge(state, 0, &StepObservation::Things(vec![(target, seen)]), minutes(2))
}

#[test]
fn who_has_no_credentials_is_asked_once_and_told_what_was_done() {
    let says = |action: Action, status: Status| match looks(&one(action, status), expired()) {
        StepDecision::Record(EventKind::GateBlocked { why, flag, .. }) => {
            assert!(flag.is_some_and(|flag| flag.contains("renew them")));
            why
        }
        other => word(&other).to_owned(),
    };
    let checks = || Action::Op(Operation::CheckPromotable(Promotable { db: db("db-east") }));
    assert!(says(scale(), Status::Started).contains("nothing in this step was done"));
    assert!(says(scale(), Status::Backoff { due: BEGAN }).contains("nothing in this step was done"));
    assert!(says(checks(), Status::Started).contains("cannot observe the target"));
    assert!(says(scale(), Status::InDoubt { since: BEGAN }).contains("stays unknown"));
    let awaits = Status::Awaiting { answered_at: BEGAN, token: None };
    assert!(says(scale(), awaits).contains("the accepted request continues"));
    let blocked = Status::Blocked { why: "asked before".to_owned(), rule: None, flag: None };
    assert_eq!(says(scale(), blocked), "waits", "the question is the same");
}

#[test]
fn a_call_that_no_credentials_are_valid_for_is_not_repeated_in_silence() {
    let outcome = || CallOutcome::Refused {
        code: NO_CREDENTIALS.to_owned(),
        why: "expired".to_owned(),
        again: Again::Later,
    };
    let calling = || {
        let mut state = one(scale(), Status::Started);
        say(&mut state, minutes(1), intended("a", Direction::Do, &[], None));
        state
    };
    let told = |state: &RunState| words(&after_call(state, 0, outcome(), minutes(1), 0));
    assert_eq!(told(&calling()), "call_refused a, gate_blocked a");
    assert_eq!(told(&cancelled(calling())), "call_refused a", "what is taken back asks nobody");
}

#[test]
fn a_comparison_of_objects_waits_for_nobodys_credentials() {
    let bucket = |name: &str| serde_json::json!({"component": "db", "place": db("db-east").place, "bucket": name, "prefix": "", "others": []});
    let sample = serde_json::json!({"source": bucket("a"), "copy": bucket("b"), "most": 9, "seed": "1"});
    let sample = serde_json::from_value(sample).unwrap();
    let decided = looks(&one(Action::Op(Operation::CompareObjects(sample)), Status::Started), expired());
    assert_eq!(word(&decided), "failed");
}

#[test]
fn fields_of_a_secret_go_with_the_intent_where_the_runbook_does_not_have_them() {
    let (action, seen) = client_secret();
    let found = |fields: &[(&str, &str)]| {
        let fields = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let state = State::Secret(SecretState { fields, ..seen.clone() });
        let seen = Observation::Value { state, observed_at: BEGAN, source: "test".to_owned() };
        match looks(&one(action.clone(), Status::Started), seen) {
            StepDecision::Perform(EventKind::CallIntended { found, .. }) => found,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(found(&[("host", "db-west")]), None, "the runbook says so");
    let other = Some(FoundValues::Fields([("host".to_owned(), "db-north".to_owned())].into()));
    assert_eq!(found(&[("host", "db-north")]), other);
}

#[test]
fn a_fence_that_failed_is_begun_anew_when_its_place_answers() {
    let mut state = one(fence(FenceMethod::Sql), Status::Started);
    state.steps[0].work = Work { status: Status::Failed, attempts: 7, ..Work::new() };
    state.debts.insert(component(), FenceDebt { since: BEGAN, pending: true, paid: None, settled: None });
    say(&mut state, minutes(3), EventKind::PlaceAnswered { place: "east".to_owned(), who: "x".to_owned() });
    let work = &state.steps[0].work;
    assert_eq!((&work.status, work.started_at), (&Status::Started, Some(minutes(3))));
    // After the end it belongs to the run whose fence is pending, not to one that only took that over.
    let waits = |debt: bool| {
        let mut state = state.clone();
        state.mode = Mode::Finished(Outcome::Recovered);
        state.runbook.steps[0].debt = debt;
        state.waits_for_life(0)
    };
    assert!(waits(false) && !waits(true));
}

fn proven(last_commit: Option<Timestamp>) -> Fact {
    Fact::Fenced {
        component: component(),
        method: FenceMethod::Sql,
        at: minutes(9),
        last_commit,
        last_commit_there: None,
        clock: None,
        wal: None,
        word: None,
        proof: "nobody may log in".to_owned(),
        unexplained: None,
        unreplicated: Vec::new(),
    }
}

/// Commits of the old primary after the promotion are lost. Both clocks may differ by a second.
#[test]
fn a_commit_after_the_promotion_is_a_loss_once_it_is_later_than_the_clocks_may_differ() {
    let least = |after: Dur, paid: bool| {
        let mut state = one(fence(FenceMethod::Sql), Status::Started);
        let facts = vec![proven(Some(minutes(2) + after))];
        let what = EventKind::StepFinished { step: StepId::new("a"), end: End::Performed, facts };
        say(&mut state, minutes(9), what);
        state.promoted_at.insert(component(), minutes(2));
        let paid = paid.then(|| (minutes(9), "p".to_owned()));
        state.debts.insert(component(), FenceDebt { since: BEGAN, pending: true, paid, settled: None });
        at_least(&state, &component())
    };
    let later = CLOCKS_AGREE.plus(Dur(1));
    assert_eq!(least(CLOCKS_AGREE, true), None);
    assert_eq!(least(later, true), Some(Dur(1)));
    assert_eq!(least(later, false), None, "the proof is of before the promotion");
}

#[test]
fn a_fence_is_pending_once_its_component_was_promoted_by_whoever_it_was() {
    let with = |status: Status, attempts: u32, asked: bool, promoted: bool| {
        let mut state = one(promote(), status);
        state.steps[0].work.attempts = attempts;
        if asked {
            state.runbook.asked.push(component());
        }
        if promoted {
            state.promoted.insert(component());
        }
        let debt = FenceDebt { since: BEGAN, pending: false, paid: None, settled: None };
        state.debts.insert(component(), debt);
        state.newly_pending().is_some()
    };
    assert!(with(DONE, 1, false, true));
    assert!(with(Status::Started, 0, false, true), "somebody else promoted it");
    assert!(!with(Status::Started, 1, false, true), "asked for, and not there yet");
    assert!(!with(Status::Started, 0, true, true), "an earlier run asked for it");
}

#[test]
fn what_a_run_wrote_into_a_zone_is_handed_on_as_it_may_be_there() {
    let sets = |undo: Option<Status>, status: Status| {
        let mut state = one(switch(), Status::Started);
        let at = &mut state.steps[0];
        at.work.status = status;
        at.work.parts.accepted = vec![Vec::new()];
        at.undo = undo.map(|status| Work { status, started_at: Some(BEGAN), ..Work::new() });
        let all = drctl::run::continued::written(&state);
        let values = all[0].may_be.iter().map(drctl::kinds::shared::names::RecordSet::words);
        values.map(|v| v.contains("198.51.100.1")).collect::<Vec<_>>()
    };
    assert_eq!(sets(None, DONE), [true], "the new set");
    assert_eq!(sets(None, Status::Started), [true, false], "either of them");
    assert_eq!(sets(Some(DONE), DONE), [false], "the set from before");
    assert_eq!(sets(Some(Status::Started), DONE), [true, false]);
}

#[test]
fn a_decision_to_take_back_is_taken_before_the_point_of_no_return_and_not_after() {
    let decides = |promoted: bool| {
        let mut state = one(scale(), Status::Started);
        say(&mut state, minutes(1), EventKind::StepFailed { step: "a".into(), reason: "no".to_owned() });
        assert!(!state.attention.stops.is_empty(), "it stopped");
        if promoted {
            state.promoted.insert(component());
        }
        let said = Signal::Acknowledge { decision: Some(Decision::TakeBack), reason: "no".to_owned() };
        words(&signal::take(&state, said, Person::claimed("sam"), minutes(2)))
    };
    assert_eq!(decides(false), "acknowledged");
    assert_eq!(decides(true), "signal_refused");
}

#[test]
fn no_gate_lets_a_promotion_through_whose_loss_nobody_measured() {
    let gate = Gate::Exposure { components: vec![component()], objective_ms: Dur::mins(1) };
    let passes = EventKind::StepFinished { step: "a".into(), end: End::Performed, facts: Vec::new() };
    assert!(!takes(one(Action::Gate(gate), Status::Started), passes));
}

#[test]
fn what_was_recorded_for_an_undo_is_forgotten_only_where_the_run_goes_back() {
    let kept = |promoted: bool, displaced_by: Option<&str>| {
        let records = Step {
            phase: Phase::Seal,
            ..step("evidence", Action::Check(Check::Evidence { targets: Vec::new() }))
        };
        let mut state = under_way(vec![(records, DONE), (step("a", scale()), DONE)]);
        state.steps[0].facts = vec![exposure()];
        if promoted {
            state.promoted.insert(component());
        }
        let (who, reason) = (Person::claimed("ann"), "no".to_owned());
        let displaced_by = displaced_by.map(str::to_owned);
        say(&mut state, minutes(1), EventKind::CancelRequested { who, reason, displaced_by });
        !state.steps[0].facts.is_empty()
    };
    assert!(!kept(false, None));
    assert!(kept(true, None), "nothing is undone past the point of no return");
    assert!(kept(false, Some("another")));
    assert!(kept(true, Some("another")));
}

#[test]
fn a_promotion_that_waits_for_a_person_is_tried_again_when_somebody_accepts_something() {
    let after_waiver = |action: Action, rule: Option<Rule>| {
        let status = Status::Blocked { why: "too much".to_owned(), rule, flag: None };
        let mut state = one(action, status);
        let waiver = crate::run::hard_cases::waiver(Rule::ExposureAboveRpo, Dur::mins(60));
        say(&mut state, minutes(4), EventKind::Waived { waiver });
        (state.steps[0].work.status == Status::Started, state.steps[0].work.renewed_at)
    };
    let rule = Some(Rule::ExposureAboveRpo);
    assert_eq!(after_waiver(promote(), rule), (true, Some(minutes(4))));
    assert!(!after_waiver(promote(), None).0, "credentials are no question");
    assert!(!after_waiver(scale(), rule).0);
    // A withdrawal in progress stays so; one that failed may be tried again.
    let withdrawal = |before: Withdrawal| {
        let status = Status::Blocked { why: "too much".to_owned(), rule, flag: None };
        let mut state = one(promote(), status);
        state.steps[0].withdrawal = Some(before);
        let waiver = crate::run::hard_cases::waiver(Rule::ExposureAboveRpo, Dur::mins(60));
        say(&mut state, minutes(4), EventKind::Waived { waiver });
        state.steps[0].withdrawal.clone()
    };
    assert_eq!(withdrawal(Withdrawal::Asked), Some(Withdrawal::Asked));
    assert_eq!(withdrawal(Withdrawal::Failed("not told".to_owned())), None);
}

#[test]
fn only_a_step_that_is_open_takes_longer_than_it_may() {
    let overdue = || EventKind::Overdue {
        step: "a".into(),
        since: minutes(1),
        why: "slow".to_owned(),
        flag: "wait".to_owned(),
    };
    let at = |status: Status| {
        let mut state = accepted(standby());
        state.steps[0].work.status = status;
        state
    };
    assert!(takes(accepted(standby()), overdue()));
    for status in [DONE, Status::Failed, Status::Calling] {
        assert!(!takes(at(status.clone()), overdue()), "{status:?}");
    }
}

#[test]
fn whoever_takes_a_run_over_asks_for_a_promotion_that_waited_for_a_person_as_one_in_doubt() {
    let taken_over = |action: Action, status: Status| {
        let mut state = accepted(action);
        state.steps[0].work.status = status;
        say(&mut state, minutes(9), EventKind::EpochTaken { epoch: 2, owner: "b".to_owned() });
        matches!(state.steps[0].work.status, Status::InDoubt { since } if since == minutes(1))
    };
    let blocked =
        || Status::Blocked { why: "too much".to_owned(), rule: Some(Rule::ExposureAboveRpo), flag: None };
    let awaits = || Status::Awaiting { answered_at: minutes(1), token: None };
    assert!(taken_over(standby(), blocked()));
    assert!(!taken_over(standby(), awaits()), "it is looked at, as before");
    assert!(!taken_over(scale(), blocked()), "a call that is missing for long had no effect");
}

#[test]
fn a_clock_that_was_set_back_between_two_processes_makes_a_growing_loss_unknown() {
    let basis = |epochs: u64, backward: Dur, later: Dur| {
        let mut state = one(scale(), DONE);
        let Fact::Exposure(mut taken) = exposure() else { panic!() };
        (taken.grows, taken.figure) = (true, Figure::new(SECOND, Basis::UpperBound));
        state.steps[0].facts = vec![Fact::Exposure(taken)];
        for epoch in 2..=epochs {
            say(&mut state, minutes(2), EventKind::EpochTaken { epoch, owner: "b".to_owned() });
        }
        let at = state.taken_at + later;
        say(&mut state, at, EventKind::ClockJumped { forward_ms: Dur::ZERO, backward_ms: backward });
        match &state.steps[0].facts[..] {
            [Fact::Exposure(taken)] => taken.figure.basis,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(basis(2, SECOND, Dur::ZERO), Basis::Unknown);
    assert_eq!(basis(1, SECOND, Dur::ZERO), Basis::UpperBound, "there was no process before");
    assert_eq!(basis(2, Dur::ZERO, Dur::ZERO), Basis::UpperBound);
    assert_eq!(basis(2, SECOND, SECOND), Basis::UpperBound, "within one process the time is known");
}
