//! What a managed database says by SQL, which its control plane does not know.

use futures_util::future::LocalBoxFuture;

use super::sql::Sql;
use crate::adapters::provider::{Databases, Replayed};
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::database::{DatabaseRef, DatabaseState, Engine};

impl Databases for Sql {
    fn replayed<'a>(&'a self, db: &'a DatabaseRef, state: &'a DatabaseState) -> LocalBoxFuture<'a, Replayed> {
        Box::pin(self.last_commit(db, state))
    }
}

impl Sql {
    async fn last_commit(&self, db: &DatabaseRef, state: &DatabaseState) -> Replayed {
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
}
