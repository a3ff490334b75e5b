//! `probes:`

use super::places::{place, site};
use crate::model::document::{Key, Node, Spanned};
use crate::model::finding::Finding;
use crate::model::ids::{ProbeName, SiteName};
use crate::model::place::{CloudProvider, Place};
use crate::model::read::dur;
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::syntax;
use crate::model::time::Dur;
use crate::record::runbook::{Probe, ProbeRole, ProbeVia};

/// One probe.
pub const PROBE: Keys = Keys {
    name: "probe",
    fields: &[
        req("name", Shape::Name, "its name"),
        req(
            "role",
            Shape::OneOf(&["public", "site", "write", "alarm"]),
            "public: what users see; site: one site before traffic; write: a real write; alarm: stops live drills",
        ),
        opt("http", Shape::Written(&syntax::HTTP_URL), "the URL to request"),
        opt("tcp", Shape::Written(&syntax::HOST_PORT), "host:port to connect to"),
        opt("expect", Shape::Keys(&EXPECT), "the expected result"),
        opt("every", Shape::Duration, "interval; 5s if absent"),
        opt("timeout", Shape::Duration, "the timeout for an answer; 3s if absent"),
        opt("at", Shape::Map(&Shape::Keys(&PROBE_AT)), "for roles site and alarm: the target in each site"),
    ],
};
const EXPECT: Keys = Keys { name: "expect", fields: &[opt("status", Shape::Int(100, 599), "HTTP status")] };
const PROBE_AT: Keys = Keys {
    name: "address",
    fields: &[
        opt("http", Shape::Written(&syntax::HTTP_URL), "the URL to request"),
        opt("tcp", Shape::Written(&syntax::HOST_PORT), "host:port to connect to"),
        opt("cloudwatch", Shape::Text, "the name of an alarm, for role alarm"),
    ],
};

/// The maximum interval and timeout. With longer ones, a run would wait for hours for its probes.
const SELDOM: Dur = Dur::mins(10);

const ALARM: &str = "at: {SITE or CONNECTION: {cloudwatch: NAME}}";

/// Every probe of a plan; those with `at:` once for each site.
pub fn probes(file: &str, tree: &Node, findings: &mut Vec<Finding>) -> Vec<Spanned<Probe>> {
    let mut found = Vec::new();
    for node in tree.get("probes").map(Node::items).unwrap_or_default() {
        let asked: Vec<(&Node, Option<&Key>)> = match node.get("at") {
            Some(at) => at.entries().iter().map(|(site, at)| (at, Some(site))).collect(),
            None => vec![(node, None)],
        };
        for (at, of) in asked {
            let whose =
                |probe: Spanned<Probe>| Spanned { span: of.map_or(probe.span, |key| key.span), ..probe };
            match probe(tree, node, at, of.map(|site| &*site.text)) {
                Ok(probe) => found.extend(probe.map(whose)),
                Err((why, fix)) => {
                    let name = node.get("name").and_then(Node::text).unwrap_or_default();
                    let finding = Finding::error(
                        "probe-asks-nothing",
                        file,
                        Some(at.span),
                        format!("probe {name} {why}"),
                    );
                    findings.push(
                        finding
                            .because("without this, the probe would never run and nobody would notice")
                            .fix(fix),
                    );
                }
            }
        }
    }
    found
}

/// The place of an alarm. An alarm for users may be in an account that is not a site.
fn place_of(tree: &Node, name: &str) -> Option<Place> {
    let of = |key: &str| tree.get(key)?.get(name);
    let site = of("sites").map(|node| site(name, node).place);
    site.or_else(|| of("connections").map(|node| place(name, node, "global")))
}

/// One probe; none if its shape is wrong.
fn probe(
    tree: &Node,
    node: &Node,
    at: &Node,
    site: Option<&str>,
) -> Result<Option<Spanned<Probe>>, (String, &'static str)> {
    let (Some(name), Some(role)) = (node.get("name"), node.get("role").and_then(Node::text)) else {
        return Ok(None);
    };
    let role = match role {
        "public" => ProbeRole::Public,
        "site" => ProbeRole::Site,
        "write" => ProbeRole::Write,
        "alarm" => ProbeRole::Alarm,
        _ => return Ok(None),
    };
    let asks = |key: &str| at.get(key).and_then(Node::text).map(str::to_owned);
    let via = match (role, asks("http"), asks("tcp"), asks("cloudwatch")) {
        (ProbeRole::Alarm, None, None, Some(alarm)) => {
            let place =
                site.and_then(|name| place_of(tree, name)).filter(|place| place.cloud == CloudProvider::Aws);
            let Some(place) = place else {
                return Err(("is an alarm that belongs to no site or connection in AWS".to_owned(), ALARM));
            };
            ProbeVia::Alarm { place, alarm }
        }
        (ProbeRole::Alarm, ..) => {
            return Err(("is an alarm without a name".to_owned(), ALARM));
        }
        (_, _, _, Some(_)) => {
            return Err(("names an alarm but does not have role alarm".to_owned(), "role: alarm"));
        }
        (_, Some(url), None, None) => {
            let status = node.get("expect").and_then(|e| e.get("status")).and_then(Node::int);
            let status = status.and_then(|n| u16::try_from(n).ok()).unwrap_or(200);
            ProbeVia::Http { url, status }
        }
        (_, None, Some(address), None) => ProbeVia::Tcp { address },
        (_, Some(_), Some(_), None) => {
            return Err(("has two addresses".to_owned(), "set `http:` or `tcp:`"));
        }
        (_, None, None, None) => {
            let fix = "set `http:` or `tcp:` for the probe itself, or under `at:` for each site";
            return Err(("has no address".to_owned(), fix));
        }
    };
    let of = |key: &str, otherwise: u64| node.get(key).and_then(dur).unwrap_or(Dur::secs(otherwise));
    let (every_ms, timeout_ms) = (of("every", 5), of("timeout", 3));
    if every_ms == Dur::ZERO || timeout_ms == Dur::ZERO {
        return Err((
            "has an interval or a timeout of zero".to_owned(),
            "set, for example, `every: 5s` and `timeout: 3s`",
        ));
    }
    if every_ms > SELDOM || timeout_ms > SELDOM {
        let why = format!(
            "has an interval of {every_ms} and a timeout of {timeout_ms}, but three results in a row must agree"
        );
        return Err((why, "set ten minutes at most"));
    }
    let probe = Probe {
        name: ProbeName::new(name.text().unwrap_or_default()),
        role,
        site: site.map(SiteName::new),
        via,
        every_ms,
        timeout_ms,
    };
    Ok(Some(Spanned { value: probe, span: name.span }))
}
