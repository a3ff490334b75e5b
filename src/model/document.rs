//! Parses bytes to a tree with spans. Limits that no real plan reaches let it refuse hostile YAML in bounded time and memory.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Budget, DuplicateKeyPolicy, MergeKeyPolicy, Options};

use crate::model::finding::{Finding, Span};

/// A value with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its position.
    pub span: Span,
}

/// The maximum size of a file. Ten thousand record sets take about 2 MiB.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The maximum nesting depth. A plan needs about eight levels.
const MAX_DEPTH: usize = 32;
/// The maximum number of nodes, with aliases expanded.
const MAX_NODES: usize = 1_000_000;

/// A value with its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its position.
    pub span: Span,
    /// The value.
    pub value: Value,
}

/// A key with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its position.
    pub span: Span,
    /// The key.
    pub text: String,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(k, _)| k.text == key).map(|(_, v)| v)
    }

    /// The entries of a mapping; none for other values.
    pub fn entries(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a sequence; none for other values.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn int(&self) -> Option<i64> {
        match self.value {
            Value::Int(n) => Some(n),
            _ => None,
        }
    }

    /// The kind of the value, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Parses the bytes of a file.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Node, Finding> {
    if bytes.len() > MAX_BYTES {
        return Err(Finding::error(
            "yaml-too-large",
            file,
            None,
            format!("the file has {} bytes, but drctl reads at most {MAX_BYTES}", bytes.len()),
        )
        .because("a plan with ten thousand record sets has about two million bytes, so this file is probably not a plan")
        .fix("name the correct file, or split the application into several plans"));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let good = String::from_utf8_lossy(&bytes[..e.valid_up_to()]);
        let line = good.lines().count().max(1);
        let span = Span {
            offset: e.valid_up_to(),
            len: 0,
            line,
            column: good.lines().last().map_or(1, |l| l.chars().count() + 1),
        };
        Finding::error("yaml-not-utf8", file, Some(span), format!("byte {} is not UTF-8", e.valid_up_to()))
            .because("drctl reads YAML only as UTF-8")
            .fix("save the file as UTF-8")
    })?;
    let tree =
        serde_saphyr::from_str_with_options::<Tree>(text, options()).map_err(|e| syntax(file, text, &e))?;
    Ok(tree.0)
}

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_depth = MAX_DEPTH;
    budget.max_nodes = MAX_NODES;
    budget.max_events = MAX_NODES * 2;
    budget.max_aliases = 1_000;
    budget.max_anchors = 1_000;
    budget.max_documents = 1;
    budget.max_total_scalar_bytes = MAX_BYTES;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.merge_keys = MergeKeyPolicy::Error;
    options.alias_limits.max_total_replayed_events = 100_000;
    options.strict_booleans = true;
    options.with_snippet = false;
    options
}

fn syntax(file: &str, text: &str, e: &serde_saphyr::Error) -> Finding {
    let span = e.location().map(|l| span_of(l, text));
    let message = e.without_snippet().to_string();
    // The message is shown with an excerpt of the place, so the position in the parser's text is redundant.
    let message = message
        .split(" at line ")
        .next()
        .unwrap_or(&message)
        .split(", set DuplicateKeyPolicy")
        .next()
        .unwrap_or_default()
        .to_owned();
    if message.starts_with("duplicate mapping key") {
        return Finding::error("yaml-duplicate-key", file, span, message)
            .because("parsers disagree on which of the two values to use")
            .fix("remove one of them");
    }
    if ["multiple YAML documents", "multiple found", "Documents"].iter().any(|words| message.contains(words))
    {
        return Finding::error(
            "yaml-syntax",
            file,
            span,
            "the file has more than one YAML document".to_owned(),
        )
        .because("drctl reads one document from each file, and would ignore the others")
        .fix("put each plan in a file of its own, and remove the line `---` between them");
    }
    if message.contains("udget")
        || message.contains("limit")
        || message.contains("depth")
        || message.contains("recursion")
    {
        return Finding::error("yaml-limits", file, span, message)
            .because("the file has too many nested levels or aliases; reading it could take unbounded time and memory")
            .fix("use less nesting and fewer aliases");
    }
    // The parser finds a tab only where the line before it ends.
    let tab = if message.contains("tab") { tabbed(text) } else { None };
    let span = tab.or(span);
    let usual = span.and_then(|at| usual(text, &message, at.line));
    let (message, fix) = usual.unwrap_or_else(|| {
        let fix = "correct the line in the message; the usual causes are indentation and quotes";
        (message, fix.to_owned())
    });
    Finding::error("yaml-syntax", file, span, message).because("the file is not valid YAML").fix(fix)
}

/// The first tab that indents a line.
fn tabbed(text: &str) -> Option<Span> {
    let mut offset = 0;
    for (line, n) in text.split_inclusive('\n').zip(1..) {
        let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(at) = line[..blank].find('\t') {
            return Some(Span { offset: offset + at, len: 1, line: n, column: at + 1 });
        }
        offset += line.len();
    }
    None
}

/// The usual cause of a message of the parser, which names tokens, and the fix. Lines count from 1.
fn usual(text: &str, message: &str, at: usize) -> Option<(String, String)> {
    let lines = || text.lines().zip(1..);
    if message.contains("tab") {
        let n = tabbed(text)?.line;
        let words = format!("line {n} is indented with a tab, and YAML allows only spaces there");
        return Some((words, format!("replace the tab in line {n} with spaces")));
    }
    if !message.starts_with("mapping values are not allowed") {
        return None;
    }
    let (line, _) = lines().find(|(_, n)| *n == at)?;
    if line.matches(": ").count() + usize::from(line.ends_with(':')) > 1 {
        let words = format!("line {at} has a second colon, and YAML takes it for another key");
        return Some((words, format!("put the value in line {at} in quotes")));
    }
    let written =
        |(line, n): &(&str, usize)| *n < at && !line.trim().is_empty() && !line.trim().starts_with('#');
    let (before, n) = lines().filter(written).last()?;
    Some(match before.contains(':') {
        false => (
            format!("line {n} has no colon after its key"),
            format!("write a colon at the end of the key in line {n}"),
        ),
        true => (
            format!("line {at} is indented deeper than line {n}, which has a value already"),
            format!("indent line {at} like the other keys of its mapping"),
        ),
    })
}

fn span_of(l: serde_saphyr::Location, text: &str) -> Span {
    let line = usize::try_from(l.line()).unwrap_or(1).max(1);
    let column = usize::try_from(l.column()).unwrap_or(1).max(1);
    let (offset, len) = match (l.span().byte_offset(), l.span().byte_len()) {
        (Some(offset), Some(len)) => {
            (usize::try_from(offset).unwrap_or(0), usize::try_from(len).unwrap_or(0))
        }
        _ => (offset_of(text, line, column), 0),
    };
    Span { offset: offset.min(text.len()), len: len.min(text.len().saturating_sub(offset)), line, column }
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(i, _)| i)
}

/// The tree from the parser; unwrapped at once.
struct Tree(Node);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<Value>::deserialize(d)?;
        Ok(Self(node(spanned)))
    }
}

fn node(spanned: serde_saphyr::Spanned<Value>) -> Node {
    Node { span: plain_span(spanned.referenced), value: spanned.value }
}

fn plain_span(l: serde_saphyr::Location) -> Span {
    let number = |n: Option<u64>| usize::try_from(n.unwrap_or(0)).unwrap_or(0);
    Span {
        offset: number(l.span().byte_offset()),
        len: number(l.span().byte_len()),
        line: number(Some(l.line())),
        column: number(Some(l.column())),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Build;
        impl<'de> Visitor<'de> for Build {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
                Ok(Value::Bool(b))
            }
            fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
                Ok(Value::Int(n))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
                Ok(i64::try_from(n).map_or_else(|_| Value::Text(n.to_string()), Value::Int))
            }
            fn visit_f64<E>(self, n: f64) -> Result<Value, E> {
                Ok(Value::Float(n))
            }
            fn visit_str<E>(self, s: &str) -> Result<Value, E> {
                Ok(Value::Text(s.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut a: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = a.next_element::<serde_saphyr::Spanned<Value>>()? {
                    items.push(node(item));
                }
                Ok(Value::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, value)) =
                    a.next_entry::<serde_saphyr::Spanned<String>, serde_saphyr::Spanned<Value>>()?
                {
                    entries.push((Key { span: plain_span(key.referenced), text: key.value }, node(value)));
                }
                Ok(Value::Map(entries))
            }
        }
        d.deserialize_any(Build)
    }
}
