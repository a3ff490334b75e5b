//! Authorisation: pure functions from data to a verdict.

pub mod adopted;
pub mod checkpoint;
pub mod dsse;
pub mod matrix;
pub mod schedules;
pub mod signed;
pub mod windows;
