//! How a hosted zone behaves: a change is on all name servers after a while, and a batch with a wrong value is refused as a whole. Names
//! that follow an object or routing controls change after health checks noticed.

use std::collections::BTreeMap;

use super::plan::Route53;
use crate::kinds::operation::Operation;
use crate::kinds::shared::names::controls::{ControlsRef, ControlsState, SetRoutingControls};
use crate::kinds::shared::names::health_object::{HealthObjectState, ObjectRef, SetHealthObject};
use crate::kinds::shared::names::records::{ChangeState, RecordSet, RecordsState, ZoneRef};
use crate::kinds::shared::names::switch::Switch;
use crate::kinds::simulated::{Simulated, SimulatedPart, is_told_as_a_whole};
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::agenda::Agenda;
use crate::kinds::world::answer::{Answer, Refused, Silence};
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::kinds::world::names::NamesOfZone;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::time::Dur;

/// The longest delay of a zone's listing.
const LISTED: Dur = Dur::secs(4);

/// The hosted zone of one component, if its connection exists.
pub struct SimulatedZone(Option<Zone>);

struct Zone {
    reference: ZoneRef,
    /// Its names in the world.
    names: usize,
    /// As changed.
    sets: Vec<RecordSet>,
    /// The object that moves it, and who put it there.
    object: Option<(ObjectRef, Option<String>)>,
    /// The routing controls that move it, and the one that is `On`.
    controls: Option<(ControlsRef, SiteName)>,
    /// If an object or routing controls move the zone: the record sets, which never change. `sets` then has equivalent sets.
    as_made: Option<Vec<RecordSet>>,
    changes: BTreeMap<String, ChangeState>,
    agenda: Agenda<ZoneEvent>,
}

/// A scheduled event of a zone.
enum ZoneEvent {
    /// A change is on all name servers.
    Insync(String),
    /// The users' resolvers ask again.
    Refresh,
    /// The health checks noticed.
    Noticed,
}

impl Simulated for SimulatedZone {
    type Spec = Route53;

    is_told_as_a_whole!();

    fn build(
        spec: &Route53,
        (owner, name): (Owner, &ComponentName),
        plan: &dyn Surroundings,
        world: &mut SimulatedWorld,
    ) -> Self {
        let spec = &spec.0;
        let Some(reference) = spec.hosted_zone(plan, name) else { return Self(None) };
        let (home, active) = (plan.home(), &world.active);
        let when = |at: &SiteName| spec.records.iter().flat_map(|r| r.sets_when_active(at, home)).collect();
        let sets: Vec<_> = when(active);
        let (object, controls) = (spec.object(plan, name), spec.controls(plan, name));
        let stays = object.is_some() || controls.is_some();
        let zone = Zone {
            object: object.map(|object| (object, (active != home).then(|| "an earlier run".to_owned()))),
            controls: controls.map(|of| (of, active.clone())),
            as_made: stays.then(|| when(home)),
            reference,
            names: world.names.len(),
            sets: sets.clone(),
            changes: BTreeMap::new(),
            agenda: Agenda::new(owner),
        };
        let mut names = NamesOfZone {
            component: name.clone(),
            needs: plan.reach(name),
            records: spec.records.clone(),
            static_too: !plan.components().iter().any(|(_, of)| of.is_store()),
            published: sets.clone(),
            cached: sets,
            published_to: Vec::new(),
            cached_to: Vec::new(),
        };
        names.follow();
        world.names.push(names);
        Self(Some(zone))
    }

    /// Replaces the record sets that the plan implies by the observed ones.
    fn start_from(&mut self, feed: &Feed, world: &mut SimulatedWorld) {
        if let Some(zone) = &mut self.0 {
            zone.start_from(feed, world);
        }
    }

    fn apply(&mut self, op: &Operation, world: &mut SimulatedWorld) -> Answer {
        let Some(zone) = &mut self.0 else { return Err(Refused::unknown(op)) };
        match op {
            Operation::Switch(of) => zone.switch(of, world),
            Operation::SetHealthObject(of) => zone.set_object(of, world),
            Operation::SetRoutingControls(of) => zone.route(of, world),
            other => Err(Refused::unknown(other)),
        }
    }

    fn observe(&self, target: &Target, _: &SimulatedWorld) -> Option<State> {
        let of = self.0.as_ref()?;
        match target {
            Target::Records { zone, names } if of.is(zone) => {
                let asked = |s: &&RecordSet| names.iter().any(|(n, t)| *n == s.name && *t == s.rtype);
                let sets = of.as_made.as_ref().unwrap_or(&of.sets);
                Some(State::Records(RecordsState { sets: sets.iter().filter(asked).cloned().collect() }))
            }
            Target::Change { zone, id } if of.is(zone) => of.changes.get(id).map(|c| State::Change(*c)),
            Target::HealthObject(object) => {
                let (_, holder) = of.object.as_ref().filter(|(there, _)| there == object)?;
                Some(State::HealthObject(HealthObjectState { holder: holder.clone() }))
            }
            Target::Controls(controls) => {
                let (_, to) = of.controls.as_ref().filter(|(there, _)| there == controls)?;
                let on = controls.controls.keys().map(|site| (site.clone(), site == to)).collect();
                Some(State::Controls(ControlsState { on }))
            }
            _ => None,
        }
    }

    fn due(&mut self, event: u64, world: &mut SimulatedWorld) -> bool {
        let Some(zone) = &mut self.0 else { return false };
        let Some(event) = zone.agenda.take(event) else { return false };
        match event {
            ZoneEvent::Insync(id) => {
                zone.changes.insert(id, ChangeState::Insync);
                zone.publish(world);
            }
            ZoneEvent::Refresh => world.names[zone.names].refresh(),
            ZoneEvent::Noticed => zone.noticed(world),
        }
        true
    }

    fn answers(&self, target: &Target, world: &SimulatedWorld) -> Result<(), Silence> {
        let down = world.scenario.dns_down;
        let is_down = world.lost_at().is_some_and(|lost| down > Dur::ZERO && world.now < lost + down);
        match target {
            Target::Records { .. } if is_down => Err(Silence::Unavailable),
            _ => Ok(()),
        }
    }

    fn oldest(&self, target: &Target, world: &SimulatedWorld) -> Dur {
        match target {
            Target::Records { .. } => world.scenario.stale.min(LISTED),
            _ => Dur::ZERO,
        }
    }

    fn part(&self) -> SimulatedPart<'_> {
        SimulatedPart::Other
    }
}

impl Zone {
    fn is(&self, zone: &ZoneRef) -> bool {
        self.reference.zone == zone.zone
    }

    fn start_from(&mut self, feed: &Feed, world: &mut SimulatedWorld) {
        let seen = feed.states().filter_map(|s| match s {
            State::Records(r) => Some(&r.sets),
            _ => None,
        });
        let sets = self.as_made.as_mut().unwrap_or(&mut self.sets);
        let same = |a: &RecordSet, b: &RecordSet| a.name == b.name && a.rtype == b.rtype;
        let of_names: Vec<RecordSet> =
            seen.flatten().filter(|s| sets.iter().any(|own| same(own, s))).cloned().collect();
        if of_names.is_empty() {
            return;
        }
        sets.retain(|s| !of_names.iter().any(|o| same(o, s)));
        sets.extend(of_names);
        if self.as_made.is_none() {
            let names = &mut world.names[self.names];
            (names.published, names.cached) = (self.sets.clone(), self.sets.clone());
            names.follow();
        }
    }

    fn switch(&mut self, switch: &Switch, world: &mut SimulatedWorld) -> Answer {
        if !self.is(&switch.zone) {
            let why = format!("No hosted zone found with ID: {}", switch.zone.zone);
            return Err(Refused::always("NoSuchHostedZone", why));
        }
        let wrong = |why: String| Refused::as_a_whole("InvalidChangeBatch", why);
        let mut sets = self.sets.clone();
        for change in &switch.changes {
            if let Some(before) = &change.before {
                let other = || {
                    wrong(format!(
                        "Tried to delete resource record set {} but the values provided do not match",
                        before.name
                    ))
                };
                let at = sets.iter().position(|s| s == before).ok_or_else(other)?;
                sets.remove(at);
            }
            if let Some(there) = change.find(&sets).filter(|_| change.after.is_some()) {
                let name = &there.name;
                let why = format!("Tried to create resource record set {name} but it already exists");
                return Err(wrong(why));
            }
            sets.extend(change.after.clone());
        }
        let id = format!("C{:08}", self.changes.len() + 1);
        self.sets = sets;
        self.changes.insert(id.clone(), ChangeState::Pending);
        let takes = 12_000 + world.roll(&["insync", &switch.zone.zone, &id], 40_000);
        self.agenda.schedule(world.after(takes), ZoneEvent::Insync(id.clone()), world);
        Ok(Some(id))
    }

    fn set_object(&mut self, of: &SetHealthObject, world: &mut SimulatedWorld) -> Answer {
        let Some((_, holder)) = self.object.as_mut().filter(|(object, _)| *object == of.object) else {
            let why = format!("the bucket for {} does not exist", of.object.url);
            return Err(Refused::always("NoSuchBucket", why));
        };
        *holder = of.present.then(|| of.holder.clone());
        // Three checks, 10 s apart, by checkers with different phases.
        let noticed = 20_000 + world.roll(&["noticed", &of.object.url], 25_000);
        self.agenda.schedule(world.after(noticed), ZoneEvent::Noticed, world);
        Ok(None)
    }

    /// Sets all routing controls at once: exactly one is `On`.
    fn route(&mut self, of: &SetRoutingControls, world: &mut SimulatedWorld) -> Answer {
        let Some((_, on)) = self.controls.as_mut().filter(|(controls, _)| *controls == of.controls) else {
            return Err(Refused::always("ResourceNotFoundException", "there are no such controls"));
        };
        *on = of.to.clone();
        let noticed = 1_000 + world.roll(&["turned", of.to.as_str()], 9_000);
        self.agenda.schedule(world.after(noticed), ZoneEvent::Noticed, world);
        Ok(None)
    }

    /// The health check changed: name servers answer accordingly, and resolvers after their cached answers expire.
    fn noticed(&mut self, world: &mut SimulatedWorld) {
        let to = match (&self.object, &self.controls) {
            (Some((object, Some(_))), _) => SiteName::new(object.place.name.as_str()),
            (None, Some((_, on))) => on.clone(),
            _ => world.home.clone(),
        };
        let records = &world.names[self.names].records;
        self.sets = records.iter().flat_map(|r| r.sets_when_active(&to, &world.home)).collect();
        self.publish(world);
    }

    /// Name servers use the sets from now on.
    fn publish(&mut self, world: &mut SimulatedWorld) {
        let ttl = world.names[self.names].publish(&self.sets);
        // A resolver keeps its answer until it expires. It fetched the answer at some time within the last TTL.
        let phase = world.roll(&["resolver", &self.reference.zone], ttl.millis().max(1));
        self.agenda.schedule(world.after(phase), ZoneEvent::Refresh, world);
    }
}
