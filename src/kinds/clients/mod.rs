//! Kind `clients`: the clients of a database, and how they find it.

mod plan;
mod write;

pub use plan::{Clients, ClientsAt, KEYS, build};
pub use write::ClientWrite;
