//! The place of a call: a site, or a connection that belongs to no site.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::ComponentName;

/// The provider of a place, or of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloudProvider {
    /// Amazon Web Services.
    Aws,
    /// Google Cloud.
    Gcp,
    /// None: a data centre.
    None,
}

impl CloudProvider {
    /// The names in plans.
    pub const NAMES: &[&str] = &["aws", "gcp", "none"];

    /// The provider with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = [Self::Aws, Self::Gcp, Self::None].into_iter().zip(Self::NAMES);
        all.find(|(_, known)| **known == name).map(|(provider, _)| provider)
    }
}

/// A cloud region in an account, as seen by one principal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The site's or connection's name in the plan.
    pub name: String,
    /// The provider.
    pub cloud: CloudProvider,
    /// The provider's region; `global` for services without one, such as Route 53.
    pub region: String,
    /// The account or project, if the plan names it. Preflight refuses any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The role to assume there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The external ID that the role requires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

impl Place {
    /// The bucket and key of a component's guard, if the place's name is `s3://bucket/prefix`.
    pub fn guard_object(&self, component: &ComponentName) -> Option<(String, String)> {
        self.name.starts_with("s3://").then(|| self.object(&format!("{component}.json")))
    }

    /// The bucket and key of a file, if the place's name is a bucket's URL, `scheme://bucket/prefix`.
    pub fn object(&self, file: &str) -> (String, String) {
        let rest = self.name.split_once("://").map_or(self.name.as_str(), |(_, rest)| rest);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let key = if prefix.is_empty() { file.to_owned() } else { format!("{prefix}/{file}") };
        (bucket.to_owned(), key)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// Host, port and database of `host:port/database`.
pub fn endpoint_parts(endpoint: &str) -> Option<(&str, u16, Option<&str>)> {
    let (server, database) = endpoint.split_once('/').unwrap_or((endpoint, ""));
    let (host, port) = server.rsplit_once(':').unwrap_or((server, "5432"));
    Some((host, port.parse().ok()?, Some(database).filter(|d| !d.is_empty())))
}
