//! Logins of databases. They exist in memory while they are used and are never printed.

use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde::Deserialize;

use crate::inventory::Observation;
use crate::model::scrub::Scrubber;
use crate::model::secret::Secret;
use crate::model::time::Timestamp;
use crate::run::outcome::{Again, CLOCK, CallOutcome, NO_CREDENTIALS};

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
    /// Let in.
    Open,
    /// Refused for another reason, or nothing was said: that proves nothing.
    NoProof(String),
}

/// Why a login was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoLogin {
    /// In words: nobody answered, or what is there is no login. It may be another time.
    Passing(String),
    /// Whoever keeps it says no, and will say no again until somebody changes something.
    Refused {
        /// The provider's code.
        code: String,
        /// What was asked.
        call: String,
        /// What the provider said, and of which secret.
        why: String,
    },
    /// There are no valid credentials, or this machine's clock is wrong.
    Locked {
        /// In words.
        why: String,
        /// Whether it is the clock.
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
            Self::Passing(why) | Self::Locked { why, .. } => f.write_str(why),
            Self::Refused { code, call, why } => write!(f, "{code} for {call} ({why})"),
        }
    }
}

impl NoLogin {
    /// What it means for a look at what the login leads to.
    pub fn observation(self, since: Timestamp) -> Observation {
        match self {
            Self::Passing(why) => Observation::Unobservable { since, why },
            Self::Refused { code, call, why } => Observation::Refused { code, call, why, login: true },
            Self::Locked { why, clock } => Observation::Unauthenticated { why, clock },
        }
    }

    /// What it means for a call: nothing was sent.
    pub fn outcome(self) -> CallOutcome {
        match self {
            Self::Passing(why) => CallOutcome::NotSent { why },
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
    /// Reads the JSON that RDS and Secrets Manager keep: `username`, `password`, and perhaps `dbname`.
    ///
    /// # Errors
    /// If it is something else. The text is not in the error.
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

/// The same text without the secrets that are known, however they are written.
pub fn scrubbed(text: String) -> String {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).scrub(text)
}

/// A look without secrets: in why there was none, and in what commands and jobs printed.
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
                // A word of drctl's own was no secret; where one was taken for that, nothing of it is kept.
                Err(_) => Observation::Unobservable {
                    since: observed_at,
                    why: format!("the answer of {source} contains a secret"),
                },
            }
        }
        seen => seen,
    }
}

/// Scrubs each text in it, as it stands there: what is around it was not written by whoever said it.
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
