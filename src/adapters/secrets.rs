//! Logins of databases. They exist in memory while they are used and are never printed.

use std::fmt;

use serde::Deserialize;

/// A user's name and password.
#[derive(Clone, Deserialize)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
    /// The database, if the secret names one.
    #[serde(default)]
    pub dbname: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Login {
    /// Reads the JSON that RDS and Secrets Manager keep: `username`, `password`, and perhaps `dbname`.
    ///
    /// # Errors
    /// If it is something else. The text is not in the error.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text)
            .map_err(|_| "the secret is not JSON with `username` and `password`".to_owned())
    }
}

/// The scheme and the rest of a reference.
pub fn scheme(reference: &str) -> (&str, &str) {
    reference.split_once(':').unwrap_or(("", reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_never_printed() {
        let login = Login::parse(r#"{"username":"admin","password":"hunter2","engine":"postgres"}"#);
        assert!(!format!("{login:?}").contains("hunter2"));
        let error = Login::parse(r#"{"user":"admin","pass":"hunter2"}"#);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
