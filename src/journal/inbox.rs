//! The inbox as a run's owner reads it.

use super::{Journal, StoreError};
use crate::model::event::What;
use crate::model::ids::RunId;
use crate::run::{RunState, signal};

/// Events that waiting signals become, each with the letter that it answers. They are marked as taken once they are journalled;
/// a crash in between makes the same event twice, which the transition function takes or refuses like any other.
///
/// # Errors
/// If the inbox cannot be read.
pub fn collect(
    journal: &dyn Journal,
    run: &RunId,
    state: &RunState,
) -> Result<Vec<(u64, Vec<What>)>, StoreError> {
    let letters = journal.letters(run)?;
    Ok(letters.into_iter().map(|l| (l.id, signal::take(state, l.signal, l.who))).collect())
}
