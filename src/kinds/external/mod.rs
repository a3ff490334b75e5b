//! Kind `external`: declared and displayed, but recovered by people.

mod kind;
pub(in crate::kinds) mod plan;
mod sim;

pub use plan::External;
