//! The types that the state of a run keeps. What is computed from the state is above it, in the files beside this folder.

pub mod attention;
pub mod calls;
pub mod overridden;
pub mod past;
pub mod tries;
