//! Checks of a copy that a managed service made. They are the same as in `restore/verify.sh` for self-managed hosts, but use only
//! the PostgreSQL protocol.
//!
//! They read all data and so may take long. They run in the background of this process. A later process starts them again, which
//! is safe because they only read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::{Client, SimpleQueryMessage, Transaction};

use super::session::{Failure, connect, identifier};
use crate::adapters::secrets::Login;
use crate::kinds::shared::rebuild::JobStage;
use crate::kinds::shared::restore::{
    Checked, Expect, Invariant, Restore, RestoreJob, RestoreResults, RestoreState,
};
use crate::plan::settings::SqlSettings;

/// The same query as in the job on a host: name, whether it was validated, and the query that counts its violations, separated by
/// tabs.
const FOREIGN_KEYS: &str = include_str!("restore/foreign_keys.sh");
/// Settings of a whole session: nothing can be written, whatever a query says; reading has no time limit; and rows hidden by a
/// policy are an error instead of a smaller count.
const READER: &str = "SET default_transaction_read_only = on; SET statement_timeout = 0; SET lock_timeout = '60s'; SET row_security = off";
/// Counting must not load the live server for longer than this.
const ON_LIVE: &str = "SET statement_timeout = '5min'";
/// Databases of clients, and whether this login may connect. The one of RDS itself admits nobody else.
const DATABASES: &str = "SELECT datname::text, datallowconn AND has_database_privilege(oid, 'CONNECT') FROM pg_database \
     WHERE datname NOT IN ('template0', 'rdsadmin') ORDER BY 1";
/// Every table, and whether it may be read. Casting a row to text reads every column, however it is stored.
const TABLES: &str = "SELECT c.oid::regclass::text, has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(c.relnamespace, 'USAGE') \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') \
     AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_' ORDER BY 1";
/// Every index, and the statement that checks it against its table.
const AMCHECK: &str = "SELECT i.indexrelid::regclass::text, format('SELECT %I.bt_index_check(%s::oid::regclass, true)::text', n.nspname, i.indexrelid) \
     FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace, pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
     JOIN pg_am m ON m.oid = c.relam WHERE e.extname = 'amcheck' AND m.amname = 'btree' AND c.relkind = 'i' AND i.indisvalid \
     AND c.relpersistence = 'p' ORDER BY 1";
/// A missing right of the login says nothing about the copy.
const NOT_FOR_US: &str = "42501";

/// How to reach a server.
#[derive(Clone)]
pub(super) struct ServerAccess {
    pub(super) endpoint: String,
    pub(super) login: Login,
    pub(super) settings: SqlSettings,
}

impl ServerAccess {
    /// A session in a database that can only read.
    pub(super) async fn reader(&self, database: Option<&str>) -> Result<Client, Failure> {
        let mut login = self.login.clone();
        login.dbname = database.map(str::to_owned).or(login.dbname);
        let client = connect(&self.settings, &self.endpoint, &login).await?;
        client.batch_execute(READER).await.map_err(|e| Failure::from_error(&e))?;
        Ok(client)
    }

    fn database(&self) -> String {
        let named = self.endpoint.split_once('/').map(|(_, name)| name.to_owned()).filter(|n| !n.is_empty());
        self.login.dbname.clone().or(named).unwrap_or_else(|| "postgres".to_owned())
    }
}

/// The progress of a job and its result.
type Said = Arc<Mutex<RestoreState>>;

/// Jobs of this process, by key.
#[derive(Default)]
pub(super) struct Jobs {
    began: RefCell<BTreeMap<String, Said>>,
}

impl Jobs {
    /// The state of a job; `none` if this process did not start it.
    pub(super) fn look(&self, key: &str) -> RestoreState {
        let none =
            || RestoreState { stage: JobStage::None, tail: String::new(), found: RestoreResults::default() };
        let seen = |said: &Said| said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.began.borrow().get(key).map_or_else(none, seen)
    }

    /// Starts a part, once for each key.
    pub(super) fn begin(
        &self,
        part: RestoreJob,
        of: Restore,
        ways: (ServerAccess, Option<ServerAccess>),
        key: &str,
    ) {
        if self.began.borrow().contains_key(key) {
            return;
        }
        let (stage, tail) = (JobStage::Running, "connecting".to_owned());
        let said: Said = Arc::new(Mutex::new(RestoreState { stage, tail, found: RestoreResults::default() }));
        self.began.borrow_mut().insert(key.to_owned(), Arc::clone(&said));
        tokio::spawn(async move {
            let (copy, live) = ways;
            let done = match part {
                RestoreJob::Loss => compare(&of, &copy, live.as_ref(), &said).await,
                _ => verify(&of, &copy, &said).await,
            };
            let found = done.unwrap_or_else(|failure| RestoreResults {
                failed: Some(failure.why()),
                ..RestoreResults::default()
            });
            let exit = i32::from(found.failed.is_some());
            let tail = found.failed.clone().unwrap_or_else(|| "done".to_owned());
            *said.lock().unwrap_or_else(PoisonError::into_inner) =
                RestoreState { stage: JobStage::Ended { exit }, tail, found };
        });
    }
}

fn now(said: &Said, what: String) {
    said.lock().unwrap_or_else(PoisonError::into_inner).tail = what;
}

fn check(what: String, result: &str, found: String) -> Checked {
    Checked { what, result: result.to_owned(), found }
}

/// Runs a query in a transaction that cannot write, whatever the query says.
async fn reading<'c, T, F>(
    client: &'c mut Client,
    work: impl FnOnce(Transaction<'c>) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, tokio_postgres::Error>>,
{
    let begun = client.build_transaction().read_only(true).start().await;
    let transaction = begun.map_err(|e| Failure::from_error(&e))?;
    work(transaction).await.map_err(|e| Failure::from_error(&e))
}

/// The one value of a query, as `psql` prints it.
async fn value(client: &mut Client, sql: &str) -> Result<String, Failure> {
    // Preparing it rejects more than one statement, so nothing after a semicolon can end the transaction.
    let prepared = client.prepare(sql).await.map_err(|e| Failure::from_error(&e))?;
    let odd = |what: String| Failure::Refused("NotOneValue".to_owned(), what);
    if prepared.columns().len() != 1 {
        return Err(odd(format!("the query returned {} columns instead of one", prepared.columns().len())));
    }
    let answer = reading(client, |t| async move { t.simple_query(sql).await }).await?;
    let rows: Vec<_> = answer
        .iter()
        .filter_map(|m| match m {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        })
        .collect();
    match <[String; 1]>::try_from(rows) {
        Ok([value]) => Ok(value),
        Err(rows) => Err(odd(format!("the query returned {} rows instead of one", rows.len()))),
    }
}

async fn verify(of: &Restore, copy: &ServerAccess, said: &Said) -> Result<RestoreResults, Failure> {
    let mut found = RestoreResults::default();
    let mut client = copy.reader(None).await?;
    let databases = client.query(DATABASES, &[]).await.map_err(|e| Failure::from_error(&e))?;
    for invariant in &of.invariants {
        now(said, format!("invariant {}", invariant.name));
        let inside = invariant.database.clone().unwrap_or_else(|| copy.database());
        let mut inside = copy.reader(Some(&inside)).await?;
        found.checks.push(holds(&mut inside, invariant).await);
    }
    for table in &of.rows {
        now(said, format!("rows of {table}"));
        let what = format!("rows of {} {table}", copy.database());
        found.checks.push(match count(&mut client, table).await {
            Ok(rows) => check(what, "pass", rows),
            Err(failure) => check(what, "error", failure.why()),
        });
    }
    for row in &databases {
        let (name, open): (String, bool) = (row.get(0), row.get(1));
        if !open {
            let why = "it does not accept this login, so drctl checked nothing in it".to_owned();
            found.checks.push(check(format!("database {name}"), "unknown", why));
            continue;
        }
        let mut inside = copy.reader(Some(&name)).await?;
        foreign_keys(&mut inside, &name, &mut found, said).await?;
        indexes(&mut inside, &name, &mut found, said).await?;
        every_row(&mut inside, &name, &mut found, said).await?;
        remarks(&inside, &name, &mut found).await?;
    }
    let bad: Vec<_> = found.checks.iter().filter(|c| matches!(&*c.result, "fail" | "error")).collect();
    if !bad.is_empty() {
        let words: Vec<_> = bad.iter().map(|c| format!("{} {}: {}", c.what, c.result, c.found)).collect();
        let what = match bad.iter().any(|c| c.result == "fail") {
            true => "the copy failed its checks",
            false => "the copy could not be checked",
        };
        found.failed = Some(format!("{what}: {}", words.join("; ")));
    }
    Ok(found)
}

async fn holds(client: &mut Client, invariant: &Invariant) -> Checked {
    let expected = match &invariant.expect {
        Expect::Is(value) => format!("is {value}"),
        Expect::AtLeast(value) => format!("at_least {value}"),
        Expect::Nothing => "nothing".to_owned(),
    };
    let what = format!("{} ({expected})", invariant.name);
    let got = match value(client, invariant.sql.trim().trim_end_matches(';')).await {
        Ok(got) => got,
        Err(failure) => return check(what, "error", failure.why()),
    };
    let holds = match &invariant.expect {
        Expect::Is(wanted) => Ok(got == *wanted),
        Expect::AtLeast(wanted) => at_least(client, &got, wanted).await,
        Expect::Nothing => Ok(false),
    };
    match holds {
        Ok(true) => check(what, "pass", got),
        Ok(false) => check(what, "fail", got),
        Err(failure) => check(what, "error", failure.why()),
    }
}

async fn at_least(client: &Client, got: &str, wanted: &str) -> Result<bool, Failure> {
    // In PostgreSQL, NaN is greater than every number.
    let compare = "SELECT $1::text::numeric >= $2::text::numeric AND $1::text::numeric <> 'NaN'";
    client
        .query_one(compare, &[&got, &wanted])
        .await
        .map(|row| row.get(0))
        .map_err(|e| Failure::from_error(&e))
}

async fn count(client: &mut Client, table: &str) -> Result<String, Failure> {
    value(client, &format!("SELECT count(*) FROM {}", identifier(table))).await
}

/// The statement between the marks. Without it every copy would pass.
fn foreign_keys_sql() -> &'static str {
    FOREIGN_KEYS.split("END-OF-SQL").nth(1).unwrap_or_default().trim_start_matches('\'')
}

async fn foreign_keys(
    client: &mut Client,
    database: &str,
    found: &mut RestoreResults,
    said: &Said,
) -> Result<(), Failure> {
    let keys = client.query(foreign_keys_sql(), &[]).await.map_err(|e| Failure::from_error(&e))?;
    let (mut good, mut broken, mut unproven, mut hidden) = (0, 0, 0, 0);
    for (i, row) in keys.iter().enumerate() {
        now(said, format!("foreign keys of {database}: {i} of {}", keys.len()));
        let line: String = row.get(0);
        let mut parts = line.splitn(3, '\t');
        let (name, validated, query) = (parts.next(), parts.next(), parts.next());
        // Never validated by its owner, so it may be broken on the live server as well.
        if validated == Some("f") {
            unproven += 1;
            continue;
        }
        let what = format!("{database} {}", name.unwrap_or_default());
        match orphans(client, query.unwrap_or_default()).await {
            Ok(0) => good += 1,
            Err(Failure::Refused(code, _)) if code == NOT_FOR_US => hidden += 1,
            Ok(many) => {
                broken += 1;
                found.checks.push(check(what, "fail", format!("{many} rows")));
            }
            Err(failure) => {
                broken += 1;
                found.checks.push(check(what, "error", failure.why()));
            }
        }
    }
    found.checks.push(check(
        format!("foreign keys of {database}"),
        match (broken, hidden) {
            (0, 0) => "pass",
            (0, _) => "unknown",
            _ => "fail",
        },
        format!(
            "{good} hold, {broken} are broken, {hidden} cannot be read with this login, {unproven} were never validated on the live server"
        ),
    ));
    Ok(())
}

/// Counts without the indexes: a broken index would show its own content instead of the table's.
async fn orphans(client: &mut Client, query: &str) -> Result<i64, Failure> {
    reading(client, |t| async move {
        t.batch_execute(
            "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off",
        )
        .await?;
        t.query_one(query, &[]).await.map(|row| row.get(0))
    })
    .await
}

async fn indexes(
    client: &mut Client,
    database: &str,
    found: &mut RestoreResults,
    said: &Said,
) -> Result<(), Failure> {
    let what = format!("amcheck of {database}");
    let there = "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'";
    if value(client, there).await? == "0" {
        found.checks.push(check(what, "unknown", "the extension is not installed".to_owned()));
        return Ok(());
    }
    let all = client.query(AMCHECK, &[]).await.map_err(|e| Failure::from_error(&e))?;
    for (i, row) in all.iter().enumerate() {
        now(said, format!("indexes of {database}: {i} of {}", all.len()));
        let (index, statement): (String, String) = (row.get(0), row.get(1));
        match value(client, &statement).await {
            Ok(_) => {}
            Err(Failure::Refused(code, why)) if code == NOT_FOR_US => {
                found.checks.push(check(what, "unknown", why));
                return Ok(());
            }
            Err(failure) => {
                found.checks.push(check(what, result(&failure), format!("{index}: {}", failure.why())));
                return Ok(());
            }
        }
    }
    found.checks.push(check(what, "pass", format!("{} indexes", all.len())));
    Ok(())
}

/// Whether a failure shows that the copy is broken, or only that reading it did not finish.
fn result(failure: &Failure) -> &'static str {
    match failure {
        // Data or index corrupted, internal error, or bytes that are not valid for their type.
        Failure::Refused(code, _) if code.starts_with("XX") || code.starts_with("22") => "fail",
        _ => "error",
    }
}

/// Reads everything. Checksums reveal damaged pages, and blocks that the service loads lazily are then loaded.
async fn every_row(
    client: &mut Client,
    database: &str,
    found: &mut RestoreResults,
    said: &Said,
) -> Result<(), Failure> {
    let tables = client.query(TABLES, &[]).await.map_err(|e| Failure::from_error(&e))?;
    let (mut read, mut hidden, mut rows) = (0, 0, 0);
    let what = format!("every row of {database} read");
    for row in &tables {
        let (table, readable): (String, bool) = (row.get(0), row.get(1));
        if !readable {
            hidden += 1;
            continue;
        }
        now(said, format!("reading {table} of {database}: {read} of {} tables", tables.len()));
        // A row as text is never null, but it has to be read completely to know that.
        let text = format!(
            "SELECT count(*) FILTER (WHERE length((drctl_row.*)::text) >= 0) FROM ONLY {table} drctl_row"
        );
        match reading(client, |t| async move { t.query_one(&text, &[]).await }).await {
            Ok(row) => rows += row.get::<_, i64>(0),
            Err(Failure::Refused(code, _)) if code == NOT_FOR_US => {
                hidden += 1;
                continue;
            }
            Err(failure) => {
                found.checks.push(check(what, result(&failure), format!("{table}: {}", failure.why())));
                return Ok(());
            }
        }
        read += 1;
    }
    let result = if hidden == 0 { "pass" } else { "unknown" };
    let not_read = format!("{rows} rows of {read} tables; {hidden} tables cannot be read with this login");
    found.checks.push(check(what, result, not_read));
    Ok(())
}

/// What the copy would start by itself in service.
async fn remarks(client: &Client, database: &str, found: &mut RestoreResults) -> Result<(), Failure> {
    let text = "SELECT (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()), \
         (SELECT count(*) FROM pg_subscription WHERE subenabled AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())), \
         (SELECT count(*) FROM pg_extension WHERE extname = 'pg_cron'), (SELECT count(*) FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r')";
    let row = client.query_one(text, &[]).await.map_err(|e| Failure::from_error(&e))?;
    let (prepared, subscriptions, cron): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let unlogged: i64 = row.get(3);
    if unlogged > 0 {
        found.remarks.push(format!("unlogged tables of {database}, which are empty in the copy: {unlogged}"));
    }
    if prepared > 0 {
        found.remarks.push(format!(
            "prepared transactions from that time that are still open in {database}: {prepared}"
        ));
    }
    if subscriptions > 0 {
        found.remarks.push(format!(
            "subscriptions of {database} that already run in the copy, although their publishers are ahead: {subscriptions}. Rows may be missing"
        ));
    }
    if cron > 0 {
        found.remarks.push(format!("pg_cron already runs the jobs of {database} in the copy"));
    }
    Ok(())
}

/// Compares the row counts of the tables that the plan names, in the copy and on the live server, for a person to judge.
async fn compare(
    of: &Restore,
    copy: &ServerAccess,
    live: Option<&ServerAccess>,
    said: &Said,
) -> Result<RestoreResults, Failure> {
    let mut found = RestoreResults::default();
    let Some(live) = live else {
        found.remarks.push("the live server does not answer, so its rows were not counted".to_owned());
        return Ok(found);
    };
    if of.rows.is_empty() {
        let why = "the plan names no tables under `verify.rows`, so the loss in them was not counted";
        found.remarks.push(why.to_owned());
        return Ok(found);
    }
    let (mut there, mut here) = (live.reader(None).await?, copy.reader(None).await?);
    there.batch_execute(ON_LIVE).await.map_err(|e| Failure::from_error(&e))?;
    for table in &of.rows {
        now(said, format!("rows of {table}"));
        let words =
            |counted: Result<String, Failure>| counted.unwrap_or_else(|f| format!("unknown ({})", f.why()));
        let (now, then) = (words(count(&mut there, table).await), words(count(&mut here, table).await));
        found.remarks.push(format!("rows of {table}: {now} on the live server now, {then} in the copy"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::foreign_keys_sql;

    #[test]
    fn the_statement_is_found_between_its_marks() {
        let sql = foreign_keys_sql().trim();
        assert!(sql.starts_with("SELECT concat_ws") && sql.ends_with("ORDER BY 1"), "{sql}");
    }
}
