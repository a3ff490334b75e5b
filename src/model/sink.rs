//! Additional places for evidence: object stores that let nobody change or remove it during its retention time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::Digest;
use crate::model::place::Place;
use crate::model::time::{Dur, Timestamp};

/// The `evidence:` section of drctl.yaml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// The retention time: the longest that a profile requires.
    pub retain: Dur,
    /// The profile that requires it.
    pub profile: String,
    /// The sinks.
    pub sinks: Vec<Sink>,
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Its name in drctl.yaml.
    pub name: String,
    /// Its place, whose name is its URL, `s3://bucket/prefix` or `gs://bucket/prefix`.
    pub place: Place,
    /// Whether anybody may shorten the retention.
    pub lock: Lock,
}

impl Sink {
    /// The bucket and key of a bundle.
    pub fn object(&self, bundle: &str) -> (String, String) {
        self.place.object(bundle)
    }

    /// The URL of a bundle.
    pub fn url(&self, bundle: &str) -> String {
        let (bucket, key) = self.object(bundle);
        let scheme = self.place.name.split_once("://").map_or("", |(scheme, _)| scheme);
        format!("{scheme}://{bucket}/{key}")
    }
}

/// How an object is locked (Amazon S3 User Guide, «Object Lock»; Google Cloud Storage, «Object Retention Lock»).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lock {
    /// People with a special permission may shorten the retention: S3's `GOVERNANCE`, Google's `Unlocked`.
    Governance,
    /// Nobody may shorten it, not even the account's owner: S3's `COMPLIANCE`, Google's `Locked`.
    #[default]
    Compliance,
}

/// The observed state of a bundle in a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The digest of the bytes that were read back.
    pub sha256: Digest,
    /// The version (S3) or generation (Google).
    pub version: Option<String>,
    /// How it is locked.
    pub lock: Option<Lock>,
    /// The end of the retention.
    pub until: Option<Timestamp>,
}

/// A receipt: a bundle was read back from a sink and is identical.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The version of this format.
    pub schema_version: u32,
    /// The file name of the bundle.
    pub bundle: String,
    /// The digest of the bytes that were read back, and of the local bundle.
    pub sha256: Digest,
    /// The sink's name.
    pub sink: String,
    /// Where the bundle is.
    pub url: String,
    /// The bucket's region from drctl.yaml.
    pub region: String,
    /// The account that must own the bucket, from drctl.yaml.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The endpoint used in place of the cloud's own, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The version (S3) or generation (Google).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How it is locked.
    pub lock: Lock,
    /// The end of the retention.
    pub retained_until: Timestamp,
    /// When that was observed.
    pub seen_at: Timestamp,
}

impl Receipt {
    /// The version of [`Receipt`].
    pub const VERSION: u32 = 1;
}
