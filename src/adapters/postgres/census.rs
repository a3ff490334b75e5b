//! The census of a server: everything that might write, by allow-list. Whatever is not known to be harmless counts as a writer.
//!
//! Sources: PostgreSQL documentation, «pg_stat_activity» (`backend_type`), «Subscription», «PREPARE TRANSACTION», «Role Attributes».

use serde::Deserialize;
use tokio_postgres::Client;

use super::session::{APPLICATION, Failure, json};
use crate::kinds::shared::database::{DatabaseRef, Engine, Harmless};
use crate::kinds::shared::fence::FenceMethod;

const CENSUS: &str = include_str!("census.sql");
/// The server's own processes, which write no user data (PostgreSQL documentation, «pg_stat_activity»). Parallel workers are
/// missing here: their leader is a session, and the census counts it.
const OWN: [&str; 14] = [
    "archiver",
    "autovacuum launcher",
    "autovacuum worker",
    "background writer",
    "checkpointer",
    "io worker",
    "logical replication launcher",
    "parallel worker",
    "slotsync worker",
    "startup",
    "walreceiver",
    "walsummarizer",
    "walwriter",
    "logger",
];
/// The provider's own roles (Amazon RDS User Guide, «Understanding PostgreSQL roles and permissions»). No client uses them.
const PROVIDER: [&str; 4] = ["rdsadmin", "rdsrepladmin", "rdstopmgr", "rdswriteforwarduser"];
/// The provider's own database (the same page).
const PROVIDER_DATABASE: &str = "rdsadmin";
/// How many writers a message names.
const NAMED: usize = 6;

/// The answer of a server.
#[derive(Debug, Deserialize)]
pub(super) struct Census {
    pub(super) replica: bool,
    /// The role that runs the census.
    pub(super) own: String,
    pub(super) superuser: bool,
    /// Whether that role may create roles.
    creates: bool,
    /// The database that drctl is connected to.
    pub(super) here: String,
    /// Whether the role may call `pg_promote` in this database. The right is granted in each database separately.
    promotes: bool,
    pub(super) databases: Vec<Database>,
    /// Whether it may terminate sessions.
    signals: bool,
    /// Whether the role exists that has the fenced roles as members.
    pub(super) marked: bool,
    pub(super) note: Option<String>,
    /// Roles that have lost their login to the fence.
    pub(super) fenced: Vec<String>,
    logins: Vec<Login>,
    processes: Vec<Process>,
    pub(super) subscriptions: Vec<Subscription>,
    prepared: Vec<Prepared>,
    /// A counter of the transactions with an ID that have ended.
    pub(super) ended: i64,
    /// Whether a transaction with an ID is open.
    pub(super) open: bool,
    /// The last commit, if the server records commit timestamps.
    pub(super) last: Option<i64>,
    pub(super) now: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Database {
    pub(super) oid: i64,
    pub(super) name: String,
    /// Whether it accepts connections.
    pub(super) open: bool,
    template: bool,
    /// Whether the role that runs the census may change that.
    ours: bool,
}

/// A role that may log in.
#[derive(Debug, Deserialize)]
struct Login {
    name: String,
    superuser: bool,
    alterable: bool,
}

#[derive(Debug, Deserialize)]
struct Process {
    pid: i32,
    /// `None` if the role may not see other sessions.
    kind: Option<String>,
    role: Option<String>,
    application: String,
    state: String,
    database: Option<String>,
    superuser: bool,
    /// Its role can only replicate.
    replicates: bool,
    /// The subscription that this process is a worker of.
    subscription: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Subscription {
    pub(super) oid: i64,
    pub(super) name: String,
    pub(super) database: String,
    owner: String,
    pub(super) enabled: bool,
    /// Whether the role that runs the census may disable it.
    pub(super) ours: bool,
}

#[derive(Debug, Deserialize)]
struct Prepared {
    gid: String,
    owner: String,
    database: String,
    /// Roles that may log in and commit it.
    by: Vec<String>,
}

/// A possible writer, as words for a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// The fence ends it, or it ends by itself.
    Passing(String),
    /// This fence cannot end it.
    Staying(String),
}

impl Writer {
    fn words(&self) -> &str {
        match self {
            Self::Passing(words) | Self::Staying(words) => words,
        }
    }
}

/// All writers, as words for a message.
pub(super) fn named(writers: &[Writer]) -> String {
    let mut text: Vec<_> = writers.iter().take(NAMED).map(Writer::words).map(str::to_owned).collect();
    if writers.len() > NAMED {
        text.push(format!("{} more", writers.len() - NAMED));
    }
    text.join("; ")
}

/// Everything that may write to a database while it is fenced by SQL, as words for a message. `answer` is what its server answers
/// to the census.
///
/// # Errors
/// If `answer` is not an answer to the census.
pub fn may_write(answer: &str, db: &DatabaseRef) -> Result<Vec<String>, serde_json::Error> {
    let census: Census = serde_json::from_str(answer)?;
    Ok(census
        .writers(KnownClients::for_database(db, FenceMethod::Sql))
        .iter()
        .map(|writer| writer.words().to_owned())
        .collect())
}

pub(super) async fn take(client: &Client) -> Result<Census, Failure> {
    json(client, CENSUS).await
}

/// What a fence closes. After that, only sessions from before can still write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shuts {
    /// Roles may not log in.
    Logins,
    /// Databases accept no connections, not even from superusers or workers of subscriptions, and nobody can commit their
    /// prepared transactions. Templates, and the database that the fence works from, stay open because they hold no data of the
    /// application.
    Databases,
    /// The server accepts no client except drctl. Workers of subscriptions do not connect to the server, so they continue.
    Door,
}

/// Roles, sessions and processes that are known to be harmless.
#[derive(Clone, Copy)]
pub(super) struct KnownClients<'a> {
    harmless: &'a [Harmless],
    provider: &'static [&'static str],
    shuts: Shuts,
}

impl<'a> KnownClients<'a> {
    /// Includes the provider's own roles on a managed service.
    pub(super) fn for_database(db: &'a DatabaseRef, method: FenceMethod) -> Self {
        let provider: &[&str] = if db.engine == Engine::Postgres { &[] } else { &PROVIDER };
        let shuts = match method {
            FenceMethod::Sql => Shuts::Logins,
            FenceMethod::PgHba => Shuts::Door,
            _ => Shuts::Databases,
        };
        Self { harmless: &db.harmless, provider, shuts }
    }

    /// Whether the fence keeps everybody out of databases.
    fn guards_databases(self) -> bool {
        self.shuts == Shuts::Databases
    }

    /// Whether the fence keeps out every role, superusers and the administrator's own included.
    fn keeps_all_out(self) -> bool {
        self.shuts != Shuts::Logins
    }

    fn role(&self, role: &str) -> bool {
        self.provider.contains(&role) || self.harmless.iter().any(|h| h.vouches_for(role))
    }

    fn session(&self, role: &str, application: &str) -> bool {
        self.provider.contains(&role) || self.harmless.iter().any(|h| h.covers(role, application))
    }

    fn process(&self, kind: &str) -> bool {
        self.harmless.iter().any(|h| matches!(h, Harmless::Process(named) if named == kind))
    }
}

impl Process {
    /// Whether it is a session of a client, or of a role that replicates rows and so may run statements. `replicates` is read in
    /// only one database; if the application's databases are closed that is a different one, so it does not count.
    fn is_session(&self, known: KnownClients<'_>) -> bool {
        match self.kind.as_deref() {
            Some("client backend") => true,
            Some("walsender") => self.database.is_some() && (!self.replicates || known.keeps_all_out()),
            _ => false,
        }
    }

    fn words(&self) -> String {
        let Self { pid, role, application, state, database, .. } = self;
        let named = [
            ("application", application.as_str()),
            ("state", state),
            ("database", database.as_deref().unwrap_or("")),
        ];
        let more: String =
            named.iter().filter(|(_, v)| !v.is_empty()).map(|(what, v)| format!(", {what} {v}")).collect();
        format!("a session of {} (process {pid}{more})", role.as_deref().unwrap_or("nobody"))
    }
}

impl Census {
    /// Roles that the fence takes the login from.
    pub(super) fn to_fence(&self, known: KnownClients<'_>) -> Vec<&str> {
        let ours = self.logins.iter().filter(|l| l.alterable && !known.role(&l.name));
        ours.map(|l| l.name.as_str()).collect()
    }

    /// Processes that the fence ends.
    pub(super) fn to_end(&self, known: KnownClients<'_>) -> Vec<i32> {
        let of = |p: &&Process| match p.subscription {
            Some(oid) => self.subscriptions.iter().any(|s| s.oid == oid && s.ours),
            None => p.is_session(known) && !self.stays(p, known),
        };
        self.processes.iter().filter(of).map(|p| p.pid).collect()
    }

    /// Whether a session may stay: it is drctl's own, or known to be harmless.
    fn stays(&self, process: &Process, known: KnownClients<'_>) -> bool {
        let role = process.role.as_deref().unwrap_or_default();
        role == self.own && process.application == APPLICATION || known.session(role, &process.application)
    }

    /// Whether other sessions use the role that drctl logs in with. A fence by SQL cannot keep them out.
    pub(super) fn of_the_administrator(&self, known: KnownClients<'_>) -> bool {
        let own = |p: &&Process| p.is_session(known) && p.role.as_deref() == Some(self.own.as_str());
        self.processes.iter().filter(own).any(|p| !self.stays(p, known))
    }

    /// Everything that may write.
    pub(super) fn writers(&self, known: KnownClients<'_>) -> Vec<Writer> {
        let mut all = self.admitted(known);
        all.extend(self.processes.iter().filter_map(|p| self.process_left(p, known)));
        let open = |database: &str| self.is_open(database, known);
        all.extend(
            self.subscriptions.iter().filter(|s| s.enabled && open(&s.database)).map(|s| s.left(known)),
        );
        all.extend(
            self.prepared.iter().filter(|p| open(&p.database)).filter_map(|p| self.prepared_left(p, known)),
        );
        all.dedup();
        all
    }

    /// Roles and databases through which a client can still connect.
    fn admitted(&self, known: KnownClients<'_>) -> Vec<Writer> {
        match known.shuts {
            Shuts::Logins => self.roles_left(known),
            Shuts::Databases => self.to_shut(known).map(|d| d.left(&self.own)).collect(),
            Shuts::Door => Vec::new(),
        }
    }

    /// Databases that the fence closes and that still accept connections.
    fn to_shut(&self, known: KnownClients<'_>) -> impl Iterator<Item = &Database> {
        let open = |d: &&Database| d.open && d.name != self.here && !d.template;
        let of_provider = !known.provider.is_empty();
        self.databases.iter().filter(open).filter(move |d| !(of_provider && d.name == PROVIDER_DATABASE))
    }

    /// Those that the role that runs the census may close.
    pub(super) fn to_close(&self, known: KnownClients<'_>) -> Vec<&Database> {
        self.to_shut(known).filter(|d| d.ours).collect()
    }

    /// Whether workers and prepared transactions of a database may continue.
    fn is_open(&self, database: &str, known: KnownClients<'_>) -> bool {
        !known.guards_databases() || self.databases.iter().any(|d| d.name == database && d.open)
    }

    fn roles_left(&self, known: KnownClients<'_>) -> Vec<Writer> {
        let left = self.logins.iter().filter(|l| !known.role(&l.name));
        left.map(|l| match (l.alterable, l.superuser) {
            (true, _) => Writer::Passing(format!("role {} can log in", l.name)),
            (false, true) => Writer::Staying(format!(
                "superuser {} can log in, and only a superuser can change that; {} is not one (or list the role under `harmless:`)",
                l.name, self.own
            )),
            (false, false) => {
                Writer::Staying(format!("role {} can log in, and {} cannot alter it", l.name, self.own))
            }
        })
        .collect()
    }

    fn process_left(&self, process: &Process, known: KnownClients<'_>) -> Option<Writer> {
        let Some(kind) = process.kind.as_deref() else {
            let own = &self.own;
            let words = format!("processes whose type {own} may not see (GRANT pg_monitor TO {own})");
            return Some(Writer::Staying(words));
        };
        if let Some(oid) = process.subscription {
            let of = self.subscriptions.iter().find(|s| s.oid == oid);
            let name =
                of.map_or_else(|| "a subscription that no longer exists".to_owned(), Subscription::words);
            let words = format!("the {kind} (process {}) of {name}", process.pid);
            // If its subscription stays enabled, the message names the subscription instead.
            let named = of.is_some_and(|s| s.enabled && self.is_open(&s.database, known));
            // A worker ends by itself after its subscription is disabled.
            let stays = known.guards_databases() && of.is_none_or(|s| !s.ours);
            return match (named, stays) {
                (true, _) => None,
                (false, true) => Some(Writer::Staying(format!("{words}, which {} cannot end", self.own))),
                (false, false) => Some(Writer::Passing(words)),
            };
        }
        if process.is_session(known) {
            let (words, own) = (process.words(), process.role.as_deref() == Some(self.own.as_str()));
            return match self.stays(process, known) {
                true => None,
                // The owner of the server's processes may end every one of them.
                false if known.shuts == Shuts::Door => Some(Writer::Passing(words)),
                false if own && !known.guards_databases() => {
                    Some(Writer::Staying(format!("{words}, the administrator's own role")))
                }
                false if process.superuser && !self.superuser => Some(Writer::Staying(format!(
                    "{words}, a superuser session, which {} cannot end",
                    self.own
                ))),
                false if !self.signals => Some(Writer::Staying(format!(
                    "{words}, which {} cannot end without pg_signal_backend",
                    self.own
                ))),
                false => Some(Writer::Passing(words)),
            };
        }
        let run_by = process.role.as_deref().unwrap_or_default();
        let harmless = kind == "walsender"
            || OWN.contains(&kind)
            || known.process(kind)
            || known.provider.contains(&run_by);
        (!harmless)
            .then(|| Writer::Staying(format!("background process `{kind}` is not listed under `harmless:`")))
    }

    fn prepared_left(&self, prepared: &Prepared, known: KnownClients<'_>) -> Option<Writer> {
        let owner = &prepared.owner;
        if known.shuts == Shuts::Door && *owner != self.own {
            return None;
        }
        // A role whose login the fence still has to take is listed as a writer already.
        let fenced = if known.guards_databases() { Vec::new() } else { self.to_fence(known) };
        let may = |r: &&String| !fenced.contains(&r.as_str()) && (*r == owner || !known.role(r));
        let who: Vec<_> = prepared.by.iter().filter(may).map(String::as_str).collect();
        let who = if *owner == self.own { owner.clone() } else { who.join(", ") };
        (!who.is_empty()).then(|| {
            Writer::Staying(format!(
                "prepared transaction '{}' of {owner} in {} can be committed by {who}",
                prepared.gid, prepared.database
            ))
        })
    }

    /// Why the fence cannot be recorded.
    pub(super) fn may_not_note(&self) -> Option<String> {
        let own = &self.own;
        (!self.creates && !self.marked).then(|| {
            format!(
                "{own} cannot create the role in which the fence records its changes (ALTER ROLE {own} CREATEROLE)"
            )
        })
    }

    /// What could still write if the fence were set now. Sessions are left out because they come and go; their roles are listed.
    pub(super) fn obstacles(&self, known: KnownClients<'_>) -> Vec<String> {
        let processes = self.processes.iter().filter(|p| !p.is_session(known) && p.subscription.is_none());
        let mut all = self.admitted(known);
        all.extend(processes.filter_map(|p| self.process_left(p, known)));
        let would_shut: Vec<_> = match known.shuts {
            Shuts::Logins | Shuts::Door => Vec::new(),
            Shuts::Databases => self.to_close(known).into_iter().map(|d| d.name.as_str()).collect(),
        };
        let open = |database: &str| self.is_open(database, known) && !would_shut.contains(&database);
        for of in self.subscriptions.iter().filter(|s| s.enabled) {
            match open(&of.database) {
                true => all.push(of.left(known)),
                false if !of.ours => all.push(Writer::Staying(format!(
                    "the workers of {}, which {} cannot end",
                    of.words(),
                    self.own
                ))),
                false => {}
            }
        }
        all.extend(
            self.prepared.iter().filter(|p| open(&p.database)).filter_map(|p| self.prepared_left(p, known)),
        );
        let stays = |w: Writer| match w {
            Writer::Staying(words) => Some(words),
            Writer::Passing(_) => None,
        };
        let mut words: Vec<_> = all.into_iter().filter_map(stays).collect();
        if self.of_the_administrator(known) && !known.keeps_all_out() {
            words.push(format!("sessions of {}, the role of the administrator, are open", self.own));
        }
        if !self.signals && known.shuts != Shuts::Door {
            words.push(format!("{} cannot end sessions (GRANT pg_signal_backend TO {})", self.own, self.own));
        }
        if known.keeps_all_out() {
            words.extend(self.may_not_note());
        }
        // On RDS and Aurora the service promotes, not this role.
        if known.guards_databases() && !self.promotes && known.provider.is_empty() {
            let (own, here) = (&self.own, &self.here);
            words.push(format!(
                "{own} cannot promote the standby, because its databases will be closed too (in database {here}: GRANT EXECUTE ON FUNCTION pg_promote TO {own})"
            ));
        }
        words.dedup();
        words
    }
}

impl Database {
    fn left(&self, own: &str) -> Writer {
        let words = format!("database {} accepts connections", self.name);
        match self.ours {
            true => Writer::Passing(words),
            false => Writer::Staying(format!(
                "{words}, and only its owner or a superuser can change that; {own} is neither"
            )),
        }
    }
}

impl Subscription {
    fn words(&self) -> String {
        format!("subscription {} of database {}", self.name, self.database)
    }

    fn left(&self, known: KnownClients<'_>) -> Writer {
        match self.ours {
            _ if known.shuts == Shuts::Door => Writer::Staying(format!(
                "{} is enabled, and no rule in pg_hba.conf keeps its workers out (put fence method `sql` before this one; it disables the subscription)",
                self.words()
            )),
            true => Writer::Passing(format!("{} is enabled", self.words())),
            false => Writer::Staying(format!(
                "{} is enabled and writes what its publisher sends; only its owner {} or a superuser can disable it",
                self.words(),
                self.owner
            )),
        }
    }
}
