//! Routing controls of Amazon Application Recovery Controller: their states, from whichever endpoint of the cluster answers.
//!
//! Source: Amazon ARC Developer Guide, «Best practices for routing control»: use the data plane only, keep endpoints and ARNs at
//! hand, and try each endpoint in turn.

use std::collections::BTreeMap;

use aws_sdk_route53recoverycluster::types::{RoutingControlState, UpdateRoutingControlStateEntry};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::Aws;
use super::error::Failure;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::names::{ControlsRef, ControlsState, SetRoutingControls};
use crate::model::ids::SiteName;
use crate::model::time::Dur;

const SERVICE: &str = "route53-recovery-cluster";
/// The bucket of calls that read. The published limit is for calls that change something.
const READS: &str = "route53-recovery-cluster, reads";
/// How long to wait for one endpoint before asking the next as well.
const ALONE: Dur = Dur::secs(1);
/// Errors about the call or the caller: every endpoint would return the same (Routing Control API Reference, «Errors»).
const SAID: &[&str] = &[
    "AccessDeniedException",
    "ConflictException",
    "ResourceNotFoundException",
    "ServiceLimitExceededException",
    "ValidationException",
];
/// Errors of an endpoint that did not take the call: temporarily unavailable, or signed for another name.
const NOT_TAKEN: &[&str] = &["EndpointTemporarilyUnavailableException", "InvalidSignatureException"];

impl Aws {
    /// Which controls are `On`, according to the first endpoint that answers.
    pub(super) async fn controls(&self, of: &ControlsRef) -> Observation {
        let began = self.now();
        let mut wait = Dur::ZERO;
        let mut asks: FuturesUnordered<_> = self
            .endpoints(of)
            .into_iter()
            .map(|(region, url)| {
                let at = began + wait;
                wait = wait.plus(ALONE);
                async move {
                    self.world.sleep_until(at).await;
                    self.states(of, region, url).await.map_err(|failure| (region, failure))
                }
            })
            .collect();
        let (mut said, mut silent) = (None, Vec::new());
        while let Some(answer) = asks.next().await {
            match answer {
                Ok(on) => return self.seen(State::Controls(ControlsState { on }), SERVICE),
                Err((region, failure)) if of_the_endpoint(&failure) => {
                    silent.push(format!("{region}: {failure}"))
                }
                // If one endpoint returns an error about the call or the caller, all endpoints would.
                Err((_, failure)) => {
                    said = Some(failure);
                    break;
                }
            }
        }
        said.unwrap_or_else(|| Failure::NotSent(format!("no endpoint answers: {}", silent.join("; "))))
            .observation(self.now())
    }

    async fn states(
        &self,
        of: &ControlsRef,
        region: &str,
        url: &str,
    ) -> Result<BTreeMap<SiteName, bool>, Failure> {
        let client = self.site(&of.place).await.cluster(region, url);
        let asks = of.controls.iter().map(|(site, arn)| {
            let call = client.get_routing_control_state().routing_control_arn(arn).send();
            async move {
                let answer = self.once(READS, &of.place, call).await?;
                match answer.routing_control_state() {
                    RoutingControlState::On => Ok((site.clone(), true)),
                    RoutingControlState::Off => Ok((site.clone(), false)),
                    other => Err(Failure::Unclear(format!(
                        "the routing control of {site} is `{}`",
                        other.as_str()
                    ))),
                }
            }
        });
        futures_util::future::try_join_all(asks).await.map(|all| all.into_iter().collect())
    }

    /// Turns one control `On` and all others `Off` in a single call, at the first endpoint that accepts it. Overrides no safety
    /// rule.
    pub(super) async fn route(&self, route: &SetRoutingControls) -> Result<Option<String>, Failure> {
        let (of, mut doubt, mut silent) = (&route.controls, false, Vec::new());
        let entries = entries(route)?;
        for (region, url) in self.endpoints(of) {
            let client = self.site(&of.place).await.cluster(region, url);
            let call = client
                .update_routing_control_states()
                .set_update_routing_control_state_entries(Some(entries.clone()))
                .send();
            match self.once(SERVICE, &of.place, call).await {
                Ok(_) => return Ok(None),
                Err(failure) if of_the_endpoint(&failure) => {
                    doubt |= !not_taken(&failure);
                    silent.push(format!("{region}: {failure}"));
                }
                // An earlier endpoint may have accepted the change, which may be why this one refuses it.
                Err(failure) if doubt => return Err(Failure::Unclear(failure.to_string())),
                Err(Failure::Code { code, call, why, status }) if code == "ConflictException" => {
                    let why = format!(
                        "{why} drctl overrides no safety rule; drctl plan show PLAN --to SITE --as-commands shows the call"
                    );
                    return Err(Failure::Code { code, call, why, status });
                }
                Err(failure) => return Err(failure),
            }
        }
        let why = format!("no endpoint accepted the change: {}", silent.join("; "));
        Err(if doubt { Failure::Unclear(why) } else { Failure::NotSent(why) })
    }

    /// The endpoint in the recovery region comes first, because that region is known to be reachable.
    fn endpoints<'c>(&self, of: &'c ControlsRef) -> Vec<(&'c str, &'c str)> {
        let near = self.recovery.as_ref().map(|p| p.region.as_str());
        let mut all: Vec<_> = of.endpoints.iter().map(|(r, u)| (r.as_str(), u.as_str())).collect();
        all.sort_by_key(|(region, _)| Some(*region) != near);
        all
    }
}

/// Whether another endpoint may give a different answer.
fn of_the_endpoint(failure: &Failure) -> bool {
    match failure {
        Failure::NotSent(_) | Failure::Unclear(_) => true,
        Failure::Code { code, .. } => !SAID.contains(&code.as_str()),
        Failure::Unauthenticated(_) | Failure::Clock(_) => false,
    }
}

/// Whether the call certainly had no effect at that endpoint.
fn not_taken(failure: &Failure) -> bool {
    match failure {
        Failure::NotSent(_) => true,
        Failure::Code { code, .. } => failure.is_throttling() || NOT_TAKEN.contains(&code.as_str()),
        Failure::Unclear(_) | Failure::Unauthenticated(_) | Failure::Clock(_) => false,
    }
}

fn entries(route: &SetRoutingControls) -> Result<Vec<UpdateRoutingControlStateEntry>, Failure> {
    let entry = |(site, on): (SiteName, bool)| {
        let state = if on { RoutingControlState::On } else { RoutingControlState::Off };
        UpdateRoutingControlStateEntry::builder()
            .set_routing_control_arn(route.controls.controls.get(&site).cloned())
            .routing_control_state(state)
            .build()
            .map_err(|e| Failure::never("RoutingControlEntry", e.to_string()))
    };
    route.wanted().into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::{Failure, not_taken, of_the_endpoint};

    fn code(code: &str, status: u16) -> Failure {
        Failure::Code { code: code.to_owned(), call: String::new(), why: String::new(), status }
    }

    /// For each error in the Routing Control API Reference: whether another endpoint is tried, and whether this one had no
    /// effect.
    #[test]
    fn errors_are_of_the_endpoint_or_of_the_call() {
        for (failure, elsewhere, nothing) in [
            (code("EndpointTemporarilyUnavailableException", 503), true, true),
            (code("ThrottlingException", 429), true, true),
            (code("InvalidSignatureException", 403), true, true),
            (code("InternalServerException", 500), true, false),
            (Failure::NotSent(String::new()), true, true),
            (Failure::Unclear(String::new()), true, false),
            (code("ConflictException", 409), false, false),
            (code("AccessDeniedException", 403), false, false),
            (code("ResourceNotFoundException", 404), false, false),
            (code("ServiceLimitExceededException", 402), false, false),
            (code("ValidationException", 400), false, false),
            (Failure::Unauthenticated(String::new()), false, false),
        ] {
            assert_eq!((of_the_endpoint(&failure), not_taken(&failure)), (elsewhere, nothing), "{failure:?}");
        }
    }
}
