//! How runs are begun: what is recovered, restored or drilled, and what people accept for it.

use clap::{Args, ValueEnum};

use crate::app::drill::DrillOptions;
use crate::app::restore::Point;
use crate::app::start::{RunOptions, StartOptions};
use crate::app::waived::WaiverRequest;
use crate::model::intent::{Drill, Intent};
use crate::model::severity::Severity;

/// Acceptance of refusals.
#[derive(Args, Clone, Debug, Default)]
pub struct WaiveArgs {
    /// Accept a refusal: RULE or RULE:COMPONENT. Needs --reason
    #[arg(long, value_name = "RULE[:COMPONENT]")]
    pub waive: Vec<String>,
    /// The accepted loss of writes, for example 5m
    #[arg(long, value_name = "D")]
    pub accept_data_loss: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

impl WaiveArgs {
    /// As the application takes them.
    pub fn request(&self) -> WaiverRequest {
        let (waive, reason) = (self.waive.clone(), self.reason.clone());
        WaiverRequest { waive, accept_data_loss: self.accept_data_loss.clone(), reason }
    }
}

/// How a run is begun, whatever it is for.
#[derive(Args, Clone, Debug)]
pub struct HowArgs {
    /// Show what drctl would do and refuse, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask for confirmation. Never waives anything
    #[arg(long)]
    pub yes: bool,
    /// The severity, P0 (no service, or data at risk) to P3. If there are operators, it decides who must approve
    #[arg(long, value_name = "P0..P3")]
    pub severity: Option<Severity>,
    /// The incident ID
    #[arg(long, value_name = "ID")]
    pub incident: Option<String>,
    /// Take over guards from a dead run. Needs --reason
    #[arg(long)]
    pub take_over: bool,
    /// Refusals to accept.
    #[command(flatten)]
    pub waive: WaiveArgs,
}

/// For `failover`, `switchover`, `failback`, `reprotect`.
#[derive(Args, Debug)]
pub struct StartArgs {
    /// Plans, by name or file [default: those that are active in the source site]
    pub plans: Vec<String>,
    /// All plans of a tier
    #[arg(long, value_name = "TIER", conflicts_with = "plans")]
    pub tier: Option<String>,
    /// All plans
    #[arg(long, conflicts_with_all = ["plans", "tier"])]
    pub all: bool,
    /// The source site [default: where the application is active]
    #[arg(long, value_name = "SITE")]
    pub from: Option<String>,
    /// The site to recover to
    #[arg(long, value_name = "SITE", default_value = "", hide_default_value = true)]
    pub to: String,
    /// When the outage began, if probes did not see it; with a time zone, or for example "10m ago"
    #[arg(long, value_name = "TIME")]
    pub outage_began: Option<String>,
    /// How it is begun.
    #[command(flatten)]
    pub how: HowArgs,
}

/// A point in time that a database is brought to.
#[derive(Args, Clone, Debug, Default)]
pub struct PointArgs {
    /// The point in time. drctl keeps every transaction committed by then and no later one; with a time zone, or for example "15m ago"
    #[arg(long, value_name = "TIME")]
    pub to_time: Option<String>,
    /// A snapshot of a managed instance instead of a time
    #[arg(long, value_name = "NAME", conflicts_with_all = ["to_time", "timeline"])]
    pub snapshot: Option<String>,
    /// The timeline of the WAL, if it differs from that of the live server
    #[arg(long, value_name = "N")]
    pub timeline: Option<u32>,
}

impl HowArgs {
    /// As the application takes them.
    pub fn options(&self) -> RunOptions {
        RunOptions {
            dry_run: self.dry_run,
            yes: self.yes,
            severity: self.severity,
            incident: self.incident.clone(),
            take_over: self.take_over,
            waive: self.waive.request(),
        }
    }
}

impl StartArgs {
    /// As the application takes them.
    pub fn options(&self) -> StartOptions {
        StartOptions {
            plans: self.plans.clone(),
            tier: self.tier.clone(),
            all: self.all,
            from: self.from.clone(),
            to: self.to.clone(),
            how: self.how.options(),
        }
    }
}

impl PointArgs {
    /// As the application takes it.
    pub fn point(&self) -> Point {
        Point { to_time: self.to_time.clone(), snapshot: self.snapshot.clone(), timeline: self.timeline }
    }
}

impl DrillArgs {
    /// As the application takes them.
    pub fn options(&self) -> DrillOptions {
        DrillOptions {
            plan: self.plan.clone(),
            mode: self.mode.class(),
            to: self.to.clone(),
            scenario: self.scenario.clone(),
            hold: self.hold.clone(),
            component: self.component.clone(),
            point: self.point.point(),
            how: self.how.options(),
        }
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
    /// The site of the server to restore [default: the one that takes the writes]
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
    /// How far it goes: `tabletop` only shows the runbook, `rehearsal` simulates it from the observed state, `isolated` makes, checks
    /// and removes copies of the data, `live` moves users there and back
    #[arg(long, value_enum, default_value_t = DrillMode::Tabletop)]
    pub mode: DrillMode,
    /// The target site [default: the only possible one]
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

/// Intents on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum IntentArg {
    /// Unplanned.
    Failover,
    /// Planned.
    Switchover,
    /// Back home.
    Failback,
    /// A standby, and nothing moves.
    Reprotect,
}

impl IntentArg {
    /// As runs have it.
    pub const fn intent(self) -> Intent {
        match self {
            Self::Failover => Intent::Failover,
            Self::Switchover => Intent::Switchover,
            Self::Failback => Intent::Failback,
            Self::Reprotect => Intent::Reprotect,
        }
    }
}
