//! The fence by SQL: no role of a client may log in, their sessions are ended, and no subscription writes. That it holds is a census by
//! allow-list ([`super::census`]), taken twice.
//!
//! The roles that lost their login are members of `drctl_fenced`, and the subscriptions that were disabled are in that role's comment, so
//! that any process can give both back exactly. All of it is part of what a physical replica replays: the new primary has the fence, too,
//! and the runbook lifts it there after the promotion.

use futures_util::future::{join, join_all};
use tokio_postgres::Client;

use super::census::{self, Census, Known, Subscription, Writer, named};
use super::{Failure, Told, connect, identifier, open_state, server};
use crate::adapters::secrets::Login;
use crate::model::state::{FenceStage, FenceState};
use crate::model::target::DatabaseRef;
use crate::model::wal::WalPoint;
use crate::plan::settings::SqlSettings;

/// Between two looks, in seconds: a pool of connections is back by then.
const INTERVAL_S: u32 = 1;
/// How many intervals are waited for one in which no transaction ends.
const INTERVALS: u32 = 4;
/// SQLSTATE `feature_not_supported` (PostgreSQL documentation, appendix A).
const NOT_SUPPORTED: &str = "0A000";
/// The role that marks the others.
const MARK: &str = "drctl_fenced";
/// How the word begins that each fence leaves in that role's comment: a replica that has it is one of this very server, and not of a
/// copy with the same system identifier.
const WORD: &str = "fence-";
/// How a subscription that was disabled stands in that comment: by its number, which replicas share.
const SUBSCRIPTION: &str = "sub:";

/// How a server is reached, in whatever database.
pub(super) struct Way<'a> {
    pub(super) settings: &'a SqlSettings,
    pub(super) endpoint: &'a str,
    pub(super) login: &'a Login,
}

impl Way<'_> {
    pub(super) async fn to(&self, database: &str) -> Result<Client, Failure> {
        let login = Login { dbname: Some(database.to_owned()), ..self.login.clone() };
        connect(self.settings, self.endpoint, &login).await
    }
}

/// What the last fence wrote down: its word, perhaps three numbers, and the subscriptions that it disabled.
struct Note<'a>(&'a str);

impl<'a> Note<'a> {
    fn of(census: &'a Census) -> Self {
        Self(census.note.as_deref().unwrap_or_default())
    }

    fn word(&self) -> Option<&'a str> {
        self.0.split(' ').next().filter(|m| m.starts_with(WORD))
    }

    fn numbers(&self) -> Vec<i64> {
        self.0.split(' ').filter_map(|n| n.parse().ok()).collect()
    }

    fn subscriptions(&self) -> Vec<i64> {
        self.0.split(' ').filter_map(|n| n.strip_prefix(SUBSCRIPTION)?.parse().ok()).collect()
    }
}

/// Subscriptions that the fence disabled and that are there still.
fn disabled(census: &Census) -> impl Iterator<Item = &Subscription> {
    let noted = Note::of(census).subscriptions();
    census.subscriptions.iter().filter(move |s| noted.contains(&s.oid))
}

/// What is seen of a fence, if it is not proven.
fn unproven(census: &Census, known: Known<'_>) -> Option<FenceState> {
    if census.replica {
        let replica = open_state("it is a replica: it takes no writes, and no fence");
        return Some(FenceState { replica: true, ..replica });
    }
    if census.fenced.is_empty() && disabled(census).next().is_none() {
        let open = open_state("application roles may log in");
        return Some(FenceState { obstacles: census.obstacles(known), ..open });
    }
    let writers = census.writers(known);
    // As long as there is something that another call would end.
    let passing = writers.iter().any(|w| matches!(w, Writer::Passing(_)));
    let stage = if passing { FenceStage::Partial } else { FenceStage::Vain };
    let word = Note::of(census).word().map(str::to_owned);
    let left = || format!("not proven, for something may write: {}", named(&writers));
    (!writers.is_empty()).then(|| FenceState { stage, word, ..open_state(&left()) })
}

/// Whether it holds, and how old the last commit before it is: nothing that may write is there, twice an interval apart.
pub(super) async fn look(client: &Client, db: &DatabaseRef) -> Result<(FenceState, Option<Told>), Failure> {
    let known = Known::of(db);
    let mut before = census::take(client).await?;
    if let Some(left) = unproven(&before, known) {
        return Ok((left, None));
    }
    let mut waited: u32 = 0;
    loop {
        // Sent together: the end of the log is read last, so that every commit that was ever acknowledged is before it.
        let pause = format!("SELECT pg_sleep({INTERVAL_S})");
        let (pause, (census, end)) =
            join(client.simple_query(&pause), join(census::take(client), server::end_of_log(client))).await;
        pause.map_err(|e| Failure::of(&e))?;
        waited += INTERVAL_S;
        let after = census?;
        if let Some(left) = unproven(&after, known) {
            return Ok((left, None));
        }
        let ended = after.ended - before.ended;
        if ended == 0 || waited >= INTERVAL_S * INTERVALS {
            return proven(&after, end, (ended, waited));
        }
        before = after;
    }
}

fn proven(
    census: &Census,
    end: Result<Option<WalPoint>, Failure>,
    (ended, waited): (i64, u32),
) -> Result<(FenceState, Option<Told>), Failure> {
    let wal = match end {
        // Aurora keeps its log in its storage, and may have no such functions: the fence holds without them.
        Err(Failure::Refused(code, _)) if code == NOT_SUPPORTED => None,
        end => end?,
    };
    let subscriptions: Vec<_> = disabled(census).map(|s| s.name.as_str()).collect();
    let subscriptions = match subscriptions.as_slice() {
        [] => String::new(),
        names => format!(", subscriptions disabled: {}", names.join(", ")),
    };
    let proof = format!(
        "no client's role may log in ({} fenced){subscriptions}, and nothing that may write was there twice, {INTERVAL_S} s apart",
        census.fenced.len()
    );
    let word = Note::of(census).word().map(str::to_owned);
    let held = FenceState { proven: true, stage: FenceStage::Proven, word, ..open_state(&proof) };
    if ended != 0 {
        let unexplained = format!(
            "{ended} transactions ended within the last {INTERVAL_S} s (looked at for {waited} s), and nothing that was seen explains them"
        );
        return Ok((FenceState { unexplained: Some(unexplained), ..held }, None));
    }
    Ok((FenceState { wal, ..held }, last_commit(census)))
}

/// The last commit before the fence, where the server keeps the times of commits and no other transaction came between: the fence's own
/// transaction wrote down which number was next before it, when the last commit was made, and which number it got itself. One that was
/// under way then and is committed after it is the last one, whatever its number.
fn last_commit(census: &Census) -> Option<Told> {
    match (Note::of(census).numbers().as_slice(), &census.last) {
        (&[next, commit, own], Some(last)) if next == own && own == last.xid => {
            Told::of(Some(census.now - commit), Some(commit))
        }
        _ => None,
    }
}

/// The number of the next transaction, and when the last one was committed: what the fence's transaction writes down. A transaction that
/// is open may be committed yet: then nobody knows which was the last.
fn numbers(census: &Census) -> String {
    match &census.last {
        Some(last) if !census.open => format!(" {} {}", census.ended & 0xffff_ffff, last.at),
        _ => String::new(),
    }
}

/// Takes the logins in one transaction, then disables subscriptions and ends the sessions.
pub(super) async fn close(client: &Client, way: &Way<'_>, db: &DatabaseRef) -> Result<(), Failure> {
    let known = Known::of(db);
    let census = census::take(client).await?;
    let refuse = |code: &str, why: String| Err(Failure::Refused(code.to_owned(), why));
    if census.replica {
        return refuse("replica", "it is a replica; the writer is another".to_owned());
    }
    // An application that uses the administrator's own role cannot be kept out by this fence: it would be back at once.
    if census.of_the_administrator(known) {
        let own = &census.own;
        let why = format!(
            "sessions of {own}, the administrator's own role, are open: this fence cannot keep them out"
        );
        return refuse("administrator_in_use", why);
    }
    let roles = census.to_fence(known);
    if roles.is_empty() && !census.marked {
        let why = "no role that this fence could take the login from may log in, so the application must be using another";
        return refuse("no_application_role", why.to_owned());
    }
    let ours: Vec<_> = census.subscriptions.iter().filter(|s| s.ours && s.enabled).collect();
    commit(client, &closing(&census, &roles, &ours)).await?;
    let disable = ours.iter().map(|s| alter(way, s, "DISABLE"));
    // What was not disabled is found by the proof.
    let _ = join_all(disable).await;
    // Twice: a client that was let in just before the logins went appears in the list a moment later. A session that may not
    // be ended is found by the proof.
    for _ in 0..2 {
        let left = census::take(client).await?.to_end(known);
        let end = left.iter().map(|pid| async move {
            client.simple_query(&format!("SELECT pg_terminate_backend({pid})")).await
        });
        let _ = join_all(end).await;
    }
    Ok(())
}

/// A second call of one fence keeps what the first wrote down about the time before.
fn closing(census: &Census, roles: &[&str], subscriptions: &[&Subscription]) -> String {
    let note = Note::of(census);
    let earlier = match census.fenced.is_empty() {
        true => numbers(census),
        false => note.numbers().iter().map(|n| format!(" {n}")).collect(),
    };
    let mut noted: Vec<_> =
        disabled(census).map(|s| s.oid).chain(subscriptions.iter().map(|s| s.oid)).collect();
    noted.sort_unstable();
    noted.dedup();
    let noted: String = noted.iter().map(|oid| format!(" {SUBSCRIPTION}{oid}")).collect();
    let mut text = String::new();
    if !census.marked {
        text.push_str(&format!("CREATE ROLE {MARK} NOLOGIN;"));
    }
    for role in roles {
        let role = identifier_whole(role);
        text.push_str(&format!("ALTER ROLE {role} NOLOGIN; GRANT {MARK} TO {role};"));
    }
    let own = match census.fenced.is_empty() && !earlier.is_empty() {
        true => "|| ' ' || (pg_current_xact_id()::text::bigint & 4294967295)",
        false => "",
    };
    // The word is made by the server: it has a source of chance.
    text.push_str(&format!(
        "DO $drctl$ BEGIN EXECUTE format('COMMENT ON ROLE {MARK} IS %L', '{WORD}' || md5(random()::text || clock_timestamp()::text) || '{earlier}' {own} || '{noted}'); END $drctl$;"
    ));
    text
}

async fn commit(client: &Client, text: &str) -> Result<(), Failure> {
    match client.batch_execute(&format!("BEGIN;{text}COMMIT;")).await {
        Ok(()) => Ok(()),
        Err(e) => {
            let _ = client.batch_execute("ROLLBACK").await;
            Err(Failure::of(&e))
        }
    }
}

/// A subscription is altered in its own database.
async fn alter(way: &Way<'_>, subscription: &Subscription, how: &str) -> Result<(), Failure> {
    let client = way.to(&subscription.database).await?;
    let text = format!("ALTER SUBSCRIPTION {} {how}", identifier_whole(&subscription.name));
    client.batch_execute(&text).await.map_err(|e| Failure::of(&e))
}

/// Gives back what the fence took: subscriptions first, and the logins in one transaction.
pub(super) async fn open(client: &Client, way: &Way<'_>) -> Result<(), Failure> {
    let census = census::take(client).await?;
    let noted: Vec<_> = disabled(&census).collect();
    let enabled = join_all(noted.iter().filter(|s| !s.enabled).map(|s| alter(way, s, "ENABLE"))).await;
    enabled.into_iter().collect::<Result<Vec<()>, _>>()?;
    let mut text = String::new();
    for role in &census.fenced {
        let role = identifier_whole(role);
        text.push_str(&format!("ALTER ROLE {role} LOGIN; REVOKE {MARK} FROM {role};"));
    }
    if !noted.is_empty() {
        let word = Note::of(&census).word().unwrap_or_default();
        text.push_str(&format!("COMMENT ON ROLE {MARK} IS '{word}';"));
    }
    commit(client, &text).await
}

/// A role's name, in which a dot is a dot.
pub(super) fn identifier_whole(name: &str) -> String {
    if name.contains('.') { format!("\"{}\"", name.replace('"', "\"\"")) } else { identifier(name) }
}
