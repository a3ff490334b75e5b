//! A self-managed server: its state and its promotion.
//!
//! Sources: PostgreSQL documentation, «System Administration Functions» (`pg_promote`, `pg_last_xact_replay_timestamp`,
//! `pg_control_system`, `pg_last_committed_xact`, `pg_walfile_name`), «Hot Standby» and «pg_stat_wal_receiver».

use tokio_postgres::Client;

use super::session::{CommitAge, Failure, json};
use crate::kinds::shared::database::{DatabaseRole, DatabaseState};
use crate::kinds::shared::wal::{Lsn, WalPoint};
use crate::model::time::Timestamp;

/// Role, lineage, and the age of the last commit. On a primary the age needs `track_commit_timestamp`.
///
/// Then the time of the clock that stamps its commits: its own, or, for a standby, the clock of the server that it streams from,
/// as the last message gave it. The travel time of that message is unknown and taken as zero.
///
/// Then the position: on a standby what it has replayed, on a primary what it has written. After a promotion the control file has
/// the old timeline until the next checkpoint, so it is read only if nothing streams.
const LOOK: &str = "SELECT pg_is_in_recovery(), \
     (SELECT system_identifier::text FROM pg_control_system()), \
     (extract(epoch FROM clock_timestamp() - last.made) * 1000)::bigint, (extract(epoch FROM last.made) * 1000)::bigint, \
     (extract(epoch FROM clock_timestamp() + CASE WHEN pg_is_in_recovery() \
       THEN (SELECT last_msg_send_time - last_msg_receipt_time FROM pg_stat_wal_receiver \
         WHERE status = 'streaming' AND latest_end_lsn IS NOT NULL) ELSE '0' END) * 1000)::bigint, \
     CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text, \
     CASE WHEN pg_is_in_recovery() THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), \
       (SELECT timeline_id FROM pg_control_checkpoint())) \
       ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END, \
     EXISTS (SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming') \
       AND CASE WHEN pg_is_in_recovery() THEN NOT pg_is_wal_replay_paused() \
         AND current_setting('recovery_min_apply_delay') = '0' ELSE false END, \
     (SELECT sender_host || ':' || sender_port FROM pg_stat_wal_receiver), \
     (SELECT split_part(shobj_description(oid, 'pg_authid'), ' ', 1) FROM pg_roles WHERE rolname = 'drctl_fenced' \
       AND (EXISTS (SELECT FROM pg_auth_members WHERE roleid = pg_roles.oid) \
         OR shobj_description(oid, 'pg_authid') ~ ' (db|sub|hba):')) \
     FROM (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() \
       WHEN current_setting('track_commit_timestamp') = 'on' THEN (SELECT timestamp FROM pg_last_committed_xact()) END AS made) last";

/// The PID of a process whose parent is the server's postmaster.
pub(super) async fn checkpointer(client: &Client) -> Result<Option<i32>, Failure> {
    let text = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
    let row = client.query_opt(text, &[]).await.map_err(|e| Failure::from_error(&e))?;
    Ok(row.map(|r| r.get(0)))
}

/// The last commit that a standby has replayed.
const REPLAYED: &str = "SELECT (extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::bigint, \
     (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000)::bigint WHERE pg_is_in_recovery()";

/// The last commit that a standby has replayed; none on a primary.
pub(super) async fn last_replayed(client: &Client) -> Result<Option<CommitAge>, Failure> {
    let row = client.query_opt(REPLAYED, &[]).await.map_err(|e| Failure::from_error(&e))?;
    Ok(row.and_then(|r| CommitAge::from_ms(r.get(0), r.get(1))))
}

/// The time of a server's clock. It takes a single round trip, whose duration bounds the error.
pub(super) async fn clock(client: &Client) -> Result<Timestamp, Failure> {
    let shows: i64 =
        json(client, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint::text").await?;
    Ok(Timestamp::from_millis(shows))
}

/// The end of a primary's WAL.
const END: &str = "SELECT jsonb_build_array(pg_current_wal_insert_lsn()::text, \
     ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int)::text";

/// The end of a primary's WAL.
pub(super) async fn end_of_log(client: &Client) -> Result<Option<WalPoint>, Failure> {
    let (position, timeline) = json(client, END).await?;
    Ok(point(position, timeline))
}

fn point(position: Option<String>, timeline: Option<i32>) -> Option<WalPoint> {
    let position = Lsn::try_from(position?).ok()?.without_header();
    Some(WalPoint { timeline: u32::try_from(timeline?).ok()?, position })
}

/// Its state, the age of its last commit, and the time of the clock that stamped that commit.
pub(super) async fn look(
    client: &Client,
) -> Result<(DatabaseState, Option<CommitAge>, Option<Timestamp>), Failure> {
    let row = client.query_one(LOOK, &[]).await.map_err(|e| Failure::from_error(&e))?;
    let (replica, lineage): (bool, String) = (row.get(0), row.get(1));
    let commit = CommitAge::from_ms(row.get(2), row.get(3));
    let role = match replica {
        true => DatabaseRole::Replica { source: lineage.clone() },
        false => DatabaseRole::Writer,
    };
    let state = DatabaseState {
        role,
        status: "available".to_owned(),
        last_commit_source: Some("sql".to_owned()),
        lineage: Some(lineage),
        wal: point(row.get(5), row.get(6)),
        streaming: replica.then(|| row.get(7)),
        follows: row.get(8),
        fence_token: row.get(9),
        advice: advice(client).await?,
        synced_slots: if replica { Some(json(client, SYNCED).await?) } else { None },
        ..DatabaseState::default()
    };
    Ok((state, commit, row.get::<_, Option<i64>>(4).map(Timestamp::from_millis)))
}

/// Logical slots that a standby has synchronized and that a promotion keeps. Columns that an older server lacks are null here (PostgreSQL
/// documentation, «pg_replication_slots», `synced` and `invalidation_reason` since 17).
const SYNCED: &str = "SELECT coalesce(jsonb_agg(slot_name ORDER BY slot_name), '[]')::text FROM pg_replication_slots s \
     WHERE (to_jsonb(s) ->> 'synced')::boolean AND NOT temporary AND to_jsonb(s) ->> 'invalidation_reason' IS NULL";

/// Settings that a recovery depends on (PostgreSQL documentation, «pg_rewind», «Replication», `track_commit_timestamp`).
const SETTINGS: &str = "SELECT current_setting('wal_log_hints') = 'on' OR current_setting('data_checksums') = 'on', \
     coalesce(current_setting('max_slot_wal_keep_size', true), '-1') <> '-1', current_setting('track_commit_timestamp') = 'on'";

/// Settings of a server that will cause problems in a recovery.
async fn advice(client: &Client) -> Result<Vec<String>, Failure> {
    let row = client.query_one(SETTINGS, &[]).await.map_err(|e| Failure::from_error(&e))?;
    let hurts = [
        "wal_log_hints and data checksums are both off, so pg_rewind refuses the server. To make it a standby, drctl must copy all data",
        "max_slot_wal_keep_size is -1: while a standby is down, WAL fills the disk of this server",
        "track_commit_timestamp is off, so drctl can only bound a loss, not measure it",
    ];
    let hurts = hurts.into_iter().enumerate().filter(|(i, _)| !row.get::<_, bool>(*i));
    Ok(hurts.map(|(_, why)| why.to_owned()).collect())
}

/// Ends the recovery. If a promotion is already in progress, the server does not start another.
pub(super) async fn promote(client: &Client) -> Result<(), Failure> {
    let sent: bool =
        client.query_one("SELECT pg_promote(false)", &[]).await.map_err(|e| Failure::from_error(&e))?.get(0);
    match sent {
        true => Ok(()),
        false => Err(Failure::Refused(
            "pg_promote".to_owned(),
            "the server did not accept the promotion signal".to_owned(),
        )),
    }
}
