//! Buckets: two sites cannot share one.

use super::Lint;
use crate::kinds::aws::s3::Buckets;
use crate::plan::types::Component;

impl Lint<'_> {
    pub(super) fn buckets(&mut self, component: &Component, spec: &Buckets) {
        let name = &component.name;
        for (n, (site, bucket)) in spec.at.iter().enumerate() {
            let value = &bucket.value;
            let Some((other, _)) = spec.at.iter().take(n).find(|(_, other)| other.value == *value) else {
                continue;
            };
            let what = format!("`{name}` has the same bucket {value} in {other} and in {site}");
            self.error(
                "bucket-unusable",
                bucket.span,
                what,
                "each site needs its own bucket, and S3 replicates one to the other",
                "write the bucket name of this site, without s3:// and without a key",
            );
        }
    }
}
