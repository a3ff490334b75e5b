//! Names and identifiers. Each has its own type, so that a component cannot be passed as a site.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

macro_rules! name {
    ($(#[$doc:meta])* $id:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $id(String);

        impl $id {
            /// Wraps a name that was checked when it was read.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $id {
            fn from(name: &str) -> Self {
                Self(name.to_owned())
            }
        }
    };
}

name!(
    /// The name of one application's plan.
    PlanName
);
name!(
    /// A component: a database, node group, record set.
    ComponentName
);
name!(
    /// A site: where an application can run.
    SiteName
);
name!(
    /// A step of a runbook, for example `promote.db`.
    StepId
);
name!(
    /// A health probe.
    ProbeName
);

/// The maximum length of a run's name. With suffixes, it must fit in a file name (`NAME_MAX` is 255 on Linux and macOS).
const LONGEST_RUN: usize = 220;

/// One execution of one runbook. The name is used for files, so names from outside are checked: letters, digits, `-`, `_`, `.` and `~`, and
/// neither a dot nor a dash first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Wraps a name from drctl or from a store. Use `parse` for one from a file or a person.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Parses a name from outside.
    ///
    /// # Errors
    /// If it is not a valid name of a run.
    pub fn parse(name: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        let good = !name.is_empty()
            && name.len() <= LONGEST_RUN
            && name.chars().all(allowed)
            && !name.starts_with(['-', '.', '~']);
        match good {
            true => Ok(Self(name.to_owned())),
            false => {
                let shown: String = name.chars().take(60).collect();
                Err(format!("`{}` is not a valid run name", shown.escape_debug()))
            }
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A SHA-256 over exact bytes, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::from_raw(&Sha256::digest(bytes))
    }

    /// The digest of several fields. Each is framed by its length, so that moving a byte from one to the next changes it.
    pub fn of_fields(fields: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for field in fields {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field);
        }
        Self::from_raw(&hasher.finalize())
    }

    fn from_raw(raw: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = |byte: &u8| [byte >> 4, byte & 0xf].map(|half| char::from(DIGITS[usize::from(half)]));
        Self(raw.iter().flat_map(digits).collect())
    }

    /// Wraps a digest that was read from a store. It is compared with a computed one before it is believed.
    pub fn from_stored(hex: impl Into<String>) -> Self {
        Self(hex.into())
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
