//! The store, its journal and its ledger.

pub(crate) mod chain;
pub(crate) mod changed_schemas;
pub(crate) mod engines;
pub(crate) mod extreme_durations;
pub(crate) mod forged_events;
pub(crate) mod hostile_journals;
pub(crate) mod imported_runs;
pub(crate) mod locked_stores;
pub(crate) mod moved_stores;
pub(crate) mod older_stores;
pub(crate) mod statements;
pub(crate) mod terms;
pub(crate) mod unapproved_runbooks;
