//! What exists: observations, where the application is active, and which places answer.
//!
//! Nothing here makes requests: adapters do, and pass in what they observed. A missing observation is a value of its own, never a
//! default.

pub mod active;
pub mod clients;
pub mod drift;
pub mod estate;
pub mod observation;
pub mod permissions;
pub mod targets;

pub use active::ActiveSite;
pub use estate::{Estate, Knowledge};
pub use observation::{NO_CREDENTIALS, Observation, same_cause};
