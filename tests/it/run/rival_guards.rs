//! One guard and two operators, each with a store and a clock of their own. Whoever took the guard holds it, whatever the two clocks show,
//! until a person takes it over by name. From then on, the other run changes nothing, whether it can read the guard or not.

use drctl::kinds::Operation;
use drctl::model::ids::{RunId, SiteName, StepId};
use drctl::model::time::Dur;
use drctl::model::waiver::{Rule, Waiver};
use drctl::record::action::{Action, Write};
use drctl::record::event::{EventKind, Outcome, Signal};
use drctl::run::Stop;
use drctl::run::state::Mode;

use crate::run::guards::{Look, deeds, meddling, place};
use crate::run::hard_cases::{three_sites, waiver};
use crate::run::resume::events;
use crate::support::rig::{BEGAN, Notes, Rehearsed, Rig, plan};

const GATE: &str = "gates:\n  go: {at: promote, approval: \"may we?\", expires_after: 24h}\n";

const UNREAD: [Look; 4] = [
    Look::Says("InternalError: We encountered an internal error. (500)"),
    Look::Hangs,
    Look::Says("the guard object prod/db.json does not contain a guard"),
    Look::Says(
        "the guard object prod/db.json does not contain a guard: it is larger than 4096 bytes, the most that drctl reads",
    ),
];

/// The objective leaves room for a loss that nobody can measure with clocks that differ by hours.
fn operator(gates: &str) -> Rig {
    let text = three_sites().text.replace("rpo: 5m", "rpo: 24h") + gates;
    Rig { guard: Some(place()), ..Rig::new(plan(&text), "region-lost", 1) }
}

/// The first operator's run, which holds its guards and waits for an approval.
fn waiting() -> (Rig, Rehearsed) {
    let rig = operator(GATE);
    let first = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    assert!(matches!(first.ended.stop, Stop::Approval(_)), "{:?}", first.ended.stop);
    assert_eq!(first.ended.state.guards().len(), 2);
    assert_eq!(promoted(&first.notes), Vec::<String>::new());
    (rig, first)
}

/// Somebody else approves, and the run is resumed.
fn approved(first: &Rehearsed) -> [Signal; 2] {
    let runbook = first.ended.state.created.runbook_digest.clone();
    [Signal::Approve { step: StepId::new("approve.go"), runbook }, Signal::Resume]
}

/// The second operator, who recovers in the third site.
fn other(waivers: Vec<Waiver>) -> Rig {
    Rig { run: RunId::new("other"), to: Some(SiteName::new("zold")), waivers, ..operator("") }
}

/// The second operator's run, one minute after the first one began to wait.
fn starts(rig: &Rig, first: &Rehearsed, ahead_ms: i64) -> Rehearsed {
    let at = first.ended.state.last_at + Dur::mins(1);
    rig.starts_beside(&first.notes, at, ahead_ms).unwrap_or_else(|r| panic!("{ahead_ms}: {r:#?}"))
}

fn take_over() -> Vec<Waiver> {
    vec![Waiver { accept_loss_ms: None, ..waiver(Rule::GuardHeld, Dur::ZERO) }]
}

fn actions(notes: &Notes) -> impl Iterator<Item = Action> + '_ {
    notes.iter().filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok())
}

/// The servers that were promoted.
fn promoted(notes: &Notes) -> Vec<String> {
    let server = |action: Action| match action {
        Action::Op(Operation::Promote(promote)) => Some(promote.db.id),
        _ => None,
    };
    actions(notes).filter_map(server).collect()
}

/// Who took guards, in order, and instead of whom.
fn takers(notes: &Notes) -> Vec<(String, Option<String>)> {
    let taker = |action: Action| match action {
        Action::Write(Write::Guard { holder, instead_of, .. }) => Some((holder, instead_of)),
        _ => None,
    };
    actions(notes).filter_map(taker).collect()
}

/// The estate before the second operator's run released its guards.
fn unreleased(notes: &Notes) -> Notes {
    let releases =
        |bytes: &[u8]| matches!(serde_json::from_slice(bytes), Ok(Action::Write(Write::ReleaseGuard { .. })));
    notes.iter().filter(|(_, bytes)| !releases(bytes)).cloned().collect()
}

/// The reasons for which a run gave its guards up.
fn lost(done: &Rehearsed) -> Vec<String> {
    let reason = |what: EventKind| match what {
        EventKind::GuardLost { reason, .. } => Some(reason),
        _ => None,
    };
    events(done).into_iter().filter_map(|event| reason(event.what)).collect()
}

/// The run made no call since the estate had the changes in `notes`.
fn changed_nothing(done: &Rehearsed, notes: &Notes, context: &str) {
    assert_eq!(deeds(&done.notes), deeds(notes), "{context}: {:?}", done.ended.stop);
    assert_eq!(takers(&done.notes), takers(notes), "{context}");
    assert_eq!(done.truth.two_primaries_ms, Dur::ZERO, "{context}");
    assert!(!done.ended.state.finished(), "{context}: {:?}", done.ended.stop);
}

/// A waits for an approval and holds its guards. B takes them over, recovers in the third site and is done. Then somebody approves A.
#[test]
fn a_run_whose_guards_were_taken_over_promotes_nothing_and_moves_no_name() {
    let (rig, first) = waiting();
    let letters = approved(&first);
    // The approval is good: alone, the run goes on.
    let (alone, _) = rig.second(&first.records, &first.notes, &letters, None).unwrap();
    assert_eq!(alone.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", alone.ended.stop);
    assert_eq!(promoted(&alone.notes), ["db-e"]);

    let theirs = starts(&other(take_over()), &first, 0);
    assert_eq!(theirs.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", theirs.ended.stop);
    assert_eq!(promoted(&theirs.notes), ["db-z"]);
    let later = Some(theirs.ended.state.last_at + Dur::mins(1));
    let held = unreleased(&theirs.notes);
    for (notes, words) in
        [(&held, "other took over the guard of db"), (&theirs.notes, "somebody removed the guard of db")]
    {
        let rig = Rig { later, ..rig.clone() };
        for look in UNREAD {
            let context = format!("{look:?}, then: {words}");
            let unread = Rig { meddling: Some(meddling(look, BEGAN)), ..rig.clone() };
            let (done, _) = unread.second(&first.records, notes, &letters, None).unwrap();
            changed_nothing(&done, notes, &context);
            let said = match &done.ended.stop {
                Stop::Blocked(why) => why.clone(),
                other => panic!("{context}: {other:?}"),
            };
            assert!(said.contains("cannot read the guard of db"), "{context}: {said}");
            assert!(said.contains("Another run may have taken it over"), "{context}: {said}");
            // The guard can be read again, and it is not this run's.
            let (again, _) = rig.second(&done.records, &done.notes, &[Signal::Resume], None).unwrap();
            changed_nothing(&again, notes, &context);
            assert!(matches!(again.ended.stop, Stop::Failed(_)), "{context}: {:?}", again.ended.stop);
            assert!(lost(&again).iter().any(|why| why.contains(words)), "{context}: {:?}", lost(&again));
        }
        let (seen, _) = rig.second(&first.records, notes, &letters, None).unwrap();
        changed_nothing(&seen, notes, words);
        assert!(lost(&seen).iter().any(|why| why.contains(words)), "{words}: {:?}", lost(&seen));
    }
}

const TWO_HOURS: i64 = 2 * 60 * 60 * 1_000;

/// A guard does not age: it seems old to a clock that is two hours ahead, and to come from the future to one that is two hours behind.
#[test]
fn of_two_operators_whose_clocks_differ_by_hours_the_one_who_took_the_guard_holds_it() {
    let (rig, first) = waiting();
    for ahead_ms in [-TWO_HOURS, TWO_HOURS] {
        let theirs = starts(&other(Vec::new()), &first, ahead_ms);
        assert_eq!(theirs.notes, first.notes, "{ahead_ms}: {:?}", theirs.ended.stop);
        assert!(theirs.ended.state.guard_is_held(), "{ahead_ms}: {:?}", theirs.ended.stop);
        let Stop::Failed(why) = &theirs.ended.stop else { panic!("{ahead_ms}: {:?}", theirs.ended.stop) };
        let words = "run holds the guard of db. Only if that run is dead";
        assert!(why.contains(words), "{ahead_ms}: {why}");
        // The first run still holds it.
        let later = Some(first.ended.state.last_at + Dur::mins(10));
        let (done, _) = Rig { later, ..rig.clone() }
            .second(&first.records, &theirs.notes, &approved(&first), None)
            .unwrap();
        assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
        assert_eq!(lost(&done), Vec::<String>::new(), "{ahead_ms}");
    }
}

/// A person takes it over by name, and the first run does not take it back, however old the new holder's guard seems to it.
#[test]
fn a_guard_that_was_taken_over_with_another_clock_belongs_to_who_took_it_over() {
    let (rig, first) = waiting();
    for ahead_ms in [-TWO_HOURS, TWO_HOURS] {
        let theirs = starts(&other(take_over()), &first, ahead_ms);
        let taken = &takers(&theirs.notes)[takers(&first.notes).len()..];
        let over = ("other".to_owned(), Some("run".to_owned()));
        assert_eq!(taken, [over.clone(), over], "{ahead_ms}: {:?}", theirs.ended.stop);
        let notes = unreleased(&theirs.notes);
        let (done, _) = rig.second(&first.records, &notes, &approved(&first), None).unwrap();
        changed_nothing(&done, &notes, &format!("{ahead_ms}"));
        let words = "other took over the guard of db";
        assert!(lost(&done).iter().any(|why| why.contains(words)), "{ahead_ms}: {:?}", lost(&done));
    }
}
