//! What each kind does.

pub(crate) mod buckets;
#[cfg(feature = "postgres")]
pub(crate) mod census;
pub(crate) mod clients;
pub(crate) mod clusters;
pub(crate) mod declared_outcomes;
pub(crate) mod ecs;
pub(crate) mod fence_restarts;
pub(crate) mod health_objects;
pub(crate) mod hooks;
pub(crate) mod host_scripts;
#[cfg(feature = "postgres")]
pub(crate) mod hostile_postgres;
pub(crate) mod late_bound_names;
pub(crate) mod late_bound_settings;
pub(crate) mod listed;
pub(crate) mod managed_moves;
pub(crate) mod operations;
pub(crate) mod planned_moves;
pub(crate) mod restores;
pub(crate) mod routing_controls;
#[cfg(feature = "aws")]
pub(crate) mod stub_wire;
pub(crate) mod targets;
pub(crate) mod ttl;
pub(crate) mod unreplicated;
