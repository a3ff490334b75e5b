//! Kinds of Amazon Web Services.

pub mod arn;
pub mod aurora;
pub mod autoscaling;
pub mod ecs;
pub mod places;
pub(crate) mod quotas;
pub mod rds;
pub mod route53;
pub mod s3;
pub mod services;
pub(in crate::kinds) mod sim;

use crate::model::syntax::Syntax;

/// How a database of RDS without a fence gets one.
const ADD_FENCE: &str = "add `fence: [sql, security_group]` with `fence_group` and `admin` in each site";

/// What the proof of a fence by security group reads: the rules of its group.
pub const FENCE_GROUP: &[&str] = &["ec2:DescribeSecurityGroups"];

/// A security group. Its name cannot begin with `sg-` (Amazon EC2 API Reference, `CreateSecurityGroup`, `GroupName`).
static SECURITY_GROUP: Syntax = Syntax::new(
    "a security group id",
    "`sg-` and the rest of the id; the name of a group is not its id",
    "sg-0123456789abcdef0",
    "^sg-[0-9a-z-]+$",
    40,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_group_is_not_its_id() {
        for text in ["sg-", "default", "sg-0AAA", "sg 1"] {
            assert!(!SECURITY_GROUP.fits(text), "{text}");
        }
    }
}
