//! Builds the estate of a plan in its normal state, or in the state that was observed.

use super::estate::{Component, Estate, Turn};
use crate::inventory::{Estate as ObservedEstate, Observation, targets};
use crate::kinds::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::chance::roll;
use crate::kinds::world::feed::{Fed, Feed};
use crate::kinds::world::heap::Owner;
use crate::kinds::world::scenario::{Begins, Scenario};
use crate::model::ids::SiteName;
use crate::model::time::{Dur, Timestamp};
use crate::plan::types::Plan;

/// Builds the estate and schedules the loss.
pub(super) fn estate(
    plan: &Plan,
    scenario: Scenario,
    seed: u64,
    began: Timestamp,
    feed: Option<&Feed>,
) -> Estate {
    // The site that will be lost is the home site, or the site where the application was observed to be active.
    let home = feed.map_or(&plan.home.value, |f| &f.active).clone();
    let active = feed.map_or_else(|| active(plan, scenario.begins), |f| f.active.clone());
    let lost_at = began + scenario.lost_after + Dur(roll(seed, &["lost"], 20_000));
    let mut world = SimulatedWorld::new(scenario, seed, began, (home, active));
    world.sites = plan.sites.keys().map(ToString::to_string).collect();
    let mut components: Vec<_> = plan
        .components
        .values()
        .zip(0..)
        .map(|(of, i)| {
            let owner = (Owner::Component(i), &of.name);
            Component { name: of.name.clone(), simulation: of.spec.simulated(owner, plan, &mut world) }
        })
        .collect();
    if let Some(feed) = feed {
        for component in &mut components {
            component.simulation.start_from(feed, &mut world);
        }
    }
    let (loses_home, returns_after) = (world.scenario.loses_home, world.scenario.returns_after);
    let mut estate = Estate::new(world, components);
    if loses_home {
        estate.schedule(lost_at, Turn::Lose);
    }
    if let Some(after) = returns_after {
        estate.schedule(lost_at + after, Turn::Return);
    }
    estate.schedule_cuts();
    estate.note_users();
    estate
}

/// Where the application is active at the beginning.
pub fn active(plan: &Plan, begins: Begins) -> SiteName {
    let home = &plan.home.value;
    let away = plan.sites.iter().find(|(name, site)| *name != home && site.recovery).map(|(name, _)| name);
    match begins {
        Begins::AtHome => home.clone(),
        Begins::Away | Begins::AwayAlone => away.unwrap_or(home).clone(),
    }
}

/// The observations of a plan's resources, for a rehearsal that starts from them.
pub fn feed(plan: &Plan, seen: &ObservedEstate, active: SiteName, at: Timestamp) -> Feed {
    let found = targets::of_plan(plan, None).into_iter().filter(Target::seeds_rehearsal);
    let found = found.filter_map(|target| {
        let found = match seen.now(&target)? {
            Observation::Value { state, .. } => Fed::State(state.clone()),
            Observation::NotFound { .. } => Fed::Missing,
            _ => Fed::Unseen,
        };
        Some((target, found))
    });
    Feed::new(active, at, found)
}
