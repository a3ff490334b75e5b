//! Kind `external`: declared and displayed, but recovered by people.

use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::model::document::Node;
use crate::model::shape::{Keys, Shape, opt};

/// Its keys.
pub const KEYS: Keys = Keys {
    name: "external component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        opt("describe", Shape::Text, "what recovers it (text for people)"),
    ],
};

/// How people recover it.
pub fn build(node: &Node) -> Option<String> {
    node.get("describe").and_then(Node::text).map(str::to_owned)
}
