//! AWS as a provider, and what its control plane tells other providers.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use futures_util::future::{LocalBoxFuture, join_all};

use super::Aws;
use crate::adapters::provider::{ControlPlane, Databases, Lagging, Lags, ObjectStore, Provider, Replayed};
use crate::adapters::secrets::{Login, NoLogin};
use crate::adapters::uploads::{SinkContent, SinkError, Upload};
use crate::inventory::Observation;
use crate::kinds::shared::database::{DatabaseRef, DatabaseRole, DatabaseState};
use crate::kinds::shared::secret::ClientSecret;
use crate::kinds::{State, Target};
use crate::model::environment::Endpoint;
use crate::model::place::Place;
use crate::model::sink::Sink;
use crate::record::action::Action;
use crate::run::outcome::CallOutcome;

/// Every AWS service, and what its databases say by SQL.
pub struct Managed {
    /// The services.
    pub aws: Rc<Aws>,
    /// The databases.
    pub databases: Rc<dyn Databases>,
}

impl Provider for Managed {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        Box::pin(async move {
            let seen = self.aws.observe(targets).await;
            self.with_last_commits(targets, seen).await
        })
    }

    fn perform<'a>(&'a self, action: &'a Action, _key: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        Box::pin(self.aws.perform(action))
    }
}

impl ControlPlane for Aws {
    fn login<'a>(&'a self, name: &'a str, place: &'a Place) -> LocalBoxFuture<'a, Result<Login, NoLogin>> {
        // In the recovery site, or else in the database's own.
        Box::pin(self.read_login(name, self.recovery.as_ref().unwrap_or(place)))
    }

    fn client<'a>(&'a self, of: &'a ClientSecret) -> LocalBoxFuture<'a, Result<(Login, String), NoLogin>> {
        Box::pin(self.read_client(of))
    }

    fn endpoint<'a>(&'a self, db: &'a DatabaseRef) -> LocalBoxFuture<'a, Option<String>> {
        Box::pin(async move {
            let seen = self.stores(&db.place, &[&Target::Database(db.clone())]).await;
            match seen.first()?.state()? {
                State::Database(state) => state.endpoint.clone(),
                _ => None,
            }
        })
    }

    fn alarm<'a>(
        &'a self,
        place: &'a Place,
        name: &'a str,
    ) -> LocalBoxFuture<'a, Result<(bool, String), String>> {
        Box::pin(self.read_alarm(place, name))
    }

    fn endpoints(&self) -> LocalBoxFuture<'_, BTreeSet<Endpoint>> {
        Box::pin(self.clients.named())
    }
}

impl ObjectStore for Aws {
    fn put_bundle<'a>(
        &'a self,
        sink: &'a Sink,
        parcel: &'a Upload<'a>,
    ) -> LocalBoxFuture<'a, Result<bool, SinkError>> {
        Box::pin(self.write_bundle(sink, parcel))
    }

    fn held_bundle<'a>(
        &'a self,
        sink: &'a Sink,
        bundle: &'a str,
        version: Option<&'a str>,
        most: usize,
    ) -> LocalBoxFuture<'a, Result<SinkContent, SinkError>> {
        Box::pin(self.read_bundle(sink, bundle, version, most))
    }
}

impl Managed {
    async fn replayed(&self, target: &Target, seen: &Observation) -> Replayed {
        match (target, seen) {
            (Target::Database(db), Observation::Value { state: State::Database(state), .. }) => {
                self.databases.replayed(db, state).await
            }
            _ => Replayed::NoReplica,
        }
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
        let asked =
            left.into_iter().map(|(place, of)| async move { (place, self.aws.lags(place, &of).await) });
        let lags: BTreeMap<&Place, Lags> = join_all(asked).await.into_iter().collect();
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
