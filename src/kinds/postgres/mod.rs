//! Kind `postgres`: self-managed PostgreSQL servers with streaming replication.

pub(in crate::kinds) mod kind;
mod lint;
pub(in crate::kinds) mod operator;
mod plan;
mod sim;

pub use kind::Postgres;
pub use operator::PostgresOperator;
