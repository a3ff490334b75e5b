//! Kinds of Amazon Web Services.

pub mod arn;
pub mod aurora;
pub mod autoscaling;
pub mod ecs;
pub mod places;
pub mod rds;
pub mod route53;
pub mod s3;
pub mod services;

/// How a database of RDS without a fence gets one.
const ADD_FENCE: &str = "add `fence: [sql, security_group]` with `fence_group` and `admin` in each site";

/// What the proof of a fence by security group reads: the rules of its group.
pub const FENCE_GROUP: &[&str] = &["ec2:DescribeSecurityGroups"];
