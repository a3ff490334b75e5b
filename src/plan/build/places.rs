//! Sites and other places.

use crate::kinds::Site;
use crate::model::document::{Node, Value};
use crate::model::place::{CloudProvider, Place};

pub(super) fn site(key: &str, node: &Node) -> Site {
    let recovery = !matches!(node.get("recovery").map(|n| &n.value), Some(Value::Bool(false)));
    Site { place: place(key, node, key), recovery, span: node.span }
}

/// The provider that a place names. The shape check reports an unknown one.
fn cloud(node: &Node) -> CloudProvider {
    let named = node.get("cloud").and_then(Node::text);
    named.map_or(CloudProvider::Aws, |name| CloudProvider::from_name(name).unwrap_or(CloudProvider::None))
}

pub(super) fn place(name: &str, node: &Node, default_region: &str) -> Place {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    Place {
        name: name.to_owned(),
        cloud: cloud(node),
        region: text("region").unwrap_or_else(|| default_region.to_owned()),
        account: text("account"),
        role: text("role"),
        external_id: text("external_id"),
    }
}
