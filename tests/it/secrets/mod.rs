//! Secrets and hostile text.

pub(crate) mod encodings;
pub(crate) mod hostile_text;
pub(crate) mod leaks;
pub(crate) mod logs;
pub(crate) mod scrubbing;
