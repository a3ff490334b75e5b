//! The plan: the authored, standing YAML file of one application, read with spans and checked in full.
//!
//! `model::document` turns bytes into a tree with spans under strict limits; `shapes` says which keys exist, and is the one source
//! of validation, suggestions and the JSON Schema; `build` turns a valid tree into types; `lint` says what would hurt at 3 a.m.
//! No file is opened here: callers hand in bytes and a name.

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
mod telemetry;
pub mod terms;
pub mod types;
mod unread;
mod windows;

use crate::model::document::{self, Node};
use crate::model::finding::{Finding, Severity};
use crate::model::ids::PlanName;
use crate::model::shape;
pub use settings::Settings;
pub use types::Plan;

/// A plan file that was read, and everything that was found wrong with it.
#[derive(Debug, Default)]
pub struct Checked {
    /// The plan, when nothing prevented building it.
    pub plan: Option<Plan>,
    /// What could be built of a plan that has errors: for what is to be said beside them, and for nothing else.
    pub draft: Option<Plan>,
    /// Its name, as far as one is written.
    pub name: Option<PlanName>,
    /// All findings, in the order of the file.
    pub findings: Vec<Finding>,
}

/// Reads and checks one plan file.
pub fn check(file: &str, bytes: &[u8], settings: &Settings) -> Checked {
    let mut findings = Vec::new();
    let tree = match document::parse(file, bytes) {
        Ok(tree) => tree,
        Err(finding) => return Checked { findings: vec![finding], ..Checked::default() },
    };
    shape::validate(file, &tree, &shapes::PLAN, &mut findings);
    secrets::find(file, &String::from_utf8_lossy(bytes), &tree, &mut findings);
    let read = findings.len();
    // A broken shape does not hide what else is wrong: lint what could be built.
    let plan = build::plan(file, bytes, &tree, settings, &mut findings);
    if let Some(plan) = &plan {
        lint::lint(plan, settings, &mut findings);
        unread::only_once(&tree, &mut findings, read);
    }
    findings.sort_by_key(|f| (f.span.map(|s| s.offset), f.id));
    let broken = findings.iter().any(|f| f.severity == Severity::Error);
    let name = tree.get("plan").and_then(Node::text).map(PlanName::new);
    let (plan, draft) = if broken { (None, plan) } else { (plan, None) };
    Checked { plan, draft, name, findings }
}
