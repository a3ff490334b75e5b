//! Kind `postgres`: self-managed PostgreSQL servers with streaming replication.

mod plan;

pub use plan::{CALLED, KEYS};
