//! Restarts of instances. Both the request and the restart itself are timed by the clock of RDS.
//!
//! Sources: Amazon RDS API Reference (`RebootDBInstance`, `DescribeEvents`) and Amazon RDS User Guide, «Amazon RDS event
//! categories and event messages» (RDS-EVENT-0006). An event may appear long after the restart, and after later calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_rds::types::SourceType;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::Aws;
use super::error::Failure;
use crate::adapters::client::http_date;
use crate::kinds::shared::restart::Restart;
use crate::model::place::Place;
use crate::model::time::Timestamp;

/// How far back restarts are read, in minutes: longer than a restart and the delay of its event.
const EVENTS_MINUTES: i32 = 60;
/// For up to this many instances, the events of each are read separately.
const FEW: usize = 5;

/// When each instance last restarted, by RDS's own clock.
pub(super) type Restarts = BTreeMap<String, Timestamp>;

/// Keeps the `Date` of a call's answer, which the SDK's own types leave out.
#[derive(Clone, Debug, Default)]
struct AnswerDate(Arc<Mutex<Option<Timestamp>>>);

impl AnswerDate {
    fn get(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for AnswerDate {
    fn name(&self) -> &'static str {
        "AnswerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(http_date);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}

impl Aws {
    /// Restarts an instance. The token has the time at which RDS accepted that. If the answer has no date there is no token, and
    /// a later attempt restarts it again.
    pub(super) async fn restart(&self, place: &Place, instance: &str) -> Result<Option<String>, Failure> {
        let site = self.site(place).await;
        let date = AnswerDate::default();
        let call = site.rds().reboot_db_instance().db_instance_identifier(instance);
        self.once("rds", place, call.customize().interceptor(date.clone()).send()).await?;
        Ok(date.get().map(Restart::token))
    }

    /// The newest restart of each of these instances.
    pub(super) async fn restarts(&self, place: &Place, ids: &BTreeSet<&str>) -> Result<Restarts, Failure> {
        let asks: Vec<Option<&str>> = match ids.len() {
            0 => Vec::new(),
            1..=FEW => ids.iter().copied().map(Some).collect(),
            // For many instances, the events of all instances are read at once.
            _ => vec![None],
        };
        let mut found = BTreeMap::new();
        for ask in asks {
            found.extend(self.restart_events(place, ask).await?);
        }
        Ok(found)
    }

    async fn restart_events(&self, place: &Place, id: Option<&str>) -> Result<Restarts, Failure> {
        let site = self.site(place).await;
        let call = |from| {
            site.rds()
                .describe_events()
                .set_source_identifier(id.map(str::to_owned))
                .source_type(SourceType::DbInstance)
                .event_categories("availability")
                .duration(EVENTS_MINUTES)
                .set_marker(from)
                .send()
        };
        let pages = self.pages("rds", place, call, |page| page.marker()).await?;
        let mut newest = Restarts::new();
        for event in pages.iter().flat_map(|page| page.events()) {
            let restarted = event.message().is_some_and(|m| m.to_ascii_lowercase().contains("restarted"));
            let at = event.date().and_then(|d| d.to_millis().ok()).map(Timestamp::from_millis);
            if let (true, Some(of), Some(at)) = (restarted, event.source_identifier(), at) {
                let last = newest.entry(of.to_owned()).or_insert(at);
                *last = at.max(*last);
            }
        }
        Ok(newest)
    }
}
