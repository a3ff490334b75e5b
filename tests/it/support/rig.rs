//! A rehearsal in this process, with a journal in memory and access to everything that it did.

mod others;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;

use drctl::adapters::sandbox::{Sandbox, Truth};
use drctl::executor::{DriveError, Ended, Patience, Session, Silent, create, drive, survey};
use drctl::inventory::active::active_site;
use drctl::inventory::estate::Remembered;
use drctl::inventory::{ActiveSite, Estate, Observation, targets};
use drctl::journal::Journal as _;
use drctl::journal::Record;
use drctl::journal::memory::MemoryJournal;
use drctl::kinds::shared::database::DatabaseRef;
use drctl::kinds::world::feed::Feed;
use drctl::kinds::world::scenario::Scenario;
use drctl::kinds::{State, Target};
use drctl::model::ids::{ComponentName, Digest, RunId, SiteName};
use drctl::model::intent::{Drill, Intent};
use drctl::model::ledger::Adopted;
use drctl::model::place::Place;
use drctl::model::policy::Policy;
use drctl::model::terms::Terms;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Waiver};
use drctl::plan::{Plan, Settings};
use drctl::planner::{self, Continued, Debt, Input, Refusal, Request, Wanted, Written};
use drctl::policy::windows::Closed;
use drctl::probe::Recorder;
use drctl::record::action::Action;
use drctl::record::event::{Event, EventKind, Outcome, RunCreated, Signal, WorldKind};
use drctl::record::runbook::{ProbeRole, Runbook};
use drctl::run::Stop;
use drctl::run::continued::{continued, last_turns, seen_before};
use drctl::run::state::Mode;
use drctl::world::World;
use futures_util::future::{Either, select};

use crate::run::guards::{Meddled, Meddling};
use crate::support::oracle::{Watched, in_real_time, later_by};

pub use others::cancel;
use others::written;

/// When abandoned calls have taken effect.
const LATER: Dur = Dur::mins(15);

pub const BEGAN: Timestamp = Timestamp::from_millis(1_767_236_400_000);

/// The changes of the estate: the time, after how many events, and the change.
pub type Notes = Vec<(Timestamp, Vec<u8>)>;

/// The observed states, by target.
pub type Seen = BTreeMap<String, State>;

#[derive(Clone)]
pub struct Rig {
    pub plan: Plan,
    pub scenario: Scenario,
    pub seed: u64,
    pub waivers: Vec<Waiver>,
    /// Pending fences of earlier runs.
    pub debts: Vec<Debt>,
    /// Changes right before the last observation.
    pub deeds: Vec<Action>,
    /// Effects of calls of the dead process, which happen during the second one.
    pub coming: Vec<(Timestamp, Action)>,
    /// The earliest start of the second process.
    pub later: Option<Timestamp>,
    pub guard: Option<Place>,
    /// The modification of observations of guards.
    pub meddling: Option<Meddling>,
    pub policy: Option<Policy>,
    /// The run, and its name as the holder of guards.
    pub run: RunId,
    pub intent: Intent,
    pub from: Option<SiteName>,
    pub to: Option<SiteName>,
    /// The windows that prevent a start now.
    pub closed: Vec<Closed>,
    /// The restore and its target time.
    pub restore: Option<Wanted>,
    /// The mode, if it is a drill.
    pub drill: Option<Drill>,
    /// Whether it is the return of a live drill.
    pub returns: bool,
    /// The initial state of the estate, if it comes from an observation.
    pub feed: Option<Feed>,
    /// The unfinished run that this one replaces.
    pub continues: Option<Continued>,
    /// The fences that the continued run has proven.
    pub fenced: Vec<(DatabaseRef, RunId, Option<String>)>,
    /// Clients that an earlier run redirected only in part.
    pub unled: Vec<ComponentName>,
    /// Security groups that earlier runs detached from servers.
    pub groups_before: Vec<(DatabaseRef, Vec<String>)>,
    /// What runs have written to zones.
    pub written: Vec<Written>,
    /// The result of listing zones when the runbook is made.
    pub listing: Listing,
    /// How long the test waits for a resumed run, and for one that neither ends nor stops, before it sends two interrupts.
    pub patience: Dur,
    /// When everything was last observed in its initial state.
    pub last_looked: Timestamp,
    /// When this machine's clock is set ahead after the start, and by how much.
    pub jumps: Option<(Dur, Dur)>,
    /// The same for a clock that is set back.
    pub set_back: Option<(Dur, Dur)>,
    /// How long nobody drove the run before the second process, and how far the clock of that process is behind the last event.
    pub idle: Option<(Dur, Dur)>,
    /// The adoption of the run, if the second process drives it in another store.
    pub adopted: Option<Adopted>,
    /// Whether another operator's run is under way: this one then reads the guards, and remembers everything in its initial state.
    pub beside: bool,
}

/// The result of listing zones when the runbook is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// The current record sets.
    Answers,
    /// An error, as before the rig's changes.
    NeverAnswered,
    /// An error, unlike before the rig's changes.
    Fails,
}

pub struct Rehearsed {
    pub ended: Ended,
    pub truth: Truth,
    pub records: Vec<Record>,
    pub notes: Notes,
    pub recorder_every: Dur,
    /// The states of the estate during the run, and after late effects.
    pub watched: Watched,
    pub watched_later: Watched,
    /// The events, by run.
    pub journals: Vec<Vec<Event>>,
    /// When the run had nothing more to do, by its own clock.
    pub asked: Timestamp,
    /// The active site according to the product some minutes later, and the period in which that was observed.
    pub active: (ActiveSite, [Timestamp; 2]),
    /// Whether a second process resumed it. Between the two, nobody sampled probes.
    pub resumed: bool,
    /// The targets that did not answer the last look at the estate after a second process.
    pub silent: BTreeSet<String>,
}

/// The result of two operators.
pub struct Rivalry {
    /// The truth during their work, and later.
    pub truths: [Truth; 2],
    pub watched: Watched,
    /// By operator.
    pub journals: Vec<Vec<Event>>,
}

pub fn plan(text: &str) -> Plan {
    let checked = drctl::plan::check("test.yaml", text.as_bytes(), &Settings::default());
    checked.plan.unwrap_or_else(|| panic!("the plan does not hold: {:#?}\n{text}", checked.findings))
}

pub fn truststream() -> Plan {
    plan(include_str!("../../../plans/truststream.yaml"))
}

pub fn run_id() -> RunId {
    RunId::new("run")
}

impl Rig {
    pub fn new(plan: Plan, scenario: &str, seed: u64) -> Self {
        Self {
            plan,
            scenario: Scenario::find(scenario).unwrap(),
            seed,
            waivers: Vec::new(),
            debts: Vec::new(),
            deeds: Vec::new(),
            later: None,
            guard: None,
            meddling: None,
            policy: None,
            closed: Vec::new(),
            run: run_id(),
            intent: Intent::Failover,
            from: None,
            to: None,
            restore: None,
            drill: None,
            feed: None,
            returns: false,
            continues: None,
            fenced: Vec::new(),
            unled: Vec::new(),
            groups_before: Vec::new(),
            written: Vec::new(),
            listing: Listing::Answers,
            coming: Vec::new(),
            patience: Dur::mins(60_000),
            last_looked: BEGAN,
            jumps: None,
            set_back: None,
            idle: None,
            adopted: None,
            beside: false,
        }
    }

    fn untouched_at(&self, all: &[Target]) -> Vec<(Target, Observation)> {
        let mut seen = self.untouched();
        let value =
            |state| Observation::Value { state, observed_at: self.last_looked, source: "test".to_owned() };
        all.iter().filter_map(|t| Some((t.clone(), value(seen.remove(&t.key())?)))).collect()
    }

    /// A clock, and the estate in its initial state.
    pub fn stage(&self) -> (World, Sandbox) {
        let world = World::simulated(BEGAN, self.seed, None);
        let (scenario, feed) = (self.scenario.clone(), self.feed.as_ref());
        let sandbox = Sandbox::fed(&self.plan, scenario, self.seed, BEGAN, world.clone(), feed);
        sandbox.watch();
        (world, sandbox)
    }

    /// The observations before anything has happened.
    pub fn looked_at(&self, targets: &[Target]) -> Vec<(Target, Observation)> {
        let (world, sandbox) = self.stage();
        let journal = MemoryJournal::default();
        let session = session(&journal, &sandbox, &world, &|| 0);
        world.block_on(survey::look(&session, targets, Dur::secs(15)))
    }

    /// All observations of the plan at the start.
    pub fn observed(&self) -> Estate {
        let mut estate = Estate::default();
        for (target, seen) in self.looked_at(&targets::of_plan(&self.plan, None)) {
            estate.add(&target, seen, None);
        }
        estate
    }

    pub fn to(&self) -> SiteName {
        if let Some(to) = &self.to {
            return to.clone();
        }
        if matches!(self.intent, Intent::Failback | Intent::Reprotect | Intent::Restore | Intent::Drill) {
            return self.plan.home.value.clone();
        }
        self.plan.sites.keys().find(|s| **s != self.plan.home.value).unwrap().clone()
    }

    /// From a healthy estate to the end of the run.
    pub fn rehearse(&self) -> Result<Rehearsed, Vec<Refusal>> {
        let (world, sandbox) = self.stage();
        let notes = collect_notes(&sandbox);
        let journal = MemoryJournal::default();
        let cloud = Meddled { sandbox: &sandbox, world: &world, how: self.meddling };
        let interrupts = self.interrupts(&world, &[], None);
        let session = Session { cloud: &cloud, ..session(&journal, &sandbox, &world, &interrupts) };
        let ended = world.block_on(async {
            let mut recorder = Recorder::new(3);
            let (runbook, turns, digest) = self.prepare(&session, &mut recorder).await?;
            let owned =
                create::create(&session, self.created(&runbook, digest), "test", turns, None).unwrap();
            let jump = async {
                if let Some((after, by)) = self.jumps {
                    world.sleep_until(BEGAN + after).await;
                    world.set_ahead(by);
                }
                if let Some((after, by)) = self.set_back {
                    world.sleep_until(BEGAN + after).await;
                    world.set_back(by);
                }
                std::future::pending::<std::convert::Infallible>().await
            };
            match select(pin!(drive::drive(&session, owned, recorder)), pin!(jump)).await {
                Either::Left((ended, _)) => Ok::<_, Vec<Refusal>>(ended.unwrap()),
                Either::Right((never, _)) => match never {},
            }
        })?;
        Ok(self.rehearsed(ended, (&sandbox, &world), &journal, &notes))
    }

    /// Sends an interrupt at the n-th iteration of a run's loop, if any. A run that takes too many iterations fails with its seed, because
    /// it waits for something that never comes.
    fn interrupts<'a>(
        &'a self,
        world: &'a World,
        prefix: &'a [Record],
        at: Option<u32>,
    ) -> impl Fn() -> u32 + 'a {
        let turns = Cell::new(0_u32);
        move || {
            turns.set(turns.get() + 1);
            assert!(
                turns.get() < 60_000,
                "it neither ends nor stops, {} after the beginning: seed {}, {}, {} events before",
                world.now().since(BEGAN),
                self.seed,
                self.scenario.name,
                prefix.len()
            );
            // A person who has lost patience interrupts twice.
            let over = world.now() > BEGAN + self.patience;
            if over { 2 } else { u32::from(at.is_some_and(|n| turns.get() >= n)) }
        }
    }

    /// The journal with these events.
    pub fn journal_of(events: &[Event]) -> Vec<Record> {
        let bytes: Vec<_> = events.iter().map(|e| serde_json::to_vec(e).unwrap()).collect();
        let journal = MemoryJournal::default();
        journal.create(&run_id(), &[], &bytes, None).unwrap();
        journal.read(&run_id()).unwrap()
    }

    /// Resumes a run in real time whose events are this far ahead of this machine's clock.
    pub fn taken_up(&self, prefix: &[Record], ahead: Dur) -> (create::Owned, World) {
        let world = World::live().unwrap();
        let at = world.now() + ahead;
        let events = create::decode(&run_id(), prefix).unwrap().into_iter().map(|e| Event { at, ..e });
        let journal = MemoryJournal::from_records(&Self::journal_of(&events.collect::<Vec<_>>()));
        let sandbox = Sandbox::new(&self.plan, self.scenario.clone(), self.seed, BEGAN, world.clone());
        let session = session(&journal, &sandbox, &world, &|| 0);
        let owned =
            world.block_on(create::resume(&session, &run_id(), "test again", self.adopted.as_ref())).unwrap();
        (owned, world)
    }

    /// The active site according to the product, by a new observation.
    fn active(&self, sandbox: &Sandbox, world: &World) -> ActiveSite {
        let journal = MemoryJournal::default();
        let session = session(&journal, sandbox, world, &|| 0);
        let all = targets::of_plan(&self.plan, None);
        let mut estate = Estate::default();
        for (target, seen) in world.block_on(survey::look(&session, &all, Dur::secs(15))) {
            estate.add(&target, seen, None);
        }
        active_site(&self.plan, &estate, world.now())
    }

    fn rehearsed(
        &self,
        ended: Ended,
        (sandbox, world): (&Sandbox, &World),
        journal: &MemoryJournal,
        notes: &Rc<RefCell<Notes>>,
    ) -> Rehearsed {
        let public = self.plan.probes.iter().find(|p| p.value.role == ProbeRole::Public);
        let (truth, until) = (sandbox.truth(), world.real());
        let asked = world.now();
        // Control planes report an earlier state for a while, and names follow even later.
        world.block_on(world.sleep_until(asked + Dur::mins(2)));
        let active = (self.active(sandbox, world), [until, world.real()]);
        sandbox.afterwards(LATER);
        let moments = Rc::new(sandbox.chronicle());
        Rehearsed {
            ended,
            truth,
            watched: Watched { moments: Rc::clone(&moments), until },
            watched_later: Watched { moments, until: world.real() + LATER },
            asked,
            active,
            journals: [self.run.clone(), RunId::new("run-2")]
                .iter()
                .map(|run| in_real_time(self.jumps, written(journal, run)))
                .collect(),
            records: journal.read(&self.run).unwrap(),
            notes: notes.borrow().clone(),
            recorder_every: public.map_or(Dur::secs(5), |p| p.value.every_ms),
            resumed: false,
            silent: BTreeSet::new(),
        }
    }

    async fn prepare(
        &self,
        session: &Session<'_>,
        recorder: &mut Recorder,
    ) -> Result<(Runbook, Vec<EventKind>, Digest), Vec<Refusal>> {
        let all = targets::of_plan(&self.plan, self.guard.as_ref().filter(|_| self.beside));
        let before = match self.continues.is_some() || self.beside {
            // What the previous run had observed.
            true => self.untouched_at(&all),
            false => survey::look(session, &all, Dur::secs(15)).await,
        };
        let probes: Vec<_> = self.plan.probes.iter().map(|p| p.value.clone()).collect();
        let probes = survey::relevant(&probes, &self.to(), self.drill);
        let until =
            session.world.now() + (BEGAN + Dur::secs(100)).since(session.world.real()).max(Dur::secs(20));
        let turns = survey::sample(session, &probes, recorder, until).await;
        for deed in &self.deeds {
            session.cloud.perform(deed, "deed").await;
        }
        let mut estate = Estate { probes: recorder.health(), ..Estate::default() };
        let before: BTreeMap<_, _> = before.into_iter().map(|(target, old)| (target.key(), old)).collect();
        for (target, now) in survey::look(session, &all, Dur::secs(15)).await {
            let last = before.get(&target.key()).and_then(remembered);
            let (now, last) = self.listed(session, &target, now, last);
            estate.add(&target, now, last);
        }
        if let Some(wanted) = &self.restore {
            let of = planner::restore::wanted(&self.plan, &self.to(), wanted, &run_id()).unwrap();
            let target = Target::Backups(Box::new(of));
            for (target, seen) in survey::look(session, &[target], Dur::secs(15)).await {
                estate.add(&target, seen, None);
            }
        }
        let request = Request {
            intent: self.intent,
            from: self.from.clone(),
            to: self.to(),
            waivers: self.waivers.clone(),
            outage_declared: true,
            rehearsed: true,
            holder: self.run.to_string(),
            run: self.run.clone(),
            restore: self.restore.clone(),
            drill: self.drill,
            returns: self.returns,
            hold: None,
            severity: None,
        };
        let input = Input {
            plan: &self.plan,
            estate: &estate,
            now: session.world.now(),
            request: &request,
            busy: &Default::default(),
            debts: &self.debts,
            kept_out: &[],
            groups_before: &self.groups_before,
            fenced: &self.fenced,
            written: &self.written,
            leaks: &[],
            unled: &self.unled,
            copies: &[],
            continues: self.continues.as_ref(),
            guard: self.guard.as_ref(),
            observation_max_age: Dur::mins(5),
            probe_consecutive: 3,
            policy: self.policy.as_ref(),
            closed: self.closed.clone(),
        };
        let digest = estate.digest();
        planner::plan_run(&input).map(|runbook| (runbook, turns, digest))
    }

    fn listed(
        &self,
        session: &Session<'_>,
        target: &Target,
        now: Observation,
        last: Option<Remembered>,
    ) -> (Observation, Option<Remembered>) {
        if self.listing == Listing::Answers || !matches!(target, Target::Records { .. }) {
            return (now, last);
        }
        let why = "Throttling: Rate exceeded".to_owned();
        let failed = Observation::Unobservable { since: session.world.now(), why };
        (failed, last.filter(|_| self.listing == Listing::Fails))
    }

    fn created(&self, runbook: &Runbook, inventory_digest: Digest) -> RunCreated {
        let bytes = runbook.bytes();
        RunCreated {
            run: self.continues.as_ref().map_or_else(|| self.run.clone(), |_| RunId::new("run-2")),
            plan: self.plan.name.clone(),
            runbook_digest: Digest::of_bytes(&bytes),
            runbook: String::from_utf8(bytes).unwrap(),
            plan_text: self.plan.text.clone(),
            inventory_digest,
            world: WorldKind::Sandbox {
                scenario: self.scenario.name.to_owned(),
                seed: self.seed,
                began: BEGAN,
            },
            tool: "test".to_owned(),
            schema_version: 1,
            requester: Person::claimed("test"),
            reason: None,
            severity: None,
            severity_given: None,
            incident: None,
            outage_began: None,
            continues: self.continues.as_ref().map(|c| c.run.clone()),
            returns: self.returns.then(|| RunId::new("first")),
            authority: Default::default(),
            terms_digest: Terms::default().digest(),
            terms: Terms::default(),
            duties: None,
        }
    }

    /// Resumes a run from a prefix of its journal, in an estate with the changes in `notes`.
    pub fn carry_on(&self, prefix: &[Record], notes: &Notes) -> Rehearsed {
        self.second(prefix, notes, &[], None).unwrap().0
    }

    /// Cancels a run after a prefix. Also returns the estate a minute after its end.
    pub fn cancel(&self, prefix: &[Record], notes: &Notes, displaced_by: Option<&str>) -> (Rehearsed, Seen) {
        self.second(prefix, notes, &[cancel(displaced_by)], None).unwrap()
    }

    /// The estate before any change.
    pub fn untouched(&self) -> Seen {
        let (world, sandbox) = self.stage();
        self.seen(&sandbox, &world).0
    }

    /// The estate, and the targets that did not answer.
    fn seen(&self, sandbox: &Sandbox, world: &World) -> (Seen, BTreeSet<String>) {
        let journal = MemoryJournal::default();
        let session = session(&journal, sandbox, world, &|| 0);
        let all = targets::of_plan(&self.plan, None);
        let seen = world.block_on(survey::look(&session, &all, Dur::secs(15)));
        let silent = seen.iter().filter(|(_, o)| matches!(o, Observation::Unobservable { .. }));
        let silent = silent.map(|(t, _)| t.key()).collect();
        (seen.into_iter().filter_map(|(t, o)| Some((t.key(), o.state()?.clone()))).collect(), silent)
    }

    /// Resumes a run with these signals in its inbox, and with an interrupt at the n-th iteration of its loop.
    pub fn second(
        &self,
        prefix: &[Record],
        notes: &Notes,
        letters: &[Signal],
        interrupt: Option<u32>,
    ) -> Result<(Rehearsed, Seen), DriveError> {
        let (world, sandbox) = self.stage();
        sandbox.replay(notes);
        self.coming.iter().for_each(|(at, action)| sandbox.expect(*at, action));
        let kept = collect_notes(&sandbox);
        kept.borrow_mut().extend(notes.iter().cloned());
        if let Some((at, _)) = notes.iter().max_by_key(|(at, _)| *at) {
            world.not_before(*at);
        }
        if let Some(at) = self.later {
            world.not_before(at);
        }
        let journal = MemoryJournal::from_records(prefix);
        let behind = self.idle.map_or(Dur::ZERO, |of| others::begin_behind(&world, prefix, of));
        for letter in letters {
            journal.post(&run_id(), world.now(), &others::sender(letter), letter).unwrap();
        }
        let interrupts = self.interrupts(&world, prefix, interrupt);
        let cloud = Meddled { sandbox: &sandbox, world: &world, how: self.meddling };
        let session = Session { cloud: &cloud, ..session(&journal, &sandbox, &world, &interrupts) };
        let ended = world.block_on(async {
            let owned =
                create::resume(&session, &run_id(), "test again", self.adopted.as_ref()).await.unwrap();
            let recorder = Recorder::resumed(3, &owned.state.turns);
            let left = world.sleep_until(world.now() + self.patience);
            match select(pin!(drive::drive(&session, owned, recorder)), pin!(left)).await {
                Either::Left((ended, _)) => ended,
                Either::Right(_) => {
                    let state = create::replay(&run_id(), &journal.read(&run_id()).unwrap()).unwrap();
                    Ok(Ended { stop: Stop::Paused, state })
                }
            }
        })?;
        let mut done =
            Rehearsed { resumed: true, ..self.rehearsed(ended, (&sandbox, &world), &journal, &kept) };
        let journals = std::mem::take(&mut done.journals);
        done.journals = journals.into_iter().map(|events| later_by(behind, prefix.len(), events)).collect();
        world.block_on(world.sleep_until(world.now() + Dur::mins(1)));
        let (seen, silent) = self.seen(&sandbox, &world);
        Ok((Rehearsed { silent, ..done }, seen))
    }
}

fn session<'a>(
    journal: &'a MemoryJournal,
    sandbox: &'a Sandbox,
    world: &'a World,
    interrupts: &'a dyn Fn() -> u32,
) -> Session<'a> {
    let (view, patience) = (&Silent, Patience::Stop);
    Session { journal, cloud: sandbox, prober: sandbox, world, view, interrupts, patience }
}

fn remembered(seen: &Observation) -> Option<Remembered> {
    let Observation::Value { state, observed_at, .. } = seen else { return None };
    Some(Remembered { state: state.clone(), observed_at: *observed_at })
}

fn collect_notes(sandbox: &Sandbox) -> Rc<RefCell<Notes>> {
    let notes = Rc::new(RefCell::new(Vec::new()));
    let into = Rc::clone(&notes);
    sandbox.keep(Box::new(move |at, bytes| into.borrow_mut().push((at, bytes.to_vec()))));
    notes
}
