//! Simulated capacity: what is started comes into service after a while, and sometimes there is not enough.

use super::resize::Sent;
use super::scales::Scales;
use super::size::{Capacity, Size};
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::agenda::Agenda;
use crate::kinds::world::answer::{Answer, Refused};
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::time::Dur;

/// Capacity of the active site where the plan names no floor.
const ACTIVE: u32 = 4;

/// What is scaled in a site.
pub struct Pool {
    /// The site.
    pub site: SiteName,
    /// What is scaled there.
    pub target: Target,
    /// Its capacity.
    pub capacity: Capacity,
    name: String,
    coming: u32,
}

/// One more comes into service in the pool with this index.
#[derive(Clone, Copy, Debug)]
pub struct Started(usize);

/// The pools of one component.
pub struct Pools {
    /// The component.
    pub component: ComponentName,
    /// One for each site.
    pub all: Vec<Pool>,
    /// The provider's words when it has too little.
    shortage: &'static str,
    observed: fn(Capacity) -> State,
    agenda: Agenda<Started>,
}

impl Pools {
    /// The pools as the plan implies them.
    pub fn new(
        spec: &dyn Scales,
        shortage: &'static str,
        (owner, name): (Owner, &ComponentName),
        plan: &dyn Surroundings,
        world: &SimulatedWorld,
    ) -> Self {
        let floor = spec.shares().values().filter_map(|share| share.floor).max().unwrap_or(0);
        let pool = |site: &SiteName| {
            let target = spec.target(plan, name, site)?;
            let in_service = if *site == world.active { ACTIVE.max(floor) } else { 0 };
            let size = Size { min: in_service, desired: in_service, max: ACTIVE.max(floor) * 3 };
            let capacity = Capacity { size, in_service, last_failure: None };
            let name = spec.name_in(site).unwrap_or_default().to_owned();
            Some(Pool { site: site.clone(), target, capacity, name, coming: 0 })
        };
        let all = spec.shares().into_keys().filter_map(pool).collect();
        Self { component: name.clone(), all, shortage, observed: spec.observed(), agenda: Agenda::new(owner) }
    }

    /// The pools as they were observed, where they were.
    pub fn start_from(&mut self, feed: &Feed) {
        for pool in &mut self.all {
            if let Some(seen) = feed.state(&pool.target).and_then(State::capacity) {
                (pool.capacity.size, pool.capacity.in_service) = (seen.size, seen.in_service);
            }
        }
        self.all.retain(|pool| !feed.is_missing(&pool.target));
    }

    fn find(&self, of: &Target) -> Option<usize> {
        let key = of.key();
        self.all.iter().position(|pool| pool.target.key() == key)
    }

    /// The state of a target.
    pub fn observe(&self, of: &Target) -> Option<State> {
        self.find(of).map(|i| (self.observed)(self.all[i].capacity.clone()))
    }

    /// Whether everything in a site has something in service.
    pub fn serves(&self, site: &SiteName) -> bool {
        self.all.iter().filter(|pool| pool.site == *site).all(|pool| pool.capacity.in_service > 0)
    }

    /// Sets the size of a target.
    ///
    /// # Errors
    /// The provider refuses it.
    pub fn scale(&mut self, of: &Target, sent: Sent, world: &mut SimulatedWorld) -> Answer {
        let missing = || Refused::always("ValidationError", format!("name not found - {of}"));
        let i = self.find(of).ok_or_else(missing)?;
        let was = self.all[i].capacity.size;
        let to = Size {
            min: sent.min.unwrap_or(was.min),
            desired: sent.desired.unwrap_or(was.desired),
            max: sent.max.unwrap_or(was.max),
        };
        if to.desired > to.max || to.desired < to.min {
            let why = "Desired capacity must be between the specified min size and max size";
            return Err(Refused::always("ValidationError", why));
        }
        let pool = &mut self.all[i];
        let now = &mut pool.capacity;
        now.size = to;
        now.in_service = now.in_service.min(to.desired);
        let more = to.desired.saturating_sub(now.in_service + pool.coming);
        pool.coming += more;
        let first = world.after(45_000 + world.roll(&["launch", &pool.name], 60_000));
        for n in 0..more {
            let later = u64::from(n) * 4_000 + world.roll(&["instance", &pool.name, &n.to_string()], 15_000);
            self.agenda.schedule(first + Dur(later), Started(i), world);
        }
        Ok(None)
    }

    /// One more comes into service, unless there is not enough.
    pub fn due(&mut self, event: u64, world: &SimulatedWorld) -> bool {
        let Some(Started(i)) = self.agenda.take(event) else { return false };
        let percent = world.scenario.capacity_percent;
        let of = &mut self.all[i];
        of.coming = of.coming.saturating_sub(1);
        let now = &mut of.capacity;
        let there = now.size.desired * percent / 100;
        if of.site != world.home && now.in_service >= there.max(1) && percent < 100 {
            now.last_failure = Some(self.shortage.to_owned());
        } else if now.in_service < now.size.desired {
            now.in_service += 1;
        }
        true
    }
}
