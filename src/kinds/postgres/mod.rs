//! Kind `postgres`: self-managed PostgreSQL servers with streaming replication.

mod kind;
mod plan;

pub use kind::Postgres;
