//! Route 53: zones with record sets, and changes that take time to be in sync.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::batch;
use super::clock::Micros;
use super::estate::Draw;
use super::form::{self, Form};
use super::http::Request;
use super::limits::{Limited, Limits};
use super::options::Options;
use super::record::{Key, RecordSet};
use super::stats::Drawn;
use super::wire::{Fault, Reply};
use super::xml::{self, Xml};

pub const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
const MOST_SETS: usize = 300;
const MOST_ZONES: usize = 100;

/// A zone's record sets, each with its XML in a listing.
#[derive(Default)]
pub struct Sets(BTreeMap<Key, (RecordSet, Box<str>)>);

impl Sets {
    pub fn get(&self, key: &Key) -> Option<&RecordSet> {
        self.0.get(key).map(|(set, _)| set)
    }

    pub fn put(&mut self, key: Key, set: RecordSet) {
        let shown = set.to_xml();
        self.0.insert(key, (set, shown));
    }

    pub fn remove(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// The sets of one name, given with its labels reversed as in a key.
    pub fn of_name(&self, reversed: &str) -> impl Iterator<Item = (&Key, &RecordSet)> {
        let from = Key { reversed: reversed.into(), kind: String::new(), identifier: String::new() };
        let end = reversed.to_owned();
        let range = self.0.range(from..).take_while(move |(key, _)| key.reversed == end);
        range.map(|(key, (set, _))| (key, set))
    }
}

struct Zone {
    /// With its final dot.
    name: String,
    sets: Sets,
    /// The end of the change in progress.
    busy_until: Micros,
    changes: u64,
}

struct Submitted {
    at: Micros,
    insync: Micros,
}

/// The requested operation.
pub enum Operation<'a> {
    ChangeSets(&'a str),
    ListSets(&'a str),
    GetChange(&'a str),
    GetZone(&'a str),
    ListZones,
    ListZonesByName,
    Unknown,
}

impl<'a> Operation<'a> {
    pub fn of(request: &Request<'a>) -> Self {
        let Some(path) = request.path.strip_prefix("/2013-04-01/") else { return Self::Unknown };
        let mut parts = path.trim_end_matches('/').split('/');
        match (request.method, parts.next(), parts.next(), parts.next()) {
            ("POST", Some("hostedzone"), Some(zone), Some("rrset")) => Self::ChangeSets(zone),
            ("GET", Some("hostedzone"), Some(zone), Some("rrset")) => Self::ListSets(zone),
            ("GET", Some("hostedzone"), Some(zone), None) => Self::GetZone(zone),
            ("GET", Some("hostedzone"), None, None) => Self::ListZones,
            ("GET", Some("hostedzonesbyname"), None, None) => Self::ListZonesByName,
            ("GET", Some("change"), Some(id), None) => Self::GetChange(id),
            _ => Self::Unknown,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::ChangeSets(_) => "ChangeResourceRecordSets",
            Self::ListSets(_) => "ListResourceRecordSets",
            Self::GetChange(_) => "GetChange",
            Self::GetZone(_) => "GetHostedZone",
            Self::ListZones => "ListHostedZones",
            Self::ListZonesByName => "ListHostedZonesByName",
            Self::Unknown => "Unknown",
        }
    }
}

/// The hosted zones of the account, by id, and all changes so far.
pub struct Zones {
    zones: BTreeMap<String, Zone>,
    /// Change number n is at n - 1; the number is in the change's id.
    submitted: Vec<Submitted>,
    draw: Draw,
    insync_ms: u64,
    apply_ms: u64,
    pub changes: Drawn,
}

impl Zones {
    pub fn new(options: &Options, draw: Draw, now: Micros) -> Self {
        let (each, more) = match options.zones {
            0 => (0, 0),
            zones => (options.records / zones, options.records % zones),
        };
        let build = |number: usize| {
            let zone = Zone::new(number, each + usize::from(number <= more), now);
            (format!("Z{number:05}"), zone)
        };
        Self {
            zones: (1..=options.zones).map(build).collect(),
            submitted: Vec::new(),
            draw,
            insync_ms: options.insync_ms,
            apply_ms: options.zone_apply_ms,
            changes: Drawn::default(),
        }
    }

    pub fn handle(
        &mut self,
        operation: &Operation<'_>,
        request: &Request<'_>,
        limits: &mut Limits,
        now: Micros,
    ) -> Result<Reply, Fault> {
        if !limits.take(Limited::Route53, "", 1, now) {
            return Err(Fault::throttled("route53"));
        }
        let query = Form::parse(request.query);
        match *operation {
            Operation::ChangeSets(id) => self.change(id, request, limits, now),
            Operation::ListSets(id) => self.list_sets(id, &query),
            Operation::GetChange(id) => self.get_change(id, now),
            Operation::GetZone(id) => self.get_zone(id),
            Operation::ListZones => self.list_zones(&query),
            Operation::ListZonesByName => self.list_zones_by_name(&query),
            Operation::Unknown => {
                Err(Fault::new(400, "InvalidAction", "The stub does not know this operation of Route 53."))
            }
        }
    }

    /// Weighted sets named `west` and `east` with a weight above 0, and changes that are not in sync yet.
    pub fn census(&self, now: Micros) -> (usize, usize, usize) {
        let weighted = |name: &str| {
            let sets = self.zones.values().flat_map(|zone| zone.sets.0.values());
            let named = sets.filter(|(set, _)| set.identifier.as_deref() == Some(name));
            named.filter(|(set, _)| set.weight.is_some_and(|weight| weight > 0)).count()
        };
        let pending = self.submitted.iter().filter(|change| now < change.insync).count();
        (weighted("west"), weighted("east"), pending)
    }

    fn zone(&self, id: &str) -> Result<&Zone, Fault> {
        self.zones.get(id).ok_or_else(|| no_zone(id))
    }

    fn change(
        &mut self,
        id: &str,
        request: &Request<'_>,
        limits: &mut Limits,
        now: Micros,
    ) -> Result<Reply, Fault> {
        let zone = self.zones.get_mut(id).ok_or_else(|| no_zone(id))?;
        let malformed = || Fault::new(400, "MalformedInput", "The request is not well-formed XML.");
        let text = std::str::from_utf8(&request.body).map_err(|_| malformed())?;
        let root = xml::read(text).ok_or_else(malformed)?;
        let changes = batch::read(&root)?;
        if !limits.take(Limited::Records, "", changes.len(), now) {
            return Err(Fault::throttled("route53"));
        }
        if now < zone.busy_until {
            let message = "The request was rejected because Route 53 was still processing a prior request.";
            return Err(Fault::new(400, "PriorRequestNotComplete", message));
        }
        batch::apply(&zone.name, &mut zone.sets, changes)?;
        zone.busy_until = now + self.apply_ms * 1_000;
        let duration = self.draw.duration(self.insync_ms, id, zone.changes);
        zone.changes += 1;
        self.changes.add(now, duration);
        let submitted = Submitted { at: now, insync: now + duration };
        self.submitted.push(submitted);
        let mut xml = begin("ChangeResourceRecordSetsResponse");
        self.show_change(self.submitted.len(), now, &mut xml);
        Ok(finish(xml, "ChangeResourceRecordSetsResponse"))
    }

    fn get_change(&self, id: &str, now: Micros) -> Result<Reply, Fault> {
        let number = id.strip_prefix('C').and_then(|digits| digits.parse::<usize>().ok());
        let number =
            number.filter(|number| (1..=self.submitted.len()).contains(number)).ok_or_else(|| {
                Fault::new(404, "NoSuchChange", format!("Could not find resource with ID: {id}"))
            })?;
        let mut xml = begin("GetChangeResponse");
        self.show_change(number, now, &mut xml);
        Ok(finish(xml, "GetChangeResponse"))
    }

    fn show_change(&self, number: usize, now: Micros, xml: &mut Xml) {
        let Some(change) = self.submitted.get(number - 1) else { return };
        let status = if now < change.insync { "PENDING" } else { "INSYNC" };
        xml.open("ChangeInfo").open("Id").show(format_args!("/change/C{number:020}")).close("Id");
        xml.element("Status", status).time("SubmittedAt", change.at).close("ChangeInfo");
    }

    fn list_sets(&self, id: &str, query: &Form<'_>) -> Result<Reply, Fault> {
        let zone = self.zone(id)?;
        let (name, kind) = (query.filled("name"), query.filled("type"));
        let identifier = query.filled("identifier");
        if (kind.is_some() && name.is_none()) || (identifier.is_some() && kind.is_none()) {
            return Err(Fault::new(400, "InvalidInput", "The input is not valid"));
        }
        let most = max_items(query, MOST_SETS)?;
        let start = name.map(|name| Key::new(name, kind.unwrap_or(""), identifier.unwrap_or("")));
        let start = start.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let mut found = zone.sets.0.range::<Key, _>((start, Bound::Unbounded)).map(|(_, entry)| entry);
        let mut xml = begin("ListResourceRecordSetsResponse");
        xml.open("ResourceRecordSets");
        for (_, shown) in found.by_ref().take(most) {
            xml.raw(shown);
        }
        xml.close("ResourceRecordSets");
        let next = found.next().map(|(set, _)| set);
        xml.number("IsTruncated", next.is_some());
        if let Some(set) = next {
            xml.element("NextRecordName", &set.name).element("NextRecordType", &set.kind);
            if let Some(identifier) = &set.identifier {
                xml.element("NextRecordIdentifier", identifier);
            }
        }
        xml.number("MaxItems", most);
        Ok(finish(xml, "ListResourceRecordSetsResponse"))
    }

    fn get_zone(&self, id: &str) -> Result<Reply, Fault> {
        let zone = self.zone(id)?;
        let mut xml = begin("GetHostedZoneResponse");
        zone.show(id, &mut xml);
        xml.open("DelegationSet").open("NameServers").element("NameServer", "ns-1.stub.example");
        xml.close("NameServers").close("DelegationSet");
        Ok(finish(xml, "GetHostedZoneResponse"))
    }

    fn list_zones(&self, query: &Form<'_>) -> Result<Reply, Fault> {
        let most = max_items(query, MOST_ZONES)?;
        let marker = query.filled("marker").unwrap_or("");
        let mut found = self.zones.range::<str, _>((Bound::Included(marker), Bound::Unbounded));
        let mut xml = begin("ListHostedZonesResponse");
        xml.open("HostedZones");
        for (id, zone) in found.by_ref().take(most) {
            zone.show(id, &mut xml);
        }
        xml.close("HostedZones").element("Marker", marker);
        let next = found.next();
        xml.number("IsTruncated", next.is_some());
        if let Some((id, _)) = next {
            xml.element("NextMarker", id);
        }
        xml.number("MaxItems", most);
        Ok(finish(xml, "ListHostedZonesResponse"))
    }

    /// The order of names is the order of ids here, because both carry the same number.
    fn list_zones_by_name(&self, query: &Form<'_>) -> Result<Reply, Fault> {
        let most = max_items(query, MOST_ZONES)?;
        let start = query.filled("dnsname").map(|name| Key::new(name, "", ""));
        let from = query.filled("hostedzoneid").unwrap_or("");
        let mut found = self.zones.iter().filter(|(id, zone)| {
            let named = start.as_ref().is_none_or(|start| Key::new(&zone.name, "", "") >= *start);
            named && id.as_str() >= from
        });
        let mut xml = begin("ListHostedZonesByNameResponse");
        xml.open("HostedZones");
        for (id, zone) in found.by_ref().take(most) {
            zone.show(id, &mut xml);
        }
        xml.close("HostedZones");
        let next = found.next();
        xml.number("IsTruncated", next.is_some());
        if let Some((id, zone)) = next {
            xml.element("NextDNSName", &zone.name).element("NextHostedZoneId", id);
        }
        xml.number("MaxItems", most);
        Ok(finish(xml, "ListHostedZonesByNameResponse"))
    }
}

impl Zone {
    /// `records` sets in addition to the NS and SOA of every zone: alternately a simple one and a weighted pair.
    fn new(number: usize, records: usize, now: Micros) -> Self {
        let name = format!("z{number:05}.example.");
        let mut sets = Sets::default();
        let mut put = |set: RecordSet| sets.put(set.key(), set);
        put(RecordSet::simple(&name, "NS", 172_800, "ns-1.stub.example."));
        let soa = "ns-1.stub.example. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400";
        put(RecordSet::simple(&name, "SOA", 900, soa));
        let mut left = records;
        for round in 1.. {
            if left == 0 {
                break;
            }
            put(RecordSet::simple(&format!("www-{round:05}.{name}"), "A", 60, &address("192.0.2", round)));
            left -= 1;
            // A pair is never split; a single remaining set becomes a simple one of the next round.
            if left >= 2 {
                let pair = format!("api-{round:05}.{name}");
                put(RecordSet::weighted(&pair, "west", 100, 30, &address("192.0.2", round)));
                put(RecordSet::weighted(&pair, "east", 0, 30, &address("198.51.100", round)));
                left -= 2;
            }
        }
        Self { name, sets, busy_until: now, changes: 0 }
    }

    fn show(&self, id: &str, xml: &mut Xml) {
        xml.open("HostedZone").open("Id").raw("/hostedzone/").text(id).close("Id");
        xml.element("Name", &self.name).element("CallerReference", id);
        xml.raw("<Config><PrivateZone>false</PrivateZone></Config>");
        xml.number("ResourceRecordSetCount", self.sets.0.len()).close("HostedZone");
    }
}

fn address(network: &str, number: usize) -> String {
    format!("{network}.{}", 1 + number % 254)
}

fn begin(name: &str) -> Xml {
    let mut xml = Xml::new();
    xml.raw("<?xml version=\"1.0\"?>\n<").raw(name).raw(" xmlns=\"").raw(NAMESPACE).raw("\">");
    xml
}

fn finish(mut xml: Xml, name: &str) -> Reply {
    xml.close(name);
    Reply::xml(200, xml)
}

fn no_zone(id: &str) -> Fault {
    let id = form::unescape(id);
    Fault::new(404, "NoSuchHostedZone", format!("No hosted zone found with ID: {id}"))
}

/// AWS treats a number above its maximum as the maximum.
fn max_items(query: &Form<'_>, most: usize) -> Result<usize, Fault> {
    match query.filled("maxitems") {
        None => Ok(most),
        Some(given) => match given.parse::<usize>() {
            Ok(asked) if asked > 0 => Ok(asked.min(most)),
            _ => Err(Fault::new(400, "InvalidInput", format!("maxitems must be above 0, not {given}"))),
        },
    }
}
