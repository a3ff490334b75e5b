//! The outside world, behind two methods: observe and perform.
//!
//! `perform` only starts something; a later `observe` shows its completion. Each provider is a folder, each service a file.

#[cfg(feature = "aws")]
pub mod aws;
mod client;
#[cfg(feature = "dns")]
pub mod dns;
pub mod environment_files;
#[cfg(feature = "gcp")]
pub mod gcp;
pub mod host;
pub mod limits;
pub mod live;
pub mod local;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod process;
pub mod provider;
pub mod registry;
pub mod sandbox;
pub mod secrets;
pub mod sinks;
#[cfg(not(all(feature = "aws", feature = "gcp", feature = "postgres", feature = "dns")))]
mod unbuilt;
mod uploads;

#[cfg(feature = "tls")]
pub use client::install_tls;
pub use registry::{BUILT, sql_trouble};

use std::collections::BTreeSet;

use futures_util::future::LocalBoxFuture;

use crate::inventory::Observation;
use crate::kinds::Target;
use crate::model::environment::Endpoint;
use crate::model::provider::ProviderName;
use crate::record::action::Action;
use crate::record::event::Request;
use crate::run::outcome::CallOutcome;

/// All providers, routed by target and action.
pub trait Cloud {
    /// Observes targets of one poll group (one service, account and region), and returns the results in their order.
    ///
    /// Never fails: a missing answer is an observation too.
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>>;

    /// Starts an action. `key` is the same for every attempt of an intent.
    fn perform<'a>(&'a self, action: &'a Action, key: &'a str) -> LocalBoxFuture<'a, CallOutcome>;

    /// Service addresses that replace the provider's own.
    fn endpoints(&self) -> LocalBoxFuture<'_, BTreeSet<Endpoint>> {
        Box::pin(std::future::ready(BTreeSet::new()))
    }

    /// The provider's IDs of the requests that were made for a key since the last call of this method.
    fn requests(&self, _key: &str) -> Vec<Request> {
        Vec::new()
    }
}

/// A provider that one of these targets needs and that is not among `built`. Without it nothing can be observed or judged. A look at names
/// proves nothing that a recovery waits for, so a build without name servers is enough.
pub fn lacking<'t>(
    things: impl IntoIterator<Item = &'t Target>,
    built: &[ProviderName],
) -> Option<ProviderName> {
    let needed = things.into_iter().map(Target::provider).filter(|name| *name != ProviderName::Dns);
    // One of them is enough for the message.
    needed.filter(|name| !built.contains(name)).min()
}
