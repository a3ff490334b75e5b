//! What the providers of places say of a place in a plan.

use crate::kinds::aws;
use crate::model::finding::{Finding, Span};
use crate::model::place::{CloudProvider, Place};

/// What is wrong with a site or a connection itself, whatever uses it.
pub fn lint(place: &Place, file: &str, span: Span) -> Option<Finding> {
    match place.cloud {
        CloudProvider::Aws => aws::places::account(place, file, span),
        CloudProvider::Gcp | CloudProvider::None => None,
    }
}

/// Whether a provider has a region of this name.
pub fn is_region(name: &str) -> bool {
    aws::places::REGIONS.contains(&name)
}
