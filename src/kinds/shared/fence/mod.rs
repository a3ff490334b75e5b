//! The fence methods: the properties of each, in one table.

mod calls;
pub(in crate::kinds) mod group;
pub(in crate::kinds) mod method;
pub(in crate::kinds) mod op;
pub mod sim;

pub use group::{GroupRules, with_obstacle};
pub use method::{Fence, FenceMethod, FenceStage, FenceState};
pub use op::Unfence;
