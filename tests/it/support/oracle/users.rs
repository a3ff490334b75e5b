//! Whether users are served, and where the application is active.

use std::collections::{BTreeMap, BTreeSet};

use drctl::adapters::sandbox::moment::{ClientRoute, Moment};
use drctl::kinds::Role;
use drctl::kinds::shared::names::{Names as Zone, Record, RecordAnswer, RecordPolicy, RecordSet, SwitchBy};
use drctl::model::ids::{ComponentName, SiteName};
use drctl::model::time::{Dur, Timestamp};

use super::Oracle;

/// Whose view of the record sets counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Seen,
    Hidden,
}

/// Whose writes make a server a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// Also those of sessions from before its security group changed.
    Old,
    /// Only those of sessions that it still accepts.
    New,
}

impl Oracle<'_> {
    /// When users started or stopped being served.
    pub fn turns(&self) -> Vec<(Timestamp, bool)> {
        self.turns_of(|moment| self.served(moment, &moment.unreached))
    }

    /// The same as a probe of drctl sees it, which also fails while only drctl cannot reach a site.
    pub fn turns_of_probes(&self) -> Vec<(Timestamp, bool)> {
        self.turns_of(|moment| self.served(moment, &moment.unseen))
    }

    fn turns_of(&self, served: impl Fn(&Moment) -> bool) -> Vec<(Timestamp, bool)> {
        let mut turns: Vec<(Timestamp, bool)> = Vec::new();
        for moment in self.moments.iter().filter(|m| m.at <= self.until) {
            let served = served(moment);
            if turns.last().is_none_or(|(_, before)| *before != served) {
                turns.push((moment.at, served));
            }
        }
        turns
    }

    /// How long users failed: from when they were first not served to when they were finally served again. As everywhere, a failure that
    /// lasted less than `seen` counts only if no other lasted longer: probes need several samples in a row to tell a failure from chance.
    pub fn outage_ms(&self, seen: Dur) -> Option<Dur> {
        let (began, ended) = self.outage(&self.turns(), seen)?;
        Some(ended?.since(began))
    }

    /// How long probes failed, or fail.
    pub fn outage_of_probes(&self, seen: Dur) -> Option<Dur> {
        let (began, ended) = self.outage(&self.turns_of_probes(), seen)?;
        Some(ended.unwrap_or(self.until).since(began))
    }

    /// From when the first one was not served to when all are served again, if that has come.
    fn outage(&self, turns: &[(Timestamp, bool)], seen: Dur) -> Option<(Timestamp, Option<Timestamp>)> {
        let next = turns.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
        let failures: Vec<_> = turns
            .iter()
            .zip(next)
            .filter(|((_, served), _)| !served)
            .map(|((at, _), end)| (*at, end))
            .collect();
        let long =
            |(from, to): &(Timestamp, Option<Timestamp>)| to.unwrap_or(self.until).since(*from) >= seen;
        let some = failures.iter().any(long);
        let mut failures = failures.into_iter().filter(|f| !some || long(f));
        let (began, ended) = failures.next()?;
        Some((began, failures.next_back().map_or(ended, |(_, ended)| ended)))
    }

    /// The same by samples at `phase` and every `every` after it, each answered within `timeout`. `row` samples in a row tell that users are
    /// served, or not: from the first failed sample of the first such row to the first good one of the last.
    pub fn outage_as_sampled(
        &self,
        phase: Timestamp,
        (every, timeout, row): (Dur, Dur, usize),
    ) -> Option<Dur> {
        let turns = self.turns_of_probes();
        let served =
            |at: Timestamp| turns.iter().rev().find(|(t, _)| *t <= at).is_none_or(|(_, served)| *served);
        let times = (0..).map(|n| phase + Dur(n * every.millis())).take_while(|at| *at <= self.until);
        let samples: Vec<_> = times.map(|at| (at, served(at))).collect();
        let (mut began, mut ended) = (None, None);
        for of in samples.chunk_by(|(_, one), (_, other)| one == other) {
            let (first, good) = of[0];
            let in_time = |at: Timestamp| good || at + timeout <= self.until;
            if of.iter().filter(|(at, _)| in_time(*at)).count() < row {
                continue;
            }
            match (good, began) {
                (false, None) => began = Some(first),
                (false, Some(_)) => ended = None,
                (true, Some(_)) => ended = ended.or(Some(first)),
                (true, None) => {}
            }
        }
        Some(ended?.since(began?))
    }

    /// When names sent users to a site whose database takes no writes, after that site was left.
    pub fn traffic_before_database(&self) -> Option<(Timestamp, SiteName)> {
        let began = self.moments.first().map(|m| self.sites_of_names(m)).unwrap_or_default();
        let mut moments = self.moments.iter().filter(|m| m.at <= self.until);
        moments.find_map(|m| {
            let mut led = self.zones().flat_map(|(name, zone)| {
                let sets = m.names.iter().find(|n| n.component == *name).map(|n| n.published.as_slice());
                let sites = self.led_to(zone, sets.unwrap_or_default());
                sites.into_iter().flatten().map(move |site| (name, site))
            });
            let early = |(name, site): &(&ComponentName, SiteName)| {
                !began.contains(site) && !self.stores_of(name, site).all(|db| Self::accepts(m, &db, site))
            };
            led.find(early).map(|(_, site)| (m.at, site))
        })
    }

    /// Where the application is active, according to everything visible: each database by its writers, each group by the only site with
    /// capacity, each zone by its names. Several sites are a split. A server that accepts no new session but may have open ones can count
    /// as either.
    pub fn active(&self, names: Names, sessions: Sessions) -> BTreeSet<SiteName> {
        let Some(last) = self.moments.iter().rev().find(|m| m.at <= self.until) else {
            return BTreeSet::new();
        };
        let of = self.databases();
        let writers = of.iter().flat_map(|(db, sites)| {
            let seen = sites.iter().filter(|s| !last.dark.contains(**s));
            let writes = |site: &&&SiteName| match sessions {
                Sessions::Old => Self::lands(last, db, site),
                Sessions::New => Self::lands(last, db, site) && Self::admits(last, db, site),
            };
            seen.filter(writes).map(|s| (**s).clone())
        });
        let groups = self.plan.components.values().filter_map(|c| {
            let of = last
                .capacity
                .iter()
                .filter(|(name, site, n)| *name == c.name && *n > 0 && !last.dark.contains(site));
            // Capacity in several sites is a warm standby.
            let sites: Vec<_> = of.map(|(_, site, _)| site.clone()).collect();
            <[SiteName; 1]>::try_from(sites).ok().map(|[only]| only)
        });
        let led = if names == Names::Seen { self.sites_of_names(last) } else { BTreeSet::new() };
        writers.chain(groups).chain(led).collect()
    }

    /// Whether users and drctl reach every site.
    pub fn all_reached(&self) -> bool {
        let last = self.moments.iter().rev().find(|m| m.at <= self.until);
        last.is_none_or(|m| m.unseen.is_empty())
    }

    /// Whether every name answers exactly as the plan declares for that active site.
    pub fn names_lead_to(&self, site: &SiteName) -> Result<(), String> {
        let Some(last) = self.moments.iter().rev().find(|m| m.at <= self.until) else { return Ok(()) };
        for (name, zone) in self.zones() {
            let Some(names) = last.names.iter().find(|n| n.component == *name) else { continue };
            for record in &zone.records {
                for sets in [&names.published, &names.cached] {
                    let found = answers(record, sets);
                    if found.as_ref() != Some(site) {
                        return Err(format!("{} of {name} leads to {found:?}, not to {site}", record.name));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn served(&self, moment: &Moment, cut: &BTreeSet<SiteName>) -> bool {
        if self.zones().next().is_none() {
            return self.plan.sites.keys().any(|site| {
                self.is_whole((moment, cut), site, &self.plan.components.keys().cloned().collect())
            });
        }
        self.zones().all(|(name, zone)| {
            let sets = moment.names.iter().find(|n| n.component == *name).map(|n| n.cached.as_slice());
            let needed = self.needed(name);
            self.led_to(zone, sets.unwrap_or_default())
                .into_iter()
                .all(|site| site.is_some_and(|site| self.is_whole((moment, cut), &site, &needed)))
        })
    }

    /// Whether everything that is needed works in a site, for somebody outside who does not reach the cut sites.
    fn is_whole(
        &self,
        (moment, cut): (&Moment, &BTreeSet<SiteName>),
        site: &SiteName,
        needed: &BTreeSet<ComponentName>,
    ) -> bool {
        let works = |name: &ComponentName| match self.plan.components[name].role() {
            Role::Store(of) => !of.at.contains_key(site) || Self::accepts(moment, name, site),
            Role::Capacity(of) => {
                let there = |(c, s, n): &(ComponentName, SiteName, u32)| c == name && s == site && *n > 0;
                !of.shares().contains_key(site) || moment.capacity.iter().any(there)
            }
            Role::Clients(of) => {
                let mut ways = moment.ways.iter().filter(|w| w.component == *name && w.site == *site);
                ways.all(|way| Self::arrives(moment, way, &of.of.value))
            }
            _ => true,
        };
        !cut.contains(site) && needed.iter().all(works)
    }

    /// Whether clients on this path reach a server that takes their writes.
    fn arrives(moment: &Moment, way: &ClientRoute, db: &ComponentName) -> bool {
        let Some((site, id)) = &way.leads_to else { return false };
        let cut = |s: &SiteName| moment.unreached.contains(s);
        let reached = *site == way.site || !cut(site) && !cut(&way.site) && !moment.apart;
        let server = |s: &drctl::adapters::sandbox::moment::Server| {
            s.component == *db && s.site == *site && s.id == *id && s.accepts
        };
        reached && moment.servers.iter().any(server)
    }

    fn stores_of(&self, name: &ComponentName, site: &SiteName) -> impl Iterator<Item = ComponentName> {
        let has = |c: &ComponentName| matches!(self.plan.components[c].role(), Role::Store(of) if of.at.contains_key(site));
        self.needed(name).into_iter().filter(has).collect::<Vec<_>>().into_iter()
    }

    fn zones(&self) -> impl Iterator<Item = (&ComponentName, &Zone)> {
        self.plan.components.values().filter_map(|c| match c.role() {
            Role::Traffic(zone) => Some((&c.name, zone)),
            _ => None,
        })
    }

    /// The sites that the needed names point to. A name that points to none or to several has no site.
    fn led_to(&self, zone: &Zone, sets: &[RecordSet]) -> Vec<Option<SiteName>> {
        let stores = !self.databases().is_empty();
        let needed = zone.records.iter().filter(|r| !r.is_static || !stores);
        needed.map(|r| answers(r, sets)).collect()
    }

    fn sites_of_names(&self, moment: &Moment) -> BTreeSet<SiteName> {
        let by_zone: BTreeMap<_, _> = moment.names.iter().map(|n| (&n.component, &n.published)).collect();
        // Where an object moves names, nobody knows where they lead without reading it.
        let read = |zone: &Zone| match &zone.switch {
            SwitchBy::Object(object) => !moment.dark.contains(&object.value.site),
            SwitchBy::Record | SwitchBy::Controls(_) => true,
        };
        let zones = self.zones().filter(|(_, zone)| read(zone));
        let led = zones.filter_map(|(name, zone)| Some((zone, *by_zone.get(name)?)));
        let records = led.flat_map(|(zone, sets)| zone.records.iter().map(move |r| answers(r, sets)));
        records.flatten().collect()
    }
}

/// The only site whose declared answer a name gives.
fn answers(record: &Record, sets: &[RecordSet]) -> Option<SiteName> {
    let of_name = sets.iter().filter(|s| s.name == record.name && s.rtype == record.rtype);
    let given: Vec<&RecordSet> = of_name
        .filter(|s| !matches!(s.policy, RecordPolicy::Weighted { weight: 0 }))
        .filter(|s| !matches!(s.policy, RecordPolicy::Failover { primary: false }))
        .collect();
    let [only] = given[..] else { return None };
    let values = |answer: &RecordAnswer| match answer {
        RecordAnswer::Values { values, .. } => values.clone(),
        RecordAnswer::Alias { name, .. } => vec![name.clone()],
    };
    let mut sites = record.at.iter().filter(|(_, at)| values(&at.answer) == values(&only.answer));
    let (site, _) = sites.next()?;
    sites.next().is_none().then(|| site.clone())
}
