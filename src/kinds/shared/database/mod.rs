//! A database server of any kind: its identity and its observed state.

pub(crate) mod calls;
pub(in crate::kinds) mod certificates;
pub(in crate::kinds) mod cluster;
pub(in crate::kinds) mod instance;
mod lint;
pub(in crate::kinds) mod looks;
pub(in crate::kinds) mod operator;
mod operators;
mod places;
pub(in crate::kinds) mod plan;
pub(in crate::kinds) mod server;
pub mod sim;

pub use certificates::OwnCas;
pub use cluster::{ClusterInstance, ClusterState, NewMember};
pub use instance::{InstanceSettings, LONGEST_ID, UPLOADED};
pub use looks::{Available, CaughtUp, Follows, Promotable};
pub use operator::{
    CopyOf, HEADLESS, Lacks, Operator, ReplicaOf, Serves, SourceBy, StandbyBy, Successor, Unmet,
};
pub use plan::{
    BACKUP_EVERY, CANARY, Database, DatabaseAt, EXPENDABLE, HARMLESS_FIELD, VERIFY_FIELD, database,
};
pub use server::{
    AliveState, DatabaseRef, DatabaseRole, DatabaseState, Engine, Harmless, Host, Sign, WroteState, names,
};
