//! Whether buckets are replicated to each other as they should be.

use super::plan::Buckets;
use crate::kinds::kind::Sight;
use crate::kinds::shared::buckets::{Arriving, BucketRef, BucketState, ComparedState, Sample, Versioning};
use crate::kinds::shared::copies::Copies as _;
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Area, Check, Reading, Standing, check, not, ready};
use crate::model::time::Dur;

/// S3 publishes metrics every minute, with some delay.
const PUBLISHED: Dur = Dur::mins(10);

/// Checks the buckets in every site except the active one.
pub(super) fn all(
    spec: &Buckets,
    name: &ComponentName,
    plan: &dyn Surroundings,
    seen: &dyn Sight,
) -> Vec<Check> {
    let Some(active) = seen.active().filter(|site| spec.at.contains_key(*site)) else {
        let facts = "the site that uses it is unknown";
        return vec![check(Area::Replica, name.as_str(), not(Standing::Unknown, facts, "drctl status"))];
    };
    let others = plan.sites().keys().filter(|site| *site != active);
    others.flat_map(|site| Pair { spec, name, plan, seen }.checks((active, site))).collect()
}

/// The buckets of two sites.
struct Pair<'a> {
    spec: &'a Buckets,
    name: &'a ComponentName,
    plan: &'a dyn Surroundings,
    seen: &'a dyn Sight,
}

impl Pair<'_> {
    fn checks(&self, sites: (&SiteName, &SiteName)) -> Vec<Check> {
        let about = format!("{} in {}", self.name, sites.1);
        let Some(sample) = self.spec.compared(self.plan, self.name, sites, "") else {
            let facts = format!("the plan names no bucket in {}", sites.1);
            return vec![check(
                Area::Replica,
                about,
                not(Standing::NotReady, facts, "name a bucket there, and add rules to it"),
            )];
        };
        let (source, copy) = (&sample.source, &sample.copy);
        let most = self.plan.objectives_of(self.name).rpo_ms;
        let seen = |of: &BucketRef| {
            let target = Target::Bucket(of.clone());
            match self.seen.state(&target)? {
                State::Bucket(state) => Ok(state.clone()),
                _ => Err(self.seen.unseen(&target)),
            }
        };
        let copied = match (seen(source), seen(copy)) {
            (Ok(from), Ok(to)) => copied((source, &from), (copy, &to)),
            (Err(told), _) | (_, Err(told)) => told,
        };
        let from = seen(source).ok();
        let lag = seen(copy)
            .map_or_else(|told| told, |state| self.behind((copy, &state), (source, from.as_ref()), most));
        let mut checks =
            vec![check(Area::Replica, about.clone(), copied), check(Area::Lag, about.clone(), lag)];
        let objects = format!("objects of {about}");
        checks.extend(self.sampled(&sample, most).map(|told| check(Area::Replica, objects, told)));
        checks
    }

    fn behind(
        &self,
        (of, copy): (&BucketRef, &BucketState),
        (source, from): (&BucketRef, Option<&BucketState>),
        most: Dur,
    ) -> Reading {
        let fix = "turn on replication metrics for the rule, and grant cloudwatch:ListMetrics and GetMetricData in the region of the copy";
        if let Some(why) = &copy.unread {
            return not(Standing::Unknown, why.clone(), fix);
        }
        let arriving = copy.arriving_from(source, from, &of.bucket);
        let slow =
            "check why S3 cannot replicate: permissions of its role, keys, a very large number of objects";
        // The latency is published only while something is replicated.
        let stuck = |a: &Arriving| a.behind_ms.is_none() && a.operations.is_some_and(|n| n > 0);
        let idle = |a: &Arriving| a.behind_ms.is_none() && a.operations == Some(0);
        let furthest =
            arriving.iter().find(|a| stuck(a)).or_else(|| arriving.iter().find(|a| a.behind_ms.is_some()));
        let Some(furthest) = furthest.or_else(|| arriving.iter().find(|a| idle(a))) else {
            return not(Standing::Unknown, "S3 publishes no replication delay", fix);
        };
        let age = self.seen.now().since(furthest.at);
        let facts = format!("{furthest}; the RPO is {most}");
        let behind = furthest.behind_ms.unwrap_or(Dur(0));
        match () {
            () if age > PUBLISHED => not(Standing::Unknown, format!("{facts}; that was {age} ago"), fix),
            () if stuck(furthest) => not(Standing::Degraded, format!("{facts}; S3 replicates nothing"), slow),
            () if behind > most => not(Standing::NotReady, facts, slow),
            () if behind.times(2) > most => not(Standing::Degraded, facts, slow),
            () => ready(facts),
        }
    }

    /// Objects that are older than the RPO must have been copied.
    fn sampled(&self, of: &Sample, most: Dur) -> Option<Reading> {
        let target = Target::Compared(Box::new(of.clone()));
        if !self.seen.asked(&target) {
            return None;
        }
        Some(match self.seen.state(&target) {
            Ok(State::Compared(found)) => judged(found, |gap| self.seen.now().since(gap) > most),
            Ok(_) => self.seen.unseen(&target),
            Err(unseen) => unseen,
        })
    }
}

fn judged(found: &ComparedState, late: impl Fn(crate::model::time::Timestamp) -> bool) -> Reading {
    let first = found.gaps.first().map_or_else(String::new, |gap| format!("; {gap}"));
    let facts = format!("{found}{first}");
    let fix = "run S3 Batch Replication for objects that no rule copied, and check the failures of the rule (s3:Replication:OperationFailedReplication)";
    match found.gaps.is_empty() {
        true if found.unread > 0 => {
            not(Standing::Unknown, facts, "grant s3:GetObject for the objects of both buckets")
        }
        true if found.compared == 0 => {
            not(Standing::Unknown, facts, "check the prefix in the plan; objects must exist under it")
        }
        true => ready(facts),
        // An object without a time may be older than the RPO, and one whose replication failed will be.
        false if found.gaps.iter().any(|gap| gap.given_up() || gap.written_at.is_none_or(&late)) => {
            not(Standing::NotReady, facts, fix)
        }
        false if found.gaps.len() >= usize::try_from(found.compared).unwrap_or(usize::MAX) => {
            not(Standing::Degraded, format!("{facts}: none of it is in the copy"), fix)
        }
        false => ready(format!("{facts}: written within the RPO")),
    }
}

fn copied((source, from): (&BucketRef, &BucketState), (copy, to): (&BucketRef, &BucketState)) -> Reading {
    for (bucket, state) in [(source, from), (copy, to)] {
        if state.versioning != Versioning::Enabled {
            let facts = format!(
                "versioning of {} is {}; S3 replicates nothing without it",
                bucket.bucket, state.versioning
            );
            return not(
                Standing::NotReady,
                facts,
                "run aws s3api put-bucket-versioning --versioning-configuration Status=Enabled",
            );
        }
    }
    let Some(rule) = from.rule_to(&copy.bucket, &source.prefix) else {
        let facts = format!("no rule replicates all of {} to {}", source.bucket, copy.bucket);
        return not(
            Standing::NotReady,
            facts,
            "add an enabled replication rule without tags and with the prefix in the plan",
        );
    };
    let mut short = Vec::new();
    // A rule that is narrower or requires tags may take precedence over the one that replicates everything.
    let first =
        from.rules_to(&copy.bucket, &source.prefix).into_iter().filter(|r| r.priority >= rule.priority);
    for rule in first.filter(|r| !r.deletes) {
        short.push(format!(
            "rule {} does not replicate delete markers, so deleted objects come back",
            rule.id
        ));
    }
    if to.rule_to(&source.bucket, &source.prefix).is_none() {
        short.push(format!("no rule replicates {} back to {}", copy.bucket, source.bucket));
    }
    match short.is_empty() {
        true => ready(format!(
            "rule {} replicates {} there, and another rule replicates back",
            rule.id, source.bucket
        )),
        false => not(
            Standing::Degraded,
            short.join("; "),
            "add rules in both directions, with DeleteMarkerReplication",
        ),
    }
}
