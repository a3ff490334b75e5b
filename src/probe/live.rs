//! Probes over the network. Each sample resolves the name again and opens a new connection, because a kept connection would continue to
//! reach the site that users have left.

use std::rc::Rc;

use futures_util::future::{Either, LocalBoxFuture, select};

use super::sample::Sample;
use super::{Alarms, Prober};
use crate::record::runbook::{Probe, ProbeRole, ProbeVia};
use crate::world::World;

/// Sends probes to real addresses.
pub struct LiveProber {
    world: World,
    alarms: Option<Rc<dyn Alarms>>,
    scrubbed: fn(String) -> String,
}

impl LiveProber {
    /// Whether this build has a network client. Without one, a probe has no result, rather than a failure.
    pub const CAN_ASK: bool = cfg!(feature = "http");

    /// A prober that has sent nothing yet. `scrubbed` removes secrets from what the addresses answer.
    pub fn new(world: World, alarms: Option<Rc<dyn Alarms>>, scrubbed: fn(String) -> String) -> Self {
        Self { world, alarms, scrubbed }
    }

    async fn ask(&self, probe: &Probe) -> (Option<bool>, String) {
        let asked = match &probe.via {
            ProbeVia::Tcp { address } => {
                let connected = tokio::net::TcpStream::connect(address.as_str()).await;
                connected.map(|_| "connected".to_owned()).map_err(|e| format!("{address}: {e}"))
            }
            ProbeVia::Http { url, status } => http(url, *status, probe.role).await,
            // If the alarm cannot be read, that says nothing about users, who may be served.
            ProbeVia::Alarm { place, alarm } => {
                let Some(alarms) = &self.alarms else {
                    return (None, "the state of alarms is unknown".to_owned());
                };
                return match alarms.alarm(place, alarm).await {
                    Ok((silent, says)) => (Some(silent), says),
                    Err(why) => (None, why),
                };
            }
        };
        match asked {
            Ok(detail) => (Some(true), detail),
            Err(detail) => (Some(false), detail),
        }
    }
}

#[cfg(feature = "http")]
async fn http(url: &str, wanted: u16, role: ProbeRole) -> Result<String, String> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("drctl/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .map_err(|e| e.to_string())?;
    let request = if role == ProbeRole::Write { client.post(url) } else { client.get(url) };
    let answer = request.send().await.map_err(|e| with_cause(&e))?;
    let status = answer.status().as_u16();
    if status == wanted {
        Ok(status.to_string())
    } else {
        Err(format!("status {status} instead of {wanted}"))
    }
}

#[cfg(feature = "http")]
fn with_cause(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(not(feature = "http"))]
async fn http(_url: &str, _wanted: u16, _role: ProbeRole) -> Result<String, String> {
    std::future::pending().await
}

impl Prober for LiveProber {
    fn sample<'a>(&'a self, probe: &'a Probe) -> LocalBoxFuture<'a, Sample> {
        Box::pin(async move {
            let sent_at = self.world.now();
            let late = self.world.sleep_until(sent_at + probe.timeout_ms);
            let (good, detail) = match select(std::pin::pin!(self.ask(probe)), std::pin::pin!(late)).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => {
                    let fails = (probe.role != ProbeRole::Alarm).then_some(false);
                    (fails, format!("no answer within {}", probe.timeout_ms))
                }
            };
            // Half of a secret would no longer be recognized.
            Sample { sent_at, good, detail: (self.scrubbed)(detail).chars().take(200).collect() }
        })
    }
}
