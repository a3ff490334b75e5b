//! A simulated estate in virtual time: the same plan, the same planner and executor, other adapters.
//!
//! How each kind behaves is in its own folder (`kinds/*/sim.rs`), and `kinds/world` is where simulated kinds meet. Around them, `estate`
//! moves the time and decides what becomes of a call, `stale` lets services lie, `scenario` names what fails, and `truth` records what really happened to users and writes. The truth is
//! separate from everything that drctl can observe, so that tests can compare reported figures with it.

mod build;
mod chronicle;
pub mod estate;
mod guards;
pub mod moment;
pub mod scenario;
mod stale;
pub mod truth;
mod users;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

pub use build::{active, feed};
pub use estate::Estate;
pub use truth::Truth;

use super::Cloud;
use crate::inventory::Observation;
use crate::kinds::Target;
use crate::kinds::world::answer::Refused;
use crate::kinds::world::feed::Feed;
use crate::kinds::world::scenario::Scenario;
use crate::model::again::Again;
use crate::model::time::{Dur, Timestamp};
use crate::plan::Plan;
use crate::probe::{Prober, Sample};
use crate::record::action::Action;
use crate::record::runbook::Probe;
use crate::run::outcome::CallOutcome;
use crate::world::World;
use scenario::Fate;
use stale::EarlierAnswers;

/// Records every change of the estate, and the time between changes without any bytes, so that a later process finds it in the same state.
pub type Keep = Box<dyn Fn(Timestamp, &[u8])>;

/// The simulated providers.
pub struct Sandbox {
    estate: Rc<RefCell<Estate>>,
    world: World,
    keep: RefCell<Option<Keep>>,
    /// The last time that was recorded.
    ticked: Cell<Timestamp>,
    told: RefCell<EarlierAnswers>,
}

impl Sandbox {
    /// An estate in which everything works until the scenario begins.
    pub fn new(plan: &Plan, scenario: Scenario, seed: u64, began: Timestamp, world: World) -> Self {
        Self::fed(plan, scenario, seed, began, world, None)
    }

    /// The same, but starting from an observation if there is one.
    pub fn fed(
        plan: &Plan,
        scenario: Scenario,
        seed: u64,
        began: Timestamp,
        world: World,
        feed: Option<&Feed>,
    ) -> Self {
        let estate = Rc::new(RefCell::new(build::estate(plan, scenario, seed, began, feed)));
        Self { estate, world, keep: RefCell::new(None), ticked: Cell::new(began), told: RefCell::default() }
    }

    /// Starts to record changes.
    pub fn keep(&self, keep: Keep) {
        *self.keep.borrow_mut() = Some(keep);
    }

    /// Repeats the recorded changes of an earlier process.
    pub fn replay(&self, notes: &[(Timestamp, Vec<u8>)]) {
        let mut estate = self.estate.borrow_mut();
        estate.taken_up = Some(self.world.now());
        let mut notes: Vec<_> = notes.iter().collect();
        // A late effect is recorded before it happens.
        notes.sort_by_key(|(at, _)| *at);
        for (at, bytes) in notes {
            if let Ok(action) = serde_json::from_slice::<Action>(bytes) {
                estate.advance(*at);
                let _ = estate.apply(&action);
            }
        }
    }

    /// Starts a new run at this time.
    pub fn anew(&self, at: Timestamp) {
        let mut estate = self.estate.borrow_mut();
        estate.advance(at);
        estate.forget();
    }

    /// Schedules the late effect of a call whose caller is gone.
    pub fn expect(&self, at: Timestamp, action: &Action) {
        self.estate.borrow_mut().later(at, action.clone());
    }

    /// Starts to record the state of the estate at each instant.
    pub fn watch(&self) {
        self.estate.borrow_mut().chronicle();
    }

    /// The recorded states.
    pub fn chronicle(&self) -> Vec<moment::Moment> {
        self.estate.borrow().moments.clone().unwrap_or_default()
    }

    /// What really happened until now.
    pub fn truth(&self) -> Truth {
        let mut estate = self.estate.borrow_mut();
        self.advance(&mut estate, Dur::ZERO);
        estate.truth()
    }

    /// The same some time later, after the late effects of abandoned calls. The sandbox must not be used afterwards.
    pub fn afterwards(&self, later: Dur) -> Truth {
        let mut estate = self.estate.borrow_mut();
        self.advance(&mut estate, later);
        estate.truth()
    }

    fn advance(&self, estate: &mut Estate, later: Dur) {
        estate.world.ahead_ms = self.world.ahead_ms();
        estate.advance(self.world.real() + later);
    }

    async fn pause(&self, ms: u64) {
        self.world.sleep_until(self.world.now() + Dur(ms)).await;
        self.advance(&mut self.estate.borrow_mut(), Dur::ZERO);
        self.tick();
    }

    /// Records the time once in a real second, so that the clock that a person watched does not go back after the process was killed.
    fn tick(&self) {
        let (now, keep) = (self.world.real(), self.keep.borrow());
        let (Some(pace), Some(keep)) = (self.world.pace(), keep.as_ref()) else { return };
        if now.since(self.ticked.get()).as_secs_f64() >= pace {
            self.ticked.set(now);
            keep(now, &[]);
        }
    }

    fn note(&self, action: &Action) {
        if let Some(keep) = self.keep.borrow().as_ref() {
            keep(self.world.real(), &serde_json::to_vec(action).unwrap_or_default());
        }
    }

    fn act(&self, action: &Action) -> CallOutcome {
        let done = self.estate.borrow_mut().apply(action);
        match done {
            Ok(token) => {
                self.note(action);
                CallOutcome::Accepted { token }
            }
            Err(Refused { code, why, again }) => CallOutcome::Refused { code: code.to_owned(), why, again },
        }
    }
}

impl Cloud for Sandbox {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        Box::pin(async move {
            let wait = {
                let mut estate = self.estate.borrow_mut();
                self.advance(&mut estate, Dur::ZERO);
                targets.iter().map(|t| estate.answer_time(t)).max().unwrap_or(0)
            };
            self.pause(wait).await;
            let estate = self.estate.borrow();
            let mut told = self.told.borrow_mut();
            targets.iter().map(|t| told.again(&estate, t, estate.observe(t))).collect()
        })
    }

    fn perform<'a>(&'a self, action: &'a Action, key: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        Box::pin(async move {
            let (wait, fate) = {
                let mut estate = self.estate.borrow_mut();
                self.advance(&mut estate, Dur::ZERO);
                estate.fate(action, key)
            };
            self.pause(wait).await;
            match fate {
                Fate::Answered => self.act(action),
                Fate::Throttled => CallOutcome::Refused {
                    code: "Throttling".to_owned(),
                    why: "Rate exceeded".to_owned(),
                    again: Again::Later,
                },
                Fate::Unavailable => CallOutcome::Refused {
                    code: "ServiceUnavailable".to_owned(),
                    why: "the service is unavailable".to_owned(),
                    again: Again::Later,
                },
                Fate::NotSent => CallOutcome::NotSent { why: "connection refused".to_owned() },
                Fate::Lost => CallOutcome::InDoubt { why: "no answer within 10s".to_owned() },
                Fate::AppliedUnanswered => {
                    self.act(action);
                    CallOutcome::InDoubt { why: "the connection broke before the answer".to_owned() }
                }
                Fate::Late(after) => {
                    let at = self.estate.borrow().world.now + after;
                    self.estate.borrow_mut().later(at, action.clone());
                    self.note_late(after, action);
                    CallOutcome::InDoubt { why: "no answer within 10s".to_owned() }
                }
            }
        })
    }
}

impl Sandbox {
    /// Records a late effect with its time.
    fn note_late(&self, after: Dur, action: &Action) {
        if let Some(keep) = self.keep.borrow().as_ref() {
            keep(self.world.real() + after, &serde_json::to_vec(action).unwrap_or_default());
        }
    }
}

impl Prober for Sandbox {
    fn sample<'a>(&'a self, probe: &'a Probe) -> LocalBoxFuture<'a, Sample> {
        Box::pin(async move {
            let sent_at = self.world.now();
            let good = {
                let mut estate = self.estate.borrow_mut();
                self.advance(&mut estate, Dur::ZERO);
                estate.probe(probe)
            };
            // A lost region swallows packets: the probe waits for its timeout.
            self.pause(if good { 40 } else { probe.timeout_ms.millis() }).await;
            let detail =
                if good { "200".to_owned() } else { format!("no answer within {}", probe.timeout_ms) };
            Sample { sent_at, good: Some(good), detail }
        })
    }
}
