//! Route 53: record sets and their changes.
//!
//! Sources: Amazon Route 53 API Reference (`ListResourceRecordSets`, `ChangeResourceRecordSets`, `GetChange`) and Developer
//! Guide, «Quotas». A change is a DELETE of the exact set that was read and a CREATE of the new one, in one atomic batch: if
//! somebody changed the set meanwhile, Route 53 refuses the whole batch.

use std::collections::BTreeMap;

use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{
    AliasTarget, Change, ChangeAction, ChangeBatch, ChangeStatus, ResourceRecord, ResourceRecordSet,
    ResourceRecordSetFailover, RrType,
};

use super::Aws;
use super::error::Failure;
use crate::inventory::Observation;
use crate::kinds::aws::services::ROUTE53_CHANGES;
use crate::kinds::shared::names::{ChangeState, RecordAnswer, RecordPolicy, RecordSet, RecordsState, Switch};
use crate::kinds::{State, Target};
use crate::model::place::Place;

/// Up to this many names, drctl requests each separately. Above that, it lists the zone.
const FEW: usize = 3;
/// Maximum number of record sets in one page.
const PAGE: i32 = 300;

type Sets = Result<Vec<RecordSet>, Failure>;

impl Aws {
    /// Observes record sets and changes.
    pub(super) async fn zones(&self, place: &Place, targets: &[&Target]) -> Vec<Observation> {
        let mut names: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
        for target in targets {
            if let Target::Records { zone, names: some } = target {
                names.entry(&zone.zone).or_default().extend(some.iter().cloned());
            }
        }
        let listed = names.into_iter().map(|(zone, mut names)| async move {
            names.sort();
            names.dedup();
            (zone, self.record_sets(place, zone, &names).await)
        });
        let listed: BTreeMap<&str, Sets> = futures_util::future::join_all(listed).await.into_iter().collect();
        let looks = targets.iter().map(|target| {
            let listed = &listed;
            async move {
                match target {
                    Target::Change { id, .. } => self.change(place, id).await,
                    Target::Records { zone, names } => match listed.get(zone.zone.as_str()) {
                        Some(Ok(sets)) => {
                            let asked =
                                |s: &&RecordSet| names.iter().any(|(n, t)| *n == s.name && *t == s.rtype);
                            let sets = sets.iter().filter(asked).cloned().collect();
                            self.seen(State::Records(RecordsState { sets }), "route53:ListResourceRecordSets")
                        }
                        Some(Err(failure)) => failure.clone().observation(self.now()),
                        None => Observation::NotFound { observed_at: self.now() },
                    },
                    _ => Observation::NotFound { observed_at: self.now() },
                }
            }
        });
        futures_util::future::join_all(looks).await
    }

    async fn record_sets(&self, place: &Place, zone: &str, names: &[(String, String)]) -> Sets {
        if names.len() > FEW {
            return self.list(place, zone, None).await;
        }
        let mut sets = Vec::new();
        for name in names {
            sets.extend(self.list(place, zone, Some(name)).await?);
        }
        Ok(sets)
    }

    /// Every record set of a zone, or those of one name and type.
    async fn list(&self, place: &Place, zone: &str, only: Option<&(String, String)>) -> Sets {
        let site = self.site(place).await;
        let mut sets = Vec::new();
        let mut next = only.map(|(name, rtype)| (name.clone(), Some(RrType::from(rtype.as_str())), None));
        loop {
            let from = next.clone();
            let call = || {
                let (name, rtype, id) = from.clone().map_or((None, None, None), |(n, t, i)| (Some(n), t, i));
                site.route53()
                    .list_resource_record_sets()
                    .hosted_zone_id(zone)
                    .max_items(PAGE)
                    .set_start_record_name(name)
                    .set_start_record_type(rtype)
                    .set_start_record_identifier(id)
                    .send()
            };
            let page = self.look("route53", place, call).await?;
            let known = page.resource_record_sets().len();
            let matching: Vec<_> = page
                .resource_record_sets()
                .iter()
                .filter_map(read)
                .filter(|s| only.is_none_or(|(n, t)| s.name == *n && s.rtype == *t))
                .collect();
            let ended = only.is_some() && matching.len() < known;
            sets.extend(matching);
            if ended || !page.is_truncated() {
                return Ok(sets);
            }
            next = page.next_record_name().map(|name| {
                let id = page.next_record_identifier().map(str::to_owned);
                (name.to_owned(), page.next_record_type().cloned(), id)
            });
        }
    }

    async fn change(&self, place: &Place, id: &str) -> Observation {
        let site = self.site(place).await;
        match self.look("route53", place, || site.route53().get_change().id(id).send()).await {
            Ok(answer) => {
                let state = match answer.change_info().map(|c| c.status()) {
                    Some(ChangeStatus::Insync) => ChangeState::Insync,
                    _ => ChangeState::Pending,
                };
                self.seen(State::Change(state), "route53:GetChange")
            }
            Err(failure) => failure.observation(self.now()),
        }
    }

    /// Submits a batch. Returns the ID of the change.
    pub(super) async fn switch(&self, switch: &Switch) -> Result<Option<String>, Failure> {
        let place = &switch.zone.place;
        let site = self.site(place).await;
        let batch = batch(switch).map_err(|e| Failure::never("ChangeBatch", e.to_string()))?;
        let scope = super::scope("route53", place);
        self.throttle.pass_changes(ROUTE53_CHANGES, &scope, batch.changes().len()).await;
        let call = site
            .route53()
            .change_resource_record_sets()
            .hosted_zone_id(&switch.zone.zone)
            .change_batch(batch)
            .send();
        let answer = self.once("route53", place, call).await?;
        // The API returns `/change/C123` and accepts either form.
        Ok(answer.change_info().map(|c| c.id().trim_start_matches("/change/").to_owned()))
    }
}

fn batch(switch: &Switch) -> Result<ChangeBatch, BuildError> {
    let mut changes = Vec::new();
    for change in &switch.changes {
        if let Some(before) = &change.before {
            changes.push(element(ChangeAction::Delete, before)?);
        }
        if let Some(after) = &change.after {
            // CREATE fails if another set exists already; an UPSERT would replace it unseen.
            changes.push(element(ChangeAction::Create, after)?);
        }
    }
    ChangeBatch::builder().comment("drctl").set_changes(Some(changes)).build()
}

fn element(action: ChangeAction, set: &RecordSet) -> Result<Change, BuildError> {
    Change::builder().action(action).resource_record_set(write(set)?).build()
}

fn write(set: &RecordSet) -> Result<ResourceRecordSet, BuildError> {
    let mut out = ResourceRecordSet::builder()
        .name(&set.name)
        .r#type(RrType::from(set.rtype.as_str()))
        .set_set_identifier(set.set_identifier.clone())
        .set_health_check_id(set.health_check.clone());
    match &set.policy {
        RecordPolicy::Simple => {}
        RecordPolicy::Weighted { weight } => out = out.weight(i64::from(*weight)),
        RecordPolicy::Failover { primary: true } => out = out.failover(ResourceRecordSetFailover::Primary),
        RecordPolicy::Failover { primary: false } => out = out.failover(ResourceRecordSetFailover::Secondary),
    }
    match &set.answer {
        RecordAnswer::Values { ttl_s, values } => {
            out = out.ttl(i64::try_from(*ttl_s).unwrap_or(i64::MAX));
            for value in values {
                out = out.resource_records(ResourceRecord::builder().value(value).build()?);
            }
        }
        RecordAnswer::Alias { name, zone, evaluate_health } => {
            let alias = AliasTarget::builder()
                .dns_name(name)
                .hosted_zone_id(zone)
                .evaluate_target_health(*evaluate_health);
            out = out.alias_target(alias.build()?);
        }
    }
    out.build()
}

/// A record set in drctl's own form; `None` for routing policies that drctl does not change (latency, geolocation and so on).
fn read(set: &ResourceRecordSet) -> Option<RecordSet> {
    let policy = match (set.weight(), set.failover()) {
        (Some(weight), _) => RecordPolicy::Weighted { weight: u8::try_from(weight).ok()? },
        (None, Some(role)) => RecordPolicy::Failover { primary: *role == ResourceRecordSetFailover::Primary },
        (None, None) if set.set_identifier().is_some() => return None,
        (None, None) => RecordPolicy::Simple,
    };
    let answer = match set.alias_target() {
        Some(alias) => RecordAnswer::Alias {
            name: plain(alias.dns_name()),
            zone: alias.hosted_zone_id().to_owned(),
            evaluate_health: alias.evaluate_target_health(),
        },
        None => {
            let mut values: Vec<_> = set.resource_records().iter().map(|r| r.value().to_owned()).collect();
            values.sort();
            RecordAnswer::Values { ttl_s: u64::try_from(set.ttl()?).ok()?, values }
        }
    };
    Some(RecordSet {
        name: plain(set.name()),
        rtype: set.r#type().as_str().to_owned(),
        set_identifier: set.set_identifier().map(str::to_owned),
        policy,
        answer,
        health_check: set.health_check_id().map(str::to_owned),
    })
}

/// The name in lower case and without the final dot, as in plans. The API escapes characters other than letters, digits, `-`, `_`
/// and dots as three octal digits (Route 53 Developer Guide, «DNS domain name format»).
fn plain(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name.trim_end_matches('.');
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        match after.get(..3).and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(byte) => {
                text.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                text.push('\\');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_read_as_plans_write_them() {
        assert_eq!(plain("WWW.Example.com."), "www.example.com");
        assert_eq!(plain("\\052.example.com."), "*.example.com");
        assert_eq!(plain("a\\100b\\.c"), "a@b\\.c");
    }
}
