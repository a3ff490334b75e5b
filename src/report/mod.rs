//! Reports computed from a run's events. They decide nothing, and every figure that they show has its basis.

pub mod afterwards;
pub mod attainment;
pub mod buckets;
pub mod changes;
pub mod compliance;
pub mod decisions;
pub mod documents;
pub mod duties;
pub mod evidence;
pub mod fences;
pub mod gantt;
pub mod history;
pub mod html;
pub mod markdown;
mod matters;
pub mod measured;
pub mod message_templates;
pub mod notices;
pub mod onward;
pub mod outcomes;
pub mod overrides;
pub mod protection;
pub mod readiness;
pub mod restore;
pub mod said;
pub mod severity;
pub mod steered;
pub mod steps;
pub mod summary;
pub mod terms;
pub mod trace;
pub mod unsettled;
pub mod verified;
pub mod words;

pub use attainment::Attainment;
pub use summary::RunReport;
