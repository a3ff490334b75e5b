//! What a run is made of and leaves: actions, steps, runbooks and events.
//!
//! These carry what the kinds define. Nothing here does anything: no file, clock, network or random number.

pub mod action;
pub mod calls;
pub mod estimate;
pub mod event;
pub mod runbook;
pub mod statement;
