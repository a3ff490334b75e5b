//! What providers offer each other. Each provider is chosen by the target or operation, and knows the others only by these traits.

use std::collections::BTreeMap;

use futures_util::future::LocalBoxFuture;

use super::secrets::{Login, NoLogin};
use super::uploads::{SinkContent, SinkError, Upload};
use crate::inventory::Observation;
use crate::kinds::Target;
use crate::kinds::shared::database::{DatabaseRef, DatabaseState};
use crate::kinds::shared::secret::ClientSecret;
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::model::environment::Endpoint;
use crate::model::place::Place;
use crate::model::sink::Sink;
use crate::model::time::Timestamp;
use crate::record::action::Action;
use crate::run::outcome::CallOutcome;

/// One provider.
pub trait Provider {
    /// Observes targets of one poll group, and returns the results in their order. Never fails.
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>>;

    /// Starts an action.
    fn perform<'a>(&'a self, action: &'a Action, key: &'a str) -> LocalBoxFuture<'a, CallOutcome>;
}

/// What the control plane of a cloud tells other providers.
pub trait ControlPlane {
    /// A login in its store of secrets.
    fn login<'a>(&'a self, name: &'a str, place: &'a Place) -> LocalBoxFuture<'a, Result<Login, NoLogin>>;

    /// The current login and endpoint in the secret that clients read.
    fn client<'a>(&'a self, of: &'a ClientSecret) -> LocalBoxFuture<'a, Result<(Login, String), NoLogin>>;

    /// The endpoint of a database.
    fn endpoint<'a>(&'a self, db: &'a DatabaseRef) -> LocalBoxFuture<'a, Option<String>>;

    /// Whether an alarm is off, and its state; or why that is unknown.
    fn alarm<'a>(
        &'a self,
        place: &'a Place,
        name: &'a str,
    ) -> LocalBoxFuture<'a, Result<(bool, String), String>>;

    /// Service addresses that replace the provider's own.
    fn endpoints(&self) -> LocalBoxFuture<'_, std::collections::BTreeSet<Endpoint>>;
}

/// What a managed database says by SQL, which its control plane does not know.
pub trait Databases {
    /// The last commit that it has replayed, or what its replicas lack.
    fn replayed<'a>(&'a self, db: &'a DatabaseRef, state: &'a DatabaseState) -> LocalBoxFuture<'a, Replayed>;
}

/// A store of objects that evidence is delivered to.
pub trait ObjectStore {
    /// Writes a bundle where nothing exists yet. Returns whether it was written.
    ///
    /// # Errors
    /// If the store did not accept it.
    fn put_bundle<'a>(
        &'a self,
        sink: &'a Sink,
        parcel: &'a Upload<'a>,
    ) -> LocalBoxFuture<'a, Result<bool, SinkError>>;

    /// Reads a bundle of at most `most` bytes.
    ///
    /// # Errors
    /// If the store did not answer.
    fn held_bundle<'a>(
        &'a self,
        sink: &'a Sink,
        bundle: &'a str,
        version: Option<&'a str>,
        most: usize,
    ) -> LocalBoxFuture<'a, Result<SinkContent, SinkError>>;
}

/// When a commit was made.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// By this machine's clock.
    pub here: Timestamp,
    /// By the clock of the server that made it.
    pub there: Timestamp,
}

/// The known facts about the last commit that a replica has replayed.
#[derive(Clone, Debug)]
pub enum Replayed {
    /// What the replica says by SQL.
    BySql(Box<DatabaseState>),
    /// It is the writer, and these rows are in no log.
    Writer(Vec<Unreplicated>),
    /// The replica says only when the commit was made.
    Commit(Commit),
    /// It cannot be asked by SQL: its metrics may tell.
    AskMetrics,
    /// Its endpoint leads to another server.
    Misled,
    /// It is no replica.
    NoReplica,
}

/// Replica lags by database identifier.
pub type Lags = BTreeMap<String, Timestamp>;

/// A replica whose lag is requested.
#[cfg(feature = "aws")]
#[derive(Clone, Debug)]
pub struct Lagging<'a> {
    /// The replica.
    pub db: &'a DatabaseRef,
    /// The region of its source, if known.
    pub source_region: Option<&'a str>,
}
