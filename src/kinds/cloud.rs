//! What the providers of places say of a place: its keys, and what is wrong with it.

use crate::kinds::aws;
use crate::model::finding::{Finding, Span};
use crate::model::place::{CloudProvider, Place};
use crate::model::shape::{Field, Shape, opt};

/// `role:` of a place.
pub const ROLE: Field = opt("role", Shape::Written(&aws::places::ROLE), "the role to assume there");

/// `external_id:` of a place.
pub const EXTERNAL_ID: Field =
    opt("external_id", Shape::Written(&aws::places::EXTERNAL_ID), "the external id that the role requires");

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
