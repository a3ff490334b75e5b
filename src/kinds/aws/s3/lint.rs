//! Two sites cannot share a bucket.

use super::plan::Buckets;
use crate::kinds::lint::Lint;

impl Buckets {
    pub(super) fn lint_names(&self, of: &mut Lint<'_>) {
        for (n, (site, bucket)) in self.at.iter().enumerate() {
            let value = &bucket.value;
            let Some((other, _)) = self.at.iter().take(n).find(|(_, other)| other.value == *value) else {
                continue;
            };
            of.error(
                "bucket-unusable",
                bucket.span,
                format!("`{}` has the same bucket {value} in {other} and in {site}", of.name),
                "each site needs its own bucket, and S3 replicates one to the other",
                "write the bucket name of this site, without s3:// and without a key",
            );
        }
    }
}
