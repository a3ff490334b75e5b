//! Which moves of names need a region.

use crate::kinds::shared::names::controls::SetRoutingControls;
use crate::kinds::shared::names::health_object::SetHealthObject;
use crate::kinds::shared::names::reliance::{Reliance, Relies};

/// The region of Route 53's control plane; its name servers are everywhere (AWS, «Fault isolation boundaries», Appendix B).
const CONTROL_PLANE: &str = "us-east-1";

/// A change of record sets depends on the control plane, wherever the users of the zone are.
pub(crate) fn records(region: &str) -> Reliance {
    match region == CONTROL_PLANE {
        true => Reliance {
            relies: Relies::Yes,
            why: "the control plane of Route 53 runs only in us-east-1. While it is down, no record set can be changed; existing answers stay as they are".to_owned(),
            fix: Some("use failover record sets whose health checks watch an object (`switch: health_object`). They need no change during the outage"),
        },
        false => Reliance {
            relies: Relies::No,
            why: "the control plane of Route 53 runs in us-east-1; its name servers answer from all regions"
                .to_owned(),
            fix: None,
        },
    }
}

/// The object is in one region.
pub(crate) fn object(signal: &SetHealthObject, region: &str) -> Reliance {
    let at = &signal.object.place.region;
    if at == region {
        let why = format!(
            "the object is in {at}. Nobody can remove it while that region is down, and names point back there when health checkers see it again"
        );
        return Reliance { relies: Relies::Tried, why, fix: None };
    }
    let why = format!(
        "health checkers request an object in {at}. Route 53 answers from all regions, and no step calls its API"
    );
    Reliance { relies: Relies::No, why, fix: None }
}

/// One endpoint outside the region is enough.
pub(crate) fn controls(route: &SetRoutingControls, region: &str) -> Reliance {
    let among = route.controls.endpoints.contains_key(region);
    let others = route.controls.endpoints.len() - usize::from(among);
    let why = format!(
        "drctl changes routing controls at {others} endpoints in other regions. Route 53 answers from all regions, and no step calls its API"
    );
    let relies = if others == 0 { Relies::Yes } else { Relies::No };
    let fix = (others == 0).then_some("list the five endpoints of the cluster under `cluster:`");
    Reliance { relies, why, fix }
}
