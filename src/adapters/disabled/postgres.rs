//! Replaces `adapters/postgres` in a build without the feature `postgres`.

use crate::adapters::secrets::{Knock, Login};
use crate::inventory::Observation;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::shared::restore::{Part, Restore};
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::model::time::Timestamp;
use crate::plan::settings::SqlSettings;
use crate::run::outcome::{Again, CallOutcome};
use crate::world::World;

/// A commit; never created in this build.
pub struct Commit {
    /// By this machine's clock.
    pub here: Timestamp,
    /// By the clock of the server that made it.
    pub there: Timestamp,
}

/// This build checks no certificates.
pub const fn trouble(_settings: &SqlSettings) -> Option<String> {
    None
}

/// No PostgreSQL.
pub struct Postgres {
    world: World,
}

const WHY: &str = "built without postgres";

impl Postgres {
    /// Does nothing.
    pub fn new(world: World, _settings: SqlSettings) -> Self {
        Self { world }
    }

    fn unseen(&self) -> Observation {
        Observation::Unobservable { since: self.world.now(), why: WHY.to_owned() }
    }

    fn refused() -> CallOutcome {
        CallOutcome::Refused { code: "NotBuilt".to_owned(), why: WHY.to_owned(), again: Again::Never }
    }

    /// Unobservable.
    pub async fn alive(&self, _endpoint: &str) -> Observation {
        self.unseen()
    }

    /// Unobservable.
    pub async fn server(&self, _db: &DatabaseRef, _endpoint: &str, _login: &Login) -> Observation {
        self.unseen()
    }

    /// Returns nothing.
    pub async fn unreplicated(
        &self,
        _db: &DatabaseRef,
        _endpoint: &str,
        _login: &Login,
    ) -> Vec<Unreplicated> {
        Vec::new()
    }

    /// Proves nothing.
    pub async fn knock(&self, _endpoint: &str, _login: &Login, _method: FenceMethod) -> Knock {
        Knock::NoProof(WHY.to_owned())
    }

    /// Refused.
    pub async fn withdraw(&self, _db: &DatabaseRef, _way: (&str, &Login), _key: &str) -> CallOutcome {
        Self::refused()
    }

    /// Refused.
    pub async fn stop(
        &self,
        _db: &DatabaseRef,
        _endpoint: &str,
        _way_in: Option<(&str, &Login)>,
        _key: &str,
    ) -> CallOutcome {
        Self::refused()
    }

    /// Refused.
    pub async fn start(
        &self,
        _db: &DatabaseRef,
        _endpoint: &str,
        _way_in: Option<(&str, &Login)>,
        _key: &str,
    ) -> CallOutcome {
        Self::refused()
    }

    /// Unobservable.
    pub async fn stopped(
        &self,
        _db: &DatabaseRef,
        _endpoint: &str,
        _way_in: Option<(&str, &Login)>,
    ) -> Observation {
        self.unseen()
    }

    /// Refused.
    pub async fn promote(&self, _endpoint: &str, _login: &Login) -> CallOutcome {
        Self::refused()
    }

    /// Refused.
    pub async fn write_as(
        &self,
        _admin: (&str, &Login),
        _client: (&str, &Login),
        _table: &str,
        _key: &str,
    ) -> CallOutcome {
        Self::refused()
    }

    /// Refused.
    pub async fn rejoin(
        &self,
        _db: &DatabaseRef,
        _way_in: Option<(&str, &Login)>,
        _source: (&str, &Login),
        _reconcile: &[String],
        _key: &str,
    ) -> CallOutcome {
        Self::refused()
    }

    /// Unobservable.
    pub async fn rebuild(
        &self,
        _db: &DatabaseRef,
        _way_in: Option<(&str, &Login)>,
        _key: &str,
    ) -> Observation {
        self.unseen()
    }

    /// Unobservable.
    pub async fn backups(&self, _of: &Restore, _endpoint: &str, _login: &Login) -> Observation {
        self.unseen()
    }

    /// Refused.
    pub async fn restore(
        &self,
        _part: Part,
        _of: &Restore,
        _way_in: (&str, &Login),
        _key: &str,
    ) -> CallOutcome {
        Self::refused()
    }

    /// Refused.
    pub async fn check(
        &self,
        _part: Part,
        _of: &Restore,
        _copy: (&str, &Login),
        _live: Option<(&str, &Login)>,
        _key: &str,
    ) -> CallOutcome {
        Self::refused()
    }

    /// Unobservable.
    pub fn checked(&self, _key: &str) -> Observation {
        self.unseen()
    }

    /// Unobservable.
    pub async fn restoring(&self, _db: &DatabaseRef, _key: &str) -> Observation {
        self.unseen()
    }

    /// Unknown.
    pub async fn last_replayed(&self, _endpoint: &str, _login: &Login) -> Option<Commit> {
        None
    }

    /// Unobservable.
    pub async fn fence_state(
        &self,
        _db: &DatabaseRef,
        _method: FenceMethod,
        _endpoint: &str,
        _login: &Login,
    ) -> Observation {
        self.unseen()
    }

    /// Refused.
    pub async fn fence(
        &self,
        _db: &DatabaseRef,
        _method: FenceMethod,
        _way: (&str, &Login),
        _key: &str,
    ) -> CallOutcome {
        Self::refused()
    }

    /// Refused.
    pub async fn unfence(
        &self,
        _db: &DatabaseRef,
        _method: FenceMethod,
        _way: (&str, &Login),
        _key: &str,
    ) -> CallOutcome {
        Self::refused()
    }

    /// Refused.
    pub async fn write(&self, _endpoint: &str, _login: &Login, _table: &str, _key: &str) -> CallOutcome {
        Self::refused()
    }

    /// Unobservable.
    pub async fn wrote(&self, _endpoint: &str, _login: &Login, _table: &str, _key: &str) -> Observation {
        self.unseen()
    }
}
