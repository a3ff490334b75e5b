//! What can be observed and changed. A target identifies one thing at one place, completely.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::autoscaling::group::GroupRef;
use crate::kinds::aws::ecs::service::ServiceRef;
use crate::kinds::shared::buckets::{BucketRef, Sample};
use crate::kinds::shared::database::server::{DatabaseRef, Sign};
use crate::kinds::shared::fence::method::FenceMethod;
use crate::kinds::shared::names::controls::ControlsRef;
use crate::kinds::shared::names::health_object::ObjectRef;
use crate::kinds::shared::names::records::ZoneRef;
use crate::kinds::shared::restart::Restart;
use crate::kinds::shared::restore::copy::{Restore, RestoreJob};
use crate::kinds::shared::secret::login::ClientSecret;
use crate::kinds::targeted::{AnsweredBy, Identity, Polled, Targeted};
use crate::model::ids::{ComponentName, Digest};
use crate::model::place::Place;
use crate::model::provider::ProviderName;
use crate::model::readiness::Need;
use crate::model::time::Dur;

/// Something to observe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Target {
    /// A database server.
    Database(DatabaseRef),
    /// A group of instances.
    Group(GroupRef),
    /// A service of Amazon ECS.
    Service(ServiceRef),
    /// The task definition of a service, and its images.
    Task(ServiceRef),
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
    /// The endpoint in a client's secret.
    Secret(ClientSecret),
    /// The answers of name servers and resolvers.
    Answers {
        /// The names.
        names: Vec<crate::kinds::shared::names::answers::Wanted>,
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
        /// The method to prove.
        method: FenceMethod,
        /// The restart that the fence requested. The proof must be newer.
        #[serde(default)]
        restart: Restart,
    },
    /// The guard object of a component.
    Guard {
        /// The component.
        component: ComponentName,
        /// The location of the guard.
        place: Place,
    },
    /// Whether anything answers at a database server. Needs no login, and asks nothing that could block.
    Alive {
        /// The database.
        db: DatabaseRef,
        /// What may answer.
        sign: Sign,
    },
    /// A row that was written, and is read back.
    Wrote {
        /// The database.
        db: DatabaseRef,
        /// The table of canary rows.
        table: String,
        /// The key of the row.
        #[serde(default)]
        key: String,
        /// The connection over which it was written, if it was that of clients: the row is in the database that they connect to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        way: Option<Box<crate::kinds::shared::secret::login::ClientWay>>,
    },
    /// A server that is being made a standby of another one.
    Rebuild {
        /// The server.
        db: DatabaseRef,
        /// The key of the job.
        #[serde(default)]
        key: String,
    },
    /// The backups from which the time of a restore can be reached.
    Backups(Box<Restore>),
    /// A part of a restore.
    Restore {
        /// The live server.
        db: DatabaseRef,
        /// The part.
        part: RestoreJob,
        /// The key of the job.
        #[serde(default)]
        key: String,
        /// The copy of a managed instance.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<String>,
    },
    /// Whether the credentials of a place have the permissions for a recovery.
    Granted {
        /// The place.
        place: Place,
        /// These permissions.
        needs: Vec<Need>,
    },
    /// The database quotas of a place's account, and their use.
    Quotas {
        /// The place.
        place: Place,
    },
    /// A bucket, its replication rules, and the pending replication to it.
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
    /// The proof of a fence on a database.
    pub fn fence(db: &DatabaseRef, method: FenceMethod) -> Self {
        Self::Fence { db: db.clone(), method, restart: Restart::NONE }
    }

    /// What its kind decides about it.
    #[deny(clippy::wildcard_enum_match_arm)]
    fn targeted(&self) -> Targeted<'_> {
        match self {
            Self::Database(db) => db.targeted(),
            Self::Group(group) => group.targeted(),
            Self::Service(service) => service.targeted(),
            Self::Task(service) => service.task_targeted(),
            Self::Records { zone, .. } => zone.records_targeted(),
            Self::Fence { method, .. } => method.targeted(),
            Self::Alive { sign, .. } => sign.targeted(),
            Self::Bucket(of) => of.targeted(),
            Self::Compared(of) => of.targeted(),
            Self::Change { .. }
            | Self::HealthObject(_)
            | Self::Controls(_)
            | Self::Secret(_)
            | Self::Answers { .. }
            | Self::Identity { .. }
            | Self::Guard { .. }
            | Self::Wrote { .. }
            | Self::Rebuild { .. }
            | Self::Backups(_)
            | Self::Restore { .. }
            | Self::Granted { .. }
            | Self::Quotas { .. }
            | Self::Command { .. } => Targeted::ONLY_LOOKED_AT,
        }
    }

    /// Whether its state is kept as evidence before anything changes.
    pub fn is_evidence(&self) -> bool {
        self.targeted().is_evidence
    }

    /// Whether a rehearsal begins with what was observed of it.
    pub fn seeds_rehearsal(&self) -> bool {
        self.targeted().seeds_rehearsal
    }

    /// How long drctl waits before it observes it again: at first, and at most.
    pub const fn pace(&self) -> (Dur, Dur) {
        let (first, most) = match self {
            Self::Records { .. } => (1_000, 5_000),
            Self::Database(_)
            | Self::Fence { .. }
            | Self::Group(_)
            | Self::Service(_)
            | Self::Rebuild { .. }
            | Self::Backups(_)
            | Self::Restore { .. } => (1_000, 10_000),
            Self::Change { .. } => (1_000, 30_000),
            // Route 53's servers and health checkers change in steps of ten seconds, so asking more often does not help.
            Self::Answers { .. } => (2_000, 5_000),
            Self::Wrote { .. }
            | Self::Guard { .. }
            | Self::Alive { .. }
            | Self::HealthObject(_)
            | Self::Controls(_)
            | Self::Secret(_)
            | Self::Identity { .. }
            | Self::Granted { .. }
            | Self::Quotas { .. } => (500, 5_000),
            // Each observation makes several calls.
            Self::Bucket(_) | Self::Compared(_) | Self::Task(_) => (2_000, 15_000),
            Self::Command { .. } => (200, 2_000),
        };
        (Dur(first), Dur(most))
    }

    /// How long drctl waits for an answer about it.
    pub fn answers_within(&self) -> Dur {
        self.targeted().answers_within
    }

    /// The targets that can show whether a database server is alive.
    pub fn signs_of(db: &DatabaseRef) -> Vec<Self> {
        let server = db.endpoint.is_some().then_some(Sign::Server);
        let service = db.engine.is_managed().then_some(Sign::Service);
        server.into_iter().chain(service).map(|sign| Self::Alive { db: db.clone(), sign }).collect()
    }

    /// The place whose service answers for it; `None` for commands, which run where drctl runs.
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
            Self::Service(service) | Self::Task(service) => Some(&service.place),
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

    /// The provider that observes it. Operations whose completion it shows are carried out by the same provider.
    pub const fn provider(&self) -> ProviderName {
        self.reached().0
    }

    /// Who answers for it.
    pub const fn answered_by(&self) -> AnsweredBy {
        self.reached().2
    }

    /// The service that answers for it.
    pub const fn service(&self) -> &'static str {
        self.reached().1
    }

    /// The provider and the service that observe it, and who answers.
    #[deny(clippy::wildcard_enum_match_arm)]
    const fn reached(&self) -> (ProviderName, &'static str, AnsweredBy) {
        use AnsweredBy::{ControlPlane, Itself};
        use ProviderName as P;
        let (sql, rds) = ((P::Postgres, "sql", Itself), (P::Aws, "rds", ControlPlane));
        match self {
            Self::Database(db) => match db.engine.is_managed() {
                true => rds,
                false => sql,
            },
            Self::Alive { sign: Sign::Service, .. } => rds,
            Self::Alive { sign: Sign::Server, .. } => sql,
            Self::Fence { method, .. } => match method.provider() {
                P::Postgres => sql,
                P::Aws | P::Dns | P::Local => rds,
            },
            Self::Restore { copy: None, .. } => sql,
            // SQL reads rows; the service reports instances.
            Self::Restore { part, copy: Some(_), .. } => match part {
                RestoreJob::CreateCopy | RestoreJob::Swap | RestoreJob::Revert | RestoreJob::Destroy => rds,
                RestoreJob::Verify | RestoreJob::Loss => sql,
            },
            Self::Backups(of) => match of.db.engine.has_service_backups() {
                true => rds,
                false => sql,
            },
            Self::Wrote { .. } | Self::Rebuild { .. } => sql,
            Self::Group(_) => (P::Aws, "autoscaling", ControlPlane),
            Self::Service(_) | Self::Task(_) => (P::Aws, "ecs", ControlPlane),
            Self::Records { .. } | Self::Change { .. } => (P::Aws, "route53", ControlPlane),
            Self::Identity { .. } => (P::Aws, "sts", ControlPlane),
            Self::Guard { .. } | Self::HealthObject(_) | Self::Bucket(_) | Self::Compared(_) => {
                (P::Aws, "s3", ControlPlane)
            }
            Self::Controls(_) => (P::Aws, "route53-recovery-cluster", ControlPlane),
            Self::Secret(_) => (P::Aws, "secretsmanager", ControlPlane),
            Self::Granted { .. } => (P::Aws, "iam", ControlPlane),
            // Not in the poll group of the databases, because one describe call covers those.
            Self::Quotas { .. } => (P::Aws, "rds-quotas", ControlPlane),
            Self::Answers { .. } => (P::Dns, "dns", Itself),
            Self::Command { .. } => (P::Local, "command", Itself),
        }
    }

    /// The poll group: all targets of a group are observed together, most by one describe call for a service, account and region.
    pub fn poll_group(&self) -> String {
        let Some(place) = self.place() else { return self.service().to_owned() };
        let name = match self.targeted().polled {
            Polled::Alone => return self.key(),
            Polled::Under(name) => name,
            Polled::WithItsService => self.service(),
        };
        format!("{name}/{}/{}", place.account.as_deref().unwrap_or("-"), place.region)
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
            Self::Service(service) | Self::Task(service) => Some(&service.component),
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

    /// The database above the sites that it is a member of.
    pub fn member_of(&self) -> Option<&str> {
        match self.targeted().identity {
            Identity::MemberOf(global) => Some(global),
            Identity::None | Identity::Named(_) | Identity::Within(_) | Identity::At(_) => None,
        }
    }

    /// Which server, group or service it is, whatever a plan calls its site; `None` for anything else. All members of a global database
    /// are one, because they move together.
    pub fn identity(&self) -> Option<String> {
        let Place { region, account, .. } = self.place()?;
        let service = self.service();
        match self.targeted().identity {
            Identity::None => None,
            Identity::MemberOf(global) => Some(format!("{service} global {global} of {account:?}")),
            Identity::Named(name) => Some(format!("{service} {name} in {region} {account:?}")),
            Identity::Within(name) => Some(format!("{name} in {region} {account:?}")),
            Identity::At(address) => Some(address),
        }
    }

    /// A stable key for storing observations of it.
    pub fn key(&self) -> String {
        match self {
            Self::Database(db) => format!("database/{}/{}", db.place.name, db.id),
            Self::Group(g) => format!("group/{}/{}", g.place.name, g.group),
            Self::Service(of) => format!("service/{}/{of}", of.place.name),
            Self::Task(of) => format!("task/{}/{of}", of.place.name),
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
            // Several rows may be awaited at the same time.
            Self::Wrote { db, key, .. } => format!("wrote/{}/{}/{key}", db.place.name, db.id),
            Self::Rebuild { db, .. } => format!("rebuild/{}/{}", db.place.name, db.id),
            Self::Backups(of) => format!("backups/{}/{}", of.db.place.name, of.db.id),
            // Several parts may be observed at the same time, each a job of its own.
            Self::Restore { db, part, key, .. } => {
                format!("restore/{}/{}/{}/{key}", db.place.name, db.id, part.word())
            }
            Self::Answers { names } => {
                let text = serde_json::to_vec(names).unwrap_or_default();
                format!("answers/{}", &Digest::of_bytes(&text).as_str()[..16])
            }
            Self::Granted { place, .. } => format!("granted/{}", place.name),
            Self::Quotas { place } => format!("quotas/{}", place.name),
            // Several components may share a bucket, with different prefixes.
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
