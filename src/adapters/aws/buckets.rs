//! S3: how buckets are replicated, how much is still pending, and whether copies equal their sources.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, DimensionFilter, Metric, MetricDataQuery, MetricStat};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{
    BucketVersioningStatus, DeleteMarkerReplicationStatus, EncodingType, ReplicationRule,
    ReplicationRuleStatus,
};
use futures_util::future::{Either, join_all, select};

use super::Aws;
use super::error::Failure;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::buckets::{
    Arriving, BucketRef, BucketState, ComparedState, CopyRule, Difference, Gap, Sample, Versioning, chosen,
};
use crate::model::time::{Dur, Timestamp};

/// Maximum number of listed pages of 1,000 keys each: a bucket may have billions of objects.
const PAGES: usize = 10;

/// How long drctl waits for metrics. It reports rules and versioning without them.
const ARRIVING: Dur = Dur::secs(8);

/// How many objects are compared at the same time.
const TOGETHER: usize = 8;

/// How old a metric may be: while the source is dark, nothing new is published.
const WINDOW: Dur = Dur::mins(180);

/// Metrics of one rule are published within this time of each other.
const TOGETHER_PUBLISHED: Dur = Dur::mins(3);

/// Rules in one call: each needs three metrics, and 500 is the maximum (CloudWatch API Reference, `GetMetricData`).
const RULES: usize = 160;

const OPERATIONS: &str = "OperationsPendingReplication";
const BYTES: &str = "BytesPendingReplication";
const BEHIND: &str = "ReplicationLatency";

/// A source bucket and the ID of one of its replication rules.
type SourceRule = (String, String);

impl Aws {
    /// How the bucket is replicated, and what is still pending in it.
    pub(super) async fn bucket(&self, of: &BucketRef) -> Observation {
        match self.configuration(of).await {
            Ok(mut state) => {
                let late = self.world.sleep_until(self.now() + ARRIVING);
                match select(pin!(self.arriving(of)), pin!(late)).await {
                    Either::Left((Ok(arriving), _)) => state.arriving = arriving,
                    Either::Left((Err(failure), _)) => state.unread = Some(failure.to_string()),
                    Either::Right(_) => {
                        state.unread = Some(format!(
                            "CloudWatch in {} did not answer within {ARRIVING}",
                            of.place.region
                        ));
                    }
                }
                self.seen(State::Bucket(state), "s3:GetReplicationConfiguration, cloudwatch:GetMetricData")
            }
            Err(failure) => failure.observation(self.now()),
        }
    }

    async fn configuration(&self, of: &BucketRef) -> Result<BucketState, Failure> {
        let site = self.site(&of.place).await;
        let owner = &of.place.account;
        let call = || {
            let asked = site.s3().get_bucket_versioning().bucket(&of.bucket);
            asked.set_expected_bucket_owner(owner.clone()).send()
        };
        let versioning = match self.look("s3", &of.place, call).await?.status() {
            Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
            Some(_) => Versioning::Suspended,
            None => Versioning::Never,
        };
        let call = || {
            let asked = site.s3().get_bucket_replication().bucket(&of.bucket);
            asked.set_expected_bucket_owner(owner.clone()).send()
        };
        let rules = match self.look("s3", &of.place, call).await {
            Ok(answer) => answer.replication_configuration().map(|c| c.rules().to_vec()).unwrap_or_default(),
            Err(Failure::Code { code, .. }) if code == "ReplicationConfigurationNotFoundError" => Vec::new(),
            Err(failure) => return Err(failure),
        };
        let rules = rules.iter().map(rule).collect();
        Ok(BucketState { versioning, rules, ..BucketState::default() })
    }

    /// The pending replication, found by the metrics that exist, because the source, which knows its rules, may be dark. The
    /// number of pending operations is published even if nothing is replicated; the latency is not (Amazon S3 User Guide, «Using
    /// S3 Replication metrics»).
    async fn arriving(&self, of: &BucketRef) -> Result<Vec<Arriving>, Failure> {
        let site = self.site(&of.place).await;
        let call = |from: Option<String>| {
            let to = DimensionFilter::builder().name("DestinationBucket").value(&of.bucket).build();
            let asked = site.cloudwatch().list_metrics().namespace("AWS/S3").metric_name(OPERATIONS);
            asked.dimensions(to).set_next_token(from).send()
        };
        let pages = self.pages("cloudwatch", &of.place, call, |page| page.next_token()).await?;
        let named = |metric: &Metric, name: &str| {
            let found = metric.dimensions().iter().find(|d| d.name() == Some(name));
            found.and_then(Dimension::value).map(str::to_owned)
        };
        let metrics = pages.iter().flat_map(|page| page.metrics());
        let ways: BTreeSet<SourceRule> =
            metrics.filter_map(|m| Some((named(m, "SourceBucket")?, named(m, "RuleId")?))).collect();
        let ways: Vec<_> = ways.into_iter().filter(|(from, _)| of.others.contains(from)).collect();
        let mut found = Vec::new();
        for some in ways.chunks(RULES) {
            found.extend(self.published(of, some).await?);
        }
        Ok(found)
    }

    async fn published(&self, of: &BucketRef, ways: &[SourceRule]) -> Result<Vec<Arriving>, Failure> {
        let site = self.site(&of.place).await;
        let queries: Vec<_> = ways.iter().enumerate().flat_map(|(n, way)| queries(n, of, way)).collect();
        let now = self.world.shown();
        let call = |from: Option<String>| {
            site.cloudwatch()
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(DateTime::from_millis((now - WINDOW).millis()))
                .end_time(DateTime::from_millis(now.millis()))
                .set_next_token(from)
                .send()
        };
        let pages = self.pages("cloudwatch", &of.place, call, |page| page.next_token()).await?;
        let mut newest: BTreeMap<(usize, u8), (Timestamp, f64)> = BTreeMap::new();
        for result in pages.iter().flat_map(|page| page.metric_data_results()) {
            let Some(of) = result.id().and_then(asked) else { continue };
            for (at, value) in result.timestamps().iter().zip(result.values()) {
                let Ok(at) = at.to_millis().map(Timestamp::from_millis) else { continue };
                if newest.get(&of).is_none_or(|(before, _)| *before < at) {
                    newest.insert(of, (at, *value));
                }
            }
        }
        let arrives = |(n, (from, rule)): (usize, &SourceRule)| {
            let of = |metric| newest.get(&(n, metric)).copied();
            let (operations, bytes, behind) = (of(0), of(1), of(2));
            let at = [operations, bytes, behind].into_iter().flatten().map(|(at, _)| at).max()?;
            // A value that is much older than the others is out of date.
            let then = |of: Option<(Timestamp, f64)>| {
                of.filter(|(of, _)| at.since(*of) <= TOGETHER_PUBLISHED).map(|(_, n)| whole(n))
            };
            Some(Arriving {
                from: from.clone(),
                rule: rule.clone(),
                at,
                operations: then(operations),
                bytes: then(bytes),
                behind_ms: then(behind).map(Dur::secs),
            })
        };
        Ok(ways.iter().enumerate().filter_map(arrives).collect())
    }

    /// Compares some objects with their copies.
    pub(super) async fn compared(&self, of: &Sample) -> Observation {
        match self.compare(of).await {
            Ok(found) => self.seen(State::Compared(found), "s3:HeadObject"),
            Err(failure) => failure.observation(self.now()),
        }
    }

    async fn compare(&self, of: &Sample) -> Result<ComparedState, Failure> {
        let (listed, more) = self.listed(&of.source).await?;
        let keys = chosen(&listed, usize::try_from(of.most).unwrap_or(usize::MAX), &of.seed);
        let mut found = ComparedState { listed: listed.len() as u64, more, ..ComparedState::default() };
        for some in keys.chunks(TOGETHER) {
            let pairs = some.iter().map(|key| async move { (key, self.both(of, key).await) });
            let before = found.unread;
            for (key, pair) in join_all(pairs).await {
                match pair {
                    // An object that was deleted since the listing needs no copy.
                    Ok((None, _)) => {}
                    Ok((Some(source), copy)) => {
                        found.compared += 1;
                        found.gaps.extend(gap(key, &source, copy.as_ref()));
                    }
                    Err(failure @ (Failure::Unauthenticated(_) | Failure::Clock(_))) => return Err(failure),
                    Err(failure) => {
                        found.unread += 1;
                        found.why.get_or_insert_with(|| failure.to_string());
                    }
                }
            }
            // If none of these could be read, the rest would fail as well.
            if found.unread - before == u32::try_from(some.len()).unwrap_or(u32::MAX) {
                break;
            }
        }
        Ok(found)
    }

    /// The metadata of an object and of its copy.
    async fn both(
        &self,
        of: &Sample,
        key: &str,
    ) -> Result<(Option<HeadObjectOutput>, Option<HeadObjectOutput>), Failure> {
        Ok((self.head(&of.source, key).await?, self.head(&of.copy, key).await?))
    }

    /// The first keys, the time each was written, and whether there are more.
    async fn listed(&self, of: &BucketRef) -> Result<(Vec<(String, Timestamp)>, bool), Failure> {
        let site = self.site(&of.place).await;
        let (mut found, mut from) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let call = || {
                let asked = site.s3().list_objects_v2().bucket(&of.bucket);
                let asked = asked.set_prefix(Some(of.prefix.clone()).filter(|p| !p.is_empty()));
                let asked = asked.set_expected_bucket_owner(of.place.account.clone());
                // XML cannot represent every possible key.
                let asked = asked.encoding_type(EncodingType::Url);
                asked.set_continuation_token(from.clone()).send()
            };
            let page = self.look("s3", &of.place, call).await?;
            let keys = page.contents().iter();
            found.extend(
                keys.filter_map(|o| Some((decoded(o.key()?)?, o.last_modified().and_then(instant)?))),
            );
            from = page.next_continuation_token().map(str::to_owned);
            if from.is_none() {
                break;
            }
        }
        Ok((found, from.is_some()))
    }

    async fn head(&self, of: &BucketRef, key: &str) -> Result<Option<HeadObjectOutput>, Failure> {
        let site = self.site(&of.place).await;
        let call = || {
            let asked = site.s3().head_object().bucket(&of.bucket).key(key);
            asked.set_expected_bucket_owner(of.place.account.clone()).send()
        };
        match self.look("s3", &of.place, call).await {
            Ok(head) => Ok(Some(head)),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

fn gap(key: &str, source: &HeadObjectOutput, copy: Option<&HeadObjectOutput>) -> Option<Gap> {
    let what = match copy {
        None => Difference::Missing,
        Some(copy) if same(source, copy) => return None,
        Some(_) => Difference::Other,
    };
    Some(Gap {
        key: key.to_owned(),
        written_at: source.last_modified().and_then(instant),
        what,
        status: source.replication_status().map(|s| s.as_str().to_owned()),
    })
}

/// Whether a copy equals its source. A copy that S3 made has the version of the source (Amazon S3 User Guide, «What does Amazon
/// S3 replicate?»). Another copy has at least the same size and ETag, unless KMS keys change the ETag.
fn same(source: &HeadObjectOutput, copy: &HeadObjectOutput) -> bool {
    let version = source.version_id().filter(|v| *v != "null");
    let size = source.content_length() == copy.content_length();
    size && (version.is_some() && version == copy.version_id() || source.e_tag() == copy.e_tag())
}

#[expect(deprecated, reason = "rules of the first version of the configuration have their prefix there")]
fn rule(of: &ReplicationRule) -> CopyRule {
    let filter = of.filter();
    let both = filter.and_then(|f| f.and());
    let prefix = filter.and_then(|f| f.prefix()).or_else(|| both.and_then(|b| b.prefix())).or(of.prefix());
    let to = of.destination().map(|d| d.bucket()).unwrap_or_default();
    let deletes = of.delete_marker_replication().and_then(|d| d.status());
    CopyRule {
        id: of.id().unwrap_or_default().to_owned(),
        on: *of.status() == ReplicationRuleStatus::Enabled,
        priority: of.priority().unwrap_or_default(),
        prefix: prefix.unwrap_or_default().to_owned(),
        tagged: filter.is_some_and(|f| f.tag().is_some()) || both.is_some_and(|b| !b.tags().is_empty()),
        to: to.rsplit(':').next().unwrap_or_default().to_owned(),
        // A rule without a filter uses the first version of the configuration, which replicates delete markers.
        deletes: filter.is_none() || deletes == Some(&DeleteMarkerReplicationStatus::Enabled),
    }
}

fn queries(n: usize, of: &BucketRef, (from, rule): &SourceRule) -> Vec<MetricDataQuery> {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let dimensions = vec![
        dimension("SourceBucket", from),
        dimension("DestinationBucket", &of.bucket),
        dimension("RuleId", rule),
    ];
    let query = |(which, name): (usize, &str)| {
        let metric = Metric::builder().namespace("AWS/S3").metric_name(name);
        let metric = metric.set_dimensions(Some(dimensions.clone())).build();
        let stat = MetricStat::builder().metric(metric).period(60).stat("Maximum").build();
        MetricDataQuery::builder().id(format!("m{n}_{which}")).metric_stat(stat).build()
    };
    [OPERATIONS, BYTES, BEHIND].into_iter().enumerate().map(query).collect()
}

/// The index of the rule and of the metric in the ID of a query.
fn asked(id: &str) -> Option<(usize, u8)> {
    let (n, which) = id.strip_prefix('m')?.split_once('_')?;
    Some((n.parse().ok()?, which.parse().ok()?))
}

/// Decodes a key of a listing; `None` if it is not UTF-8.
fn decoded(key: &str) -> Option<String> {
    let key = key.replace('+', " ");
    percent_encoding::percent_decode_str(&key).decode_utf8().ok().map(Into::into)
}

fn instant(at: &aws_sdk_s3::primitives::DateTime) -> Option<Timestamp> {
    at.to_millis().ok().map(Timestamp::from_millis)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and saturating")]
fn whole(n: f64) -> u64 {
    n.max(0.0).ceil() as u64
}
