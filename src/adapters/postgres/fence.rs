//! The fence by SQL: application roles may not log in, and their sessions are ended.
//!
//! The roles that lost their login are members of `drctl_fenced`, so that any process can give it back exactly. Roles are
//! part of what a physical replica replays: the new primary has the fence, too, and the runbook lifts it there after the
//! promotion.

use tokio_postgres::Client;

use super::{APPLICATION, Failure, identifier, open_state};
use crate::model::state::{FenceStage, FenceState};
use crate::model::time::Timestamp;

/// The role that marks the others.
const MARK: &str = "drctl_fenced";

/// Roles that an application could log in with: not the administrator that asks, no superuser, none of the provider's or of replication.
const APPLICATION_ROLES: &str = "SELECT r.rolname FROM pg_roles r \
     WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolreplication AND r.rolname <> current_user \
       AND r.rolname NOT LIKE 'rds%' AND r.rolname NOT LIKE 'pg\\_%' \
       AND NOT EXISTS (SELECT 1 FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid \
                       WHERE m.member = r.oid AND g.rolname IN ('rds_superuser', 'rds_replication')) \
     ORDER BY 1";

/// Sessions of clients that are not drctl's own, not the provider's, and not replication. To a login that may not see other
/// sessions their kind is null: such a session counts.
const SESSIONS: &str = "SELECT a.pid, a.usename::text, a.usename = current_user FROM pg_stat_activity a \
     WHERE coalesce(a.backend_type, 'client backend') = 'client backend' AND a.pid <> pg_backend_pid() \
       AND a.usename IS NOT NULL AND a.usename <> 'rdsadmin' \
       AND a.pid NOT IN (SELECT pid FROM pg_stat_replication) \
       AND NOT (a.usename = current_user AND a.application_name = $1)";

async fn roles(client: &Client) -> Result<Vec<String>, Failure> {
    let rows = client.query(APPLICATION_ROLES, &[]).await.map_err(|e| Failure::of(&e))?;
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

/// Whether it holds: nobody can log in, and nobody is logged in.
pub(super) async fn look(client: &Client) -> Result<FenceState, Failure> {
    if flag(client, "SELECT pg_is_in_recovery()").await? {
        return Ok(open_state("it is a replica: it takes no writes, and no fence"));
    }
    let marked = "SELECT EXISTS (SELECT 1 FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE g.rolname = 'drctl_fenced')";
    if !flag(client, marked).await? {
        return Ok(open_state("application roles may log in"));
    }
    let (roles, sessions) = (roles(client).await?, sessions(client).await?);
    if let Some(role) = roles.first() {
        return Ok(open_state(&format!("role {role} may log in ({} in all)", roles.len())));
    }
    if let Some((_, user, _)) = sessions.first() {
        return Ok(open_state(&format!("a session of {user} is open ({} in all)", sessions.len())));
    }
    Ok(FenceState {
        proven: true,
        proof: "no application role may log in and no session of a client is left".to_owned(),
        last_commit: last_commit(client).await?,
        stage: FenceStage::Proven,
        mark: None,
    })
}

/// The last commit, where the server keeps the times of commits (`track_commit_timestamp`).
async fn last_commit(client: &Client) -> Result<Option<Timestamp>, Failure> {
    if !flag(client, "SELECT current_setting('track_commit_timestamp') = 'on'").await? {
        return Ok(None);
    }
    let text = "SELECT (extract(epoch FROM timestamp) * 1000)::bigint FROM pg_last_committed_xact()";
    let row = client.query_one(text, &[]).await.map_err(|e| Failure::of(&e))?;
    Ok(row.get::<_, Option<i64>>(0).map(Timestamp::from_millis))
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
    let mut text = String::from("BEGIN;");
    if !fenced {
        text.push_str(&format!("CREATE ROLE {MARK} NOLOGIN;"));
    }
    for role in &roles {
        let role = identifier_whole(role);
        text.push_str(&format!("ALTER ROLE {role} NOLOGIN; GRANT {MARK} TO {role};"));
    }
    text.push_str("COMMIT;");
    if let Err(e) = client.batch_execute(&text).await {
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(Failure::of(&e));
    }
    for (pid, _, _) in sessions(client).await? {
        // One that may not be ended is found by the proof.
        let _ = client.query_one("SELECT pg_terminate_backend($1)", &[&pid]).await;
    }
    Ok(())
}

/// Gives the logins back, in one transaction.
pub(super) async fn open(client: &mut Client) -> Result<(), Failure> {
    let text = "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member \
                WHERE g.rolname = 'drctl_fenced' ORDER BY 1";
    let rows = client.query(text, &[]).await.map_err(|e| Failure::of(&e))?;
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
fn identifier_whole(name: &str) -> String {
    if name.contains('.') { format!("\"{}\"", name.replace('"', "\"\"")) } else { identifier(name) }
}
