//! Where evidence is kept, besides on the machine that made it: object stores that let nobody change or remove it for as long as it has
//! to be kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::Digest;
use crate::model::place::Place;
use crate::model::time::{Dur, Timestamp};

/// What `evidence:` in drctl.yaml says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// How long: the longest of what the profiles ask for.
    pub retain: Dur,
    /// The profile that asks for it.
    pub profile: String,
    /// Where.
    pub sinks: Vec<Sink>,
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Its name in drctl.yaml.
    pub name: String,
    /// How it is reached; the place's name is its URL, `s3://bucket/prefix` or `gs://bucket/prefix`.
    pub place: Place,
    /// Whether anybody may shorten the time.
    pub lock: Lock,
}

impl Sink {
    /// Bucket and key of a bundle.
    pub fn object(&self, bundle: &str) -> (String, String) {
        self.place.object(bundle)
    }

    /// Where a bundle is.
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
    /// Whoever has a special permission may shorten it: S3's `GOVERNANCE`, Google's `Unlocked`.
    Governance,
    /// Nobody may, the account's owner included: S3's `COMPLIANCE`, Google's `Locked`.
    #[default]
    Compliance,
}

/// What a sink was seen to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Of the bytes that were read back.
    pub sha256: Digest,
    /// The version (S3) or generation (Google).
    pub version: Option<String>,
    /// How it is locked.
    pub lock: Option<Lock>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// Says that a bundle was read back from a sink, and is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The version of this form.
    pub schema_version: u32,
    /// The bundle's file.
    pub bundle: String,
    /// Of what was read back, and of the bundle here.
    pub sha256: Digest,
    /// The sink's name.
    pub sink: String,
    /// Where the bundle is.
    pub url: String,
    /// The bucket's region, as drctl.yaml has it.
    pub region: String,
    /// The account that has to own the bucket, as drctl.yaml has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The address that was asked in place of the cloud's own, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The version (S3) or generation (Google).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How it is locked.
    pub lock: Lock,
    /// Until when nobody removes it.
    pub retained_until: Timestamp,
    /// When that was seen.
    pub seen_at: Timestamp,
}

impl Receipt {
    /// The version of [`Receipt`].
    pub const VERSION: u32 = 1;
}
