//! A rehearsal in this process, over a journal in memory, with everything that it did laid open.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;

use drctl::adapters::sandbox::{Feed, Sandbox, Scenario, Truth};
use drctl::executor::{DriveError, Ended, Patience, Session, Silent, create, drive, survey};
use drctl::inventory::estate::Remembered;
use drctl::inventory::{Estate, Observation, targets};
use drctl::journal::Journal as _;
use drctl::journal::Record;
use drctl::journal::memory::MemoryJournal;
use drctl::model::action::Action;
use drctl::model::event::{Event, Outcome, RunCreated, Signal, What, WorldKind};
use drctl::model::ids::{ComponentName, Digest, RunId, SiteName};
use drctl::model::place::Place;
use drctl::model::policy::Policy;
use drctl::model::runbook::{Drill, Intent, ProbeRole, Runbook};
use drctl::model::state::State;
use drctl::model::target::{DatabaseRef, Target};
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Waiver};
use drctl::plan::{Plan, Settings};
use drctl::planner::{self, Continued, Debt, Input, Refusal, Request, Wanted};
use drctl::policy::windows::Closed;
use drctl::probe::Recorder;
use drctl::run::Stop;
use drctl::run::continued::{continued, last_turns, seen_before};
use drctl::run::state::Mode;
use drctl::world::World;
use futures_util::future::{Either, select};

pub const BEGAN: Timestamp = Timestamp::from_millis(1_767_236_400_000);

/// What was done to the estate: when, after how many events, and what.
pub type Notes = Vec<(Timestamp, Vec<u8>)>;

/// What is there, by target.
pub type Seen = BTreeMap<String, State>;

#[derive(Clone)]
pub struct Rig {
    pub plan: Plan,
    pub scenario: Scenario,
    pub seed: u64,
    pub waivers: Vec<Waiver>,
    /// Fences that earlier runs left owed.
    pub debts: Vec<Debt>,
    /// Done right before the last look.
    pub deeds: Vec<Action>,
    /// Effects of calls of the process that died, which come while the second one works.
    pub coming: Vec<(Timestamp, Action)>,
    /// The second process begins then, at the earliest.
    pub later: Option<Timestamp>,
    pub guard: Option<Place>,
    pub policy: Option<Policy>,
    /// The run, and as whom it holds guards.
    pub run: RunId,
    pub intent: Intent,
    pub from: Option<SiteName>,
    pub to: Option<SiteName>,
    /// What stands against a beginning now.
    pub closed: Vec<Closed>,
    /// What is restored, and to when.
    pub restore: Option<Wanted>,
    /// How far it goes, if it is a drill.
    pub drill: Option<Drill>,
    /// Whether it is the way back of a live drill.
    pub returns: bool,
    /// What the estate is like at the beginning, where that was observed.
    pub feed: Option<Feed>,
    /// The unfinished run whose place this one takes.
    pub continues: Option<Continued>,
    /// Clients that an earlier run left half led.
    pub unled: Vec<ComponentName>,
    /// Groups that earlier runs took from servers.
    pub groups_before: Vec<(DatabaseRef, Vec<String>)>,
    /// How long somebody waits for a run that was taken up again before Ctrl-C is pressed twice.
    pub patience: Dur,
    /// When everything was last seen, as it was at the beginning.
    pub last_looked: Timestamp,
}

pub struct Rehearsed {
    pub ended: Ended,
    pub truth: Truth,
    /// When calls that were given up have had their effects.
    pub afterwards: Truth,
    pub records: Vec<Record>,
    pub notes: Notes,
    pub recorder_every: Dur,
    /// Carried on by a second process: between the two nobody asked probes.
    pub resumed: bool,
}

pub fn plan(text: &str) -> Plan {
    let checked = drctl::plan::check("test.yaml", text.as_bytes(), &Settings::default());
    checked.plan.unwrap_or_else(|| panic!("the plan does not hold: {:#?}\n{text}", checked.findings))
}

pub fn truststream() -> Plan {
    plan(include_str!("../../plans/truststream.yaml"))
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
            unled: Vec::new(),
            groups_before: Vec::new(),
            coming: Vec::new(),
            patience: Dur::mins(60_000),
            last_looked: BEGAN,
        }
    }

    /// A failover takes the place of a run of which a prefix was written, at a time when `notes` were done to the estate.
    pub fn take_over(
        &mut self,
        prefix: &[Record],
        notes: &Notes,
        letters: &[Signal],
    ) -> Result<Rehearsed, Vec<Refusal>> {
        let state = create::replay(&run_id(), prefix).unwrap();
        self.continues = Some(continued(&state, prefix.len() as u64, &self.to()).unwrap());
        self.intent = Intent::Failover;
        let (world, sandbox) = self.stage();
        sandbox.replay(notes);
        let kept = collect_notes(&sandbox);
        kept.borrow_mut().extend(notes.iter().cloned());
        world.not_before(self.later.unwrap_or(BEGAN).max(state.last_at));
        let journal = MemoryJournal::from_records(prefix);
        let session = session(&journal, &sandbox, &world, &|| 0);
        let ended = world.block_on(async {
            let mut recorder = Recorder::new(3);
            let (runbook, turns, digest) = self.prepare(&session, &mut recorder).await?;
            let turns = seen_before(&last_turns(&state), turns);
            let owned = create::create(
                &session,
                self.created(&runbook, digest),
                "test",
                turns,
                self.continues.as_ref(),
            )
            .unwrap();
            for letter in letters {
                journal.post(&owned.run, world.now(), &Person::claimed("test"), letter).unwrap();
            }
            Ok::<_, Vec<Refusal>>(drive::drive(&session, owned, recorder).await.unwrap())
        })?;
        let old = create::replay(&run_id(), &journal.read(&run_id()).unwrap()).unwrap();
        assert_eq!(old.mode, Mode::Finished(Outcome::Abandoned), "it ended when the other began");
        Ok(self.rehearsed(ended, &sandbox, &journal, &kept))
    }

    /// Tries to begin a failover that was planned over one reading of the run before, in a store that has another.
    pub fn begins_over(
        &mut self,
        planned: &[Record],
        stored: &[Record],
        notes: &Notes,
    ) -> Result<(), DriveError> {
        let state = create::replay(&run_id(), planned).unwrap();
        self.continues = Some(continued(&state, planned.len() as u64, &self.to()).unwrap());
        self.intent = Intent::Failover;
        let (world, sandbox) = self.stage();
        sandbox.replay(notes);
        world.not_before(state.last_at);
        let journal = MemoryJournal::from_records(stored);
        let session = session(&journal, &sandbox, &world, &|| 0);
        world.block_on(async {
            let mut recorder = Recorder::new(3);
            let (runbook, turns, digest) = self.prepare(&session, &mut recorder).await.unwrap();
            let created = self.created(&runbook, digest);
            create::create(&session, created, "test", turns, self.continues.as_ref()).map(|_| ())
        })
    }

    fn untouched_at(&self, all: &[Target]) -> Vec<(Target, Observation)> {
        let mut seen = self.untouched();
        let value =
            |state| Observation::Value { state, observed_at: self.last_looked, source: "test".to_owned() };
        all.iter().filter_map(|t| Some((t.clone(), value(seen.remove(&t.key())?)))).collect()
    }

    /// A clock, and the estate as it is at the beginning.
    fn stage(&self) -> (World, Sandbox) {
        let world = World::simulated(BEGAN, self.seed, None);
        let (scenario, feed) = (self.scenario.clone(), self.feed.as_ref());
        let sandbox = Sandbox::fed(&self.plan, scenario, self.seed, BEGAN, world.clone(), feed);
        (world, sandbox)
    }

    /// What a look finds before anything has happened.
    pub fn looked_at(&self, targets: &[Target]) -> Vec<(Target, Observation)> {
        let (world, sandbox) = self.stage();
        let journal = MemoryJournal::default();
        let session = session(&journal, &sandbox, &world, &|| 0);
        world.block_on(survey::look(&session, targets, Dur::secs(15)))
    }

    /// Everything of the plan, as it is seen at the beginning.
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
        let session = session(&journal, &sandbox, &world, &|| 0);
        let ended = world.block_on(async {
            let mut recorder = Recorder::new(3);
            let (runbook, turns, digest) = self.prepare(&session, &mut recorder).await?;
            let owned =
                create::create(&session, self.created(&runbook, digest), "test", turns, None).unwrap();
            Ok::<_, Vec<Refusal>>(drive::drive(&session, owned, recorder).await.unwrap())
        })?;
        Ok(self.rehearsed(ended, &sandbox, &journal, &notes))
    }

    /// The journal that these events make.
    pub fn journal_of(events: &[Event]) -> Vec<Record> {
        let bytes: Vec<_> = events.iter().map(|e| serde_json::to_vec(e).unwrap()).collect();
        let journal = MemoryJournal::default();
        journal.create(&run_id(), &[], &bytes, None).unwrap();
        journal.read(&run_id()).unwrap()
    }

    /// Takes a run up in real time, whose events are so far ahead of this machine's clock.
    pub fn taken_up(&self, prefix: &[Record], ahead: Dur) -> (create::Owned, World) {
        let world = World::live().unwrap();
        let at = world.now() + ahead;
        let events = create::decode(&run_id(), prefix).unwrap().into_iter().map(|e| Event { at, ..e });
        let journal = MemoryJournal::from_records(&Self::journal_of(&events.collect::<Vec<_>>()));
        let sandbox = Sandbox::new(&self.plan, self.scenario.clone(), self.seed, BEGAN, world.clone());
        let session = session(&journal, &sandbox, &world, &|| 0);
        let owned = world.block_on(create::resume(&session, &run_id(), "test again")).unwrap();
        (owned, world)
    }

    /// Two operators on two machines, who know nothing of each other, over one estate: the other one begins so much later.
    pub fn rivals(&self, other: &Self, later: Dur) -> ([Result<Ended, Vec<Refusal>>; 2], Truth, Truth) {
        let (world, sandbox) = self.stage();
        let journals = [MemoryJournal::default(), MemoryJournal::default()];
        let one = async |rig: &Self, journal: &MemoryJournal, later: Dur| {
            let session = session(journal, &sandbox, &world, &|| 0);
            world.sleep_until(BEGAN + later).await;
            let mut recorder = Recorder::new(3);
            let (runbook, turns, digest) = rig.prepare(&session, &mut recorder).await?;
            let owned = create::create(&session, rig.created(&runbook, digest), "test", turns, None).unwrap();
            Ok(drive::drive(&session, owned, recorder).await.unwrap())
        };
        let (first, second) = world.block_on(futures_util::future::join(
            one(self, &journals[0], Dur::ZERO),
            one(other, &journals[1], later),
        ));
        ([first, second], sandbox.truth(), sandbox.afterwards(Dur::mins(15)))
    }

    fn rehearsed(
        &self,
        ended: Ended,
        sandbox: &Sandbox,
        journal: &MemoryJournal,
        notes: &Rc<RefCell<Notes>>,
    ) -> Rehearsed {
        let public = self.plan.probes.iter().find(|p| p.value.role == ProbeRole::Public);
        Rehearsed {
            ended,
            truth: sandbox.truth(),
            afterwards: sandbox.afterwards(Dur::mins(15)),
            records: journal.read(&run_id()).unwrap(),
            notes: notes.borrow().clone(),
            recorder_every: public.map_or(Dur::secs(5), |p| p.value.every_ms),
            resumed: false,
        }
    }

    async fn prepare(
        &self,
        session: &Session<'_>,
        recorder: &mut Recorder,
    ) -> Result<(Runbook, Vec<What>, Digest), Vec<Refusal>> {
        let all = targets::of_plan(&self.plan, None);
        let before = match &self.continues {
            // What the run before had seen.
            Some(_) => self.untouched_at(&all),
            None => survey::look(session, &all, Dur::secs(15)).await,
        };
        let probes: Vec<_> = self.plan.probes.iter().map(|p| p.value.clone()).collect();
        let probes = survey::relevant(&probes, &self.to(), self.drill);
        let until = (BEGAN + Dur::secs(100)).max(session.world.now() + Dur::secs(20));
        let turns = survey::sample(session, &probes, recorder, until).await;
        for deed in &self.deeds {
            session.cloud.perform(deed, "deed").await;
        }
        let mut estate = Estate { probes: recorder.health(), ..Estate::default() };
        for ((target, now), (_, old)) in
            survey::look(session, &all, Dur::secs(15)).await.into_iter().zip(before)
        {
            let last = match old {
                Observation::Value { state, observed_at, .. } => Some(Remembered { state, observed_at }),
                _ => None,
            };
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
            fenced: &[],
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

    fn created(&self, runbook: &Runbook, inventory_digest: Digest) -> RunCreated {
        let bytes = runbook.bytes();
        RunCreated {
            run: self.continues.as_ref().map_or_else(|| self.run.clone(), |_| RunId::new("run-2")),
            plan: self.plan.name.clone(),
            runbook_digest: Digest::of(&bytes),
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
            incident: None,
            outage_began: None,
            continues: self.continues.as_ref().map(|c| c.run.clone()),
            returns: self.returns.then(|| RunId::new("first")),
            authority: Default::default(),
            duties: None,
        }
    }

    /// Carries a run on from a prefix of its journal, over an estate to which `notes` were done.
    pub fn carry_on(&self, prefix: &[Record], notes: &Notes) -> Rehearsed {
        self.second(prefix, notes, &[], None).unwrap().0
    }

    /// Cancels a run of which a prefix was written. Also gives the estate a minute after its end.
    pub fn cancel(&self, prefix: &[Record], notes: &Notes, displaced_by: Option<&str>) -> (Rehearsed, Seen) {
        self.second(prefix, notes, &[cancel(displaced_by)], None).unwrap()
    }

    /// The estate before anything was done to it.
    pub fn untouched(&self) -> Seen {
        let (world, sandbox) = self.stage();
        self.seen(&sandbox, &world)
    }

    fn seen(&self, sandbox: &Sandbox, world: &World) -> Seen {
        let journal = MemoryJournal::default();
        let session = session(&journal, sandbox, world, &|| 0);
        let all = targets::of_plan(&self.plan, None);
        let seen = world.block_on(survey::look(&session, &all, Dur::secs(15)));
        seen.into_iter().filter_map(|(t, o)| Some((t.key(), o.state()?.clone()))).collect()
    }

    /// Carries a run on with these letters in its inbox, and with Ctrl-C at the n-th turn of its loop.
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
        for letter in letters {
            journal.post(&run_id(), world.now(), &Person::claimed("test"), letter).unwrap();
        }
        let turns = Cell::new(0_u32);
        let interrupts = || {
            turns.set(turns.get() + 1);
            assert!(
                turns.get() < 60_000,
                "it neither ends nor stops, {} after the beginning: seed {}, {}, {} events before",
                world.now().since(BEGAN),
                self.seed,
                self.scenario.name,
                prefix.len()
            );
            u32::from(interrupt.is_some_and(|n| turns.get() >= n))
        };
        let session = session(&journal, &sandbox, &world, &interrupts);
        let ended = world.block_on(async {
            let owned = create::resume(&session, &run_id(), "test again").await.unwrap();
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
        let done = Rehearsed { resumed: true, ..self.rehearsed(ended, &sandbox, &journal, &kept) };
        world.not_before(world.now() + Dur::mins(1));
        let seen = self.seen(&sandbox, &world);
        Ok((done, seen))
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

pub fn cancel(displaced_by: Option<&str>) -> Signal {
    Signal::Cancel { reason: "not now".to_owned(), displaced_by: displaced_by.map(str::to_owned) }
}

fn collect_notes(sandbox: &Sandbox) -> Rc<RefCell<Notes>> {
    let notes = Rc::new(RefCell::new(Vec::new()));
    let into = Rc::clone(&notes);
    sandbox.keep(Box::new(move |at, bytes| into.borrow_mut().push((at, bytes.to_vec()))));
    notes
}
