//! Whether a recovery would work today: compares the observations of an estate with what its plan needs.
//!
//! Nothing here makes observations. Something that was not observed is unknown, and never ready.

mod writer;

use crate::inventory::{ActiveSite, Estate, Knowledge, active, drift, targets};
use crate::kinds::cloud::{self, METRICS};
use crate::kinds::shared::capacity::{CapacityShare, Scales};
use crate::kinds::shared::database::{Database, DatabaseRef, DatabaseState, Engine, Serves};
use crate::kinds::shared::names::{Names, Record, RecordSet};
use crate::kinds::{Role, Sight, State, Target};
use crate::model::ids::{RunId, SiteName};
use crate::model::place::Place;
use crate::model::readiness::{Area, Check, Reading, Standing, check, not, ready};
use crate::model::time::Timestamp;
use crate::model::worst::worst_first;
use crate::plan::Plan;
use crate::plan::types::Component;

/// The input of the check.
pub struct ReadinessInput<'a> {
    /// All observations, including permissions and quotas.
    pub estate: &'a Estate,
    /// The time of the check.
    pub now: Timestamp,
    /// The location of the guards.
    pub guard: Option<&'a Place>,
    /// The run that verified the plan, and its observations before its first change.
    pub proven: Option<(RunId, Vec<(String, State)>)>,
}

/// All checks, the worst first.
pub fn evaluate(plan: &Plan, seen: &ReadinessInput<'_>) -> Vec<Check> {
    let active = active::active_site(plan, seen.estate, seen.now);
    let of = Evaluation { plan, seen, active };
    let mut checks = Vec::new();
    for component in plan.components.values() {
        match component.role() {
            Role::Store(spec) => checks.extend(of.database(component, spec)),
            Role::Capacity(spec) => checks.extend(of.capacity(component, spec)),
            Role::Traffic(spec) => checks.extend(of.ttl(component, spec)),
            Role::Copy(_) | Role::Clients(_) | Role::Declared => {}
        }
        checks.extend(component.spec.checks(&component.name, plan, &of));
    }
    checks.extend(
        targets::places(plan)
            .chain(seen.guard)
            .filter(|place| cloud::has_account(place))
            .flat_map(|place| of.account(place)),
    );
    checks.push(of.drift());
    checks.sort_by_key(|check| check.area);
    worst_first(&mut checks);
    checks
}

/// The worst result.
pub fn worst(checks: &[Check]) -> Standing {
    checks.iter().map(|check| check.standing).max().unwrap_or(Standing::Unknown)
}

struct Evaluation<'a> {
    plan: &'a Plan,
    seen: &'a ReadinessInput<'a>,
    active: ActiveSite,
}

impl Sight for Evaluation<'_> {
    fn active(&self) -> Option<&SiteName> {
        self.active.site()
    }

    fn state(&self, target: &Target) -> Result<&State, Reading> {
        let seen = self.seen.estate.now(target).and_then(crate::inventory::Observation::state);
        seen.ok_or_else(|| self.unseen(target))
    }

    fn unseen(&self, target: &Target) -> Reading {
        Evaluation::unseen(self, target)
    }

    fn asked(&self, target: &Target) -> bool {
        self.seen.estate.entries.contains_key(&target.key())
    }

    fn now(&self) -> Timestamp {
        self.seen.now
    }
}

impl Evaluation<'_> {
    fn why_not(&self, target: &Target) -> String {
        let seen = self.seen.estate.now(target);
        if let Some(why) = seen.and_then(|seen| seen.refused(target)) {
            return why;
        }
        let why = seen.map_or_else(|| "not observed".to_owned(), crate::inventory::Observation::why_not);
        format!("{target}: {why}")
    }

    fn unseen(&self, target: &Target) -> Reading {
        if matches!(self.seen.estate.now(target), Some(crate::inventory::Observation::NotFound { .. })) {
            let facts = format!("{target} does not exist");
            return not(
                Standing::NotReady,
                facts,
                "create what the plan names, or correct the name in the plan",
            );
        }
        not(
            Standing::Unknown,
            self.why_not(target),
            "run drctl observe to see the state, and drctl doctor --assume-down SITE to see what is missing",
        )
    }

    /// Checks the writer, and the servers that could take over.
    fn database(&self, component: &Component, spec: &Database) -> Vec<Check> {
        let name = component.name.as_str();
        let at = |site: &SiteName| spec.server(self.plan, &component.name, site);
        let writers = active::live_writers(self.plan, self.seen.estate, component);
        let [writer] = writers.as_slice() else {
            let facts = match writers.len() {
                0 => "it is unknown which server takes the writes".to_owned(),
                _ => format!("it takes writes in {} sites", writers.len()),
            };
            let standing = if writers.is_empty() { Standing::Unknown } else { Standing::NotReady };
            return vec![check(Area::Replica, name, not(standing, facts, "drctl status"))];
        };
        let Some(primary) = at(writer) else { return Vec::new() };
        let at_writer = format!("{name} in {writer}");
        let mut checks =
            vec![check(Area::Backups, at_writer.clone(), self.backups(component, spec, (writer, &primary)))];
        let fence = self.fence(spec, &primary).map(|told| check(Area::Fence, at_writer.clone(), told));
        let standbys: Vec<_> = spec.at.keys().filter(|site| *site != writer).filter_map(at).collect();
        let lacks =
            self.unreplicated(&primary, &standbys).map(|told| check(Area::Unreplicated, at_writer, told));
        checks.extend(fence.into_iter().chain(lacks));
        for standby in standbys {
            let about = format!("{name} in {}", standby.place.name);
            let target = Target::Database(standby.clone());
            let Knowledge::Fresh(state) = self.seen.estate.database(&target, self.seen.now) else {
                checks.push(check(Area::Replica, about, self.unseen(&target)));
                continue;
            };
            let fix = format!("run drctl reprotect {} --to {}", self.plan.name, standby.place.name);
            checks.push(check(Area::Replica, about.clone(), replica((state, spec.engine), &primary, &fix)));
            checks.push(check(Area::Lag, about.clone(), self.lag(component, state, &primary)));
            checks.extend(self.parity(state, &primary).map(|told| check(Area::Parity, about, told)));
        }
        checks
    }

    fn lag(&self, component: &Component, state: &DatabaseState, primary: &DatabaseRef) -> Reading {
        let most = component.objectives.unwrap_or(self.plan.objectives).rpo_ms;
        let Some(commit) = state.last_commit else {
            let facts = "its replication lag is unknown";
            return not(Standing::Unknown, facts, &format!("set an `admin` login, or grant {METRICS}"));
        };
        let lag = self.seen.now.since(commit);
        let by = state.last_commit_source.as_deref().unwrap_or("the provider");
        // An old last commit is not a lag if the writer has committed nothing since.
        let writer = Target::Database(primary.clone());
        let writer = self.seen.estate.database(&writer, self.seen.now).fresh().and_then(|db| db.wal);
        if let (Some(here), Some(there)) = (state.wal, writer)
            && here.timeline == there.timeline
            && here.position >= there.position
        {
            return ready(format!("it has the complete log of the writer; its last commit is {lag} old"));
        }
        let idle = by == "sql" || state.instance.as_ref().is_some_and(|i| i.may_be_idle(lag));
        if idle && lag.times(2) > most && (state.wal.is_none() || writer.is_none()) {
            let facts = format!(
                "its last commit is {lag} old (by {by}), and it is unknown whether a later one exists; the RPO is {most}"
            );
            return not(
                Standing::Unknown,
                facts,
                "set an `admin` login on both sides, so that drctl can compare their logs",
            );
        }
        let facts = format!("its last commit is {lag} old (by {by}); the RPO is {most}");
        let fix = "check why it cannot keep up: long queries on the replica, its size, the network";
        match () {
            () if lag > most => not(Standing::NotReady, facts, fix),
            // A lag of more than half the objective leaves too little time for detection and the fence.
            () if lag.times(2) > most => not(Standing::Degraded, facts, fix),
            () => ready(facts),
        }
    }

    /// Whether a standby can carry the same load as the writer and replicate with it.
    fn parity(&self, standby: &DatabaseState, primary: &DatabaseRef) -> Option<Reading> {
        let target = Target::Database(primary.clone());
        let writer = self.seen.estate.database(&target, self.seen.now).fresh()?;
        let mut differs = Vec::new();
        let mut held = |what: &str, here: Option<&str>, there: Option<&str>| {
            if let (Some(here), Some(there)) = (here, there)
                && here != there
            {
                differs.push(format!("{what} {here}; the writer has {there}"));
            }
        };
        match (&standby.instance, &writer.instance, &standby.cluster, &writer.cluster) {
            (Some(here), Some(there), ..) => {
                held("class", Some(&here.class), Some(&there.class));
                held("engine version", Some(&here.version), Some(&there.version));
                held("storage", here.storage.as_deref(), there.storage.as_deref());
            }
            (_, _, Some(here), Some(there)) => {
                held("class", here.class(), there.class());
                held("engine version", Some(&here.version), Some(&there.version));
            }
            _ => return None,
        }
        Some(match differs.is_empty() {
            true => ready("class and engine version match the writer"),
            false => not(
                Standing::Degraded,
                differs.join("; "),
                "use the same on both sides, or prove with a drill that it is enough",
            ),
        })
    }

    /// Whether what is scaled in the other sites may grow to what the active one has.
    fn capacity(&self, component: &Component, spec: &dyn Scales) -> Vec<Check> {
        let target = |site: &SiteName| spec.target(self.plan, &component.name, site);
        let fresh = |target: &Target| self.seen.estate.capacity(target, self.seen.now).fresh().cloned();
        let source = self.active.site().and_then(target).and_then(|target| fresh(&target));
        let of = |(site, share): (&SiteName, &CapacityShare)| {
            let target = target(site)?;
            let about = format!("{} in {site}", component.name);
            let Some(there) = fresh(&target) else {
                return Some(check(Area::Capacity, about, self.unseen(&target)));
            };
            let unit = spec.unit();
            let told = match share.wanted(source.as_ref().map(|source| source.in_service)) {
                None => {
                    let facts = format!("the number of {unit}s in service in the active site is unknown");
                    not(Standing::Unknown, facts, "set `capacity_floor`")
                }
                Some(wanted) if wanted > there.size.max => {
                    let facts = format!("it needs {wanted} {unit}s, but its maximum is {}", there.size.max);
                    not(Standing::NotReady, facts, "raise the maximum")
                }
                Some(wanted) => match &there.last_failure {
                    Some(why) => {
                        let facts =
                            format!("it needs {wanted} {unit}s, but its last scaling activity failed: {why}");
                        not(Standing::Degraded, facts, "correct the cause that the scaling activity names")
                    }
                    None => ready(format!("it needs {wanted} {unit}s; the maximum is {}", there.size.max)),
                },
            };
            Some(check(Area::Capacity, about, told))
        };
        let others = spec.shares().into_iter().filter(|(site, _)| Some(*site) != self.active.site());
        others.filter_map(of).collect()
    }

    /// Resolvers cache an answer for the TTL of the existing record sets, not of those in the plan.
    fn ttl(&self, component: &Component, spec: &Names) -> Option<Check> {
        let target = spec.record_sets(self.plan, &component.name)?;
        let Knowledge::Fresh(sets) = self.seen.estate.records(&target, self.seen.now) else {
            return Some(check(Area::Ttl, component.name.as_str(), self.unseen(&target)));
        };
        let most = self.plan.objectives.rto_ms;
        let differs = |set: &&RecordSet| {
            let declared = |record: &&Record| record.name == set.name && record.rtype == set.rtype;
            let ttl = spec
                .records
                .iter()
                .find(declared)
                .and_then(|record| Some(record.ttl.as_ref()?.value.millis() / 1_000));
            set.ttl_s().is_some_and(|is| ttl.is_some_and(|ttl| ttl != is))
        };
        let kept = crate::kinds::shared::names::kept(sets);
        let longest = format!("resolvers keep an answer for up to {kept}; the RTO is {most}");
        let told = match sets.iter().find(differs) {
            _ if kept > most => not(Standing::NotReady, longest, "lower the TTL"),
            Some(set) => {
                let is = set.ttl_s().unwrap_or_default();
                let facts = format!("{} has a TTL of {is}s, but the plan says another one", set.name);
                not(Standing::Degraded, facts, "correct the TTL or the plan")
            }
            None if kept.times(4) > most => not(Standing::Degraded, longest, "lower the TTL"),
            None => ready(longest),
        };
        Some(check(Area::Ttl, component.name.as_str(), told))
    }

    /// Permissions of the credentials, and quotas of the account.
    fn account(&self, place: &Place) -> Vec<Check> {
        let state = |key: &str| self.seen.estate.entries.get(key).map(|entry| &entry.now);
        let told = |target: &Target, judge: &dyn Fn(&State) -> Option<Reading>| {
            let seen = state(&target.key())?;
            Some(seen.state().and_then(judge).unwrap_or_else(|| self.unseen(target)))
        };
        let granted = Target::Granted { place: place.clone(), needs: Vec::new() };
        let quotas = Target::Quotas { place: place.clone() };
        let granted = told(&granted, &|state| match state {
            State::Granted(of) if !of.denied.is_empty() => {
                let facts = format!("{} may not {}", of.principal, of.denied.join(", "));
                Some(not(
                    Standing::NotReady,
                    facts,
                    "grant the missing permissions (docs: deploy/permissions.md)",
                ))
            }
            State::Granted(of) if !of.unclear.is_empty() => {
                let facts = format!("whether {} may {}", of.principal, of.unclear.join(", "));
                Some(not(Standing::Unknown, facts, "run a drill, which makes the calls"))
            }
            State::Granted(of) if of.asked == 0 => {
                let facts = format!("drctl checked no policy of {} for any call", of.principal);
                Some(not(Standing::Unknown, facts, "run drctl observe, or a drill, which makes the calls"))
            }
            State::Granted(of) => Some(ready(format!(
                "{} may make {} that drctl checked",
                of.principal,
                match of.asked {
                    1 => "the call".to_owned(),
                    2 => "both calls".to_owned(),
                    n => format!("all {n} calls"),
                }
            ))),
            _ => None,
        });
        let databases = self
            .plan
            .components
            .values()
            .any(|c| matches!(c.role(), Role::Store(spec) if spec.engine.is_managed()));
        let quotas = told(&quotas, &|state| match state {
            State::Quotas(of) => cloud::room(place, of),
            _ => None,
        });
        let quotas = quotas.filter(|_| databases);
        let all = [(Area::Permissions, granted), (Area::Quotas, quotas)];
        all.into_iter().filter_map(|(area, told)| Some(check(area, place.name.as_str(), told?))).collect()
    }

    fn drift(&self) -> Check {
        let plan = self.plan.name.as_str();
        let fix = "run a live drill; it checks everything before it starts";
        let Some((run, then)) = &self.seen.proven else {
            let facts = "no live drill or recovery is on record to compare with";
            return check(Area::Drift, plan, not(Standing::Unknown, facts, fix));
        };
        let changes = drift::since(then, self.seen.estate);
        let told = match changes.is_empty() {
            true => ready(format!("unchanged since before run {run}, as far as drctl can observe")),
            false => {
                let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
                not(Standing::Degraded, format!("since run {run}: {}", changes.join("; ")), fix)
            }
        };
        check(Area::Drift, plan, told)
    }
}

fn replica((state, engine): (&DatabaseState, Engine), primary: &DatabaseRef, fix: &str) -> Reading {
    if !state.follows_source(engine, primary) {
        let facts = format!("it does not replicate from {} in {}", primary.id, primary.place.name);
        return not(Standing::NotReady, facts, fix);
    }
    match state.serves(engine) {
        Serves::NoInstance => {
            let fix = "create an instance in that cluster; otherwise drctl creates one during the recovery, which takes minutes";
            not(Standing::Degraded, "it replicates, but the cluster has no instance", fix)
        }
        Serves::Yes => ready(format!("it replicates from {} in {}", primary.id, primary.place.name)),
        Serves::NotNow => not(
            Standing::Degraded,
            format!("it replicates, but its status is {}", state.status),
            "wait until it is available",
        ),
    }
}
