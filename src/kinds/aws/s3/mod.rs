//! Kind `aws.s3`: a bucket in each site, replicated by S3.

mod checks;
mod compare;
mod kind;
mod lint;
mod notes;
pub(in crate::kinds) mod plan;
mod sim;

pub use plan::{Buckets, S3_URL, bucket_and_key};
