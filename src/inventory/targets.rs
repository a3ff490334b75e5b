//! The targets of a plan that a survey observes.

use std::collections::BTreeSet;

use super::Estate;
use crate::kinds::aws::autoscaling::{Autoscaling, GroupRef};
use crate::kinds::aws::route53::{ControlsRef, ObjectRef, Route53, SwitchBy, ZoneRef};
use crate::kinds::aws::s3::{BucketRef, Buckets, Sample};
use crate::kinds::clients::Clients;
use crate::kinds::shared::database::{Database, DatabaseRef};
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::shared::restart::Restart;
use crate::kinds::shared::secret::{ClientSecret, ClientWay, SecretRef};
use crate::kinds::{Spec, Target};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::place::Place;
use crate::plan::types::{Component, Plan};

/// Everything of the plan, in a stable order.
pub fn of_plan(plan: &Plan, guard: Option<&Place>) -> Vec<Target> {
    let mut targets = Vec::new();
    // Only AWS can say whose credentials are in use.
    let sites = plan.sites.values().map(|site| &site.place);
    for place in sites.chain(connections(plan)).filter(|p| p.cloud == "aws") {
        targets.push(Target::Identity { place: place.clone() });
    }
    for component in plan.components.values() {
        targets.extend(of_component(plan, component));
        if let Some(place) = guard {
            targets.push(Target::Guard { component: component.name.clone(), place: place.clone() });
        }
    }
    targets
}

/// The connections that components are reached through. One that only an alarm uses is left out: no recovery waits for it.
pub fn connections(plan: &Plan) -> impl Iterator<Item = &Place> {
    let mut used = BTreeSet::new();
    for component in plan.components.values() {
        if let Spec::Route53(zone) = &component.spec {
            used.insert(zone.via.value.as_str());
        }
    }
    plan.connections.values().filter(move |place| used.contains(place.name.as_str()))
}

/// The places of all sites and all connections.
pub fn places(plan: &Plan) -> impl Iterator<Item = &Place> {
    plan.sites.values().map(|s| &s.place).chain(plan.connections.values())
}

fn of_component(plan: &Plan, component: &Component) -> Vec<Target> {
    match &component.spec {
        Spec::Database(spec) => spec
            .at
            .keys()
            .filter_map(|site| database(plan, &component.name, spec, site))
            .flat_map(|db| {
                let fences = spec.fence.iter().map(|&method| fence(&db, method)).collect::<Vec<_>>();
                std::iter::once(Target::Database(db)).chain(fences)
            })
            .collect(),
        Spec::Autoscaling(group) => group
            .at
            .keys()
            .filter_map(|site| self::group(plan, &component.name, group, site))
            .map(Target::Group)
            .collect(),
        Spec::Route53(zone) => {
            let watched = object(plan, &component.name, zone).map(Target::HealthObject);
            let turned = controls(plan, &component.name, zone).map(Target::Controls);
            records(plan, &component.name, zone).into_iter().chain(watched).chain(turned).collect()
        }
        Spec::Clients(of) => of
            .at
            .keys()
            .filter_map(|site| client_secret(plan, &component.name, of, site))
            .map(Target::Secret)
            .collect(),
        Spec::Buckets(of) => {
            of.at.keys().filter_map(|site| bucket(plan, component, of, site)).map(Target::Bucket).collect()
        }
        Spec::External(_) => Vec::new(),
    }
}

/// The database of a component in a site.
pub fn database(
    plan: &Plan,
    component: &ComponentName,
    spec: &Database,
    site: &SiteName,
) -> Option<DatabaseRef> {
    let at = spec.at.get(site)?;
    Some(DatabaseRef {
        component: component.clone(),
        place: plan.sites.get(site)?.place.clone(),
        id: at.id.clone(),
        engine: spec.engine,
        endpoint: at.endpoint.clone(),
        fence_group: at.fence_group.clone(),
        admin_secret: at.admin.as_ref().and_then(|a| match &a.value {
            SecretRef::Ref(reference) => Some(reference.clone()),
            SecretRef::EndpointOf(_) | SecretRef::Literal => None,
        }),
        host: at.host.clone(),
        global: spec.global.clone(),
        harmless: spec.harmless.clone(),
        expendable: spec.expendable.clone(),
        clients: ways_of_clients(plan, component, spec, site),
    })
}

/// How clients of a site reach a database, as far as their login in that site is known.
fn ways_of_clients(
    plan: &Plan,
    component: &ComponentName,
    spec: &Database,
    site: &SiteName,
) -> Vec<ClientWay> {
    let way = |clients: &Component| {
        let Spec::Clients(of) = &clients.spec else { return None };
        let login = of.login.as_ref().and_then(|l| match &l.value {
            SecretRef::Ref(reference) => Some(reference.clone()),
            SecretRef::EndpointOf(_) | SecretRef::Literal => None,
        });
        let secret = client_secret(plan, &clients.name, of, site);
        let ours = of.of.value == *component && (login.is_some() || secret.is_some());
        ours.then_some(ClientWay { secret, endpoint: of.endpoint.clone(), login })
    };
    let by_sql = spec.fence.iter().any(|m| m.tells_the_end());
    plan.components.values().filter(|_| by_sql).filter_map(way).collect()
}

/// The bucket of a component in a site.
pub fn bucket(plan: &Plan, component: &Component, spec: &Buckets, site: &SiteName) -> Option<BucketRef> {
    let own = &spec.at.get(site)?.value;
    Some(BucketRef {
        component: component.name.clone(),
        place: plan.sites.get(site)?.place.clone(),
        bucket: own.clone(),
        prefix: spec.prefix.clone(),
        others: spec.at.values().map(|b| b.value.clone()).filter(|name| name != own).collect(),
    })
}

/// Compares objects in the bucket of one site with their copies in another site.
pub fn sample(
    plan: &Plan,
    component: &Component,
    spec: &Buckets,
    (from, to): (&SiteName, &SiteName),
    seed: &str,
) -> Option<Sample> {
    let source = bucket(plan, component, spec, from)?;
    let copy = bucket(plan, component, spec, to).filter(|_| from != to)?;
    Some(Sample { source, copy, most: spec.sample, seed: seed.to_owned() })
}

/// Targets that the provider refused to show, and what that means for a recovery.
pub fn refused(plan: &Plan, guard: Option<&Place>, estate: &Estate) -> Vec<(Target, String)> {
    let of = |target: Target| estate.now(&target)?.refused(&target).map(|why| (target, why));
    of_plan(plan, guard).into_iter().filter_map(of).collect()
}

/// The target that proves a fence on a database.
pub fn fence(db: &DatabaseRef, method: FenceMethod) -> Target {
    Target::Fence { db: db.clone(), method, restart: Restart::NONE }
}

/// The group of a component in a site.
pub fn group(
    plan: &Plan,
    component: &ComponentName,
    group: &Autoscaling,
    site: &SiteName,
) -> Option<GroupRef> {
    let at = group.at.get(site)?;
    Some(GroupRef {
        component: component.clone(),
        place: plan.sites.get(site)?.place.clone(),
        group: at.group.clone(),
    })
}

/// The zone of a component.
pub fn zone(plan: &Plan, component: &ComponentName, zone: &Route53) -> Option<ZoneRef> {
    let via = &zone.via.value;
    let place =
        plan.connections.get(via).or_else(|| plan.sites.get(&SiteName::new(&**via)).map(|s| &s.place))?;
    Some(ZoneRef { component: component.clone(), place: place.clone(), zone: zone.zone.clone() })
}

/// The object that a component's health checks watch.
pub fn object(plan: &Plan, component: &ComponentName, zone: &Route53) -> Option<ObjectRef> {
    let SwitchBy::Object(object) = &zone.switch else { return None };
    let place = plan.sites.get(&object.value.site)?.place.clone();
    Some(ObjectRef { component: component.clone(), place, url: object.value.url.clone() })
}

/// The record sets of a component.
pub fn records(plan: &Plan, component: &ComponentName, spec: &Route53) -> Option<Target> {
    let mut names: Vec<_> = spec.records.iter().map(|r| (r.name.clone(), r.rtype.clone())).collect();
    names.sort();
    names.dedup();
    Some(Target::Records { zone: zone(plan, component, spec)?, names })
}

/// The routing controls that a component's names follow.
pub fn controls(plan: &Plan, component: &ComponentName, zone: &Route53) -> Option<ControlsRef> {
    let SwitchBy::Controls(of) = &zone.switch else { return None };
    let place = self::zone(plan, component, zone)?.place;
    let (endpoints, controls) = (of.value.endpoints.clone(), of.value.controls.clone());
    Some(ControlsRef { component: component.clone(), place, endpoints, controls })
}

/// The secret that clients in a site read.
pub fn client_secret(
    plan: &Plan,
    component: &ComponentName,
    of: &Clients,
    site: &SiteName,
) -> Option<ClientSecret> {
    Some(ClientSecret {
        component: component.clone(),
        place: plan.sites.get(site)?.place.clone(),
        id: of.at.get(site)?.secret.clone()?,
        host: of.host.clone(),
        port: of.port.clone(),
    })
}
