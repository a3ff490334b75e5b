//! The words of the trade as types: ids, times, places, actions, runbooks and events.
//!
//! Everything above speaks in these types. Nothing here does anything: no file, clock, network or random number.

pub mod action;
pub mod authority;
pub mod bucket;
pub mod calendar;
pub mod calls;
pub mod cluster;
pub mod duty;
pub mod estimate;
pub mod event;
pub mod evidence;
pub mod facts;
pub mod ids;
pub mod ledger;
pub mod measure;
pub mod notice;
pub mod place;
pub mod plain;
pub mod policy;
pub mod readiness;
pub mod restart;
pub mod restore;
pub mod runbook;
pub mod schedule;
pub mod scrub;
pub mod secret;
pub mod sink;
pub mod state;
pub mod statement;
pub mod target;
pub mod telemetry;
pub mod terms;
pub mod time;
pub mod waiver;
pub mod wal;
