//! What plans say of a database, whoever runs it.

use std::collections::BTreeMap;

use crate::kinds::shared::database::server::{Engine, Harmless, Host};
use crate::kinds::shared::fence::method::FenceMethod;
use crate::kinds::shared::restore::copy::{Backups, Expect, Invariant};
use crate::kinds::shared::secret::login::{SecretRef, secret_ref};
use crate::model::document::{Node, Spanned};
use crate::model::ids::SiteName;
use crate::model::read::{map, spanned_dur};
use crate::model::shape::{Field, Keys, Shape, opt, req};
use crate::model::time::Dur;

/// A database with a replica in another site.
#[derive(Clone, Debug)]
pub struct Database {
    /// Who runs it.
    pub engine: Engine,
    /// The Aurora global database: an identity above the sites.
    pub global: Option<String>,
    /// The fence methods in their order.
    pub fence: Vec<FenceMethod>,
    /// The instance in each site.
    pub at: BTreeMap<SiteName, DatabaseAt>,
    /// The table that canary rows go to.
    pub canary_table: Option<String>,
    /// How often it is backed up, where that is the protection.
    pub backup_every: Option<Spanned<Dur>>,
    /// What has to be true of a restored copy.
    pub invariants: Vec<Spanned<Invariant>>,
    /// Tables whose rows are counted in it.
    pub rows: Vec<String>,
    /// Tables of which the rows that only an old primary has are exported.
    pub reconcile: Vec<String>,
    /// What may stay while it is fenced by SQL.
    pub harmless: Vec<Harmless>,
    /// Unlogged tables whose rows may be lost.
    pub expendable: Vec<String>,
}

/// The instance in one site.
#[derive(Clone, Debug)]
pub struct DatabaseAt {
    /// DB instance or DB cluster identifier; of a server of one's own what people call it.
    pub id: String,
    /// Class of the instance that a cluster without any is given.
    pub instance_class: Option<String>,
    /// `host:port/database`; found by the first look if absent.
    pub endpoint: Option<String>,
    /// Prepared security group.
    pub fence_group: Option<String>,
    /// Administrator credentials.
    pub admin: Option<Spanned<SecretRef>>,
    /// The machine of a server of one's own.
    pub host: Option<Host>,
    /// The login of standbys, as it stands in the plan.
    pub replication: Option<Spanned<SecretRef>>,
    /// How its backups are reached from that machine.
    pub backups: Option<Spanned<Backups>>,
}

/// How a promotion and a restored copy are verified.
pub const VERIFY_FIELD: Field = opt(
    "verify",
    Shape::Keys(&VERIFY),
    "the test write that proves a promotion, and what must be true of a restored copy",
);

/// How often it is backed up.
pub const BACKUP_EVERY: Field = opt(
    "backup_every",
    Shape::Duration,
    "the backup interval, if backups protect the database instead of a replica",
);

const VERIFY: Keys = Keys {
    name: "verify",
    fields: &[
        req("sql_write", Shape::Keys(&SQL_WRITE), "a row that drctl writes and reads back"),
        opt("invariants", Shape::List(&Shape::Keys(&INVARIANT)), "what must be true of a restored copy"),
        opt("rows", Shape::List(&Shape::Name), "tables whose rows drctl counts in a restored copy"),
    ],
};

/// How a promotion is verified.
pub const CANARY: Keys = Keys {
    name: "verify",
    fields: &[req("sql_write", Shape::Keys(&SQL_WRITE), "a row that drctl writes and reads back")],
};

const INVARIANT: Keys = Keys {
    name: "invariant",
    fields: &[
        req("name", Shape::Name, "its name"),
        req("sql", Shape::Text, "a read-only query that returns one value"),
        opt("is", Shape::Text, "the exact value, in quotes"),
        opt("at_least", Shape::Int(i64::MIN, i64::MAX), "the smallest allowed number"),
        opt("database", Shape::Name, "the database; the database of the endpoint if absent"),
    ],
};

const SQL_WRITE: Keys =
    Keys { name: "sql_write", fields: &[req("table", Shape::Name, "the table for canary rows")] };

/// What may stay during a SQL fence.
pub const HARMLESS_FIELD: Field = opt(
    "harmless",
    Shape::Keys(&HARMLESS),
    "sessions that may stay during a SQL fence; you guarantee that they write nothing",
);

const HARMLESS: Keys = Keys {
    name: "harmless",
    fields: &[
        opt(
            "roles",
            Shape::List(&Shape::Text),
            "roles that may still log in, such as a superuser for people or for monitoring",
        ),
        opt(
            "applications",
            Shape::Map(&Shape::Text),
            "for each application_name, the role that it uses; drctl accepts no other session of that role",
        ),
        opt(
            "processes",
            Shape::List(&Shape::Text),
            "background processes, by backend_type in pg_stat_activity",
        ),
    ],
};

/// Rows that may be lost.
pub const EXPENDABLE: Field = opt(
    "expendable",
    Shape::List(&Shape::Name),
    "unlogged tables (schema.table; public if no schema is given) whose rows a promotion may lose; no standby has these rows",
);

/// The database of a component, whoever runs it.
pub fn database(node: &Node, engine: Engine) -> Database {
    let method = |n: &Node| FenceMethod::from_id(n.text()?);
    let at = |key: &str, n: &Node| {
        let admin = n.get("admin").map(|a| Spanned { value: secret_ref(a), span: a.span });
        let fence_group = n.get("fence_group").and_then(Node::text).map(str::to_owned);
        let endpoint = n.get("endpoint").and_then(Node::text).map(str::to_owned);
        let named = n.get("id").and_then(Node::text).map(str::to_owned);
        // A server of one's own is known by where it listens.
        // RDS keeps identifiers in lower case.
        let named = if engine == Engine::Aurora { named.map(|id| id.to_ascii_lowercase()) } else { named };
        let id = named.or_else(|| endpoint.clone().filter(|_| engine == Engine::Postgres))?;
        let login = n.get("host").and_then(|h| h.get("replication"));
        let replication = login.map(|r| Spanned { value: secret_ref(r), span: r.span });
        let backups = n.get("host").and_then(|h| h.get("backups"));
        let backups = backups.and_then(|b| Some(Spanned { value: backups_of(b)?, span: b.span }));
        let host = n.get("host").and_then(host);
        let instance_class = n.get("instance_class").and_then(Node::text).map(str::to_owned);
        let at = DatabaseAt { id, instance_class, endpoint, fence_group, admin, host, replication, backups };
        Some((SiteName::new(key), at))
    };
    let list = |key: &str| node.get(key).map(Node::items).unwrap_or_default();
    let verify = |key: &str| node.get("verify").and_then(|v| v.get(key)).map(Node::items).unwrap_or_default();
    Database {
        engine,
        global: node.get("global_cluster").and_then(Node::text).map(str::to_ascii_lowercase),
        fence: node.get("fence").map(Node::items).unwrap_or_default().iter().filter_map(method).collect(),
        at: map(node, "at", at),
        canary_table: node
            .get("verify")
            .and_then(|v| v.get("sql_write")?.get("table")?.text())
            .map(str::to_owned),
        backup_every: node.get("backup_every").and_then(spanned_dur),
        invariants: verify("invariants").iter().filter_map(invariant).collect(),
        reconcile: list("reconcile").iter().filter_map(|n| n.text().map(str::to_owned)).collect(),
        rows: verify("rows").iter().filter_map(|n| n.text().map(str::to_owned)).collect(),
        harmless: node.get("harmless").map(harmless).unwrap_or_default(),
        expendable: list("expendable").iter().filter_map(|n| n.text().map(str::to_owned)).collect(),
    }
}

fn harmless(node: &Node) -> Vec<Harmless> {
    let list = |key: &str| {
        let items = node.get(key).map(Node::items).unwrap_or_default();
        items.iter().filter_map(|n| n.text().map(str::to_owned)).collect::<Vec<_>>()
    };
    let role = |(name, application)| Harmless::Role { name, application };
    let applications =
        map(node, "applications", |application, n| Some((application.to_owned(), n.text()?.to_owned())));
    let roles = list("roles").into_iter().map(|name| role((name, None)));
    let only = applications.into_iter().map(|(application, name)| role((name, Some(application))));
    roles.chain(only).chain(list("processes").into_iter().map(Harmless::Process)).collect()
}

fn invariant(node: &Node) -> Option<Spanned<Invariant>> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let expect = match (text("is"), node.get("at_least").and_then(Node::int)) {
        (None, Some(number)) => Expect::AtLeast(number.to_string()),
        // One that says neither, or both, holds for nothing; lint says so.
        (Some(value), None) => Expect::Is(value),
        _ => Expect::Nothing,
    };
    let value = Invariant { name: text("name")?, sql: text("sql")?, database: text("database"), expect };
    Some(Spanned { value, span: node.span })
}

fn backups_of(node: &Node) -> Option<Backups> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let gib = node.get("reserve_gib").and_then(Node::int).and_then(|n| u64::try_from(n).ok()).unwrap_or(1);
    let preload = node.get("preload").map(|list| {
        list.items().iter().filter_map(|n| n.text().map(str::to_owned)).collect::<Vec<_>>().join(",")
    });
    Some(Backups {
        list: text("list")?,
        fetch: text("fetch")?,
        archive_get: text("archive_get")?,
        reserve_bytes: gib << 30,
        preload,
    })
}

fn host(node: &Node) -> Option<Host> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let words = |key: &str| -> Vec<String> {
        let items = node.get(key).map(Node::items).unwrap_or_default();
        items.iter().filter_map(|i| i.text().map(str::to_owned)).collect()
    };
    let SecretRef::Ref(replication_secret) = secret_ref(node.get("replication")?) else { return None };
    Some(Host {
        run: words("run"),
        // A slash at the end would put what the job keeps beside the data into it.
        data: text("data")?.trim_end_matches('/').to_owned(),
        bin: text("bin"),
        config: text("config"),
        stop: words("stop"),
        start: words("start"),
        replication_secret,
    })
}
