//! What can be looked at and acted on. A target names one thing at one place, completely.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bucket::{BucketRef, Sample};
use super::ids::{ComponentName, Digest, SiteName};
use super::place::Place;
use super::readiness::Need;
use super::restore::{Part, Restore};

/// Who runs a database, and so how it is promoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// An RDS instance: the control plane promotes a read replica.
    #[default]
    Rds,
    /// A PostgreSQL server of one's own, with streaming replication: everything is done over its own protocol.
    Postgres,
    /// A cluster of an Aurora global database: the service moves the writer from one cluster to another.
    Aurora,
}

impl Engine {
    /// Whether it is the engine of journals that name none.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A database server at one site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct DatabaseRef {
    /// The component it is part of.
    pub component: ComponentName,
    /// Where it is.
    pub place: Place,
    /// The provider's identifier.
    pub id: String,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Engine::is_default")]
    pub engine: Engine,
    /// `host:port/database`, from the plan or from the last look at it: SQL works while the control plane is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The prepared security group that lets nobody in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence_group: Option<String>,
    /// A reference to administrator credentials; never the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_secret: Option<String>,
    /// The machine of a server of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// The global database that a cluster belongs to: an identity above the sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<String>,
    /// What people vouch for: it may log in or run while the server is fenced by SQL, and writes nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub harmless: Vec<Harmless>,
    /// Unlogged tables whose rows may be lost with a promotion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expendable: Vec<String>,
    /// How clients come to it: the fence by SQL has to refuse them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<super::action::ClientWay>,
}

/// Who or what may stay while a server is fenced by SQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Harmless {
    /// A role that may continue to log in.
    Role {
        /// Its name.
        name: String,
        /// Only its sessions of this `application_name`; all of them if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application: Option<String>,
    },
    /// A background process, by its `backend_type` in `pg_stat_activity`.
    Process(String),
}

impl Harmless {
    /// Whether it vouches for a role.
    pub fn vouches_for(&self, role: &str) -> bool {
        matches!(self, Self::Role { name, .. } if name == role)
    }

    /// Whether it vouches for a session.
    pub fn covers(&self, role: &str, application: &str) -> bool {
        match self {
            Self::Role { name, application: only } => {
                name == role && only.as_deref().is_none_or(|only| only == application)
            }
            Self::Process(_) => false,
        }
    }
}

/// The machine of a server of one's own: how it is reached, and where the server lives on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// What stands in front of `sh` to run it there as the owner of the data, such as `ssh -o BatchMode=yes postgres@db-west`.
    pub run: Vec<String>,
    /// The data folder.
    pub data: String,
    /// The folder of the server's programs; those of the path if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bin: Option<String>,
    /// The settings file, where it is not in the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Stops it; `pg_ctl` if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Starts it; `pg_ctl` if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start: Vec<String>,
    /// A reference to the login with which standbys replicate from it, and it from others.
    pub replication_secret: String,
}

impl DatabaseRef {
    /// Whether both name one server, however it is reached.
    pub fn is(&self, other: &Self) -> bool {
        self.id == other.id && self.place == other.place
    }

    /// The signs of life that can be looked for.
    pub fn signs(&self) -> Vec<Target> {
        let server = self.endpoint.is_some().then_some(Sign::Server);
        let service = (self.engine != Engine::Postgres).then_some(Sign::Service);
        server.into_iter().chain(service).map(|sign| Target::Alive { db: self.clone(), sign }).collect()
    }

    /// With the endpoint that was observed, unless the plan names one.
    #[must_use]
    pub fn reached_at(mut self, endpoint: Option<&String>) -> Self {
        self.endpoint = self.endpoint.or_else(|| endpoint.cloned());
        self
    }
}

/// A group of instances at one site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct GroupRef {
    /// The component it is part of.
    pub component: ComponentName,
    /// Where it is.
    pub place: Place,
    /// The group's name.
    pub group: String,
}

/// A hosted zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ZoneRef {
    /// The component whose records are meant.
    pub component: ComponentName,
    /// The connection it is reached by.
    pub place: Place,
    /// The zone's id.
    pub zone: String,
}

/// An object that health checks watch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// The component whose names it moves.
    pub component: ComponentName,
    /// Where it is: the site that it sends users to.
    pub place: Place,
    /// `s3://bucket/key`.
    pub url: String,
}

impl ObjectRef {
    /// Bucket and key.
    pub fn parts(&self) -> Option<(&str, &str)> {
        bucket_and_key(&self.url)
    }
}

/// Routing controls, one for each site, and where they are read and changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ControlsRef {
    /// The component whose names they move.
    pub component: ComponentName,
    /// The connection whose credentials may change them.
    pub place: Place,
    /// The cluster's endpoints, by region: each takes all calls.
    pub endpoints: BTreeMap<String, String>,
    /// The ARN of each site's control.
    pub controls: BTreeMap<SiteName, String>,
}

/// A secret that tells clients where their database is: a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ClientSecret {
    /// The component.
    pub component: ComponentName,
    /// The site whose clients read it.
    pub place: Place,
    /// Its name or ARN.
    pub id: String,
    /// The field with the server's name.
    pub host: String,
    /// The field with its port, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

impl ClientSecret {
    /// The fields, as they lead to an endpoint.
    pub fn leading_to(&self, endpoint: &str) -> Option<BTreeMap<String, String>> {
        let (host, port, _) = endpoint_parts(endpoint)?;
        let host = (self.host.clone(), host.to_owned());
        Some(std::iter::once(host).chain(self.port.clone().map(|field| (field, port.to_string()))).collect())
    }
}

/// Host, port and database of `host:port/database`.
pub fn endpoint_parts(endpoint: &str) -> Option<(&str, u16, Option<&str>)> {
    let (server, database) = endpoint.split_once('/').unwrap_or((endpoint, ""));
    let (host, port) = server.rsplit_once(':').unwrap_or((server, "5432"));
    Some((host, port.parse().ok()?, Some(database).filter(|d| !d.is_empty())))
}

/// Bucket and key of `s3://bucket/key`.
pub fn bucket_and_key(url: &str) -> Option<(&str, &str)> {
    let (bucket, key) = url.strip_prefix("s3://")?.split_once('/')?;
    (!bucket.is_empty() && !key.is_empty()).then_some((bucket, key))
}

/// Whose answer is a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The server's own, at its address.
    Server,
    /// The service's that runs it, in its region.
    Service,
}

/// Something to observe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Target {
    /// A database server.
    Database(DatabaseRef),
    /// A group of instances.
    Group(GroupRef),
    /// Record sets of a zone.
    Records {
        /// The zone.
        zone: ZoneRef,
        /// Name and type of each, sorted.
        names: Vec<(String, String)>,
    },
    /// A submitted DNS change.
    Change {
        /// The zone.
        zone: ZoneRef,
        /// The provider's id of the change.
        id: String,
    },
    /// An object that health checks watch.
    HealthObject(ObjectRef),
    /// Routing controls.
    Controls(ControlsRef),
    /// Where a secret leads clients.
    Secret(ClientSecret),
    /// What name servers and resolvers answer.
    Answers {
        /// Of which names.
        names: Vec<super::action::Wanted>,
    },
    /// The credentials at a place.
    Identity {
        /// The place.
        place: Place,
    },
    /// Whether a fence holds on a database.
    Fence {
        /// The database.
        db: DatabaseRef,
        /// The method whose proof is asked for.
        method: super::action::FenceMethod,
        /// The restart that the fence asked for: what the proof must be newer than.
        #[serde(default)]
        restart: super::restart::Restart,
    },
    /// The guard object of a component.
    Guard {
        /// The component.
        component: ComponentName,
        /// Where the guard is kept.
        place: Place,
    },
    /// Whether anybody answers where a database is. No login is used, and nothing is asked that could wait for anything.
    Alive {
        /// The database.
        db: DatabaseRef,
        /// Whose answer counts.
        sign: Sign,
    },
    /// A write, made and read back.
    Wrote {
        /// The database.
        db: DatabaseRef,
        /// The table that canaries go to.
        table: String,
        /// Which canary.
        #[serde(default)]
        key: String,
        /// The way that it came, if as clients come: it is in the database that they connect to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        way: Option<Box<super::action::ClientWay>>,
    },
    /// A server that is made a standby of another one.
    Rebuild {
        /// The server.
        db: DatabaseRef,
        /// Which job.
        #[serde(default)]
        key: String,
    },
    /// The backups that lead to the time of a restore.
    Backups(Box<Restore>),
    /// A part of a restore.
    Restore {
        /// The live server.
        db: DatabaseRef,
        /// Which part.
        part: Part,
        /// Which job.
        #[serde(default)]
        key: String,
        /// The copy of a managed one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<String>,
    },
    /// Whether the credentials of a place may do what a recovery does there.
    Granted {
        /// The place.
        place: Place,
        /// What that is.
        needs: Vec<Need>,
    },
    /// What the account of a place may have of databases, and has.
    Quotas {
        /// The place.
        place: Place,
    },
    /// A bucket, what is copied from it, and what is still to arrive.
    Bucket(BucketRef),
    /// The comparison of objects with their copies.
    Compared(Box<Sample>),
    /// A command that was started under a key.
    Command {
        /// The key.
        key: String,
        /// The command.
        command: super::action::Command,
    },
}

impl Target {
    /// The place whose service answers for it; commands run where drctl runs.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Database(db)
            | Self::Fence { db, .. }
            | Self::Alive { db, .. }
            | Self::Wrote { db, .. }
            | Self::Restore { db, .. }
            | Self::Rebuild { db, .. } => Some(&db.place),
            Self::Backups(of) => Some(&of.db.place),
            Self::Group(group) => Some(&group.place),
            Self::Bucket(of) => Some(&of.place),
            Self::Compared(of) => Some(&of.source.place),
            Self::HealthObject(object) => Some(&object.place),
            Self::Controls(of) => Some(&of.place),
            Self::Secret(of) => Some(&of.place),
            Self::Records { zone, .. } | Self::Change { zone, .. } => Some(&zone.place),
            Self::Identity { place }
            | Self::Guard { place, .. }
            | Self::Granted { place, .. }
            | Self::Quotas { place } => Some(place),
            Self::Command { .. } | Self::Answers { .. } => None,
        }
    }

    /// The service that answers for it.
    pub fn service(&self) -> &'static str {
        match self {
            Self::Database(db) if db.engine == Engine::Postgres => "sql",
            Self::Database(_) | Self::Alive { sign: Sign::Service, .. } => "rds",
            Self::Alive { sign: Sign::Server, .. } => "sql",
            Self::Group(_) => "autoscaling",
            Self::Records { .. } | Self::Change { .. } => "route53",
            Self::Identity { .. } => "sts",
            Self::Fence { method, .. } => method.service(),
            Self::Guard { .. } | Self::HealthObject(_) | Self::Bucket(_) | Self::Compared(_) => "s3",
            Self::Controls(_) => "route53-recovery-cluster",
            Self::Secret(_) => "secretsmanager",
            // Rows are read by whoever reads rows; instances are its service's.
            Self::Restore {
                part: Part::CreateCopy | Part::Swap | Part::Revert | Part::Destroy,
                copy: Some(_),
                ..
            } => "rds",
            Self::Backups(of) if of.db.engine == Engine::Rds => "rds",
            Self::Wrote { .. } | Self::Rebuild { .. } | Self::Backups(_) | Self::Restore { .. } => "sql",
            Self::Answers { .. } => "dns",
            Self::Granted { .. } => "iam",
            // Beside the databases, and not among them: one describe answers for those.
            Self::Quotas { .. } => "rds-quotas",
            Self::Command { .. } => "command",
        }
    }

    /// One describe answers every target with the same poll group: service, account and region.
    pub fn poll_group(&self) -> String {
        match self.place() {
            // Each takes several calls and maybe long: nothing that a recovery needs is asked for in one go with it.
            Some(_) if matches!(self, Self::Bucket(_) | Self::Compared(_)) => self.key(),
            // Nobody waits for another server's silence; one answer of a service is one for all that it runs in a region.
            Some(_) if matches!(self, Self::Alive { sign: Sign::Server, .. }) => self.key(),
            Some(p) if matches!(self, Self::Alive { .. }) => {
                format!("alive/{}/{}", p.account.as_deref().unwrap_or("-"), p.region)
            }
            Some(p) => format!("{}/{}/{}", self.service(), p.account.as_deref().unwrap_or("-"), p.region),
            None => self.service().to_owned(),
        }
    }

    /// The component it belongs to, if any.
    pub fn component(&self) -> Option<&ComponentName> {
        match self {
            Self::Database(db)
            | Self::Fence { db, .. }
            | Self::Alive { db, .. }
            | Self::Wrote { db, .. }
            | Self::Restore { db, .. }
            | Self::Rebuild { db, .. } => Some(&db.component),
            Self::Backups(of) => Some(&of.db.component),
            Self::Group(group) => Some(&group.component),
            Self::Bucket(of) => Some(&of.component),
            Self::Compared(of) => Some(&of.source.component),
            Self::HealthObject(object) => Some(&object.component),
            Self::Controls(of) => Some(&of.component),
            Self::Secret(of) => Some(&of.component),
            Self::Records { zone, .. } | Self::Change { zone, .. } => Some(&zone.component),
            Self::Guard { component, .. } => Some(component),
            Self::Identity { .. }
            | Self::Answers { .. }
            | Self::Granted { .. }
            | Self::Quotas { .. }
            | Self::Command { .. } => None,
        }
    }

    /// A stable key under which observations of it are stored.
    pub fn key(&self) -> String {
        match self {
            Self::Database(db) => format!("database/{}/{}", db.place.name, db.id),
            Self::Group(g) => format!("group/{}/{}", g.place.name, g.group),
            Self::Records { zone, .. } => {
                format!("records/{}/{}/{}", zone.place.name, zone.zone, zone.component)
            }
            Self::Change { zone, id } => format!("change/{}/{id}", zone.zone),
            Self::Identity { place } => format!("identity/{}", place.name),
            Self::Fence { db, method, .. } => format!("fence/{}/{}/{}", db.place.name, db.id, method.id()),
            Self::Alive { db, sign: Sign::Server } => format!("alive/{}/{}", db.place.name, db.id),
            Self::Alive { db, sign: Sign::Service } => format!("alive/{}", db.place.name),
            Self::Guard { component, .. } => format!("guard/{component}"),
            Self::HealthObject(object) => format!("signal/{}/{}", object.place.name, object.url),
            Self::Controls(of) => format!("controls/{}/{}", of.place.name, of.component),
            Self::Secret(of) => format!("secret/{}/{}/{}", of.place.name, of.component, of.id),
            // Two writes may be looked for together, and each is a row of its own.
            Self::Wrote { db, key, .. } => format!("wrote/{}/{}/{key}", db.place.name, db.id),
            Self::Rebuild { db, .. } => format!("rebuild/{}/{}", db.place.name, db.id),
            Self::Backups(of) => format!("backups/{}/{}", of.db.place.name, of.db.id),
            // Two parts may be looked at together, and each is a job of its own.
            Self::Restore { db, part, key, .. } => {
                format!("restore/{}/{}/{}/{key}", db.place.name, db.id, part.word())
            }
            Self::Answers { names } => {
                let text = serde_json::to_vec(names).unwrap_or_default();
                format!("answers/{}", &Digest::of(&text).as_str()[..16])
            }
            Self::Granted { place, .. } => format!("granted/{}", place.name),
            Self::Quotas { place } => format!("quotas/{}", place.name),
            // Components may share buckets, with prefixes of their own.
            Self::Bucket(of) => format!("bucket/{}/{}/{}", of.place.name, of.component, of.bucket),
            Self::Compared(of) => {
                let (from, to) = (&of.source, &of.copy);
                format!("compared/{}/{}/{}/{}", from.place.name, from.component, from.bucket, to.bucket)
            }
            Self::Command { key, .. } => format!("command/{key}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.key())
    }
}
