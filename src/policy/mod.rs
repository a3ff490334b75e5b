//! Who may do what: data in, verdict out.

pub mod signed;
