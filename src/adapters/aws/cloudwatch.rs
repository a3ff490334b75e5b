//! CloudWatch: `ReplicaLag`, where no SQL login is given.
//!
//! Known falsehood: on an idle source the lag of a PostgreSQL replica grows up to five minutes although nothing is missing
//! (AWS, Amazon RDS User Guide, «Monitoring read replication»). It errs on the side of more loss, never of less.

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};

use super::Aws;
use crate::model::target::DatabaseRef;
use crate::model::time::{Dur, Timestamp};

/// How far back a data point is looked for.
const WINDOW: Dur = Dur::mins(10);

impl Aws {
    /// When the last commit that a replica holds was made: the newest data point's time minus its lag.
    pub(super) async fn lag(&self, db: &DatabaseRef) -> Option<Timestamp> {
        let site = self.site(&db.place).await;
        let dimension = Dimension::builder().name("DBInstanceIdentifier").value(&db.id).build();
        let metric =
            Metric::builder().namespace("AWS/RDS").metric_name("ReplicaLag").dimensions(dimension).build();
        // The worst of a minute, not its average.
        let stat = MetricStat::builder().metric(metric).period(60).stat("Maximum").build();
        let query = MetricDataQuery::builder().id("lag").metric_stat(stat).build();
        let now = self.now();
        let call = || {
            site.cloudwatch()
                .get_metric_data()
                .metric_data_queries(query.clone())
                .start_time(DateTime::from_millis((now - WINDOW).millis()))
                .end_time(DateTime::from_millis(now.millis()))
                .send()
        };
        let answer = self.look("cloudwatch", &db.place, call).await.ok()?;
        let points = answer.metric_data_results().iter().flat_map(|r| r.timestamps().iter().zip(r.values()));
        // -1: replication did not run then. An older point says more loss, never less.
        let points = points.filter(|(_, lag)| **lag >= 0.0);
        let (at, lag) = points.max_by_key(|(at, _)| at.to_millis().unwrap_or(i64::MIN))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds, not negative")]
        let lag = Dur((*lag * 1_000.0) as u64);
        Some(Timestamp::from_millis(at.to_millis().ok()?) - lag)
    }
}
