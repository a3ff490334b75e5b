//! CloudWatch: `ReplicaLag`, where no SQL login is given.
//!
//! Known falsehood: on an idle source the lag of a PostgreSQL replica grows up to five minutes although nothing is missing
//! (AWS, Amazon RDS User Guide, «Monitoring read replication»). It errs on the side of more loss, never of less.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat};

use super::Aws;
use crate::model::place::Place;
use crate::model::time::{Dur, Timestamp};

/// How far back a data point is looked for.
const WINDOW: Dur = Dur::mins(10);

/// Queries in one call, the most there are (CloudWatch API Reference, `GetMetricData`).
const QUERIES: usize = 500;

impl Aws {
    /// When the last commit that each replica of one place holds was made: the newest data point's time minus its lag.
    pub(super) async fn lags(&self, place: &Place, ids: &[&str]) -> BTreeMap<String, Timestamp> {
        let mut found = BTreeMap::new();
        for some in ids.chunks(QUERIES) {
            found.extend(self.some_lags(place, some).await);
        }
        found
    }

    async fn some_lags(&self, place: &Place, ids: &[&str]) -> BTreeMap<String, Timestamp> {
        let site = self.site(place).await;
        let queries: Vec<_> = ids.iter().enumerate().map(|(n, id)| query(n, id)).collect();
        let now = self.now();
        let call = || {
            site.cloudwatch()
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(DateTime::from_millis((now - WINDOW).millis()))
                .end_time(DateTime::from_millis(now.millis()))
                .send()
        };
        let Ok(answer) = self.look("cloudwatch", place, call).await else { return BTreeMap::new() };
        let results = answer.metric_data_results().iter();
        results
            .filter_map(|result| {
                let n: usize = result.id()?.strip_prefix("lag")?.parse().ok()?;
                Some(((*ids.get(n)?).to_owned(), last_commit(result)?))
            })
            .collect()
    }
}

fn query(n: usize, id: &str) -> MetricDataQuery {
    let dimension = Dimension::builder().name("DBInstanceIdentifier").value(id).build();
    let metric =
        Metric::builder().namespace("AWS/RDS").metric_name("ReplicaLag").dimensions(dimension).build();
    // The worst of a minute, not its average.
    let stat = MetricStat::builder().metric(metric).period(60).stat("Maximum").build();
    MetricDataQuery::builder().id(format!("lag{n}")).metric_stat(stat).build()
}

fn last_commit(result: &MetricDataResult) -> Option<Timestamp> {
    let points = result.timestamps().iter().zip(result.values());
    // -1: replication did not run then. An older point says more loss, never less.
    let points = points.filter(|(_, lag)| **lag >= 0.0);
    let (at, lag) = points.max_by_key(|(at, _)| at.to_millis().unwrap_or(i64::MIN))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds, not negative")]
    let lag = Dur((*lag * 1_000.0) as u64);
    Some(Timestamp::from_millis(at.to_millis().ok()?) - lag)
}
