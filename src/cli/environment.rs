//! The only reader of the process environment.

use std::collections::BTreeMap;

/// `DRCTL_*` variables that are no settings: what commands of plans are given, and what tests and servers read.
const NOT_SETTINGS: &[&str] = &["DRCTL_IDEMPOTENCY_KEY", "DRCTL_TEST_", "DRCTL_LOCALSTACK_"];

/// `DRCTL_*` variables, for the settings. One that no setting has is an error there: a mistyped name must not be ignored.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn settings() -> BTreeMap<String, String> {
    let set = |key: &str| key.starts_with("DRCTL_") && !NOT_SETTINGS.iter().any(|n| key.starts_with(n));
    std::env::vars().filter(|(key, value)| set(key) && !value.is_empty()).collect()
}

/// Whether the person asked for no colours (no-color.org).
pub fn no_color() -> bool {
    is_set("NO_COLOR")
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| !value.is_empty())
}

/// What follows `--output` on a command line that could not be parsed.
pub fn output_as_typed() -> Option<String> {
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--output" {
            return words.next();
        }
        if let Some(value) = word.strip_prefix("--output=") {
            return Some(value.to_owned());
        }
    }
    None
}

/// `user@host`.
pub fn os_identity() -> String {
    let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    let host = whoami::hostname().unwrap_or_else(|_| "unknown".to_owned());
    format!("{user}@{host}")
}
