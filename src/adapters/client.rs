//! What the clients of providers share: TLS, the time in an answer, and the requests of the call in progress.

use std::cell::RefCell;

use crate::record::event::Request;

/// Installs the TLS implementation that every client of this process uses.
#[cfg(feature = "tls")]
pub fn install_tls() {
    // This fails only if one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The time in an answer's `Date` (RFC 9110, 5.6.7).
#[cfg(any(feature = "aws", feature = "gcp"))]
pub(super) fn http_date(text: &str) -> Option<crate::model::time::Timestamp> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(crate::model::time::Timestamp::from_millis(at.as_millisecond()))
}

tokio::task_local! {
    /// The requests of the call in progress.
    pub(super) static REQUESTS: RefCell<Vec<Request>>;
}

/// Records the request of an answered call. Requests of observations are only logged.
#[cfg(feature = "aws")]
pub(super) fn requested(service: &str, id: Option<&str>, code: Option<&str>) {
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
