//! In place of `adapters/gcp` in a build without the feature `gcp`.

use crate::adapters::sinks::Parcel;
use crate::model::sink::{Held, Sink};
use crate::plan::Settings;

/// No Google Cloud.
pub struct Gcs;

const WHY: &str = "built without gcp";

impl Gcs {
    /// Nothing.
    pub fn new(_settings: &Settings) -> Self {
        Self
    }

    /// No bucket.
    ///
    /// # Errors
    /// Always.
    pub async fn put_bundle(&self, _sink: &Sink, _parcel: &Parcel<'_>) -> Result<bool, String> {
        Err(WHY.to_owned())
    }

    /// No bucket.
    ///
    /// # Errors
    /// Always.
    pub async fn held_bundle(&self, _sink: &Sink, _bundle: &str, _most: usize) -> Result<Held, String> {
        Err(WHY.to_owned())
    }
}
