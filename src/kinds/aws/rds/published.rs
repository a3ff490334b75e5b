//! What AWS publishes about instances: the statuses that serve, how long a new name takes, and the CAs of certificates.

use crate::kinds::shared::database::certificates::OwnCas;
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

/// The CAs of database servers (Amazon RDS User Guide, «Using SSL/TLS to encrypt a connection to a DB instance or cluster»).
pub const CAS: OwnCas = OwnCas {
    by: "Amazon",
    servers: "RDS and Aurora",
    bundle: "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem",
};
