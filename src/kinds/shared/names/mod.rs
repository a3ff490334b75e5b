//! Names that lead users to a site: the record sets of a zone, what can move them, and what name servers answer.

mod answers;
mod controls;
mod health_object;
mod parts;
mod plan;
mod records;
mod reliance;
mod switch;

pub use answers::{Answers, AnswersState, ServerAnswer, Wanted};
pub use controls::{CLUSTER, ControlsRef, ControlsState, SetRoutingControls};
pub use health_object::{HealthObjectState, ObjectRef, SetHealthObject};
pub use plan::{Names, Policy, Record, RecordAt, SwitchBy, SwitchControls, SwitchObject, ZoneService};
pub use records::{ChangeState, RecordAnswer, RecordPolicy, RecordSet, RecordsState, ZoneRef, kept};
pub use reliance::{Reliance, Relies};
pub use switch::{Basis, RecordChange, Switch};
