//! Routing controls of Amazon Application Recovery Controller: they move names without the Route 53 API.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::route53::calls;
use crate::kinds::op::{Op, made_as_a_whole};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::{Called, Judged, Progress, State, Target};
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::place::Place;
use crate::model::properties::{InDoubt, LEADS, Late, Moves, Properties, Undo};
use crate::model::time::Dur;

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

impl Op for SetRoutingControls {
    type Back = Self;

    fn properties(&self) -> Properties {
        Properties { moves: Moves::ByName, made_up_for: true, ..LEADS }
    }

    fn undo(&self) -> Undo<Self> {
        self.reversed().map_or(Undo::Nothing, Undo::By)
    }

    fn in_doubt(&self) -> InDoubt {
        InDoubt::Repeat
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        None
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.controls.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    fn watch(&self, _: &Called<'_>) -> Target {
        Target::Controls(self.controls.clone())
    }

    fn judge(&self, seen: &State, _: &Progress<'_>) -> Judged {
        match seen {
            State::Controls(seen) => Judged::stands(seen.on == self.wanted()),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole!();

    /// A safety rule may require time between two changes (`WaitPeriodMs`, Amazon Application Recovery Controller API Reference).
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(2), Dur::mins(10))
    }

    fn calls(&self) -> Vec<Call> {
        calls::controls(self)
    }

    fn changes(&self) -> Vec<Change> {
        let resource = format!("routing controls of {}", self.controls.component);
        let (before, after) = (on(&self.from), on(&self.wanted()));
        vec![Change::new(&self.controls.place.name, &resource, "On", before, after)]
    }
}

impl fmt::Display for SetRoutingControls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "turn the routing control of {} on, and all others off", self.to)
    }
}

fn on(controls: &BTreeMap<SiteName, bool>) -> String {
    let on: Vec<_> = controls.iter().filter(|(_, on)| **on).map(|(site, _)| site.as_str()).collect();
    if on.is_empty() { "none".to_owned() } else { on.join(",") }
}
