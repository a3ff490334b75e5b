//! The only reader of the process environment.

use std::collections::BTreeMap;

use crate::files::{self, Use};
use crate::model::secret::Secret;

/// `DRCTL_*` variables that are not settings: commands of plans get them, or tests and servers read them.
const NOT_SETTINGS: &[&str] = &["DRCTL_IDEMPOTENCY_KEY", "DRCTL_TEST_", "DRCTL_LOCALSTACK_"];

/// `DRCTL_*` variables in any case, for the settings. None is ignored: the settings reject a variable that is not allowed here.
pub fn settings() -> BTreeMap<String, String> {
    let set = |key: &str| {
        key.to_lowercase().starts_with("drctl_") && !NOT_SETTINGS.iter().any(|n| key.starts_with(n))
    };
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let all = std::env::vars_os().map(|(key, value)| (text(key), text(value)));
    all.filter(|(key, value)| set(key) && !value.is_empty()).collect()
}

/// All variables, for commands of plans that request some by name.
pub fn all() -> BTreeMap<String, String> {
    // A variable that is not text cannot be requested by name.
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

/// Expands a path: `~/` is the home folder.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn expand(path: &str) -> std::path::PathBuf {
    match (path.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => std::path::Path::new(&home).join(rest),
        _ => path.into(),
    }
}

/// The log filter (`RUST_LOG`), if set.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn log_filter() -> Option<String> {
    std::env::var("RUST_LOG").ok().filter(|filter| !filter.trim().is_empty())
}

/// Whether colours are off (no-color.org).
pub fn no_color() -> bool {
    is_set("NO_COLOR")
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| !value.is_empty())
}

/// A secret in the environment.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn secret(name: &str) -> Option<Secret> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| Secret::new(&text))
}

/// The words of the command line, as far as they are text.
pub fn typed() -> Vec<String> {
    std::env::args_os().skip(1).filter_map(|word| word.into_string().ok()).collect()
}

/// The value of `--output` on a command line that could not be parsed.
pub fn output_as_typed() -> Option<String> {
    let mut words = typed().into_iter();
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

/// The folder for temporary files (`TMPDIR`).
pub fn temporary() -> std::path::PathBuf {
    std::env::temp_dir()
}

/// `user@host`.
pub fn os_identity() -> String {
    let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    let host = whoami::hostname().unwrap_or_else(|_| "unknown".to_owned());
    format!("{user}@{host}")
}

/// The address that replaces AWS's own for a service, as far as the environment sets it (AWS SDKs Reference Guide, «Service-specific
/// endpoints»).
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn aws_endpoint(service: &str) -> Option<String> {
    let named = [format!("AWS_ENDPOINT_URL_{service}"), "AWS_ENDPOINT_URL".to_owned()];
    named.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// A source of credentials, or an SDK setting that redirects calls.
pub struct Source {
    /// The source.
    pub what: String,
    /// Its value.
    pub why: String,
    /// The region that it depends on, or text that may name the region. Empty if it needs none, `None` if unknown.
    pub region: Option<String>,
}

/// The sources of credentials in this environment, as far as it shows them (AWS SDKs Reference Guide, «Credential provider chain»).
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn credential_sources() -> Vec<Source> {
    let source = |what: &str, why: &str, region: Option<String>| Source {
        what: what.to_owned(),
        why: why.to_owned(),
        region,
    };
    let mut all: Vec<Source> = std::env::vars()
        .filter(|(key, value)| key.starts_with("AWS_ENDPOINT_URL") && !value.is_empty())
        .map(|(key, value)| Source { why: value.clone(), what: key, region: Some(value) })
        .collect();
    if is_set("AWS_ACCESS_KEY_ID") {
        all.push(source("AWS_ACCESS_KEY_ID", "keys from the environment", Some(String::new())));
        return all;
    }
    let profile = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".to_owned());
    let home = std::env::var("HOME").unwrap_or_default();
    let file = std::env::var("AWS_CONFIG_FILE").unwrap_or_else(|_| format!("{home}/.aws/config"));
    let text = files::text(file.as_ref(), Use::Profile).unwrap_or_default();
    if let Some(region) = sso_region(&text, &profile) {
        let why = format!("IAM Identity Center in {region} ({file})");
        all.push(source(&format!("profile {profile}"), &why, Some(region)));
        return all;
    }
    let rest = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "a token from an unknown issuer"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "the role of the task that drctl runs in"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "the role of the pod that drctl runs in"),
    ];
    all.extend(rest.iter().filter(|(name, _)| is_set(name)).map(|(name, why)| source(name, why, None)));
    all
}

/// The region of the identity provider of a profile.
fn sso_region(text: &str, profile: &str) -> Option<String> {
    let value = |section: &str, key: &str| {
        let mut here = false;
        text.lines().map(str::trim).find_map(|line| {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                here = name.trim() == section;
            }
            let (k, v) = line.split_once('=')?;
            (here && k.trim() == key).then(|| v.trim().to_owned())
        })
    };
    let section = if profile == "default" { "default".to_owned() } else { format!("profile {profile}") };
    let session =
        value(&section, "sso_session").and_then(|s| value(&format!("sso-session {s}"), "sso_region"));
    session.or_else(|| value(&section, "sso_region"))
}
