//! What is true of a database because of who runs it. Each kind of database states it in its own folder.

use crate::kinds::operation::Operation;
use crate::kinds::shared::database::certificates::OwnCas;
use crate::kinds::shared::database::cluster::NewMember;
use crate::kinds::shared::database::instance::InstanceSettings;
use crate::kinds::shared::database::server::{DatabaseRef, DatabaseState};
use crate::kinds::shared::rejoin::NewReplica;
use crate::kinds::shared::restore::copy::{Backups, Source};
use crate::model::waiver::Rule;

/// What the engine asks of who runs a database.
///
/// No method has a default, so that nobody adds a kind of database without deciding each of them.
pub trait Operator: Sync {
    /// How a former writer becomes a standby.
    fn standby_by(&self) -> StandbyBy;

    /// Whether a planned move is a handover: the service stops writes itself, and moves the writer only if nothing is missing.
    fn hands_over(&self) -> bool;

    /// What shows which server a replica replicates.
    fn source_by(&self) -> SourceBy;

    /// The service whose API is called about it, and where that is; none if nobody's is.
    fn api(&self) -> Option<(&'static str, &'static str)>;

    /// Whether a server with this status serves.
    fn serves(&self, status: &str) -> bool;

    /// The CAs that sign the certificates of its servers, if no operating system includes them.
    fn own_cas(&self) -> Option<&'static OwnCas>;

    /// What a person without drctl sees once a server is the writer.
    fn promoted_when(&self) -> &'static str;

    /// How a person withdraws a promotion that was requested of this server; `None` if nobody can.
    fn withdrawal(&self, id: &str) -> Option<String>;

    /// The operation that frees a server's name and keeps its data; `None` if a standby is made without it.
    fn set_aside(&self, db: &DatabaseRef, to: &str) -> Option<Operation>;

    /// The operation that creates an instance; `None` if its servers have none.
    fn add_instance(&self, db: &DatabaseRef, instance: NewMember) -> Option<Operation>;

    /// The replica to create, with a note for the reader if there is one; `None` if a standby is made in another way.
    ///
    /// # Errors
    /// Why it cannot be created.
    fn replica(&self, of: &ReplicaOf<'_>) -> Result<Option<(NewReplica, Option<String>)>, Unmet>;

    /// Known problems if a replica becomes the writer, a note each.
    ///
    /// # Errors
    /// Why it cannot become the writer.
    fn can_take_over(&self, of: &Successor<'_>) -> Result<Vec<String>, Unmet>;

    /// The refusal for a server that cannot become a standby.
    fn no_standby(&self, db: &DatabaseRef, lacks: &Lacks) -> Unmet;

    /// Where a copy of it gets its data.
    ///
    /// # Errors
    /// What the plan or the request lacks.
    fn copied_from(&self, asked: &CopyOf<'_>) -> Result<Source, Unmet>;

    /// What a person does if its backups could not be read.
    fn backups_unread(&self) -> &'static str;

    /// Whether a copy with these settings can be created.
    ///
    /// # Errors
    /// Why it cannot.
    fn may_copy(&self, db: &DatabaseRef, like: &InstanceSettings) -> Result<(), Unmet>;
}

/// The status of an intact cluster without an instance that serves. Calls wait until it has one.
pub const HEADLESS: &str = "no-instance";

/// How a former writer becomes a standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandbyBy {
    /// By a job on its host. The server stays the same one.
    Job,
    /// A new replica gets its name. The former writer is renamed.
    Replica,
    /// The service does it, but only for a writer that it replaced itself. It reports a replica before the server has become one.
    Service,
}

/// What shows which server a replica replicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceBy {
    /// The system identifier that all physical replicas share.
    Lineage,
    /// The name of the source, from the service.
    Name,
}

/// What the status of a server means for those who connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// It serves.
    Yes,
    /// It does not serve now.
    NotNow,
    /// It has the data, but no instance that could serve.
    NoInstance,
}

/// Something that a request needs and that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The rule.
    pub rule: Rule,
    /// What was observed.
    pub facts: String,
    /// What would make it acceptable.
    pub what: String,
}

impl Unmet {
    /// The request needs what the plan, or the provider, does not have.
    pub fn new(rule: Rule, facts: impl Into<String>, what: impl Into<String>) -> Self {
        Self { rule, facts: facts.into(), what: what.into() }
    }
}

/// What a server lacks that is to become a standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lacks {
    /// Its state, and why that is not known.
    State(String),
    /// The security groups that let clients in.
    Groups,
    /// A way to act on its host.
    Host,
}

/// The replica that takes the place of a former writer.
#[derive(Clone, Debug)]
pub struct ReplicaOf<'a> {
    /// The former writer.
    pub db: &'a DatabaseRef,
    /// Its settings.
    pub like: &'a InstanceSettings,
    /// The server that the replica will follow.
    pub source: &'a DatabaseRef,
    /// The settings of that server, if they are known.
    pub source_like: Option<&'a InstanceSettings>,
    /// Whether the same run promotes that server, which turns on its backups.
    pub promoted: bool,
    /// The security groups that let clients in.
    pub groups: Vec<String>,
}

/// A replica that is to become the writer.
#[derive(Clone, Copy, Debug)]
pub struct Successor<'a> {
    /// The replica.
    pub db: &'a DatabaseRef,
    /// Its state, if it is known.
    pub seen: Option<&'a DatabaseState>,
    /// The state of the writer, if it is known.
    pub writer: Option<&'a DatabaseState>,
    /// Whether a fence keeps clients out, and the groups that would let them in are unknown.
    pub shut_for_good: bool,
}

/// The request for a copy.
#[derive(Clone, Copy, Debug)]
pub struct CopyOf<'a> {
    /// The live server.
    pub db: &'a DatabaseRef,
    /// How its backups are reached, if the plan says so.
    pub backups: Option<&'a Backups>,
    /// Whether a person chose a snapshot.
    pub snapshot: bool,
    /// Whether a person chose a timeline.
    pub timeline: bool,
}
