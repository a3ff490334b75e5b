//! Findings of a kind about a component of it, before an emergency.

use super::surroundings::Surroundings;
use crate::model::finding::{Finding, Span};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::objectives::Objectives;

/// A component that its kind checks, and the findings so far.
///
/// References to missing things and impossible dependencies are errors; the rest are warnings.
pub struct Lint<'a> {
    /// Its name.
    pub name: &'a ComponentName,
    /// Where it is declared.
    pub span: Span,
    /// Its objectives: its own, or those of the plan.
    pub objectives: Objectives,
    /// The plan that it is in.
    pub plan: &'a dyn Surroundings,
    /// The file of the plan.
    pub file: &'a str,
    /// Regions that the settings add to the known ones; `None` if the settings are unreadable there.
    pub regions: Option<&'a [String]>,
    /// The findings.
    pub findings: &'a mut Vec<Finding>,
}

impl<'a> Lint<'a> {
    /// Something that prevents the use of the plan.
    pub fn error(&mut self, id: &'static str, span: Span, message: String, cause: &str, fix: &str) {
        self.findings.push(Finding::error(id, self.file, Some(span), message).because(cause).fix(fix));
    }

    /// A risk.
    pub fn warn(&mut self, id: &'static str, span: Span, message: String, cause: &str, fix: &str) {
        self.findings.push(Finding::warning(id, self.file, Some(span), message).because(cause).fix(fix));
    }

    /// The site other than `own` whose region is named in a reference.
    pub fn other_site_in(&self, reference: &str, own: &SiteName) -> Option<&'a SiteName> {
        let own_region = self.plan.site(own).map(|place| place.region.as_str());
        let names_region = |place: &str| Some(place) != own_region && reference.contains(place);
        self.plan.sites().iter().find(|(_, site)| names_region(&site.place.region)).map(|(name, _)| name)
    }
}
