//! An object in a bucket that health checks watch: it moves names without the Route 53 API.

use crate::model::ids::ComponentName;
use crate::model::place::bucket_and_key;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::place::Place;

/// An object that health checks watch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// The component whose names it moves.
    pub component: ComponentName,
    /// Where it is: the site that it sends users to.
    pub place: Place,
    /// `s3://bucket/key`.
    pub url: String,
}

impl ObjectRef {
    /// Bucket and key.
    pub fn parts(&self) -> Option<(&str, &str)> {
        bucket_and_key(&self.url)
    }
}

/// An object that health checks watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthObjectState {
    /// Who put it there; none where it is not.
    #[serde(default)]
    pub holder: Option<String>,
}

/// Traffic that follows an object: health checks which exist beforehand watch it, and record sets which stay as they are follow them.
/// Neither needs a control plane (AWS, «Creating disaster recovery mechanisms using Amazon Route 53»).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetHealthObject {
    /// The object.
    pub object: ObjectRef,
    /// Whether it is to be there: users are sent to its site for as long as it is.
    pub present: bool,
    /// What is written into it: who sent users there.
    pub holder: String,
}
