//! Kind `postgres`: self-managed PostgreSQL servers with streaming replication.

pub(in crate::kinds) mod kind;
mod lint;
pub(in crate::kinds) mod operator;
pub(in crate::kinds) mod plan;
mod sim;

pub use operator::PostgresOperator;
pub use plan::Postgres;
