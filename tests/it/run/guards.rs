//! A guard that was taken and can no longer be read, because of errors, no answer or garbage, or that somebody else holds. In each case
//! nothing is changed under it: after a resume, and from any moment of a run on.

use drctl::adapters::Cloud;
use drctl::adapters::sandbox::Sandbox;
use drctl::inventory::Observation;
use drctl::journal::Record;
use drctl::kinds::control::GuardState;
use drctl::kinds::shared::fence::FenceMethod;
use drctl::kinds::{Operation, State, Target};
use drctl::model::ids::{Digest, SiteName};
use drctl::model::ledger::Adopted;
use drctl::model::place::Place;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Rule, Waiver};
use drctl::record::action::{Action, Write};
use drctl::record::event::{Event, EventKind, Outcome, Signal};
use drctl::run::Stop;
use drctl::run::outcome::CallOutcome;
use drctl::run::state::Mode;
use drctl::world::World;
use futures_util::future::LocalBoxFuture;

use crate::run::cancel::until;
use crate::run::hard_cases::waiver;
use crate::run::judged_steps::refused;
use crate::run::late_effects;
use crate::run::resume::{estates, events};
use crate::support::rig::{BEGAN, Notes, Rehearsed, Rig, truststream};

/// The result of observing a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// An answer that is useless: an error, or something that is not a guard.
    Says(&'static str),
    /// No answer.
    Hangs,
    /// An answer that is seven seconds on its way each time.
    Late,
    /// Access denied.
    Denied,
    /// Nothing exists.
    Missing,
    /// Another run holds it.
    Anothers,
    /// Another run takes it one second later, while everything else needs a quarter of a minute to answer.
    TakenMeanwhile,
    /// For fences by security group instead of guards: the proof cannot be read.
    Unproven,
}

impl Look {
    /// Whether this result applies to the target.
    fn means(self, target: &Target) -> bool {
        match self {
            Self::Unproven => matches!(target, Target::Fence { method: FenceMethod::SecurityGroup, .. }),
            Self::TakenMeanwhile => true,
            _ => matches!(target, Target::Guard { .. }),
        }
    }
}

const UNREAD: [Look; 7] = [
    Look::Says("InternalError: We encountered an internal error. (500)"),
    Look::Says("the guard object prod/db.json does not contain a guard"),
    Look::Says(
        "the guard object prod/db.json does not contain a guard: it is larger than 4096 bytes, the most that drctl reads",
    ),
    Look::Says("dispatch failure: connection refused"),
    Look::Hangs,
    Look::Late,
    Look::Denied,
];

/// The result of observing guards, and during which time.
#[derive(Clone, Copy, Debug)]
pub struct Meddling {
    pub look: Look,
    pub from: Timestamp,
    pub to: Timestamp,
}

/// The sandbox, with modified observations of guards.
pub struct Meddled<'a> {
    pub sandbox: &'a Sandbox,
    pub world: &'a World,
    pub how: Option<Meddling>,
}

impl Cloud for Meddled<'_> {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        let now = self.world.now();
        let meant = |how: &Meddling| targets.iter().any(|target| how.look.means(target));
        let Some(how) = self.how.filter(|how| meant(how) && how.from <= now && now < how.to) else {
            return self.sandbox.observe(targets);
        };
        Box::pin(async move {
            if how.look == Look::TakenMeanwhile {
                return self.taken_meanwhile(targets, how.from + Dur::secs(1)).await;
            }
            let mut seen = self.sandbox.observe(targets).await;
            let value = |holder: Option<&str>| Observation::Value {
                state: State::Guard(GuardState { holder: holder.map(str::to_owned) }),
                observed_at: now,
                source: "test".to_owned(),
            };
            if how.look == Look::Late {
                self.world.sleep_until(now + Dur::secs(7)).await;
                return seen;
            }
            if how.look == Look::Hangs {
                self.world.sleep_until(now + Dur::mins(60)).await;
            }
            for (target, seen) in targets.iter().zip(&mut seen) {
                if !how.look.means(target) {
                    continue;
                }
                *seen = match how.look {
                    Look::Says(why) => Observation::Unobservable { since: now, why: why.to_owned() },
                    Look::Hangs => Observation::Unobservable { since: now, why: "nothing".to_owned() },
                    Look::Denied | Look::Unproven => refused(),
                    Look::Missing => value(None),
                    Look::Anothers | Look::TakenMeanwhile | Look::Late => value(Some("run of bob")),
                };
            }
            seen
        })
    }

    fn perform<'a>(&'a self, action: &'a Action, key: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        self.sandbox.perform(action, key)
    }
}

impl Meddled<'_> {
    async fn taken_meanwhile(&self, targets: &[Target], at: Timestamp) -> Vec<Observation> {
        let guards = targets.iter().any(|target| matches!(target, Target::Guard { .. }));
        if !guards {
            self.world.sleep_until(self.world.now() + Dur::secs(15)).await;
            return self.sandbox.observe(targets).await;
        }
        if self.world.now() < at {
            return self.sandbox.observe(targets).await;
        }
        let state = State::Guard(GuardState { holder: Some("run of bob".to_owned()) });
        let observed_at = self.world.now();
        let seen = Observation::Value { state, observed_at, source: "test".to_owned() };
        vec![seen; targets.len()]
    }
}

pub fn place() -> Place {
    let place = truststream().sites[&SiteName::new("us-east-1")].place.clone();
    Place { name: "guard".to_owned(), ..place }
}

fn guarded() -> Rig {
    Rig { guard: Some(place()), ..Rig::new(truststream(), "region-lost", 1) }
}

pub fn meddling(look: Look, from: Timestamp) -> Meddling {
    Meddling { look, from, to: from + Dur::secs(30 * 24 * 60 * 60) }
}

/// All actions under the guards, without those on the guards themselves.
pub fn deeds(notes: &Notes) -> Vec<Action> {
    let of = |bytes: &Vec<u8>| serde_json::from_slice::<Action>(bytes).ok();
    let guards = |a: &Action| matches!(a, Action::Write(Write::Guard { .. } | Write::ReleaseGuard { .. }));
    notes.iter().filter_map(|(_, bytes)| of(bytes)).filter(|action| !guards(action)).collect()
}

fn calls(all: &[Event]) -> Vec<(Timestamp, String)> {
    let call = |e: &Event| match &e.what {
        EventKind::CallIntended { step, .. } => Some((e.at, step.to_string())),
        _ => None,
    };
    let guards = |step: &str| step.starts_with("guard.") || step.starts_with("release.");
    all.iter().filter_map(call).filter(|(_, step)| !guards(step)).collect()
}

/// A run that waits with its guards held, before any promotion or move.
fn waiting(rig: &Rig) -> Rehearsed {
    until(rig, |what| matches!(what, EventKind::StepStarted { step } if step.as_str() == "hold.db"))
}

fn blocked(done: &Rehearsed) -> Option<&str> {
    match &done.ended.stop {
        Stop::Blocked(why) => Some(why),
        _ => None,
    }
}

#[test]
fn a_run_that_is_resumed_and_cannot_read_its_guard_changes_nothing() {
    let rig = guarded();
    let first = waiting(&rig);
    for look in UNREAD {
        let mut rig = Rig { meddling: Some(meddling(look, BEGAN)), ..rig.clone() };
        let (done, _) = rig.second(&first.records, &first.notes, &[], None).unwrap();
        assert_eq!(deeds(&done.notes).len(), deeds(&first.notes).len(), "{look:?}: {:?}", done.ended.stop);
        let why = blocked(&done).unwrap_or_else(|| panic!("{look:?}: {:?}", done.ended.stop));
        assert!(
            why.contains("cannot read the guard") && why.contains("Another run may have taken it over"),
            "{why}"
        );
        if let Look::Says(words) = look {
            assert!(why.contains(words), "{why}");
        }
        // The journal says what to do.
        let flag = events(&done).into_iter().find_map(|e| match e.what {
            EventKind::GateBlocked { rule: Some(Rule::GuardUnread), flag, .. } => flag,
            _ => None,
        });
        let flag = flag.unwrap();
        assert!(flag.starts_with("--waive guard-unread:") && flag.ends_with(" --reason TEXT"), "{flag}");

        // Once the guard can be read again, the run continues by itself.
        rig.meddling = None;
        let (done, _) = rig.second(&done.records, &done.notes, &[Signal::Resume], None).unwrap();
        assert_eq!(
            done.ended.state.mode,
            Mode::Finished(Outcome::Recovered),
            "{look:?}: {:?}",
            done.ended.stop
        );
        assert_eq!(done.truth.two_primaries_ms, Dur::ZERO);
    }
}

#[test]
fn a_person_goes_on_without_the_guard_by_its_name() {
    let rig = guarded();
    let first = waiting(&rig);
    let rig = Rig { meddling: Some(meddling(Look::Hangs, BEGAN)), ..rig };
    let waive = |rule| Signal::Waive { waiver: Waiver { accept_loss_ms: None, ..waiver(rule, Dur::ZERO) } };
    let (done, _) = rig.second(&first.records, &first.notes, &[waive(Rule::GuardUnread)], None).unwrap();
    // The guards cannot be released while they cannot be read; everything else was done.
    let did = deeds(&done.notes);
    assert!(did.iter().any(|a| matches!(a, Action::Op(Operation::Promote(_)))), "{:?}", done.ended.stop);
    assert!(did.iter().any(|a| matches!(a, Action::Op(Operation::Switch(_)))), "{:?}", done.ended.stop);
    let waived =
        |e: &Event| matches!(&e.what, EventKind::Waived { waiver } if waiver.rule == Rule::GuardUnread);
    assert!(events(&done).iter().any(waived));
    // A waiver of another rule does not apply.
    let (done, _) = rig.second(&first.records, &first.notes, &[waive(Rule::GuardHeld)], None).unwrap();
    assert_eq!(deeds(&done.notes).len(), deeds(&first.notes).len());
    assert!(blocked(&done).is_some(), "{:?}", done.ended.stop);
}

/// No waiver helps against a guard that somebody else is known to hold, and the passage of time does not return it.
#[test]
fn a_guard_that_is_anothers_is_lost_whatever_was_waived() {
    let rig = guarded();
    let first = waiting(&rig);
    for look in [Look::Anothers, Look::Missing] {
        let rig = Rig { meddling: Some(meddling(look, BEGAN)), ..rig.clone() };
        let waiver = Waiver { accept_loss_ms: None, ..waiver(Rule::GuardUnread, Dur::ZERO) };
        let letters = [Signal::Waive { waiver }];
        let (done, _) = rig.second(&first.records, &first.notes, &letters, None).unwrap();
        assert_eq!(deeds(&done.notes).len(), deeds(&first.notes).len(), "{look:?}");
        let lost = |e: &Event| matches!(&e.what, EventKind::GuardLost { .. });
        assert!(events(&done).iter().any(lost) && matches!(done.ended.stop, Stop::Failed(_)), "{look:?}");
    }
}

/// A run that an operator of another store adopted while it waited.
fn adopted(rig: Rig) -> Rig {
    let adopted = Adopted { entry: Digest::of_bytes(b"the entry in the other store"), by: "bob".to_owned() };
    Rig { adopted: Some(adopted), ..rig }
}

fn takes_over(action: &Action) -> bool {
    matches!(action, Action::Write(Write::Guard { holder, instead_of: Some(_), .. }) if holder.contains("of bob, adopted as"))
}

/// The other store takes the guards over before anything else. The first store may still have a process that drives the run.
#[test]
fn an_adopted_run_takes_its_guards_over_and_the_store_that_it_came_from_calls_nothing_more() {
    let rig = guarded();
    let first = waiting(&rig);
    let there = adopted(rig.clone());
    let (done, _) = there.second(&first.records, &first.notes, &[], None).unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    let adoptions = |done: &Rehearsed| {
        events(done).iter().filter(|e| matches!(e.what, EventKind::Adopted { .. })).count()
    };
    assert_eq!(adoptions(&done), 1);
    let of = |(_, bytes): &(Timestamp, Vec<u8>)| serde_json::from_slice::<Action>(bytes).ok();
    let new = &done.notes[first.notes.len()..];
    assert!(of(&new[0]).as_ref().is_some_and(takes_over), "{:?}", of(&new[0]));
    let taken = new.iter().filter(|note| of(note).as_ref().is_some_and(takes_over)).cloned();
    let notes: Notes = first.notes.iter().cloned().chain(taken).collect();
    let later = notes.last().map(|(at, _)| *at);
    let here = Rig { later, ..rig };
    let (lost, _) = here.second(&first.records, &notes, &[], None).unwrap();
    assert_eq!(deeds(&lost.notes).len(), deeds(&notes).len());
    let gone = |e: &Event| matches!(&e.what, EventKind::GuardLost { reason, .. } if reason.contains("of bob, adopted as"));
    assert!(events(&lost).iter().any(gone), "{:?}", lost.ended.stop);
    // The process of the other store dies right after it took the guards over. The next one goes on under the same name.
    let dead = until_of(&done, &first);
    let (again, _) = there.second(&dead, &notes, &[], None).unwrap();
    assert_eq!(again.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", again.ended.stop);
    assert_eq!(adoptions(&again), 1);
}

/// The journal of a run up to its adoption.
fn until_of(done: &Rehearsed, first: &Rehearsed) -> Vec<Record> {
    let all = events(done);
    let adopted = all.iter().position(|e| matches!(e.what, EventKind::Adopted { .. })).unwrap();
    assert!(adopted >= first.records.len());
    done.records[..=adopted].to_vec()
}

/// The guards cannot be read when the run is adopted, and later they still name the store that it came from.
#[test]
fn an_adopted_run_calls_nothing_before_it_took_its_guards_over() {
    let rig = guarded();
    let first = waiting(&rig);
    let began = first.ended.state.last_at.max(BEGAN);
    for to in [began + Dur::secs(20), began + Dur::secs(30 * 24 * 60 * 60)] {
        let how = Meddling { look: UNREAD[0], from: BEGAN, to };
        let there = Rig { meddling: Some(how), later: Some(began), ..adopted(rig.clone()) };
        let (done, _) = there.second(&first.records, &first.notes, &[], None).unwrap();
        assert_eq!(deeds(&done.notes).len(), deeds(&first.notes).len(), "{:?}", done.ended.stop);
        assert!(
            blocked(&done).is_some_and(|why| why.contains("cannot read the guard")),
            "{:?}",
            done.ended.stop
        );
        let rig = Rig { later: Some(done.ended.state.last_at + Dur::secs(1)), ..adopted(rig.clone()) };
        let (again, _) = rig.second(&done.records, &done.notes, &[Signal::Resume], None).unwrap();
        assert_eq!(again.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", again.ended.stop);
    }
}

/// From every moment on: earlier calls may still take effect, but no new call is made.
#[test]
fn from_any_moment_on_nothing_is_called_under_a_guard_that_is_not_read() {
    let rig = guarded();
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(whole.ended.state.mode, Mode::Finished(Outcome::Recovered));
    let of_all = calls(&events(&whole));
    let first = of_all.first().unwrap().0;
    let mut stopped = 0;
    for look in UNREAD.into_iter().chain([Look::Missing, Look::Anothers]) {
        for (at, before) in &of_all {
            // The observations for the call at this moment were made before it.
            let from = Timestamp::from_millis(at.millis() - 1);
            let rig = Rig { meddling: Some(meddling(look, from.max(first))), ..rig.clone() };
            let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
            let late: Vec<_> = calls(&events(&done))
                .into_iter()
                .filter(|(called, _)| *called > from + Dur::secs(5))
                .collect();
            assert!(late.is_empty(), "{look:?} from {before} on: {late:?}");
            assert_eq!(done.truth.two_primaries_ms, Dur::ZERO, "{look:?} from {before} on");
            let more = of_all.iter().any(|(later, _)| *later > from + Dur::secs(5));
            let finished = matches!(done.ended.stop, Stop::Finished);
            assert!(!more || !finished, "{look:?} from {before} on: {:?}", done.ended.stop);
            stopped += usize::from(!finished);
        }
    }
    assert!(stopped >= UNREAD.len() * 3, "{stopped} of {} stopped", of_all.len() * 8);
}

/// The guard answers at once and the target late. In between another run takes the guard: the answer from before allows no call.
#[test]
fn a_guard_that_is_taken_while_the_target_is_slow_to_answer_allows_no_call() {
    let rig = guarded();
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let mut lost = 0;
    for (at, before) in calls(&events(&whole)) {
        let from = Timestamp::from_millis(at.millis() - 1);
        let rig = Rig { meddling: Some(meddling(Look::TakenMeanwhile, from)), ..rig.clone() };
        let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
        let late: Vec<_> =
            calls(&events(&done)).into_iter().filter(|(called, _)| *called > from + Dur::secs(7)).collect();
        assert!(late.is_empty(), "from {before} on: {late:?}");
        lost += usize::from(events(&done).iter().any(|e| matches!(e.what, EventKind::GuardLost { .. })));
    }
    assert!(lost > 3, "{lost} runs lost a guard");
}

/// A short outage of the guard's bucket delays a run, but nothing more.
#[test]
fn a_guard_that_answers_again_in_time_stops_nothing() {
    let rig = guarded();
    let first = waiting(&rig);
    let began = first.ended.state.last_at.max(BEGAN);
    let how = Meddling { look: UNREAD[0], from: BEGAN, to: began + Dur::secs(6) };
    let rig = Rig { meddling: Some(how), later: Some(began), ..rig };
    let (done, _) = rig.second(&first.records, &first.notes, &[], None).unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
}

/// While the holder of the guard is unknown, nothing is undone either.
#[test]
fn a_cancelled_run_takes_nothing_back_under_a_guard_that_is_not_read() {
    let rig = Rig { guard: Some(place()), ..Rig::new(truststream(), "region-slow", 1) };
    let first =
        until(&rig, |what| matches!(what, EventKind::StepStarted { step } if step.as_str() == "hold.db"));
    for look in UNREAD {
        let rig = Rig { meddling: Some(meddling(look, BEGAN)), ..rig.clone() };
        let (done, _) = rig.cancel(&first.records, &first.notes, None);
        assert_eq!(deeds(&done.notes).len(), deeds(&first.notes).len(), "{look:?}: {:?}", done.ended.stop);
        assert!(!done.ended.state.finished(), "{look:?}");
        let words = format!("{:?}", done.ended.stop);
        assert!(
            words.contains("cannot read the guard") || words.contains("the holder of the guard is unknown"),
            "{look:?}: {words}"
        );
    }
}

/// A run that is about to withdraw a promotion, and a time before it reads the guard for that.
fn about_to_withdraw() -> (Rig, Timestamp) {
    let rig = Rig { guard: Some(place()), ..late_effects::rig(late_effects::HOST, Dur::mins(10)) };
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let withdraws = |e: &Event| matches!(e.what, EventKind::WithdrawIntended { .. }).then_some(e.at);
    let at = events(&whole).iter().find_map(withdraws).expect("it withdraws the promotion");
    // The answer about the guard was under way for a moment.
    (rig, Timestamp::from_millis(at.millis() - 1_000))
}

/// Another run may have promoted the standby that the withdrawal would stop.
#[test]
fn no_promotion_is_withdrawn_under_a_guard_that_is_lost_or_not_read() {
    let (rig, from) = about_to_withdraw();
    for look in UNREAD.into_iter().chain([Look::Missing, Look::Anothers]) {
        let rig = Rig { meddling: Some(meddling(look, from)), ..rig.clone() };
        let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
        let (state, all) = (&done.ended.state, events(&done));
        let withdrawals = late_effects::kinds(&all, |w| matches!(w, EventKind::WithdrawIntended { .. }));
        assert_eq!(withdrawals, 0, "{look:?}: {:?}", done.ended.stop);
        let reason = state.halted.clone().unwrap_or_else(|| panic!("{look:?}: {:?}", done.ended.stop));
        assert!(reason.contains("STILL IN DOUBT: promote.db"), "{look:?}: {reason}");
        let expected = match look {
            Look::Missing | Look::Anothers => "This run lost the guard of db, so drctl does not stop",
            _ => {
                "Check first that no other run has promoted the server. If none has, drctl runs resume run --waive guard-unread:db"
            }
        };
        assert!(reason.contains(expected), "{look:?}: {reason}");
    }
}

/// A person says that nobody else can have started a run.
#[test]
fn a_promotion_is_withdrawn_without_its_guard_by_the_guards_name() {
    let (rig, from) = about_to_withdraw();
    let rig = Rig { meddling: Some(meddling(Look::Denied, from)), ..rig };
    let first = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let waiver = Waiver { accept_loss_ms: None, ..waiver(Rule::GuardUnread, Dur::ZERO) };
    let (done, _) = rig.second(&first.records, &first.notes, &[Signal::Waive { waiver }], None).unwrap();
    let withdrawn = late_effects::kinds(&events(&done), |w| matches!(w, EventKind::Withdrawn { .. }));
    assert_eq!(withdrawn, 1, "{:?}", done.ended.stop);
}

/// A cancelled run, too. It ends, and its report says what may still happen.
#[test]
fn a_cancel_withdraws_nothing_under_the_guard_of_another_run() {
    let rig = Rig { guard: Some(place()), ..late_effects::rig(late_effects::HOST, Dur::mins(10)) };
    let asked = |what: &EventKind| matches!(what, EventKind::CallAnswered { step, .. } if step.as_str() == "promote.db");
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let all = events(&whole);
    let n = 1 + all.iter().position(|e| asked(&e.what)).unwrap();
    let notes = estates(&whole.notes, &all[..n]).pop().unwrap();
    let withdraws = |look: Option<Look>| {
        let rig = Rig { meddling: look.map(|look| meddling(look, BEGAN)), ..rig.clone() };
        let (done, _) = rig.cancel(&whole.records[..n], &notes, None);
        let state = &done.ended.state;
        (
            late_effects::kinds(&events(&done), |w| matches!(w, EventKind::WithdrawIntended { .. })),
            state.outstanding(state.last_at).iter().filter(|left| left.promotes().is_some()).count(),
        )
    };
    assert_eq!(withdraws(None), (1, 0));
    for look in [Look::Anothers, Look::Missing, Look::Denied, Look::Hangs] {
        assert_eq!(withdraws(Some(look)), (0, 1), "{look:?}");
    }
}
