//! Buckets: two sites cannot have one, and a name that S3 does not take is nobody's.

use super::Lint;
use crate::plan::types::{Buckets, Component};

/// Amazon S3 User Guide, «General purpose bucket naming rules».
fn is_name(name: &str) -> bool {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.chars().all(known)
        && name.starts_with(ends)
        && name.ends_with(ends)
}

impl Lint<'_> {
    pub(super) fn buckets(&mut self, component: &Component, spec: &Buckets) {
        let name = &component.name;
        for (n, (site, bucket)) in spec.at.iter().enumerate() {
            let value = &bucket.value;
            let what = match spec.at.iter().take(n).find(|(_, other)| other.value == *value) {
                _ if !is_name(value) => format!("`{value}` is no name of a bucket"),
                Some((other, _)) => format!("`{name}` has the bucket {value} in {other} and in {site}"),
                None => continue,
            };
            self.error(
                "bucket-unusable",
                bucket.span,
                what,
                "each site has a bucket of its own, and S3 copies one to the other",
                "the name of this site's bucket, without s3:// and without a key",
            );
        }
    }
}
