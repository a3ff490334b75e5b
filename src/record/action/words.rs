//! What an action does, in words.

use std::fmt;

use crate::model::ids::ComponentName;
use crate::model::plain::count;
use crate::record::action::{Action, Check, Gate, Write};

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
            Self::Gate(Gate::Exposure { components, objective_ms }) => {
                let names: Vec<_> = components.iter().map(ComponentName::as_str).collect();
                write!(f, "continue only if {} may lose no more than {objective_ms}", names.join(", "))
            }
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
