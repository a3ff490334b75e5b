//! The server.

pub(crate) mod metrics;
pub(crate) mod next_drill;
pub(crate) mod schedules_over_a_year;
