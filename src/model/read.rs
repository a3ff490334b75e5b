//! Reads values from a document. Values with the wrong shape are left out.

use std::collections::BTreeMap;

use crate::model::document::{Node, Spanned};
use crate::model::time::Dur;

/// A duration.
pub fn dur(node: &Node) -> Option<Dur> {
    Dur::parse(node.text()?).ok()
}

/// A duration with its position.
pub fn spanned_dur(node: &Node) -> Option<Spanned<Dur>> {
    Some(Spanned { value: dur(node)?, span: node.span })
}

/// Text with its position.
pub fn spanned_text(node: &Node) -> Option<Spanned<String>> {
    Some(Spanned { value: node.text()?.to_owned(), span: node.span })
}

/// A list of names.
pub fn names<T: for<'a> From<&'a str>>(node: &Node) -> Vec<Spanned<T>> {
    node.items().iter().filter_map(|n| Some(Spanned { value: T::from(n.text()?), span: n.span })).collect()
}

/// The entries under a key.
pub fn map<K: Ord, V>(
    node: &Node,
    key: &str,
    build: impl Fn(&str, &Node) -> Option<(K, V)>,
) -> BTreeMap<K, V> {
    node.get(key)
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .filter_map(|(k, v)| build(&k.text, v))
        .collect()
}
