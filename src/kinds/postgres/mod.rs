//! Kind `postgres`: self-managed PostgreSQL servers with streaming replication.

mod kind;
mod lint;
mod plan;

pub use kind::Postgres;
