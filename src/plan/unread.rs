//! Removes findings that repeat another one: an unreadable value is reported once, and not as a missing value, too.

use crate::model::document::{Key, Node, Value};
use crate::model::finding::{Finding, Severity};
use crate::model::shape::suggest;

/// Findings about missing values, with the missing key.
const MISSED: &[(&str, &str)] = &[
    ("record-without-ttl", "ttl"),
    ("record-without-set", "at"),
    ("no-weight", "at"),
    ("no-fence", "fence"),
    ("no-write-check", "verify"),
    ("no-capacity-floor", "at"),
    ("invariant-without-expectation", "is"),
    ("invariant-without-expectation", "at_least"),
    ("traffic-without-database", "needs"),
    ("no-public-probe", "probes"),
    ("one-site-only", "sites"),
];

/// Removes findings that only repeat one of the first `read` findings, which report unreadable values.
pub fn only_once(tree: &Node, findings: &mut Vec<Finding>, read: usize) {
    let broken = findings[..read].iter().filter(|f| f.severity == Severity::Error);
    let broken: Vec<usize> = broken.filter_map(|f| f.span.map(|span| span.offset)).collect();
    let said: Vec<_> = findings[..read].iter().map(|f| (f.id, f.span.map(|span| span.offset))).collect();
    let mut at = 0;
    findings.retain(|finding| {
        at += 1;
        let missed = MISSED.iter().filter(|(id, _)| *id == finding.id);
        let Some(span) = finding.span.filter(|_| at > read) else { return true };
        let again = said.contains(&(finding.id, Some(span.offset)))
            || finding.id == "secret-in-plan" && broken.contains(&span.offset);
        !again
            && (broken.is_empty() || !missed.clone().any(|(_, key)| unread(tree, key, span.offset, &broken)))
    });
}

/// Whether a mapping at this offset has the key, or a misspelling of it, with an unreadable value.
fn unread(node: &Node, key: &str, offset: usize, broken: &[usize]) -> bool {
    let meant = |k: &Key| k.text == key || suggest(&k.text, [key].into_iter()).is_some();
    let bad =
        |(k, v): &&(Key, Node)| meant(k) && broken.iter().any(|at| k.span.offset == *at || holds(v, *at));
    // A key that is one level too deep is among the sites.
    let deep = |(k, v): &&(Key, Node)| {
        k.text == "at" && v.entries().iter().any(|(k, _)| k.text == key && broken.contains(&k.span.offset))
    };
    let here = holds(node, offset) && node.entries().iter().any(|entry| bad(&entry) || deep(&entry));
    here || children(node).any(|child| holds(child, offset) && unread(child, key, offset, broken))
}

fn children(node: &Node) -> Box<dyn Iterator<Item = &Node> + '_> {
    match &node.value {
        Value::Map(entries) => Box::new(entries.iter().map(|(_, v)| v)),
        Value::List(items) => Box::new(items.iter()),
        _ => Box::new(std::iter::empty()),
    }
}

/// Whether part of a node is at this offset.
fn holds(node: &Node, offset: usize) -> bool {
    let key = |(k, _): &(Key, Node)| k.span.offset == offset;
    node.span.offset == offset || node.entries().iter().any(key) || children(node).any(|n| holds(n, offset))
}
