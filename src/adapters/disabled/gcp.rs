//! Replaces `adapters/gcp` in a build without the feature `gcp`.

use crate::adapters::sinks::{Look, SinkError, Upload};
use crate::model::sink::Sink;
use crate::plan::Settings;

/// No Google Cloud.
pub struct Gcs;

const WHY: &str = "built without gcp";

impl Gcs {
    /// Does nothing.
    pub fn new(_settings: &Settings) -> Self {
        Self
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
}
