//! Kind `clients`: the clients of a database, and how they find it.

mod kind;
mod lint;
mod plan;
mod sim;
