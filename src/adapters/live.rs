//! The real providers: routes each target and each action to one of them.

mod knocked;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{LocalBoxFuture, join_all};

use super::secrets::{Login, NoLogin, scheme};
use super::{Cloud, Lagging, REQUESTS, aws, dns, local, postgres, secrets};
use crate::files::{self, Use};
use crate::inventory::Observation;
use crate::kinds::clients::ClientWrite;
use crate::kinds::shared::canary::CanaryWrite;
use crate::kinds::shared::database::{DatabaseRef, DatabaseRole, DatabaseState, Engine};
use crate::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use crate::kinds::shared::promotion::{Promote, Withdraw};
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::{Part, Restore, RestoreStep};
use crate::kinds::shared::secret::ClientWay;
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::kinds::{Operation, State, Target};
use crate::model::environment::Endpoint;
use crate::model::place::{Place, endpoint_parts};
use crate::model::time::Timestamp;
use crate::plan::Settings;
use crate::probe::Alarms;
use crate::record::action::Action;
use crate::record::event::Request;
use crate::run::outcome::{Again, CallOutcome};
use crate::world::World;

/// Every real provider of a process.
pub struct Live {
    world: World,
    aws: aws::Aws,
    postgres: postgres::Postgres,
    dns: dns::Dns,
    local: local::Local,
    logins: RefCell<BTreeMap<String, Login>>,
    requests: RefCell<BTreeMap<String, Vec<Request>>>,
}

impl Live {
    /// `recovery` is the recovery site: drctl reaches global services, and reads secrets, in its region.
    pub fn new(world: World, settings: &Settings, recovery: Option<Place>) -> Self {
        Self {
            aws: aws::Aws::new(world.clone(), settings, recovery),
            postgres: postgres::Postgres::new(world.clone(), settings.sql.clone()),
            dns: dns::Dns::new(world.clone(), settings.resolvers.clone()),
            local: local::Local::new(world.clone()),
            logins: RefCell::new(BTreeMap::new()),
            requests: RefCell::default(),
            world,
        }
    }

    fn unseen(&self, why: String) -> Observation {
        Observation::Unobservable { since: self.world.now(), why }
    }

    /// The endpoint of a database, and a login to it.
    async fn connection_info(&self, db: &DatabaseRef) -> Result<(String, Login), NoLogin> {
        let Some(secret) = &db.admin_secret else {
            return Err(format!("the plan gives no `admin` login for {}", db.id).into());
        };
        let login = self.login(secret, &db.place).await?;
        let endpoint = match &db.endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => self.aws.endpoint(db).await,
        };
        let endpoint = endpoint.ok_or_else(|| format!("the endpoint of {} is unknown", db.id))?;
        Ok((endpoint, login))
    }

    /// Reads each login only once: in an outage, a call that is not made cannot fail.
    async fn login(&self, reference: &str, place: &Place) -> Result<Login, NoLogin> {
        if let Some(login) = self.logins.borrow().get(reference) {
            return Ok(login.clone());
        }
        let login = self.read_login(reference, place).await?;
        self.logins.borrow_mut().insert(reference.to_owned(), login.clone());
        Ok(login)
    }

    async fn read_login(&self, reference: &str, place: &Place) -> Result<Login, NoLogin> {
        match scheme(reference) {
            ("aws-sm", name) => self.aws.login(name, place).await,
            ("file", path) => {
                let unusable = |e| NoLogin::Unusable(format!("secret file {e}"));
                let text = files::text(path.as_ref(), Use::Secret).map_err(|e| unusable(e.to_string()))?;
                Login::parse(&text).map_err(|e| unusable(format!("{path}: {e}")))
            }
            (other, _) => {
                Err(NoLogin::Unusable(format!("unknown secret scheme `{other}`; use aws-sm or file")))
            }
        }
    }

    /// A login that the server refused may have been rotated, so it is read again the next time.
    fn forget_refused(&self, db: &DatabaseRef, refused: bool) {
        if let (true, Some(secret)) = (refused, &db.admin_secret) {
            self.logins.borrow_mut().remove(secret);
        }
    }

    async fn rebuild(&self, db: &DatabaseRef, key: &str) -> Observation {
        let way = self.connection_info(db).await.ok();
        self.postgres.rebuild(db, way.as_ref().map(|(e, l)| (e.as_str(), l)), key).await
    }

    async fn rejoin(
        &self,
        db: &DatabaseRef,
        source: &DatabaseRef,
        reconcile: &[String],
        key: &str,
    ) -> CallOutcome {
        let Some(secret) = db.host.as_ref().map(|h| &h.replication_secret) else {
            return refused("NoHost", format!("the plan gives no `host` for {}", db.id));
        };
        let Some(endpoint) = &source.endpoint else {
            return refused("NoEndpoint", format!("the plan gives no `endpoint` for {}", source.id));
        };
        match self.login(secret, &db.place).await {
            Ok(login) => {
                let way = self.connection_info(db).await.ok();
                let way = way.as_ref().map(|(e, l)| (e.as_str(), l));
                self.postgres.rejoin(db, way, (endpoint, &login), reconcile, key).await
            }
            Err(unread) => unread.outcome(),
        }
    }

    async fn withdraw(&self, db: &DatabaseRef, key: &str) -> CallOutcome {
        match self.connection_info(db).await {
            Ok((endpoint, login)) => self.postgres.withdraw(db, (&endpoint, &login), key).await,
            Err(unread) => unread.outcome(),
        }
    }

    /// Stops a server through its host, or starts it again.
    async fn stop(&self, op: &Operation, db: &DatabaseRef, key: &str) -> CallOutcome {
        let Some(endpoint) = &db.endpoint else {
            return refused("NoEndpoint", format!("the plan gives no `endpoint` for {}", db.id));
        };
        // The server is stopped even if its login cannot be read.
        let way = self.connection_info(db).await.ok();
        let way = way.as_ref().map(|(e, l)| (e.as_str(), l));
        match op {
            Operation::Fence(_) => self.postgres.stop(db, endpoint, way, key).await,
            _ => self.postgres.start(db, endpoint, way, key).await,
        }
    }

    async fn restore(&self, part: Part, of: &Restore, key: &str) -> CallOutcome {
        match self.connection_info(&of.db).await {
            Ok((endpoint, login)) => {
                let done = self.postgres.restore(part, of, (&endpoint, &login), key).await;
                let login = matches!(&done, CallOutcome::Refused { code, .. } if code == "Login");
                self.forget_refused(&of.db, login);
                done
            }
            Err(unread) => unread.outcome(),
        }
    }

    /// Checks the copy of a managed server. The copy is a server of its own.
    async fn check(&self, part: Part, of: &Restore, copy: &DatabaseRef, key: &str) -> CallOutcome {
        let (endpoint, login) = match self.connection_info(copy).await {
            Ok(way) => way,
            Err(unread) => return unread.outcome(),
        };
        let live = match part {
            Part::Loss => self.connection_info(&of.db).await.ok(),
            _ => None,
        };
        let live = live.as_ref().map(|(endpoint, login)| (endpoint.as_str(), login));
        let done = self.postgres.check(part, of, (&endpoint, &login), live, key).await;
        self.forget_refused(&of.db, matches!(&done, CallOutcome::Refused { code, .. } if code == "Login"));
        done
    }

    async fn observe_sql(&self, target: &Target) -> Observation {
        if let Target::Alive { db, .. } = target {
            return match &db.endpoint {
                Some(endpoint) => self.postgres.alive(endpoint).await,
                None => self.unseen(format!("the endpoint of {} is unknown", db.id)),
            };
        }
        if let Target::Rebuild { db, key } = target {
            return self.rebuild(db, key).await;
        }
        if let Target::Restore { key, copy: Some(_), .. } = target {
            return self.postgres.checked(key);
        }
        if let Target::Restore { db, key, .. } = target {
            return self.postgres.restoring(db, key).await;
        }
        if let Target::Backups(of) = target {
            return match self.connection_info(&of.db).await {
                Ok((endpoint, login)) => self.postgres.backups(of, &endpoint, &login).await,
                Err(unread) => unread.observation(self.world.now()),
            };
        }
        if let Target::Fence { db, method: FenceMethod::Stop, .. } = target {
            let Some(endpoint) = &db.endpoint else {
                return self.unseen(format!("the endpoint of {} is unknown", db.id));
            };
            let way = self.connection_info(db).await.ok();
            return self.postgres.stopped(db, endpoint, way.as_ref().map(|(e, l)| (e.as_str(), l))).await;
        }
        let (Target::Fence { db, .. } | Target::Wrote { db, .. } | Target::Database(db)) = target else {
            return self.unseen("not asked by SQL".to_owned());
        };
        let connection_info = match target {
            Target::Wrote { way: Some(way), .. } => self.landed(db, way).await,
            _ => self.connection_info(db).await,
        };
        let (endpoint, login) = match connection_info {
            Ok(way) => way,
            Err(unread) => return unread.observation(self.world.now()),
        };
        let seen = match target {
            Target::Wrote { table, key, .. } => self.postgres.wrote(&endpoint, &login, table, key).await,
            Target::Database(_) => self.postgres.server(db, &endpoint, &login).await,
            Target::Fence { method, .. } => {
                let seen = self.postgres.fence_state(db, *method, &endpoint, &login).await;
                self.knocked(db, *method, &endpoint, seen).await
            }
            _ => self.unseen("not asked by SQL".to_owned()),
        };
        let refused =
            matches!(&seen, Observation::Unobservable { why, .. } if why.starts_with("login refused"));
        self.forget_refused(db, refused);
        seen
    }

    /// Adds what the control plane does not know about replicas: the last commit that each has replayed.
    async fn with_last_commits(&self, targets: &[Target], mut seen: Vec<Observation>) -> Vec<Observation> {
        let looks = targets.iter().zip(&seen).map(|(target, seen)| self.replayed(target, seen));
        let replayed = join_all(looks).await;
        let mut left: BTreeMap<&Place, Vec<Lagging<'_>>> = BTreeMap::new();
        let from = sources(&seen);
        for ((target, by_sql), source_region) in targets.iter().zip(&replayed).zip(&from) {
            // A replica that has replayed no commit since its start does not know its last one.
            let unknown = match by_sql {
                Replayed::AskMetrics | Replayed::Misled => true,
                Replayed::BySql(there) => there.last_commit.is_none(),
                Replayed::Commit(_) | Replayed::NoReplica | Replayed::Writer(_) => false,
            };
            if let (Target::Database(db), true) = (target, unknown) {
                let source_region = source_region.as_deref();
                left.entry(&db.place).or_default().push(Lagging { db, source_region });
            }
        }
        let asked = left
            .into_iter()
            .map(|(place, of)| async move { (place, self.aws.replica_lags(place, &of).await) });
        let lags: BTreeMap<&Place, BTreeMap<String, Timestamp>> = join_all(asked).await.into_iter().collect();
        for ((target, replayed), seen) in targets.iter().zip(replayed).zip(&mut seen) {
            let (Target::Database(db), Observation::Value { state: State::Database(state), .. }) =
                (target, seen)
            else {
                continue;
            };
            let lag = || lags.get(&db.place).and_then(|l| l.get(&db.id)).copied();
            let found = match replayed {
                Replayed::BySql(there) => {
                    (state.last_commit_there, state.clock) = (there.last_commit_there, there.clock);
                    (state.wal, state.streaming) = (there.wal, there.streaming);
                    (state.fence_token, state.synced_slots) = (there.fence_token, there.synced_slots);
                    let by_metrics = || lag().map(|commit| (commit, "replica_lag"));
                    there.last_commit.map(|commit| (commit, "sql")).or_else(by_metrics)
                }
                Replayed::Commit(commit) => {
                    state.last_commit_there = Some(commit.there);
                    Some((commit.here, "sql"))
                }
                Replayed::AskMetrics => lag().map(|commit| (commit, "replica_lag")),
                Replayed::Misled => {
                    state.endpoint_mismatch = true;
                    lag().map(|commit| (commit, "replica_lag"))
                }
                Replayed::Writer(lacks) => {
                    state.unreplicated = lacks;
                    None
                }
                Replayed::NoReplica => None,
            };
            if let Some((commit, source)) = found {
                state.last_commit = Some(commit);
                state.last_commit_source = Some(source.to_owned());
            }
        }
        seen
    }

    async fn replayed(&self, target: &Target, seen: &Observation) -> Replayed {
        let (Target::Database(db), Observation::Value { state: State::Database(state), .. }) = (target, seen)
        else {
            return Replayed::NoReplica;
        };
        // If Aurora must still rebuild a cluster, no metric shows what it has.
        let anew = db.engine == Engine::Aurora && state.streaming != Some(true);
        if !state.is_replica() && db.engine == Engine::Rds && db.admin_secret.is_some() {
            return self.writer(&db.clone().reached_at(state.endpoint.as_ref()), state).await;
        }
        if !state.is_replica() || anew {
            return Replayed::NoReplica;
        }
        let db = db.clone().reached_at(state.endpoint.as_ref());
        // The writer endpoint of a secondary does not work before the takeover.
        if db.admin_secret.is_none() || db.engine == Engine::Aurora {
            return Replayed::AskMetrics;
        }
        match self.connection_info(&db).await {
            Ok((endpoint, login)) => match self.postgres.server(&db, &endpoint, &login).await {
                // An endpoint that leads to the writer says nothing about the replica.
                Observation::Value { state: State::Database(there), .. } if there.is_replica() => {
                    Replayed::BySql(Box::new(there))
                }
                Observation::Value { .. } => Replayed::Misled,
                // If the login may not read all of that, it may still be allowed to read the last commit.
                Observation::Refused { .. } => match self.postgres.last_replayed(&endpoint, &login).await {
                    Some(commit) => Replayed::Commit(commit),
                    None => Replayed::AskMetrics,
                },
                _ => Replayed::AskMetrics,
            },
            Err(_) => Replayed::AskMetrics,
        }
    }

    /// The control plane does not know what the replicas of a managed writer lack.
    async fn writer(&self, db: &DatabaseRef, state: &DatabaseState) -> Replayed {
        let postgres = state.instance.as_ref().is_none_or(|i| i.is_postgres());
        match self.connection_info(db).await {
            Ok((endpoint, login)) if postgres => {
                Replayed::Writer(self.postgres.unreplicated(db, &endpoint, &login).await)
            }
            _ => Replayed::NoReplica,
        }
    }

    /// The address and login of the clients. They are read again each time, because they may just have changed or been rotated.
    async fn as_client(&self, db: &DatabaseRef, way: &ClientWay) -> Result<(String, Login), NoLogin> {
        let read = match &way.secret {
            Some(secret) if way.login.is_none() || way.endpoint.is_none() => {
                Some(self.aws.client(secret).await?)
            }
            _ => None,
        };
        let login = match (&way.login, &read) {
            (Some(reference), _) => self.read_login(reference, &db.place).await?,
            (None, Some((login, _))) => login.clone(),
            (None, None) => return Err(NoLogin::Unusable("the plan gives no client login".to_owned())),
        };
        let named = way.endpoint.clone().or_else(|| read.map(|(_, endpoint)| endpoint));
        let endpoint = named.ok_or_else(|| {
            NoLogin::Unusable("neither the plan nor the secret says where clients connect".to_owned())
        })?;
        let database = db.endpoint.as_deref().and_then(endpoint_parts).and_then(|(_, _, name)| name);
        Ok(match (endpoint.contains('/'), database) {
            (false, Some(name)) => (format!("{endpoint}/{name}"), login),
            _ => (endpoint, login),
        })
    }

    /// The administrator's connection to the database that clients use.
    async fn way_beside(
        &self,
        db: &DatabaseRef,
        client: &(String, Login),
    ) -> Result<(String, Login), NoLogin> {
        let (endpoint, login) = self.connection_info(db).await?;
        let named = endpoint_parts(&client.0).and_then(|(_, _, name)| name).map(str::to_owned);
        let dbname = client.1.dbname.clone().or(named).or(login.dbname.clone());
        Ok((endpoint, Login { dbname, ..login }))
    }

    /// Writes a row over the connection that clients use.
    async fn through(&self, db: &DatabaseRef, table: &str, way: &ClientWay, key: &str) -> CallOutcome {
        let ways = async {
            let client = self.as_client(db, way).await?;
            let admin = self.way_beside(db, &client).await?;
            Ok::<_, NoLogin>((client, admin))
        };
        match ways.await {
            Ok((client, admin)) => {
                let (admin, client) = ((admin.0.as_str(), &admin.1), (client.0.as_str(), &client.1));
                self.postgres.write_as(admin, client, table, key).await
            }
            Err(unread) => unread.outcome(),
        }
    }

    /// Where to look for a row that was written that way.
    async fn landed(&self, db: &DatabaseRef, way: &ClientWay) -> Result<(String, Login), NoLogin> {
        self.way_beside(db, &self.as_client(db, way).await?).await
    }

    async fn operate(&self, op: &Operation, action: &Action, key: &str) -> CallOutcome {
        use Operation as O;
        match op {
            O::Run(command) => self.local.start(command, key).await,
            O::Fence(f) | O::Unfence(Unfence(f)) if f.method == FenceMethod::Stop => {
                self.stop(op, &f.db, key).await
            }
            O::Fence(f) | O::Unfence(Unfence(f)) if f.method.service() == "sql" => self.sql(op, key).await,
            O::Withdraw(Withdraw { db }) => self.withdraw(db, key).await,
            O::Rejoin(Rejoin { db, source, replica: None, reconcile }) => {
                self.rejoin(db, source, reconcile, key).await
            }
            O::Restore(RestoreStep { part, of }) => match of.beside() {
                Some(copy) if matches!(part, Part::Verify | Part::Loss) => {
                    self.check(*part, of, &copy, key).await
                }
                Some(_) => self.aws.perform(action).await,
                None => self.restore(*part, of, key).await,
            },
            O::WriteCanary(_) => self.sql(op, key).await,
            O::WriteAsClient(ClientWrite { db, table, way }) => self.through(db, table, way, key).await,
            O::Promote(Promote { db, .. }) if db.engine == Engine::Postgres => self.sql(op, key).await,
            _ => self.aws.perform(action).await,
        }
    }

    async fn sql(&self, op: &Operation, key: &str) -> CallOutcome {
        use Operation as O;
        let (O::Fence(Fence { db, .. })
        | O::Unfence(Unfence(Fence { db, .. }))
        | O::WriteCanary(CanaryWrite { db, .. })
        | O::Promote(Promote { db, .. })) = op
        else {
            return refused("NotSql", format!("SQL cannot do this: {op}"));
        };
        let (endpoint, login) = match self.connection_info(db).await {
            Ok(way) => way,
            Err(unread) => return unread.outcome(),
        };
        let done = match op {
            O::Fence(f) => self.postgres.fence(db, f.method, (&endpoint, &login), key).await,
            O::Unfence(Unfence(f)) => self.postgres.unfence(db, f.method, (&endpoint, &login), key).await,
            O::Promote(_) => self.postgres.promote(&endpoint, &login).await,
            O::WriteCanary(CanaryWrite { table, .. }) => {
                self.postgres.write(&endpoint, &login, table, key).await
            }
            _ => refused("NotSql", format!("SQL cannot do this: {op}")),
        };
        self.forget_refused(db, matches!(&done, CallOutcome::Refused { code, .. } if code == "Login"));
        done
    }
}

/// The source regions of replicas whose source is named by an ARN.
fn sources(seen: &[Observation]) -> Vec<Option<String>> {
    let region = |seen: &Observation| match seen.state()? {
        State::Database(DatabaseState { role: DatabaseRole::Replica { source }, .. }) => {
            source.split(':').nth(3).map(str::to_owned)
        }
        _ => None,
    };
    seen.iter().map(region).collect()
}

/// The known facts about the last commit that a replica has replayed.
enum Replayed {
    BySql(Box<DatabaseState>),
    Writer(Vec<Unreplicated>),
    Commit(postgres::Commit),
    AskMetrics,
    Misled,
    NoReplica,
}

fn refused(code: &str, why: String) -> CallOutcome {
    CallOutcome::Refused { code: code.to_owned(), why, again: Again::Never }
}

impl Alarms for Live {
    fn alarm<'a>(
        &'a self,
        place: &'a Place,
        name: &'a str,
    ) -> LocalBoxFuture<'a, Result<(bool, String), String>> {
        Box::pin(async move {
            let told = self.aws.alarm(place, name).await;
            told.map(|(silent, says)| (silent, secrets::scrubbed(says))).map_err(secrets::scrubbed)
        })
    }
}

impl Cloud for Live {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        Box::pin(async move {
            let seen: Vec<Observation> = match targets.first().map(Target::service) {
                Some("command") => targets
                    .iter()
                    .map(|t| match t {
                        Target::Command { key, .. } => self.local.observe(key, self.world.now()),
                        _ => self.unseen("not a command".to_owned()),
                    })
                    .collect(),
                Some("dns") => {
                    let asks = targets.iter().map(|t| async move {
                        match t {
                            Target::Answers { names } => self.dns.answers(names).await,
                            _ => self.unseen("not asked of name servers".to_owned()),
                        }
                    });
                    join_all(asks).await
                }
                Some("sql") => join_all(targets.iter().map(|t| self.observe_sql(t))).await,
                _ => {
                    let seen = self.aws.observe(targets).await;
                    self.with_last_commits(targets, seen).await
                }
            };
            seen.into_iter().map(secrets::clean).collect()
        })
    }

    fn endpoints(&self) -> LocalBoxFuture<'_, BTreeSet<Endpoint>> {
        Box::pin(self.aws.named())
    }

    fn perform<'a>(&'a self, action: &'a Action, key: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        let work = async move {
            let outcome = match action {
                Action::Op(op) => self.operate(op, action, key).await,
                _ => self.aws.perform(action).await,
            };
            let requests = REQUESTS.with(RefCell::take);
            if !requests.is_empty() {
                self.requests.borrow_mut().entry(key.to_owned()).or_default().extend(requests);
            }
            secrets::told(outcome)
        };
        Box::pin(REQUESTS.scope(RefCell::default(), work))
    }

    fn requests(&self, key: &str) -> Vec<Request> {
        self.requests.borrow_mut().remove(key).unwrap_or_default()
    }
}
