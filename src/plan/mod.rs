//! The plan: the YAML file that describes one application, parsed with positions and checked completely.
//!
//! `model::document` parses bytes to a tree with spans under strict limits. `shapes` defines the keys, for validation, suggestions and the
//! JSON Schema. `build` turns a valid tree into types. `lint` reports risks for a recovery. No file is opened here: callers pass bytes and
//! a name.

pub mod build;
pub mod catalog;
pub mod graph;
pub mod lint;
mod notify;
pub mod policy;
mod retention;
mod schedules;
pub mod schema;
mod secrets;
pub mod settings;
pub mod shapes;
mod surroundings;
mod telemetry;
pub mod terms;
pub mod types;
mod unread;
mod windows;

use crate::model::document::{self, Node};
use crate::model::finding::{Finding, Severity};
use crate::model::ids::PlanName;
use crate::model::shape;
use crate::model::worst::worst_first;
pub use settings::Settings;
pub use types::Plan;

/// A parsed plan file with all its findings.
#[derive(Debug, Default)]
pub struct Checked {
    /// The plan, if it could be built.
    pub plan: Option<Plan>,
    /// The valid parts of a plan with errors. It is used only for further findings.
    pub draft: Option<Plan>,
    /// Its name, if it has one.
    pub name: Option<PlanName>,
    /// All findings, in the order of the file.
    pub findings: Vec<Finding>,
}

/// Parses and checks one plan file.
pub fn check(file: &str, bytes: &[u8], settings: &Settings) -> Checked {
    let mut findings = Vec::new();
    let tree = match document::parse(file, bytes) {
        Ok(tree) => tree,
        Err(finding) => {
            findings.push(finding);
            secrets::find_in_text(file, &String::from_utf8_lossy(bytes), &mut findings);
            secrets::hide(&mut findings);
            return Checked { findings, ..Checked::default() };
        }
    };
    shape::validate(file, &tree, &shapes::PLAN, &mut findings);
    secrets::find(file, &String::from_utf8_lossy(bytes), &tree, &mut findings);
    let read = findings.len();
    // A wrong shape does not hide other mistakes: lint checks the parts that could be built.
    let plan = build::plan(file, bytes, &tree, settings, &mut findings);
    if let Some(plan) = &plan {
        lint::lint(plan, settings, &mut findings);
        unread::only_once(&tree, &mut findings, read);
    }
    secrets::hide(&mut findings);
    findings.sort_by_key(|f| (f.span.map(|s| s.offset), f.id));
    worst_first(&mut findings);
    let broken = findings.iter().any(|f| f.severity == Severity::Error);
    let name = tree.get("plan").and_then(Node::text).map(PlanName::new);
    let (plan, draft) = if broken { (None, plan) } else { (plan, None) };
    Checked { plan, draft, name, findings }
}
