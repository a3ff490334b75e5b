//! The simulated estate: servers, groups and zones whose changes take time. The caller moves the clock.

use std::collections::{BTreeMap, BTreeSet};

use super::moment::Moment;
use super::scenario::{Fate, Scenario, roll};
use super::server::{Db, Happens, Jobs};
use super::truth::Truth;
use crate::inventory::{Observation, active};
use crate::kinds::control::{CommandState, GuardState, IdentityState};
use crate::kinds::shared::capacity::Capacity;
use crate::kinds::shared::database::{AliveState, DatabaseRef, Sign, WroteState};
use crate::kinds::shared::fence::Unfence;
use crate::kinds::shared::names::{
    ChangeState, ControlsRef, ObjectRef, Record, RecordSet, RecordsState, ZoneRef,
};
use crate::kinds::shared::promotion::Handover;
use crate::kinds::shared::secret::ClientSecret;
use crate::kinds::{Called, Operation, State, Target};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::place::Place;
use crate::model::readiness::{GrantedState, Quota, QuotasState};
use crate::model::time::{Dur, Timestamp};
use crate::record::action::Action;

/// What is scaled in a site.
pub(super) struct Pool {
    pub(super) site: SiteName,
    pub(super) component: ComponentName,
    pub(super) name: String,
    pub(super) target: Target,
    pub(super) capacity: Capacity,
    pub(super) coming: u32,
    /// Its state, as the provider of its kind tells it.
    pub(super) observed: fn(Capacity) -> State,
    /// The provider's words when it has too little.
    pub(super) shortage: &'static str,
}

/// The server to which a secret sends clients.
pub(super) struct Led {
    /// The database that the clients need.
    pub(super) of: ComponentName,
    pub(super) fields: BTreeMap<String, String>,
}

/// A hosted zone.
pub(super) struct Zone {
    pub(super) reference: ZoneRef,
    pub(super) records: Vec<Record>,
    pub(super) needs: BTreeSet<ComponentName>,
    /// Indexes of the databases and pools that it needs, by site.
    pub(super) servers: BTreeMap<SiteName, (Vec<usize>, Vec<usize>)>,
    /// The site to which each name points, by authoritative servers and by the users' resolvers. A name without exactly one site points to
    /// none.
    pub(super) published_to: Vec<Option<SiteName>>,
    pub(super) cached_to: Vec<Option<SiteName>>,
    /// As changed.
    pub(super) sets: Vec<RecordSet>,
    /// The answers of authoritative servers.
    pub(super) published: Vec<RecordSet>,
    /// The answers of the users' resolvers.
    pub(super) cached: Vec<RecordSet>,
    /// The object that moves it, and who put it there.
    pub(super) object: Option<(ObjectRef, Option<String>)>,
    /// The routing controls that move it, and the one that is `On`.
    pub(super) controls: Option<(ControlsRef, SiteName)>,
    /// If an object or routing controls move the zone: the record sets, which never change. `sets` then has equivalent sets.
    pub(super) as_made: Option<Vec<RecordSet>>,
    pub(super) changes: BTreeMap<String, ChangeState>,
}

impl Zone {
    /// Computes where its names point, after its sets changed.
    pub(super) fn follow(&mut self, static_too: bool) {
        let lead = |sets: &[RecordSet]| {
            let asked = self.records.iter().filter(|r| !r.is_static || static_too);
            asked.map(|r| active::answered_by(r, sets)).collect()
        };
        (self.published_to, self.cached_to) = (lead(&self.published), lead(&self.cached));
    }
}

/// A scheduled event that needs no call.
#[derive(Clone, Debug)]
pub(super) enum Transition {
    Lose,
    Return,
    Cut,
    Mended,
    ClockSet,
    ClientsGone,
    Modifying(usize),
    Promoted(usize, bool),
    Rejoined(usize, usize),
    Renamed(usize, String),
    Created(usize),
    Swapped(usize),
    Joined(usize),
    TakenOver(usize, Handover),
    Second(usize, usize),
    Instance(usize),
    Insync(usize, String),
    Refresh(usize),
    Noticed(usize),
    Isolation(usize, Happens),
    WorkerEnds(usize),
    Effect(Box<Action>),
}

/// The provider's answer: a token for watching the completion, or an error code and message.
pub(super) type Answer = Result<Option<String>, (&'static str, String)>;

/// Simulates everything that a plan names.
pub struct Estate {
    pub(super) scenario: Scenario,
    pub(super) seed: u64,
    pub(super) dbs: Vec<Db>,
    pub(super) pools: Vec<Pool>,
    pub(super) zones: Vec<Zone>,
    /// What nothing in a rehearsal changes, by the key of its target.
    pub(super) unchanged: BTreeMap<String, State>,
    /// The secrets that clients read.
    pub(super) secrets: BTreeMap<ClientSecret, Led>,
    pub(super) guard_names: BTreeSet<ComponentName>,
    pub(super) serves_static_only: bool,
    pub(super) began: Timestamp,
    pub(super) now: Timestamp,
    /// How far the clock of the observer is ahead, in milliseconds.
    pub(super) ahead_ms: i64,
    pub(super) home: SiteName,
    pub(super) sites: BTreeSet<String>,
    /// Where the application was active at the beginning.
    pub(super) active: SiteName,
    pub(super) lost_at: Option<Timestamp>,
    pub(super) back: bool,
    /// Whether the servers of the lost site are gone, too.
    pub(super) dead: bool,
    /// Whether the clients in the lost site have stopped writing.
    pub(super) clients_gone: bool,
    /// Replicas that lost their source.
    pub(super) cut_off: Vec<usize>,
    pub(super) guards: BTreeMap<ComponentName, String>,
    pub(super) pending: BTreeMap<(Timestamp, u64), Transition>,
    next: u64,
    calls: BTreeMap<String, u32>,
    /// When this process continued the work of an earlier one.
    pub(super) taken_up: Option<Timestamp>,
    pub(super) jobs: Jobs,
    /// Clusters in lost regions, with the writers that they must follow.
    pub(super) left: Vec<(usize, usize)>,
    pub(super) truth: Truth,
    pub(super) two_since: Option<Timestamp>,
    /// The recorded states, if a test asked for them.
    pub(super) moments: Option<Vec<Moment>>,
    pub(super) index: Index,
}

/// Indexes of resources, by ID and site.
#[derive(Default)]
pub(super) struct Index {
    pub(super) dbs: BTreeMap<(String, String), usize>,
    pub(super) pools: BTreeMap<String, usize>,
    pub(super) zones: BTreeMap<(String, String), usize>,
}

impl Estate {
    pub(super) fn empty(
        scenario: Scenario,
        seed: u64,
        began: Timestamp,
        (home, active): (SiteName, SiteName),
    ) -> Self {
        Self {
            scenario,
            seed,
            dbs: Vec::new(),
            pools: Vec::new(),
            zones: Vec::new(),
            unchanged: BTreeMap::new(),
            secrets: BTreeMap::new(),
            guard_names: BTreeSet::new(),
            serves_static_only: false,
            began,
            now: began,
            ahead_ms: 0,
            home,
            sites: BTreeSet::new(),
            active,
            lost_at: None,
            back: false,
            dead: false,
            cut_off: Vec::new(),
            clients_gone: false,
            guards: BTreeMap::new(),
            pending: BTreeMap::new(),
            next: 0,
            calls: BTreeMap::new(),
            taken_up: None,
            jobs: Jobs::new(),
            left: Vec::new(),
            truth: Truth::default(),
            two_since: None,
            moments: None,
            index: Index::default(),
        }
    }

    pub(super) fn schedule(&mut self, at: Timestamp, transition: Transition) {
        self.pending.insert((at, self.next), transition);
        self.next += 1;
    }

    /// Applies an effect after its caller gave up.
    pub(super) fn later(&mut self, after: Dur, action: Action) {
        self.schedule(self.now + after, Transition::Effect(Box::new(action)));
    }

    /// Ends the sessions of a server that stops. Their pending statements are lost.
    pub(super) fn end_sessions(&mut self, db: &DatabaseRef) {
        let by_sql = |a: &Action| matches!(a, Action::Op(Operation::Fence(f) | Operation::Unfence(Unfence(f))) if f.db.is(db) && f.method.tells_the_end());
        self.pending.retain(|_, due| !matches!(due, Transition::Effect(action) if by_sql(action)));
    }

    /// Runs all events that are due by `to`.
    pub fn advance(&mut self, to: Timestamp) {
        while let Some(entry) = self.pending.first_entry().filter(|e| e.key().0 <= to) {
            let ((at, _), transition) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(transition);
            self.note_users();
        }
        self.now = self.now.max(to);
    }

    fn happen(&mut self, transition: Transition) {
        match transition {
            Transition::Lose => self.lose(),
            Transition::Return => self.come_back(),
            Transition::Cut => self.cut(),
            Transition::Mended => self.mend(),
            Transition::ClockSet => {}
            Transition::ClientsGone => self.clients_gone = true,
            Transition::Modifying(db) => self.dbs[db].status = "modifying",
            Transition::Promoted(db, works) => {
                self.dbs[db].status = "available";
                if works {
                    self.comes_over(db);
                    self.dbs[db].frozen_at = Some(self.replayed(db));
                    self.wins(db);
                }
            }
            Transition::Rejoined(db, source) if self.is_between(db, source) => {
                self.schedule(self.now + Dur::secs(30), Transition::Rejoined(db, source));
            }
            Transition::Rejoined(db, source) => self.follow(db, source),
            Transition::Renamed(db, to) => self.renamed(db, &to),
            Transition::Created(db) => {
                self.dbs[db].status = "available";
                self.cut();
            }
            Transition::Swapped(db) => self.swapped(db),
            Transition::Joined(db) => self.joined(db),
            Transition::TakenOver(db, by) => self.taken_over(db, by),
            Transition::Second(db, writer) => self.second(db, writer),
            Transition::Instance(group) => self.instance(group),
            Transition::Insync(zone, id) => {
                self.zones[zone].changes.insert(id, ChangeState::Insync);
                self.publish(zone);
            }
            Transition::Refresh(zone) => {
                self.zones[zone].cached = self.zones[zone].published.clone();
                self.zones[zone].follow(self.serves_static_only);
            }
            Transition::Noticed(zone) => self.noticed(zone),
            Transition::Isolation(db, what) => self.happens(db, what),
            Transition::WorkerEnds(db) => self.worker_ends(db),
            Transition::Effect(action) => {
                let _ = self.apply(&action);
            }
        }
    }

    /// The server that another one replays. It is in another region, and may have the same name.
    pub(super) fn source(&self, of: &Db) -> Option<&Db> {
        let source = of.source.as_ref()?;
        self.dbs.iter().find(|d| d.reference.id == *source && d.site != of.site)
    }

    /// The last commit that a replica has replayed.
    pub(super) fn replayed(&self, db: usize) -> Timestamp {
        let of = &self.dbs[db];
        if let Some(frozen) = of.frozen_at {
            return frozen;
        }
        let end = self.source(of).and_then(|s| s.stopped_at).unwrap_or(self.now);
        end.min(self.now - of.lag)
    }

    /// The last write that a server acknowledged.
    pub(super) fn last_commit(&self, db: usize) -> Timestamp {
        if self.dbs[db].source.is_some() {
            self.replayed(db)
        } else {
            self.dbs[db].stopped_at.unwrap_or(self.now)
        }
    }

    /// The writes that old primaries acknowledged and a promoted replica never got. They grow while an old primary takes writes.
    pub(super) fn loss(&self, promoted: usize) -> Dur {
        let component = &self.dbs[promoted].reference.component;
        let kept = self.dbs[promoted].frozen_at.unwrap_or(self.now);
        let old = (0..self.dbs.len()).filter(|&i| {
            i != promoted && self.dbs[i].reference.component == *component && self.dbs[i].source.is_none()
        });
        old.map(|i| self.last_commit(i).since(kept)).max().unwrap_or_default()
    }

    /// Keeps the loss so far, whatever happens to the servers that had the writes.
    pub(super) fn settle_loss(&mut self, promoted: usize) {
        let (lost, component) = (self.loss(promoted), self.dbs[promoted].reference.component.clone());
        let so_far = self.truth.lost_ms.entry(component).or_default();
        *so_far = lost.max(*so_far);
    }

    /// The server now takes writes on its own history. The loss of an earlier promotion is final: later writes do not add to it.
    pub(super) fn wins(&mut self, promoted: usize) {
        let component = self.dbs[promoted].component;
        for i in (0..self.dbs.len()).filter(|&i| i != promoted) {
            if self.dbs[i].component == component && std::mem::take(&mut self.dbs[i].won) {
                self.settle_loss(i);
            }
        }
        let db = &mut self.dbs[promoted];
        (db.source, db.won) = (None, true);
        db.timeline += 1;
    }

    /// Starts a new run: the events so far belong to an earlier one.
    pub(super) fn forget(&mut self) {
        for db in &mut self.dbs {
            db.won = false;
        }
        self.truth = Truth::default();
        self.two_since = None;
        self.moments = self.moments.take().map(|_| Vec::new());
        self.note_users();
    }

    fn instance(&mut self, pool: usize) {
        let short = self.scenario.capacity_percent;
        let of = &mut self.pools[pool];
        of.coming = of.coming.saturating_sub(1);
        let now = &mut of.capacity;
        let there = now.size.desired * short / 100;
        if of.site != self.home && now.in_service >= there.max(1) && short < 100 {
            now.last_failure = Some(of.shortage.to_owned());
        } else if now.in_service < now.size.desired {
            now.in_service += 1;
        }
    }

    /// Builds the indexes once all resources exist: the servers that each zone needs, and where its names point.
    pub(super) fn connect(&mut self) {
        let dbs = self.dbs.iter().zip(0..);
        self.index.dbs = dbs.map(|(d, i)| ((d.reference.id.clone(), d.site.to_string()), i)).collect();
        let pools = self.pools.iter().zip(0..);
        self.index.pools = pools.map(|(pool, i)| (pool.target.key(), i)).collect();
        let zones = self.zones.iter().zip(0..);
        let key = |z: &ZoneRef| (z.zone.clone(), z.component.to_string());
        self.index.zones = zones.map(|(z, i)| (key(&z.reference), i)).collect();
        for zone in &mut self.zones {
            for (i, db) in
                self.dbs.iter().enumerate().filter(|(_, d)| zone.needs.contains(&d.reference.component))
            {
                zone.servers.entry(db.site.clone()).or_default().0.push(i);
            }
            for (i, pool) in self.pools.iter().enumerate().filter(|(_, p)| zone.needs.contains(&p.component))
            {
                zone.servers.entry(pool.site.clone()).or_default().1.push(i);
            }
            zone.follow(self.serves_static_only);
        }
    }

    fn answers(&self, target: &Target) -> Result<(), &'static str> {
        let place = target.place().map_or("", |p| p.name.as_str());
        let lost = self.is_lost(place);
        let is_sql = match target {
            Target::Fence { method, .. } => method.by_sql(),
            _ => matches!(target, Target::Wrote { .. } | Target::Alive { sign: Sign::Server, .. }),
        };
        match target {
            _ if self.is_dark(place) => Err("no answer within 10s"),
            _ if lost && is_sql && !self.scenario.sql_answers => Err("connection refused"),
            _ if self.is_stopped(target) => Err("connection refused"),
            Target::Records { .. } if self.dns_is_down() => Err("ServiceUnavailable"),
            _ => Ok(()),
        }
    }

    fn dns_is_down(&self) -> bool {
        self.lost_at.is_some_and(|lost| {
            self.scenario.dns_down > Dur::ZERO && self.now < lost + self.scenario.dns_down
        })
    }

    /// The latency of an answer about a target, in milliseconds.
    pub(super) fn answer_time(&self, target: &Target) -> u64 {
        let place = target.place().map_or("", |p| p.name.as_str());
        match self.answers(target) {
            Err("no answer within 10s") if matches!(target, Target::Alive { .. }) => 1_000,
            Err("no answer within 10s") => 10_000,
            _ if self.is_lost(place) => self.scenario.home_latency_ms,
            _ => 20 + roll(self.seed, &["latency", place, target.service()], 60),
        }
    }

    /// The result of a call, and the latency of its answer.
    pub(super) fn fate(&mut self, action: &Action, key: &str) -> (u64, Fate) {
        let Some(target) = action.watch(&Called { key, ..Called::NOT_YET }) else {
            return (0, Fate::Answered);
        };
        let attempt = self.calls.entry(key.to_owned()).or_default();
        *attempt += 1;
        // Another process makes different calls, although it also counts them from zero.
        let attempt = match self.taken_up {
            Some(at) => format!("{attempt} {at}"),
            None => attempt.to_string(),
        };
        let wait = self.answer_time(&target);
        match self.answers(&target) {
            Err("ServiceUnavailable") => return (wait, Fate::Unavailable),
            Err("connection refused") => return (wait, Fate::NotSent),
            Err(_) => return (wait, Fate::Lost),
            Ok(()) => {}
        }
        let die = roll(self.seed, &["fate", key, &attempt], 1_000);
        if die < self.scenario.throttled {
            return (wait, Fate::Throttled);
        }
        if die >= self.scenario.throttled + self.scenario.faults {
            return (wait, Fate::Answered);
        }
        match roll(self.seed, &["fault", key, &attempt], 5) {
            0 => (wait, Fate::NotSent),
            1 => (10_000, Fate::Lost),
            2 => (wait, Fate::AppliedUnanswered),
            3 => (10_000, Fate::Late(Dur(roll(self.seed, &["late", key], self.scenario.late.millis())))),
            _ => (wait, Fate::Unavailable),
        }
    }

    /// Performs an action, and returns the provider's answer.
    pub(super) fn apply(&mut self, action: &Action) -> Result<Option<String>, (&'static str, String)> {
        let answer = match action {
            Action::Op(op) => self.operate(op),
            Action::Write(write) => return self.write(write),
            Action::Check(_) | Action::Gate(_) | Action::Wait { .. } => Ok(None),
        };
        // Rows change nothing for users.
        if !matches!(action, Action::Op(Operation::WriteCanary(_) | Operation::WriteAsClient(_))) {
            self.note_users();
        }
        answer
    }

    /// The current time by the clock of the observer.
    pub(super) fn looked(&self) -> Timestamp {
        self.by_observer(self.now)
    }

    /// Observes a target.
    pub(super) fn observe(&self, target: &Target) -> Observation {
        if let Err(why) = self.answers(target) {
            let since = self.by_observer(self.lost_at.unwrap_or(self.began));
            return Observation::Unobservable { since, why: why.to_owned() };
        }
        let missing = Observation::NotFound { observed_at: self.looked() };
        let state = match target {
            Target::Database(db) => {
                let server = self.find(db).ok().map(|i| self.database(i));
                server.or_else(|| self.beside(db)).map(State::Database)
            }
            Target::Fence { db, method, restart } => {
                self.find(db).ok().map(|i| State::Fence(self.fence_state(i, *method, *restart)))
            }
            Target::Wrote { db, .. } => self
                .find(db)
                .ok()
                .map(|i| State::Wrote(WroteState { ok: self.accepts(&self.dbs[i]), server: db.id.clone() })),
            of if of.is_scaled() => self.find_pool(of).ok().map(|i| {
                let pool = &self.pools[i];
                (pool.observed)(pool.capacity.clone())
            }),
            Target::Records { zone, names } => self.zone(zone).map(|z| {
                let asked = |s: &&RecordSet| names.iter().any(|(n, t)| *n == s.name && *t == s.rtype);
                let sets = z.as_made.as_ref().unwrap_or(&z.sets);
                State::Records(RecordsState { sets: sets.iter().filter(asked).cloned().collect() })
            }),
            Target::HealthObject(object) => self.watched(object).map(State::HealthObject),
            Target::Controls(of) => self.turned(of).map(State::Controls),
            Target::Secret(of) => self.leads(of).map(State::Secret),
            Target::Answers { names } => Some(State::Answers(self.name_servers(names))),
            Target::Change { zone, id } => {
                self.zone(zone).and_then(|z| z.changes.get(id)).map(|c| State::Change(*c))
            }
            Target::Identity { place } => Some(State::Identity(identity(place))),
            Target::Guard { component, .. } => self
                .guard_names
                .contains(component)
                .then(|| State::Guard(GuardState { holder: self.guards.get(component).cloned() })),
            Target::Alive { db, .. } => {
                self.find(db).ok().map(|_| State::Alive(AliveState { who: format!("{} there", db.id) }))
            }
            Target::Rebuild { db, .. } => {
                self.find(db).ok().map(|i| State::Rebuild(Box::new(self.rebuild(i))))
            }
            Target::Backups(of) => self.find(&of.db).ok().map(|_| State::Backups(Box::new(self.backups(of)))),
            Target::Restore { db, part, .. } => {
                self.restoring(db, *part).map(|job| State::Restore(Box::new(job)))
            }
            Target::Granted { place, needs } => Some(State::Granted(granted(place, needs.len()))),
            Target::Quotas { place } => Some(State::Quotas(self.quotas(place))),
            Target::Bucket(of) => Some(State::Bucket(self.bucket(of))),
            Target::Compared(of) => self.compared(of).map(State::Compared),
            Target::Command { .. } => Some(State::Command(CommandState {
                exit: Some(0),
                tail: "not run in the sandbox".to_owned(),
            })),
            other => self.unchanged.get(&other.key()).cloned(),
        };
        state.map_or(missing, |state| Observation::Value {
            state,
            observed_at: self.looked(),
            source: "sandbox".to_owned(),
        })
    }

    fn quotas(&self, place: &Place) -> QuotasState {
        let here = self.dbs.iter().filter(|db| db.reference.place == *place).count();
        let of = Quota { used: i64::try_from(here).unwrap_or(i64::MAX), max: 40 };
        QuotasState { of: BTreeMap::from([("DBInstances".to_owned(), of)]) }
    }

    fn zone(&self, zone: &ZoneRef) -> Option<&Zone> {
        self.find_zone(zone).ok().map(|i| &self.zones[i])
    }
}

fn identity(place: &Place) -> IdentityState {
    let arn = format!("arn:aws:sts::sandbox:assumed-role/{}", place.role.as_deref().unwrap_or("drctl"));
    IdentityState { account: place.account.clone().unwrap_or_else(|| "000000000000".to_owned()), arn }
}

/// All permissions are granted in the sandbox.
fn granted(place: &Place, asked: usize) -> GrantedState {
    let principal = place.role.clone().unwrap_or_else(|| "drctl".to_owned());
    GrantedState { principal, asked, ..GrantedState::default() }
}
