//! A change of the size of a component that is scaled.

use super::size::{Capacity, Size};
use crate::kinds::facts::Fact;
use crate::kinds::judged::Judged;
use crate::model::estimate::Estimate;
use crate::model::ids::ComponentName;
use crate::model::time::Dur;

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
