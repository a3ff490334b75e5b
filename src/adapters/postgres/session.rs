//! Sessions of drctl: how they are opened, what they ask, and why that failed.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use super::tls;
use crate::adapters::provider::Commit;
use crate::adapters::secrets::{Login, excerpt};
use crate::inventory::Observation;
use crate::model::again::Again;
use crate::model::place::endpoint_parts;
use crate::model::time::{Dur, Timestamp};
use crate::plan::settings::SqlSettings;
use crate::run::outcome::CallOutcome;

/// Limit on opening a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// Limit on one statement on the server, in milliseconds.
pub(super) const STATEMENT_MS: u32 = 8_000;

/// The application name of drctl's own sessions.
pub(super) const APPLICATION: &str = "drctl";

/// Why something failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// There was no connection, so nothing was sent.
    Unreachable(String),
    /// The server refused the login.
    Login(String),
    /// The server answered with an error; the transaction was rolled back.
    Refused(String, String),
    /// The connection broke, or the time limit passed: the statement may have taken effect.
    Unclear(String),
}

impl Failure {
    pub(super) fn from_error(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) => Self::Refused(sqlstate(db), excerpt(db.message())),
            None => Self::Unclear(error.to_string()),
        }
    }

    pub(super) fn why(&self) -> String {
        match self {
            Self::Unreachable(why) | Self::Unclear(why) => why.clone(),
            Self::Login(why) => format!("login refused: {why}"),
            Self::Refused(code, why) => format!("{code}: {why}"),
        }
    }

    pub(super) fn outcome(self) -> CallOutcome {
        match self {
            Self::Unreachable(why) => CallOutcome::NotSent { why },
            Self::Login(why) => CallOutcome::Refused { code: "Login".to_owned(), why, again: Again::Later },
            // Try again later: read-only (the promotion is not finished), shutting down, too many connections, deadlock,
            // concurrent changes of a role.
            Self::Refused(code, why) => {
                let passes = ["25006", "55P03", "XX000"].contains(&code.as_str())
                    || ["57", "53", "40", "08"].iter().any(|class| code.starts_with(class));
                let again = if passes { Again::Later } else { Again::Never };
                CallOutcome::Refused { code, why, again }
            }
            Self::Unclear(why) => CallOutcome::InDoubt { why },
        }
    }

    pub(super) fn observation(&self, since: Timestamp) -> Observation {
        match self {
            // Asking again gives the same answer (PostgreSQL, «Error codes»): missing right, missing function, or not supported.
            Self::Refused(code, why) if ["42501", "42883", "0A000"].contains(&code.as_str()) => {
                let (code, call) = (code.clone(), "SQL".to_owned());
                Observation::Refused { code, call, why: why.clone(), login: false }
            }
            _ => Observation::Unobservable { since, why: self.why() },
        }
    }
}

/// A commit as a server reports it: how long ago by its own clock, and when by the clock of the server that made it.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommitAge {
    age: Dur,
    there: Timestamp,
}

impl CommitAge {
    /// Both arguments are in milliseconds.
    pub(super) fn from_ms(age_ms: Option<i64>, there_ms: Option<i64>) -> Option<Self> {
        let age = Dur(u64::try_from(age_ms?.max(0)).ok()?);
        Some(Self { age, there: Timestamp::from_millis(there_ms?) })
    }

    /// Its time by the clock of this machine. For data on a replica, `now` is the time of the request, so the result is never too
    /// late. For the last write of an old primary, it is the time of the answer, so the result is never too early.
    pub(super) fn read_at(self, now: Timestamp) -> Commit {
        Commit { here: now - self.age, there: self.there }
    }
}

/// The only value of a query: JSON as text, in a single round trip.
pub(super) async fn json<T: DeserializeOwned>(client: &Client, sql: &str) -> Result<T, Failure> {
    let answer = client.simple_query(sql).await.map_err(|e| Failure::from_error(&e))?;
    let text = answer.iter().find_map(|m| match m {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let text = text.ok_or_else(|| Failure::Unclear("the server answered nothing".to_owned()))?;
    serde_json::from_str(text)
        .map_err(|e| Failure::Unclear(format!("drctl could not read the answer of the server: {e}")))
}

/// Opens a session of drctl.
pub(super) async fn connect(
    settings: &SqlSettings,
    endpoint: &str,
    login: &Login,
) -> Result<Client, Failure> {
    let options = format!("-c statement_timeout={STATEMENT_MS} -c lock_timeout={STATEMENT_MS}");
    connect_with(settings, endpoint, login, Some(options)).await
}

/// Opens a session, with server options if any are given: poolers support none.
pub(super) async fn connect_with(
    settings: &SqlSettings,
    endpoint: &str,
    login: &Login,
    options: Option<String>,
) -> Result<Client, Failure> {
    let (host, port, named) = parts(endpoint)?;
    let mut config = Config::new();
    config
        .host(host)
        .port(port)
        .user(&login.username)
        .password(login.password.expose())
        .dbname(login.dbname.as_deref().or(named).unwrap_or("postgres"))
        .application_name(APPLICATION)
        .connect_timeout(CONNECT)
        // Firewalls on the way drop connections that look idle during a long query.
        .keepalives_idle(Duration::from_secs(30))
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(10));
    if let Some(options) = options {
        config.options(options);
    }
    let connected = tls::connect(&config, host, settings).await;
    connected.map_err(|error| match error {
        tls::ConnectError::Tls(why) => Failure::Unreachable(why),
        tls::ConnectError::Postgres(error) => match error.as_db_error() {
            Some(db) if db.code().code().starts_with("28") => {
                Failure::Login(format!("{}: {}", sqlstate(db), excerpt(db.message())))
            }
            Some(db) => Failure::Unreachable(format!("{}: {}", sqlstate(db), excerpt(db.message()))),
            None => {
                Failure::Unreachable(tls::explained(&error, endpoint).unwrap_or_else(|| with_cause(&error)))
            }
        },
    })
}

/// The error code: five digits or upper-case letters (PostgreSQL, «Error Codes»). Whoever sends another one sends a text.
fn sqlstate(error: &tokio_postgres::error::DbError) -> String {
    let code = error.code().code();
    let valid = code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    if valid { code.to_owned() } else { "an invalid SQLSTATE".to_owned() }
}

/// Host, port and database of `host:port/database`.
pub(super) fn parts(endpoint: &str) -> Result<(&str, u16, Option<&str>), Failure> {
    let wrong = || Failure::Unreachable(format!("endpoint `{endpoint}` is not host:port/database"));
    endpoint_parts(endpoint).ok_or_else(wrong)
}

/// Quotes a name for SQL; a dot separates schema and table.
pub(super) fn identifier(name: &str) -> String {
    let quoted: Vec<_> = name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    quoted.join(".")
}

fn with_cause(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_table_name_stays_a_name() {
        assert_eq!(identifier("app.canary"), "\"app\".\"canary\"");
        assert_eq!(identifier("x\"; DROP TABLE y; --"), "\"x\"\"; DROP TABLE y; --\"");
    }

    #[test]
    fn an_endpoint_has_three_parts() {
        assert!(matches!(parts("db.example:5433/app"), Ok(("db.example", 5433, Some("app")))));
        assert!(matches!(parts("db.example"), Ok(("db.example", 5432, None))));
        assert!(parts("db.example:port").is_err());
    }
}
