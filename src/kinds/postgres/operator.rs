//! What is true of a PostgreSQL server of one's own.

use crate::kinds::operation::Operation;
use crate::kinds::shared::database::certificates::OwnCas;
use crate::kinds::shared::database::cluster::NewMember;
use crate::kinds::shared::database::instance::InstanceSettings;
use crate::kinds::shared::database::operator::{
    CopyOf, Lacks, Operator, ReplicaOf, SourceBy, StandbyBy, Successor, Unmet,
};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::rejoin::NewReplica;
use crate::kinds::shared::restore::copy::Source;
use crate::model::waiver::Rule;

/// The people who run the server.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOperator;

impl Operator for PostgresOperator {
    fn standby_by(&self) -> StandbyBy {
        StandbyBy::Job
    }

    fn hands_over(&self) -> bool {
        false
    }

    fn source_by(&self) -> SourceBy {
        SourceBy::Lineage
    }

    fn api(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Its status was read over SQL, so it serves.
    fn serves(&self, _: &str) -> bool {
        true
    }

    fn own_cas(&self) -> Option<&'static OwnCas> {
        None
    }

    fn promoted_when(&self) -> &'static str {
        "pg_is_in_recovery is false"
    }

    fn withdrawal(&self, id: &str) -> Option<String> {
        Some(format!(
            "stop {id} and start it as a standby again. Once its startup process has read the request, removing the trigger file does not withdraw it"
        ))
    }

    /// A job on its host keeps the data aside.
    fn set_aside(&self, _: &DatabaseRef, _: &str) -> Option<Operation> {
        None
    }

    fn add_instance(&self, _: &DatabaseRef, _: NewMember) -> Option<Operation> {
        None
    }

    fn replica(&self, _: &ReplicaOf<'_>) -> Result<Option<(NewReplica, Option<String>)>, Unmet> {
        Ok(None)
    }

    fn can_take_over(&self, _: &Successor<'_>) -> Result<Vec<String>, Unmet> {
        Ok(Vec::new())
    }

    fn no_standby(&self, db: &DatabaseRef, lacks: &Lacks) -> Unmet {
        match lacks {
            Lacks::Host | Lacks::State(_) | Lacks::Groups => Unmet::new(
                Rule::NotRecoverable,
                format!("the plan gives no `host` for {}, so drctl cannot make it a standby", db.id),
                "add `host:` beside its endpoint (docs: plans/postgres.md)",
            ),
        }
    }

    fn copied_from(&self, asked: &CopyOf<'_>) -> Result<Source, Unmet> {
        let id = &asked.db.id;
        if asked.snapshot {
            let facts =
                format!("{id} has no snapshots. drctl restores it to any time from its backups and its WAL");
            return Err(Unmet::new(Rule::NotRecoverable, facts, "use --to-time TIME"));
        }
        asked.backups.cloned().map(Source::Own).ok_or_else(|| {
            let facts = format!("the plan does not say how to read the backups of {id}");
            let what = "add `backups:` under the `host:` of that server (docs: databases/restore.md), or choose the site that has them";
            Unmet::new(Rule::NotRecoverable, facts, what)
        })
    }

    fn backups_unread(&self) -> &'static str {
        "make sure that the host answers"
    }

    fn may_copy(&self, _: &DatabaseRef, _: &InstanceSettings) -> Result<(), Unmet> {
        Ok(())
    }
}
