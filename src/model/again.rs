//! Whether a call that was refused may be tried again.

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Try again later: too many calls, or the target is busy.
    Later,
    /// Every attempt will be refused.
    Never,
    /// Some of its changes are wrong. Smaller parts may be accepted.
    InParts,
}
