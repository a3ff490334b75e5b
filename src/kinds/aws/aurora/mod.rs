//! Kind `aws.aurora_global`: the clusters of an Aurora global database.

pub(crate) mod calls;
mod kind;
mod lint;
mod operator;
mod ops;
mod plan;

pub use kind::AuroraGlobal;
pub use operator::AuroraOperator;
pub use ops::AddClusterInstance;
