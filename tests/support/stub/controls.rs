//! Routing controls of Amazon Application Recovery Controller: one cluster with every control that is asked for. The region of a call is
//! that of its endpoint.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::router::{Asked, Service};
use super::wire::Fault;

pub const SERVICE: Service = Service {
    name: "route53-recovery-cluster",
    namespace: "ToggleCustomerAPI",
    operations: &["GetRoutingControlState", "UpdateRoutingControlStates"],
};

/// Controls in one call (Amazon ARC Developer Guide, «Quotas for routing control»).
const MOST_ENTRIES: usize = 10;

/// Whether a control is on, by its ARN. At first those are whose ARN ends with `west`.
#[derive(Default)]
pub struct Controls(BTreeMap<String, bool>);

impl Controls {
    pub fn handle(&mut self, asked: &Asked<'_>) -> Result<Value, Fault> {
        match asked.operation {
            "GetRoutingControlState" => {
                let arn = known(asked.text("RoutingControlArn"))?;
                let on = self.0.get(arn).copied().unwrap_or_else(|| arn.ends_with("west"));
                let state = if on { "On" } else { "Off" };
                Ok(json!({"RoutingControlArn": arn, "RoutingControlState": state}))
            }
            _ => self.update(asked),
        }
    }

    /// All or nothing.
    fn update(&mut self, asked: &Asked<'_>) -> Result<Value, Fault> {
        let entries = asked.input["UpdateRoutingControlStateEntries"].as_array();
        let entries = entries.map_or(&[][..], Vec::as_slice);
        if entries.is_empty() || entries.len() > MOST_ENTRIES {
            return Err(invalid(format!("1 to {MOST_ENTRIES} routing controls")));
        }
        let mut after = Vec::with_capacity(entries.len());
        for entry in entries {
            let arn = known(entry["RoutingControlArn"].as_str().unwrap_or(""))?;
            match entry["RoutingControlState"].as_str() {
                Some("On") => after.push((arn.to_owned(), true)),
                Some("Off") => after.push((arn.to_owned(), false)),
                _ => return Err(invalid("RoutingControlState is On or Off".to_owned())),
            }
        }
        self.0.extend(after);
        Ok(json!({}))
    }
}

fn known(arn: &str) -> Result<&str, Fault> {
    match arn.contains("/routingcontrol/") {
        true => Ok(arn),
        false => Err(Fault::new(404, "ResourceNotFoundException", format!("No routing control {arn}"))),
    }
}

fn invalid(message: String) -> Fault {
    Fault::new(400, "ValidationException", message)
}
