//! What a run is made of and leaves: actions, steps, runbooks, facts and events.
//!
//! These carry what the kinds define. Nothing here does anything: no file, clock, network or random number.

pub mod action;
pub mod calls;
pub mod control;
pub mod estimate;
pub mod event;
pub mod facts;
pub mod found;
pub mod runbook;
pub mod state;
pub mod statement;
pub mod target;
