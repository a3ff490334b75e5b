//! Calls as a person would make them: command lines of a shell, for the dry run and the paper runbook.

use serde::Serialize;

/// One call as it would be made by hand.
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
    /// A command line that does the same; a comment of the shell where none does, because a person has to look and decide on the way.
    pub command: String,
}

/// What no single command does: a comment, whatever lines are in it.
pub fn by_hand(
    (service, operation): (&'static str, &'static str),
    at: &str,
    mutates: bool,
    text: &str,
) -> Call {
    call(service, operation, at, mutates, comment(text))
}

/// A text as comments of a shell, a line each.
pub fn comment(text: &str) -> String {
    text.split(['\n', '\r']).map(|line| format!("# {line}")).collect::<Vec<_>>().join("\n")
}

/// What somebody has to fill in first: a variable without which the shell stops, and says what it is.
pub fn asked(name: &str, what: &str) -> String {
    let name = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    let plain = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/' | ':');
    let what: String = what.chars().filter(plain).collect();
    format!("\"${{{}:?{what}}}\"", name.collect::<String>())
}

/// A value as a shell takes it: as one word, whatever is in it.
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
