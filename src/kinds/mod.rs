//! What can be recovered: a folder for each kind, and `shared` for the mechanisms that several kinds use.
//!
//! Everything here is pure. What talks to a provider is in `adapters`.

pub mod aws;
pub mod clients;
pub mod common;
pub mod external;
mod list;
mod op;
pub mod postgres;
pub mod shared;

pub use list::{KINDS, Spec};
pub use op::Op;
