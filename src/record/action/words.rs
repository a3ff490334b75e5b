//! What an action does, in words.

use std::fmt;

use crate::model::ids::ComponentName;
use crate::model::plain::count;
use crate::model::waiver::{Rule, Waiver, accepted_loss};
use crate::record::action::{Action, Check, Gate, Write};

impl Action {
    /// What it does in a run with these waivers. A gate of a possible loss states the limit that applies.
    pub fn words(&self, waivers: &[Waiver]) -> String {
        match self {
            Self::Gate(gate @ Gate::Exposure { components, .. }) => {
                let limits = gate.limits(waivers).into_iter();
                let limits =
                    limits.map(|(most, of)| format!("{} may lose no more than {most}", of.join(", ")));
                let limits = limits.collect::<Vec<_>>().join(" and ");
                let unknown = components.iter().filter(|c| accepts_unknown(waivers, c));
                let unknown: Vec<_> = unknown.map(ComponentName::as_str).collect();
                match unknown.is_empty() {
                    true => format!("continue only if {limits}"),
                    false => format!(
                        "continue only if {limits}; an unknown loss of {} is accepted",
                        unknown.join(", ")
                    ),
                }
            }
            other => other.to_string(),
        }
    }
}

impl Gate {
    /// The losses up to which the gate continues, and the components of each: what people accepted, named as accepted, else the RPO.
    pub fn limits(&self, waivers: &[Waiver]) -> Vec<(String, Vec<&str>)> {
        let Self::Exposure { components, objective_ms } = self else { return Vec::new() };
        let mut limits: Vec<(String, Vec<&str>)> = Vec::new();
        for component in components {
            let most = accepted_loss(waivers, Rule::ExposureAboveRpo, component).map_or_else(
                || objective_ms.to_string(),
                |accepted| format!("{} (accepted)", accepted.in_full()),
            );
            match limits.iter_mut().find(|(limit, _)| *limit == most) {
                Some((_, of)) => of.push(component.as_str()),
                None => limits.push((most, vec![component.as_str()])),
            }
        }
        limits
    }
}

fn accepts_unknown(waivers: &[Waiver], component: &ComponentName) -> bool {
    let rules = [Rule::ExposureUnknown, Rule::OtherSource];
    waivers.iter().any(|w| rules.iter().any(|rule| w.covers(*rule, Some(component))))
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Op(op) => write!(f, "{op}"),
            Self::Check(Check::Identity { place }) => write!(f, "check the credentials for {place}"),
            Self::Check(Check::Guard { component, .. }) => {
                write!(f, "check that this run still holds the guard of {component}")
            }
            Self::Check(Check::Evidence { targets }) => {
                write!(f, "record the current state ({})", count(targets.len(), "resource"))
            }
            Self::Check(Check::Exposure { db, .. }) => {
                write!(f, "measure the writes that {} may lack", db.id)
            }
            Self::Check(Check::Probe { probe, site: Some(site), consecutive }) => {
                write!(f, "check that probe {probe} is good {} in {site}", count(*consecutive, "time"))
            }
            Self::Check(Check::Probe { probe, site: None, consecutive }) => {
                write!(f, "check that probe {probe} is good {}", count(*consecutive, "time"))
            }
            Self::Write(w) => write_words(w, f),
            Self::Gate(Gate::Fenced { component }) => {
                write!(f, "wait until {component} is fenced, with proof")
            }
            Self::Gate(Gate::Exposure { .. }) => f.write_str(&self.words(&[])),
            Self::Gate(Gate::Approval { ask, by, .. }) if by.is_empty() => {
                write!(f, "wait for approval: {ask}")
            }
            Self::Gate(Gate::Approval { ask, by, .. }) => {
                write!(f, "wait for approval of {}: {ask}", by.join(" and "))
            }
            Self::Wait { duration_ms, until: None } => write!(f, "watch for {duration_ms}"),
            Self::Wait { duration_ms, until: Some(what) } => write!(f, "wait {duration_ms} until {what}"),
        }
    }
}

fn write_words(of: &Write, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match of {
        Write::Guard { component, instead_of: Some(other), .. } => {
            write!(f, "take over the guard of {component} from {other}")
        }
        Write::Guard { component, .. } => write!(f, "take the guard of {component}"),
        Write::ReleaseGuard { component, .. } => {
            write!(f, "release the guard of {component}")
        }
    }
}
