//! Removes the invalid parts of a tree, so that one mistake does not hide the others.

use crate::model::document::{Key, Node, Value};
use crate::model::fault::nth;
use crate::model::shape::{Keys, Shape, fits, is_name};

/// The tree without the parts that do not fit its shape; none if a required key is missing.
pub fn sound(node: &Node, shape: &'static Shape) -> Option<Node> {
    match (shape, &node.value) {
        (Shape::Keys(record), _) => of_record(node, record, |_, value, shape| sound(value, shape)),
        (Shape::Map(inner), Value::Map(entries)) => {
            let good = |(key, value): &(Key, Node)| {
                is_name(&key.text).then(|| sound(value, inner)).flatten().map(|value| (key.clone(), value))
            };
            Some(Node { span: node.span, value: Value::Map(entries.iter().filter_map(good).collect()) })
        }
        (Shape::List(inner), Value::List(items)) => {
            let good = items.iter().filter_map(|item| sound(item, inner)).collect();
            Some(Node { span: node.span, value: Value::List(good) })
        }
        _ => fits(node, shape).then(|| node.clone()),
    }
}

/// The tree without the value at these keys, and without what requires it.
pub fn without(node: &Node, shape: &'static Shape, at: &[String]) -> Option<Node> {
    let (key, rest) = at.split_first()?;
    match (shape, &node.value) {
        (Shape::Keys(record), Value::Map(_)) if node.get(key).is_some() => {
            of_record(node, record, |name, value, shape| match name == key {
                true => without(value, shape, rest),
                false => Some(value.clone()),
            })
        }
        (Shape::Map(inner), Value::Map(entries)) if node.get(key).is_some() => {
            let kept = |(name, value): &(Key, Node)| match name.text == *key {
                true => without(value, inner, rest).map(|value| (name.clone(), value)),
                false => Some((name.clone(), value.clone())),
            };
            Some(Node { span: node.span, value: Value::Map(entries.iter().filter_map(kept).collect()) })
        }
        (Shape::List(inner), Value::List(items)) if nth(key).is_some_and(|n| n < items.len()) => {
            let kept = |(n, item): (usize, &Node)| match nth(key) == Some(n) {
                true => without(item, inner, rest),
                false => Some(item.clone()),
            };
            let items = items.iter().enumerate().filter_map(kept).collect();
            Some(Node { span: node.span, value: Value::List(items) })
        }
        _ => None,
    }
}

fn of_record(
    node: &Node,
    record: &'static Keys,
    each: impl Fn(&str, &Node, &'static Shape) -> Option<Node>,
) -> Option<Node> {
    let Value::Map(entries) = &node.value else { return None };
    let good = |(key, value): &(Key, Node)| {
        let field = record.fields.iter().find(|field| field.key == key.text)?;
        each(&key.text, value, &field.shape).map(|value| (key.clone(), value))
    };
    let good = Node { span: node.span, value: Value::Map(entries.iter().filter_map(good).collect()) };
    record.fields.iter().all(|field| !field.required || good.get(field.key).is_some()).then_some(good)
}
