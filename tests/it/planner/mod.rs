//! What is decided before a run.

pub(crate) mod approval_matrix;
pub(crate) mod approval_policy;
pub(crate) mod assess;
pub(crate) mod doctor;
pub(crate) mod duration_history;
pub(crate) mod finding_order;
pub(crate) mod plan_verification;
pub(crate) mod readiness;
pub(crate) mod refusals;
pub(crate) mod severities;
pub(crate) mod windows;
