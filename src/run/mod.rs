//! A run as pure functions: one applies events, one decides what to do next, one judges observations.
//!
//! Execution, recovery after a crash, replay and reports all go through [`RunState::apply`]; there is no second way to read a
//! journal. Nothing here has a clock: `now` is an argument, and a permission whose validity is unknown counts as expired.

pub mod apply;
pub mod approval;
pub mod checked;
mod clock;
pub mod consented;
pub mod continued;
pub mod decide;
pub mod drill;
pub mod effect;
pub mod exposure;
mod fenced;
mod frontier;
pub mod gate;
pub mod held;
pub mod illegal;
pub mod judge;
mod lawful;
mod locked;
pub mod model;
pub mod observed;
pub mod outcome;
pub mod outstanding;
pub mod overriding;
pub mod parts;
mod positions;
mod progress;
mod restored;
pub mod severity;
pub mod signal;
pub mod state;
pub mod steered;
pub mod stopped;
pub mod terms;
pub mod waits;
mod waived;
pub mod ways;

pub use decide::decide;
pub use effect::{Effect, Stop};
pub use judge::judge;
pub use observed::{StepDecision, StepObservation};
pub use state::RunState;
