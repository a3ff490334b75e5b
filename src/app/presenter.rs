//! How the application reports to people while it works. It prints nothing itself.

use std::path::Path;

use crate::model::finding::Finding;
use crate::model::ids::PlanName;

/// Shows people what happens.
pub trait Presenter: Sync {
    /// One line for a person.
    fn note(&self, text: &str);

    /// Findings, with excerpts of the files whose text is known.
    fn findings(&self, findings: &[Finding], text_of: &dyn Fn(&str) -> Option<String>);

    /// Commands that are shown name this plan by its file from now on, because it is in no folder of plans.
    fn has_plan(&self, plan: &PlanName, file: &Path);
}

/// Shows nothing, for work inside of something that reports the result.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl Presenter for Quiet {
    fn note(&self, _text: &str) {}

    fn findings(&self, _findings: &[Finding], _text_of: &dyn Fn(&str) -> Option<String>) {}

    fn has_plan(&self, _plan: &PlanName, _file: &Path) {}
}
