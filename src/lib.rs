//! drctl recovers applications from the loss of a cloud region.
//!
//! # One request, from left to right
//!
//! `drctl failover --to us-east-1` reads plans ([`plan`]), looks at what is there ([`executor::survey`] through [`adapters`]),
//! and says where the application is active and what is known of each thing ([`inventory`]). The [`planner`], which is pure,
//! turns that into a runbook or into refusals. The runbook is shown, approved by its digest, and written as the first event of
//! a run into the [`journal`]. From then on [`executor::drive`] asks [`mod@run::decide`] what is next, writes the intent, acts
//! through an adapter, and writes what came of it; [`run::RunState`] is what the events add up to. [`report`] reads events and
//! says what was achieved. [`app`] does all this for a command, and for the server; [`cli`] parses commands and shows people what
//! comes of them.
//!
//! # Invariants
//!
//! - **Decisions are pure.** `model`, `kinds`, `record`, `plan`, `inventory`, `planner`, `run` and `report` know no clock, file,
//!   network or random number. `now` is an argument. A test holds the layers to this.
//! - **One transition function.** [`run::RunState::apply`] is used by the live run, by recovery after a crash, by replay and by
//!   reports. A pair of state and event that it does not name is illegal.
//! - **The intent is in the journal before the call is made**, and a failed append stops the run.
//! - **Completion is positive evidence of the new state**, seen after the call was answered; never the absence of the old.
//! - **Only `executor` holds journal, adapters and world together**, and it makes no choice.
//! - **One clock**: [`world::World`]. A rehearsal swaps it and the adapters and nothing else.
//! - **One writer to the terminal**: `cli/printer.rs`. One reader of the environment: `app/environment.rs`. One reader of files that
//!   people name: `files.rs`.
//!
//! # Deliberately absent
//!
//! There is no retry inside adapters (attempts are events), no state outside the journal, no stub behind a verb, and no
//! generic workflow engine: the set of actions is closed, and each says how it is undone and what doubt about it means.

pub mod adapters;
pub mod app;
pub mod cli;
pub mod executor;
pub mod files;
pub mod inventory;
pub mod journal;
pub mod kinds;
pub mod model;
pub mod notify;
pub mod plan;
pub mod planner;
pub mod policy;
pub mod probe;
pub mod record;
pub mod report;
pub mod run;
pub mod server;
pub mod world;
