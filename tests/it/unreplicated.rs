//! Data that a primary has and its standbys lack: no figure from the WAL includes it, whoever says how much was replicated.

use drctl::kinds::shared::database::{CaughtUp, DatabaseRole, DatabaseState};
use drctl::kinds::shared::unreplicated::{Lost, Unreplicated};
use drctl::kinds::shared::wal::{Lsn, WalPoint};
use drctl::kinds::{Exposure, Fact, Operation};
use drctl::model::ids::StepId;
use drctl::model::intent::Intent;
use drctl::model::measure::Basis;
use drctl::model::time::Dur;
use drctl::record::action::{Action, Check};
use drctl::record::event::EventKind;
use drctl::run::RunState;
use drctl::run::exposure::measure;

use crate::cancelled::until;
use crate::moves::moving;
use crate::resume::events;

fn thing(what: Lost) -> Unreplicated {
    Unreplicated { what, name: "app.public.cache".to_owned(), detail: String::new() }
}

/// A switchover up to its caught-up standby, with this data from the proof of the fence, or only from the runbook.
fn measured(by_fence: Option<Vec<Unreplicated>>, planned: Vec<Unreplicated>, why: Option<&str>) -> Exposure {
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
        if let Fact::Fenced { unreplicated, unexplained, method, .. } = fact {
            match &by_fence {
                Some(found) => unreplicated.clone_from(found),
                None => *method = drctl::kinds::shared::fence::FenceMethod::SecurityGroup,
            }
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
    for (by_fence, planned, basis) in [
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
        (None, vec![thing(Lost::Rows)], Basis::LowerBound),
    ] {
        let exposure = measured(by_fence.clone(), planned, None);
        let figure = exposure.at(exposure.taken_at);
        assert_eq!((figure.value_ms, figure.basis), (zero, basis), "{by_fence:?}");
        assert!(!figure.proves(Dur::mins(1)) || basis == Basis::Measured);
        // The RPO is about the WAL, so a cache table does not stop a failover.
        assert!(exposure.logged_at(exposure.taken_at).proves(Dur::ZERO));
        let named = exposure.because.contains("unlogged table app.public.cache has rows")
            || exposure.because.contains("whether it has unlogged tables");
        assert_eq!(named, basis == Basis::LowerBound, "{}", exposure.because);
    }
}

#[test]
fn a_bound_with_rows_beside_it_is_unknown() {
    let mut exposure = measured(Some(vec![thing(Lost::Rows)]), vec![], Some("3 transactions ended"));
    assert!(exposure.because.contains("3 transactions ended"), "{}", exposure.because);
    exposure.figure.basis = Basis::UpperBound;
    assert_eq!(exposure.at(exposure.taken_at).basis, Basis::Unknown);
}
