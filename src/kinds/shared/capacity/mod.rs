//! Capacity: what does the work of an application and is scaled in a recovery, whoever runs it.

mod lint;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::kind::Surroundings;
use crate::kinds::{Fact, Judged, Operation, State, Target};
use crate::model::document::Node;
use crate::model::estimate::Estimate;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::read::dur;
use crate::model::shape::{Field, Shape, opt, percent};
use crate::model::time::Dur;
pub(in crate::kinds) use lint::lint;

/// A component that is scaled.
pub trait Scales: fmt::Debug {
    /// What is scaled in each site, in words: `group`.
    fn thing(&self) -> &'static str;

    /// One part of the capacity, in words: `instance`.
    fn unit(&self) -> &'static str;

    /// The provider's name of what is scaled in a site.
    fn name_in(&self, site: &SiteName) -> Option<&str>;

    /// How much each site must reach.
    fn shares(&self) -> BTreeMap<&SiteName, &CapacityShare>;

    /// What is scaled in a site.
    fn target(&self, plan: &dyn Surroundings, name: &ComponentName, site: &SiteName) -> Option<Target>;

    /// The operation that gives it a size, and what a reader of the runbook should know of it.
    ///
    /// # Errors
    /// Why it cannot be scaled, and what to do.
    fn scale(&self, of: &Target, seen: &State, to: Size, proceed_at: u32) -> Result<Scaling, Unscalable>;

    /// The state that an observation of this capacity gives.
    fn observed(&self) -> fn(Capacity) -> State;

    /// The provider's words when it has too little for a change.
    fn shortage(&self) -> &'static str;
}

/// Why something cannot be scaled.
#[derive(Debug)]
pub struct Unscalable {
    /// What was observed.
    pub facts: String,
    /// What to do.
    pub fix: String,
}

impl Unscalable {
    /// What was observed is of another kind.
    pub fn other(of: &Target) -> Self {
        Self {
            facts: format!("the answer about {of} was for a different target"),
            fix: "run drctl observe".to_owned(),
        }
    }
}

/// A change of the size, as it goes into a runbook.
#[derive(Debug)]
pub struct Scaling {
    /// The operation.
    pub operation: Operation,
    /// What a reader of the runbook should know.
    pub note: Option<String>,
}

/// How much capacity a site must reach.
#[derive(Clone, Debug)]
pub struct CapacityShare {
    /// Share of the source's in-service capacity.
    pub percent: u32,
    /// Never fewer.
    pub floor: Option<u32>,
    /// Share of the target capacity that is enough to continue.
    pub proceed_percent: u32,
    /// How long it may take.
    pub timeout: Option<Dur>,
}

impl CapacityShare {
    /// What is wanted where the source has this much in service, or nobody knows how much; none if the plan does not say what then.
    pub fn wanted(&self, source: Option<u32>) -> Option<u32> {
        source.map(|n| share(n, self.percent)).max(self.floor)
    }

    /// How much in service is enough to continue.
    pub fn proceed_at(&self, desired: u32) -> u32 {
        share(desired, self.proceed_percent)
    }
}

/// Percent of a number, rounded up.
fn share(of: u32, percent: u32) -> u32 {
    u32::try_from((u64::from(of) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX)
}

/// Capacity as observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    /// Its size settings.
    pub size: Size,
    /// What is healthy and in service.
    pub in_service: u32,
    /// Why the last change of it failed, and when, in the provider's words.
    #[serde(default)]
    pub last_failure: Option<String>,
}

/// The three sizes. They change together or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    /// Never fewer than this.
    pub min: u32,
    /// Wanted now.
    pub desired: u32,
    /// Never more than this.
    pub max: u32,
}

/// What a change of the size sends: only what changes. Whatever somebody sets meanwhile then stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The new minimum.
    pub min: Option<u32>,
    /// The new desired number.
    pub desired: Option<u32>,
    /// The new maximum.
    pub max: Option<u32>,
}

/// A change of the size of one capacity.
#[derive(Debug)]
pub struct Resize<'a> {
    /// The component.
    pub component: &'a ComponentName,
    /// The sizes before.
    pub from: Size,
    /// The new sizes.
    pub to: Size,
    /// How much in service is enough to continue.
    pub proceed_at: u32,
}

/// What an observation shows beside the sizes.
#[derive(Debug)]
pub struct Beside {
    /// Whether everything else that the operation sets is set.
    pub set: bool,
    /// Whether what is in service may be counted.
    pub counts: bool,
    /// What keeps the rest from coming into service, in words.
    pub why: String,
}

impl Resize<'_> {
    /// What it sends.
    pub fn sent(&self) -> Sent {
        let changed = |from: u32, to: u32| (from != to).then_some(to);
        let (from, to) = (self.from, self.to);
        Sent {
            min: changed(from.min, to.min),
            desired: changed(from.desired, to.desired),
            max: changed(from.max, to.max),
        }
    }

    /// What was read right before the call, if somebody changed it since. A size that this change sets may come from an earlier call of it
    /// that took effect in part.
    pub fn read(&self, seen: Size) -> Option<Size> {
        let (from, to) = (self.from, self.to);
        let before = |from: u32, to: u32, seen: u32| if seen == to { from } else { seen };
        let found = Size {
            min: before(from.min, to.min, seen.min),
            desired: before(from.desired, to.desired, seen.desired),
            max: before(from.max, to.max, seen.max),
        };
        (found != from).then_some(found)
    }

    /// The sizes before and after it, once these were read. Somebody who raised one meanwhile had a reason, and more than planned harms
    /// nobody, so the larger one counts. The maximum changes only if it is below the desired number.
    pub fn bound(&self, read: Size) -> (Size, Size) {
        let desired = self.to.desired.max(read.desired);
        (read, Size { min: self.to.min.max(read.min), desired, max: read.max.max(desired) })
    }

    /// Whether these are the wanted sizes. The maximum counts only if this changes it.
    pub const fn is_at(&self, now: Size, wanted: Size) -> bool {
        let max = self.from.max == self.to.max || now.max == wanted.max;
        now.min == wanted.min && now.desired == wanted.desired && max
    }

    /// Whether the change has taken effect.
    pub fn judge(&self, now: &Capacity, beside: &Beside, undo: bool) -> Judged {
        let wanted = self.to;
        if undo || wanted.desired < self.from.desired {
            return Judged::stands(self.is_at(now.size, wanted) && beside.set);
        }
        let sized = now.size.min >= wanted.min && now.size.desired >= wanted.desired;
        if !sized || !beside.set {
            return Judged::Before;
        }
        if now.in_service >= self.proceed_at && beside.counts {
            let component = self.component.clone();
            let (in_service, wanted) = (now.in_service, wanted.desired);
            return Judged::Done(vec![Fact::Capacity { component, in_service, wanted }]);
        }
        let failure = now.last_failure.as_deref();
        let failure =
            failure.map_or_else(String::new, |f| format!("; the last scaling activity failed: {f}"));
        Judged::Unclear(format!(
            "{} of {} in service, at least {} must be{}{failure}",
            now.in_service, wanted.desired, self.proceed_at, beside.why
        ))
    }

    /// The estimated duration. AWS publishes no figure for instances or tasks. This is a common total of launch, boot and one health check
    /// interval.
    pub fn estimate(&self) -> Estimate {
        let expected = if self.to.desired == self.from.desired { Dur::secs(5) } else { Dur::mins(3) };
        Estimate::new(expected, Dur::mins(10))
    }

    /// The consequence of skipping the change. `things` are what comes into service.
    pub fn left_out(&self, things: &str) -> String {
        format!(
            "continues with the current {things} although {} of {} must be in service; fewer may not carry the load",
            self.proceed_at, self.to.desired
        )
    }
}

/// `capacity:` of a site.
pub const CAPACITY: Field = opt(
    "capacity",
    Shape::Percent,
    "the share of the in-service capacity of the source that it must reach; 100% if absent",
);

/// `capacity_floor:` of a site.
pub const CAPACITY_FLOOR: Field = opt(
    "capacity_floor",
    Shape::Int(0, 10_000),
    "the smallest number of instances; drctl uses it if the source does not answer",
);

/// `proceed_at:` of a site.
pub const PROCEED_AT: Field = opt(
    "proceed_at",
    Shape::Percent,
    "the share of the target capacity that is enough to continue; 100% if absent",
);

/// `timeout:` of a site.
pub const SCALE_TIMEOUT: Field = opt("timeout", Shape::Duration, "how long it may take; 10m if absent");

/// Reads the four.
pub fn capacity_share(node: &Node) -> CapacityShare {
    let share = |key: &str| node.get(key).and_then(Node::text).and_then(percent).unwrap_or(100);
    CapacityShare {
        percent: share("capacity"),
        floor: node.get("capacity_floor").and_then(Node::int).and_then(|n| u32::try_from(n).ok()),
        proceed_percent: share("proceed_at"),
        timeout: node.get("timeout").and_then(dur),
    }
}
