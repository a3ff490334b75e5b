//! Logins of databases. They exist in memory while they are used and are never printed.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use crate::inventory::Observation;
use crate::model::secret::Secret;
use crate::model::state::State;
use crate::run::outcome::CallOutcome;

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

/// What this process was told and must not repeat. Providers and commands say in their errors what they were given.
static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A shorter one stands in too many words that are none.
const SHORTEST: usize = 6;
const HIDDEN: &str = "[a secret]";

/// Remembers a secret, so that whatever a provider says of it is not repeated.
pub fn learn(secret: &str) {
    let secret = secret.trim();
    if secret.len() < SHORTEST {
        return;
    }
    let escaped = serde_json::to_string(secret).unwrap_or_default();
    let ways = [secret.to_owned(), escaped.trim_matches('"').to_owned(), secret.escape_debug().to_string()];
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).extend(ways);
}

/// The same text without the secrets that are known.
pub fn scrubbed(text: String) -> String {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut found: Vec<&String> = known.iter().filter(|secret| text.contains(secret.as_str())).collect();
    // One may be a part of another one.
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found.into_iter().fold(text, |text, secret| text.replace(secret.as_str(), HIDDEN))
}

/// A look without secrets: in why there was none, and in what commands and jobs printed.
pub fn clean(seen: Observation) -> Observation {
    match seen {
        Observation::Unobservable { since, why } => Observation::Unobservable { since, why: scrubbed(why) },
        Observation::Unauthenticated { why } => Observation::Unauthenticated { why: scrubbed(why) },
        Observation::Denied { why } => Observation::Denied { why: scrubbed(why) },
        Observation::Value { state, observed_at, source } if prints(&state) => {
            let text = serde_json::to_string(&state).unwrap_or_default();
            let state = serde_json::from_str(&scrubbed(text)).unwrap_or(state);
            Observation::Value { state, observed_at, source }
        }
        seen => seen,
    }
}

/// Whether something that people wrote programs for says something in it. Record sets and servers are looked at by the thousand.
const fn prints(state: &State) -> bool {
    matches!(
        state,
        State::Command(_)
            | State::Rebuild(_)
            | State::Backups(_)
            | State::Restore(_)
            | State::Group(_)
            | State::Fence(_)
            | State::Granted(_)
            | State::Bucket(_)
            | State::Compared(_)
    )
}

/// What became of a call, without secrets.
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
    use crate::model::state::CommandState;

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
        assert_eq!(clean(Observation::Denied { why }), Observation::Denied { why: HIDDEN.to_owned() });
        let state = |tail: &str| State::Command(CommandState { exit: Some(1), tail: tail.to_owned() });
        let at = crate::model::time::Timestamp::from_millis(0);
        let seen = |tail| Observation::Value { state: state(tail), observed_at: at, source: String::new() };
        assert_eq!(clean(seen("cor\"rect\\horse")), seen(HIDDEN));
    }
}
