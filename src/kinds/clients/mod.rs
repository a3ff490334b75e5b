//! Kind `clients`: those who connect to a database, and how they find it.

mod plan;

pub use plan::{Clients, ClientsAt, KEYS, build};
