//! CloudWatch: `ReplicaLag` if there is no SQL login, and `AuroraGlobalDBRPOLag` of the secondaries of a global database.
//!
//! Known error: on an idle source, the lag of a PostgreSQL replica grows up to five minutes although nothing is missing (AWS,
//! Amazon RDS User Guide, «Monitoring read replication»). The metric then overstates the loss; it never understates it.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    AlarmType, Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, StateValue,
};

use super::Aws;
use crate::adapters::provider::Lagging;
use crate::kinds::shared::database::Engine;
use crate::model::place::Place;
use crate::model::time::{Dur, Timestamp};

/// Maximum age of a data point.
const WINDOW: Dur = Dur::mins(10);

/// Replicas in one call: each needs two queries, and 500 is the maximum (CloudWatch API Reference, `GetMetricData`).
const REPLICAS: usize = 250;

impl Aws {
    /// The time of the last commit in each replica of one place: the time of the newest data point minus its lag.
    pub(super) async fn lags(&self, place: &Place, of: &[Lagging<'_>]) -> BTreeMap<String, Timestamp> {
        let mut found = BTreeMap::new();
        for some in of.chunks(REPLICAS) {
            found.extend(self.some_lags(place, some).await);
        }
        found
    }

    /// Whether an alarm is off, and its state. An alarm without data counts as off, because users who moved away leave such alarms behind.
    /// For an alarm that does not exist there is no state, because whoever named it expected one.
    ///
    /// # Errors
    /// Why the state is unknown.
    pub(super) async fn read_alarm(&self, place: &Place, name: &str) -> Result<(bool, String), String> {
        let site = self.site(place).await;
        let call = || {
            site.cloudwatch()
                .describe_alarms()
                .alarm_names(name)
                .alarm_types(AlarmType::MetricAlarm)
                .alarm_types(AlarmType::CompositeAlarm)
                .send()
        };
        let answer = self.look("cloudwatch", place, call).await.map_err(|failure| failure.to_string())?;
        let metric =
            answer.metric_alarms().iter().map(|a| (a.alarm_name(), a.state_value(), a.state_reason()));
        let composite =
            answer.composite_alarms().iter().map(|a| (a.alarm_name(), a.state_value(), a.state_reason()));
        let found = metric.chain(composite).find(|(of, ..)| *of == Some(name));
        match found {
            None => Err(format!("{} has no alarm {name}", place.name)),
            Some((_, Some(state), reason)) => {
                let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
                Ok((*state != StateValue::Alarm, format!("{state}{reason}")))
            }
            Some((_, None, _)) => Err(format!("CloudWatch does not report the state of {name}")),
        }
    }

    async fn some_lags(&self, place: &Place, of: &[Lagging<'_>]) -> BTreeMap<String, Timestamp> {
        let site = self.site(place).await;
        let queries: Vec<_> = of.iter().enumerate().flat_map(|(n, of)| queries(n, of)).collect();
        let now = self.world.shown();
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
        let mut found: BTreeMap<String, Timestamp> = BTreeMap::new();
        for (db, commit) in results.filter_map(|result| {
            let n: usize = result.id()?.strip_prefix("lag")?.trim_end_matches('s').parse().ok()?;
            let db = of.get(n)?.db;
            let unit = if db.engine == Engine::Aurora { 1.0 } else { 1_000.0 };
            Some((db, last_commit(result, unit)?))
        }) {
            // The metric may exist both with and without the source region: the earlier commit counts.
            let known = found.entry(db.id.clone()).or_insert(commit);
            *known = (*known).min(commit);
        }
        found
    }
}

/// CloudWatch finds a metric only by its exact dimensions. Those of clusters may include the source region.
fn queries(n: usize, of: &Lagging<'_>) -> Vec<MetricDataQuery> {
    let id = of.db.id.as_str();
    if of.db.engine != Engine::Aurora {
        return vec![query(format!("lag{n}"), "ReplicaLag", &[("DBInstanceIdentifier", id)])];
    }
    let (metric, own) = ("AuroraGlobalDBRPOLag", ("DBClusterIdentifier", id));
    let with_source =
        of.source_region.map(|region| query(format!("lag{n}s"), metric, &[own, ("SourceRegion", region)]));
    std::iter::once(query(format!("lag{n}"), metric, &[own])).chain(with_source).collect()
}

fn query(id: String, metric: &str, dimensions: &[(&str, &str)]) -> MetricDataQuery {
    let built = |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
    let dimensions = dimensions.iter().map(built).collect();
    let metric =
        Metric::builder().namespace("AWS/RDS").metric_name(metric).set_dimensions(Some(dimensions)).build();
    // The maximum within a minute, not the average.
    let stat = MetricStat::builder().metric(metric).period(60).stat("Maximum").build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

fn last_commit(result: &MetricDataResult, unit_ms: f64) -> Option<Timestamp> {
    let points = result.timestamps().iter().zip(result.values());
    // -1 means that replication was not running. An older point overstates the loss; it never understates it.
    let points = points.filter(|(_, lag)| **lag >= 0.0);
    let (at, lag) = points.max_by_key(|(at, _)| at.to_millis().unwrap_or(i64::MIN))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let lag = Dur((*lag * unit_ms).ceil() as u64);
    Some(Timestamp::from_millis(at.to_millis().ok()?) - lag)
}
