//! A plan as types. Values that lint points at keep their place in the file.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::aws::route53::{RecordAnswer, RecordPolicy, RecordSet};
use crate::kinds::shared::database::{Engine, Harmless, Host};
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::shared::restore::{Backups, Invariant};
use crate::model::document::Spanned;
use crate::model::finding::Span;
use crate::model::ids::{ComponentName, Digest, PlanName, SiteName};
use crate::model::objectives::Objectives;
use crate::model::place::Place;
use crate::model::policy::Change;
use crate::model::time::Dur;
use crate::record::control::Command;
use crate::record::runbook::{OnFailure, Phase, Probe};

/// One application's plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The file it was read from.
    pub file: String,
    /// The exact text.
    pub text: String,
    /// Digest of the text.
    pub digest: Digest,
    /// The application.
    pub name: PlanName,
    /// The team that answers for it.
    pub owner: Option<String>,
    /// Its recovery class.
    pub tier: Option<Spanned<String>>,
    /// What was promised.
    pub objectives: Objectives,
    /// Plans that are needed first.
    pub after: Vec<PlanName>,
    /// Where it can live.
    pub sites: BTreeMap<SiteName, Site>,
    /// What belongs to no site.
    pub connections: BTreeMap<String, Place>,
    /// The site that failback goes to.
    pub home: Spanned<SiteName>,
    /// What is recovered.
    pub components: BTreeMap<ComponentName, Component>,
    /// Every name under `components:`, those that could not be built included.
    pub declared: BTreeSet<ComponentName>,
    /// How it is known to work.
    pub probes: Vec<Spanned<Probe>>,
    /// Stores that are promoted together or not at all.
    pub groups: BTreeMap<String, Vec<Spanned<ComponentName>>>,
    /// Approvals.
    pub gates: BTreeMap<String, GateSpec>,
    /// How long a recovery is watched.
    pub watch: Option<Dur>,
    /// Commands before or after a phase.
    pub hooks: Vec<Hook>,
}

/// Where the application can live.
#[derive(Clone, Debug)]
pub struct Site {
    /// How it is reached.
    pub place: Place,
    /// False: never a target.
    pub recovery: bool,
    /// Where it is declared.
    pub span: Span,
}

/// Something that is recovered.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its name.
    pub name: ComponentName,
    /// Where it is declared.
    pub span: Span,
    /// What it cannot serve without.
    pub needs: Vec<Spanned<ComponentName>>,
    /// Objectives that differ from the plan's.
    pub objectives: Option<Objectives>,
    /// What it is.
    pub spec: Spec,
}

impl Component {
    /// The kind as plans write it.
    pub fn kind(&self) -> &'static str {
        match self.spec {
            Spec::Database(Database { engine: Engine::Postgres, .. }) => "postgres",
            Spec::Database(Database { engine: Engine::Aurora, .. }) => "aws.aurora_global",
            Spec::Database(_) => "aws.rds",
            Spec::Autoscaling(_) => "aws.autoscaling",
            Spec::Route53(_) => "aws.route53",
            Spec::Clients(_) => "clients",
            Spec::Buckets(_) => "aws.s3",
            Spec::External(_) => "external",
        }
    }

    /// Whether it holds writes.
    pub const fn is_store(&self) -> bool {
        matches!(self.spec, Spec::Database(_))
    }

    /// The sites that it names.
    pub fn sites(&self) -> BTreeSet<SiteName> {
        match &self.spec {
            Spec::Database(spec) => spec.at.keys().cloned().collect(),
            Spec::Autoscaling(group) => group.at.keys().cloned().collect(),
            Spec::Route53(zone) => zone.records.iter().flat_map(|r| r.at.keys().cloned()).collect(),
            Spec::Clients(clients) => clients.at.keys().cloned().collect(),
            Spec::Buckets(buckets) => buckets.at.keys().cloned().collect(),
            Spec::External(_) => BTreeSet::new(),
        }
    }
}

/// What a component is.
#[derive(Clone, Debug)]
pub enum Spec {
    /// A database with a replica in another site.
    Database(Database),
    /// An Auto Scaling group in each site.
    Autoscaling(Autoscaling),
    /// Record sets of one zone.
    Route53(Route53),
    /// Those who connect to a database, and how they find it.
    Clients(Clients),
    /// A bucket in each site, copied by S3 itself.
    Buckets(Buckets),
    /// Declared and shown, not recovered: what recovers it, for people.
    External(Option<String>),
}

/// A bucket in each site, copied by S3 itself.
#[derive(Clone, Debug)]
pub struct Buckets {
    /// The name of each site's bucket.
    pub at: BTreeMap<SiteName, Spanned<String>>,
    /// What begins so is meant; everything if empty.
    pub prefix: String,
    /// How many objects are compared with their copies.
    pub sample: u32,
}

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

/// A value that is not written in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// Written in the plan after all.
    Literal,
    /// `scheme:ref`.
    Ref(String),
    /// The endpoint of another component.
    EndpointOf(String),
}

/// An Auto Scaling group in each site.
#[derive(Clone, Debug)]
pub struct Autoscaling {
    /// The group in each site.
    pub at: BTreeMap<SiteName, GroupAt>,
}

/// The group in one site.
#[derive(Clone, Debug)]
pub struct GroupAt {
    /// Its name.
    pub group: String,
    /// Share of the source's in-service capacity.
    pub capacity_percent: u32,
    /// Never fewer.
    pub capacity_floor: Option<u32>,
    /// Share of the target that is enough to continue.
    pub proceed_percent: u32,
    /// How long it may take.
    pub timeout: Option<Dur>,
}

/// Record sets of one zone.
#[derive(Clone, Debug)]
pub struct Route53 {
    /// The connection that the zone is reached by.
    pub via: Spanned<String>,
    /// Hosted zone id.
    pub zone: String,
    /// The record sets.
    pub records: Vec<Record>,
    /// How traffic is moved.
    pub switch: SwitchBy,
}

/// How traffic is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchBy {
    /// Record sets are changed.
    Record,
    /// An object is written that health checks watch, which exist beforehand.
    Object(Spanned<SwitchObject>),
    /// Routing controls are turned, which health checks are as.
    Controls(Spanned<SwitchControls>),
}

/// Routing controls of an ARC cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchControls {
    /// The cluster's endpoints by region.
    pub endpoints: BTreeMap<String, String>,
    /// The ARN of each site's control.
    pub controls: BTreeMap<SiteName, String>,
}

/// An object that sends users to its site for as long as it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchObject {
    /// `s3://bucket/key`.
    pub url: String,
    /// The site that it is in, and sends users to.
    pub site: SiteName,
}

/// One name with its answers.
#[derive(Clone, Debug)]
pub struct Record {
    /// Fully qualified, without the final dot.
    pub name: String,
    /// `A` and so on.
    pub rtype: String,
    /// Time to live; none for aliases.
    pub ttl: Option<Spanned<Dur>>,
    /// How resolvers choose.
    pub policy: Policy,
    /// True if it needs no database.
    pub is_static: bool,
    /// Where it is declared.
    pub span: Span,
    /// The answer of each site.
    pub at: BTreeMap<SiteName, RecordAt>,
}

/// The routing policy of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// One answer.
    Simple,
    /// By weight.
    Weighted,
    /// Primary and secondary.
    Failover,
}

/// A name's answer for one site.
#[derive(Clone, Debug)]
pub struct RecordAt {
    /// Set identifier.
    pub set: Option<String>,
    /// The answer.
    pub answer: RecordAnswer,
    /// The weight in the normal state.
    pub weight: u8,
    /// Primary in the normal state.
    pub primary: bool,
    /// Route 53 health check.
    pub health_check: Option<String>,
}

impl Record {
    /// The sets as they should be while `active` serves: the weights and roles of the normal state, or the same turned towards `active`.
    pub fn sets_when_active(&self, active: &SiteName, home: &SiteName) -> Vec<RecordSet> {
        let set = |at: &RecordAt, policy: RecordPolicy| RecordSet {
            name: self.name.clone(),
            rtype: self.rtype.clone(),
            set_identifier: at.set.clone(),
            policy,
            answer: at.answer.clone(),
            health_check: at.health_check.clone(),
        };
        match self.policy {
            Policy::Simple => {
                self.at.get(active).map(|at| set(at, RecordPolicy::Simple)).into_iter().collect()
            }
            Policy::Weighted => self
                .at
                .iter()
                .map(|(site, at)| {
                    set(at, RecordPolicy::Weighted { weight: self.weight(site, at, active, home) })
                })
                .collect(),
            Policy::Failover => self
                .at
                .iter()
                .map(|(site, at)| set(at, RecordPolicy::Failover { primary: site == active }))
                .collect(),
        }
    }

    fn weight(&self, site: &SiteName, at: &RecordAt, active: &SiteName, home: &SiteName) -> u8 {
        if active == home {
            return at.weight;
        }
        // Away from home all traffic goes to the active site, with the weight that home has in the normal state.
        let home_weight = self.at.get(home).map_or(100, |h| h.weight);
        if site == active { home_weight.max(1) } else { 0 }
    }
}

/// Those who connect to a database, and how they find it.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The database.
    pub of: Spanned<ComponentName>,
    /// The field of their secret with the server's name.
    pub host: String,
    /// The field with its port; none where they do not read one.
    pub port: Option<String>,
    /// Those of each site.
    pub at: BTreeMap<SiteName, ClientsAt>,
    /// The table that a row of theirs is written to.
    pub canary_table: Option<String>,
    /// Where they connect to, if that is not in the secret: `host:port/database`.
    pub endpoint: Option<String>,
    /// Their login, if that is not in the secret.
    pub login: Option<Spanned<SecretRef>>,
}

/// Clients in one site.
#[derive(Clone, Debug)]
pub struct ClientsAt {
    /// The secret that they read.
    pub secret: Option<String>,
    /// What leads them to the database of this site.
    pub switch: Option<Task>,
    /// What makes them read it again, in this order.
    pub restart: Vec<Task>,
}

/// A command of the plan's author, and how long it may take.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name, or its number among several.
    pub name: String,
    /// What runs.
    pub command: Command,
    /// How long it may take.
    pub timeout: Dur,
}

/// An approval at a phase.
#[derive(Clone, Debug)]
pub struct GateSpec {
    /// The phase that waits.
    pub phase: Phase,
    /// What is asked.
    pub ask: String,
    /// How long the question stands.
    pub expires_after: Dur,
    /// Roles that have to say yes, each by a person of its own.
    pub by: Vec<Spanned<String>>,
}

/// A command before or after a phase.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// True for `after`.
    pub after: bool,
    /// The phase.
    pub phase: Phase,
    /// The component whose part of the phase is meant.
    pub component: Option<ComponentName>,
    /// What runs.
    pub command: Command,
    /// How long it may take.
    pub timeout: Dur,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// What kind of change it makes, where people have to agree to that.
    pub change: Option<Change>,
    /// Whether it says so: `change: none` changes nothing, and without the key it is unknown.
    pub says: bool,
    /// Where it is declared.
    pub span: Span,
}
