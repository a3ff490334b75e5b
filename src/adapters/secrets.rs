//! Logins of databases. They exist in memory while they are used and are never printed.

use std::fmt;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde::Deserialize;

use crate::inventory::Observation;
use crate::model::again::Again;
use crate::model::scrub::Scrubber;
use crate::model::secret::Secret;
use crate::model::time::Timestamp;
use crate::run::outcome::{CLOCK, CallOutcome, NO_CREDENTIALS};

/// A user's name and password.
#[derive(Clone, Debug, Deserialize)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The database, if the secret names one.
    #[serde(default)]
    pub dbname: Option<String>,
}

/// The result of an attempt to log in.
#[derive(Debug)]
pub enum Knock {
    /// Refused because its role may not log in, in the server's words.
    Shut(String),
    /// Accepted.
    Open,
    /// Refused for another reason, or no answer: this proves nothing.
    NoProof(String),
}

/// Why a login was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoLogin {
    /// There was no answer. A later attempt may succeed.
    Passing(String),
    /// The secret was read, or its file is here, but it is no login.
    Unusable(String),
    /// The provider refuses, and will keep refusing until somebody changes something.
    Refused {
        /// The provider's code.
        code: String,
        /// The call that was refused.
        call: String,
        /// What the provider said, and about which secret.
        why: String,
    },
    /// There are no valid credentials, or this machine's clock is wrong.
    Locked {
        /// The reason, in words.
        why: String,
        /// Whether the clock is wrong.
        clock: bool,
    },
}

impl From<String> for NoLogin {
    fn from(why: String) -> Self {
        Self::Passing(why)
    }
}

impl fmt::Display for NoLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passing(why) | Self::Unusable(why) | Self::Locked { why, .. } => f.write_str(why),
            Self::Refused { code, call, why } => write!(f, "{code} for {call} ({why})"),
        }
    }
}

impl NoLogin {
    /// The observation of a target that needs the login.
    pub fn observation(self, since: Timestamp) -> Observation {
        match self {
            Self::Passing(why) | Self::Unusable(why) => Observation::Unobservable { since, why },
            Self::Refused { code, call, why } => Observation::Refused { code, call, why, login: true },
            Self::Locked { why, clock } => Observation::Unauthenticated { why, clock },
        }
    }

    /// The outcome of a call that needs the login: nothing was sent.
    pub fn outcome(self) -> CallOutcome {
        match self {
            Self::Passing(why) | Self::Unusable(why) => CallOutcome::NotSent { why },
            Self::Refused { code, call, why } => {
                CallOutcome::Refused { code, why: format!("{call}: {why}"), again: Again::Never }
            }
            Self::Locked { why, clock } => {
                let code = if clock { CLOCK } else { NO_CREDENTIALS }.to_owned();
                CallOutcome::Refused { code, why, again: Again::Later }
            }
        }
    }
}

impl Login {
    /// Parses the JSON that RDS and Secrets Manager use: `username`, `password`, and optionally `dbname`.
    ///
    /// # Errors
    /// If the text is anything else. The error does not contain the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let login: Self = serde_json::from_str(text)
            .map_err(|_| "the secret is not JSON with `username` and `password`".to_owned())?;
        learn(login.password.expose());
        Ok(login)
    }
}

/// The scheme and the rest of a reference.
pub fn scheme(reference: &str) -> (&str, &str) {
    reference.split_once(':').unwrap_or(("", reference))
}

/// Secrets that this process received and must not repeat. Providers and commands may repeat them in their errors.
static KNOWN: LazyLock<Mutex<Scrubber>> = LazyLock::new(Mutex::default);

/// Remembers a secret, so that drctl never repeats it from the answer of a provider.
pub fn learn(secret: &str) {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).learn(secret);
}

/// Words in the names of variables that hold a secret.
const SECRETIVE: [&str; 9] =
    ["SECRET", "TOKEN", "PASSW", "PASSPHRASE", "CREDENTIAL", "PRIVATE", "APIKEY", "API_KEY", "_PWD"];
/// The ends of such names.
const SECRETIVE_ENDS: [&str; 3] = ["_KEY", "_DSN", "_PAT"];
/// The ends of names of variables that say where a secret is.
const PLACES: [&str; 7] = ["_FILE", "_PATH", "_DIR", "_URI", "_ARN", "_ID", "_NAME"];

/// Whether a variable of this name holds a secret. Those of drctl itself are settings: `DRCTL_KEY` names a file.
fn is_secretive(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let says = SECRETIVE.iter().any(|word| name.contains(word));
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    (says || ends(&SECRETIVE_ENDS)) && !ends(&PLACES) && !name.starts_with("DRCTL_")
}

/// Remembers the secrets in a variable: its value if its name says that it is one, and passwords in addresses and connection strings.
pub fn learn_variable(name: &str, value: &str) {
    // Some name the file of a secret.
    if is_secretive(name) && !(value.contains('/') && Path::new(value).exists()) {
        learn(value);
    }
    passwords(value).into_iter().for_each(learn);
}

/// The passwords in addresses (`scheme://user:password@host`) and connection strings (`user:password@host`, `password=...`).
fn passwords(value: &str) -> Vec<&str> {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let login = rest.rsplit_once('@').and_then(|(login, _)| login.split_once(':'));
    let word = |word: &'_ str| {
        let (key, _) = word.split_once('=')?;
        let is_one = ["password", "pwd", "sslpassword"].contains(&key.trim().to_ascii_lowercase().as_str());
        is_one.then_some(key.len() + 1)
    };
    let words = value.split([' ', ';', '&', '?']);
    let named = words.filter_map(|text| Some(text[word(text)?..].trim_matches(['\'', '"'])));
    // A list of folders has `@` and `:` as well.
    let login = login.filter(|(user, password)| !user.contains('/') && !password.contains(['/', ' ']));
    login.map(|(_, password)| password).into_iter().chain(named).collect()
}

/// The text without the known secrets, in any encoding that they may have.
pub fn scrubbed(text: String) -> String {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).scrub(text)
}

/// What is kept of a message of a provider or a server, in characters.
const EXCERPT: usize = 300;
/// What is read of it, in characters: more than any secret has, so that no secret is cut within what is kept.
const READ: usize = 64 * 1024;

/// The beginning of a message, as one line without secrets.
pub fn excerpt(text: &str) -> String {
    let text = scrubbed(text.chars().take(READ).collect());
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT).collect();
    line.trim().to_owned()
}

/// An observation without secrets: in the reason for a failure, and in the output of commands and jobs.
pub fn clean(seen: Observation) -> Observation {
    match seen {
        Observation::Unobservable { since, why } => Observation::Unobservable { since, why: scrubbed(why) },
        Observation::Unauthenticated { why, clock } => {
            Observation::Unauthenticated { why: scrubbed(why), clock }
        }
        Observation::Refused { code, call, why, login } => {
            Observation::Refused { code, call, why: scrubbed(why), login }
        }
        Observation::Value { state, observed_at, source } if state.may_hold_secrets() => {
            let mut value = serde_json::to_value(&state).unwrap_or_default();
            texts(&mut value);
            match serde_json::from_value(value) {
                Ok(state) => Observation::Value { state, observed_at, source },
                // The scrubber replaced one of drctl's own keywords, so the state cannot be read back. It is dropped, because it
                // may hold a secret.
                Err(_) => Observation::Unobservable {
                    since: observed_at,
                    why: format!("the answer of {source} contains a secret"),
                },
            }
        }
        seen => seen,
    }
}

/// Scrubs each string in the value. The JSON around the strings is drctl's own.
fn texts(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = scrubbed(std::mem::take(text)),
        serde_json::Value::Array(all) => all.iter_mut().for_each(texts),
        serde_json::Value::Object(all) => all.values_mut().for_each(texts),
        _ => {}
    }
}

/// The result of a call, without secrets.
pub fn told(outcome: CallOutcome) -> CallOutcome {
    match outcome {
        CallOutcome::NotSent { why } => CallOutcome::NotSent { why: scrubbed(why) },
        CallOutcome::Refused { code, why, again } => {
            CallOutcome::Refused { code: scrubbed(code), why: scrubbed(why), again }
        }
        CallOutcome::Halfway { why, again } => CallOutcome::Halfway { why: scrubbed(why), again },
        CallOutcome::InDoubt { why } => CallOutcome::InDoubt { why: scrubbed(why) },
        accepted => accepted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::State;
    use crate::kinds::control::CommandState;
    use crate::kinds::shared::database::AliveState;
    use crate::model::scrub::HIDDEN;

    #[test]
    fn variables_with_secrets_are_known_by_name_and_by_content() {
        for name in ["MYSQL_PWD", "APP_DSN", "GITHUB_PAT", "PGPASSWORD", "STRIPE_API_KEY", "npm_token"] {
            assert!(is_secretive(name), "{name}");
        }
        let plain = [
            "PWD",
            "OLDPWD",
            "PATH",
            "DRCTL_KEY",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_REGION",
            "AWS_ACCESS_KEY_ID",
        ];
        for name in plain {
            assert!(!is_secretive(name), "{name}");
        }
        for (value, found) in [
            ("postgres://app:hunter22@db:5432/app", vec!["hunter22"]),
            ("postgres://app:a@b@db/app", vec!["a@b"]),
            ("app:hunter22@tcp(db:3306)/app", vec!["hunter22"]),
            ("host=db user=app password='hunter22' dbname=app", vec!["hunter22"]),
            ("Server=db;Uid=app;Pwd=hunter22;", vec!["hunter22"]),
            ("us-west-2", vec![]),
            ("/usr/bin:/opt/node@18/bin:/bin", vec![]),
            ("https://example.com/x", vec![]),
        ] {
            assert_eq!(passwords(value), found, "{value}");
        }
    }

    #[test]
    fn a_login_is_never_printed() {
        let login = Login::parse(r#"{"username":"admin","password":"hunter2","engine":"postgres"}"#);
        assert!(!format!("{login:?}").contains("hunter2"));
        let error = Login::parse(r#"{"user":"admin","pass":"hunter2"}"#);
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_known_is_not_repeated_however_it_is_written() {
        let parsed = Login::parse(r#"{"username":"admin","password":"cor\"rect\\horse"}"#);
        assert!(parsed.is_ok());
        learn("cor\"rect\\horse battery");
        learn("short");
        let said = |text: &str| scrubbed(text.to_owned());
        assert_eq!(said("bad password cor\"rect\\horse!"), "bad password [a secret]!");
        assert_eq!(said("the longer: cor\"rect\\horse battery"), "the longer: [a secret]");
        assert_eq!(said(r#"{"p":"cor\"rect\\horse"}"#), r#"{"p":"[a secret]"}"#);
        assert_eq!(said("short and sweet"), "short and sweet");
        let why = "cor\"rect\\horse".to_owned();
        let refused = |why| Observation::Refused {
            code: "AccessDenied".to_owned(),
            call: String::new(),
            why,
            login: false,
        };
        assert_eq!(clean(refused(why)), refused(HIDDEN.to_owned()));
        let state = |tail: &str| State::Command(CommandState { exit: Some(1), tail: tail.to_owned() });
        let at = crate::model::time::Timestamp::from_millis(0);
        let seen = |tail| Observation::Value { state: state(tail), observed_at: at, source: String::new() };
        assert_eq!(clean(seen("cor\"rect\\horse")), seen(HIDDEN));
        let who = |who: &str| State::Alive(AliveState { who: who.to_owned() });
        let seen = |who| Observation::Value { state: who, observed_at: at, source: String::new() };
        assert_eq!(clean(seen(who("cor\"rect\\horse"))), seen(who(HIDDEN)), "each state answers for itself");
    }
}
