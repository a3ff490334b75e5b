//! Kind `aws.autoscaling`: an Auto Scaling group in each site.

pub(in crate::kinds) mod group;
mod kind;
pub(in crate::kinds) mod ops;
pub(in crate::kinds) mod plan;
mod sim;

pub use group::{GroupRef, GroupState};
pub use ops::Scale;
pub use plan::{Autoscaling, GroupAt};
