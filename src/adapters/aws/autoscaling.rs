//! EC2 Auto Scaling groups.
//!
//! Sources: Amazon EC2 Auto Scaling API Reference (`UpdateAutoScalingGroup`, `DescribeAutoScalingGroups`,
//! `DescribeScalingActivities`). The three sizes go in one call, so that a scale-in alarm never sees a raised capacity with
//! an old minimum; `UpdateAutoScalingGroup` is not subject to the cooldown (User Guide, «Scaling cooldowns»).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::{Activity, AutoScalingGroup, LifecycleState, ScalingActivityStatusCode};

use super::Aws;
use super::error::Failure;
use crate::inventory::Observation;
use crate::kinds::aws::autoscaling::{GroupState, Scale};
use crate::kinds::shared::capacity::{Capacity, Sent, Size};
use crate::kinds::{State, Target};
use crate::model::place::Place;
use crate::run::outcome::CallOutcome;

/// Groups in one describe: the largest page.
const PAGE: usize = 100;
/// Activities that are read, newest first.
const ACTIVITIES: i32 = 100;
/// For up to this many groups, drctl requests the activities of each separately.
const FEW: usize = 5;
/// The status codes of activities that have ended.
const OVER: [ScalingActivityStatusCode; 3] = [
    ScalingActivityStatusCode::Failed,
    ScalingActivityStatusCode::Cancelled,
    ScalingActivityStatusCode::Successful,
];

impl Aws {
    /// Observes groups, with one describe call for up to a hundred.
    pub(super) async fn groups(&self, place: &Place, targets: &[&Target]) -> Vec<Observation> {
        let names: BTreeSet<&str> = targets.iter().filter_map(|t| name_of(t)).collect();
        let names: Vec<_> = names.into_iter().collect();
        let found = match self.describe_groups(place, &names).await {
            Ok(found) => found,
            Err(failure) => {
                return targets.iter().map(|_| failure.clone().observation(self.now())).collect();
            }
        };
        let short: Vec<&str> = found
            .iter()
            .map(|(name, group)| (name, state(group)))
            .filter(|(_, state)| state.capacity.in_service < state.capacity.size.desired)
            .map(|(name, _)| name.as_str())
            .collect();
        let failures = self.failures(place, &short).await;
        let look = |target: &&Target| {
            let Some((name, group)) = name_of(target).and_then(|name| found.get_key_value(name)) else {
                return Observation::NotFound { observed_at: self.now() };
            };
            let mut state = state(group);
            state.capacity.last_failure = failures.get(name).cloned();
            self.seen(State::Group(state), "autoscaling:DescribeAutoScalingGroups")
        };
        targets.iter().map(look).collect()
    }

    /// Why the last scaling activity of each of these groups failed, for those that failed.
    async fn failures(&self, place: &Place, short: &[&str]) -> BTreeMap<String, String> {
        let asks = match short.len() {
            0 => return BTreeMap::new(),
            1..=FEW => short.iter().map(|name| Some((*name).to_owned())).collect(),
            // For many groups, one page of the newest activities of all groups is enough.
            _ => vec![None],
        };
        let pages = asks.into_iter().map(|name| self.activities(place, name));
        let mut last: BTreeMap<String, Activity> = BTreeMap::new();
        for activity in futures_util::future::join_all(pages).await.into_iter().flatten() {
            let over = activity.status_code().is_some_and(|s| OVER.contains(s));
            if let (true, Some(name)) = (over, activity.auto_scaling_group_name()) {
                last.entry(name.to_owned()).or_insert(activity);
            }
        }
        last.retain(|_, a| a.status_code() == Some(&ScalingActivityStatusCode::Failed));
        let words =
            |a: &Activity| a.status_message().or(a.description()).unwrap_or("no reason given").to_owned();
        last.into_iter().map(|(name, activity)| (name, words(&activity))).collect()
    }

    /// Scaling activities, newest first.
    async fn activities(&self, place: &Place, group: Option<String>) -> Vec<Activity> {
        let site = self.site(place).await;
        let call = || {
            let ask = site.autoscaling().describe_scaling_activities();
            ask.set_auto_scaling_group_name(group.clone()).max_records(ACTIVITIES).send()
        };
        match self.look("autoscaling", place, call).await {
            Ok(page) => page.activities().to_vec(),
            Err(_) => Vec::new(),
        }
    }

    async fn describe_groups(
        &self,
        place: &Place,
        names: &[&str],
    ) -> Result<BTreeMap<String, AutoScalingGroup>, Failure> {
        let site = self.site(place).await;
        let mut found = BTreeMap::new();
        for some in names.chunks(PAGE) {
            let some: Vec<_> = some.iter().map(|n| (*n).to_owned()).collect();
            let call = || {
                site.autoscaling()
                    .describe_auto_scaling_groups()
                    .set_auto_scaling_group_names(Some(some.clone()))
                    .max_records(i32::try_from(PAGE).unwrap_or(100))
                    .send()
            };
            let page = self.look("autoscaling", place, call).await?;
            let groups = page.auto_scaling_groups().iter();
            found.extend(groups.filter_map(|g| Some((g.auto_scaling_group_name()?.to_owned(), g.clone()))));
        }
        Ok(found)
    }

    /// Sets the sizes of a group, and resumes the processes that this needs.
    pub(super) async fn scale(&self, scale: &Scale) -> CallOutcome {
        let mut accepted = 0;
        match self.scale_in_turn(scale, &mut accepted).await {
            Ok(()) => CallOutcome::Accepted { token: None },
            Err(failure) if accepted > 0 => failure.outcome().halfway(),
            Err(failure) => failure.outcome(),
        }
    }

    /// Each call sets a state, so all of them can be repeated.
    async fn scale_in_turn(&self, scale: &Scale, accepted: &mut u32) -> Result<(), Failure> {
        let place = &scale.group.place;
        let site = self.site(place).await;
        let size = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let name = &scale.group.group;
        let processes = |of: &BTreeSet<String>| Some(of.iter().cloned().collect());
        if !scale.resume.is_empty() {
            let ask = site.autoscaling().resume_processes().auto_scaling_group_name(name);
            let call = ask.set_scaling_processes(processes(&scale.resume)).send();
            self.once("autoscaling", place, call).await?;
            *accepted += 1;
        }
        let sent = scale.sent();
        if sent != Sent::default() {
            let ask = site.autoscaling().update_auto_scaling_group().auto_scaling_group_name(name);
            let ask = ask.set_min_size(sent.min.map(size)).set_max_size(sent.max.map(size));
            let call = ask.set_desired_capacity(sent.desired.map(size)).send();
            self.once("autoscaling", place, call).await?;
            *accepted += 1;
        }
        if !scale.suspend.is_empty() {
            let ask = site.autoscaling().suspend_processes().auto_scaling_group_name(name);
            let call = ask.set_scaling_processes(processes(&scale.suspend)).send();
            self.once("autoscaling", place, call).await?;
        }
        Ok(())
    }
}

fn name_of<'t>(target: &&'t Target) -> Option<&'t str> {
    if let Target::Group(group) = target { Some(&group.group) } else { None }
}

/// The launch template and its version, also in a mixed instances policy, or the launch configuration (Auto Scaling API
/// Reference, `AutoScalingGroup`). A version `$Latest` stays as it is, because only EC2 knows which version that is.
fn launches(group: &AutoScalingGroup) -> Option<String> {
    let of_mix = || group.mixed_instances_policy()?.launch_template()?.launch_template_specification();
    let template = group.launch_template().or_else(of_mix);
    let named = template.and_then(|template| {
        let name = template.launch_template_id().or_else(|| template.launch_template_name())?;
        Some(format!("{name}, version {}", template.version().unwrap_or("$Default")))
    });
    named.or_else(|| group.launch_configuration_name().map(str::to_owned))
}

fn state(group: &AutoScalingGroup) -> GroupState {
    let size = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let serves = group.instances().iter().filter(|i| {
        i.lifecycle_state() == Some(&LifecycleState::InService) && i.health_status() == Some("Healthy")
    });
    GroupState {
        capacity: Capacity {
            size: Size {
                min: size(group.min_size()),
                desired: size(group.desired_capacity()),
                max: size(group.max_size()),
            },
            in_service: u32::try_from(serves.count()).unwrap_or(u32::MAX),
            last_failure: None,
        },
        launches: launches(group),
        suspended: group
            .suspended_processes()
            .iter()
            .filter_map(|p| p.process_name().map(str::to_owned))
            .collect(),
    }
}
