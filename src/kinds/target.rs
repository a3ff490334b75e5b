//! What can be looked at and acted on. A target names one thing at one place, completely.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::autoscaling::GroupRef;
use crate::kinds::aws::route53::{ControlsRef, ObjectRef, ZoneRef};
use crate::kinds::aws::s3::{BucketRef, Sample};
use crate::kinds::shared::database::{DatabaseRef, Engine, Sign};
use crate::kinds::shared::restore::{Part, Restore};
use crate::kinds::shared::secret::ClientSecret;
use crate::model::ids::{ComponentName, Digest};
use crate::model::place::Place;
use crate::model::readiness::Need;

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
        names: Vec<crate::kinds::aws::route53::Wanted>,
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
        method: crate::kinds::shared::fence::FenceMethod,
        /// The restart that the fence asked for: what the proof must be newer than.
        #[serde(default)]
        restart: crate::kinds::shared::restart::Restart,
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
        way: Option<Box<crate::kinds::shared::secret::ClientWay>>,
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
        command: crate::kinds::shared::command::Command,
    },
}

impl Target {
    /// The signs of life of a database server that can be looked for.
    pub fn signs_of(db: &DatabaseRef) -> Vec<Self> {
        let server = db.endpoint.is_some().then_some(Sign::Server);
        let service = (db.engine != Engine::Postgres).then_some(Sign::Service);
        server.into_iter().chain(service).map(|sign| Self::Alive { db: db.clone(), sign }).collect()
    }

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
