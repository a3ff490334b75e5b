//! Auto Scaling groups whose instances take time to start and to stop.

use std::collections::BTreeSet;

use super::clock::Micros;
use super::estate::{Draw, Region};
use super::form::Form;
use super::options::Options;
use super::router::{Call, Service};
use super::stats::Drawn;
use super::wire::{ACCOUNT, Fault};
use super::xml::Xml;

pub const SERVICE: Service = Service {
    name: "autoscaling",
    namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/",
    operations: &[
        "DescribeAutoScalingGroups",
        "DescribeScalingActivities",
        "SetDesiredCapacity",
        "UpdateAutoScalingGroup",
    ],
};

const MOST_RECORDS: usize = 100;
/// The page size of groups, and the maximum of names in one call, if MaxRecords is not given.
const DEFAULT_GROUPS: usize = 50;
/// Activities kept for each group.
const MOST_ACTIVITIES: usize = 500;

struct Group {
    name: String,
    arn: String,
    region: Region,
    /// The description from the capacities to the instances.
    middle: Box<str>,
    min: u64,
    desired: u64,
    max: u64,
    instances: Vec<Instance>,
    /// Oldest first.
    activities: Vec<Activity>,
    /// Instances launched so far; it numbers the next one.
    launched: u64,
    /// Changes of capacity so far.
    changes: u64,
}

struct Instance {
    id: String,
    zone: &'static str,
    /// When it is in service.
    ready: Micros,
    /// When it ends, if it must.
    gone: Option<Micros>,
}

struct Activity {
    number: u64,
    instance: String,
    what: EventKind,
    from: u64,
    to: u64,
    began: Micros,
    ends: Micros,
}

#[derive(Clone, Copy, PartialEq)]
enum EventKind {
    Launch,
    Terminate,
}

/// The groups of both regions, each in the order of their names.
pub struct Groups {
    regions: [Vec<Group>; 2],
    draw: Draw,
    group_ms: u64,
    pub changes: Drawn,
}

impl Groups {
    pub fn new(options: &Options, draw: Draw, now: Micros) -> Self {
        let build = |region: Region| -> Vec<Group> {
            (1..=options.groups).map(|number| Group::new(region, number, draw, now)).collect()
        };
        Self { regions: Region::ALL.map(build), draw, group_ms: options.group_ms, changes: Drawn::default() }
    }

    pub fn handle(&mut self, operation: &str, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
        match operation {
            "DescribeAutoScalingGroups" => self.describe(call, xml),
            "DescribeScalingActivities" => self.describe_activities(call, xml),
            "SetDesiredCapacity" => self.set_desired(call),
            _ => self.update(call),
        }
    }

    /// For each region: groups that want instances, and how many of these have all of them in service.
    pub fn census(&self, now: Micros) -> [(usize, usize); 2] {
        Region::ALL.map(|region| {
            let wanting = self.regions[region.index()].iter().filter(|group| group.desired > 0);
            let met = wanting.clone().filter(|group| group.in_service(now) as u64 == group.desired);
            (wanting.clone().count(), met.count())
        })
    }

    fn position(&self, region: Region, name: &str) -> Option<usize> {
        self.regions[region.index()].binary_search_by(|group| group.name.as_str().cmp(name)).ok()
    }

    fn find(&mut self, call: &Call<'_>) -> Result<&mut Group, Fault> {
        let name = call.form.filled("AutoScalingGroupName").unwrap_or("");
        let found = call.region.and_then(|region| Some((region, self.position(region, name)?)));
        match found {
            Some((region, index)) => Ok(&mut self.regions[region.index()][index]),
            None => {
                Err(invalid(format!("AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")))
            }
        }
    }

    fn describe(&self, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
        if call.form.get("Filters.member.1.Name").is_some() {
            return Err(invalid("the stub knows no filters of groups".into()));
        }
        let most = max_records(call.form, DEFAULT_GROUPS)?;
        let chosen = self.chosen(call, most)?;
        let first = next_token(call.form)?.min(chosen.len());
        let last = chosen.len().min(first + most);
        xml.open("AutoScalingGroups");
        for group in chosen.get(first..last).unwrap_or(&[]) {
            group.show(call.now, xml);
        }
        xml.close("AutoScalingGroups");
        if last < chosen.len() {
            xml.number("NextToken", last);
        }
        Ok(())
    }

    /// The groups by name, or all. More names than fit a page are rejected, as AWS documents the parameter.
    fn chosen(&self, call: &Call<'_>, most: usize) -> Result<Vec<&Group>, Fault> {
        let Some(region) = call.region else { return Ok(Vec::new()) };
        let groups = &self.regions[region.index()];
        let names: Vec<&str> = call.form.list("AutoScalingGroupNames.member.").collect();
        if names.is_empty() {
            return Ok(groups.iter().collect());
        }
        if names.len() > most {
            return Err(invalid(format!("The number of group names must not exceed {most}")));
        }
        let found: BTreeSet<usize> =
            names.into_iter().filter_map(|name| self.position(region, name)).collect();
        Ok(found.into_iter().filter_map(|index| groups.get(index)).collect())
    }

    /// AWS moves the desired capacity inside new bounds by itself, but rejects a requested one outside of them.
    fn update(&mut self, call: &Call<'_>) -> Result<(), Fault> {
        let (draw, group_ms) = (self.draw, self.group_ms);
        let group = self.find(call)?;
        let low = capacity(call.form, "MinSize")?.unwrap_or(group.min);
        let high = capacity(call.form, "MaxSize")?.unwrap_or(group.max);
        let asked = capacity(call.form, "DesiredCapacity")?;
        if low > high {
            let message = format!("Max bound, {high}, must be greater than or equal to min bound, {low}");
            return Err(invalid(message));
        }
        if let Some(desired) = asked.filter(|desired| !(low..=high).contains(desired)) {
            return Err(invalid(format!(
                "Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}"
            )));
        }
        (group.min, group.max) = (low, high);
        let desired = asked.unwrap_or(group.desired).clamp(low, high);
        if let Some(duration) = group.resize(desired, draw, group_ms, call.now) {
            self.changes.add(call.now, duration);
        }
        Ok(())
    }

    fn set_desired(&mut self, call: &Call<'_>) -> Result<(), Fault> {
        let (draw, group_ms) = (self.draw, self.group_ms);
        let group = self.find(call)?;
        let desired = capacity(call.form, "DesiredCapacity")?
            .ok_or_else(|| invalid("1 validation error detected: desiredCapacity must not be null".into()))?;
        let outside = |side: &str, bound: u64| {
            let what = format!("New SetDesiredCapacity value {desired} is {side} value {bound}");
            Err(invalid(format!("{what} for the AutoScalingGroup.")))
        };
        if desired > group.max {
            return outside("above max", group.max);
        }
        if desired < group.min {
            return outside("below min", group.min);
        }
        if let Some(duration) = group.resize(desired, draw, group_ms, call.now) {
            self.changes.add(call.now, duration);
        }
        Ok(())
    }

    fn describe_activities(&mut self, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
        let most = max_records(call.form, MOST_RECORDS)?;
        let first = next_token(call.form)?;
        let found: Vec<(&Group, &Activity)> = if call.form.filled("AutoScalingGroupName").is_some() {
            let group = &*self.find(call)?;
            group.activities.iter().rev().map(|activity| (group, activity)).collect()
        } else {
            let groups = call.region.map_or(&[][..], |region| &self.regions[region.index()]);
            let all = groups.iter().flat_map(|group| group.activities.iter().map(move |a| (group, a)));
            let mut all: Vec<_> = all.collect();
            all.sort_by_key(|(_, activity)| std::cmp::Reverse(activity.began));
            all
        };
        let first = first.min(found.len());
        let last = found.len().min(first + most);
        xml.open("Activities");
        for (group, activity) in found.get(first..last).unwrap_or(&[]) {
            activity.show(group, call.now, xml);
        }
        xml.close("Activities");
        if last < found.len() {
            xml.number("NextToken", last);
        }
        Ok(())
    }
}

impl Group {
    fn new(region: Region, number: usize, draw: Draw, now: Micros) -> Self {
        let (name, size) = match region {
            Region::West => (format!("nodes-{number:05}"), 2),
            Region::East => (format!("nodes-{number:05}-dr"), 0),
        };
        let id = draw.word(&name, 0);
        let arn = format!(
            "arn:aws:autoscaling:{}:{ACCOUNT}:autoScalingGroup:{id:016x}:autoScalingGroupName/{name}",
            region.name()
        );
        let middle = description(region, now);
        let mut group = Self {
            name,
            arn,
            region,
            middle,
            min: size,
            desired: size,
            max: 8,
            instances: Vec::new(),
            activities: Vec::new(),
            launched: 0,
            changes: 0,
        };
        // In service from the start, without an activity.
        for _ in 0..size {
            let instance = group.instance(draw, now);
            group.instances.push(instance);
        }
        group
    }

    fn in_service(&self, now: Micros) -> usize {
        self.instances.iter().filter(|i| i.gone.is_none() && now >= i.ready).count()
    }

    /// A new instance, in the next zone.
    fn instance(&mut self, draw: Draw, ready: Micros) -> Instance {
        self.launched += 1;
        let word = draw.word(&self.arn, self.launched);
        let zone = ["a", "b", "c"][usize::try_from(self.launched % 3).unwrap_or(0)];
        Instance { id: format!("i-0{word:016x}"), zone, ready, gone: None }
    }

    /// Starts to move towards a new size and returns how long that takes; none if nothing has to change.
    fn resize(&mut self, desired: u64, draw: Draw, base_ms: u64, now: Micros) -> Option<Micros> {
        self.instances.retain(|instance| instance.gone.is_none_or(|gone| gone > now));
        self.desired = desired;
        let have = self.instances.iter().filter(|instance| instance.gone.is_none()).count() as u64;
        if have == desired {
            return None;
        }
        let duration = draw.duration(base_ms, &self.arn, self.changes);
        self.changes += 1;
        let ends = now + duration;
        for _ in have..desired {
            let instance = self.instance(draw, ends);
            self.record(EventKind::Launch, &instance.id, (have, desired), (now, ends));
            self.instances.push(instance);
        }
        for _ in desired..have {
            // The oldest is terminated first.
            let Some(index) = self.instances.iter().position(|instance| instance.gone.is_none()) else {
                break;
            };
            self.instances[index].gone = Some(ends);
            let id = self.instances[index].id.clone();
            self.record(EventKind::Terminate, &id, (have, desired), (now, ends));
        }
        Some(duration)
    }

    fn record(&mut self, what: EventKind, instance: &str, size: (u64, u64), time: (Micros, Micros)) {
        if self.activities.len() >= MOST_ACTIVITIES {
            self.activities.remove(0);
        }
        let number = self.activities.last().map_or(1, |last| last.number + 1);
        let ((from, to), (began, ends)) = (size, time);
        self.activities.push(Activity { number, instance: instance.to_owned(), what, from, to, began, ends });
    }

    fn show(&self, now: Micros, xml: &mut Xml) {
        xml.open("member").element("AutoScalingGroupName", &self.name);
        xml.element("AutoScalingGroupARN", &self.arn).number("MinSize", self.min);
        xml.number("MaxSize", self.max).number("DesiredCapacity", self.desired);
        xml.raw(&self.middle).open("Instances");
        for instance in self.instances.iter().filter(|i| i.gone.is_none_or(|gone| now < gone)) {
            let state = match instance.gone {
                Some(_) => "Terminating",
                None if now < instance.ready => "Pending",
                None => "InService",
            };
            xml.open("member").element("InstanceId", &instance.id);
            xml.raw("<InstanceType>m6i.large</InstanceType><AvailabilityZone>").raw(self.region.name());
            xml.raw(instance.zone).raw("</AvailabilityZone>").element("LifecycleState", state);
            xml.raw("<HealthStatus>Healthy</HealthStatus><ProtectedFromScaleIn>false</ProtectedFromScaleIn>");
            xml.close("member");
        }
        xml.close("Instances").close("member");
    }
}

/// The constant part of a description.
fn description(region: Region, now: Micros) -> Box<str> {
    let mut xml = Xml::fragment();
    xml.raw("<DefaultCooldown>300</DefaultCooldown>").open("AvailabilityZones");
    for zone in ["a", "b", "c"] {
        xml.element("member", &format!("{}{zone}", region.name()));
    }
    xml.close("AvailabilityZones").raw("<LoadBalancerNames/><TargetGroupARNs/>");
    xml.raw("<HealthCheckType>EC2</HealthCheckType><HealthCheckGracePeriod>300</HealthCheckGracePeriod>");
    xml.time("CreatedTime", now).raw("<SuspendedProcesses/><EnabledMetrics/><Tags/>");
    xml.raw("<TerminationPolicies><member>Default</member></TerminationPolicies>");
    xml.raw("<NewInstancesProtectedFromScaleIn>false</NewInstancesProtectedFromScaleIn>");
    xml.into_kept()
}

impl Activity {
    fn show(&self, group: &Group, now: Micros, xml: &mut Xml) {
        let over = now >= self.ends;
        let (verb, change) = match self.what {
            EventKind::Launch => ("Launching a new EC2 instance: ", "started"),
            EventKind::Terminate => ("Terminating EC2 instance: ", "taken out of service"),
        };
        let status = match (over, self.what) {
            (true, _) => "Successful",
            (false, EventKind::Launch) => "PreInService",
            (false, EventKind::Terminate) => "InProgress",
        };
        xml.open("member").open("ActivityId");
        xml.show(format_args!("{}-{:08}", group.name, self.number)).close("ActivityId");
        xml.element("AutoScalingGroupName", &group.name).element("AutoScalingGroupARN", &group.arn);
        xml.open("Description").raw(verb).raw(&self.instance).close("Description");
        xml.open("Cause").show(format_args!(
            "An instance was {change} in response to a difference between desired and actual capacity, changing the \
             capacity from {} to {}.",
            self.from, self.to
        ));
        xml.close("Cause").time("StartTime", self.began);
        if over {
            xml.time("EndTime", self.ends);
        }
        xml.element("StatusCode", status).number("Progress", if over { 100 } else { 30 });
        xml.close("member");
    }
}

fn invalid(message: String) -> Fault {
    Fault::new(400, "ValidationError", message)
}

fn max_records(form: &Form<'_>, default: usize) -> Result<usize, Fault> {
    match form.filled("MaxRecords") {
        None => Ok(default),
        Some(given) => given
            .parse()
            .ok()
            .filter(|most| (1..=MOST_RECORDS).contains(most))
            .ok_or_else(|| invalid(format!("MaxRecords must be from 1 to {MOST_RECORDS}, not {given}"))),
    }
}

fn next_token(form: &Form<'_>) -> Result<usize, Fault> {
    match form.filled("NextToken") {
        None => Ok(0),
        Some(given) => given
            .parse()
            .map_err(|_| Fault::new(400, "InvalidNextToken", "The NextToken value is not valid.")),
    }
}

fn capacity(form: &Form<'_>, key: &str) -> Result<Option<u64>, Fault> {
    match form.filled(key) {
        None => Ok(None),
        // More instances than any account has would only exhaust the stub's memory.
        Some(given) => match given.parse() {
            Ok(size) if size <= 10_000 => Ok(Some(size)),
            _ => Err(invalid(format!("{key} must be a number from 0 to 10000, not {given}"))),
        },
    }
}
