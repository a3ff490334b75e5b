//! Replaces `adapters/aws` in a build without the feature `aws`.

use std::collections::{BTreeMap, BTreeSet};

use crate::adapters::Lagging;
use crate::adapters::secrets::{Login, NoLogin};
use crate::adapters::sinks::{Look, SinkError, Upload};
use crate::inventory::Observation;
use crate::kinds::Target;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::secret::ClientSecret;
use crate::model::environment::Endpoint;
use crate::model::place::Place;
use crate::model::sink::Sink;
use crate::model::time::Timestamp;
use crate::plan::Settings;
use crate::record::action::Action;
use crate::run::outcome::{Again, CallOutcome};
use crate::world::World;

/// No AWS.
pub struct Aws {
    world: World,
}

const WHY: &str = "built without aws";

impl Aws {
    /// Does nothing.
    pub fn new(world: World, _settings: &Settings, _recovery: Option<Place>) -> Self {
        Self { world }
    }

    /// None.
    pub async fn named(&self) -> BTreeSet<Endpoint> {
        BTreeSet::new()
    }

    /// Every target is unobservable.
    pub async fn observe(&self, targets: &[Target]) -> Vec<Observation> {
        let since = self.world.now();
        let unseen = |t: &Target| Observation::Unobservable {
            since,
            why: format!("{WHY}: this build cannot reach {}", t.service()),
        };
        targets.iter().map(unseen).collect()
    }

    /// Refuses every action.
    pub async fn perform(&self, _action: &Action) -> CallOutcome {
        CallOutcome::Refused { code: "NotBuilt".to_owned(), why: WHY.to_owned(), again: Again::Never }
    }

    /// No bucket.
    ///
    /// # Errors
    /// Always.
    pub async fn put_bundle(&self, _sink: &Sink, _parcel: &Upload<'_>) -> Result<bool, SinkError> {
        Err(SinkError::Down(WHY.to_owned()))
    }

    /// No bucket.
    ///
    /// # Errors
    /// Always.
    pub async fn held_bundle(
        &self,
        _sink: &Sink,
        _bundle: &str,
        _version: Option<&str>,
        _most: usize,
    ) -> Result<Look, SinkError> {
        Err(SinkError::Down(WHY.to_owned()))
    }

    /// No endpoint.
    pub async fn endpoint(&self, _db: &DatabaseRef) -> Option<String> {
        None
    }

    /// No secrets.
    ///
    /// # Errors
    /// Always.
    pub async fn login(&self, _name: &str, _place: &Place) -> Result<Login, NoLogin> {
        Err(NoLogin::Passing(WHY.to_owned()))
    }

    /// No secrets.
    ///
    /// # Errors
    /// Always.
    pub async fn client(&self, _of: &ClientSecret) -> Result<(Login, String), NoLogin> {
        Err(NoLogin::Passing(WHY.to_owned()))
    }

    /// No alarms.
    ///
    /// # Errors
    /// Always.
    pub async fn alarm(&self, _place: &Place, _name: &str) -> Result<(bool, String), String> {
        Err(WHY.to_owned())
    }

    /// No metrics.
    pub async fn replica_lags(&self, _place: &Place, _of: &[Lagging<'_>]) -> BTreeMap<String, Timestamp> {
        BTreeMap::new()
    }
}
