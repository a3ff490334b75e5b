//! Who may do what: data in, verdict out.

pub mod adopted;
pub mod checkpoint;
pub mod dsse;
pub mod matrix;
pub mod schedules;
pub mod signed;
pub mod windows;
