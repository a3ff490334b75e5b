//! What a plan says of names that lead users to a site.

use std::collections::BTreeMap;

use crate::kinds::shared::names::controls::ControlsRef;
use crate::kinds::shared::names::health_object::ObjectRef;
use crate::kinds::shared::names::records::{RecordAnswer, RecordPolicy, RecordSet, ZoneRef};
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::document::Spanned;
use crate::model::finding::Span;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::time::Dur;

/// Record sets of one zone.
#[derive(Clone, Debug)]
pub struct Names {
    /// The service that has the zone.
    pub service: &'static ZoneService,
    /// The connection that the zone is reached by.
    pub via: Spanned<String>,
    /// Hosted zone id.
    pub zone: String,
    /// The record sets.
    pub records: Vec<Record>,
    /// How traffic is moved.
    pub switch: SwitchBy,
}

/// A service that has zones.
#[derive(Debug)]
pub struct ZoneService {
    /// Its name.
    pub name: &'static str,
    /// The maximum number of values in one change of record sets. A set that is replaced counts before and after.
    pub batch_elements: usize,
    /// The maximum number of characters of all these values.
    pub batch_characters: usize,
}

/// How traffic is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchBy {
    /// Record sets are changed.
    Record,
    /// An object is written that health checks watch, which exist beforehand.
    Object(Spanned<SwitchObject>),
    /// Routing controls are turned, which health checks are as.
    Controls(Spanned<SwitchControls>),
}

/// Routing controls of an ARC cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchControls {
    /// The cluster's endpoints by region.
    pub endpoints: BTreeMap<String, String>,
    /// The ARN of each site's control.
    pub controls: BTreeMap<SiteName, String>,
}

/// An object that sends users to its site for as long as it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchObject {
    /// `s3://bucket/key`.
    pub url: String,
    /// The site that it is in, and sends users to.
    pub site: SiteName,
}

/// One name with its answers.
#[derive(Clone, Debug)]
pub struct Record {
    /// Fully qualified, without the final dot.
    pub name: String,
    /// `A` and so on.
    pub rtype: String,
    /// Time to live; none for aliases.
    pub ttl: Option<Spanned<Dur>>,
    /// How resolvers choose.
    pub policy: Policy,
    /// True if it needs no database.
    pub is_static: bool,
    /// Where it is declared.
    pub span: Span,
    /// The answer of each site.
    pub at: BTreeMap<SiteName, RecordAt>,
}

/// The routing policy of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// One answer.
    Simple,
    /// By weight.
    Weighted,
    /// Primary and secondary.
    Failover,
}

/// A name's answer for one site.
#[derive(Clone, Debug)]
pub struct RecordAt {
    /// Set identifier.
    pub set: Option<String>,
    /// The answer.
    pub answer: RecordAnswer,
    /// The weight in the normal state.
    pub weight: u8,
    /// Primary in the normal state.
    pub primary: bool,
    /// The health check.
    pub health_check: Option<String>,
}

impl Record {
    /// The sets as they should be while `active` serves: the weights and roles of the normal state, or the same turned towards `active`.
    pub fn sets_when_active(&self, active: &SiteName, home: &SiteName) -> Vec<RecordSet> {
        let set = |at: &RecordAt, policy: RecordPolicy| RecordSet {
            name: self.name.clone(),
            rtype: self.rtype.clone(),
            set_identifier: at.set.clone(),
            policy,
            answer: at.answer.clone(),
            health_check: at.health_check.clone(),
        };
        match self.policy {
            Policy::Simple => {
                self.at.get(active).map(|at| set(at, RecordPolicy::Simple)).into_iter().collect()
            }
            Policy::Weighted => self
                .at
                .iter()
                .map(|(site, at)| {
                    set(at, RecordPolicy::Weighted { weight: self.weight(site, at, active, home) })
                })
                .collect(),
            Policy::Failover => self
                .at
                .iter()
                .map(|(site, at)| set(at, RecordPolicy::Failover { primary: site == active }))
                .collect(),
        }
    }

    /// The site that these sets send users of the name to, if it is exactly one.
    pub fn answered_by(&self, sets: &[RecordSet]) -> Option<SiteName> {
        let mut serving =
            sets.iter().filter(|s| s.name == self.name && s.rtype == self.rtype).filter(|s| match s.policy {
                RecordPolicy::Simple => true,
                RecordPolicy::Weighted { weight } => weight > 0,
                RecordPolicy::Failover { primary } => primary,
            });
        let set = serving.next()?;
        if serving.next().is_some() {
            return None;
        }
        let chosen = |at: &RecordAt| match &set.set_identifier {
            Some(id) => at.set.as_ref() == Some(id),
            None => at.answer == set.answer || same_values(&at.answer, &set.answer),
        };
        self.at.iter().find(|(_, at)| chosen(at)).map(|(site, _)| site.clone())
    }

    fn weight(&self, site: &SiteName, at: &RecordAt, active: &SiteName, home: &SiteName) -> u8 {
        if active == home {
            return at.weight;
        }
        // Away from home all traffic goes to the active site, with the weight that home has in the normal state.
        let home_weight = self.at.get(home).map_or(100, |h| h.weight);
        if site == active { home_weight.max(1) } else { 0 }
    }
}

fn same_values(one: &RecordAnswer, other: &RecordAnswer) -> bool {
    use RecordAnswer::Values;
    matches!((one, other), (Values { values: x, .. }, Values { values: y, .. }) if x == y)
}

impl Names {
    /// The hosted zone.
    pub fn hosted_zone(&self, plan: &dyn Surroundings, name: &ComponentName) -> Option<ZoneRef> {
        let place = plan.connection(&self.via.value)?.clone();
        Some(ZoneRef { component: name.clone(), place, zone: self.zone.clone() })
    }

    /// The record sets.
    pub fn record_sets(&self, plan: &dyn Surroundings, name: &ComponentName) -> Option<Target> {
        let mut names: Vec<_> = self.records.iter().map(|r| (r.name.clone(), r.rtype.clone())).collect();
        names.sort();
        names.dedup();
        Some(Target::Records { zone: self.hosted_zone(plan, name)?, names })
    }

    /// The object that the health checks watch.
    pub fn object(&self, plan: &dyn Surroundings, name: &ComponentName) -> Option<ObjectRef> {
        let SwitchBy::Object(object) = &self.switch else { return None };
        let place = plan.site(&object.value.site)?.clone();
        Some(ObjectRef { component: name.clone(), place, url: object.value.url.clone() })
    }

    /// The routing controls that the names follow.
    pub fn controls(&self, plan: &dyn Surroundings, name: &ComponentName) -> Option<ControlsRef> {
        let SwitchBy::Controls(of) = &self.switch else { return None };
        let place = self.hosted_zone(plan, name)?.place;
        let (endpoints, controls) = (of.value.endpoints.clone(), of.value.controls.clone());
        Some(ControlsRef { component: name.clone(), place, endpoints, controls })
    }
}
