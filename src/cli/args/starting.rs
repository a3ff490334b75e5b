//! How runs are begun: what is recovered, restored or drilled, and what people accept for it.

use clap::{Args, ValueEnum};

use crate::model::policy::Severity;
use crate::model::runbook::Drill;

/// Acceptance of refusals.
#[derive(Args, Clone, Debug, Default)]
pub struct WaiveArgs {
    /// Accept a refusal: RULE or RULE:COMPONENT. Needs --reason
    #[arg(long, value_name = "RULE[:COMPONENT]")]
    pub waive: Vec<String>,
    /// The loss of writes that is accepted with it, for example 5m
    #[arg(long, value_name = "D")]
    pub accept_data_loss: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// How a run is begun, whatever it is for.
#[derive(Args, Clone, Debug)]
pub struct HowArgs {
    /// Show what would be done, and what would be refused, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask for the name of what is recovered. Never waives anything
    #[arg(long)]
    pub yes: bool,
    /// How bad it is: P0 (no service, or data at risk) to P3. Decides who has to approve it, where there are operators
    #[arg(long, value_name = "P0..P3")]
    pub severity: Option<Severity>,
    /// The incident it belongs to
    #[arg(long, value_name = "ID")]
    pub incident: Option<String>,
    /// Take guards over from a run that is dead. Needs --reason
    #[arg(long)]
    pub take_over: bool,
    /// Refusals to accept.
    #[command(flatten)]
    pub waive: WaiveArgs,
}

/// For `failover`, `switchover`, `failback`, `reprotect`.
#[derive(Args, Debug)]
pub struct StartArgs {
    /// Plans, by name or file [default: those whose active site is the one that is left]
    pub plans: Vec<String>,
    /// All plans of a tier
    #[arg(long, value_name = "TIER", conflicts_with = "plans")]
    pub tier: Option<String>,
    /// All plans
    #[arg(long, conflicts_with_all = ["plans", "tier"])]
    pub all: bool,
    /// The site that is left [default: where the application is active]
    #[arg(long, value_name = "SITE")]
    pub from: Option<String>,
    /// The site that is recovered to; of `reprotect` the one whose servers are made standbys; of `failback` [default: the plan's home]
    #[arg(long, value_name = "SITE", default_value = "", hide_default_value = true)]
    pub to: String,
    /// When users began to fail, where probes did not see it; with a zone, or such as "10m ago"
    #[arg(long, value_name = "TIME")]
    pub outage_began: Option<String>,
    /// How it is begun.
    #[command(flatten)]
    pub how: HowArgs,
}

/// A point in time that a database is brought to.
#[derive(Args, Clone, Debug, Default)]
pub struct PointArgs {
    /// Every transaction that was committed by then is kept, and no later one; with a zone, or such as "15m ago"
    #[arg(long, value_name = "TIME")]
    pub to_time: Option<String>,
    /// A snapshot instead of a time, of a managed instance
    #[arg(long, value_name = "NAME", conflicts_with_all = ["to_time", "timeline"])]
    pub snapshot: Option<String>,
    /// The timeline of the log, where it is not that of the live server
    #[arg(long, value_name = "N")]
    pub timeline: Option<u32>,
}

impl StartArgs {
    /// Of one plan.
    pub fn one(plan: &str, from: Option<String>, to: String, how: &HowArgs) -> Self {
        let plans = vec![plan.to_owned()];
        Self { plans, tier: None, all: false, from, to, outage_began: None, how: how.clone() }
    }
}

/// For `restore`.
#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// The plan, by name or file
    pub plan: String,
    /// The database
    #[arg(long, value_name = "COMPONENT")]
    pub component: String,
    /// The site whose server is restored [default: the one that takes the writes]
    #[arg(long, value_name = "SITE")]
    pub site: Option<String>,
    /// To when.
    #[command(flatten)]
    pub point: PointArgs,
    /// How it is begun.
    #[command(flatten)]
    pub how: HowArgs,
}

/// For `drill`.
#[derive(Args, Debug)]
pub struct DrillArgs {
    /// The plan, by name or file
    pub plan: String,
    /// How far it goes: `tabletop` only reads the runbook, `rehearsal` runs it in a sandbox that begins as everything is observed,
    /// `isolated` makes, checks and removes copies of the data, `live` really moves, and back
    #[arg(long, value_enum, default_value_t = DrillMode::Tabletop)]
    pub mode: DrillMode,
    /// The site that is tried [default: the only one to which the application could be recovered]
    #[arg(long, value_name = "SITE")]
    pub to: Option<String>,
    /// What goes wrong in a rehearsal [default: region-lost]
    #[arg(long, value_name = "SCENARIO")]
    pub scenario: Option<String>,
    /// How long a live drill stays there, for example 30m [default: the plan's `watch:`]
    #[arg(long, value_name = "D")]
    pub hold: Option<String>,
    /// The database of an isolated drill [default: each]
    #[arg(long, value_name = "COMPONENT")]
    pub component: Option<String>,
    /// The point in time of an isolated drill; a random one if absent.
    #[command(flatten)]
    pub point: PointArgs,
    /// How it is begun.
    #[command(flatten)]
    pub how: HowArgs,
}

/// How far a drill goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DrillMode {
    /// The runbook is read.
    Tabletop,
    /// It runs in a sandbox.
    Rehearsal,
    /// Copies are made.
    Isolated,
    /// Production moves.
    Live,
}

impl DrillMode {
    /// As runs have it.
    pub const fn class(self) -> Drill {
        match self {
            Self::Tabletop => Drill::Tabletop,
            Self::Rehearsal => Drill::Rehearsal,
            Self::Isolated => Drill::Isolated,
            Self::Live => Drill::Live,
        }
    }
}
