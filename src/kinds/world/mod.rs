//! The world in which simulated kinds meet: what time it is, who reaches whom, what resolves to what, and what is due. A simulated kind
//! knows this world, and no other kind.

pub mod agenda;
pub mod answer;
pub mod chance;
pub mod feed;
pub mod heap;
pub mod names;
mod network;
pub mod scenario;

use std::collections::{BTreeMap, BTreeSet};

use self::heap::{Calls, Heap, Owner};
use self::names::{NamesOfZone, SecretRoute};
use self::scenario::Scenario;
use crate::kinds::operation::Operation;
use crate::kinds::shared::secret::login::ClientSecret;
use crate::model::ids::SiteName;
use crate::model::time::{Dur, Timestamp};

/// The world of one simulation.
pub struct SimulatedWorld {
    /// What fails.
    pub scenario: Scenario,
    /// The seed of everything that is drawn.
    pub seed: u64,
    /// When it began.
    pub began: Timestamp,
    /// The current time.
    pub now: Timestamp,
    /// How far the clock of the observer is ahead, in milliseconds.
    pub ahead_ms: i64,
    /// The site that is lost in the scenario.
    pub home: SiteName,
    /// Where the application was active at the beginning.
    pub active: SiteName,
    /// All sites.
    pub sites: BTreeSet<String>,
    /// Whether the clients in the lost site have stopped writing.
    pub clients_gone: bool,
    /// What names resolve to.
    pub names: Vec<NamesOfZone>,
    /// Where secrets lead clients.
    pub ways: BTreeMap<ClientSecret, SecretRoute>,
    lost_at: Option<Timestamp>,
    back: bool,
    /// Whether the servers of the lost site are gone, too.
    dead: bool,
    heap: Heap,
    calls: Calls,
}

impl SimulatedWorld {
    /// A world in which nothing has failed yet.
    pub fn new(
        scenario: Scenario,
        seed: u64,
        began: Timestamp,
        (home, active): (SiteName, SiteName),
    ) -> Self {
        Self {
            scenario,
            seed,
            began,
            now: began,
            ahead_ms: 0,
            home,
            active,
            sites: BTreeSet::new(),
            clients_gone: false,
            names: Vec::new(),
            ways: BTreeMap::new(),
            lost_at: None,
            back: false,
            dead: false,
            heap: Heap::default(),
            calls: Calls::default(),
        }
    }

    /// A random number that depends only on the seed and on `what`.
    pub fn roll(&self, what: &[&str], below: u64) -> u64 {
        chance::roll(self.seed, what, below)
    }

    /// The current time by the clock of the observer.
    pub fn looked(&self) -> Timestamp {
        self.by_observer(self.now)
    }

    /// A time by the clock of the observer.
    pub fn by_observer(&self, at: Timestamp) -> Timestamp {
        moved(at, self.ahead_ms)
    }

    /// The next event that is due by a time, with its owner. The time moves to it.
    pub fn next_due(&mut self, by: Timestamp) -> Option<(Owner, u64)> {
        let (at, owner, event) = self.heap.pop(by)?;
        self.now = self.now.max(at);
        Some((owner, event))
    }

    /// Schedules a call that takes effect after its caller gave up.
    pub fn call_later(&mut self, at: Timestamp, op: Operation) {
        let event = self.heap.push(at, Owner::Call);
        self.calls.insert(event, op);
    }

    /// A scheduled call that takes effect now, unless it was lost.
    pub fn take_call(&mut self, event: u64) -> Option<Operation> {
        self.calls.remove(&event)
    }

    /// The scheduled calls for which this holds are lost.
    pub fn lose_calls(&mut self, lost: impl Fn(&Operation) -> bool) {
        self.calls.retain(|_, op| !lost(op));
    }

    /// The fields with the endpoint in a secret.
    pub fn leads(&self, secret: &ClientSecret) -> Option<&BTreeMap<String, String>> {
        self.ways.get(secret).map(|way| &way.fields)
    }

    /// The time of an event some time from now.
    pub fn after(&self, ms: u64) -> Timestamp {
        self.now + Dur(ms)
    }
}

/// A time, moved by this many milliseconds.
pub fn moved(at: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_millis(at.millis().saturating_add(by))
}
