//! The syntax of names and addresses. Those of one service are beside the kind that uses them.
//!
//! Validation and the JSON Schema use the same patterns, so a pattern must mean the same in both dialects of regular expressions.

use std::sync::OnceLock;

use regex_lite::Regex;

/// The syntax of one kind of text.
#[derive(Debug)]
pub struct Syntax {
    /// Its name, with an article.
    pub name: &'static str,
    /// The rule in a sentence.
    pub rule: &'static str,
    /// A valid example.
    pub example: &'static str,
    /// The pattern for the whole text.
    pub pattern: &'static str,
    /// The maximum number of characters.
    pub longest: usize,
    compiled: OnceLock<Option<Regex>>,
}

impl Syntax {
    /// A syntax. `pattern` matches the whole text.
    pub const fn new(
        name: &'static str,
        rule: &'static str,
        example: &'static str,
        pattern: &'static str,
        longest: usize,
    ) -> Self {
        Self { name, rule, example, pattern, longest, compiled: OnceLock::new() }
    }

    /// Whether a text is valid.
    pub fn fits(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| Regex::new(self.pattern).ok());
        text.chars().count() <= self.longest
            && compiled.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }
}

/// A port that something can listen on: 1 to 65535.
macro_rules! port {
    () => {
        "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    };
}

/// A DNS name (RFC 1035, 2.3.4; RFC 5890 for names in other scripts). An asterisk must be a whole label.
pub static DNS_NAME: Syntax = Syntax::new(
    "a DNS name",
    "labels of up to 63 letters, digits, hyphens and underscores between dots; names in other scripts in their xn-- form",
    "www.shop.example",
    r"^([*][.])?([0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?[.])+[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?[.]?$",
    255,
);
/// A page or an API (RFC 3986, 3).
pub static HTTP_URL: Syntax = Syntax::new(
    "an HTTP address",
    "`http://` or `https://`, a host and a path, without spaces",
    "https://www.shop.example/health",
    concat!("^https?://([0-9A-Za-z_.-]+|[\\[][0-9A-Fa-f:.]+[\\]])(:", port!(), ")?([/?][!-~]*)?$"),
    2_048,
);
/// A host with a port.
pub static HOST_PORT: Syntax = Syntax::new(
    "an address",
    "host:port, with a port from 1 to 65535",
    "db.shop.example:5432",
    concat!("^([0-9A-Za-z_.-]+|[\\[][0-9A-Fa-f:.]+[\\]]):", port!(), "$"),
    300,
);
/// A database endpoint.
pub static ENDPOINT: Syntax = Syntax::new(
    "an endpoint",
    "host:port/database, with a port from 1 to 65535",
    "db.shop.example:5432/shop",
    concat!("^([0-9A-Za-z_.-]+|[\\[][0-9A-Fa-f:.]+[\\]]):", port!(), "/[^/ ]+$"),
    400,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reader_refuses_does_not_fit() {
        let bad: &[(&Syntax, &[&str])] = &[
            (&DNS_NAME, &["www", "www shop.example", "münchen.example", "-a.example", "a..example"]),
            (&HTTP_URL, &["www.shop.example/health", "ftp://a.example", "https://", "https://a b.example"]),
            (&HOST_PORT, &["a.example", "a.example:", ":80", "a.example:http"]),
            (
                &ENDPOINT,
                &[
                    "a.example:0/shop",
                    "a.example:65536/shop",
                    "a.example:5432",
                    "a.example/shop",
                    "postgres://a.example:5432/shop",
                ],
            ),
        ];
        for (syntax, texts) in bad {
            for text in *texts {
                assert!(!syntax.fits(text), "{}: {text}", syntax.name);
            }
        }
    }
}
