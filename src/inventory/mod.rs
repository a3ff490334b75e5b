//! What is there: observations, where the application is active, who answers.
//!
//! Nothing here looks: adapters do, and hand in what they saw. An absence of news is a value of its own, never a default.

pub mod active;
pub mod clients;
pub mod drift;
pub mod estate;
pub mod observation;
pub mod permissions;
pub mod targets;

pub use active::ActiveSite;
pub use estate::{Estate, Known};
pub use observation::{NO_CREDENTIALS, Observation, same_cause};
