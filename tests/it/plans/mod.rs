//! Plans, settings and other input.

pub(crate) mod broken_plans;
pub(crate) mod broken_settings;
pub(crate) mod environment_variables;
pub(crate) mod hostile_yaml;
pub(crate) mod input_files;
pub(crate) mod suggestions;
