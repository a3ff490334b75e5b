//! Record sets: their normalized form, their order in a listing, and their XML.

use super::xml::{Element, Xml};

/// A record set in normalized form, so that equal sets compare as equal.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordSet {
    pub name: String,
    pub kind: String,
    pub identifier: Option<String>,
    pub weight: Option<u32>,
    /// Seconds.
    pub ttl: Option<u32>,
    pub values: Vec<String>,
    pub alias: Option<Alias>,
    /// Policies and marks that are plain text: `Region`, `Failover`, `MultiValueAnswer`, `HealthCheckId`.
    pub others: Vec<(&'static str, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    zone: String,
    name: String,
    evaluate: String,
}

/// The elements of `others`; the first three are routing policies.
const OTHERS: [&str; 4] = ["Region", "Failover", "MultiValueAnswer", "HealthCheckId"];

/// The sort key of a listing, and the identity of a set: labels from the right, type, set identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub reversed: String,
    pub kind: String,
    pub identifier: String,
}

impl Key {
    /// `name` in any spelling.
    pub fn new(name: &str, kind: &str, identifier: &str) -> Self {
        Self { reversed: reversed(&fqdn(name)), kind: kind.into(), identifier: identifier.into() }
    }
}

/// Lower case, final dot, and the octal escape that the API shows for a wildcard.
pub fn fqdn(name: &str) -> String {
    let mut plain = name.trim_end_matches('.').to_ascii_lowercase().replace('*', "\\052");
    plain.push('.');
    plain
}

/// Labels from the right, separated by a character below all others, so that text order is label order.
fn reversed(fqdn: &str) -> String {
    let mut joined = String::with_capacity(fqdn.len());
    for label in fqdn.trim_end_matches('.').rsplit('.') {
        if !joined.is_empty() {
            joined.push('\0');
        }
        joined.push_str(label);
    }
    joined
}

impl RecordSet {
    /// A simple set.
    pub fn simple(name: &str, kind: &str, ttl: u32, value: &str) -> Self {
        Self {
            name: fqdn(name),
            kind: kind.into(),
            identifier: None,
            weight: None,
            ttl: Some(ttl),
            values: vec![value.into()],
            alias: None,
            others: Vec::new(),
        }
    }

    /// One of a weighted pair.
    pub fn weighted(name: &str, identifier: &str, weight: u32, ttl: u32, value: &str) -> Self {
        Self {
            identifier: Some(identifier.into()),
            weight: Some(weight),
            ..Self::simple(name, "A", ttl, value)
        }
    }

    /// Reads a `ResourceRecordSet`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(element: &Element<'_>) -> Result<Self, String> {
        for unknown in ["GeoLocation", "CidrRoutingConfig", "GeoProximityLocation", "TrafficPolicyInstanceId"]
        {
            if element.child(unknown).is_some() {
                return Err(format!("the stub has no {unknown}"));
            }
        }
        let text = |name: &str| element.value(name).filter(|value| !value.is_empty());
        let number = |name: &str| match text(name) {
            None => Ok(None),
            Some(value) => value.parse().map(Some).map_err(|_| format!("{name} is not a number: {value}")),
        };
        let records = element.child("ResourceRecords").map_or(&[][..], |records| &records.children);
        let values = records.iter().filter_map(|record| record.value("Value"));
        let alias = element.child("AliasTarget").map(|target| Alias {
            zone: target.value("HostedZoneId").unwrap_or("").into(),
            name: fqdn(target.value("DNSName").unwrap_or("")),
            evaluate: target.value("EvaluateTargetHealth").unwrap_or("false").into(),
        });
        Ok(Self {
            name: fqdn(text("Name").ok_or("Missing field 'Name'")?),
            kind: text("Type").ok_or("Missing field 'Type'")?.into(),
            identifier: text("SetIdentifier").map(str::to_owned),
            weight: number("Weight")?,
            ttl: number("TTL")?,
            values: values.map(str::to_owned).collect(),
            alias,
            others: OTHERS.into_iter().filter_map(|name| Some((name, text(name)?.to_owned()))).collect(),
        })
    }

    pub fn key(&self) -> Key {
        let identifier = self.identifier.clone().unwrap_or_default();
        Key { reversed: reversed(&self.name), kind: self.kind.clone(), identifier }
    }

    /// The routing policies that it names; a valid set has at most one.
    pub fn policies(&self) -> impl Iterator<Item = &'static str> {
        let weighted = self.weight.map(|_| "Weight");
        let others = self.others.iter().map(|(name, _)| *name).filter(|name| *name != "HealthCheckId");
        weighted.into_iter().chain(others)
    }

    /// DELETE must repeat everything. The order of the values does not matter.
    pub fn same(&self, other: &Self) -> bool {
        let sorted = |set: &Self| {
            let mut set = set.clone();
            set.values.sort_unstable();
            set
        };
        self == other || sorted(self) == sorted(other)
    }

    /// As a listing shows it.
    pub fn to_xml(&self) -> Box<str> {
        let mut xml = Xml::fragment();
        xml.open("ResourceRecordSet").element("Name", &self.name).element("Type", &self.kind);
        if let Some(identifier) = &self.identifier {
            xml.element("SetIdentifier", identifier);
        }
        if let Some(weight) = self.weight {
            xml.number("Weight", weight);
        }
        for (name, value) in &self.others {
            xml.element(name, value);
        }
        if let Some(ttl) = self.ttl {
            xml.number("TTL", ttl);
        }
        if !self.values.is_empty() {
            xml.open("ResourceRecords");
            for value in &self.values {
                xml.open("ResourceRecord").element("Value", value).close("ResourceRecord");
            }
            xml.close("ResourceRecords");
        }
        if let Some(alias) = &self.alias {
            xml.open("AliasTarget").element("HostedZoneId", &alias.zone).element("DNSName", &alias.name);
            xml.element("EvaluateTargetHealth", &alias.evaluate).close("AliasTarget");
        }
        xml.close("ResourceRecordSet");
        xml.into_kept()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listing_order() {
        let names =
            ["z.example", "api.z.example", "b.z.example", "a.b.z.example", "b-c.z.example", "*.w.z.example"];
        let keys: Vec<Key> = names.iter().map(|name| Key::new(name, "A", "")).collect();
        let mut sorted = keys.clone();
        sorted.sort();
        assert_eq!(sorted, keys);
    }

    #[test]
    fn reads_back_what_it_shows() {
        let set = RecordSet::weighted("API.z.example", "west", 0, 30, "192.0.2.1");
        let shown = set.to_xml();
        assert_eq!(RecordSet::read(&super::super::xml::read(&shown).unwrap()), Ok(set));
    }
}
