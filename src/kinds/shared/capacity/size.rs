//! The size of a component that is scaled.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Capacity as observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    /// Its size settings.
    pub size: Size,
    /// What is healthy and in service.
    pub in_service: u32,
    /// Why the last change of it failed, and when, in the provider's words.
    #[serde(default)]
    pub last_failure: Option<String>,
}

/// The three sizes. They change together or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    /// Never fewer than this.
    pub min: u32,
    /// Wanted now.
    pub desired: u32,
    /// Never more than this.
    pub max: u32,
}
