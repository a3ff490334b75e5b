//! Rules for the code and the docs.

pub(crate) mod advisories;
pub(crate) mod docs;
pub(crate) mod file_circles;
pub(crate) mod house_rules;
pub(crate) mod kind_names;
pub(crate) mod names;
