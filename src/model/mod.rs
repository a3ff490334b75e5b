//! The domain's terms as types: ids, times, places, figures, policies. Nothing here refers to a kind of component.
//!
//! All other layers use these types. Nothing here has an effect: no file, clock, network or random number.

pub mod again;
pub mod authority;
pub mod calendar;
pub mod call;
pub mod change;
pub mod document;
pub mod duty;
pub mod environment;
pub mod estimate;
pub mod evidence;
pub mod fault;
pub mod finding;
pub mod ids;
pub mod intent;
pub mod ledger;
pub mod measure;
pub mod notice;
pub mod objectives;
pub mod place;
pub mod plain;
pub mod policy;
pub mod properties;
pub mod provider;
pub mod read;
pub mod readiness;
pub mod schedule;
pub mod scrub;
pub mod secret;
pub mod severity;
pub mod shape;
pub mod sink;
pub mod sound;
pub mod syntax;
pub mod telemetry;
pub mod terms;
pub mod time;
pub mod waiver;
pub mod worst;
