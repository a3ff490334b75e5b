//! What can be typed. Doc comments here are the help texts.

pub mod offer;
mod proving;
mod reporting;
mod serving;
mod starting;
mod steering;
mod telling;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::formats::{Format, LogFormat};
use super::terminal;
use crate::app::context::Options;
use crate::app::older::Older;
pub use proving::{AuditArgs, AuditCommand, AuditFormat, EvidenceArgs, EvidenceCommand};
pub use reporting::{
    ComplianceArgs, ComplianceFormat, DocumentFormat, DocumentKind, ReportArgs, ReportCommand, ReportFormat,
};
pub use serving::{SERVE_HELP, ServeArgs};
pub use starting::{DrillArgs, DrillMode, HowArgs, IntentArg, PointArgs, RestoreArgs, StartArgs, WaiveArgs};
pub use steering::{AnswerArgs, ApproveArgs, RunsArgs, RunsCommand, Yes};
pub use telling::{AckArgs, DutiesArgs, DutiesCommand, NOTIFY_HELP, NotifyArgs, NotifyCommand};

use crate::model::severity::Severity;

/// Disaster recovery for applications in two or more cloud regions.
///
/// Declare what you run, where it runs and what you promised. drctl plans the recovery, runs it safely and measures the result.
#[derive(Debug, Parser)]
#[command(name = "drctl", version, max_term_width = 110, after_help = EXAMPLES)]
pub struct Cli {
    /// What holds for every verb.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  drctl failover --sandbox --to us-east-1 --yes    rehearse the loss of a region, offline, in one second
  drctl check                                      find all errors in your plans
  drctl plan show truststream --to us-east-1       show what a failover would do, call by call
  drctl status                                     one screen: where everything is, and what is still due

Exit codes: 0 done, 1 not recovered, 2 usage or plan error, 3 refused, 4 waiting for a person, 5 recovered but an objective
is missed or not proven or a fence is pending, 6 another run or process holds the target, 70 a bug.";

/// Options of every verb.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The verbs that were typed, such as `runs` and `resume`.
    #[arg(skip)]
    pub command: Vec<String>,
    /// Whether the store turns out to be older than something signed about it.
    #[arg(skip)]
    pub older: Older,
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true, hide_short_help = true)]
    pub directory: Option<PathBuf>,
    /// Settings file
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub config: Option<PathBuf>,
    /// Journal file [default: .drctl/drctl.db in this folder, or in that of -C]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub store: Option<PathBuf>,
    /// A checkpoint from another place; if the store lacks anything that it covers, drctl only reads it; can be repeated
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub checkpoint: Vec<PathBuf>,
    /// Work from a go-bag from `drctl kit export`
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub kit: Option<PathBuf>,
    /// The trusted key of the go-bag: fingerprint, public key or its file; can be repeated [default: the keys of the store here]
    #[arg(long, value_name = "KEY", global = true, hide_short_help = true)]
    pub kit_key: Vec<String>,
    /// Use an unsigned go-bag on the authority of this person; drctl records it
    #[arg(long, value_name = "NAME:REASON", global = true, hide_short_help = true)]
    pub accept_unsigned_kit: Option<String>,
    /// Log more on stderr: -v for actions, -vv for every call and observation, -vvv for everything; RUST_LOG gives finer control
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// The format of the log
    #[arg(long, value_enum, default_value_t, global = true, hide_short_help = true)]
    pub log_format: LogFormat,
    /// The format of the results
    #[arg(long, value_enum, default_value_t, global = true)]
    pub output: Format,
    /// Rehearse over a simulated estate in virtual time; without SCENARIO, drctl chooses one that fits the command
    #[arg(long, value_name = "SCENARIO", num_args = 0..=1, require_equals = true, default_missing_value = "", global = true)]
    pub sandbox: Option<String>,
    /// The seed of the rehearsal; another seed gives another course of events
    #[arg(long, value_name = "N", default_value_t = 1, global = true, hide_short_help = true)]
    pub seed: u64,
    /// Virtual seconds per real second in a rehearsal; as fast as possible if absent
    #[arg(long, value_name = "N", global = true, hide_short_help = true, value_parser = pace)]
    pub pace: Option<f64>,
}

impl Global {
    /// Where the command works.
    pub fn options(&self) -> Options {
        Options {
            command: self.command.clone(),
            directory: self.directory.clone(),
            config: self.config.clone(),
            store: self.store.clone(),
            checkpoint: self.checkpoint.clone(),
            kit: self.kit.clone(),
            kit_key: self.kit_key.clone(),
            accept_unsigned_kit: self.accept_unsigned_kit.clone(),
            sandbox: self.sandbox.clone(),
            seed: self.seed,
            pace: self.pace,
            ask: terminal::passphrase,
            older: self.older.clone(),
        }
    }
}

fn pace(text: &str) -> Result<f64, String> {
    let pace = text.parse().ok().filter(|pace| (0.001..=1e9).contains(pace));
    pace.ok_or_else(|| {
        "--pace is the number of virtual seconds per real second, such as 60: a number from 0.001 to 1000000000"
            .to_owned()
    })
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a starter plan and settings
    Init(InitArgs),
    /// Check plans and show all errors at once
    #[command(after_help = "Examples:\n  drctl check\n  drctl check plans/truststream.yaml --output json")]
    Check(CheckArgs),
    /// Explain a finding or a refusal
    #[command(after_help = "Example:\n  drctl explain unfenced-promotion")]
    Explain {
        /// The ID; if absent, drctl lists all
        id: Option<String>,
    },
    /// Show what a run would do
    Plan(PlanArgs),
    /// Observe everything that plans name, and store the observations
    #[command(after_help = "Example:\n  drctl observe --every 5m")]
    Observe(ObserveArgs),
    /// Show the state of all plans: active sites, protection, pending fences and duties, guards, last runs; exit 5 if a fence is pending or something is overdue
    Status(PlansArg),
    /// Check whether a recovery would work today: replicas, backups, capacity, quotas, permissions, TTLs, parity, drift; exit 3 if not, 5 if unknown
    #[command(after_help = "Examples:\n  drctl ready\n  drctl ready truststream --output json")]
    Ready(PlansArg),
    /// One table for grey failures: what users see, which parts of the source answer, what is ready, what a failover would do and cost
    #[command(after_help = "Example:\n  drctl assess truststream --from us-west-2")]
    Assess(AssessArgs),
    /// List what a recovery needs from a site that is assumed to be down; exit 3 if anything
    #[command(
        after_help = "Examples:\n  drctl doctor --assume-down us-west-2\n  drctl doctor truststream --assume-down us-west-2 --output json"
    )]
    Doctor(DoctorArgs),
    /// Recover from the loss of a site
    #[command(
        after_help = "Examples:\n  drctl failover --to us-east-1 --dry-run\n  drctl failover truststream --from us-west-2 --to us-east-1\n  drctl failover --sandbox region-dark --to us-east-1 --yes --waive unfenced-promotion --accept-data-loss 5m --reason \"region is dark\""
    )]
    Failover(StartArgs),
    /// Move to another site in a planned way, with zero loss
    #[command(after_help = "Example:\n  drctl switchover starter --to us-east-1 --dry-run")]
    Switchover(StartArgs),
    /// Move back to the plan's home site
    #[command(after_help = "Example:\n  drctl failback starter --to us-west-2")]
    Failback(StartArgs),
    /// Make the servers of a site standbys of the active site, after a failover or if replication broke
    #[command(after_help = "Example:\n  drctl reprotect starter --to us-west-2")]
    Reprotect(StartArgs),
    /// Restore a database to a point in time: make a copy, verify it, then put it in place
    #[command(
        after_help = "Examples:\n  drctl restore truststream --component db --to-time 2026-09-21T12:00:00Z --dry-run\n  drctl restore truststream --component db --to-time \"15m ago\" --waive exposure-above-rpo:db --accept-data-loss 30m --reason \"orders deleted by release 412\"\n  drctl restore truststream --component db --to-time \"15m ago\" --sandbox --dry-run"
    )]
    Restore(Box<RestoreArgs>),
    /// Practise a recovery: review it, rehearse it, test the data, or really move there and back
    #[command(
        after_help = "Examples:\n  drctl drill truststream\n  drctl drill truststream --mode rehearsal --scenario region-dark --waive unfenced-promotion --accept-data-loss 5m --reason drill\n  drctl drill truststream --mode isolated --component db --to-time \"2h ago\"\n  drctl drill truststream --mode live --hold 30m\n  drctl drill schedules     # what is due when; the same as drctl schedules"
    )]
    Drill(Box<DrillArgs>),
    /// List, show and steer runs
    Runs(RunsArgs),
    /// Acknowledge a run, so that drctl calls nobody else; after a stop, decide how to continue
    #[command(
        after_help = "Examples:\n  drctl ack 20261122-truststream-failover-1c2d --reason \"on it\"\n  drctl ack 20261122-truststream-failover-1c2d --decide fix-forward --reason \"grew the node group by hand\""
    )]
    Ack(AckArgs),
    /// Show the duties after incidents, and confirm them
    Duties(DutiesArgs),
    /// Test notifications, or show what was sent
    #[command(after_help = NOTIFY_HELP)]
    Notify(NotifyArgs),
    /// Approve a step that waits for approval
    #[command(
        after_help = "Example:\n  DRCTL_KEY=~/.ssh/drctl.pub drctl approve 20261122-truststream-failover-1c2d\n  drctl approve 20261122-truststream-failover-1c2d approve.go --for 10m"
    )]
    Approve(ApproveArgs),
    /// Let a run continue before all required approvals in an emergency; the approvals follow, and late ones stay on record
    #[command(
        after_help = "Example:\n  drctl override 20261122-truststream-failover-1c2d --reason 'DBA unreachable, users down'"
    )]
    Override(AnswerArgs),
    /// Reject a step that waits for approval
    Reject(AnswerArgs),
    /// Hold drills when they are due, by `schedules:` in drctl.yaml
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// Show due drills and their results
    Schedules,
    /// Write a report
    Report(ReportArgs),
    /// Verify, export and sign the journal
    Audit(AuditArgs),
    /// List, export and verify the evidence of runs
    Evidence(EvidenceArgs),
    /// Show who has to approve what
    #[command(
        after_help = "Examples:\n  drctl policy explain truststream --severity P1\n  drctl policy explain truststream --intent failover --output json\n  drctl policy explain truststream --intent switchover --at 2026-12-24T20:00:00+01:00"
    )]
    Policy(PolicyArgs),
    /// Create or show your signing key
    #[command(
        after_help = "Examples:\n  drctl key new alice --out ~/.ssh/drctl\n  drctl key show ~/.ssh/drctl.pub"
    )]
    Key(KeyArgs),
    /// Create a go-bag: plans, settings, observations and unfinished runs in one file
    Kit(KitArgs),
    /// Print a JSON Schema
    Schema {
        /// Of what
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Print a completion script: it completes commands, plans, sites, components, runs and steps
    #[command(
        after_help = "Examples:\n  source <(drctl completions bash)     # in ~/.bashrc\n  source <(drctl completions zsh)      # in ~/.zshrc\n  drctl completions fish | source      # in ~/.config/fish/config.fish"
    )]
    Completions {
        /// For which shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// What has a JSON Schema.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SchemaOf {
    /// Plan files.
    Plan,
    /// drctl.yaml.
    Settings,
    /// Journal events.
    Event,
    /// Run reports.
    Report,
    /// Compliance reports.
    Compliance,
    /// Manifests of evidence bundles.
    Evidence,
}

/// For `init`.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// The application's name
    #[arg(default_value = "starter")]
    pub name: String,
}

/// For `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Plan files or folders [default: the plans folder]
    pub paths: Vec<PathBuf>,
}

/// Plans by name.
#[derive(Args, Debug, Default)]
pub struct PlansArg {
    /// Plans, by name or file [default: all]
    pub plans: Vec<String>,
}

/// For `plan`.
#[derive(Args, Debug)]
pub struct PlanArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: PlanCommand,
}

/// Verbs of `plan`.
#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// Show the runbook: steps, critical path, calls, points of no return
    #[command(
        after_help = "Examples:\n  drctl plan show truststream --to us-east-1 --sandbox\n  drctl plan show truststream --to us-east-1 --as-commands > binder.md"
    )]
    Show(Box<PlanShowArgs>),
}

/// For `plan show`.
#[derive(Args, Debug)]
pub struct PlanShowArgs {
    /// The plan, by name or file
    pub plan: String,
    /// The intent
    #[arg(long, value_enum, default_value_t = IntentArg::Failover)]
    pub intent: IntentArg,
    /// The source site
    #[arg(long, value_name = "SITE")]
    pub from: Option<String>,
    /// The target site
    #[arg(long, value_name = "SITE")]
    pub to: String,
    /// Print provider commands with checks between them, for the binder
    #[arg(long)]
    pub as_commands: bool,
    /// The severity, P0 to P3 [default: `severity_of` for the intent]
    #[arg(long, value_name = "P0..P3")]
    pub severity: Option<Severity>,
    /// Refusals to accept.
    #[command(flatten)]
    pub waive: WaiveArgs,
}

/// For `assess`.
#[derive(Args, Debug)]
pub struct AssessArgs {
    /// Plans, by name or file [default: all that have the site]
    pub plans: Vec<String>,
    /// The source site
    #[arg(long, value_name = "SITE")]
    pub from: String,
    /// The target site [default: the only other one]
    #[arg(long, value_name = "SITE")]
    pub to: Option<String>,
}

/// For `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Plans, by name or file [default: all that have the site]
    pub plans: Vec<String>,
    /// The site to assume down, with everything else in its region
    #[arg(long, value_name = "SITE")]
    pub assume_down: String,
    /// The target site [default: the only other one]
    #[arg(long, value_name = "SITE")]
    pub to: Option<String>,
}

/// For `observe`.
#[derive(Args, Debug)]
pub struct ObserveArgs {
    /// Plans, by name or file [default: all]
    pub plans: Vec<String>,
    /// Repeat at this interval, for example 5m
    #[arg(long, value_name = "D")]
    pub every: Option<String>,
}

/// For `policy`.
#[derive(Args, Debug)]
pub struct PolicyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// Verbs of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show the rules that apply to a plan, the requirements of each, and the strictest combination
    Explain {
        /// The plan
        plan: String,
        /// The severity, P0 to P3 [default: `severity_of` for each intent]
        #[arg(long, value_name = "P0..P3")]
        severity: Option<Severity>,
        /// One intent instead of all
        #[arg(long, value_parser = ["failover", "restore", "switchover", "failback", "reprotect", "drill"])]
        intent: Option<String>,
        /// The time, RFC 3339 with a time zone [default: now]. Windows, blackouts and the freeze depend on it
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
}

/// For `key`.
#[derive(Args, Debug)]
pub struct KeyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// Verbs of `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create an Ed25519 key in OpenSSH format, encrypted with a passphrase; keys from ssh-keygen also work
    New {
        /// Whose it is
        name: String,
        /// The file [default: NAME.key]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The file with the passphrase [default: drctl asks]
        #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
        passphrase_file: Option<String>,
        /// Do not encrypt the key; anybody who reads the file can use it
        #[arg(long)]
        no_passphrase: bool,
    },
    /// Show a key: its public key, its fingerprint and its operator in drctl.yaml
    Show {
        /// The file of either half [default: DRCTL_KEY]
        file: Option<PathBuf>,
    },
}

/// For `kit`.
#[derive(Args, Debug)]
pub struct KitArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KitCommand,
}

/// Verbs of `kit`.
#[derive(Debug, Subcommand)]
pub enum KitCommand {
    /// Write the go-bag
    Export {
        /// The file; drctl-kit.json if absent, and drctl-kit-sandbox.json for rehearsals
        #[arg(long = "out", alias = "to", value_name = "FILE")]
        to: Option<PathBuf>,
        /// Do not sign the go-bag, for example if the key of the store is lost; a person must then vouch for it by name
        #[arg(long)]
        unsigned: bool,
    },
}
