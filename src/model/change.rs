//! A changed attribute of a resource that a Terraform apply or a GitOps loop would revert.

use schemars::JsonSchema;
use serde::Serialize;

/// One changed attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// Where the resource is. Two resources may have the same name in different regions or zones.
    #[serde(skip)]
    #[schemars(skip)]
    pub place: String,
    /// The provider's name of the resource.
    pub resource: String,
    /// The attribute, by its Terraform name if it has one.
    pub attribute: String,
    /// The value before.
    pub before: String,
    /// The value after.
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

    /// The reverse change.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { before: self.after, after: self.before, ..self }
    }

    /// Whether both change the same attribute.
    pub fn is_of(&self, other: &Self) -> bool {
        self.place == other.place && self.resource == other.resource && self.attribute == other.attribute
    }
}
