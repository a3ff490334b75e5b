//! The simulated estate, and random runs in it.

pub(crate) mod simulation;
pub(crate) mod truth;
