//! Routing controls of Amazon Application Recovery Controller: they move names without the Route 53 API.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::{ComponentName, SiteName};
use crate::model::place::Place;

/// The service that reads and changes routing controls.
pub const CLUSTER: &str = "route53-recovery-cluster";

/// Routing controls, one for each site, and where they are read and changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ControlsRef {
    /// The component whose names they move.
    pub component: ComponentName,
    /// The connection whose credentials may change them.
    pub place: Place,
    /// The cluster's endpoints, by region: each takes all calls.
    pub endpoints: BTreeMap<String, String>,
    /// The ARN of each site's control.
    pub controls: BTreeMap<SiteName, String>,
}

/// Routing controls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlsState {
    /// Whether the control of each site is `On`.
    pub on: BTreeMap<SiteName, bool>,
}

impl ControlsState {
    /// The site that users are sent to, if it is exactly one.
    pub fn leads_to(&self) -> Option<&SiteName> {
        let mut on = self.on.iter().filter(|(_, on)| **on).map(|(site, _)| site);
        on.next().filter(|_| on.next().is_none())
    }
}

/// Moves traffic by routing controls: the record set of each site has a health check that follows the site's control (AWS, Amazon
/// Application Recovery Controller, «Routing control»). All controls change in one call, or none does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetRoutingControls {
    /// The controls, and the endpoints that change them.
    pub controls: ControlsRef,
    /// The only site whose control will be `On`.
    pub to: SiteName,
    /// The controls that were `On` before.
    pub from: BTreeMap<SiteName, bool>,
    /// Where an undo sends users: the site whose control was `On`, or else the site that was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<SiteName>,
}

impl SetRoutingControls {
    /// The new state of each control.
    pub fn wanted(&self) -> BTreeMap<SiteName, bool> {
        self.controls.controls.keys().map(|site| (site.clone(), *site == self.to)).collect()
    }

    /// The opposite change, if it is known.
    pub fn reversed(&self) -> Option<Self> {
        let to = self.back.clone()?;
        Some(Self { controls: self.controls.clone(), to, from: self.wanted(), back: Some(self.to.clone()) })
    }
}

impl fmt::Display for SetRoutingControls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "turn the routing control of {} on, and all others off", self.to)
    }
}

pub(super) fn on(controls: &BTreeMap<SiteName, bool>) -> String {
    let on: Vec<_> = controls.iter().filter(|(_, on)| **on).map(|(site, _)| site.as_str()).collect();
    if on.is_empty() { "none".to_owned() } else { on.join(",") }
}
