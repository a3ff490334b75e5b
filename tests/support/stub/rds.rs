//! RDS: pairs of a writer and its cross-region replica. The state of an instance is a function of the time, so that no timers are needed.

use std::collections::BTreeSet;

use super::clock::{self, Micros, SECOND};
use super::estate::{Draw, Region};
use super::form::Form;
use super::options::Options;
use super::router::{Call, Service};
use super::stats::Drawn;
use super::wire::{ACCOUNT, Fault};
use super::xml::Xml;

pub const SERVICE: Service = Service {
    name: "rds",
    namespace: "http://rds.amazonaws.com/doc/2014-10-31/",
    operations: &[
        "DescribeDBInstances",
        "DescribeEvents",
        "ModifyDBInstance",
        "PromoteReadReplica",
        "RebootDBInstance",
    ],
};

/// A promotion shows `available` for this long, a trap that every orchestrator must handle.
const STILL_AVAILABLE: Micros = SECOND / 2;
/// The delay of LatestRestorableTime.
const RESTORABLE_LAG: Micros = 300 * SECOND;
const MOST_RECORDS: usize = 100;
const FEWEST_RECORDS: usize = 20;

/// A change between two times.
#[derive(Clone, Copy)]
struct Window {
    from: Micros,
    until: Micros,
}

struct Database {
    name: String,
    arn: String,
    /// The description before the variable parts.
    head: Box<str>,
    /// The description after them.
    tail: Box<str>,
    role: Role,
    reboot: Option<Window>,
    groups: Vec<String>,
    /// The groups before their last change, and when that becomes active.
    groups_before: Vec<String>,
    groups_at: Micros,
}

enum Role {
    Writer,
    /// A replica, and its promotion.
    Replica {
        source: String,
        promotion: Option<Window>,
    },
}

struct Event {
    name: String,
    arn: String,
    at: Micros,
}

/// The instances of both regions; the two of a pair have the same index.
pub struct Databases {
    regions: [Vec<Database>; 2],
    /// Reboots, in the order of the calls. Those in progress are not shown.
    events: [Vec<Event>; 2],
    draw: Draw,
    promote_ms: u64,
    modify_ms: u64,
    reboot_ms: u64,
    pub promotions: Drawn,
}

impl Databases {
    pub fn new(options: &Options, draw: Draw, now: Micros) -> Self {
        let build = |region: Region| -> Vec<Database> {
            (1..=options.databases).map(|number| Database::new(region, number, draw, now)).collect()
        };
        Self {
            regions: Region::ALL.map(build),
            events: [Vec::new(), Vec::new()],
            draw,
            promote_ms: options.promote_ms,
            modify_ms: options.modify_ms,
            reboot_ms: options.reboot_ms,
            promotions: Drawn::default(),
        }
    }

    pub fn handle(&mut self, operation: &str, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
        match operation {
            "DescribeDBInstances" => self.describe(call, xml),
            "DescribeEvents" => self.describe_events(call, xml),
            "ModifyDBInstance" => self.modify(call, xml),
            "PromoteReadReplica" => self.promote(call, xml),
            _ => self.reboot(call, xml),
        }
    }

    /// Whether the named instance is a replica now; only replicas have a lag.
    pub fn is_replica(&self, region: Option<Region>, name: &str, now: Micros) -> bool {
        let found = region.and_then(|region| Some((region, self.position(region, name)?)));
        found.is_some_and(|(region, index)| self.regions[region.index()][index].is_replica(now))
    }

    /// The address of the database with this number.
    pub fn address(&self, region: Region, number: usize) -> Option<String> {
        let database = self.regions[region.index()].get(number.checked_sub(1)?)?;
        let (_, rest) = database.head.split_once("<Address>")?;
        rest.split_once("</Address>").map(|(address, _)| address.to_owned())
    }

    /// Remaining replicas, promotions in progress, finished promotions.
    pub fn census(&self, now: Micros) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for database in self.regions.iter().flatten() {
            match &database.role {
                Role::Replica { promotion: Some(window), .. } if now >= window.until => counts.2 += 1,
                Role::Replica { promotion: Some(_), .. } => counts.1 += 1,
                Role::Replica { .. } => counts.0 += 1,
                Role::Writer => {}
            }
        }
        counts
    }

    /// The names are sorted, because their numbers have the same number of digits.
    fn position(&self, region: Region, name: &str) -> Option<usize> {
        let databases = &self.regions[region.index()];
        databases.binary_search_by(|database| database.name.as_str().cmp(name)).ok()
    }

    /// The instance that the call names, by identifier or ARN, in any case.
    fn find(&self, call: &Call<'_>) -> Result<(Region, usize), Fault> {
        let given = call.form.filled("DBInstanceIdentifier").ok_or_else(|| {
            Fault::new(
                400,
                "MissingParameter",
                "The request must contain the parameter DBInstanceIdentifier.",
            )
        })?;
        let name = plain_name(given);
        call.region
            .and_then(|region| Some((region, self.position(region, &name)?)))
            .ok_or_else(|| Fault::new(404, "DBInstanceNotFound", format!("DBInstance {given} not found.")))
    }

    fn describe(&self, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
        if call.form.filled("DBInstanceIdentifier").is_some() {
            let (region, index) = self.find(call)?;
            xml.open("DBInstances");
            self.show(region, index, call.now, xml);
            xml.close("DBInstances");
            return Ok(());
        }
        let chosen = self.chosen(call)?;
        let (first, last) = page(call.form, chosen.len())?;
        xml.open("DBInstances");
        for &(region, index) in chosen.get(first..last).unwrap_or(&[]) {
            self.show(region, index, call.now, xml);
        }
        xml.close("DBInstances");
        if last < chosen.len() {
            xml.number("Marker", last);
        }
        Ok(())
    }

    /// The instances of a listing: all, or the existing ones in a `db-instance-id` filter.
    fn chosen(&self, call: &Call<'_>) -> Result<Vec<(Region, usize)>, Fault> {
        let Some(region) = call.region else { return Ok(Vec::new()) };
        let mut chosen: Option<BTreeSet<usize>> = None;
        for number in 1.. {
            let Some(name) = call.form.get(&format!("Filters.Filter.{number}.Name")) else { break };
            if name != "db-instance-id" {
                let message = format!("Unrecognized filter name: {name}");
                return Err(Fault::new(400, "InvalidParameterValue", message));
            }
            let prefix = format!("Filters.Filter.{number}.Values.Value.");
            let named = call.form.list(&prefix).filter_map(|id| self.position(region, &plain_name(id)));
            // Several filters must all match; one of the values of each is enough.
            chosen = Some(match chosen {
                Some(before) => named.filter(|index| before.contains(index)).collect(),
                None => named.collect(),
            });
        }
        let all = 0..self.regions[region.index()].len();
        let indexes: Vec<usize> = chosen.map_or_else(|| all.collect(), |some| some.into_iter().collect());
        Ok(indexes.into_iter().map(|index| (region, index)).collect())
    }

    fn show(&self, region: Region, index: usize, now: Micros, xml: &mut Xml) {
        let database = &self.regions[region.index()][index];
        let pair = self.regions[region.other().index()].get(index);
        xml.raw(&database.head);
        xml.element("DBInstanceStatus", database.status(now));
        xml.time("LatestRestorableTime", now.saturating_sub(RESTORABLE_LAG));
        database.show_groups(now, xml);
        xml.open("ReadReplicaDBInstanceIdentifiers");
        match (&database.role, pair) {
            (Role::Writer, Some(pair)) if pair.is_replica(now) => {
                xml.element("ReadReplicaDBInstanceIdentifier", &pair.arn);
            }
            _ => {}
        }
        xml.close("ReadReplicaDBInstanceIdentifiers");
        if let Role::Replica { source, .. } = &database.role
            && database.is_replica(now)
        {
            xml.element("ReadReplicaSourceDBInstanceIdentifier", source);
            xml.raw("<StatusInfos><DBInstanceStatusInfo><StatusType>read replication</StatusType>");
            xml.raw("<Normal>true</Normal><Status>replicating</Status></DBInstanceStatusInfo></StatusInfos>");
        }
        xml.raw(&database.tail);
    }

    fn promote(&mut self, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
        let (region, index) = self.find(call)?;
        let database = &mut self.regions[region.index()][index];
        if !database.is_replica(call.now) {
            return Err(state_error("DB Instance is not a read replica."));
        }
        database.require_available(call.now)?;
        let duration = self.draw.duration(self.promote_ms, &database.arn, 0);
        if let Role::Replica { promotion, .. } = &mut database.role {
            if promotion.is_some() {
                return Err(not_available());
            }
            *promotion = Some(Window { from: call.now, until: call.now + duration });
        }
        self.promotions.add(call.now, duration);
        self.show(region, index, call.now, xml);
        Ok(())
    }

    /// Changes only the security groups; every other parameter is accepted without effect.
    fn modify(&mut self, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
        let (region, index) = self.find(call)?;
        let database = &mut self.regions[region.index()][index];
        database.require_available(call.now)?;
        let wanted: Vec<String> =
            call.form.list("VpcSecurityGroupIds.VpcSecurityGroupId.").map(str::to_owned).collect();
        if let Some(wrong) = wanted.iter().find(|id| !id.starts_with("sg-")) {
            let message = format!("Invalid security group, groupId= {wrong}, groupName=.");
            return Err(Fault::new(400, "InvalidParameterValue", message));
        }
        if !wanted.is_empty() && wanted != database.groups {
            database.groups_before = std::mem::replace(&mut database.groups, wanted);
            database.groups_at = call.now + self.modify_ms * 1_000;
        }
        self.show(region, index, call.now, xml);
        Ok(())
    }

    fn reboot(&mut self, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
        let (region, index) = self.find(call)?;
        let database = &mut self.regions[region.index()][index];
        database.require_available(call.now)?;
        let until = call.now + self.reboot_ms * 1_000;
        database.reboot = Some(Window { from: call.now, until });
        let event = Event { name: database.name.clone(), arn: database.arn.clone(), at: until };
        self.events[region.index()].push(event);
        self.show(region, index, call.now, xml);
        Ok(())
    }

    fn describe_events(&self, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
        let (from, until) = span(call)?;
        let name = call.form.filled("SourceIdentifier").map(plain_name);
        let ours = matches!(call.form.filled("SourceType"), None | Some("db-instance"));
        let mut categories = call.form.list("EventCategories.EventCategory.").peekable();
        let wanted = categories.peek().is_none() || categories.any(|category| category == "availability");
        let events = call.region.map_or(&[][..], |region| &self.events[region.index()]);
        let found: Vec<&Event> = events
            .iter()
            .filter(|event| ours && wanted && (from..=until).contains(&event.at))
            .filter(|event| name.as_ref().is_none_or(|name| *name == event.name))
            .collect();
        let (first, last) = page(call.form, found.len())?;
        xml.open("Events");
        for event in found.get(first..last).unwrap_or(&[]) {
            xml.open("Event").element("SourceIdentifier", &event.name);
            xml.raw("<SourceType>db-instance</SourceType><Message>DB instance restarted</Message>");
            xml.raw("<EventCategories><EventCategory>availability</EventCategory></EventCategories>");
            xml.time("Date", event.at).element("SourceArn", &event.arn).close("Event");
        }
        xml.close("Events");
        if last < found.len() {
            xml.number("Marker", last);
        }
        Ok(())
    }
}

impl Database {
    fn new(region: Region, number: usize, draw: Draw, now: Micros) -> Self {
        let arn = |region: Region, name: &str| format!("arn:aws:rds:{}:{ACCOUNT}:db:{name}", region.name());
        let writer = format!("db-{number:05}");
        let (name, role, group) = match region {
            Region::West => (writer, Role::Writer, "sg-0aaa"),
            Region::East => {
                let role = Role::Replica { source: arn(Region::West, &writer), promotion: None };
                (format!("{writer}-replica"), role, "sg-0bbb")
            }
        };
        let own = arn(region, &name);
        let (head, tail) = description(region, &name, &own, draw, now);
        Self {
            name,
            arn: own,
            head,
            tail,
            role,
            reboot: None,
            groups: vec![group.to_owned()],
            groups_before: Vec::new(),
            groups_at: 0,
        }
    }

    fn is_replica(&self, now: Micros) -> bool {
        match &self.role {
            Role::Writer => false,
            Role::Replica { promotion, .. } => promotion.is_none_or(|window| now < window.until),
        }
    }

    fn status(&self, now: Micros) -> &'static str {
        if let Role::Replica { promotion: Some(window), .. } = &self.role
            && now < window.until
        {
            let quiet = STILL_AVAILABLE.min((window.until - window.from) / 2);
            return if now < window.from + quiet { "available" } else { "modifying" };
        }
        match self.reboot {
            Some(window) if (window.from..window.until).contains(&now) => "rebooting",
            _ => "available",
        }
    }

    fn require_available(&self, now: Micros) -> Result<(), Fault> {
        if self.status(now) == "available" { Ok(()) } else { Err(not_available()) }
    }

    fn show_groups(&self, now: Micros, xml: &mut Xml) {
        let applied = now >= self.groups_at;
        xml.open("VpcSecurityGroups");
        let mut member = |id: &str, status: &str| {
            xml.open("VpcSecurityGroupMembership").element("VpcSecurityGroupId", id);
            xml.element("Status", status).close("VpcSecurityGroupMembership");
        };
        for id in &self.groups {
            member(id, if applied || self.groups_before.contains(id) { "active" } else { "adding" });
        }
        for id in self.groups_before.iter().filter(|id| !applied && !self.groups.contains(id)) {
            member(id, "removing");
        }
        xml.close("VpcSecurityGroups");
    }
}

/// The constant parts of a description: before and after the rest.
fn description(region: Region, name: &str, arn: &str, draw: Draw, now: Micros) -> (Box<str>, Box<str>) {
    let region = region.name();
    let mut xml = Xml::fragment();
    xml.open("DBInstance").element("DBInstanceIdentifier", name).element("DBInstanceArn", arn);
    let id = draw.word(arn, 0);
    xml.element("DbiResourceId", &format!("db-{id:016X}{:010X}", draw.word(arn, 1) >> 24));
    xml.raw("<DBInstanceClass>db.r6g.large</DBInstanceClass><Engine>postgres</Engine>");
    xml.raw("<EngineVersion>16.4</EngineVersion><MasterUsername>app</MasterUsername><DBName>app</DBName>");
    xml.open("Endpoint").element("Address", &format!("{name}.c{:012x}.{region}.rds.amazonaws.com", id >> 16));
    xml.raw("<Port>5432</Port><HostedZoneId>Z1PVIF0B656C1W</HostedZoneId>").close("Endpoint");
    xml.time("InstanceCreateTime", now);
    let head = std::mem::replace(&mut xml, Xml::fragment()).into_kept();
    xml.raw("<AllocatedStorage>100</AllocatedStorage><StorageType>gp3</StorageType><MultiAZ>false</MultiAZ>");
    xml.element("AvailabilityZone", &format!("{region}a"));
    xml.raw("<BackupRetentionPeriod>7</BackupRetentionPeriod><DbInstancePort>0</DbInstancePort>");
    xml.raw("<PreferredBackupWindow>03:00-03:30</PreferredBackupWindow>");
    xml.raw("<PreferredMaintenanceWindow>sun:05:00-sun:05:30</PreferredMaintenanceWindow>");
    xml.raw("<PendingModifiedValues/><AutoMinorVersionUpgrade>true</AutoMinorVersionUpgrade>");
    xml.raw("<StorageEncrypted>true</StorageEncrypted><DeletionProtection>false</DeletionProtection>");
    xml.raw("<PubliclyAccessible>false</PubliclyAccessible><TagList/>").close("DBInstance");
    (head, xml.into_kept())
}

/// An identifier in lower case; of an ARN, its last part.
fn plain_name(given: &str) -> String {
    given.rsplit(':').next().unwrap_or(given).to_ascii_lowercase()
}

/// The first entry of the requested page, and the one after its last.
fn page(form: &Form<'_>, length: usize) -> Result<(usize, usize), Fault> {
    let invalid = |message: String| Fault::new(400, "InvalidParameterValue", message);
    let most = match form.filled("MaxRecords") {
        None => MOST_RECORDS,
        Some(given) => {
            given.parse().ok().filter(|n| (FEWEST_RECORDS..=MOST_RECORDS).contains(n)).ok_or_else(|| {
                let bounds = format!("Must be between {FEWEST_RECORDS} and {MOST_RECORDS}");
                invalid(format!("Invalid value {given} for MaxRecords. {bounds}"))
            })?
        }
    };
    let first = match form.filled("Marker") {
        None => 0,
        Some(given) => {
            given.parse().map_err(|_| invalid(format!("The marker {given} is malformed or has expired")))?
        }
    };
    let first: usize = std::cmp::min(first, length);
    Ok((first, length.min(first + most)))
}

/// The requested time span of DescribeEvents; by default the last hour.
fn span(call: &Call<'_>) -> Result<(Micros, Micros), Fault> {
    let moment = |key: &str| match call.form.filled(key) {
        None => Ok(None),
        Some(text) => clock::parse_iso(text)
            .map(Some)
            .ok_or_else(|| Fault::new(400, "InvalidParameterValue", format!("{key} is not a time: {text}"))),
    };
    let minutes = call.form.filled("Duration").and_then(|text| text.parse::<u64>().ok()).unwrap_or(60);
    let until = moment("EndTime")?.unwrap_or(call.now).min(call.now);
    let from = moment("StartTime")?.unwrap_or(call.now.saturating_sub(minutes.saturating_mul(60 * SECOND)));
    Ok((from, until))
}

fn state_error(message: &str) -> Fault {
    Fault::new(400, "InvalidDBInstanceState", message)
}

fn not_available() -> Fault {
    state_error("Database instance is not in available state.")
}
