//! A server of one's own: what it is, and its promotion.
//!
//! Sources: PostgreSQL documentation, «System Administration Functions» (`pg_promote`, `pg_last_xact_replay_timestamp`,
//! `pg_control_system`, `pg_last_committed_xact`) and «Hot Standby».

use std::collections::BTreeSet;

use tokio_postgres::Client;

use super::Failure;
use crate::model::state::{DatabaseRole, DatabaseState};
use crate::model::time::Dur;

/// Role, lineage, and how old the last commit is. On a primary its age needs `track_commit_timestamp`.
const LOOK: &str = "SELECT pg_is_in_recovery(), \
     (SELECT system_identifier::text FROM pg_control_system()), \
     (extract(epoch FROM clock_timestamp() - CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() \
       WHEN current_setting('track_commit_timestamp') = 'on' THEN (SELECT timestamp FROM pg_last_committed_xact()) END) * 1000)::bigint";

/// What it is, and how old the last commit is that it holds.
pub(super) async fn look(client: &Client) -> Result<(DatabaseState, Option<Dur>), Failure> {
    let row = client.query_one(LOOK, &[]).await.map_err(|e| Failure::of(&e))?;
    let (replica, lineage): (bool, String) = (row.get(0), row.get(1));
    let age = row.get::<_, Option<i64>>(2).map(|ms| Dur(u64::try_from(ms).unwrap_or(0)));
    let role = match replica {
        true => DatabaseRole::Replica { source: lineage.clone() },
        false => DatabaseRole::Writer,
    };
    let state = DatabaseState {
        role,
        status: "available".to_owned(),
        last_commit: None,
        last_commit_source: Some("sql".to_owned()),
        backup_age_ms: None,
        security_groups: BTreeSet::new(),
        lineage: Some(lineage),
        endpoint: None,
    };
    Ok((state, age))
}

/// Ends the recovery. A promotion that is under way already is not asked for again by the server.
pub(super) async fn promote(client: &Client) -> Result<(), Failure> {
    let sent: bool =
        client.query_one("SELECT pg_promote(false)", &[]).await.map_err(|e| Failure::of(&e))?.get(0);
    match sent {
        true => Ok(()),
        false => {
            Err(Failure::Refused("pg_promote".to_owned(), "the server did not take the signal".to_owned()))
        }
    }
}
