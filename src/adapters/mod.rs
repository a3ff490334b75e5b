//! The outside world, behind two methods: look, and act.
//!
//! `perform` only starts something; completion is what `observe` then sees. A provider is a folder here, a service a file.

#[cfg(feature = "aws")]
pub mod aws;
mod disabled;
#[cfg(feature = "dns")]
pub mod dns;
#[cfg(feature = "gcp")]
pub mod gcp;
pub mod limits;
pub mod live;
pub mod local;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod process;
pub mod sandbox;
pub mod secrets;
pub mod sinks;

#[cfg(not(feature = "aws"))]
use disabled::aws;
#[cfg(not(feature = "dns"))]
use disabled::dns;
#[cfg(not(feature = "gcp"))]
use disabled::gcp;
#[cfg(not(feature = "postgres"))]
use disabled::postgres;

pub use postgres::trouble as sql_trouble;

use std::cell::RefCell;
use std::collections::BTreeSet;

use futures_util::future::LocalBoxFuture;

use crate::inventory::Observation;
use crate::kinds::Target;
use crate::kinds::shared::database::DatabaseRef;
use crate::model::environment::Endpoint;
use crate::record::action::Action;
use crate::record::event::Request;
use crate::run::outcome::CallOutcome;

/// Makes the one TLS stack known to every client of this process.
#[cfg(feature = "tls")]
pub fn install_tls() {
    // It fails only if it was installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The time in an answer's `Date` (RFC 9110, 5.6.7).
#[cfg(any(feature = "aws", feature = "gcp"))]
fn http_date(text: &str) -> Option<crate::model::time::Timestamp> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(crate::model::time::Timestamp::from_millis(at.as_millisecond()))
}

/// Every provider at once, routed by target and action.
pub trait Cloud {
    /// Looks at targets of one poll group (one service, account and region) and answers in their order.
    ///
    /// Never fails: that nobody answered is an observation.
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>>;

    /// Starts an action. `key` is the same whenever the same intent is tried again.
    fn perform<'a>(&'a self, action: &'a Action, key: &'a str) -> LocalBoxFuture<'a, CallOutcome>;

    /// Addresses of services that somebody named in the place of the provider's.
    fn endpoints(&self) -> LocalBoxFuture<'_, BTreeSet<Endpoint>> {
        Box::pin(std::future::ready(BTreeSet::new()))
    }

    /// What the provider calls the requests that were made for a key since that was asked last.
    fn requests(&self, _key: &str) -> Vec<Request> {
        Vec::new()
    }
}

tokio::task_local! {
    /// The requests of the call that is under way here.
    static REQUESTS: RefCell<Vec<Request>>;
}

/// Takes note of a request that was answered; of a look, for which nobody keeps one, only in the log.
#[cfg(feature = "aws")]
fn requested(service: &str, id: Option<&str>, code: Option<&str>) {
    let Some(id) = id else { return };
    let request = || Request {
        service: service.to_owned(),
        // It is what somebody sent, and nobody's id is that long.
        id: id.chars().filter(|c| c.is_ascii_graphic()).take(100).collect(),
        code: code.map(str::to_owned),
    };
    // Whoever looks without a call has nobody who keeps it.
    let _ = REQUESTS.try_with(|all| all.borrow_mut().push(request()));
}

/// A replica whose lag is asked for.
#[derive(Clone, Debug)]
pub struct Lagging<'a> {
    /// The replica.
    pub db: &'a DatabaseRef,
    /// The region of what it follows, where that is known.
    pub source_region: Option<&'a str>,
}

/// The provider that this build lacks for one of these things, if there is one: nothing is known of it, and nothing is judged.
pub fn disabled<'t>(things: impl IntoIterator<Item = &'t Target>) -> Option<&'static str> {
    let lacks = |thing: &Target| match thing.service() {
        "command" | "dns" => None,
        "sql" => (!cfg!(feature = "postgres")).then_some("postgres"),
        _ => (!cfg!(feature = "aws")).then_some("aws"),
    };
    let lacking: BTreeSet<&str> = things.into_iter().filter_map(lacks).collect();
    // The first one by name says enough.
    lacking.into_iter().next()
}
