//! The machine's time.

use super::error::AppError;
use crate::model::time::Timestamp;
use crate::world::World;

/// The machine's time, for commands that drive no run.
///
/// # Errors
/// If there is no clock.
pub fn now() -> Result<Timestamp, AppError> {
    Ok(World::live().map_err(|e| AppError::usage(format!("no clock: {e}")))?.now())
}
