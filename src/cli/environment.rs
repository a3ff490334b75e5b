//! The only reader of the process environment.

use std::collections::BTreeMap;

/// `DRCTL_*` variables, for the settings.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn settings() -> BTreeMap<String, String> {
    std::env::vars().filter(|(key, _)| key.starts_with("DRCTL_")).collect()
}

/// Whether the person asked for no colours (no-color.org).
pub fn no_color() -> bool {
    is_set("NO_COLOR")
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| !value.is_empty())
}

/// `user@host`.
pub fn os_identity() -> String {
    let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    let host = whoami::hostname().unwrap_or_else(|_| "unknown".to_owned());
    format!("{user}@{host}")
}
