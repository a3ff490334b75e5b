//! Kind `aws.route53`: record sets of a hosted zone, and the two ways to move names without the Route 53 API.

mod answers;
mod controls;
mod health_object;
mod kind;
mod lint;
mod parts;
mod plan;
mod records;
mod switch;

pub use answers::{Answers, AnswersState, ServerAnswer, Wanted};
pub use controls::{CLUSTER, ControlsRef, ControlsState, SetRoutingControls};
pub use health_object::{HealthObjectState, ObjectRef, SetHealthObject};
pub use plan::{Policy, Record, RecordAt, Route53, SwitchBy, SwitchControls, SwitchObject};
pub use records::{ChangeState, RecordAnswer, RecordPolicy, RecordSet, RecordsState, ZoneRef, kept};
pub use switch::{Basis, RecordChange, Switch};
