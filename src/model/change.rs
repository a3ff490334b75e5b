//! A changed attribute of a resource: what a Terraform apply or a GitOps loop would revert.

use schemars::JsonSchema;
use serde::Serialize;

/// One changed attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// Where the resource is: one name may stand for two resources, each in its region or zone.
    #[serde(skip)]
    #[schemars(skip)]
    pub place: String,
    /// The resource, as the provider names it.
    pub resource: String,
    /// The attribute, as Terraform names it where it has a name for it.
    pub attribute: String,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

impl Change {
    /// An attribute before and after.
    pub fn new(place: &str, resource: &str, attribute: &str, before: String, after: String) -> Self {
        Self {
            place: place.to_owned(),
            resource: resource.to_owned(),
            attribute: attribute.to_owned(),
            before,
            after,
        }
    }

    /// The same change taken back.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { before: self.after, after: self.before, ..self }
    }

    /// Whether both are of one attribute.
    pub fn is_of(&self, other: &Self) -> bool {
        self.place == other.place && self.resource == other.resource && self.attribute == other.attribute
    }
}
