//! Equivalent shell command lines of calls, for the dry run and the paper runbook.

use serde::Serialize;

/// One call, as a person would make it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// `rds`, `route53`, `sql` and so on.
    pub service: &'static str,
    /// The API operation, or `statement` for SQL.
    pub operation: &'static str,
    /// The site or connection.
    pub at: String,
    /// Whether it changes anything.
    pub mutates: bool,
    /// A command line that does the same; a shell comment if there is none, because a person has to look and decide in between.
    pub command: String,
}

/// A step that no single command can do: a comment, with any number of lines.
pub fn by_hand(
    (service, operation): (&'static str, &'static str),
    at: &str,
    mutates: bool,
    text: &str,
) -> Call {
    call(service, operation, at, mutates, comment(text))
}

/// Text as shell comments, one for each line.
pub fn comment(text: &str) -> String {
    text.split(['\n', '\r']).map(|line| format!("# {line}")).collect::<Vec<_>>().join("\n")
}

/// A value that a person has to fill in: a variable. Without it the shell stops and says what it means.
pub fn asked(name: &str, what: &str) -> String {
    let name = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    let plain = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/' | ':');
    let what: String = what.chars().filter(plain).collect();
    format!("\"${{{}:?{what}}}\"", name.collect::<String>())
}

/// A value as one shell word, whatever it contains.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A call.
pub fn call(
    service: &'static str,
    operation: &'static str,
    at: &str,
    mutates: bool,
    command: String,
) -> Call {
    Call { service, operation, at: at.to_owned(), mutates, command }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_one_word() {
        assert_eq!(quoted("truststream-db"), "truststream-db");
        assert_eq!(quoted("a; touch x $(id)"), "'a; touch x $(id)'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
