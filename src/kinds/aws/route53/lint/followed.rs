//! Record sets that a run does not change: what they follow must exist, and they must follow it.

use crate::kinds::aws::s3::plan::bucket_and_key;
use crate::kinds::kind::Role;
use crate::kinds::lint::Lint;
use crate::kinds::list::Spec;
use crate::kinds::shared::names::plan::{Names, Policy, Record, SwitchBy, SwitchControls, SwitchObject};
use crate::kinds::shared::names::records::RecordAnswer;
use crate::kinds::surroundings::Surroundings;
use crate::model::document::Spanned;
use crate::model::finding::Span;
use crate::model::ids::{ComponentName, SiteName};

/// The number of endpoints of every cluster, each in its own region (AWS, Amazon Application Recovery Controller, «Routing control»).
const ENDPOINTS: usize = 5;
/// The maximum number of controls in one call (Amazon ARC, «Quotas»).
const MOST_CONTROLS: usize = 10;

/// An object that health checks watch, and the record sets that follow it.
pub(super) fn object(zone: &Names, object: &Spanned<SwitchObject>, of: &mut Lint<'_>) {
    let (plan, home, named) = (of.plan, of.plan.home(), &object.value);
    let is_url = bucket_and_key(&named.url).is_some();
    let elsewhere = named.site != *home && plan.sites().contains_key(&named.site);
    if !is_url || !elsewhere {
        let wrong = match is_url {
            false => format!("`{}` is not an s3://bucket/key URL", named.url),
            true => format!("`{}` is {home}, or not a site of the plan", named.site),
        };
        of.error(
            "switch-object-unusable",
            object.span,
            wrong,
            "while the object exists, users go to the standby site. The object must be in that site, which is not `home`",
            "write `object: {url: \"s3://bucket/key\", site: SITE}`",
        );
        return;
    }
    let same = |spec: &Spec| {
        let Role::Traffic(other) = spec.role() else { return false };
        matches!(&other.switch, SwitchBy::Object(o) if o.value.url == named.url)
    };
    if plan.components().into_iter().filter(|(_, spec)| same(spec)).count() > 1 {
        of.error(
            "switch-object-unusable",
            object.span,
            format!("`{}` moves the names of two components", named.url),
            "the first component that is ready would move the users of both, before the database of the other is ready",
            "give each component its own object and health check",
        );
    }
    if zone.records.is_empty() {
        unwatched(of, object.span, "no name follows the object".to_owned());
    }
    for record in &zone.records {
        if let Some(why) = does_not_follow(record, home, &named.site) {
            unwatched(of, record.span, format!("{} does not follow the object: {why}", record.name));
        }
    }
}

fn unwatched(of: &mut Lint<'_>, span: Span, what: String) {
    of.error(
        "switch-object-unwatched",
        span,
        what,
        "drctl does not change record sets during the failover. The primary needs an inverted health check that watches the object, and nothing else may move users",
        "set `policy: failover`, with `role: primary` and `health_check:` at home and `role: secondary` at the site of the object",
    );
}

/// Routing controls, and the record sets whose health checks follow them.
pub(super) fn controls(zone: &Names, switch: &Spanned<SwitchControls>, of: &mut Lint<'_>) {
    let SwitchControls { endpoints, controls } = &switch.value;
    let mut wrong = controls_unusable(of.plan.sites().keys(), &switch.value);
    if zone.records.is_empty() {
        wrong.push("no name follows the controls".to_owned());
    }
    let answered = |site: &&SiteName| zone.records.iter().all(|r| r.at.contains_key(*site));
    let deaf = controls.keys().filter(|site| !answered(site));
    wrong.extend(deaf.map(|site| format!("{site} has a control, but one of the names has no answer there")));
    for what in wrong {
        of.error(
            "switch-controls-unusable",
            switch.span,
            what,
            "the control plane of ARC may be down during a failover, so the plan must contain the endpoints and ARNs",
            "write `cluster: {endpoints: {us-east-1: \"https://...\", ...}, controls: {SITE: \"arn:aws:route53-recovery-control::...\"}}`; aws route53-recovery-control-config describe-cluster lists the endpoints",
        );
    }
    if let Some(what) = shared(of.plan, &switch.value) {
        of.error(
            "switch-controls-unusable",
            switch.span,
            what,
            "the first component that is ready would move the users of both, before the database of the other is ready",
            "give each component its own routing control and health check in each site",
        );
    }
    if !endpoints.is_empty() && endpoints.len() != ENDPOINTS {
        of.warn(
            "switch-controls-few-endpoints",
            switch.span,
            format!("the plan lists {} of the {ENDPOINTS} endpoints of the cluster", endpoints.len()),
            "each endpoint is in a different region and accepts calls while others fail",
            "list all five, as describe-cluster shows them",
        );
    }
    for record in &zone.records {
        if let Some(why) = does_not_follow_controls(record, controls.keys()) {
            of.error(
                "switch-controls-unwatched",
                record.span,
                format!("{} does not follow the routing controls: {why}", record.name),
                "drctl does not change record sets during the failover. The record set of each site needs the health check of its routing control",
                "set `policy: failover`, with `health_check:` (type RECOVERY_CONTROL, one for each control) at every site",
            );
        }
    }
}

/// A control that would move two components at once.
fn shared(plan: &dyn Surroundings, of: &SwitchControls) -> Option<String> {
    let same = |(_, spec): (&ComponentName, &Spec)| {
        let Role::Traffic(zone) = spec.role() else { return None };
        let SwitchBy::Controls(other) = &zone.switch else { return None };
        other.value.controls.values().find(|arn| of.controls.values().any(|own| own == *arn)).cloned()
    };
    let mut sharing = plan.components().into_iter().filter_map(same);
    sharing
        .next()
        .filter(|_| sharing.next().is_some())
        .map(|arn| format!("`{arn}` moves the names of two components"))
}

fn controls_unusable<'a>(sites: impl Iterator<Item = &'a SiteName>, of: &SwitchControls) -> Vec<String> {
    let sites: Vec<_> = sites.collect();
    let mut wrong = Vec::new();
    if of.endpoints.is_empty() {
        wrong.push("the plan lists no endpoint of the cluster".to_owned());
    }
    let no_url = of.endpoints.values().filter(|u| !u.starts_with("https://") && !u.starts_with("http://"));
    wrong.extend(no_url.map(|url| format!("`{url}` is not the URL of an endpoint")));
    let elsewhere = of
        .endpoints
        .iter()
        .filter(|(region, url)| url.contains(".amazonaws.com") && !url.contains(&format!(".{region}.")));
    wrong.extend(elsewhere.map(|(region, url)| format!("`{url}` is not an endpoint in {region}")));
    if of.controls.len() < 2 {
        wrong.push("fewer than two sites have a routing control".to_owned());
    }
    if of.controls.len() > MOST_CONTROLS {
        wrong.push(format!(
            "there are {} routing controls, but one call can change only {MOST_CONTROLS}",
            of.controls.len()
        ));
    }
    let unknown = of.controls.keys().filter(|s| !sites.contains(s));
    wrong.extend(unknown.map(|site| format!("`{site}` is not a site of the plan")));
    let is_arn = |arn: &str| {
        arn.starts_with("arn:")
            && arn.contains(":route53-recovery-control:")
            && arn.contains("/routingcontrol/")
    };
    let no_arn = of.controls.values().filter(|arn| !is_arn(arn));
    wrong.extend(no_arn.map(|arn| format!("`{arn}` is not the ARN of a routing control")));
    let mut arns: Vec<_> = of.controls.values().collect();
    arns.sort();
    arns.dedup();
    if arns.len() < of.controls.len() {
        wrong.push("two sites have the same routing control".to_owned());
    }
    wrong
}

/// Whether the health of its target moves users, independently of drctl.
const fn moves_by_itself(answer: &RecordAnswer) -> bool {
    matches!(answer, RecordAnswer::Alias { evaluate_health: true, .. })
}

/// Why a name would not follow the controls, if it would not.
fn does_not_follow_controls<'a>(
    record: &Record,
    sites: impl Iterator<Item = &'a SiteName>,
) -> Option<&'static str> {
    let sites: Vec<_> = sites.collect();
    let mut checks: Vec<_> = record.at.values().map(|at| at.health_check.as_ref()).collect();
    checks.sort();
    checks.dedup();
    match () {
        () if record.policy != Policy::Failover => Some("its policy is not failover"),
        () if record.at.values().any(|at| moves_by_itself(&at.answer)) => {
            Some("the health check of an alias would also move users")
        }
        () if record.at.len() != 2 => Some("it does not have two answers"),
        () if record.at.keys().any(|s| !sites.contains(&s)) => {
            Some("one of its sites has no routing control")
        }
        () if record.at.values().any(|at| at.health_check.is_none()) => {
            Some("one of its answers has no health check")
        }
        () if checks.len() < record.at.len() => Some("its answers share a health check"),
        () if record.at.values().filter(|at| at.primary).count() != 1 => {
            Some("none of its answers is the primary")
        }
        () => None,
    }
}

/// Why an object does not move a name, or not alone.
fn does_not_follow(record: &Record, home: &SiteName, away: &SiteName) -> Option<&'static str> {
    let (Some(primary), Some(secondary)) = (record.at.get(home), record.at.get(away)) else {
        return Some("it has no answer at home or no answer at the site of the object");
    };
    match () {
        () if record.policy != Policy::Failover => Some("its policy is not failover"),
        () if record.at.len() > 2 => Some("it has more than two answers"),
        () if !primary.primary || secondary.primary => Some("home is not its only primary"),
        () if primary.health_check.is_none() => Some("its primary has no health check"),
        () if secondary.health_check.is_some() => {
            Some("its secondary has a health check, which would also move users home")
        }
        () if moves_by_itself(&primary.answer) => Some("the health check of its alias would also move users"),
        () => None,
    }
}
