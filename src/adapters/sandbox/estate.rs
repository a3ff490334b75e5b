//! The simulated estate: a set of simulated components in one world. The caller moves the clock.

use std::collections::{BTreeMap, BTreeSet};

use super::guards::Guards;
use super::moment::Moment;
use super::scenario::Fate;
use super::truth::Truth;
use crate::inventory::Observation;
use crate::kinds::control::GuardState;
use crate::kinds::simulated::{NetworkChange, SimulatedPart};
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::agenda::Agenda;
use crate::kinds::world::answer::{Answer, Silence};
use crate::kinds::world::heap::Owner;
use crate::kinds::{Called, Op as _, Operation, Simulation, State, Target, cloud};
use crate::model::ids::ComponentName;
use crate::model::place::Place;
use crate::model::time::{Dur, Timestamp};
use crate::record::action::Action;

/// A scheduled event of the world itself.
#[derive(Clone, Debug)]
pub(super) enum Turn {
    Lose,
    Return,
    Cut,
    Mended,
    ClockSet,
    ClientsGone,
    /// The effect of a call whose caller gave up.
    Effect(Box<Action>),
}

/// A component.
pub(super) struct Component {
    pub(super) name: ComponentName,
    pub(super) simulation: Simulation,
}

/// Simulates everything that a plan names.
pub struct Estate {
    pub(super) world: SimulatedWorld,
    pub(super) components: Vec<Component>,
    index: BTreeMap<ComponentName, usize>,
    /// The components that the names of each zone need.
    pub(super) needed: Vec<Vec<usize>>,
    pub(super) guards: Guards,
    agenda: Agenda<Turn>,
    calls: BTreeMap<String, u32>,
    /// When this process continued the work of an earlier one.
    pub(super) taken_up: Option<Timestamp>,
    pub(super) truth: Truth,
    pub(super) two_since: Option<Timestamp>,
    /// The recorded states, if a test asked for them.
    pub(super) moments: Option<Vec<Moment>>,
}

impl Estate {
    pub(super) fn new(world: SimulatedWorld, components: Vec<Component>) -> Self {
        let numbered = components.iter().zip(0..);
        let index: BTreeMap<_, _> = numbered.map(|(of, i)| (of.name.clone(), i)).collect();
        let needed = |needs: &BTreeSet<ComponentName>| {
            needs.iter().filter_map(|name| index.get(name).copied()).collect()
        };
        Self {
            needed: world.names.iter().map(|of| needed(&of.needs)).collect(),
            guards: Guards::new(components.iter().map(|of| of.name.clone()).collect()),
            world,
            components,
            index,
            agenda: Agenda::new(Owner::World),
            calls: BTreeMap::new(),
            taken_up: None,
            truth: Truth::default(),
            two_since: None,
            moments: None,
        }
    }

    pub(super) fn schedule(&mut self, at: Timestamp, turn: Turn) {
        self.agenda.schedule(at, turn, &mut self.world);
    }

    /// Schedules the effect of a call whose caller is gone.
    pub(super) fn later(&mut self, at: Timestamp, action: Action) {
        match action {
            Action::Op(op) => self.world.call_later(at, op),
            other => self.schedule(at, Turn::Effect(Box::new(other))),
        }
    }

    /// Schedules the cuts of the network, and what else the scenario has for certain times.
    pub(super) fn schedule_cuts(&mut self) {
        let began = self.world.began;
        for cut in self.world.scenario.cuts.into_iter().flatten() {
            let since = began + cut.after;
            self.schedule(since, Turn::Cut);
            if let Some(lasts) = cut.lasts {
                self.schedule(since + lasts, Turn::Mended);
            }
        }
        if let Some(step) = self.world.scenario.clock_step {
            self.schedule(began + step.after, Turn::ClockSet);
        }
    }

    /// Runs all events that are due by `to`.
    pub fn advance(&mut self, to: Timestamp) {
        while let Some((owner, event)) = self.world.next_due(to) {
            if self.happens(owner, event) {
                self.note_users();
            }
        }
        self.world.now = self.world.now.max(to);
    }

    /// An event happens; false if it was cancelled.
    fn happens(&mut self, owner: Owner, event: u64) -> bool {
        match owner {
            Owner::Component(i) => self.components[i].simulation.due(event, &mut self.world),
            Owner::Call => {
                let call = self.world.take_call(event);
                call.map(|op| drop(self.apply(&Action::Op(op)))).is_some()
            }
            Owner::World => self.agenda.take(event).map(|turn| self.turn(turn)).is_some(),
        }
    }

    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Lose => {
                self.world.lose();
                if let Some(most) = self.world.scenario.clients_leave {
                    let after = self.world.roll(&["clients leave"], most.millis());
                    self.schedule(self.world.after(after), Turn::ClientsGone);
                }
                self.network(NetworkChange::Cut);
            }
            Turn::Return => {
                self.world.come_back();
                self.network(NetworkChange::Mended);
            }
            Turn::Cut => self.network(NetworkChange::Cut),
            Turn::Mended => self.network(NetworkChange::Mended),
            Turn::ClockSet => {}
            Turn::ClientsGone => self.world.clients_gone = true,
            Turn::Effect(action) => drop(self.apply(&action)),
        }
    }

    fn network(&mut self, change: NetworkChange) {
        for component in &mut self.components {
            component.simulation.network_changed(change, &mut self.world);
        }
    }

    /// Starts a new run: the events so far belong to an earlier one.
    pub(super) fn forget(&mut self) {
        for servers in self.components.iter_mut().filter_map(|of| of.simulation.servers()) {
            servers.forget();
        }
        self.truth = Truth::default();
        self.two_since = None;
        self.moments = self.moments.take().map(|_| Vec::new());
        self.note_users();
    }

    /// What a component does for users, if the plan has it.
    pub(super) fn part(&self, name: &ComponentName) -> Option<SimulatedPart<'_>> {
        self.index.get(name).map(|&i| self.components[i].simulation.part())
    }

    /// The component that a target belongs to.
    pub(super) fn component(&self, target: &Target) -> Option<&Simulation> {
        self.index.get(target.component()?).map(|&i| &self.components[i].simulation)
    }

    fn answers(&self, target: &Target) -> Result<(), Silence> {
        let place = target.place().map_or("", |p| p.name.as_str());
        match self.component(target) {
            _ if self.world.is_dark(place) => Err(Silence::TimesOut),
            Some(of) => of.answers(target, &self.world),
            None => Ok(()),
        }
    }

    /// The latency of an answer about a target, in milliseconds.
    pub(super) fn answer_time(&self, target: &Target) -> u64 {
        let place = target.place().map_or("", |p| p.name.as_str());
        match self.answers(target) {
            Err(Silence::TimesOut) => target.answers_within().millis(),
            _ if self.world.is_lost(place) => self.world.scenario.home_latency_ms,
            _ => 20 + self.world.roll(&["latency", place, target.service()], 60),
        }
    }

    /// The result of a call, and the latency of its answer.
    pub(super) fn fate(&mut self, action: &Action, key: &str) -> (u64, Fate) {
        // The plan says what becomes of it.
        if let Action::Op(op) = action
            && let Some(takes) = cloud::takes(op)
        {
            return (takes.millis(), Fate::Answered);
        }
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
            Err(Silence::Unavailable) => return (wait, Fate::Unavailable),
            Err(Silence::Refuses) => return (wait, Fate::NotSent),
            Err(Silence::TimesOut) => return (wait, Fate::Lost),
            Ok(()) => {}
        }
        let (world, scenario) = (&self.world, &self.world.scenario);
        let die = world.roll(&["fate", key, &attempt], 1_000);
        if die < scenario.throttled {
            return (wait, Fate::Throttled);
        }
        if die >= scenario.throttled + scenario.faults {
            return (wait, Fate::Answered);
        }
        match world.roll(&["fault", key, &attempt], 5) {
            0 => (wait, Fate::NotSent),
            1 => (10_000, Fate::Lost),
            2 => (wait, Fate::AppliedUnanswered),
            3 => (10_000, Fate::Late(Dur(world.roll(&["late", key], scenario.late.millis())))),
            _ => (wait, Fate::Unavailable),
        }
    }

    /// Performs an action, and returns the provider's answer.
    pub(super) fn apply(&mut self, action: &Action) -> Answer {
        let answer = match action {
            Action::Op(op) => self.operate(op),
            Action::Write(write) => return self.guards.write(write),
            Action::Check(_) | Action::Gate(_) | Action::Wait { .. } => Ok(None),
        };
        // Rows change nothing for users.
        if !matches!(action, Action::Op(op) if op.writes_a_row()) {
            self.note_users();
        }
        answer
    }

    /// The component carries it out. What belongs to no component runs on this machine, and is not run here.
    fn operate(&mut self, op: &Operation) -> Answer {
        if !op.properties().mutates {
            return Ok(None);
        }
        let target = op.watch(&Called::NOT_YET);
        match target.component().and_then(|name| self.index.get(name)) {
            Some(&i) => self.components[i].simulation.apply(op, &mut self.world),
            None => Ok(None),
        }
    }

    /// Observes a target.
    pub(super) fn observe(&self, target: &Target) -> Observation {
        if let Err(silence) = self.answers(target) {
            let since = self.world.by_observer(self.world.lost_at().unwrap_or(self.world.began));
            return Observation::Unobservable { since, why: silence.words().to_owned() };
        }
        let state = match (target, self.component(target)) {
            (Target::Guard { component, .. }, _) => {
                self.guards.holder(component).map(|holder| State::Guard(GuardState { holder }))
            }
            (_, Some(of)) => of.observe(target, &self.world),
            (_, None) => cloud::simulated(target, |place| self.databases(place), &self.world),
        };
        let observed_at = self.world.looked();
        match state {
            Some(state) => Observation::Value { state, observed_at, source: "sandbox".to_owned() },
            None => Observation::NotFound { observed_at },
        }
    }

    /// The number of databases in a place.
    fn databases(&self, place: &Place) -> usize {
        let servers = self.components.iter().filter_map(|of| match of.simulation.part() {
            SimulatedPart::Store(servers) => Some(servers),
            SimulatedPart::Capacity(_) | SimulatedPart::Other => None,
        });
        servers.flat_map(|of| &of.all).filter(|server| server.reference.place == *place).count()
    }
}
