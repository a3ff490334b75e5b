//! Kind `aws.aurora_global`: the clusters of an Aurora global database.

pub(crate) mod calls;
pub(in crate::kinds) mod kind;
mod lint;
pub(in crate::kinds) mod operator;
pub(in crate::kinds) mod ops;
pub(in crate::kinds) mod plan;
mod sim;

pub use operator::AuroraOperator;
pub use ops::AddClusterInstance;
pub use plan::AuroraGlobal;
