//! Builds types from a tree. Parts with a wrong shape are left out, so that lint can check the rest.

use super::settings::Settings;
use super::types::{Component, GateSpec, Hook, Plan};
use crate::kinds::Spec;
use crate::kinds::shared::command::task;
use crate::model::document::{Key, Node, Spanned};
use crate::model::finding::Finding;
use crate::model::ids::{ComponentName, Digest, PlanName, SiteName};
use crate::model::objectives::Objectives;
use crate::model::read::{dur, map, names, spanned_text};
use crate::model::time::Dur;
use crate::record::runbook::{OnFailure, Phase};
use places::{place, site};

mod places;
pub mod probes;

/// Builds the plan, or nothing if essential parts are missing.
pub fn plan(
    file: &str,
    bytes: &[u8],
    tree: &Node,
    settings: &Settings,
    findings: &mut Vec<Finding>,
) -> Option<Plan> {
    let text = std::str::from_utf8(bytes).ok()?;
    let name = PlanName::new(tree.get("plan")?.text()?);
    let home = tree.get("home")?;
    let tier = tree.get("tier").and_then(spanned_text);
    not_yet(file, tree, findings);
    let objectives = objectives_of_plan(file, tree, tier.as_ref(), settings, findings);
    let components = map(tree, "components", |key, node| {
        component(ComponentName::new(key), node).map(|c| (ComponentName::new(key), c))
    });
    Some(Plan {
        file: file.to_owned(),
        text: text.to_owned(),
        digest: Digest::of_bytes(bytes),
        name,
        owner: tree.get("owner").and_then(Node::text).map(str::to_owned),
        tier,
        objectives,
        named: tree.get("plan")?.span,
        after: tree.get("after").map(names::<PlanName>).unwrap_or_default(),
        sites: map(tree, "sites", |key, node| Some((SiteName::new(key), site(key, node)))),
        connections: map(tree, "connections", |key, node| Some((key.to_owned(), place(key, node, "global")))),
        connected: map(tree, "connections", |key, node| Some((key.to_owned(), node.span))),
        home: Spanned { value: SiteName::new(home.text()?), span: home.span },
        declared: tree
            .get("components")
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|(k, _)| ComponentName::new(&*k.text))
            .collect(),
        components,
        probes: probes::probes(file, tree, findings),
        groups: map(tree, "groups", |key, node| {
            Some((key.to_owned(), node.get("components").map(names).unwrap_or_default()))
        }),
        gates: map(tree, "gates", |key, node| gate(node).map(|g| (key.to_owned(), g))),
        watch: tree.get("watch").and_then(|w| w.get("for")).and_then(dur),
        hooks: tree
            .get("hooks")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter_map(|n| hook(file, n, findings))
            .collect(),
    })
}

/// Refuses what the format allows and drctl cannot do yet, instead of ignoring it.
fn not_yet(file: &str, tree: &Node, findings: &mut Vec<Finding>) {
    let active_active = tree.get("mode").filter(|m| m.text() == Some("active_active"));
    let procedures = tree.get("procedures").filter(|p| !p.entries().is_empty());
    for (node, what) in active_active
        .map(|n| (n, "`mode: active_active`"))
        .into_iter()
        .chain(procedures.map(|n| (n, "`procedures`")))
    {
        findings.push(
            Finding::error(
                "plan-not-yet",
                file,
                Some(node.span),
                format!("drctl does not support {what} yet"),
            )
            .because(
                "the format reserves this key, but drctl would ignore it and the plan would promise too much",
            )
            .fix("remove it until a version of drctl supports it"),
        );
    }
}

fn objectives_of_plan(
    file: &str,
    tree: &Node,
    tier: Option<&Spanned<String>>,
    settings: &Settings,
    findings: &mut Vec<Finding>,
) -> Objectives {
    let own = tree.get("objectives").and_then(objectives);
    // A tier determines more than the objectives: drills, and which plans a failover of the tier includes.
    let of_tier = match tier {
        Some(tier) => match settings.tiers.get(&tier.value) {
            Some(found) => found.objectives,
            None if settings.unread.contains("tiers") => {
                Objectives { rto_ms: Dur(u64::MAX), rpo_ms: Dur(u64::MAX) }
            }
            None => {
                let known: Vec<_> = settings.tiers.keys().map(String::as_str).collect();
                findings.push(
                    Finding::error(
                        "plan-unknown-tier",
                        file,
                        Some(tier.span),
                        format!("tier `{}` does not exist", tier.value),
                    )
                    .because(format!("the tiers of drctl.yaml are: {}", known.join(", ")))
                    .fix("choose one of them, or add the tier under `tiers:` in drctl.yaml"),
                );
                Objectives { rto_ms: Dur(u64::MAX), rpo_ms: Dur(u64::MAX) }
            }
        },
        None if own.is_some() => Objectives { rto_ms: Dur(u64::MAX), rpo_ms: Dur(u64::MAX) },
        None => {
            findings.push(
                Finding::error("plan-no-objectives", file, Some(tree.span), "the plan has no objectives")
                    .because("without an RTO and an RPO, drctl cannot plan for an objective or prove that a run met it")
                    .fix("add `tier:` or `objectives: {rto: 15m, rpo: 5m}`"),
            );
            Objectives { rto_ms: Dur(u64::MAX), rpo_ms: Dur(u64::MAX) }
        }
    };
    own.unwrap_or(of_tier)
}

fn component(name: ComponentName, node: &Node) -> Option<Component> {
    let spec = Spec::build(node.get("kind")?.text()?, node)?;
    Some(Component {
        name,
        span: node.get("kind").map_or(node.span, |k| k.span),
        needs: needs(node),
        at: sites_of(node),
        objectives: node.get("objectives").and_then(objectives),
        spec,
    })
}

/// The sites under `at:`, of the component and of its parts.
fn sites_of(node: &Node) -> Vec<Spanned<SiteName>> {
    let under = |(key, value): &(Key, Node)| {
        let named = value.entries().iter().filter(|_| key.text == "at");
        let named = named.map(|(site, _)| Spanned { value: SiteName::new(&*site.text), span: site.span });
        named.chain(sites_of(value)).collect::<Vec<_>>()
    };
    let inner = node.items().iter().flat_map(sites_of);
    node.entries().iter().flat_map(under).chain(inner).collect()
}

/// Components that it needs. Clients of a database need the database.
fn needs(node: &Node) -> Vec<Spanned<ComponentName>> {
    let mut needs: Vec<Spanned<ComponentName>> = node.get("needs").map(names).unwrap_or_default();
    let of = node.get("of").and_then(spanned_text);
    let of = of.map(|of| Spanned { value: ComponentName::new(of.value), span: of.span });
    needs.extend(of.filter(|of| !needs.iter().any(|n| n.value == of.value)));
    needs
}

fn gate(node: &Node) -> Option<GateSpec> {
    Some(GateSpec {
        phase: if node.get("at")?.text()? == "redirect" { Phase::Redirect } else { Phase::Promote },
        ask: node.get("approval")?.text()?.to_owned(),
        expires_after: node.get("expires_after").and_then(dur).unwrap_or(Dur::mins(30)),
        by: node.get("by").map_or_else(Vec::new, |n| n.items().iter().filter_map(spanned).collect()),
    })
}

fn spanned(node: &Node) -> Option<Spanned<String>> {
    Some(Spanned { value: node.text()?.to_owned(), span: node.span })
}

fn hook(file: &str, node: &Node, findings: &mut Vec<Finding>) -> Option<Hook> {
    let at = node.get("at")?;
    let mut parts = at.text()?.splitn(3, '.');
    let when = parts.next().unwrap_or_default();
    let phase = parts.next().and_then(|p| Phase::ALL.into_iter().find(|known| known.id() == p));
    let (Some(phase), true) = (phase, ["before", "after"].contains(&when)) else {
        let phases: Vec<_> = Phase::ALL.iter().map(|p| p.id()).collect();
        findings.push(
            Finding::error(
                "plan-bad-hook",
                file,
                Some(at.span),
                format!("`{}` is not a valid position for a hook", at.text().unwrap_or_default()),
            )
            .because(format!("a hook runs before or after one of: {}", phases.join(", ")))
            .fix("write, for example, after.promote or before.redirect.www"),
        );
        return None;
    };
    let step = task(node.get("step")?, 1)?;
    Some(Hook {
        name: node.get("name")?.text()?.to_owned(),
        after: when == "after",
        phase,
        component: parts.next().map(ComponentName::new),
        command: step.command,
        timeout: step.timeout,
        on_failure: match node.get("on_failure").and_then(Node::text) {
            Some("continue") => OnFailure::Continue,
            _ => OnFailure::Halt,
        },
        // The shape check reports an invalid value.
        change: node.get("change").and_then(Node::text).and_then(|change| change.parse().ok()),
        says: node.get("change").is_some(),
        span: at.span,
    })
}

fn objectives(node: &Node) -> Option<Objectives> {
    Some(Objectives { rto_ms: dur(node.get("rto")?)?, rpo_ms: dur(node.get("rpo")?)? })
}
