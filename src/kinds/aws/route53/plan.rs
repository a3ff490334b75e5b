//! What a plan says of record sets.

use crate::kinds::aws::s3::plan::S3_URL;
use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::kinds::shared::names::plan::{
    Names, Policy, Record, RecordAt, SwitchBy, SwitchControls, SwitchObject, ZoneService,
};
use crate::kinds::shared::names::records::RecordAnswer;
use crate::model::document::{Node, Spanned, Value};
use crate::model::ids::SiteName;
use crate::model::read::{map, spanned_dur, spanned_text};
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::syntax::{self, Syntax};

/// The names that a plan declares.
#[derive(Clone, Debug)]
pub struct Route53(pub(super) Names);

/// Route 53, which limits the `ResourceRecord` elements of a change batch (AWS, Route 53 Developer Guide, «Quotas»). A delete and a create
/// count once each.
static SERVICE: ZoneService =
    ZoneService { name: "Route 53", batch_elements: 1_000, batch_characters: 32_000 };

/// A hosted zone (Amazon Route 53 API Reference, `ListResourceRecordSets`, `Id`: at most 32 characters).
static HOSTED_ZONE: Syntax = Syntax::new(
    "a hosted zone id",
    "up to 32 capital letters and digits, without `/hostedzone/`",
    "Z0123456789ABCDEFGHIJ",
    "^[0-9A-Z]+$",
    32,
);

/// A Route 53 health check (Amazon Route 53 API Reference, `GetHealthCheck`: at most 64 characters).
static HEALTH_CHECK: Syntax = Syntax::new(
    "a health check id",
    "up to 64 letters, digits and hyphens",
    "abcdef11-2222-3333-4444-555555fedcba",
    "^[0-9A-Za-z-]+$",
    64,
);

pub(super) const KEYS: Keys = Keys {
    name: "aws.route53 component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("via", Shape::Name, "the connection that drctl uses to reach the zone"),
        req("zone", Shape::Written(&HOSTED_ZONE), "hosted zone id"),
        req("records", Shape::List(&Shape::Keys(&RECORD)), "record sets that send users to a site"),
        opt(
            "switch",
            Shape::OneOf(&["record", "health_object", "arc_routing_control"]),
            "how drctl moves traffic: by a change of the record sets, by an object that their health checks watch, or by routing controls",
        ),
        opt("object", Shape::Keys(&SWITCH_OBJECT), "for health_object: the object"),
        opt("cluster", Shape::Keys(&SWITCH_CLUSTER), "for arc_routing_control: the cluster and its controls"),
    ],
};

const SWITCH_OBJECT: Keys = Keys {
    name: "object",
    fields: &[
        req("url", Shape::Written(&S3_URL), "s3://bucket/key"),
        req("site", Shape::Name, "the site that the object is in and sends users to"),
    ],
};

const SWITCH_CLUSTER: Keys = Keys {
    name: "cluster",
    fields: &[
        req(
            "endpoints",
            Shape::Map(&Shape::Text),
            "the five endpoints of the cluster, each under its region",
        ),
        req("controls", Shape::Map(&Shape::Text), "the ARN of the routing control of each site"),
    ],
};

const RECORD: Keys = Keys {
    name: "record",
    fields: &[
        req("name", Shape::Written(&syntax::DNS_NAME), "fully qualified name"),
        req("type", Shape::OneOf(&["A", "AAAA", "CNAME", "TXT"]), "record type"),
        opt("ttl", Shape::Duration, "time to live; required unless every answer is an alias"),
        opt("policy", Shape::OneOf(&["simple", "weighted", "failover"]), "routing policy; simple if absent"),
        opt("serves", Shape::OneOf(&["static"]), "static: does not need a database"),
        req(
            "at",
            Shape::Map(&Shape::Either(&Shape::List(&Shape::Text), &Shape::Keys(&RECORD_AT))),
            "the answer for each site while that site is active",
        ),
    ],
};

const RECORD_AT: Keys = Keys {
    name: "answer",
    fields: &[
        opt("set", Shape::Text, "set identifier, for weighted and failover"),
        opt("values", Shape::List(&Shape::Text), "plain values"),
        opt("alias", Shape::Keys(&ALIAS), "an alias target instead of values"),
        opt("weight", Shape::Int(0, 255), "the weight in the normal state"),
        opt(
            "role",
            Shape::OneOf(&["primary", "secondary"]),
            "for policy failover: its role in the normal state",
        ),
        opt("health_check", Shape::Written(&HEALTH_CHECK), "Route 53 health check id"),
    ],
};

const ALIAS: Keys = Keys {
    name: "alias",
    fields: &[
        req("name", Shape::Written(&syntax::DNS_NAME), "the DNS name of the target"),
        req("zone", Shape::Written(&HOSTED_ZONE), "the hosted zone id of the target"),
        opt("evaluate_health", Shape::Bool, "whether Route 53 evaluates the health of the target"),
    ],
};

/// Lint says what is missing.
fn switch_by(node: &Node) -> SwitchBy {
    let spanned = |key: &str| (node.get(key), node.get(key).map_or(node.span, |n| n.span));
    match node.get("switch").and_then(Node::text) {
        Some("health_object") => {
            let (object, span) = spanned("object");
            let text = |key: &str| object.and_then(|o| o.get(key)?.text()).unwrap_or_default().to_owned();
            let value = SwitchObject { url: text("url"), site: SiteName::new(text("site")) };
            SwitchBy::Object(Spanned { value, span })
        }
        Some("arc_routing_control") => {
            let (cluster, span) = spanned("cluster");
            let texts = |key: &str| {
                cluster
                    .map(|c| map(c, key, |k, n| Some((k.to_owned(), n.text()?.to_owned()))))
                    .unwrap_or_default()
            };
            let controls = texts("controls").into_iter().map(|(site, arn)| (SiteName::new(site), arn));
            let value = SwitchControls { endpoints: texts("endpoints"), controls: controls.collect() };
            SwitchBy::Controls(Spanned { value, span })
        }
        _ => SwitchBy::Record,
    }
}

pub(super) fn build(node: &Node) -> Option<Names> {
    Some(Names {
        service: &SERVICE,
        via: spanned_text(node.get("via")?)?,
        zone: node.get("zone")?.text()?.to_owned(),
        records: node.get("records").map(Node::items).unwrap_or_default().iter().filter_map(record).collect(),
        switch: switch_by(node),
    })
}

fn record(node: &Node) -> Option<Record> {
    let ttl = node.get("ttl").and_then(spanned_dur);
    let ttl_s = ttl.as_ref().map_or(0, |t| t.value.millis() / 1_000);
    Some(Record {
        name: node.get("name")?.text()?.trim_end_matches('.').to_ascii_lowercase(),
        rtype: node.get("type")?.text()?.to_owned(),
        ttl,
        policy: match node.get("policy").and_then(Node::text) {
            Some("weighted") => Policy::Weighted,
            Some("failover") => Policy::Failover,
            _ => Policy::Simple,
        },
        is_static: node.get("serves").is_some(),
        span: node.get("name")?.span,
        at: map(node, "at", |key, n| record_at(n, ttl_s).map(|at| (SiteName::new(key), at))),
    })
}

fn record_at(node: &Node, ttl_s: u64) -> Option<RecordAt> {
    let values = |n: &Node| {
        let mut values: Vec<_> = n.items().iter().filter_map(Node::text).map(str::to_owned).collect();
        values.sort();
        RecordAnswer::Values { ttl_s, values }
    };
    if matches!(node.value, Value::List(_)) {
        return Some(RecordAt {
            set: None,
            answer: values(node),
            weight: 0,
            primary: false,
            health_check: None,
        });
    }
    let answer = match (node.get("values"), node.get("alias")) {
        (Some(v), _) => values(v),
        (None, Some(alias)) => RecordAnswer::Alias {
            name: alias.get("name")?.text()?.trim_end_matches('.').to_ascii_lowercase(),
            zone: alias.get("zone")?.text()?.to_owned(),
            evaluate_health: matches!(
                alias.get("evaluate_health").map(|n| &n.value),
                Some(Value::Bool(true))
            ),
        },
        (None, None) => return None,
    };
    Some(RecordAt {
        set: node.get("set").and_then(Node::text).map(str::to_owned),
        answer,
        weight: node.get("weight").and_then(Node::int).and_then(|n| u8::try_from(n).ok()).unwrap_or(0),
        primary: node.get("role").and_then(Node::text) == Some("primary"),
        health_check: node.get("health_check").and_then(Node::text).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_route_53_refuses_does_not_fit() {
        for text in ["/hostedzone/Z1", "z1", "Z 1"] {
            assert!(!HOSTED_ZONE.fits(text), "{text}");
        }
    }
}
