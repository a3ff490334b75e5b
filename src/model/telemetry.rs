//! The collector for traces of runs.

use crate::model::notice::SecretAt;

/// A collector that takes traces by OTLP over HTTP, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// The collector's address, its path included: usually `/v1/traces` on port 4318 (OpenTelemetry Protocol Specification,
    /// «OTLP/HTTP Request»).
    pub url: String,
    /// Additional headers, each with the place of its value.
    pub headers: Vec<(String, SecretAt)>,
}
