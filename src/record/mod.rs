//! The parts of a run: actions, steps, runbooks and events.
//!
//! They contain types of the kinds. Nothing here has an effect: no file, clock, network or random number.

pub mod action;
pub mod calls;
pub mod estimate;
pub mod event;
pub mod runbook;
pub mod statement;
