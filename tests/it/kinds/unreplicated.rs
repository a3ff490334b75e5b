//! Data that a primary has and its standbys lack: no figure from the WAL includes it, whoever says how much was replicated.

use drctl::inventory::Observation;
use drctl::kinds::shared::database::{CaughtUp, DatabaseRole, DatabaseState};
use drctl::kinds::shared::fence::FenceMethod;
use drctl::kinds::shared::unreplicated::{Lost, Unreplicated};
use drctl::kinds::shared::wal::{Lsn, WalPoint};
use drctl::kinds::{Exposure, Fact, Operation, State};
use drctl::model::ids::StepId;
use drctl::model::intent::Intent;
use drctl::model::measure::Basis;
use drctl::model::time::Dur;
use drctl::record::action::{Action, Check};
use drctl::record::event::EventKind;
use drctl::run::RunState;
use drctl::run::exposure::measure;

use crate::kinds::planned_moves::moving;
use crate::planner::refusals::planned;
use crate::run::cancel::until;
use crate::run::resume::events;

/// Methods whose proof reads the server after writes have ended.
const CENSUS: [FenceMethod; 3] = [FenceMethod::Sql, FenceMethod::AllowConnections, FenceMethod::PgHba];

fn thing(what: Lost) -> Unreplicated {
    Unreplicated { what, name: "app.public.cache".to_owned(), detail: String::new() }
}

/// A switchover up to its caught-up standby, with this data from the proof of the fence, or only from the runbook.
fn measured(
    by_fence: Option<Vec<Unreplicated>>,
    planned: Vec<Unreplicated>,
    why: Option<&str>,
    by: FenceMethod,
) -> Exposure {
    let rig = moving(Intent::Switchover, "calm", 1);
    let until_there =
        until(&rig, |w| matches!(w, EventKind::StepFinished { step, .. } if step.as_str() == "caught-up.db"));
    let mut state = RunState::fold(&events(&until_there)).unwrap();
    for step in &mut state.runbook.steps {
        if let Action::Check(Check::Exposure { unreplicated, .. }) = &mut step.action {
            unreplicated.clone_from(&planned);
        }
    }
    let i = state.position(&StepId::new("caught-up.db")).unwrap();
    let Action::Op(Operation::CheckCaughtUp(CaughtUp { db })) = state.step(i).action.clone() else {
        panic!()
    };
    for fact in state.steps.iter_mut().flat_map(|at| &mut at.facts) {
        if let Fact::Fenced { unreplicated, unexplained, method, word, .. } = fact {
            match &by_fence {
                Some(found) => unreplicated.clone_from(found),
                None => *word = None,
            }
            *method = by;
            *unexplained = why.map(str::to_owned);
        }
    }
    let end = state.fenced_end(&db.component).unwrap();
    let seen = DatabaseState {
        role: DatabaseRole::Replica { source: "x".to_owned() },
        wal: Some(WalPoint { position: Lsn(end.position.0 + 1_000), ..end }),
        fence_token: state.fence_token(&db.component).map(str::to_owned),
        ..DatabaseState::default()
    };
    measure(&state, &db.component, &seen, state.last_at)
}

#[test]
fn rows_that_no_log_has_make_a_measured_zero_a_lower_bound() {
    let zero = Some(Dur::ZERO);
    for ((by_fence, planned, basis), method) in [
        (Some(vec![]), vec![], Basis::Measured),
        (Some(vec![thing(Lost::Rows)]), vec![], Basis::LowerBound),
        (Some(vec![thing(Lost::Unseen)]), vec![], Basis::LowerBound),
        (
            Some(vec![thing(Lost::Expendable), thing(Lost::Slot), thing(Lost::Locked)]),
            vec![],
            Basis::Measured,
        ),
        // The reading after writes had ended counts; without it, the runbook's.
        (Some(vec![]), vec![thing(Lost::Rows)], Basis::Measured),
        // A database that the census could not read: what the runbook knows of it counts.
        (Some(vec![thing(Lost::Unseen)]), vec![thing(Lost::Rows)], Basis::LowerBound),
    ]
    .into_iter()
    .flat_map(|case| CENSUS.map(|method| (case.clone(), method)))
    {
        let exposure = measured(by_fence.clone(), planned.clone(), None, method);
        let figure = exposure.at(exposure.taken_at);
        assert_eq!((figure.value_ms, figure.basis), (zero, basis), "{method:?} {by_fence:?}");
        assert!(!figure.proves(Dur::mins(1)) || basis == Basis::Measured);
        // The RPO is about the WAL, so a cache table does not stop a failover.
        assert!(exposure.logged_at(exposure.taken_at).proves(Dur::ZERO));
        let named = exposure.because.contains("unlogged table app.public.cache has rows")
            || exposure.because.contains("whether it has unlogged tables");
        assert_eq!(named, basis == Basis::LowerBound, "{}", exposure.because);
        let planned_rows =
            exposure.because.contains("has rows") == planned.iter().any(Unreplicated::loses_rows);
        let unread = by_fence.iter().flatten().any(|thing| thing.what == Lost::Unseen);
        assert!(planned_rows || !unread, "{}", exposure.because);
    }
    // Nobody read it after writes had ended: a server that is a replica by now has no word of the fence.
    let exposure = measured(None, vec![thing(Lost::Rows)], None, FenceMethod::Sql);
    assert!(exposure.because.contains("has rows"), "{}", exposure.because);
}

/// A promotion keeps a slot with `failover` only if the standby has synchronized it.
#[test]
fn a_failover_slot_that_the_standby_has_not_synchronized_is_lost() {
    let slot = Unreplicated { detail: "of app".to_owned(), name: "cdc".to_owned(), ..thing(Lost::Failover) };
    let on = |synced: Option<&[String]>| slot.on("db-east", synced).map(|lost| (lost.what, lost.words()));
    assert_eq!(on(Some(&["other".to_owned(), "cdc".to_owned()])), None);
    let (what, words) = on(Some(&["other".to_owned()])).unwrap();
    let begins = "logical slot cdc (of app; it has `failover`, but db-east has not synchronized it) does not exist on a standby";
    assert!(what == Lost::Slot && words.starts_with(begins), "{words}");
    let (what, words) = on(None).unwrap();
    assert!(what == Lost::Failover && words.contains("only if the standby has synchronized it"), "{words}");
    let plain = thing(Lost::Slot);
    assert_eq!(plain.on("db-east", Some(std::slice::from_ref(&plain.name))), Some(plain.clone()));
}

/// The runbook names it before the approval.
#[test]
fn a_failover_slot_is_in_the_runbook_unless_the_target_has_it() {
    let noted = |synced: Option<Vec<String>>| {
        let rig = moving(Intent::Failover, "calm", 1);
        let mut estate = rig.observed();
        for entry in estate.entries.values_mut() {
            let Observation::Value { state: State::Database(db), .. } = &mut entry.now else { continue };
            match db.is_replica() {
                false => db.unreplicated = vec![thing(Lost::Failover)],
                true => db.synced_slots.clone_from(&synced),
            }
        }
        planned(rig.plan.clone(), estate, "east").unwrap().notes.join("; ")
    };
    assert!(noted(Some(vec![])).contains("has not synchronized it"));
    assert!(noted(None).contains("only if the standby has synchronized it"));
    assert!(!noted(Some(vec![thing(Lost::Failover).name])).contains("logical slot"));
}

#[test]
fn a_bound_with_rows_beside_it_is_unknown() {
    let mut exposure =
        measured(Some(vec![thing(Lost::Rows)]), vec![], Some("3 transactions ended"), FenceMethod::Sql);
    assert!(exposure.because.contains("3 transactions ended"), "{}", exposure.because);
    exposure.figure.basis = Basis::UpperBound;
    assert_eq!(exposure.at(exposure.taken_at).basis, Basis::Unknown);
}
