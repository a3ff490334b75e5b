//! Writing XML, and parsing the little of it that `ChangeResourceRecordSets` sends.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use super::clock::{self, Micros};

/// An XML writer.
pub struct Xml(String);

impl Xml {
    pub fn new() -> Self {
        // One database or group with its frame fits, so that most answers take one allocation.
        Self(String::with_capacity(4_096))
    }

    /// For a fragment that is stored: `into_kept` frees the unused space.
    pub fn fragment() -> Self {
        Self(String::with_capacity(512))
    }

    /// Markup, or text that needs no escaping.
    pub fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// A number, or anything else that needs no escaping.
    pub fn show(&mut self, value: impl Display) -> &mut Self {
        let _ = write!(self.0, "{value}"); // writing to a String cannot fail
        self
    }

    /// Text from outside.
    pub fn text(&mut self, text: &str) -> &mut Self {
        if text.bytes().any(|byte| matches!(byte, b'<' | b'>' | b'&' | b'"')) {
            for c in text.chars() {
                match c {
                    '<' => self.0.push_str("&lt;"),
                    '>' => self.0.push_str("&gt;"),
                    '&' => self.0.push_str("&amp;"),
                    '"' => self.0.push_str("&quot;"),
                    _ => self.0.push(c),
                }
            }
        } else {
            self.0.push_str(text);
        }
        self
    }

    pub fn open(&mut self, name: &str) -> &mut Self {
        self.raw("<").raw(name).raw(">")
    }

    pub fn close(&mut self, name: &str) -> &mut Self {
        self.raw("</").raw(name).raw(">")
    }

    pub fn element(&mut self, name: &str, value: &str) -> &mut Self {
        self.open(name).text(value).close(name)
    }

    pub fn number(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.open(name).show(value).close(name)
    }

    pub fn time(&mut self, name: &str, at: Micros) -> &mut Self {
        self.open(name);
        clock::iso(&mut self.0, at);
        self.close(name)
    }

    /// The current length, for a later `truncate`.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub fn into_string(self) -> String {
        self.0
    }

    /// Without spare capacity, for fragments of which the estate has thousands.
    pub fn into_kept(self) -> Box<str> {
        self.0.into_boxed_str()
    }
}

/// A parsed element. Attributes and namespaces are dropped, because no request here depends on them.
#[derive(Debug, Default)]
pub struct Element<'a> {
    pub name: &'a str,
    pub text: Cow<'a, str>,
    pub children: Vec<Element<'a>>,
}

impl<'a> Element<'a> {
    pub fn child(&self, name: &str) -> Option<&Element<'a>> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of a child.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_ref())
    }
}

/// Deeper than any real request; it keeps a hostile one from exhausting the stack.
const DEEPEST: usize = 16;

/// Parses one document and returns its root element; none if it is malformed.
pub fn read(text: &str) -> Option<Element<'_>> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_prologue()?;
    let root = reader.element(0)?;
    Some(root)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_prologue(&mut self) -> Option<()> {
        loop {
            self.at += self.rest().find('<')?;
            if self.rest().starts_with("<?") {
                self.at += self.rest().find("?>")? + 2;
            } else if self.rest().starts_with("<!--") {
                self.at += self.rest().find("-->")? + 3;
            } else {
                return Some(());
            }
        }
    }

    /// Starts at `<` of a start tag and ends after its end tag.
    fn element(&mut self, depth: usize) -> Option<Element<'a>> {
        let inside = self.rest().strip_prefix('<').filter(|_| depth < DEEPEST)?;
        let end = inside.find('>')?;
        let tag = inside.get(..end)?;
        self.at += end + 2;
        let (tag, closed) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let name = tag.split_ascii_whitespace().next()?;
        let mut element = Element { name: local(name), ..Element::default() };
        if closed {
            return Some(element);
        }
        loop {
            let run = self.rest().find('<')?;
            if element.text.is_empty() {
                element.text = entities(self.rest().get(..run)?)?;
            }
            self.at += run;
            if let Some(tail) = self.rest().strip_prefix("</") {
                let end = tail.find('>')?;
                self.at += end + 3;
                return (tail.get(..end)?.trim_end() == name).then_some(element);
            }
            if self.rest().starts_with("<!--") {
                self.at += self.rest().find("-->")? + 3;
            } else {
                element.children.push(self.element(depth + 1)?);
            }
        }
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn entities(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('&') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        let (entity, behind) = after.split_once(';')?;
        decoded.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => numbered(entity)?,
        });
        rest = behind;
    }
    decoded.push_str(rest);
    Some(Cow::Owned(decoded))
}

fn numbered(entity: &str) -> Option<char> {
    let number = entity.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_should() {
        let text = "<?xml version=\"1.0\"?>\n<a xmlns=\"urn:x\"> <b>1 &lt; 2 &#x41;</b><c/><b>two</b></a>";
        let root = read(text).unwrap();
        assert_eq!((root.name, root.children.len()), ("a", 3));
        assert_eq!(root.value("b"), Some("1 < 2 A"));
        assert_eq!(root.value("c"), Some(""));
    }

    #[test]
    fn refuses_what_is_broken() {
        for text in ["", "plain", "<a>", "<a></b>", "<a>&nope;</a>", "<a><b></a></b>", &"<a>".repeat(99)] {
            assert!(read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn escapes_on_the_way_out() {
        let mut xml = Xml::new();
        xml.element("a", "<&\">").number("n", 3);
        assert_eq!(xml.into_string(), "<a>&lt;&amp;&quot;&gt;</a><n>3</n>");
    }
}
