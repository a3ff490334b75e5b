//! Kind `aws.ecs`: a service of Amazon ECS in each site.

mod kind;
pub(in crate::kinds) mod ops;
mod parity;
pub(in crate::kinds) mod plan;
pub(in crate::kinds) mod service;
mod sim;

pub use ops::ScaleService;
pub use plan::{Ecs, ServiceAt};
pub use service::{
    Breaker, EcrImage, Image, MOST_TASKS, Presence, Rollout, ServiceRef, ServiceState, TaskState,
};
