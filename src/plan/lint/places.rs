//! Accounts, regions and values that a provider refuses, and two sites that are the same.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::collections::BTreeSet;

use super::Lint;
use crate::kinds::Target;
use crate::kinds::aws::route53::{Record, RecordAnswer};
use crate::kinds::shared::database::{Database, DatabaseAt};
use crate::model::finding::Span;
use crate::model::ids::SiteName;
use crate::model::place::{CloudProvider, Place};
use crate::model::syntax::{ACCOUNT, DNS_NAME};
use crate::plan::types::Component;

/// Regions of the partitions aws, aws-cn and aws-us-gov (AWS Regions and Availability Zones User Guide, «AWS Regions»). Newer ones can be
/// added under `regions:` in drctl.yaml.
pub const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

impl Lint<'_> {
    pub(super) fn places(&mut self) {
        let plan = self.plan;
        // drctl makes no calls to a site that has only self-hosted servers.
        let managed =
            plan.components.values().filter(|c| c.kind().starts_with("aws.") && c.kind() != "aws.route53");
        let calls: BTreeSet<String> =
            managed.flat_map(Component::sites).map(|site| site.as_str().to_owned()).collect();
        let sites = plan.sites.values().map(|site| (&site.place, site.span));
        for (place, span) in sites.filter(|(place, _)| place.cloud == CloudProvider::Aws) {
            self.account(place.account.as_deref(), span);
            if calls.contains(&place.name) {
                self.region(&place.region, span);
            }
        }
        let connections = plan.connections.values().filter(|place| place.cloud == CloudProvider::Aws);
        for place in connections {
            self.account(place.account.as_deref(), plan.home.span);
        }
    }

    fn account(&mut self, account: Option<&str>, span: Span) {
        let Some(account) = account.filter(|account| !ACCOUNT.fits(account)) else { return };
        self.error(
            "plan-bad-value",
            span,
            format!("`{account}` is not an AWS account id (in `account`)"),
            "an AWS account id has 12 digits, so preflight would refuse every real account",
            &format!("write the account id in quotes, as in \"{}\"", ACCOUNT.example),
        );
    }

    fn region(&mut self, region: &str, span: Span) {
        let newer = self.settings.regions.iter().map(String::as_str);
        let unread = self.settings.unread.contains("regions");
        if unread || REGIONS.iter().copied().chain(newer).any(|known| known == region) {
            return;
        }
        let hint = super::suggest(region, REGIONS.iter().copied());
        let hint = hint.map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
        self.error(
            "unknown-region",
            span,
            format!("`{region}` is not an AWS region that drctl knows{hint}"),
            "a call to a region that does not exist fails like a call to a lost region",
            "correct the name, or set `region:` for the site. Set `cloud: none` for your own data centre. Add a region that is newer than drctl under `regions:` in drctl.yaml",
        );
    }

    /// Two sites with the same servers.
    pub(super) fn twins(&mut self, component: &Component, spec: &Database) {
        let sites = &self.plan.sites;
        let place =
            |site: &SiteName| sites.get(site).map(|s| (s.place.region.clone(), s.place.account.clone()));
        let all: Vec<_> = spec.at.iter().map(|(site, at)| (site, at, place(site))).collect();
        let twin = all.iter().enumerate().find_map(|(n, (site, at, place))| {
            let mut before = all.iter().take(n);
            let (other, ..) = before.find(|(_, is, there)| same_server(at, is) && place == there)?;
            Some((*other, *site, at.id.clone()))
        });
        if let Some((one, other, id)) = twin {
            self.error(
                "one-server-two-sites",
                component.span,
                format!(
                    "`{}` is {id} in {one} and in {other}, and both sites are in one region",
                    component.name
                ),
                "a failover would fence the server that it promotes",
                "name a different server for each site, and give each site its own `region:`",
            );
        }
    }

    /// Two sites with the same group or service.
    pub(super) fn shared_capacity(&mut self, component: &Component) {
        let all = component.spec.targets(&component.name, self.plan);
        let of: Vec<_> =
            all.iter().filter_map(|t| t.place().map(|place| (place, unplaced(t, place)))).collect();
        let twin = of.iter().enumerate().find_map(|(n, (place, what))| {
            let same = |(other, known): &&(&Place, String)| {
                other.name != place.name
                    && (&other.region, &other.account) == (&place.region, &place.account)
                    && known == what
            };
            of.iter()
                .take(n)
                .find(same)
                .map(|(other, _)| (other.name.clone(), place.name.clone(), what.clone()))
        });
        if let Some((one, other, what)) = twin {
            self.error(
                "one-capacity-two-sites",
                component.span,
                format!(
                    "`{}` is {what} in {one} and in {other}, and both sites are in one region",
                    component.name
                ),
                "a failover would start servers in the region that is lost",
                "name a different one for each site, and give each site its own `region:`",
            );
        }
    }

    /// Values that Route 53 refuses for a type (Amazon Route 53 Developer Guide, «Supported DNS record types»).
    pub(super) fn values(&mut self, record: &Record) {
        let all = record.at.values().filter_map(|at| match &at.answer {
            RecordAnswer::Values { values, .. } => Some(values),
            RecordAnswer::Alias { .. } => None,
        });
        for values in all {
            if record.rtype == "CNAME" && values.len() > 1 {
                self.bad_value(record, &values.join(", "), "one name");
            }
            for value in values {
                let wanted = match record.rtype.as_str() {
                    "A" if value.parse::<Ipv4Addr>().is_err() => "an IPv4 address, as in 192.0.2.10",
                    "AAAA" if value.parse::<Ipv6Addr>().is_err() => "an IPv6 address, as in 2001:db8::1",
                    "CNAME" if !DNS_NAME.fits(value) => "a name, as in www.shop.example",
                    "TXT" if !is_quoted(value) => {
                        "text in double quotes, each part of up to 255 characters, as in '\"v=spf1 -all\"'"
                    }
                    _ => continue,
                };
                self.bad_value(record, value, wanted);
            }
        }
    }

    fn bad_value(&mut self, record: &Record, value: &str, wanted: &str) {
        self.error(
            "record-bad-value",
            record.span,
            format!("`{value}` is not a valid value for {} {}", record.name, record.rtype),
            "Route 53 would refuse the change after drctl promoted the database",
            &format!("write {wanted}"),
        );
    }
}

fn same_server(a: &DatabaseAt, b: &DatabaseAt) -> bool {
    a.id.eq_ignore_ascii_case(&b.id) && a.endpoint == b.endpoint
}

/// One or more parts in double quotes, of up to 255 characters each (RFC 1035, 3.3.14).
fn is_quoted(value: &str) -> bool {
    let mut parts = 0;
    let mut rest = value.trim();
    while let Some(inner) = rest.strip_prefix('"') {
        let mut escaped = false;
        let Some(end) = inner.char_indices().find_map(|(i, c)| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends.then_some(i)
        }) else {
            return false;
        };
        if inner.get(..end).is_none_or(|part| part.chars().count() > 255) {
            return false;
        }
        parts += 1;
        rest = inner.get(end + 1..).unwrap_or_default().trim_start();
    }
    parts > 0 && rest.is_empty()
}

/// What a target is, without its place.
fn unplaced(target: &Target, place: &Place) -> String {
    target.key().replacen(&format!("/{}/", place.name), " ", 1)
}
