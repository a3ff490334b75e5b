//! Routing controls of Amazon Application Recovery Controller: they move names without the Route 53 API.

use crate::model::ids::{ComponentName, SiteName};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::place::Place;

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
    /// The site that users are sent to, if it is one.
    pub fn leads_to(&self) -> Option<&SiteName> {
        let mut on = self.on.iter().filter(|(_, on)| **on).map(|(site, _)| site);
        on.next().filter(|_| on.next().is_none())
    }
}

/// Traffic that follows routing controls: the record set of each site has a health check that is as its control says (AWS, Amazon
/// Application Recovery Controller, «Routing control»). All of them change in one call, or none does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetRoutingControls {
    /// The controls, and the endpoints that change them.
    pub controls: ControlsRef,
    /// The site whose control is to be `On`, and no other.
    pub to: SiteName,
    /// Which were `On` before.
    pub from: BTreeMap<SiteName, bool>,
    /// Where a cancel turns back to: the one that was `On`, or else the site that is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<SiteName>,
}

impl SetRoutingControls {
    /// What each control is to be.
    pub fn wanted(&self) -> BTreeMap<SiteName, bool> {
        self.controls.controls.keys().map(|site| (site.clone(), *site == self.to)).collect()
    }

    /// The way back, if it is known.
    pub fn reversed(&self) -> Option<Self> {
        let to = self.back.clone()?;
        Some(Self { controls: self.controls.clone(), to, from: self.wanted(), back: Some(self.to.clone()) })
    }
}
