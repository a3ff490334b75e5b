//! Names that lead users to a site: the record sets of a zone, what can move them, and what name servers answer.

pub(in crate::kinds) mod answers;
pub(in crate::kinds) mod controls;
pub(in crate::kinds) mod health_object;
mod ops;
mod parts;
pub(in crate::kinds) mod plan;
pub(in crate::kinds) mod records;
pub(in crate::kinds) mod reliance;
pub mod sim;
pub(in crate::kinds) mod switch;

pub use answers::{Answers, AnswersState, ServerAnswer, Wanted};
pub use controls::{CLUSTER, ControlsRef, ControlsState, SetRoutingControls};
pub use health_object::{HealthObjectState, ObjectRef, SetHealthObject};
pub use plan::{Names, Policy, Record, RecordAt, SwitchBy, SwitchControls, SwitchObject, ZoneService};
pub use records::{ChangeState, RecordAnswer, RecordPolicy, RecordSet, RecordsState, ZoneRef, kept};
pub use reliance::{Reliance, Relies};
pub use switch::{Basis, RecordChange, Switch};
