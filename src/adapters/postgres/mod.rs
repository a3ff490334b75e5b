//! PostgreSQL over its own protocol: the fence that works while the control plane is down, the real write that proves a
//! promotion, and the last commit that a replica has replayed.
//!
//! Each observation or action opens its own connection, and every step has a time limit, so a server that hangs is a specific
//! error.

mod alive;
mod canary;
mod census;
mod fence;
mod hba;
mod hba_rules;
mod host;
mod knock;
mod knocked;
mod logins;
mod rejoin;
mod replayed;
mod restore;
mod server;
pub mod sql;
mod stop;
mod tls;
mod unreplicated;
mod verify;
mod withdraw;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

pub use self::census::may_write;
use self::host::{Asked, Trust};
pub use self::tls::trouble;
pub use super::provider::Commit;
use super::secrets::Login;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::database::{DatabaseRef, DatabaseState};
use crate::kinds::shared::fence::FenceState;
use crate::kinds::shared::rebuild::{JobStage, RebuildState};
use crate::kinds::shared::restore::{Found, Part, Restore, RestoreState};
use crate::model::ids::Digest;
use crate::model::measure::ClockReading;
use crate::model::place::endpoint_parts;
use crate::model::time::{Dur, Timestamp};
use crate::plan::settings::SqlSettings;
use crate::run::outcome::{Again, CallOutcome};
use crate::world::World;

/// Limit on opening a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Limit on one statement on the server, in milliseconds.
const STATEMENT_MS: u32 = 8_000;
/// Limit on an observation or action as a whole.
const WHOLE: Dur = Dur::secs(12);
/// Limit on listing the backups of a host: tools query their own storage first.
const LISTING: Dur = Dur::mins(3);
/// The application name of drctl's own sessions.
const APPLICATION: &str = "drctl";

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
    fn of(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) => Self::Refused(db.code().code().to_owned(), db.message().to_owned()),
            None => Self::Unclear(error.to_string()),
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Unreachable(why) | Self::Unclear(why) => why.clone(),
            Self::Login(why) => format!("login refused: {why}"),
            Self::Refused(code, why) => format!("{code}: {why}"),
        }
    }

    fn outcome(self) -> CallOutcome {
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

    fn observation(&self, since: Timestamp) -> Observation {
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
    fn of(age_ms: Option<i64>, there_ms: Option<i64>) -> Option<Self> {
        let age = Dur(u64::try_from(age_ms?.max(0)).ok()?);
        Some(Self { age, there: Timestamp::from_millis(there_ms?) })
    }

    /// Its time by the clock of this machine. For data on a replica, `now` is the time of the request, so the result is never too
    /// late. For the last write of an old primary, it is the time of the answer, so the result is never too early.
    fn read_at(self, now: Timestamp) -> Commit {
        Commit { here: now - self.age, there: self.there }
    }
}

/// PostgreSQL servers.
pub struct Postgres {
    world: World,
    settings: SqlSettings,
    jobs: verify::Jobs,
    lacking: unreplicated::Remembered,
    /// By endpoint.
    inside: RefCell<BTreeMap<String, unreplicated::Inside>>,
}

impl Postgres {
    /// Opens no connection.
    pub fn new(world: World, settings: SqlSettings) -> Self {
        Self {
            world,
            settings,
            jobs: verify::Jobs::default(),
            lacking: unreplicated::Remembered::default(),
            inside: RefCell::default(),
        }
    }

    /// Connects to the server by way of any database that lets drctl in.
    async fn connect(&self, endpoint: &str, login: &Login) -> Result<Client, Failure> {
        self.way(endpoint, login).in_any().await
    }

    /// Runs something within the overall time limit.
    async fn within<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.within_or(work, WHOLE).await
    }

    async fn within_or<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
        most: Dur,
    ) -> Result<T, Failure> {
        let late = self.world.sleep_until(self.world.now() + most);
        let span = tracing::debug_span!("sql", limit = %most);
        match futures_util::future::select(std::pin::pin!(work), std::pin::pin!(late)).await {
            futures_util::future::Either::Left((done, _)) => {
                let failure = done.as_ref().err().map(Failure::why);
                span.in_scope(|| tracing::debug!(failure, "answered"));
                done
            }
            futures_util::future::Either::Right(_) => {
                Err(Failure::Unclear(format!("no answer within {most}")))
            }
        }
    }

    fn seen(&self, state: State) -> Observation {
        Observation::Value { state, observed_at: self.world.now(), source: "sql".to_owned() }
    }

    /// The last commit that a replica has replayed.
    pub async fn last_replayed(&self, endpoint: &str, login: &Login) -> Option<Commit> {
        let asked = self.world.now();
        let work = async {
            let client = self.connect(endpoint, login).await?;
            server::last_replayed(&client).await
        };
        Some(self.within(work).await.ok()??.read_at(asked))
    }

    /// The state of a server, and the last commit that it holds.
    pub async fn server(&self, db: &DatabaseRef, endpoint: &str, login: &Login) -> Observation {
        let work = async {
            let client = self.connect(endpoint, login).await?;
            // Taken after the connection is open: a slow connection says nothing about clocks.
            let asked = self.world.now();
            Ok((asked, server::look(&client).await?, self.world.now()))
        };
        match self.within(work).await {
            Ok((asked, (state, commit, shows), answered)) => {
                let commit = commit.map(|c| c.read_at(asked));
                let unreplicated = match state.is_replica() {
                    true => Vec::new(),
                    false => self.unreplicated(db, endpoint, login).await,
                };
                self.seen(State::Database(DatabaseState {
                    last_commit: commit.map(|c| c.here),
                    last_commit_there: commit.map(|c| c.there),
                    clock: shows.map(|shows| ClockReading::new(shows, asked, answered)),
                    endpoint: Some(endpoint.to_owned()),
                    unreplicated,
                    ..state
                }))
            }
            Err(failure) => failure.observation(self.world.now()),
        }
    }

    /// Asks a standby to end its recovery. Later observations show whether it did.
    pub async fn promote(&self, endpoint: &str, login: &Login) -> CallOutcome {
        self.act(async {
            let client = self.connect(endpoint, login).await?;
            server::promote(&client).await
        })
        .await
    }

    /// Starts a job that makes a server a standby. Later observations show whether it streams.
    pub async fn rejoin(
        &self,
        db: &DatabaseRef,
        connection_info: Option<(&str, &Login)>,
        (source, login): (&str, &Login),
        reconcile: &[String],
        key: &str,
    ) -> CallOutcome {
        let checkpointer = match self.checkpointer(connection_info).await {
            Ok(pid) => pid,
            Err(failure) => return host::refused(failure),
        };
        let started = async {
            let trust = Trust::of(&self.settings)?;
            let source = Asked { endpoint: source, login, trust: &trust, checkpointer };
            let host = host::of(db)?;
            host::start(host, key, "", &rejoin::job(db, host, &source, reconcile, key)?).await
        };
        match self.within(started).await {
            Ok(()) => CallOutcome::Accepted { token: None },
            Err(failure) => host::refused(failure),
        }
    }

    /// A process of the server; `None` if it does not answer. The job on the host then verifies that the server is stopped.
    async fn checkpointer(&self, connection_info: Option<(&str, &Login)>) -> Result<Option<i32>, Failure> {
        let asked = async {
            let Some((endpoint, login)) = connection_info else { return Ok(None) };
            server::checkpointer(&self.connect(endpoint, login).await?).await
        };
        match self.within(asked).await {
            Err(Failure::Unreachable(_)) => Ok(None),
            answer => answer,
        }
    }

    /// The live server, as a job on its host connects to it.
    async fn live<'a>(
        &self,
        part: Part,
        (endpoint, login): (&'a str, &'a Login),
        trust: &'a Trust,
    ) -> Result<Asked<'a>, Failure> {
        let checkpointer = match self.checkpointer(Some((endpoint, login))).await {
            // The restored server may have different passwords than the plan. The job itself knows what to put back or remove.
            Err(Failure::Login(_)) if matches!(part, Part::Revert | Part::Destroy) => None,
            answer => answer?,
        };
        Ok(Asked { endpoint, login, trust, checkpointer })
    }

    /// The backups from which a time can be restored, as the host lists them.
    pub async fn backups(&self, of: &Restore, endpoint: &str, login: &Login) -> Observation {
        let asked = async {
            let host = host::of(&of.db)?;
            let trust = Trust::of(&self.settings)?;
            let live = self.live(Part::CreateCopy, (endpoint, login), &trust).await?;
            let now = self.world.now();
            let key = Digest::of_fields(&[of.name.as_bytes(), now.to_string().as_bytes()]);
            let key = format!("look-{}", &key.as_str()[..16]);
            host::on(host, restore::job(("look", of), host, &live, (&key, true))?).await
        };
        match self.within_or(asked, LISTING).await {
            Ok(said) => {
                let facts: Vec<_> = said.lines().map(host::fields).collect();
                self.seen(State::Backups(Box::new(restore::backups(&facts))))
            }
            Err(failure) => failure.observation(self.world.now()),
        }
    }

    /// Starts a part of a restore. Later observations show its result.
    pub async fn restore(
        &self,
        part: Part,
        of: &Restore,
        (endpoint, login): (&str, &Login),
        key: &str,
    ) -> CallOutcome {
        let started = async {
            let host = host::of(&of.db)?;
            let trust = Trust::of(&self.settings)?;
            let live = self.live(part, (endpoint, login), &trust).await?;
            let job = restore::job((part.word(), of), host, &live, (key, false))?;
            let first = if part == Part::Destroy { restore::end_of_others(of) } else { String::new() };
            host::start(host, key, &first, &job).await
        };
        match self.within(started).await {
            Ok(()) => CallOutcome::Accepted { token: None },
            Err(failure) => host::refused(failure),
        }
    }

    /// Starts to check a copy that a service made. Later observations by this process show the result.
    pub async fn check(
        &self,
        part: Part,
        of: &Restore,
        copy: (&str, &Login),
        live: Option<(&str, &Login)>,
        key: &str,
    ) -> CallOutcome {
        let way = |(endpoint, login): (&str, &Login)| verify::Way {
            endpoint: endpoint.to_owned(),
            login: login.clone(),
            settings: self.settings.clone(),
        };
        let copy = way(copy);
        // A new address may not resolve everywhere yet; then the check was not started.
        match self.within(copy.reader(None)).await {
            Ok(_) => {
                self.jobs.begin(part, of.clone(), (copy, live.map(way)), key);
                CallOutcome::Accepted { token: None }
            }
            Err(Failure::Login(why)) => {
                let why = format!("{why}; the logins of {} are the logins of {}", of.copy(), of.to_time);
                Failure::Login(why).outcome()
            }
            // No such database, too many sessions: handled as for every other call.
            Err(failure @ Failure::Refused(..)) => failure.outcome(),
            Err(failure) => CallOutcome::NotSent { why: failure.why() },
        }
    }

    /// The state of such a check.
    pub fn checked(&self, key: &str) -> Observation {
        self.seen(State::Restore(Box::new(self.jobs.look(key))))
    }

    /// The state of a part of a restore.
    pub async fn restoring(&self, db: &DatabaseRef, key: &str) -> Observation {
        let (stage, tail, found) = match self.within(host::look(db, key)).await {
            Ok(job) => (job.stage, job.tail, restore::found(&job.facts)),
            Err(failure) => (JobStage::Unseen, failure.why(), Found::default()),
        };
        self.seen(State::Restore(Box::new(RestoreState { stage, tail, found })))
    }

    /// The progress of a server towards being a standby, as reported by the server and the job on its host.
    pub async fn rebuild(
        &self,
        db: &DatabaseRef,
        connection_info: Option<(&str, &Login)>,
        key: &str,
    ) -> Observation {
        let server = async {
            let (endpoint, login) = connection_info?;
            match self.server(db, endpoint, login).await {
                Observation::Value { state: State::Database(state), .. } => Some(state),
                _ => None,
            }
        };
        let job = self.within(host::look(db, key));
        let (server, job) = futures_util::future::join(server, job).await;
        let (stage, tail, diverged) = match job {
            Ok(job) => (job.stage, job.tail, rejoin::diverged(&job.facts)),
            Err(failure) => (JobStage::Unseen, failure.why(), None),
        };
        self.seen(State::Rebuild(Box::new(RebuildState { server, stage, tail, diverged })))
    }

    fn way<'a>(&'a self, endpoint: &'a str, login: &'a Login) -> fence::Way<'a> {
        fence::Way { settings: &self.settings, endpoint, login }
    }

    async fn act(&self, work: impl Future<Output = Result<(), Failure>>) -> CallOutcome {
        match self.within(work).await {
            Ok(()) => CallOutcome::Accepted { token: None },
            Err(failure) => failure.outcome(),
        }
    }
}

/// The only value of a query: JSON as text, in a single round trip.
async fn json<T: DeserializeOwned>(client: &Client, sql: &str) -> Result<T, Failure> {
    let answer = client.simple_query(sql).await.map_err(|e| Failure::of(&e))?;
    let text = answer.iter().find_map(|m| match m {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let text = text.ok_or_else(|| Failure::Unclear("the server answered nothing".to_owned()))?;
    serde_json::from_str(text)
        .map_err(|e| Failure::Unclear(format!("drctl could not read the answer of the server: {e}")))
}

/// Opens a session of drctl.
async fn connect(settings: &SqlSettings, endpoint: &str, login: &Login) -> Result<Client, Failure> {
    let options = format!("-c statement_timeout={STATEMENT_MS} -c lock_timeout={STATEMENT_MS}");
    connect_with(settings, endpoint, login, Some(options)).await
}

/// Opens a session, with server options if any are given: poolers support none.
async fn connect_with(
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
                Failure::Login(format!("{}: {}", db.code().code(), db.message()))
            }
            Some(db) => Failure::Unreachable(format!("{}: {}", db.code().code(), db.message())),
            None => {
                Failure::Unreachable(tls::explained(&error, endpoint).unwrap_or_else(|| with_cause(&error)))
            }
        },
    })
}

/// Host, port and database of `host:port/database`.
fn parts(endpoint: &str) -> Result<(&str, u16, Option<&str>), Failure> {
    let wrong = || Failure::Unreachable(format!("endpoint `{endpoint}` is not host:port/database"));
    endpoint_parts(endpoint).ok_or_else(wrong)
}

/// Quotes a name for SQL; a dot separates schema and table.
fn identifier(name: &str) -> String {
    let quoted: Vec<_> = name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    quoted.join(".")
}

fn with_cause(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// A fence that does not hold.
fn open_state(proof: &str) -> FenceState {
    FenceState { proof: proof.to_owned(), ..FenceState::default() }
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
