//! An object in a bucket that health checks watch: it moves names without the API of the name servers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::s3::plan::bucket_and_key;
use crate::model::ids::ComponentName;
use crate::model::place::Place;

/// An object that health checks watch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// The component whose names it moves.
    pub component: ComponentName,
    /// Its place: the site to which it sends users.
    pub place: Place,
    /// `s3://bucket/key`.
    pub url: String,
}

impl ObjectRef {
    /// Bucket and key.
    pub fn parts(&self) -> Option<(&str, &str)> {
        bucket_and_key(&self.url)
    }

    /// What it means that the object cannot be removed while its site is dark.
    pub fn removed_in_vain(&self) -> String {
        format!(
            "{} cannot be removed while {} does not answer. Names point away from that site only while its S3 is unreachable. Remove the object before S3 is reachable again, or names point back",
            self.url, self.place.name
        )
    }
}

/// An object that health checks watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthObjectState {
    /// Who created it; `None` if it does not exist.
    #[serde(default)]
    pub holder: Option<String>,
}

/// Moves traffic by an object: existing health checks watch it, and fixed record sets follow these checks. Neither needs a control plane
/// (AWS, «Creating disaster recovery mechanisms using Amazon Route 53»).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetHealthObject {
    /// The object.
    pub object: ObjectRef,
    /// Whether the object will exist. While it does, users are sent to its site.
    pub present: bool,
    /// Its content: who sent users there.
    pub holder: String,
}

impl fmt::Display for SetHealthObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (url, site) = (&self.object.url, &self.object.place.name);
        match self.present {
            true => write!(f, "create {url}, which sends users to {site}"),
            false => write!(f, "remove {url}, which keeps users in {site}"),
        }
    }
}
