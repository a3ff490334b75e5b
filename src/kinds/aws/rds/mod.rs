//! Kind `aws.rds`: an Amazon RDS instance with a read replica in another site.

pub(crate) mod calls;
pub(in crate::kinds) mod kind;
pub(crate) mod operator;
pub(in crate::kinds) mod ops;
pub(in crate::kinds) mod plan;
pub(in crate::kinds) mod published;
mod sim;

pub use operator::RdsOperator;
pub use ops::Rename;
pub use plan::Rds;
pub use published::{CAS, NEW_NAME, NEW_NAME_AT_WORST, SERVING};
