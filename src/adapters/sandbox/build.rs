//! Builds the estate of a plan in its normal state.

use std::collections::{BTreeMap, BTreeSet};

use super::estate::{Estate, Led, Pool, Transition, Zone};
use super::scenario::{Applies, Begins, ByGroup, Scenario, roll};
use super::seed_state::Feed;
use super::server::{Catalog, Db, Happens, Isolation, Worker, listens};
use crate::kinds::Role;
use crate::kinds::shared::capacity::{Capacity, Size};
use crate::kinds::shared::database::Engine;
use crate::kinds::shared::fence::FenceMethod;
use crate::model::ids::SiteName;
use crate::model::time::{Dur, Timestamp};
use crate::plan::graph;
use crate::plan::types::{Component, Plan};

/// Capacity of the home site where the plan names no floor.
const HOME_CAPACITY: u32 = 4;

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
    let mut estate = Estate::empty(scenario, seed, began, (home, active));
    estate.sites = plan.sites.keys().map(ToString::to_string).collect();
    for component in plan.components.values() {
        let unchanged = component.spec.rehearsed(&component.name, plan);
        estate.unchanged.extend(unchanged.into_iter().map(|(target, state)| (target.key(), state)));
        match component.role() {
            Role::Store(_) => databases(&mut estate, plan, component),
            Role::Capacity(_) => pools(&mut estate, plan, component),
            Role::Traffic(_) => zone(&mut estate, plan, component),
            Role::Clients(_) => secrets(&mut estate, plan, component),
            Role::Copy(_) | Role::Declared => {}
        }
    }
    estate.guard_names = plan.components.keys().cloned().collect();
    estate.serves_static_only = !plan.components.values().any(Component::is_store);
    if let Some(feed) = feed {
        feed.apply(&mut estate);
    }
    estate.connect();
    if estate.scenario.loses_home {
        estate.schedule(lost_at, Transition::Lose);
    }
    if let Some(after) = estate.scenario.returns_after {
        estate.schedule(lost_at + after, Transition::Return);
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

fn databases(estate: &mut Estate, plan: &Plan, component: &Component) {
    let Role::Store(spec) = component.role() else { return };
    let active = estate.active.clone();
    let Some(primary) = spec.at.get(&active).map(|at| at.id.clone()) else { return };
    let alone = estate.scenario.begins == Begins::AwayAlone;
    let number = estate.dbs.last().map_or(0, |d| d.component + 1);
    for site in spec.at.keys() {
        let Some(reference) = spec.server(plan, &component.name, site) else { continue };
        let lag = estate.scenario.lag_ms / 2
            + roll(estate.seed, &["lag", component.name.as_str()], estate.scenario.lag_ms.max(2));
        // The old writer of a global database follows the new one as soon as it can.
        let old = alone && *site == plan.home.value && spec.engine != Engine::Aurora;
        let fenced: BTreeSet<FenceMethod> = spec.fence.iter().copied().filter(|_| old).take(1).collect();
        let isolated = fenced.contains(&FenceMethod::SecurityGroup);
        let groups = match &reference.fence_group {
            Some(group) if isolated => [group.clone()].into(),
            _ => [format!("sg-{}", reference.place.name)].into(),
        };
        estate.dbs.push(Db {
            site: site.clone(),
            component: number,
            source: (*site != active && !old).then(|| primary.clone()),
            reference,
            lag: Dur(lag),
            status: "available",
            groups,
            fenced,
            isolation: if isolated { Isolation::in_force() } else { Isolation::default() },
            catalog: Catalog::default(),
            worker: match estate.scenario.applies {
                Applies::Nothing => Worker::None,
                _ if spec.engine == Engine::Aurora || *site != active => Worker::None,
                Applies::Ends(_) | Applies::Stays => Worker::Alive,
            },
            stopped_at: old.then_some(estate.now),
            frozen_at: None,
            promotions: 0,
            restored_to: None,
            won: false,
            timeline: if alone && !old { 2 } else { 1 },
            retired: false,
            // A cluster is declared without instances if the plan gives a class for the instance to add.
            headless: spec.at.get(site).is_some_and(|at| at.instance_class.is_some()) && *site != active,
            joined: None,
        });
        let (last, now) = (estate.dbs.len() - 1, estate.now);
        for method in estate.dbs[last].fenced.clone() {
            estate.keep(last, method, now);
        }
        if let (ByGroup::Roughly { others: Some(after), .. }, true) =
            (estate.scenario.by_group, *site == active)
        {
            estate.schedule(now + after, Transition::Isolation(last, Happens::ByOthers));
        }
    }
}

/// The secrets initially point to the database that takes writes at the beginning.
fn secrets(estate: &mut Estate, plan: &Plan, component: &Component) {
    let Role::Clients(spec) = component.role() else { return };
    let Some(Role::Store(db)) = plan.components.get(&spec.of.value).map(|c| c.role()) else { return };
    let Some(writer) = db.server(plan, &spec.of.value, &estate.active) else { return };
    for site in plan.sites.keys() {
        let Some(secret) = spec.secret(plan, &component.name, site) else { continue };
        let fields = secret.leading_to(&listens(&writer)).unwrap_or_default();
        estate.secrets.insert(secret, Led { of: spec.of.value.clone(), fields });
    }
}

fn pools(estate: &mut Estate, plan: &Plan, component: &Component) {
    let Role::Capacity(spec) = component.role() else { return };
    let active = estate.active.clone();
    let floor = spec.shares().values().filter_map(|share| share.floor).max().unwrap_or(0);
    for site in spec.shares().into_keys() {
        let Some(target) = spec.target(plan, &component.name, site) else { continue };
        let in_service = if *site == active { HOME_CAPACITY.max(floor) } else { 0 };
        let size = Size { min: in_service, desired: in_service, max: HOME_CAPACITY.max(floor) * 3 };
        estate.pools.push(Pool {
            site: site.clone(),
            component: component.name.clone(),
            name: spec.name_in(site).unwrap_or_default().to_owned(),
            target,
            capacity: Capacity { size, in_service, last_failure: None },
            coming: 0,
            observed: spec.observed(),
            shortage: spec.shortage(),
        });
    }
}

fn zone(estate: &mut Estate, plan: &Plan, component: &Component) {
    let Role::Traffic(spec) = component.role() else { return };
    let Some(reference) = spec.hosted_zone(plan, &component.name) else { return };
    let home = &plan.home.value;
    let sets: Vec<_> = spec.records.iter().flat_map(|r| r.sets_when_active(&estate.active, home)).collect();
    let away = estate.active != *home;
    let object = spec.object(plan, &component.name);
    let controls = spec.controls(plan, &component.name);
    let stays = object.is_some() || controls.is_some();
    let as_made = stays.then(|| spec.records.iter().flat_map(|r| r.sets_when_active(home, home)).collect());
    estate.zones.push(Zone {
        object: object.map(|object| (object, away.then(|| "an earlier run".to_owned()))),
        controls: controls.map(|of| (of, estate.active.clone())),
        as_made,
        reference,
        records: spec.records.clone(),
        needs: graph::reach(plan, &component.name),
        servers: BTreeMap::new(),
        published_to: Vec::new(),
        cached_to: Vec::new(),
        published: sets.clone(),
        cached: sets.clone(),
        sets,
        changes: BTreeMap::new(),
    });
}
