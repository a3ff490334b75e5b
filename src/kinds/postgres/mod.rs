//! Kind `postgres`: PostgreSQL servers of one's own, with streaming replication.

mod plan;

pub use plan::{CALLED, KEYS};
