//! Where the application is active: observed, never declared.
//!
//! Each database votes for the site of its writer, each DNS name for the site that it points to, and each group of instances for
//! the only site that has capacity. If all votes agree, that site is active. If they do not, the application is split and a
//! person has to decide.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::estate::{Estate, Knowledge};
use super::observation::Observation;
use crate::kinds::shared::capacity::Scales;
use crate::kinds::shared::database::{Database, DatabaseRef, DatabaseState};
use crate::kinds::shared::names::{Names, SwitchBy};
use crate::kinds::{Role, State, Target};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::time::{Dur, Timestamp};
use crate::plan::types::{Component, Plan};

/// Where the application is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActiveSite {
    /// Every component that could be seen votes for this site.
    At(SiteName),
    /// Components disagree.
    Split(BTreeMap<ComponentName, BTreeSet<SiteName>>),
    /// Nothing can be seen now: the site that was seen last, and how long ago that was.
    LastKnown(SiteName, Dur),
    /// It was never seen.
    Unknown,
}

impl ActiveSite {
    /// The site, if there is one.
    pub const fn site(&self) -> Option<&SiteName> {
        match self {
            Self::At(site) | Self::LastKnown(site, _) => Some(site),
            Self::Split(_) | Self::Unknown => None,
        }
    }

    /// `observed`, `last_known`, `split` or `unknown`.
    pub const fn basis(&self) -> &'static str {
        match self {
            Self::At(_) => "observed",
            Self::Split(_) => "split",
            Self::LastKnown(..) => "last_known",
            Self::Unknown => "unknown",
        }
    }
}

impl ActiveSite {
    /// The same as part of a sentence.
    pub fn words(&self) -> String {
        match self {
            Self::Unknown => "active site unknown".to_owned(),
            Self::Split(_) => self.to_string(),
            Self::At(_) | Self::LastKnown(..) => format!("active in {self}"),
        }
    }
}

impl fmt::Display for ActiveSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(site) => write!(f, "{site}"),
            Self::LastKnown(site, age) => write!(f, "{site} (last known, {age} ago)"),
            Self::Unknown => f.write_str("unknown"),
            Self::Split(votes) => {
                let sites = |all: &BTreeSet<SiteName>| {
                    all.iter().map(SiteName::as_str).collect::<Vec<_>>().join(" and in ")
                };
                let votes: Vec<_> = votes.iter().map(|(c, all)| format!("{c} in {}", sites(all))).collect();
                write!(f, "split: {}", votes.join(", "))
            }
        }
    }
}

/// One component's vote and how old it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The site voted for.
    pub site: SiteName,
    /// How old the observation behind the vote is; zero if it was made in this survey.
    pub age: Dur,
}

/// The vote of every component that has one.
pub fn votes(plan: &Plan, estate: &Estate, now: Timestamp) -> BTreeMap<ComponentName, Vote> {
    plan.components
        .values()
        .filter_map(|component| {
            let vote = match component.role() {
                Role::Store(spec) => writer(plan, estate, now, &component.name, spec),
                Role::Capacity(group) => capacity(plan, estate, now, &component.name, group),
                Role::Traffic(zone) => answers(plan, estate, now, &component.name, zone),
                // Buckets accept writes in every site, so they cannot vote.
                Role::Clients(_) | Role::Copy(_) | Role::Declared => None,
            };
            vote.map(|v| (component.name.clone(), v))
        })
        .collect()
}

/// Where the application is active.
pub fn active_site(plan: &Plan, estate: &Estate, now: Timestamp) -> ActiveSite {
    let all = votes(plan, estate, now);
    if plan.components.values().any(|c| live_writers(plan, estate, c).len() > 1) {
        return split(plan, estate, all);
    }
    // A database outvotes what follows it: names are switched and groups are scaled to follow the writer.
    let stores: BTreeMap<_, _> =
        all.iter().filter(|(c, _)| plan.components.get(*c).is_some_and(|c| c.is_store())).collect();
    let sites: BTreeSet<_> = all.values().map(|v| &v.site).collect();
    match sites.len() {
        0 => ActiveSite::Unknown,
        1 => {
            let Some(site) = sites.first() else { return ActiveSite::Unknown };
            // One fresh vote is enough, because the older ones do not contradict it.
            match all.values().map(|v| v.age).min() {
                Some(Dur::ZERO) | None => ActiveSite::At((*site).clone()),
                Some(age) => ActiveSite::LastKnown((*site).clone(), age),
            }
        }
        _ if !stores.is_empty()
            && stores.values().all(|v| v.age > Dur::ZERO)
            && all.values().all(|v| v.age > Dur::ZERO) =>
        {
            ActiveSite::Unknown
        }
        _ => split(plan, estate, all),
    }
}

/// The site of each component; for a database, every site in which it takes writes.
fn split(plan: &Plan, estate: &Estate, votes: BTreeMap<ComponentName, Vote>) -> ActiveSite {
    let sites = |(name, vote): (ComponentName, Vote)| {
        let writers = plan.components.get(&name).map(|c| live_writers(plan, estate, c)).unwrap_or_default();
        (name, writers.into_iter().chain([vote.site]).collect())
    };
    ActiveSite::Split(votes.into_iter().map(sites).collect())
}

/// The fence of a database for which no other server takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fencing {
    /// The site of the fenced server.
    pub site: SiteName,
    /// Whether it is proven that the server takes no writes. A security group alone leaves older sessions open.
    pub proven: bool,
}

/// Databases for which no server takes writes except one with a fence. `kept_out` are the servers that runs proved to take no writes.
pub fn fencing(plan: &Plan, estate: &Estate, kept_out: &[DatabaseRef]) -> BTreeMap<ComponentName, Fencing> {
    let stopped = |component: &Component| {
        let Role::Store(spec) = component.role() else { return None };
        if !live_writers(plan, estate, component).is_empty() {
            return None;
        }
        let fence = |site: &SiteName| {
            let db = spec.server(plan, &component.name, site).filter(|db| is_fenced(estate, db, spec))?;
            let proven = has_proof(estate, &db, spec) || kept_out.iter().any(|kept| kept.is(&db));
            Some(Fencing { site: site.clone(), proven })
        };
        let fencing = spec.at.keys().find_map(fence)?;
        Some((component.name.clone(), fencing))
    };
    plan.components.values().filter_map(stopped).collect()
}

/// Sites in which this survey saw a writable database that is not fenced.
pub fn live_writers(plan: &Plan, estate: &Estate, component: &Component) -> Vec<SiteName> {
    let Role::Store(spec) = component.role() else { return Vec::new() };
    let writes = |site: &&SiteName| {
        spec.server(plan, &component.name, site).is_some_and(|db| takes_writes(estate, &db, spec))
    };
    spec.at.keys().filter(writes).cloned().collect()
}

/// Whether this survey saw the server writable and not fenced.
pub fn takes_writes(estate: &Estate, db: &DatabaseRef, spec: &Database) -> bool {
    let seen = estate.now(&Target::Database(db.clone())).and_then(Observation::state);
    matches!(seen, Some(State::Database(d)) if !d.is_replica()) && !is_fenced(estate, db, spec)
}

/// Whether this survey saw a fence on the database: either the fence is proven, or the fence's security group is the only one
/// attached, which keeps new sessions out.
pub fn is_fenced(estate: &Estate, db: &DatabaseRef, spec: &Database) -> bool {
    let seen = estate.now(&Target::Database(db.clone())).and_then(Observation::state);
    has_proof(estate, db, spec) || matches!(seen, Some(State::Database(d)) if is_shut(db, d))
}

/// Whether this survey saw proof of a fence on the database.
pub fn has_proof(estate: &Estate, db: &DatabaseRef, spec: &Database) -> bool {
    spec.fence.iter().any(|&method| {
        let seen = estate.now(&Target::fence(db, method)).and_then(Observation::state);
        matches!(seen, Some(State::Fence(f)) if f.proven)
    })
}

/// Whether the fence's security group is the only one that the database has.
pub fn is_shut(db: &DatabaseRef, seen: &DatabaseState) -> bool {
    let only = |g: &String| seen.security_groups.len() == 1 && seen.security_groups.contains(g);
    db.fence_group.as_ref().is_some_and(only)
}

fn age_of<T>(known: &Knowledge<'_, T>) -> Dur {
    match known {
        Knowledge::Stale(_, age) => (*age).max(Dur(1)),
        _ => Dur::ZERO,
    }
}

fn writer(
    plan: &Plan,
    estate: &Estate,
    now: Timestamp,
    name: &ComponentName,
    spec: &crate::kinds::shared::database::Database,
) -> Option<Vote> {
    let mut writers = Vec::new();
    for site in spec.at.keys() {
        let db = spec.server(plan, name, site)?;
        let known = estate.database(&Target::Database(db), now);
        let fenced = spec.server(plan, name, site).is_some_and(|db| is_fenced(estate, &db, spec));
        if known.value().is_some_and(|d| !d.is_replica()) && !fenced {
            writers.push(Vote { site: site.clone(), age: age_of(&known) });
        }
    }
    // If there are two writers, the one seen most recently counts: the other is only remembered from a lost site.
    writers.into_iter().min_by_key(|v| v.age)
}

fn capacity(
    plan: &Plan,
    estate: &Estate,
    now: Timestamp,
    name: &ComponentName,
    spec: &dyn Scales,
) -> Option<Vote> {
    let mut with = Vec::new();
    for site in spec.shares().keys() {
        let known = estate.capacity(&spec.target(plan, name, site)?, now);
        if known.value().is_some_and(|g| g.in_service > 0) {
            with.push(Vote { site: (*site).clone(), age: age_of(&known) });
        }
    }
    // With a warm standby both sites have capacity, which says nothing about where the application is active.
    if with.len() == 1 { with.pop() } else { None }
}

fn answers(plan: &Plan, estate: &Estate, now: Timestamp, name: &ComponentName, zone: &Names) -> Option<Vote> {
    if let (SwitchBy::Object(of), Some(object)) = (&zone.switch, zone.object(plan, name)) {
        let known = estate.signal(&Target::HealthObject(object), now);
        let there = known.value()?.holder.is_some();
        let site = if there { of.value.site.clone() } else { plan.home.value.clone() };
        return Some(Vote { site, age: age_of(&known) });
    }
    if let Some(controls) = zone.controls(plan, name) {
        let target = Target::Controls(controls);
        let known = estate.controls(&target, now);
        let site = known.value()?.leads_to()?.clone();
        return Some(Vote { site, age: age_of(&known) });
    }
    let target = zone.record_sets(plan, name)?;
    let known = estate.records(&target, now);
    let sets = known.value()?;
    let mut sites: Vec<_> = zone.records.iter().map(|r| r.answered_by(sets)).collect::<Option<_>>()?;
    sites.sort();
    sites.dedup();
    if sites.len() == 1 { sites.pop().map(|site| Vote { site, age: age_of(&known) }) } else { None }
}
