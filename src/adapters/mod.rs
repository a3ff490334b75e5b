//! The outside world, behind two methods: observe and perform.
//!
//! `perform` only starts something; a later `observe` shows its completion. Each provider is a folder, each service a file.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "dns")]
pub mod dns;
pub mod environment_files;
#[cfg(feature = "gcp")]
pub mod gcp;
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

pub use registry::{BUILT, sql_trouble};

use std::cell::RefCell;
use std::collections::BTreeSet;

use futures_util::future::LocalBoxFuture;

use crate::inventory::Observation;
use crate::kinds::Target;
#[cfg(feature = "aws")]
use crate::kinds::shared::database::DatabaseRef;
use crate::model::environment::Endpoint;
use crate::model::provider::ProviderName;
use crate::record::action::Action;
use crate::record::event::Request;
use crate::run::outcome::CallOutcome;

/// Installs the TLS implementation that every client of this process uses.
#[cfg(feature = "tls")]
pub fn install_tls() {
    // This fails only if one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The time in an answer's `Date` (RFC 9110, 5.6.7).
#[cfg(any(feature = "aws", feature = "gcp"))]
fn http_date(text: &str) -> Option<crate::model::time::Timestamp> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(crate::model::time::Timestamp::from_millis(at.as_millisecond()))
}

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

tokio::task_local! {
    /// The requests of the call in progress.
    static REQUESTS: RefCell<Vec<Request>>;
}

/// Records the request of an answered call. Requests of observations are only logged.
#[cfg(feature = "aws")]
fn requested(service: &str, id: Option<&str>, code: Option<&str>) {
    let Some(id) = id else { return };
    let request = || Request {
        service: service.to_owned(),
        // The ID comes from outside; real ones are shorter.
        id: id.chars().filter(|c| c.is_ascii_graphic()).take(100).collect(),
        code: code.map(str::to_owned),
    };
    // Fails if there is no call in progress, because this is an observation.
    let _ = REQUESTS.try_with(|all| all.borrow_mut().push(request()));
}

/// A replica whose lag is requested.
#[cfg(feature = "aws")]
#[derive(Clone, Debug)]
pub struct Lagging<'a> {
    /// The replica.
    pub db: &'a DatabaseRef,
    /// The region of its source, if known.
    pub source_region: Option<&'a str>,
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
