//! In place of `adapters/gcp` in a build without the feature `gcp`.

use crate::adapters::sinks::{Look, Parcel, Trouble};
use crate::model::sink::Sink;
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
    pub async fn put_bundle(&self, _sink: &Sink, _parcel: &Parcel<'_>) -> Result<bool, Trouble> {
        Err(Trouble::Down(WHY.to_owned()))
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
    ) -> Result<Look, Trouble> {
        Err(Trouble::Down(WHY.to_owned()))
    }
}
