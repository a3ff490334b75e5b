//! Whether a move of names needs a region.

/// What it means for a move of names that a region is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reliance {
    /// Whether the move needs the region.
    pub relies: Relies,
    /// The reason.
    pub why: String,
    /// What removes the need; none if there is no need.
    pub fix: Option<&'static str>,
}

/// Whether a move needs a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relies {
    /// Without the region it cannot be made.
    Yes,
    /// It is tried there, but nothing waits for it.
    Tried,
    /// It does not.
    No,
}
