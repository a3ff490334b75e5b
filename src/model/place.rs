//! Where a call goes: a site, or a connection that belongs to no site.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cloud region in an account as one principal sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The site's or connection's name in the plan.
    pub name: String,
    /// The provider: `aws`, `gcp`, or `none` for a data centre.
    pub cloud: String,
    /// The provider's region; `global` for services without one, such as Route 53.
    pub region: String,
    /// The account or project, when the plan names it. Preflight refuses another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The role assumed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The external id that the role asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}
