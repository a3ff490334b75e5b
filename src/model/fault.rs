//! What is wrong with a value of a file whose shape is right: which key it is of decides where it is shown.

use crate::model::document::{Node, Value};
use crate::model::finding::{Finding, Span};

/// Something wrong with the value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The keys that lead to it; an item of a list by its number, from 1.
    pub at: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do; that the key is to be corrected, if it is nothing.
    pub fix: String,
    /// What it refers to and did not find.
    pub missed: Vec<String>,
    /// How many of the keys lead to what is of no use because of it.
    whole: usize,
    /// Whether a secret stands there, which nobody is shown.
    secret: bool,
}

impl Fault {
    /// A fault of the value that these keys lead to.
    pub fn new<S: Into<String>>(at: impl IntoIterator<Item = S>, message: impl Into<String>) -> Self {
        let at: Vec<String> = at.into_iter().map(Into::into).collect();
        let (message, whole) = (message.into(), at.len());
        Self { at, message, fix: String::new(), missed: Vec::new(), whole, secret: false }
    }

    /// The same, with the keys in front of what is wrong.
    pub fn said(at: &[&str], why: impl std::fmt::Display) -> Self {
        let fault = Self::new(at.iter().copied(), String::new());
        Self { message: format!("{}: {why}", fault.path()), ..fault }
    }

    /// It stands one key further, and everything that was named before is of no use because of it.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.at.push(key.to_owned());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Says what it refers to.
    #[must_use]
    pub fn misses<S: Into<String>>(mut self, what: impl IntoIterator<Item = S>) -> Self {
        self.missed = what.into_iter().map(Into::into).collect();
        self
    }

    /// Says that a secret stands there.
    #[must_use]
    pub fn of_secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The keys that lead to what is of no use because of it.
    pub fn spoils(&self) -> &[String] {
        &self.at[..self.whole]
    }

    /// As it is written: `policy.windows[1].zone`.
    pub fn path(&self) -> String {
        written(&self.at)
    }

    /// The finding, with its place in the file.
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

/// Keys as people write them.
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

/// The item of a list that a number names.
pub fn nth(key: &str) -> Option<usize> {
    key.parse::<usize>().ok()?.checked_sub(1)
}

/// Whether keys lead to something.
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

/// Where something stands: the value if it is one, else its key. As far as the keys lead, so that what is missing is shown where it belongs.
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
