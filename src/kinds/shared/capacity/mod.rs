//! Capacity: what does the work of an application and is scaled in a recovery, whoever runs it.

mod lint;
pub(in crate::kinds) mod resize;
pub(in crate::kinds) mod scales;
pub(in crate::kinds) mod share;
pub mod sim;
pub(in crate::kinds) mod size;

pub(in crate::kinds) use lint::lint;
pub use resize::{Beside, Resize, Sent};
pub use scales::{Scales, Scaling, Unscalable};
pub use share::{CAPACITY, CAPACITY_FLOOR, CapacityShare, PROCEED_AT, SCALE_TIMEOUT, capacity_share};
pub use size::{Capacity, Size};
