//! Commands about notifications and duties. Doc comments here are the help texts.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::model::duty::{Decision, Duty};

/// Below the help of `notify`.
pub const NOTIFY_HELP: &str = "Define channels under `notify:` in drctl.yaml. Write where a secret is stored, never the secret itself:

  notify:
    channels:
      incidents: {slack: {url: \"env:SLACK_WEBHOOK\"}}
      pager: {pagerduty: {key: \"file:/run/secrets/pagerduty\"}, otherwise: mail}
      mail: {smtp: {host: mail.example.com, from: drctl@example.com, to: [sre@example.com], user: drctl, password: \"env:SMTP_PASSWORD\"}}
      hooks: {webhook: {url: \"env:HOOK_URL\", secret: \"env:HOOK_SECRET\"}, gets: [alert, resolved]}
      public: {status_page: {url: \"env:STATUS_URL\", secret: \"env:STATUS_SECRET\"}}

The process that drives a run sends its notifications. drctl serve sends the later ones. Webhooks are signed according to Standard Webhooks.";

/// For `notify`.
#[derive(Args, Debug)]
pub struct NotifyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: NotifyCommand,
}

/// Verbs of `notify`.
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send a test message to every channel and show the results; exit 1 if one failed
    #[command(after_help = "Examples:\n  drctl notify test\n  drctl notify test pager")]
    Test {
        /// The channels [default: all]
        channels: Vec<String>,
    },
    /// Show the full text of the notifications of a run and their delivery; sends nothing
    #[command(after_help = "Example:\n  drctl notify show 20261122T031500-truststream-failover-1c2d")]
    Show {
        /// The run
        run: String,
    },
}

/// For `ack`.
#[derive(Args, Debug)]
pub struct AckArgs {
    /// The run
    pub run: String,
    /// Your decision after a stop: fix-forward, restore, failover or take-back
    #[arg(long, value_name = "DECISION")]
    pub decide: Option<Decision>,
    /// In your words
    #[arg(long)]
    pub reason: String,
}

/// For `duties`.
#[derive(Args, Debug)]
pub struct DutiesArgs {
    /// What to do [default: list]
    #[command(subcommand)]
    pub command: Option<DutiesCommand>,
}

/// Verbs of `duties`.
#[derive(Debug, Subcommand)]
pub enum DutiesCommand {
    /// List open duties; exit 5 if any is overdue
    List {
        /// Include completed duties
        #[arg(long)]
        all: bool,
    },
    /// Confirm a duty after an incident
    #[command(
        after_help = "Examples:\n  drctl duties done RUN monitoring --reference \"watched the dashboards until 05:20\"\n  drctl duties done RUN incident-report --file report.pdf\n  drctl duties done RUN post-mortem --reference https://wiki.example.com/pm/412"
    )]
    Done {
        /// The run
        run: String,
        /// monitoring, incident-report or post-mortem
        duty: Duty,
        /// Where the document is, or what you observed
        #[arg(long, value_name = "TEXT", required_unless_present = "file")]
        reference: Option<String>,
        /// The file; drctl records its digest
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}
