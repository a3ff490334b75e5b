//! What a primary has that its physical standbys do not.
//!
//! Sources: PostgreSQL documentation, «CREATE TABLE» (UNLOGGED), «Logical Replication Failover» (`failover` of slots since 17),
//! `pg_replication_slots`, `pg_prepared_xacts`, «File Locations».

use futures_util::future::join_all;
use serde::Deserialize;
use tokio_postgres::Client;

use super::Postgres;
use super::session::{Failure, json};
use super::way::{DatabaseAccess, Inside};
use crate::adapters::secrets::Login;
use crate::kinds::shared::database::{DatabaseRef, Engine};
use crate::kinds::shared::unreplicated::{Lost, Unreplicated};
use crate::model::time::Dur;

/// Queries the whole server.
const SERVER: &str = "SELECT jsonb_build_object( \
     'here', current_database(), \
     'databases', (SELECT coalesce(jsonb_agg(datname ORDER BY datname), '[]') FROM pg_database WHERE datallowconn AND NOT datistemplate \
       AND datname NOT IN ('rdsadmin', current_database())), \
     'closed', (SELECT coalesce(jsonb_agg(datname ORDER BY datname), '[]') FROM pg_database WHERE NOT datallowconn AND NOT datistemplate \
       AND datname NOT IN ('rdsadmin', current_database())), \
     'slots', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', s.slot_name, 'database', s.database, \
         'failover', coalesce((to_jsonb(s) ->> 'failover')::boolean, false)) ORDER BY s.slot_name), '[]') \
       FROM pg_replication_slots s WHERE s.slot_type = 'logical' AND NOT s.temporary), \
     'prepared', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', gid, 'database', database, 'owner', owner) ORDER BY gid), '[]') \
       FROM pg_prepared_xacts), \
     'files', (SELECT coalesce(jsonb_agg(f.setting ORDER BY f.setting), '[]') FROM pg_settings f, pg_settings d \
       WHERE f.name IN ('config_file', 'hba_file', 'ident_file') AND d.name = 'data_directory' \
       AND f.setting <> '' AND NOT starts_with(f.setting, d.setting || '/')))::text";
/// Queries one database. The size of a table tells whether it has, or had, rows, which needs no right to read it.
const DATABASE: &str = "SELECT jsonb_build_object( \
     'tables', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', n.nspname || '.' || c.relname, \
         'bytes', pg_relation_size(c.oid), 'rows', coalesce(pg_stat_get_live_tuples(c.oid), 0)) ORDER BY 1), '[]') \
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
       WHERE c.relpersistence = 'u' AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0), \
     'foreign', (SELECT count(*) FROM pg_class WHERE relkind = 'f'))::text";

#[derive(Deserialize)]
struct Server {
    here: String,
    databases: Vec<String>,
    /// Databases that accept no connections.
    closed: Vec<String>,
    slots: Vec<Named>,
    prepared: Vec<Named>,
    files: Vec<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    database: Option<String>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    failover: bool,
}

#[derive(Deserialize)]
struct Database {
    tables: Vec<Table>,
    foreign: i64,
}

#[derive(Deserialize)]
struct Table {
    name: String,
    bytes: i64,
    rows: i64,
}

/// How long an answer is cached: a step that waits for something else observes every second.
const KEPT: Dur = Dur::mins(1);

impl Postgres {
    /// Everything of that kind on a primary. What could not be inspected is included as such.
    pub async fn unreplicated(&self, db: &DatabaseRef, endpoint: &str, login: &Login) -> Vec<Unreplicated> {
        let now = self.world.now();
        if let Some((at, kept)) = self.lacking.borrow().get(endpoint)
            && now.since(*at) < KEPT
        {
            return kept.clone();
        }
        let work = async {
            let client = self.connect(endpoint, login).await?;
            read(&client, &self.way(endpoint, login), db, &Inside::new()).await
        };
        let found = match self.within(work).await {
            Ok(found) => found,
            Err(failure) => vec![thing(Lost::Unseen, format!("server {}", db.id), failure.why())],
        };
        self.lacking.borrow_mut().insert(endpoint.to_owned(), (now, found.clone()));
        found
    }
}

/// Reads everything of that kind on a primary.
pub(super) async fn read(
    client: &Client,
    way: &DatabaseAccess<'_>,
    db: &DatabaseRef,
    inside: &Inside,
) -> Result<Vec<Unreplicated>, Failure> {
    let server: Server = json(client, SERVER).await?;
    let here: Database = json(client, DATABASE).await?;
    let mut all = in_database(db, &server.here, here);
    let others = server.databases.iter().map(|name| async move {
        let client = way.to(name).await?;
        json::<Database>(&client, DATABASE).await
    });
    let open = join_all(others).await;
    let shut = server.closed.iter().map(|name| async move {
        match inside.get(name) {
            Some(client) => json::<Database>(client, DATABASE).await,
            None => Err(Failure::Unreachable("it accepts no connections".to_owned())),
        }
    });
    let closed = join_all(shut).await;
    let databases = server.databases.iter().chain(&server.closed);
    for (name, found) in databases.zip(open.into_iter().chain(closed)) {
        match found {
            Ok(found) => all.extend(in_database(db, name, found)),
            Err(failure) => all.push(thing(Lost::Unseen, format!("database {name}"), failure.why())),
        }
    }
    let of = |n: &Named| match (&n.owner, &n.database) {
        (Some(owner), Some(database)) => format!("of {owner} in {database}"),
        (_, database) => database.as_ref().map_or_else(String::new, |d| format!("of {d}")),
    };
    let slot = |s: &Named| thing(if s.failover { Lost::Failover } else { Lost::Slot }, s.name.clone(), of(s));
    all.extend(server.slots.iter().map(slot));
    all.extend(server.prepared.iter().map(|p| thing(Lost::Locked, format!("'{}'", p.name), of(p))));
    // A managed service maintains its own slots and settings.
    if db.engine == Engine::Postgres {
        let files = server.files.join(", ");
        all.extend((!files.is_empty()).then(|| thing(Lost::Outside, files, String::new())));
    }
    Ok(all)
}

fn thing(what: Lost, name: String, detail: String) -> Unreplicated {
    Unreplicated { what, name, detail }
}

fn in_database(db: &DatabaseRef, name: &str, found: Database) -> Vec<Unreplicated> {
    let table = |t: Table| {
        let plain = t.name.strip_prefix("public.").unwrap_or(&t.name);
        let expendable = db.expendable.iter().any(|e| *e == t.name || e == plain);
        let detail = match t.rows {
            0 => format!("{} bytes", t.bytes),
            rows => format!("about {rows}, {} bytes", t.bytes),
        };
        thing(if expendable { Lost::Expendable } else { Lost::Rows }, format!("{name}.{}", t.name), detail)
    };
    let foreign = (found.foreign > 0).then(|| {
        thing(
            Lost::Outside,
            format!("what {} foreign tables of database {name} show", found.foreign),
            String::new(),
        )
    });
    found.tables.into_iter().map(table).chain(foreign).collect()
}
