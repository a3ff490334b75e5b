//! Signs of life of old primaries: how often drctl checks, and with how many calls.

use std::cell::RefCell;

use drctl::adapters::Cloud;
use drctl::executor::sentry::{Sentries, watch};
use drctl::executor::{Patience, Session, Silent, survey};
use drctl::inventory::Observation;
use drctl::journal::memory::MemoryJournal;
use drctl::kinds::shared::database::{AliveState, DatabaseRef};
use drctl::kinds::{Operation, State, Target};
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Rule;
use drctl::record::action::Action;
use drctl::run::RunState;
use drctl::run::outcome::CallOutcome;
use drctl::world::World;
use futures_util::future::LocalBoxFuture;

use crate::run::hard_cases::waiver;
use crate::support::rig::{BEGAN, Rig, truststream};

/// A region that is a black hole until it is back.
struct BlackHole<'a> {
    world: &'a World,
    back: Timestamp,
    asked: RefCell<Vec<(Timestamp, Vec<Target>)>>,
}

impl Cloud for BlackHole<'_> {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        let now = self.world.now();
        self.asked.borrow_mut().push((now, targets.to_vec()));
        Box::pin(async move {
            if now < self.back {
                self.world.sleep_until(now + Dur::mins(1)).await;
            }
            let state = State::Alive(AliveState { who: "it".to_owned() });
            let seen = Observation::Value { state, observed_at: now, source: "test".to_owned() };
            vec![seen; targets.len()]
        })
    }

    fn perform<'a>(&'a self, action: &'a Action, _: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        panic!("{action}")
    }
}

/// Does something with a cloud that answers from this time after the start.
fn with<T>(back: Dur, work: impl AsyncFnOnce(&Session<'_>, &BlackHole<'_>) -> T) -> T {
    let (world, sandbox) = Rig::new(truststream(), "calm", 1).stage();
    let cloud = BlackHole { world: &world, back: BEGAN + back, asked: RefCell::default() };
    let (journal, none) = (MemoryJournal::default(), || 0);
    let session = Session {
        journal: &journal,
        cloud: &cloud,
        prober: &sandbox,
        world: &world,
        view: &Silent,
        interrupts: &none,
        patience: Patience::Stop,
    };
    world.block_on(work(&session, &cloud))
}

/// A run with a pending fence, and its old primary.
fn owing() -> (RunState, DatabaseRef) {
    let waivers = vec![waiver(Rule::UnfencedPromotion, Dur::mins(20))];
    let rig = Rig { waivers, ..Rig::new(truststream(), "region-dark", 1) };
    let state = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}")).ended.state;
    let old = state.runbook.steps.iter().find_map(|s| match &s.action {
        Action::Op(Operation::Fence(fence)) => Some(fence.db.clone()),
        _ => None,
    });
    (state, old.unwrap())
}

/// No answer comes, and no refusal either: the next check starts on its second all the same.
#[test]
fn a_check_that_hangs_delays_no_other() {
    let (state, _) = owing();
    let back = Dur(10_400);
    let (alive, asked) = with(back, async |session, cloud| {
        let post = Sentries::default().posted(&state, 1).remove(0);
        let sign = watch(session, post).await.expect("a sign of life");
        assert!(sign.was_silent);
        let asked: Vec<_> = cloud.asked.borrow().iter().map(|(at, _)| at.since(BEGAN)).collect();
        (session.world.now().since(BEGAN), asked)
    });
    assert_eq!(asked, (0..=11).map(Dur::secs).collect::<Vec<_>>());
    assert!(alive.minus(back) < Dur::secs(1), "seen {} after it was back", alive.minus(back));
}

/// The answer of a service counts for all its servers in a region, whatever the plans call the site.
#[test]
fn two_debts_of_one_region_make_one_call_for_each_check() {
    let old = DatabaseRef { endpoint: None, ..owing().1 };
    let mut other = DatabaseRef { id: "another".to_owned(), ..old.clone() };
    other.place.name = "another".to_owned();
    let calls = |db: &[&DatabaseRef]| {
        let targets: Vec<_> = db.iter().flat_map(|db| Target::signs_of(db)).collect();
        with(Dur::ZERO, async |session, cloud| {
            let seen = survey::look(session, &targets, Dur::secs(2)).await;
            assert_eq!(seen.len(), targets.len());
            cloud.asked.borrow().iter().map(|(_, of)| of.len()).collect::<Vec<_>>()
        })
    };
    assert_eq!(calls(&[&old, &other]), [2]);
    let far = |db: &DatabaseRef| {
        let mut far = db.clone();
        far.place.region = "eu-west-1".to_owned();
        far
    };
    assert_eq!(calls(&[&old, &far(&other)]), [1, 1]);
    // A server is checked by itself: one without an answer delays no other.
    let reached =
        |db: &DatabaseRef| DatabaseRef { endpoint: Some(format!("{}:5432/app", db.id)), ..db.clone() };
    let mut apart = calls(&[&reached(&old), &reached(&other)]);
    apart.sort_unstable();
    assert_eq!(apart, [1, 1, 2]);
}
