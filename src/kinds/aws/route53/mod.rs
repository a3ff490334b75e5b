//! Kind `aws.route53`: record sets of a hosted zone, and the two ways to move names without the Route 53 API.

pub(crate) mod calls;
pub(in crate::kinds) mod kind;
mod lint;
pub(in crate::kinds) mod plan;
pub(crate) mod reliance;
mod sim;

pub use plan::Route53;
