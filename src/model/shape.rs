//! Describes the shape of a file, and validates a tree against it.
//!
//! Validation, suggestions for mistyped keys and the JSON Schema use one description (`shapes.rs`), so they cannot differ.

use std::collections::BTreeSet;

use crate::model::document::{Node, Value};
use crate::model::finding::{Finding, Span};
use crate::model::plain::acts;
use crate::model::syntax::Syntax;
use crate::model::time::Dur;

/// Keys of a login whose values are no secrets.
const OPEN: &[&str] = &["user", "username", "login", "host", "port", "dbname", "database", "endpoint_of"];

/// The shape of a value.
#[derive(Debug)]
pub enum Shape {
    /// Any text that is not empty.
    Text,
    /// The same for people: it may contain blanks that look like a space, such as a no-break space. No provider compares it.
    Prose,
    /// Text with a given syntax.
    Written(&'static Syntax),
    /// A name: letters, digits, `-`, `_`, `.`.
    Name,
    /// A duration with its unit.
    Duration,
    /// `80%`, above 0.
    Percent,
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds.
    Int(i64, i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Text, or `{secret: "scheme:ref"}` with a reference of this syntax, or `{endpoint_of: component}`.
    Secret(&'static Syntax),
    /// A list of values with this shape.
    List(&'static Shape),
    /// A mapping with free names as keys.
    Map(&'static Shape),
    /// A mapping with known keys.
    Keys(&'static Keys),
    /// A mapping whose key `kind` says which record it is.
    ByKind(&'static [Case]),
    /// Either of two.
    Either(&'static Shape, &'static Shape),
    /// Any value; not validated here.
    Any,
}

/// A mapping with known keys.
#[derive(Debug)]
pub struct Keys {
    /// What it is, for messages.
    pub name: &'static str,
    /// Its keys.
    pub fields: &'static [Field],
}

/// One kind of a mapping whose keys depend on its kind.
#[derive(Debug)]
pub struct Case {
    /// The kind.
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static Keys,
    /// Other common names for it.
    pub called: &'static [&'static str],
}

/// A known key.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// Whether it is required.
    pub required: bool,
    /// Its shape.
    pub shape: Shape,
    /// Its description, for the schema and editors.
    pub doc: &'static str,
}

/// An optional key.
pub const fn opt(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { key, required: false, shape, doc }
}

/// A required key.
pub const fn req(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { key, required: true, shape, doc }
}

/// Validates `node` against `record` and adds the faults to `findings`.
pub fn validate(file: &str, node: &Node, record: &'static Keys, findings: &mut Vec<Finding>) {
    if node.value == Value::Null {
        let finding = Finding::error(
            "plan-wrong-type",
            file,
            Some(node.span),
            "the file is empty, or has only comments",
        )
        .because(format!("it has none of the keys of `{}`", record.name))
        .fix("write them, or remove the file; drctl init NAME writes a first plan");
        return findings.push(finding);
    }
    Walk { file, findings }.record(node, record);
}

/// Whether a value has its shape.
pub fn fits(node: &Node, shape: &'static Shape) -> bool {
    let mut findings = Vec::new();
    Walk { file: "", findings: &mut findings }.value(node, shape, "");
    findings.is_empty()
}

/// Whether text is a valid name: letters, digits, `-`, `_`, `.`.
pub fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 100 && text.chars().all(good) && !text.starts_with(['-', '.'])
}

struct Walk<'a> {
    file: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl Walk<'_> {
    fn value(&mut self, node: &Node, shape: &'static Shape, what: &str) {
        match shape {
            Shape::Any => {}
            Shape::Keys(record) => self.record(node, record),
            Shape::ByKind(cases) => self.by_kind(node, cases),
            Shape::List(inner) => match &node.value {
                Value::List(items) => items.iter().for_each(|item| self.value(item, inner, what)),
                _ => self.wrong(node, what, "a list"),
            },
            Shape::Map(inner) => match &node.value {
                Value::Map(entries) => {
                    for (key, value) in entries {
                        self.name(&key.text, key.span, what);
                        self.value(value, inner, &key.text);
                    }
                }
                _ => self.wrong(node, what, "a mapping"),
            },
            // The errors of the alternative that was probably meant are the useful ones.
            Shape::Either(a, b) => self.value(node, if looks_like(node, a) { a } else { b }, what),
            _ => self.scalar(node, shape, what),
        }
    }

    fn scalar(&mut self, node: &Node, shape: &Shape, what: &str) {
        match (shape, &node.value) {
            (Shape::Text | Shape::Prose | Shape::Secret(_) | Shape::Written(_), Value::Text(text))
                if text.chars().any(acts) =>
            {
                self.unseen(node, what, text);
            }
            (Shape::Text | Shape::Prose, Value::Text(text)) if !text.trim().is_empty() => {}
            (Shape::Text | Shape::Prose, Value::Text(_)) => self.wrong(node, what, "non-empty text"),
            (Shape::Written(syntax), Value::Text(text)) if syntax.fits(text) => {}
            (Shape::Written(syntax), Value::Text(text)) => self.unwritten(node, what, text, syntax),
            (Shape::Text | Shape::Prose | Shape::Written(_), Value::Int(_) | Value::Float(_)) => self.push(
                Finding::error(
                    "plan-wrong-type",
                    self.file,
                    Some(node.span),
                    format!("`{what}` must be text, but YAML reads this value as a number"),
                )
                .because("YAML drops leading zeros and rounds long numbers, which breaks account ids")
                .fix("put the value in quotes"),
            ),
            (Shape::Name, Value::Text(text)) => self.name(text, node.span, what),
            (Shape::Duration, Value::Text(text)) => {
                if let Err(e) = Dur::parse(text) {
                    self.duration(node, what, text, &e);
                }
            }
            (Shape::Duration, Value::Int(n)) => {
                self.unit(
                    node,
                    what,
                    &format!("`{n}` has no unit"),
                    &format!("write {n}s for seconds or {n}m for minutes"),
                );
            }
            (Shape::Percent, Value::Text(_) | Value::Int(_)) => self.percentage(node, what),
            (Shape::Bool, Value::Bool(_)) => {}
            (Shape::Int(min, max), Value::Int(n)) if (min..=max).contains(&n) => {}
            (Shape::Int(min, max), Value::Int(n)) => self.push(
                Finding::error(
                    "plan-out-of-range",
                    self.file,
                    Some(node.span),
                    format!("`{what}` is {n}, but must be from {min} to {max}"),
                )
                .because("the provider or drctl accepts only values in this range")
                .fix(format!("choose a number from {min} to {max}")),
            ),
            (Shape::OneOf(words), Value::Text(text)) if words.contains(&text.as_str()) => {}
            (Shape::OneOf(words), Value::Text(text)) => self.unknown_word(node, what, text, words),
            (Shape::Secret(reference), _) => self.secret(node, what, reference),
            (shape, _) => self.wrong(node, what, expected(shape)),
        }
    }

    fn percentage(&mut self, node: &Node, what: &str) {
        match &node.value {
            Value::Text(text) if percent(text).is_some() => {}
            Value::Text(text) if text.strip_suffix('%').is_some_and(is_number) => self.push(
                Finding::error(
                    "plan-out-of-range",
                    self.file,
                    Some(node.span),
                    format!("`{what}` is {text}, but must be from 1% to 1000%, in whole percent"),
                )
                .because("a share of nothing serves nobody, and drctl counts in whole percent")
                .fix("choose a percentage from 1% to 1000%, or remove the key"),
            ),
            Value::Int(n) => {
                self.unit(node, what, &format!("`{n}` has no unit"), &format!("write {n}%"));
            }
            _ => self.unit(node, what, "this is not a percentage", "write, for example, 80%"),
        }
    }

    fn secret(&mut self, node: &Node, what: &str, reference: &Syntax) {
        let key = |wanted: &str| match &node.value {
            Value::Map(entries) => match entries.as_slice() {
                [(key, value)] if key.text == wanted => value.text().map(|text| (value, text.to_owned())),
                _ => None,
            },
            _ => None,
        };
        match (&node.value, key("secret"), key("endpoint_of")) {
            (Value::Text(text), ..) if reference.fits(text) => self.push(
                Finding::error(
                    "plan-wrong-type",
                    self.file,
                    Some(node.span),
                    format!("`{what}` is text, but a reference needs the key `secret`"),
                )
                .because("drctl would take the text for the credentials themselves")
                .fix(format!("write {{secret: \"{}\"}} with your reference", reference.example)),
            ),
            (Value::Text(_), ..) | (_, _, Some(_)) => {}
            (_, Some((_, text)), _) if reference.fits(&text) => {}
            (_, Some((place, text)), _) => self.no_reference(place, &text, reference),
            _ => self.no_login(node, what, reference),
        }
    }

    /// Login and password under keys of their own, or another value: each line that may hold the secret is one that is not shown.
    fn no_login(&mut self, node: &Node, what: &str, reference: &Syntax) {
        let fix = format!("write {{secret: \"{}\"}} with your reference", reference.example);
        let mut held = Vec::new();
        literals(node, reference, &mut held);
        let mut lines = BTreeSet::new();
        held.retain(|span| lines.insert(span.line));
        let kind = node.kind();
        if held.is_empty() {
            let message = format!("`{what}` is {kind}, but must be {{secret: \"..\"}}");
            let cause = "drctl reads a login from a secret store or a file, and needs only the reference";
            let finding = Finding::error("plan-wrong-type", self.file, Some(node.span), message);
            return self.push(finding.because(cause).fix(fix));
        }
        for span in held {
            let message = format!("`{what}` is {kind} that may contain a secret");
            self.push(
                Finding::error("secret-in-plan", self.file, Some(span), message)
                    .because("drctl stores plans in journals and evidence bundles, so a plan holds only a reference")
                    .fix(format!("{fix}; if the value is a secret, replace it everywhere")),
            );
        }
    }

    /// Text that names no place may be the secret itself, so it is not repeated.
    fn no_reference(&mut self, node: &Node, text: &str, reference: &Syntax) {
        if text.contains([':', '/']) {
            return self.unwritten(node, "secret", text, reference);
        }
        let message = "the value of `secret` is not a secret reference, and may be a secret".to_owned();
        self.push(
            Finding::error("secret-in-plan", self.file, Some(node.span), message)
                .because(format!("{} has this format: {}", reference.name, reference.rule))
                .fix(format!(
                    "write it as in `{}`; if the value is a secret, replace it everywhere",
                    reference.example
                )),
        );
    }

    fn unwritten(&mut self, node: &Node, what: &str, text: &str, syntax: &Syntax) {
        let Syntax { name, rule, example, longest, .. } = syntax;
        let message = match text.chars().count() {
            n if n > *longest => format!("`{what}` has {n} characters, but {name} has at most {longest}"),
            _ => format!("`{}` is not {name} (in `{what}`)", text.escape_debug()),
        };
        self.push(
            Finding::error("plan-bad-value", self.file, Some(node.span), message)
                .because(format!("{name} has this format: {rule}"))
                .fix(format!("write it as in `{example}`")),
        );
    }

    fn unseen(&mut self, node: &Node, what: &str, text: &str) {
        let escaped =
            |c: char| if acts(c) || is_blank(c) { c.escape_unicode().to_string() } else { c.to_string() };
        let shown: String = text.chars().map(escaped).collect();
        self.push(
            Finding::error(
                "plan-invisible-character",
                self.file,
                Some(node.span),
                format!("`{what}` contains an invisible character, or a blank at an end: `{shown}`"),
            )
            .because("the value looks like another name, but the provider compares every character")
            .fix("type the value again on one line, without control characters"),
        );
    }

    fn unknown_word(&mut self, node: &Node, what: &str, text: &str, words: &[&str]) {
        let hint = suggest(text, words.iter().copied())
            .map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
        self.push(
            Finding::error(
                "plan-unknown-value",
                self.file,
                Some(node.span),
                format!("`{text}` is not a valid {what}{hint}"),
            )
            .because(format!("`{what}` must be one of: {}", words.join(", ")))
            .fix("choose one of them"),
        );
    }

    fn record(&mut self, node: &Node, record: &'static Keys) {
        let Value::Map(entries) = &node.value else {
            return self.no_mapping(node, record);
        };
        for (key, value) in entries {
            match record.fields.iter().find(|f| f.key == key.text) {
                Some(Field { key: at @ "at", shape: Shape::Map(inner), .. }) => {
                    self.at(value, inner, at, record)
                }
                Some(Field { key, shape: prose @ Shape::Prose, .. }) => self.value(value, prose, key),
                // Arguments of commands are items of a list, and may be padded.
                Some(field) => match value.text().filter(|text| is_padded(text)) {
                    Some(text) => self.unseen(value, field.key, text),
                    None => self.value(value, &field.shape, field.key),
                },
                None => self.unknown_key(&key.text, key.span, record),
            }
        }
        for field in record.fields.iter().filter(|f| f.required && node.get(f.key).is_none()) {
            self.push(
                Finding::error(
                    "plan-missing-key",
                    self.file,
                    Some(node.span),
                    format!("{} has no `{}`", record.name, field.key),
                )
                .because(field.doc)
                .fix(format!("add `{}:`", field.key)),
            );
        }
    }

    /// What is in each site. A key that belongs beside `at:` is not a site.
    fn at(&mut self, node: &Node, inner: &'static Shape, what: &'static str, record: &'static Keys) {
        let Value::Map(entries) = &node.value else { return self.wrong(node, what, "a mapping") };
        for (key, value) in entries {
            if !record.fields.iter().any(|field| field.key == key.text) {
                self.name(&key.text, key.span, what);
                self.value(value, inner, &key.text);
                continue;
            }
            let message = format!("`{}` is not a declared site; is it indented too far?", key.text);
            self.push(
                Finding::error("unknown-site", self.file, Some(key.span), message)
                    .because("`at:` has a key for each site, and the other keys are beside `at:`")
                    .fix(format!("indent `{}:` like `at:`", key.text)),
            );
        }
    }

    fn by_kind(&mut self, node: &Node, cases: &'static [Case]) {
        let kinds = || cases.iter().map(|case| case.name);
        let Some(kind) = node.get("kind") else {
            return self.push(
                Finding::error("plan-missing-key", self.file, Some(node.span), "component has no `kind`")
                    .because("the kind decides how drctl recovers the component")
                    .fix(format!("add `kind:` with one of: {}", kinds().collect::<Vec<_>>().join(", "))),
            );
        };
        let name = kind.text().unwrap_or_default();
        match cases.iter().find(|case| case.name == name) {
            Some(case) => self.record(node, case.keys),
            None => {
                let hint = kind_meant(name, cases);
                let hint = hint.map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
                self.push(
                    Finding::error(
                        "plan-unknown-kind",
                        self.file,
                        Some(kind.span),
                        format!("`{name}` is not a kind of component{hint}"),
                    )
                    .because(format!("the kinds are: {}", kinds().collect::<Vec<_>>().join(", ")))
                    .fix("choose one of them, or `external` for what something else recovers"),
                );
            }
        }
    }

    fn unknown_key(&mut self, key: &str, span: Span, record: &Keys) {
        let keys = || record.fields.iter().map(|f| f.key);
        let hint = suggest(key, keys());
        let fix = match hint {
            Some(s) => format!("write `{s}`, or remove the key"),
            None => format!(
                "remove it; the keys of {} are: {}",
                record.name,
                keys().collect::<Vec<_>>().join(", ")
            ),
        };
        let hint = hint.map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
        self.push(
            Finding::error(
                "plan-unknown-key",
                self.file,
                Some(span),
                format!("{} has no key `{key}`{hint}", record.name),
            )
            .because(
                "if drctl ignored the key, whoever wrote it would rely on something that drctl does not do",
            )
            .fix(fix),
        );
    }

    fn name(&mut self, text: &str, span: Span, what: &str) {
        if !is_name(text) {
            self.push(
                Finding::error(
                    "plan-bad-name",
                    self.file,
                    Some(span),
                    format!("`{}` is not a valid name (in `{what}`)", text.escape_debug()),
                )
                .because("drctl uses names in step ids, file names and comments at the provider")
                .fix("use up to 100 letters, digits, `-`, `_` and `.`, and start with a letter or digit"),
            );
        }
    }

    fn unit(&mut self, node: &Node, what: &str, cause: &str, fix: &str) {
        self.push(
            Finding::error(
                "plan-wrong-unit",
                self.file,
                Some(node.span),
                format!("`{what}` needs a value with a unit"),
            )
            .because(cause)
            .fix(fix),
        );
    }

    /// Text that is no duration: without a unit, or with one that drctl does not know.
    fn duration(&mut self, node: &Node, what: &str, text: &str, cause: &str) {
        let fix = "write, for example, 60s, 15m or 2h";
        if is_number(text) {
            return self.unit(node, what, cause, fix);
        }
        let message = format!("`{what}` is not a duration that drctl can read");
        let finding = Finding::error("plan-wrong-unit", self.file, Some(node.span), message);
        self.push(finding.because(cause).fix(fix));
    }

    /// A value in the place of a mapping with known keys. The fix shows what to write around it.
    fn no_mapping(&mut self, node: &Node, record: &Keys) {
        let required = record.fields.iter().filter(|field| field.required).map(|field| field.key);
        let keys: Vec<_> = match required.collect::<Vec<_>>() {
            none if none.is_empty() => record.fields.iter().map(|field| field.key).collect(),
            required => required,
        };
        let fix = match keys.as_slice() {
            [one] => format!("write a mapping, as in {{{one}: ..}}"),
            some => format!("write a mapping with its keys: {}", some.join(", ")),
        };
        let message = format!("`{}` is {}, but must be a mapping", record.name, node.kind());
        let finding = Finding::error("plan-wrong-type", self.file, Some(node.span), message);
        self.push(finding.because("the value has a different type than the key needs").fix(fix));
    }

    fn wrong(&mut self, node: &Node, what: &str, wanted: &str) {
        self.push(
            Finding::error(
                "plan-wrong-type",
                self.file,
                Some(node.span),
                format!("`{what}` is {}, but must be {wanted}", node.kind()),
            )
            .because("the value has a different type than the key needs")
            .fix(format!("write {wanted}")),
        );
    }

    fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

/// Whether it begins or ends with a blank, or contains one that looks like a space and is none.
fn is_padded(text: &str) -> bool {
    !text.trim().is_empty() && (text.trim() != text || text.chars().any(is_blank))
}

/// Blanks other than the space and the ASCII control characters.
fn is_blank(c: char) -> bool {
    c.is_whitespace() && !c.is_ascii()
}

fn looks_like(node: &Node, shape: &Shape) -> bool {
    match shape {
        Shape::Percent => node.text().is_some(),
        Shape::Keys(_) | Shape::Map(_) => matches!(node.value, Value::Map(_)),
        Shape::List(_) => matches!(node.value, Value::List(_)),
        Shape::Int(..) => node.int().is_some(),
        _ => node.text().is_some(),
    }
}

/// The single values in a node that are not references. Those under keys such as `username` do not count if there are others.
fn literals(node: &Node, reference: &Syntax, held: &mut Vec<Span>) {
    match &node.value {
        Value::Null => {}
        Value::Map(entries) => {
            let before = held.len();
            let (open, others): (Vec<_>, Vec<_>) =
                entries.iter().partition(|(key, _)| OPEN.contains(&key.text.as_str()));
            others.into_iter().for_each(|(_, value)| literals(value, reference, held));
            if held.len() == before {
                open.into_iter().for_each(|(_, value)| literals(value, reference, held));
            }
        }
        Value::List(items) => items.iter().for_each(|item| literals(item, reference, held)),
        Value::Text(text) if reference.fits(text) => {}
        _ => held.push(node.span),
    }
}

fn expected(shape: &Shape) -> &'static str {
    match shape {
        Shape::Text | Shape::Prose => "text",
        Shape::Written(syntax) => syntax.name,
        Shape::Name => "a name",
        Shape::Duration => "a duration such as 15m",
        Shape::Percent => "a percentage such as 80%",
        Shape::Bool => "true or false",
        Shape::Int(..) => "a whole number",
        Shape::OneOf(_) => "one of the allowed words",
        _ => "something else",
    }
}

/// `80%` as 80.
pub fn percent(text: &str) -> Option<u32> {
    text.strip_suffix('%')?.trim().parse().ok().filter(|n| (1..=1_000).contains(n))
}

fn is_number(text: &str) -> bool {
    text.trim().parse::<f64>().is_ok_and(f64::is_finite)
}

/// The kind that was probably meant. Other common names come before similar spellings, and the first match wins.
fn kind_meant(typed: &str, cases: &'static [Case]) -> Option<&'static str> {
    let lower = typed.to_ascii_lowercase();
    let found =
        |case: &Case| case.called.iter().filter_map(|word| lower.find(word)).min().map(|at| (at, case.name));
    let called = cases.iter().filter_map(found).min_by_key(|(at, _)| *at).map(|(_, name)| name);
    called.or_else(|| suggest(typed, cases.iter().map(|case| case.name)))
}

/// The known word that was probably meant.
pub fn suggest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = typed.to_ascii_lowercase().replace('-', "_");
    known
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_ascii_lowercase().replace('-', "_")), k))
        .filter(|(distance, k)| *distance <= 1 + k.len().min(typed.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}
