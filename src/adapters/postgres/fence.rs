//! The fence by SQL: no role of a client may log in, and their sessions are ended.
//!
//! The roles that lost their login are members of `drctl_fenced`, so that any process can give it back exactly. Roles are
//! part of what a physical replica replays: the new primary has the fence, too, and the runbook lifts it there after the
//! promotion.

use tokio_postgres::Client;

use super::{APPLICATION, Failure, Told, identifier, open_state, server};
use crate::model::state::{FenceStage, FenceState};

/// How long a pool of connections may take to come back, in seconds.
const RECONNECT_S: f64 = 2.0;
/// Whether the server keeps the times of commits.
const TRACKS: &str = "SELECT current_setting('track_commit_timestamp') = 'on'";
/// SQLSTATE `feature_not_supported` (PostgreSQL documentation, appendix A).
const NOT_SUPPORTED: &str = "0A000";
/// The role that marks the others.
const MARK: &str = "drctl_fenced";
/// How the word begins that each fence leaves in that role's comment: a replica that has it is one of this very server, and not of a
/// copy with the same system identifier.
const WORD: &str = "fence-";

/// What the last fence wrote down: its word, and perhaps two numbers.
async fn note(client: &Client) -> Result<String, Failure> {
    let text = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = 'drctl_fenced'";
    let row = client.query_opt(text, &[]).await.map_err(|e| Failure::of(&e))?;
    Ok(row.and_then(|r| r.get::<_, Option<String>>(0)).unwrap_or_default())
}

fn numbers(note: &str) -> Vec<i64> {
    note.split(' ').filter_map(|n| n.parse().ok()).collect()
}

/// The provider's own roles (Amazon RDS User Guide, «Understanding PostgreSQL roles and permissions»): no client logs in with them.
const PROVIDER: &str = "('rdsadmin', 'rdsrepladmin', 'rdstopmgr', 'rdswriteforwarduser')";

/// Standbys log in with such a role, and only a superuser may change it. It is left alone where it cannot write: it owns no table
/// and has rights on none, in any database, is a member of nothing that has, and what is granted to everybody in this database
/// lets it write nothing.
const ONLY_REPLICATES: &str = "(r.rolreplication \
     AND NOT EXISTS (SELECT 1 FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid \
       AND d.classid = 'pg_class'::regclass) \
     AND NOT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'f') \
       AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast' \
       AND has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) \
     AND NOT EXISTS (SELECT 1 FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid \
       AND g.rolname NOT IN ('pg_checkpoint', 'pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables')))";

/// Roles that a client could log in with: all but the administrator that asks, the provider's, superusers, which on RDS are the
/// provider's, too, and those of standbys.
fn client_roles() -> String {
    format!(
        "SELECT r.rolname FROM pg_roles r WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> current_user \
         AND r.rolname NOT IN {PROVIDER} AND NOT {ONLY_REPLICATES} ORDER BY 1"
    )
}

/// Roles that the fence took the login from.
const FENCED: &str = "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid \
     JOIN pg_roles r ON r.oid = m.member WHERE g.rolname = 'drctl_fenced' ORDER BY 1";

/// Sessions of clients that are not drctl's own, not the provider's, and not replication. To a login that may not see other
/// sessions their kind is null: such a session counts.
const SESSIONS: &str = "SELECT a.pid, a.usename::text, a.usename = current_user FROM pg_stat_activity a \
     WHERE coalesce(a.backend_type, 'client backend') = 'client backend' AND a.pid <> pg_backend_pid() \
       AND a.usename IS NOT NULL AND a.usename <> 'rdsadmin' \
       AND a.pid NOT IN (SELECT pid FROM pg_stat_replication) \
       AND NOT (a.usename = current_user AND a.application_name = $1)";

async fn roles(client: &Client) -> Result<Vec<String>, Failure> {
    let rows = client.query(&client_roles(), &[]).await.map_err(|e| Failure::of(&e))?;
    Ok(rows.iter().map(|r| r.get(0)).collect())
}

/// A session: its process, its role, and whether that is the administrator's.
type Session = (i32, String, bool);

async fn sessions(client: &Client) -> Result<Vec<Session>, Failure> {
    let rows = client.query(SESSIONS, &[&APPLICATION]).await.map_err(|e| Failure::of(&e))?;
    Ok(rows.iter().map(|r| (r.get(0), r.get(1), r.get(2))).collect())
}

async fn flag(client: &Client, text: &str) -> Result<bool, Failure> {
    client.query_one(text, &[]).await.map(|row| row.get(0)).map_err(|e| Failure::of(&e))
}

/// Whether it holds, and how old the last commit before it is: nobody can log in, and nobody is logged in, twice with a pause between, in which a pool would be back.
pub(super) async fn look(client: &Client) -> Result<(FenceState, Option<Told>), Failure> {
    if flag(client, "SELECT pg_is_in_recovery()").await? {
        let replica = open_state("it is a replica: it takes no writes, and no fence");
        return Ok((FenceState { replica: true, ..replica }, None));
    }
    let fenced = client.query(FENCED, &[]).await.map_err(|e| Failure::of(&e))?;
    if fenced.is_empty() {
        return Ok((open_state("application roles may log in"), None));
    }
    let word = note(client).await?.split(' ').next().filter(|m| m.starts_with(WORD)).map(str::to_owned);
    let partial = |proof: String| {
        (FenceState { stage: FenceStage::Partial, word: word.clone(), ..open_state(&proof) }, None)
    };
    if let Some(role) = roles(client).await?.first() {
        return Ok(partial(format!("role {role} may log in")));
    }
    for pause_s in [0.0, RECONNECT_S] {
        client.execute("SELECT pg_sleep($1)", &[&pause_s]).await.map_err(|e| Failure::of(&e))?;
        let open = sessions(client).await?;
        if let Some((_, user, _)) = open.first() {
            return Ok(partial(format!("a session of {user} is open ({} in all)", open.len())));
        }
    }
    let proof = format!(
        "no client's role may log in ({} fenced), and no session of a client was open twice, {RECONNECT_S} s apart",
        fenced.len()
    );
    let last_commit = last_commit(client).await?;
    // Read last: every commit that was ever acknowledged is before it.
    let wal = match server::end_of_log(client).await {
        // Aurora keeps its log in its storage, and may have no such functions: the fence holds without them.
        Err(Failure::Refused(code, _)) if code == NOT_SUPPORTED => None,
        end => end?,
    };
    let held = FenceState { proven: true, stage: FenceStage::Proven, wal, word, ..open_state(&proof) };
    Ok((held, last_commit))
}

/// The last commit before the fence, where the server keeps the times of commits and no other
/// transaction came between.
async fn last_commit(client: &Client) -> Result<Option<Told>, Failure> {
    if !flag(client, TRACKS).await? {
        return Ok(None);
    }
    // The note was written by the fence's own transaction: which number was next before it, and when the last commit was made.
    let numbers = numbers(&note(client).await?);
    let text = "SELECT (l.xid::text)::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM pg_last_committed_xact() l";
    let row = client.query_one(text, &[]).await.map_err(|e| Failure::of(&e))?;
    let (last, now): (Option<i64>, i64) = (row.get(0), row.get(1));
    Ok(match (numbers.as_slice(), last) {
        (&[next, commit], Some(last)) if next == last => Told::of(Some(now - commit), Some(commit)),
        _ => None,
    })
}

/// The number of the next transaction, and when the last one was committed: what the fence's transaction writes down.
async fn before(client: &Client) -> Result<Option<String>, Failure> {
    let text = "SELECT (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint & 4294967295, \
                (extract(epoch FROM l.timestamp) * 1000)::bigint FROM pg_last_committed_xact() l \
                WHERE pg_snapshot_xmin(pg_current_snapshot()) = pg_snapshot_xmax(pg_current_snapshot())";
    // A transaction that is open may be committed yet: then nobody knows which was the last.
    let row = client.query_opt(text, &[]).await.map_err(|e| Failure::of(&e))?;
    let Some((next, commit)) = row.map(|r| (r.get::<_, i64>(0), r.get::<_, Option<i64>>(1))) else {
        return Ok(None);
    };
    Ok(commit.map(|commit| format!("{next} {commit}")))
}

/// Takes the logins in one transaction, then ends the sessions.
pub(super) async fn close(client: &mut Client) -> Result<(), Failure> {
    if flag(client, "SELECT pg_is_in_recovery()").await? {
        return Err(Failure::Refused(
            "replica".to_owned(),
            "it is a replica; the writer is another".to_owned(),
        ));
    }
    // An application that uses the administrator's own role cannot be kept out by this fence: it would be back at once.
    if let Some((_, user, _)) = sessions(client).await?.into_iter().find(|(_, _, own)| *own) {
        let why = format!(
            "sessions of {user}, the administrator's own role, are open: this fence cannot keep them out"
        );
        return Err(Failure::Refused("administrator_in_use".to_owned(), why));
    }
    let roles = roles(client).await?;
    let fenced =
        flag(client, "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'drctl_fenced')").await?;
    if roles.is_empty() && !fenced {
        let why = "no role but the administrator's may log in, so the application must be using that";
        return Err(Failure::Refused("no_application_role".to_owned(), why.to_owned()));
    }
    // A second call of one fence keeps what the first wrote down about the time before.
    let closed = !client.query(FENCED, &[]).await.map_err(|e| Failure::of(&e))?.is_empty();
    let earlier = match closed {
        true => numbers(&note(client).await?).iter().map(|n| format!(" {n}")).collect(),
        false if flag(client, TRACKS).await? => {
            before(client).await?.map_or_else(String::new, |numbers| format!(" {numbers}"))
        }
        false => String::new(),
    };
    let word = "SELECT md5(random()::text || clock_timestamp()::text)";
    let row = client.query_one(word, &[]).await.map_err(|e| Failure::of(&e))?;
    let word: String = row.get(0);
    let mut text = String::from("BEGIN;");
    if !fenced {
        text.push_str(&format!("CREATE ROLE {MARK} NOLOGIN;"));
    }
    for role in &roles {
        let role = identifier_whole(role);
        text.push_str(&format!("ALTER ROLE {role} NOLOGIN; GRANT {MARK} TO {role};"));
    }
    text.push_str(&format!("COMMENT ON ROLE {MARK} IS '{WORD}{word}{earlier}';"));
    text.push_str("COMMIT;");
    if let Err(e) = client.batch_execute(&text).await {
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(Failure::of(&e));
    }
    // Twice: a client that was let in just before the logins went appears in the list a moment later. A session that may not
    // be ended is found by the proof.
    let end = format!("SELECT count(pg_terminate_backend(s.pid)) FROM ({SESSIONS}) s (pid, name, own)");
    for _ in 0..2 {
        let _ = client.query_one(&end, &[&APPLICATION]).await;
    }
    Ok(())
}

/// Gives the logins back, in one transaction.
pub(super) async fn open(client: &mut Client) -> Result<(), Failure> {
    let rows = client.query(FENCED, &[]).await.map_err(|e| Failure::of(&e))?;
    let mut text = String::from("BEGIN;");
    for row in &rows {
        let role = identifier_whole(row.get(0));
        text.push_str(&format!("ALTER ROLE {role} LOGIN; REVOKE {MARK} FROM {role};"));
    }
    text.push_str("COMMIT;");
    if let Err(e) = client.batch_execute(&text).await {
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(Failure::of(&e));
    }
    Ok(())
}

/// A role's name, in which a dot is a dot.
pub(super) fn identifier_whole(name: &str) -> String {
    if name.contains('.') { format!("\"{}\"", name.replace('"', "\"\"")) } else { identifier(name) }
}
