//! Faults in the values of a file with a valid shape. Their keys determine where they are shown.

use crate::model::document::{Node, Value};
use crate::model::finding::{Finding, Span};

/// A fault in the value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The keys that lead to it. A list item is given by its number, from 1.
    pub at: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do; empty means: correct the key.
    pub fix: String,
    /// Names in it that do not exist.
    pub missed: Vec<String>,
    /// How many of the keys, from the first, lead to the value that becomes unusable.
    whole: usize,
    /// Whether the value is a secret, which is not shown.
    secret: bool,
}

impl Fault {
    /// A fault in the value at these keys.
    pub fn new<S: Into<String>>(at: impl IntoIterator<Item = S>, message: impl Into<String>) -> Self {
        let at: Vec<String> = at.into_iter().map(Into::into).collect();
        let (message, whole) = (message.into(), at.len());
        Self { at, message, fix: String::new(), missed: Vec::new(), whole, secret: false }
    }

    /// The same, with the keys in front of the message.
    pub fn said(at: &[&str], why: impl std::fmt::Display) -> Self {
        let fault = Self::new(at.iter().copied(), String::new());
        Self { message: format!("{}: {why}", fault.path()), ..fault }
    }

    /// Adds a key to the place. What becomes unusable stays the same.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.at.push(key.to_owned());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Adds the missing names.
    #[must_use]
    pub fn misses<S: Into<String>>(mut self, what: impl IntoIterator<Item = S>) -> Self {
        self.missed = what.into_iter().map(Into::into).collect();
        self
    }

    /// Marks the value as a secret.
    #[must_use]
    pub fn of_secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The keys that lead to the value that it makes unusable.
    pub fn spoils(&self) -> &[String] {
        &self.at[..self.whole]
    }

    /// The path in the notation for people: `policy.windows[1].zone`.
    pub fn path(&self) -> String {
        written(&self.at)
    }

    /// Converts it to a finding with its position in the file.
    pub fn finding(&self, file: &str, tree: &Node) -> Finding {
        let id = if self.secret { "secret-in-plan" } else { "settings-bad-value" };
        let fix = if self.fix.is_empty() { format!("correct `{}`", self.path()) } else { self.fix.clone() };
        Finding::error(id, file, place(tree, &self.at), self.message.clone())
            .because("drctl runs only with settings of which it could read everything")
            .fix(fix)
    }
}

impl From<Fault> for Vec<Fault> {
    fn from(fault: Fault) -> Self {
        vec![fault]
    }
}

/// Keys in the notation for people.
fn written(at: &[String]) -> String {
    let mut path = String::new();
    for key in at {
        match key.bytes().all(|b| b.is_ascii_digit()) {
            true => path.push_str(&format!("[{key}]")),
            false if path.is_empty() => path.push_str(key),
            false => path.push_str(&format!(".{key}")),
        }
    }
    path
}

/// The list index of a number from 1.
pub fn nth(key: &str) -> Option<usize> {
    key.parse::<usize>().ok()?.checked_sub(1)
}

/// Whether the keys lead to a value.
pub fn leads(tree: &Node, at: &[String]) -> bool {
    let mut node = Some(tree);
    for key in at {
        node = match node.map(|node| &node.value) {
            Some(Value::List(items)) => nth(key).and_then(|n| items.get(n)),
            _ => node.and_then(|node| node.get(key)),
        };
    }
    node.is_some()
}

/// The position of a single value, otherwise of its key. If keys are missing, the position of the last one that exists.
pub fn place(tree: &Node, at: &[String]) -> Option<Span> {
    let (mut node, mut span) = (tree, None);
    for key in at {
        let next = match &node.value {
            Value::List(items) => nth(key).and_then(|n| items.get(n)).map(|item| (item.span, item)),
            _ => node.entries().iter().find(|(k, _)| k.text == *key).map(|(k, v)| (k.span, v)),
        };
        let Some((of_key, value)) = next else { break };
        let single = !matches!(value.value, Value::Map(_) | Value::List(_) | Value::Null);
        (node, span) = (value, Some(if single { value.span } else { of_key }));
    }
    span.or((tree.value != Value::Null).then_some(tree.span))
}
