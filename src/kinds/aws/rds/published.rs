//! What AWS publishes about instances: the statuses that serve, and how long a new name takes.

use crate::model::time::Dur;

/// Statuses of an instance that serves (Amazon RDS User Guide, «Viewing Amazon RDS DB instance status»).
pub const SERVING: &[&str] = &[
    "available",
    "backing-up",
    "configuring-enhanced-monitoring",
    "configuring-iam-database-auth",
    "configuring-log-exports",
    "storage-config-upgrade",
    // After a restore, blocks are loaded when they are first read.
    "storage-initialization",
    "storage-optimization",
];

/// A new name becomes effective in about 10 minutes, and the instance is not available until then (AWS, Amazon RDS User Guide, «Renaming a
/// DB instance»).
pub const NEW_NAME: Dur = Dur::mins(10);

/// How long a requested rename may have no visible effect: twice the published time.
pub const NEW_NAME_AT_WORST: Dur = Dur::mins(20);
