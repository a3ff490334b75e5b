//! Operations on an Auto Scaling group.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::autoscaling::group::{GroupRef, GroupState};
use crate::kinds::effects::{
    Effects, calls_no_endpoint_of_the_plan, is_more_than_a_row, moves_no_names, renames_nothing,
};
use crate::kinds::found::{FoundValues, Readings};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, made_as_a_whole_after_a_reading};
use crate::kinds::shared::capacity::resize::{Beside, Resize, Sent};
use crate::kinds::shared::capacity::size::Size;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::{Call, call, quoted};
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{InDoubt, Late, OnStop, Properties, QUIET, Undo};

/// Changes the size of a group. What changes of it is in one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scale {
    /// The group.
    pub group: GroupRef,
    /// The sizes when the runbook was made, or right before the call. The undo restores them.
    pub from: Size,
    /// The new sizes.
    pub to: Size,
    /// The number of instances in service that is enough to continue.
    pub proceed_at: u32,
    /// Suspended processes that must run to launch instances, such as `Launch`. They are resumed first.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resume: BTreeSet<String>,
    /// Processes to suspend afterwards: those that an undo restores.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub suspend: BTreeSet<String>,
}

impl Scale {
    /// What it sends of the sizes.
    pub fn sent(&self) -> Sent {
        self.resize().sent()
    }

    const fn resize(&self) -> Resize<'_> {
        Resize { component: &self.group.component, from: self.from, to: self.to, proceed_at: self.proceed_at }
    }
}

impl Effects for Scale {
    fn scaled(&self) -> Option<(Target, Size, Sent)> {
        Some((Target::Group(self.group.clone()), self.to, self.sent()))
    }

    renames_nothing!();
    moves_no_names!();
    calls_no_endpoint_of_the_plan!();
    is_more_than_a_row!();
}

impl Op for Scale {
    type Back = Self;

    fn properties(&self) -> Properties {
        Properties { on_stop: OnStop::GoesOnInAFailover, made_up_for: true, ..QUIET }
    }

    fn undo(&self) -> Undo<Self> {
        Undo::By(Self {
            from: self.to,
            to: self.from,
            proceed_at: 0,
            resume: self.suspend.clone(),
            suspend: self.resume.clone(),
            group: self.group.clone(),
        })
    }

    /// Sizes are absolute, so a repeated call has the same effect.
    fn in_doubt(&self) -> InDoubt {
        InDoubt::Repeat
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        Some(self.resize().left_out("servers"))
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.group.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    fn watch(&self, _: &Called<'_>) -> Target {
        Target::Group(self.group.clone())
    }

    /// A change that will be undone anyway need not take effect: it is enough that it was requested.
    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        match seen {
            State::Group(group) if of.leaving => still_scaled(self, group),
            State::Group(group) => scaled(self, group, of.undo),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole_after_a_reading!();

    fn allows(&self, part: &[u32], found: Option<&FoundValues>) -> bool {
        part.is_empty() && matches!(found, None | Some(FoundValues::Size(_)))
    }

    /// The sizes, if somebody changed them since the runbook was made.
    fn read(&self, seen: &State, _: &[u32]) -> Option<FoundValues> {
        match seen {
            State::Group(seen) => self.resize().read(seen.capacity.size).map(FoundValues::Size),
            _ => None,
        }
    }

    fn bound(&self, read: &Readings) -> Option<Self> {
        let (from, to) = self.resize().bound(read.size()?);
        Some(Self { from, to, ..self.clone() })
    }

    fn estimate(&self) -> Estimate {
        self.resize().estimate()
    }

    fn calls(&self) -> Vec<Call> {
        scale_calls(self)
    }

    fn changes(&self) -> Vec<Change> {
        let resource = format!("aws_autoscaling_group {}", self.group.group);
        let change = |attribute: &str, before: String, after: String| {
            Change::new(&self.group.place.name, &resource, attribute, before, after)
        };
        [
            ("min_size", self.from.min, self.to.min),
            ("desired_capacity", self.from.desired, self.to.desired),
            ("max_size", self.from.max, self.to.max),
        ]
        .into_iter()
        .filter(|(_, before, after)| before != after)
        .map(|(attribute, before, after)| change(attribute, before.to_string(), after.to_string()))
        .chain((self.resume != self.suspend).then(|| {
            let list = |of: &BTreeSet<String>| of.iter().cloned().collect::<Vec<_>>().join(",");
            change("suspended_processes", list(&self.resume), list(&self.suspend))
        }))
        .collect()
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scale {} from {} to {}", self.group.group, self.from.desired, self.to.desired)
    }
}

/// Whether any part of a scaling remains to be undone, however many instances started.
fn still_scaled(scale: &Scale, group: &GroupState) -> Judged {
    let before =
        scale.resize().is_at(group.capacity.size, scale.from) && scale.resume.is_subset(&group.suspended);
    Judged::stands(!before)
}

fn scaled(scale: &Scale, group: &GroupState, undo: bool) -> Judged {
    let suspended = if group.suspended.contains("Launch") { "; the Launch process is suspended" } else { "" };
    let set = scale.resume.is_disjoint(&group.suspended) && scale.suspend.is_subset(&group.suspended);
    let beside = Beside { set, counts: true, why: suspended.to_owned() };
    scale.resize().judge(&group.capacity, &beside, undo)
}

fn scale_calls(s: &Scale) -> Vec<Call> {
    let region = quoted(&s.group.place.region);
    let Sent { min, desired, max } = s.sent();
    let sizes = [("min-size", min), ("desired-capacity", desired), ("max-size", max)];
    let sizes: String = sizes.iter().filter_map(|(key, to)| Some(format!(" --{key} {}", (*to)?))).collect();
    let of = |operation: &'static str, mutates: bool, command: String| {
        call("autoscaling", operation, &s.group.place.name, mutates, command)
    };
    let processes = |operation: &'static str, verb: &str, named: &BTreeSet<String>| {
        let names: Vec<_> = named.iter().map(|p| quoted(p)).collect();
        let command = format!(
            "aws autoscaling {verb} --region {region} --auto-scaling-group-name {} --scaling-processes {}",
            quoted(&s.group.group),
            names.join(" ")
        );
        (!names.is_empty()).then(|| of(operation, true, command))
    };
    let update = format!(
        "aws autoscaling update-auto-scaling-group --region {region} --auto-scaling-group-name {}{sizes}",
        quoted(&s.group.group)
    );
    let update = (!sizes.is_empty()).then(|| of("UpdateAutoScalingGroup", true, update));
    let look = format!(
        "aws autoscaling describe-auto-scaling-groups --region {region} --auto-scaling-group-names {}   # until {} are InService and Healthy",
        quoted(&s.group.group),
        s.proceed_at
    );
    let look = of("DescribeAutoScalingGroups", false, look);
    let resume = processes("ResumeProcesses", "resume-processes", &s.resume);
    let suspend = processes("SuspendProcesses", "suspend-processes", &s.suspend);
    resume.into_iter().chain(update).chain(suspend).chain([look]).collect()
}
