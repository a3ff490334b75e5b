//! Findings about capacity: whether it can be scaled without its source, in time, and in another region.

use super::scales::Scales;
use crate::kinds::lint::Lint;
use crate::kinds::target::Target;
use crate::model::place::Place;
use crate::model::time::Dur;

/// With an RTO up to this, nobody has the time to find out how many servers are needed. It is the RTO of the default tier `critical`.
const HURRIED: Dur = Dur::mins(15);

/// Finds what would go wrong with a component that is scaled.
pub(in crate::kinds) fn lint(spec: &dyn Scales, of: &mut Lint<'_>) {
    lint_twins(spec, of);
    let (plan, rto) = (of.plan, of.plan.objectives().rto_ms);
    let mut longest = Dur::ZERO;
    // If `home:` names no site, any of them may be meant.
    let has_home = plan.site(plan.home()).is_some();
    for (site, share) in spec.shares() {
        if rto <= HURRIED && share.floor.is_none() && has_home && site != plan.home() {
            of.warn(
                "no-capacity-floor",
                of.span,
                format!("`{}` has no `capacity_floor` in {site}", of.name),
                "drctl cannot read the capacity of a source that does not answer, and the last observation may be old or missing",
                &format!("set `capacity_floor:` to the number of {}s that {site} needs at least", spec.unit()),
            );
        }
        if share.proceed_percent > 100 {
            of.error(
                "proceed-at-above-all",
                of.span,
                format!("`proceed_at` of `{}` in {site} is {}%", of.name, share.proceed_percent),
                "the run would wait for more than the capacity that it asks for, and halt",
                "set `proceed_at` to 100% or less, or raise `capacity`",
            );
        }
        longest = longest.max(share.timeout.unwrap_or(Dur::mins(10)));
    }
    if longest > rto {
        of.warn(
            "timeout-above-rto",
            of.span,
            format!("scaling `{}` can take {longest}, longer than the RTO of {rto}", of.name),
            "a run that waits that long has already missed its RTO",
            "shorten the timeout or keep warm capacity",
        );
    }
}

/// Two sites with the same group or service.
fn lint_twins(spec: &dyn Scales, of: &mut Lint<'_>) {
    let shares = spec.shares();
    let targets = shares.keys().filter_map(|site| spec.target(of.plan, of.name, site));
    let all: Vec<(Place, String)> =
        targets.filter_map(|t| Some((t.place()?.clone(), unplaced(&t)))).collect();
    let twin = all.iter().enumerate().find_map(|(n, (place, what))| {
        let same = |(other, known): &&(Place, String)| {
            other.name != place.name
                && (&other.region, &other.account) == (&place.region, &place.account)
                && known == what
        };
        all.iter().take(n).find(same).map(|(other, _)| (&other.name, &place.name, what))
    });
    if let Some((one, other, what)) = twin {
        of.error(
            "one-capacity-two-sites",
            of.span,
            format!("`{}` is {what} in {one} and in {other}, and both sites are in one region", of.name),
            "a failover would start servers in the region that is lost",
            "name a different one for each site, and give each site its own `region:`",
        );
    }
}

/// What a target is, without its place.
fn unplaced(target: &Target) -> String {
    let place = target.place().map_or("", |place| place.name.as_str());
    target.key().replacen(&format!("/{place}/"), " ", 1)
}
