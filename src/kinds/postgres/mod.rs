//! Kind `postgres`: self-managed PostgreSQL servers with streaming replication.

mod kind;
mod lint;
mod operator;
mod plan;

pub use kind::Postgres;
pub use operator::PostgresOperator;
