//! The command line and its screens.

pub(crate) mod completions;
pub(crate) mod contract;
pub(crate) mod copied_commands;
pub(crate) mod halted_screens;
pub(crate) mod named_runs;
pub(crate) mod overrides;
pub(crate) mod plain_output;
pub(crate) mod several_plans;
pub(crate) mod steering;
pub(crate) mod stopped_screens;
pub(crate) mod terminals;
pub(crate) mod ways_on;
