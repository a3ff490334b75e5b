//! PostgreSQL over its own protocol: the fence that works while the control plane is down, the real write that proves a
//! promotion, and the last commit that a replica has replayed.
//!
//! Each observation or action opens its own connection, and every step has a time limit, so a server that hangs is a specific
//! error.

mod alive;
mod bounded;
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
mod session;
pub mod sql;
mod stop;
mod tls;
mod unreplicated;
mod verify;
mod way;
mod withdraw;

use std::cell::RefCell;
use std::collections::BTreeMap;

use tokio_postgres::Client;

pub use self::census::may_write;
use self::host::{JobServer, Trust};
pub use self::tls::trouble;
pub use super::provider::Commit;
use super::secrets::Login;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::database::{DatabaseRef, DatabaseState};
use crate::kinds::shared::rebuild::{JobStage, RebuildState};
use crate::kinds::shared::restore::{Restore, RestoreJob, RestoreResults, RestoreState};
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::model::ids::Digest;
use crate::model::measure::ClockReading;
use crate::model::time::{Dur, Timestamp};
use crate::plan::settings::SqlSettings;
use crate::run::outcome::CallOutcome;
use crate::world::World;
use session::Failure;

/// Limit on an observation or action as a whole.
const WHOLE: Dur = Dur::secs(12);
/// Limit on listing the backups of a host: tools query their own storage first.
const LISTING: Dur = Dur::mins(3);

/// The last answer, by endpoint.
type Remembered = RefCell<BTreeMap<String, (Timestamp, Vec<Unreplicated>)>>;

/// PostgreSQL servers.
pub struct Postgres {
    world: World,
    settings: SqlSettings,
    jobs: verify::Jobs,
    lacking: Remembered,
    /// By endpoint.
    inside: RefCell<BTreeMap<String, way::Inside>>,
}

impl Postgres {
    /// Opens no connection.
    pub fn new(world: World, settings: SqlSettings) -> Self {
        Self {
            world,
            settings,
            jobs: verify::Jobs::default(),
            lacking: Remembered::default(),
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
            let trust = Trust::from_settings(&self.settings)?;
            let source = JobServer { endpoint: source, login, trust: &trust, checkpointer };
            let host = host::of_database(db)?;
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
        part: RestoreJob,
        (endpoint, login): (&'a str, &'a Login),
        trust: &'a Trust,
    ) -> Result<JobServer<'a>, Failure> {
        let checkpointer = match self.checkpointer(Some((endpoint, login))).await {
            // The restored server may have different passwords than the plan. The job itself knows what to put back or remove.
            Err(Failure::Login(_)) if matches!(part, RestoreJob::Revert | RestoreJob::Destroy) => None,
            answer => answer?,
        };
        Ok(JobServer { endpoint, login, trust, checkpointer })
    }

    /// The backups from which a time can be restored, as the host lists them.
    pub async fn backups(&self, of: &Restore, endpoint: &str, login: &Login) -> Observation {
        let asked = async {
            let host = host::of_database(&of.db)?;
            let trust = Trust::from_settings(&self.settings)?;
            let live = self.live(RestoreJob::CreateCopy, (endpoint, login), &trust).await?;
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
        part: RestoreJob,
        of: &Restore,
        (endpoint, login): (&str, &Login),
        key: &str,
    ) -> CallOutcome {
        let started = async {
            let host = host::of_database(&of.db)?;
            let trust = Trust::from_settings(&self.settings)?;
            let live = self.live(part, (endpoint, login), &trust).await?;
            let job = restore::job((part.word(), of), host, &live, (key, false))?;
            let first = if part == RestoreJob::Destroy { restore::end_of_others(of) } else { String::new() };
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
        part: RestoreJob,
        of: &Restore,
        copy: (&str, &Login),
        live: Option<(&str, &Login)>,
        key: &str,
    ) -> CallOutcome {
        let way = |(endpoint, login): (&str, &Login)| verify::ServerAccess {
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
            Err(failure) => (JobStage::Unseen, failure.why(), RestoreResults::default()),
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

    fn way<'a>(&'a self, endpoint: &'a str, login: &'a Login) -> way::DatabaseAccess<'a> {
        way::DatabaseAccess { settings: &self.settings, endpoint, login }
    }

    async fn act(&self, work: impl Future<Output = Result<(), Failure>>) -> CallOutcome {
        match self.within(work).await {
            Ok(()) => CallOutcome::Accepted { token: None },
            Err(failure) => failure.outcome(),
        }
    }
}
