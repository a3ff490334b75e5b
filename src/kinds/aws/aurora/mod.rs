//! Kind `aws.aurora_global`: the clusters of an Aurora global database.

pub(crate) mod calls;
pub(in crate::kinds) mod kind;
mod lint;
pub(in crate::kinds) mod operator;
pub(in crate::kinds) mod ops;
mod plan;
mod sim;

pub use kind::AuroraGlobal;
pub use operator::AuroraOperator;
pub use ops::AddClusterInstance;
