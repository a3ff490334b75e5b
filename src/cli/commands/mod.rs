//! One file a verb.

pub mod approve;
pub mod assess;
pub mod audit;
pub mod check;
pub mod doctor;
pub mod drill;
pub mod explain;
pub mod fleet;
pub mod guards;
pub mod held;
pub mod init;
pub mod key;
pub mod kit;
pub mod live_drill;
pub mod observe;
pub mod outcome;
pub mod plan;
pub mod report;
pub mod restore;
pub mod runs;
pub mod schema;
pub mod select;
pub mod stage;
pub mod start;
pub mod status;
pub mod whatif;
