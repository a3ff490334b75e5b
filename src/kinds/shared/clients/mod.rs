//! Those who connect to a database: how they find it, and the proof that they reach it.

pub(in crate::kinds) mod moved;
pub(in crate::kinds) mod write;

pub use moved::{Clients, ClientsAt};
pub use write::ClientWrite;
