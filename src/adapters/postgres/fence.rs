//! The fences by SQL. Either client roles lose their login and subscriptions are disabled, or the databases accept no
//! connections; then all sessions are terminated. The part of the `pg_hba.conf` fence ([`super::hba`]) that changes the catalog
//! is here as well. A fence is proven by taking the census by allow-list ([`super::census`]) twice.
//!
//! The roles that lost their login become members of `drctl_fenced`. That role's comment lists the subscriptions that were
//! disabled and the databases that were closed, so that any process can undo exactly these changes. Physical replicas replay all
//! of this, so a new primary is fenced as well; the runbook lifts the fence there after the promotion.

use std::collections::BTreeSet;
use std::rc::Rc;

use futures_util::future::{join, join_all};
use tokio_postgres::Client;

use super::census::{self, Census, Database, KnownClients, Subscription, Writer, named};
use super::session::{CommitAge, Failure, identifier};
use super::unreplicated;
use super::way::{DatabaseAccess, Inside};
use super::{Postgres, server};
use crate::adapters::secrets::Login;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::fence::{FenceMethod, FenceStage, FenceState};
use crate::kinds::shared::wal::WalPoint;
use crate::model::measure::ClockReading;
use crate::run::outcome::CallOutcome;

/// Seconds between two censuses: enough for a connection pool to reconnect.
const INTERVAL_S: u32 = 1;
/// Maximum number of intervals to wait for one in which no transaction ends.
const INTERVALS: u32 = 4;
/// SQLSTATE `feature_not_supported` (PostgreSQL documentation, appendix A).
const NOT_SUPPORTED: &str = "0A000";
/// The role that has the fenced roles as members.
const MARK: &str = "drctl_fenced";
/// Prefix of the random word that each fence writes into that role's comment. A replica that has the word replicates this very
/// server, not a copy with the same system identifier.
const WORD: &str = "fence-";
/// Prefix of a disabled subscription in that comment. Its OID follows, which is the same on replicas.
const SUBSCRIPTION: &str = "sub:";
/// Prefix of a closed database.
const DATABASE: &str = "db:";
/// Prefix of the entry for a closed `pg_hba.conf`.
const RULES: &str = "hba:";
/// Mask for the 32-bit transaction ID of a 64-bit counter.
const NUMBERS: i64 = 0xffff_ffff;
/// Maximum number of transactions since a fence that drctl reads the commit times of.
const MOST_SINCE: i64 = 100_000;

/// A fence that does not hold.
pub(super) fn open_state(proof: &str) -> FenceState {
    FenceState { proof: proof.to_owned(), ..FenceState::default() }
}

impl Postgres {
    /// Connects to the server for work on a fence: databases cannot be closed from within.
    async fn connect_for(
        &self,
        method: FenceMethod,
        endpoint: &str,
        login: &Login,
    ) -> Result<Client, Failure> {
        match method {
            FenceMethod::AllowConnections => self.way(endpoint, login).aside().await,
            _ => self.connect(endpoint, login).await,
        }
    }

    /// Whether the fence holds.
    pub async fn fence_state(
        &self,
        db: &DatabaseRef,
        method: FenceMethod,
        endpoint: &str,
        login: &Login,
    ) -> Observation {
        let work = async {
            let client = self.connect_for(method, endpoint, login).await?;
            let way = self.way(endpoint, login);
            let (found, commit) = match method {
                FenceMethod::PgHba => self.hba_state(&client, &way, db).await?,
                _ => look(&client, db, method).await?,
            };
            let asked = self.world.now();
            let shows = server::clock(&client).await?;
            let clock = ClockReading::new(shows, asked, self.world.now());
            let inside = self.inside.borrow().get(endpoint).cloned().unwrap_or_default();
            let unreplicated = match found.proven {
                true => unreplicated::read(&client, &way, db, &inside).await?,
                false => Vec::new(),
            };
            Ok((FenceState { unreplicated, ..found }, commit, clock))
        };
        match self.within(work).await {
            Ok((found, commit, clock)) => {
                let commit = commit.map(|c| c.read_at(clock.at));
                self.seen(State::Fence(FenceState {
                    last_commit: commit.map(|c| c.here),
                    last_commit_there: commit.map(|c| c.there),
                    clock: found.proven.then_some(clock),
                    ..found
                }))
            }
            Err(failure) => failure.observation(self.world.now()),
        }
    }

    /// Keeps clients out with the given fence method, and terminates their sessions.
    pub async fn fence(
        &self,
        db: &DatabaseRef,
        method: FenceMethod,
        (endpoint, login): (&str, &Login),
        key: &str,
    ) -> CallOutcome {
        if method == FenceMethod::PgHba {
            return self.hba_set(db, endpoint, login, key).await;
        }
        self.act(async {
            let client = self.connect_for(method, endpoint, login).await?;
            let opened = close(&client, &self.way(endpoint, login), db, method).await?;
            self.inside.borrow_mut().entry(endpoint.to_owned()).or_default().extend(opened);
            Ok(())
        })
        .await
    }

    /// Lifts the fence.
    pub async fn unfence(
        &self,
        db: &DatabaseRef,
        method: FenceMethod,
        (endpoint, login): (&str, &Login),
        key: &str,
    ) -> CallOutcome {
        if method == FenceMethod::PgHba {
            return self.hba_lift(db, endpoint, login, key).await;
        }
        if method == FenceMethod::AllowConnections {
            self.inside.borrow_mut().remove(endpoint);
        }
        self.act(async {
            let client = self.connect_for(method, endpoint, login).await?;
            open(&client, &self.way(endpoint, login), method).await
        })
        .await
    }
}

/// The record of the fences: the word of the last one, possibly three numbers, the disabled subscriptions and the closed
/// databases.
struct Note<'a>(&'a str);

impl<'a> Note<'a> {
    fn from_census(census: &'a Census) -> Self {
        Self(census.note.as_deref().unwrap_or_default())
    }

    fn word(&self) -> Option<&'a str> {
        self.0.split(' ').next().filter(|m| m.starts_with(WORD))
    }

    fn numbers(&self) -> Vec<i64> {
        self.0.split(' ').filter_map(|n| n.parse().ok()).collect()
    }

    /// The numbers that have this prefix.
    fn with(&self, prefix: &str) -> Vec<i64> {
        self.0.split(' ').filter_map(|n| n.strip_prefix(prefix)?.parse().ok()).collect()
    }
}

/// The text of such entries in a note.
fn noted(prefix: &str, numbers: impl Iterator<Item = i64>) -> String {
    let numbers: BTreeSet<_> = numbers.collect();
    numbers.iter().map(|oid| format!(" {prefix}{oid}")).collect()
}

/// Subscriptions that the fence disabled and that still exist.
fn disabled(census: &Census) -> impl Iterator<Item = &Subscription> {
    let noted = Note::from_census(census).with(SUBSCRIPTION);
    census.subscriptions.iter().filter(move |s| noted.contains(&s.oid))
}

/// Databases that the fence closed, that still exist, and that nobody has opened since.
fn shut(census: &Census) -> impl Iterator<Item = &Database> {
    let noted = Note::from_census(census).with(DATABASE);
    census.databases.iter().filter(move |d| noted.contains(&d.oid) && !d.open)
}

/// Whether the catalog has any trace of the fence.
pub(super) fn begun(census: &Census, method: FenceMethod) -> bool {
    match method {
        FenceMethod::Sql => !census.fenced.is_empty() || disabled(census).next().is_some(),
        FenceMethod::PgHba => !Note::from_census(census).with(RULES).is_empty(),
        _ => shut(census).next().is_some(),
    }
}

/// The state of a fence that is not proven; `None` if nothing may write.
fn unproven(census: &Census, known: KnownClients<'_>, method: FenceMethod) -> Option<FenceState> {
    if census.replica {
        let replica = open_state("it is a replica, which takes no writes, so drctl does not fence it");
        return Some(FenceState { replica: true, ..replica });
    }
    if !begun(census, method) {
        let open = open_state(match method {
            FenceMethod::Sql => "application roles can log in",
            _ => "databases of the application accept connections",
        });
        return Some(FenceState { obstacles: census.obstacles(known), ..open });
    }
    let writers = census.writers(known);
    // A second call would end these writers.
    let passing = writers.iter().any(|w| matches!(w, Writer::Passing(_)));
    let stage = if passing { FenceStage::Partial } else { FenceStage::Ineffective };
    let word = Note::from_census(census).word().map(str::to_owned);
    let left = || format!("not proven: something may still write: {}", named(&writers));
    (!writers.is_empty()).then(|| FenceState { stage, word, ..open_state(&left()) })
}

/// Whether the fence holds, and how old the last commit before it is. It holds if two censuses, an interval apart, find no
/// writer.
pub(super) async fn look(
    client: &Client,
    db: &DatabaseRef,
    method: FenceMethod,
) -> Result<(FenceState, Option<CommitAge>), Failure> {
    let known = KnownClients::for_database(db, method);
    let mut before = census::take(client).await?;
    if let Some(left) = unproven(&before, known, method) {
        return Ok((left, None));
    }
    let mut waited: u32 = 0;
    loop {
        // Both queries are sent together, and the end of the WAL is read last, so that it covers every commit that was ever
        // acknowledged.
        let pause = format!("SELECT pg_sleep({INTERVAL_S})");
        let (pause, (census, end)) =
            join(client.simple_query(&pause), join(census::take(client), server::end_of_log(client))).await;
        pause.map_err(|e| Failure::from_error(&e))?;
        waited += INTERVAL_S;
        let after = census?;
        if let Some(left) = unproven(&after, known, method) {
            return Ok((left, None));
        }
        let ended = after.ended - before.ended;
        if ended == 0 || waited >= INTERVAL_S * INTERVALS {
            let last = if ended == 0 { last_commit(client, &after).await? } else { None };
            return Ok((proven(&after, method, end, (ended, waited))?, last));
        }
        before = after;
    }
}

/// What the fence has taken from whom, as words for a message.
fn taken(census: &Census, method: FenceMethod) -> String {
    match method {
        FenceMethod::AllowConnections => {
            let names: Vec<_> = shut(census).map(|d| d.name.as_str()).collect();
            return format!("nobody can connect to {}", names.join(", "));
        }
        FenceMethod::PgHba => return "nobody can connect".to_owned(),
        _ => {}
    }
    let subscriptions: Vec<_> = disabled(census).map(|s| s.name.as_str()).collect();
    let subscriptions = match subscriptions.as_slice() {
        [] => String::new(),
        names => format!(", subscriptions disabled: {}", names.join(", ")),
    };
    format!("no client role can log in ({} fenced){subscriptions}", census.fenced.len())
}

fn proven(
    census: &Census,
    method: FenceMethod,
    end: Result<Option<WalPoint>, Failure>,
    (ended, waited): (i64, u32),
) -> Result<FenceState, Failure> {
    let wal = match end {
        // Aurora keeps its WAL in its storage layer and may lack these functions. The fence holds without them.
        Err(Failure::Refused(code, _)) if code == NOT_SUPPORTED => None,
        end => end?,
    };
    let proof = format!(
        "{}, and two checks {INTERVAL_S} s apart found nothing that can write",
        taken(census, method)
    );
    let word = Note::from_census(census).word().map(str::to_owned);
    let held = FenceState { proven: true, stage: FenceStage::Proven, word, ..open_state(&proof) };
    if ended != 0 {
        let unexplained = format!(
            "{ended} transactions ended within the last {INTERVAL_S} s (of {waited} s observed), and no known session explains them"
        );
        return Ok(FenceState { unexplained: Some(unexplained), ..held });
    }
    Ok(FenceState { wal, ..held })
}

/// The last commit that is not the fence's own, if the server records commit timestamps. The fence's transaction recorded three
/// numbers: the next transaction ID before it, the time of the last commit until then, and its own ID. A transaction that got its
/// ID since may have committed until its session was ended, even before the fence did, so drctl asks for the commit time of each
/// (PostgreSQL documentation, «Committed Transaction Information Functions»).
async fn last_commit(client: &Client, census: &Census) -> Result<Option<CommitAge>, Failure> {
    let (numbers, ended) = (Note::from_census(census).numbers(), census.ended & NUMBERS);
    let &[next, commit, own] = numbers.as_slice() else { return Ok(None) };
    if census.last.is_none() || !(next..next + MOST_SINCE).contains(&ended) {
        return Ok(None);
    }
    let text = format!(
        "SELECT max((extract(epoch FROM pg_xact_commit_timestamp(n::text::xid)) * 1000)::bigint) \
         FROM generate_series({next}::bigint, {ended}::bigint - 1) n WHERE n <> {own}"
    );
    let row = client.query_one(&text, &[]).await.map_err(|e| Failure::from_error(&e))?;
    let since: Option<i64> = row.try_get(0).map_err(|e| Failure::from_error(&e))?;
    let last = since.map_or(commit, |since| since.max(commit));
    Ok(CommitAge::from_ms(Some(census.now.saturating_sub(last)), Some(last)))
}

/// The next transaction ID and the time of the last commit, for the fence's transaction to record. While a transaction is open it
/// may still commit, so the last commit is not known yet.
fn numbers(census: &Census) -> String {
    match &census.last {
        Some(last) if !census.open => format!(" {} {}", census.ended & NUMBERS, last),
        _ => String::new(),
    }
}

/// Takes the logins, or closes the databases, in one transaction; then disables subscriptions and terminates the sessions. Returns the
/// sessions that it opened in databases before it closed them.
pub(super) async fn close(
    client: &Client,
    way: &DatabaseAccess<'_>,
    db: &DatabaseRef,
    method: FenceMethod,
) -> Result<Inside, Failure> {
    let known = KnownClients::for_database(db, method);
    let census = census::take(client).await?;
    let mut inside = Inside::new();
    let refuse = |code: &str, why: &str| Err(Failure::Refused(code.to_owned(), why.to_owned()));
    if census.replica {
        return refuse("replica", "it is a replica; another server is the writer");
    }
    match method {
        FenceMethod::Sql => take_logins(client, way, known, &census).await?,
        _ => {
            let databases = census.to_close(known);
            if databases.is_empty() && !begun(&census, method) {
                let why = "this login can close no database except the one that it is connected to";
                return refuse("no_application_database", why);
            }
            inside = opened_in(way, &databases).await;
            commit(client, &shutting(&census, &databases)).await?;
        }
    }
    end(client, known).await?;
    Ok(inside)
}

/// Terminates sessions, twice: a client that was admitted just before appears in the list a moment later. The proof reports
/// sessions that drctl may not terminate.
pub(super) async fn end(client: &Client, known: KnownClients<'_>) -> Result<(), Failure> {
    for _ in 0..2 {
        let left = census::take(client).await?.to_end(known);
        let end = left.iter().map(|pid| async move {
            client.simple_query(&format!("SELECT pg_terminate_backend({pid})")).await
        });
        let _ = join_all(end).await;
    }
    Ok(())
}

/// Databases that let drctl in. The proof names those that do not.
async fn opened_in(way: &DatabaseAccess<'_>, databases: &[&Database]) -> Inside {
    let opened =
        databases.iter().map(|d| async { Some((d.name.clone(), Rc::new(way.to(&d.name).await.ok()?))) });
    join_all(opened).await.into_iter().flatten().collect()
}

async fn take_logins(
    client: &Client,
    way: &DatabaseAccess<'_>,
    known: KnownClients<'_>,
    census: &Census,
) -> Result<(), Failure> {
    let refuse = |code: &str, why: String| Err(Failure::Refused(code.to_owned(), why));
    // This fence cannot keep out an application that uses the administrator's own role: it would reconnect at once.
    if census.of_the_administrator(known) {
        let own = &census.own;
        let why = format!(
            "sessions of {own}, the role of the administrator, are open; this fence cannot keep them out"
        );
        return refuse("administrator_in_use", why);
    }
    let roles = census.to_fence(known);
    if roles.is_empty() && !census.marked {
        let why =
            "no role that this fence could disable can log in, so the application must use a different role";
        return refuse("no_application_role", why.to_owned());
    }
    let ours: Vec<_> = census.subscriptions.iter().filter(|s| s.ours && s.enabled).collect();
    commit(client, &closing(census, &roles, &ours)).await?;
    let disable = ours.iter().map(|s| alter(way, s, "DISABLE"));
    // The proof reports subscriptions that could not be disabled.
    let _ = join_all(disable).await;
    Ok(())
}

fn closing(census: &Census, roles: &[&str], subscriptions: &[&Subscription]) -> String {
    let taken = roles.iter().map(|role| {
        let role = identifier_whole(role);
        format!("ALTER ROLE {role} NOLOGIN; GRANT {MARK} TO {role};")
    });
    let disabled = disabled(census).chain(subscriptions.iter().copied()).map(|s| s.oid);
    let note = noted(SUBSCRIPTION, disabled) + &kept(census, &[DATABASE, RULES]);
    writing_down(census, &taken.collect::<String>(), &note)
}

fn shutting(census: &Census, databases: &[&Database]) -> String {
    let taken = databases
        .iter()
        .map(|d| format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false;", identifier_whole(&d.name)));
    let all = shut(census).chain(databases.iter().copied()).map(|d| d.oid);
    let note = noted(DATABASE, all) + &kept(census, &[SUBSCRIPTION, RULES]);
    writing_down(census, &taken.collect::<String>(), &note)
}

/// Records that `pg_hba.conf` is closed, and where the WAL ends.
pub(super) async fn note(client: &Client) -> Result<(), Failure> {
    let census = census::take(client).await?;
    let note = noted(RULES, [1].into_iter()) + &kept(&census, &[SUBSCRIPTION, DATABASE]);
    commit(client, &writing_down(&census, "", &note)).await
}

/// The entries of other fences.
fn kept(census: &Census, prefixes: &[&str]) -> String {
    let note = Note::from_census(census);
    prefixes.iter().map(|prefix| noted(prefix, note.with(prefix).into_iter())).collect()
}

/// SQL that sets the fence and records it. If a fence is set already, this call keeps the numbers that the first one recorded
/// about the time before it.
fn writing_down(census: &Census, taken: &str, note: &str) -> String {
    let others = [FenceMethod::Sql, FenceMethod::AllowConnections, FenceMethod::PgHba];
    let first = !others.iter().any(|m| begun(census, *m));
    let earlier = match first {
        true => numbers(census),
        false => Note::from_census(census).numbers().iter().map(|n| format!(" {n}")).collect(),
    };
    let own = match first && !earlier.is_empty() {
        true => "|| ' ' || (pg_current_xact_id()::text::bigint & 4294967295)",
        false => "",
    };
    let mark = if census.marked { String::new() } else { format!("CREATE ROLE {MARK} NOLOGIN;") };
    // The server generates the word, because it has a source of randomness.
    format!(
        "{mark}{taken}DO $drctl$ BEGIN EXECUTE format('COMMENT ON ROLE {MARK} IS %L', '{WORD}' || md5(random()::text || clock_timestamp()::text) || '{earlier}' {own} || '{note}'); END $drctl$;"
    )
}

async fn commit(client: &Client, text: &str) -> Result<(), Failure> {
    match client.batch_execute(&format!("BEGIN;{text}COMMIT;")).await {
        Ok(()) => Ok(()),
        Err(e) => {
            let _ = client.batch_execute("ROLLBACK").await;
            Err(Failure::from_error(&e))
        }
    }
}

/// A subscription can be altered only in its own database.
async fn alter(way: &DatabaseAccess<'_>, subscription: &Subscription, how: &str) -> Result<(), Failure> {
    let client = way.to(&subscription.database).await?;
    let text = format!("ALTER SUBSCRIPTION {} {how}", identifier_whole(&subscription.name));
    client.batch_execute(&text).await.map_err(|e| Failure::from_error(&e))
}

/// Lifts the fence: enables the subscriptions first, then returns the logins in one transaction; or opens the databases.
pub(super) async fn open(
    client: &Client,
    way: &DatabaseAccess<'_>,
    method: FenceMethod,
) -> Result<(), Failure> {
    let census = census::take(client).await?;
    let word = Note::from_census(&census).word().unwrap_or_default();
    let (mut text, given, others);
    match method {
        FenceMethod::Sql => {
            let disabled: Vec<_> = disabled(&census).collect();
            let enabled =
                join_all(disabled.iter().filter(|s| !s.enabled).map(|s| alter(way, s, "ENABLE"))).await;
            enabled.into_iter().collect::<Result<Vec<()>, _>>()?;
            let back = census.fenced.iter().map(|role| {
                let role = identifier_whole(role);
                format!("ALTER ROLE {role} LOGIN; REVOKE {MARK} FROM {role};")
            });
            text = back.collect::<String>();
            (given, others) = (SUBSCRIPTION, [DATABASE, RULES]);
        }
        FenceMethod::PgHba => {
            text = String::new();
            (given, others) = (RULES, [SUBSCRIPTION, DATABASE]);
        }
        _ => {
            let back = shut(&census).map(|d| {
                format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true;", identifier_whole(&d.name))
            });
            text = back.collect::<String>();
            (given, others) = (DATABASE, [SUBSCRIPTION, RULES]);
        }
    }
    if !Note::from_census(&census).with(given).is_empty() {
        text.push_str(&format!("COMMENT ON ROLE {MARK} IS '{word}{}';", kept(&census, &others)));
    }
    commit(client, &text).await
}

/// Quotes the name of a role or a database, in which a dot is an ordinary character.
pub(super) fn identifier_whole(name: &str) -> String {
    if name.contains('.') { format!("\"{}\"", name.replace('"', "\"\"")) } else { identifier(name) }
}
