//! What can be recovered: a folder for each kind, `shared` for the mechanisms that several kinds use, and the closed lists over all of
//! them: what a plan names (`Spec`), what is looked at (`Target`), what is seen (`State`) and what is established (`Fact`).
//!
//! Everything here is pure. What talks to a provider is in `adapters`.

pub mod aws;
pub mod clients;
pub mod common;
pub mod control;
pub mod external;
mod facts;
mod found;
mod judged;
mod list;
mod op;
mod operation;
mod parts;
pub mod postgres;
pub mod shared;
mod state;
mod target;

pub use facts::{Exposure, Fact};
pub use found::{Found, FoundSet, Readings};
pub use judged::{Called, Judged, Progress, Store};
pub use list::{KINDS, Spec};
pub use op::Op;
pub use operation::Operation;
pub use parts::{Group, Parts};
pub use state::State;
pub use target::Target;
