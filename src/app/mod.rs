//! What drctl does for a command, between the layers that decide and act and the command line. It prints nothing: it returns values, and
//! reports through a [`presenter::Presenter`] while it works.

pub mod anchors;
pub mod background;
pub mod bundles;
pub mod channel_secrets;
pub mod clock;
pub mod context;
pub mod environment;
pub mod error;
pub mod estate;
pub mod evidence;
pub mod exit;
pub mod files;
pub mod imports;
pub mod inbox;
pub mod interrupt;
pub mod keys;
pub mod kit;
pub mod ledger;
pub mod notifier;
pub mod paths;
pub mod pending_fences;
pub mod plan_files;
pub mod presenter;
pub mod rescue;
pub mod run_names;
pub mod run_states;
pub mod settings;
pub mod stage;
pub mod store;
pub mod store_key;
pub mod telemetry;
pub mod uploads;
pub mod waived;
