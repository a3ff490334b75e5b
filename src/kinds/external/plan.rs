//! What a plan says of something that people recover.

use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::model::shape::{Keys, Shape, opt};

pub(super) const KEYS: Keys = Keys {
    name: "external component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        opt("describe", Shape::Prose, "what recovers it (text for people)"),
    ],
};

/// Something that people recover.
#[derive(Clone, Debug)]
pub struct External;
