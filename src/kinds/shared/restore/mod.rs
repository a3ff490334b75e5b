//! Restoring a database to a point in time: the copy beside it, the results of its checks, and the loss.

mod calls;
pub(in crate::kinds) mod copy;
pub(in crate::kinds) mod op;
pub mod sim;

pub use copy::{
    Backup, Backups, BackupsState, COPY_TAG, Checked, Destroyed, Expect, IN_PLACE, Invariant, Loss,
    NewInstance, Rates, Restore, RestoreJob, RestoreResults, RestoreState, Source,
};
pub use op::RestoreStep;
