//! What a plan says of buckets.

use std::collections::BTreeMap;

use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::model::document::{Node, Spanned};
use crate::model::ids::SiteName;
use crate::model::read::{map, spanned_text};
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::syntax::Syntax;

/// A bucket in each site, copied by S3 itself.
#[derive(Clone, Debug)]
pub struct Buckets {
    /// The name of each site's bucket.
    pub at: BTreeMap<SiteName, Spanned<String>>,
    /// What begins so is meant; everything if empty.
    pub prefix: String,
    /// How many objects are compared with their copies.
    pub sample: u32,
}

/// A bucket (Amazon S3 User Guide, «General purpose bucket naming rules»).
static BUCKET: Syntax = Syntax::new(
    "a bucket name",
    "3 to 63 lower-case letters, digits, dots and hyphens; it begins and ends with a letter or a digit",
    "shop-uploads-west",
    "^[0-9a-z]([0-9a-z-]|[.][0-9a-z])+[0-9a-z]$",
    63,
);

/// An object or a prefix in S3.
pub static S3_URL: Syntax = Syntax::new(
    "an S3 address",
    "`s3://`, a bucket, and a key",
    "s3://shop-guard/prod",
    "^s3://[0-9A-Za-z][0-9A-Za-z.-]*(/[!-~]*)?$",
    1_100,
);

/// Bucket and key of `s3://bucket/key`.
pub fn bucket_and_key(url: &str) -> Option<(&str, &str)> {
    let (bucket, key) = url.strip_prefix("s3://")?.split_once('/')?;
    (!bucket.is_empty() && !key.is_empty()).then_some((bucket, key))
}

pub(super) const KEYS: Keys = Keys {
    name: "aws.s3 component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("at", Shape::Map(&Shape::Keys(&S3_AT)), "the bucket of each site"),
        opt("prefix", Shape::Text, "only objects whose keys start with this text; all if absent"),
        opt("sample", Shape::Int(1, 200), "how many objects drctl compares with their copies; 20 if absent"),
    ],
};

const S3_AT: Keys = Keys { name: "bucket", fields: &[req("bucket", Shape::Written(&BUCKET), "its name")] };

/// How many objects are compared where a plan does not say.
const SAMPLE: u32 = 20;

pub(super) fn build(node: &Node) -> Buckets {
    let sample = node.get("sample").and_then(Node::int).and_then(|n| u32::try_from(n).ok());
    Buckets {
        at: map(node, "at", |key, n| Some((SiteName::new(key), spanned_text(n.get("bucket")?)?))),
        prefix: node.get("prefix").and_then(Node::text).unwrap_or_default().to_owned(),
        sample: sample.unwrap_or(SAMPLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_s3_refuses_does_not_fit() {
        for text in ["Shop", "ab", "-ab", "a..b", "a_b"] {
            assert!(!BUCKET.fits(text), "{text}");
        }
    }
}
