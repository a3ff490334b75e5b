//! What can be typed. Doc comments here are the help texts.

mod offer;
mod proving;
mod reporting;
mod serving;
mod shape;
mod starting;
mod steering;
mod telling;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::log::LogFormat;
use super::printer::Format;
pub use offer::rehearses;
pub use proving::{AuditArgs, AuditCommand, AuditFormat, EvidenceArgs, EvidenceCommand};
pub use reporting::{
    ComplianceArgs, ComplianceFormat, DocumentFormat, DocumentKind, ReportArgs, ReportCommand, ReportFormat,
};
pub use serving::{SERVE_HELP, ServeArgs};
pub use shape::{command, parse};
pub use starting::{DrillArgs, DrillMode, HowArgs, PointArgs, RestoreArgs, StartArgs, WaiveArgs};
pub use steering::{AnswerArgs, ApproveArgs, RunsArgs, RunsCommand};
pub use telling::{AckArgs, DutiesArgs, DutiesCommand, NOTIFY_HELP, NotifyArgs, NotifyCommand};

use crate::model::policy::Severity;
use crate::model::runbook::Intent;

/// Disaster recovery for applications in two or more cloud regions.
///
/// Declare what you run where and what you promised; drctl works out the recovery, does it safely, measures what was achieved.
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
  drctl failover --sandbox --to us-east-1 --yes    rehearse the loss of a region, offline, in a second
  drctl check                                      everything that is wrong with your plans
  drctl plan show truststream --to us-east-1       what a failover would do, call by call
  drctl status                                     one screen: where everything is, and what is owed

Exit codes: 0 done, 1 not recovered, 2 usage or plan error, 3 refused, 4 waiting for a person, 5 recovered but an objective
is missed or not proven or a fence is pending, 6 another run or process holds the target, 70 a bug.";

/// Options of every verb.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// The verbs that were typed, such as `runs-resume`.
    #[arg(skip)]
    pub command: String,
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true, hide_short_help = true)]
    pub directory: Option<PathBuf>,
    /// Settings file
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub config: Option<PathBuf>,
    /// Journal file [default: .drctl/drctl.db beside the settings]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub store: Option<PathBuf>,
    /// Work from a go-bag that `drctl kit export` made
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub kit: Option<PathBuf>,
    /// Whose go-bag is believed: fingerprint, public key or its file; may be given several times [default: the keys of the store here]
    #[arg(long, value_name = "KEY", global = true, hide_short_help = true)]
    pub kit_key: Vec<String>,
    /// Use a go-bag that nobody signed, on this person's word; it is recorded
    #[arg(long, value_name = "NAME:REASON", global = true, hide_short_help = true)]
    pub accept_unsigned_kit: Option<String>,
    /// Say more on stderr: -v what is done, -vv every call and look, -vvv everything; RUST_LOG says it more exactly
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// How that is written
    #[arg(long, value_enum, default_value_t, global = true, hide_short_help = true)]
    pub log_format: LogFormat,
    /// How results are written
    #[arg(long, value_enum, default_value_t, global = true)]
    pub output: Format,
    /// Rehearse over a simulated estate in virtual time; without SCENARIO one that fits the verb
    #[arg(long, value_name = "SCENARIO", num_args = 0..=1, require_equals = true, default_missing_value = "", global = true)]
    pub sandbox: Option<String>,
    /// Which of all the ways a rehearsal can go
    #[arg(long, value_name = "N", default_value_t = 1, global = true, hide_short_help = true)]
    pub seed: u64,
    /// Virtual seconds a real second in a rehearsal; as fast as possible if absent
    #[arg(long, value_name = "N", global = true, hide_short_help = true, value_parser = pace)]
    pub pace: Option<f64>,
}

fn pace(text: &str) -> Result<f64, String> {
    let pace = text.parse().ok().filter(|pace| (0.001..=1e9).contains(pace));
    pace.ok_or_else(|| {
        "a pace is how many seconds of the rehearsal go by in one of yours, such as 60: a number from 0.001 to 1000000000"
            .to_owned()
    })
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a starter plan and settings
    Init(InitArgs),
    /// Check plans: everything that is wrong, at once
    #[command(after_help = "Examples:\n  drctl check\n  drctl check plans/truststream.yaml --output json")]
    Check(CheckArgs),
    /// Explain a finding or a refusal
    #[command(after_help = "Example:\n  drctl explain unfenced-promotion")]
    Explain {
        /// The id; all are listed if absent
        id: Option<String>,
    },
    /// Show what a run would do
    Plan(PlanArgs),
    /// Look at everything that plans name, and remember it
    #[command(after_help = "Example:\n  drctl observe --every 5m")]
    Observe(ObserveArgs),
    /// One screen: active sites, protection, debts, guards, last runs
    Status(PlansArg),
    /// Whether a recovery would work today: replicas, backups, capacity, quotas, permissions, TTLs, parity, drift; exit 3 if not, 5 if nobody knows
    #[command(after_help = "Examples:\n  drctl ready\n  drctl ready truststream --output json")]
    Ready(PlansArg),
    /// One table for grey failures: what users see, what of the source answers, what stands ready, what a failover would do and cost
    #[command(after_help = "Example:\n  drctl assess truststream --from us-west-2")]
    Assess(AssessArgs),
    /// List what of a recovery needs a site that is assumed to be down, with the fix; exit 3 if anything does
    #[command(
        after_help = "Examples:\n  drctl doctor --assume-down us-west-2\n  drctl doctor truststream --assume-down us-west-2 --output json"
    )]
    Doctor(DoctorArgs),
    /// Recover from the loss of a site
    #[command(
        after_help = "Examples:\n  drctl failover --to us-east-1 --dry-run\n  drctl failover truststream --from us-west-2 --to us-east-1\n  drctl failover --sandbox region-dark --to us-east-1 --yes --waive unfenced-promotion --accept-data-loss 5m --reason \"region is dark\""
    )]
    Failover(StartArgs),
    /// Move to another site as planned, with zero loss
    #[command(after_help = "Example:\n  drctl switchover starter --to us-east-1 --dry-run")]
    Switchover(StartArgs),
    /// Move back to the plan's home site
    #[command(after_help = "Example:\n  drctl failback starter --to us-west-2")]
    Failback(StartArgs),
    /// Make the servers of a site standbys of the active one: after a failover, or where replication broke
    #[command(after_help = "Example:\n  drctl reprotect starter --to us-west-2")]
    Reprotect(StartArgs),
    /// Bring a database back to a point in time: a copy beside it, checked, then in its place
    #[command(
        after_help = "Examples:\n  drctl restore truststream --component db --to-time 2026-09-21T12:00:00Z --dry-run\n  drctl restore truststream --component db --to-time \"15m ago\" --waive exposure-above-rpo:db --accept-data-loss 30m --reason \"orders deleted by release 412\"\n  drctl restore truststream --component db --to-time \"15m ago\" --sandbox --dry-run"
    )]
    Restore(Box<RestoreArgs>),
    /// Practise a recovery: read it, rehearse it, try the data, or really move there and back
    #[command(
        after_help = "Examples:\n  drctl drill truststream\n  drctl drill truststream --mode rehearsal --scenario region-dark --waive unfenced-promotion --accept-data-loss 5m --reason drill\n  drctl drill truststream --mode isolated --component db --to-time \"2h ago\"\n  drctl drill truststream --mode live --hold 30m\n  drctl drill schedules     # what is due when; the same as drctl schedules"
    )]
    Drill(Box<DrillArgs>),
    /// List, show and steer runs
    Runs(RunsArgs),
    /// Say that you have seen what is going on: nobody else is called then; of a stop, what you make of it
    #[command(
        after_help = "Examples:\n  drctl ack 20261122-truststream-failover-1c2d --reason \"on it\"\n  drctl ack 20261122-truststream-failover-1c2d --decide fix-forward --reason \"grew the node group by hand\""
    )]
    Ack(AckArgs),
    /// What is owed after incidents, and say that it was done
    Duties(DutiesArgs),
    /// Whom drctl tells what: try it, or show it
    #[command(after_help = NOTIFY_HELP)]
    Notify(NotifyArgs),
    /// Say yes to a run's question
    #[command(
        after_help = "Example:\n  DRCTL_KEY=~/.ssh/drctl.pub drctl approve 20261122-truststream-failover-1c2d\n  drctl approve 20261122-truststream-failover-1c2d approve.go --for 10m"
    )]
    Approve(ApproveArgs),
    /// Let a run go on before those have approved who have to, in an emergency; they approve afterwards, and lateness stays on record
    #[command(
        after_help = "Example:\n  drctl override 20261122-truststream-failover-1c2d --reason 'DBA unreachable, users down'"
    )]
    Override(AnswerArgs),
    /// Say no to a run's question
    Reject(AnswerArgs),
    /// Hold drills when they are due, by `schedules:` in drctl.yaml
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// Show what is due when, and what became of it
    Schedules,
    /// Write a report
    Report(ReportArgs),
    /// Verify the journal, write it out, sign for it
    Audit(AuditArgs),
    /// List, export and verify the evidence of runs
    Evidence(EvidenceArgs),
    /// Show who has to approve what
    #[command(
        after_help = "Examples:\n  drctl policy explain truststream --severity P1\n  drctl policy explain truststream --intent failover --output json\n  drctl policy explain truststream --intent switchover --at 2026-12-24T20:00:00+01:00\n  drctl policy key show     # the same as drctl key show"
    )]
    Policy(PolicyArgs),
    /// Make the key that your approvals are signed with, or show it
    #[command(
        after_help = "Examples:\n  drctl key new alice --out ~/.ssh/drctl\n  drctl key show ~/.ssh/drctl.pub"
    )]
    Key(KeyArgs),
    /// Make a go-bag: plans, settings, observations and unfinished runs in one file
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
    /// What for
    #[arg(long, value_enum, default_value_t = IntentArg::Failover)]
    pub intent: IntentArg,
    /// The site that is left
    #[arg(long, value_name = "SITE")]
    pub from: Option<String>,
    /// The site that is recovered to
    #[arg(long, value_name = "SITE")]
    pub to: String,
    /// As provider commands with checks between, for the binder
    #[arg(long)]
    pub as_commands: bool,
    /// How bad it is: P0 to P3 [default: as `severity_of` has it for the intent]
    #[arg(long, value_name = "P0..P3")]
    pub severity: Option<Severity>,
    /// Refusals to accept.
    #[command(flatten)]
    pub waive: WaiveArgs,
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
    pub const fn of(self) -> Intent {
        match self {
            Self::Failover => Intent::Failover,
            Self::Switchover => Intent::Switchover,
            Self::Failback => Intent::Failback,
            Self::Reprotect => Intent::Reprotect,
        }
    }
}

/// For `assess`.
#[derive(Args, Debug)]
pub struct AssessArgs {
    /// Plans, by name or file [default: all that have the site]
    pub plans: Vec<String>,
    /// The site that would be left
    #[arg(long, value_name = "SITE")]
    pub from: String,
    /// The site that would be recovered to [default: the only one that is left]
    #[arg(long, value_name = "SITE")]
    pub to: Option<String>,
}

/// For `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Plans, by name or file [default: all that have the site]
    pub plans: Vec<String>,
    /// The site that is assumed to be down, and everything else in its region with it
    #[arg(long, value_name = "SITE")]
    pub assume_down: String,
    /// The site that would be recovered to [default: the only one that is left]
    #[arg(long, value_name = "SITE")]
    pub to: Option<String>,
}

/// For `observe`.
#[derive(Args, Debug)]
pub struct ObserveArgs {
    /// Plans, by name or file [default: all]
    pub plans: Vec<String>,
    /// Again and again, for example 5m
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
    /// Show which rules apply to a plan, what each asks for, and the strictest of them together
    Explain {
        /// The plan
        plan: String,
        /// How bad it is: P0 to P3 [default: as `severity_of` has it for each intent]
        #[arg(long, value_name = "P0..P3")]
        severity: Option<Severity>,
        /// One intent instead of all
        #[arg(long, value_parser = ["failover", "restore", "switchover", "failback", "reprotect", "drill"])]
        intent: Option<String>,
        /// When: RFC 3339 with a zone [default: now]. Windows, blackouts and the freeze depend on it
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
    /// Make an Ed25519 key in OpenSSH's format, encrypted with a passphrase; ssh-keygen's own are as good
    New {
        /// Whose it is
        name: String,
        /// The file [default: NAME.key]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The file that the passphrase is in [default: it is asked for]
        #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
        passphrase_file: Option<String>,
        /// Anybody who reads the file may use it
        #[arg(long)]
        no_passphrase: bool,
    },
    /// Show a key: its public half, its fingerprint, and whose it is by drctl.yaml
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
        /// The file
        #[arg(long, value_name = "FILE", default_value = "drctl-kit.json")]
        to: PathBuf,
        /// Leave it unsigned, as when the store's key is lost: whoever uses it has to vouch for it by name
        #[arg(long)]
        unsigned: bool,
    },
}
