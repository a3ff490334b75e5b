//! What drctl can recover: a folder for each kind, `shared` for mechanisms of several kinds, and the closed lists of all of them: the
//! components of a plan (`Spec`), what is observed (`Target`), the observed states (`State`) and the established facts (`Fact`).
//!
//! Everything here is pure. `adapters` has the code that calls providers.

pub mod aws;
pub mod clients;
pub mod cloud;
pub mod common;
pub mod control;
mod effects;
pub mod external;
mod facts;
mod found;
mod judged;
mod kind;
mod lint;
mod list;
mod op;
mod operation;
mod parts;
pub mod postgres;
pub mod shared;
pub mod simulated;
mod state;
mod surroundings;
mod target;
mod targeted;
pub mod world;

pub use facts::{Exposure, Fact};
pub use found::{FoundSet, FoundValues, Readings};
pub use judged::{Called, Judged, Progress, Store};
pub use kind::{Kind, Role, Sight};
pub use lint::Lint;
pub use list::{KINDS, Simulation, Spec};
pub use op::Op;
pub use operation::Operation;
pub use parts::{Group, Parts};
pub use state::State;
pub use surroundings::{Site, Surroundings};
pub use target::Target;
pub use targeted::AnsweredBy;
