//! `telemetry:` in `drctl.yaml`: where traces of runs are sent.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::notify::{SECRET, plain, secret_at};
use crate::model::fault::Fault;
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::telemetry::Traces;

const TRACES: Keys = Keys {
    name: "traces",
    fields: &[
        req(
            "url",
            Shape::Text,
            "the collector, for example `https://collector.example.com:4318/v1/traces`; OTLP/HTTP with JSON",
        ),
        opt(
            "headers",
            Shape::Map(&Shape::Text),
            "HTTP headers for each request; each value is env:NAME or file:PATH",
        ),
    ],
};
/// `telemetry:`.
pub const TELEMETRY: Keys = Keys {
    name: "telemetry",
    fields: &[req("traces", Shape::Keys(&TRACES), "send a trace of each live run while it runs")],
};

/// The values as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTelemetry {
    traces: RawTraces,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTraces {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

impl RawTelemetry {
    /// Reads the settings.
    ///
    /// # Errors
    /// If the URL or the name of a header is invalid, a header's value is in the file, or it would be sent unencrypted.
    pub fn read(self) -> Result<Traces, Vec<Fault>> {
        const AT: [&str; 2] = ["telemetry", "traces"];
        let RawTraces { url, headers } = self.traces;
        let url = plain(&url).map_err(|e| Fault::said(&AT, e).key("url").of_secret())?;
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| {
                let bad = |why: &str| vec![Fault::said(&["telemetry", "traces", "headers", &name], why)];
                if !is_header(&name) {
                    return Err(bad("a header name may have only letters, digits and `-`"));
                }
                let value = secret_at(&value).map_err(|_| {
                    let at = ["telemetry", "traces", "headers", &name];
                    vec![Fault::said(&at, format!("write {SECRET}")).of_secret()]
                })?;
                Ok((name, value))
            })
            .collect::<Result<_, Vec<Fault>>>()?;
        if !headers.is_empty() && !url.starts_with("https://") && !is_local(&url) {
            let why = "headers need an https endpoint, because their values are secrets";
            return Err(Fault::said(&AT, why).key("url").fix("write an https:// url").into());
        }
        Ok(Traces { url, headers })
    }
}

fn is_header(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Whether the URL is on this machine.
fn is_local(url: &str) -> bool {
    let host = url.strip_prefix("http://").unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|own| host.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])))
}
