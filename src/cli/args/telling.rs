//! What can be typed about who is told, and what is owed. Doc comments here are the help texts.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::model::duty::{Decision, Duty};

/// Below the help of `notify`.
pub const NOTIFY_HELP: &str = "Channels are `notify:` in drctl.yaml; a secret never stands there, but where it is:

  notify:
    channels:
      incidents: {slack: {url: \"env:SLACK_WEBHOOK\"}}
      pager: {pagerduty: {key: \"file:/run/secrets/pagerduty\"}, otherwise: mail}
      mail: {smtp: {host: mail.example.com, from: drctl@example.com, to: [sre@example.com], user: drctl, password: \"env:SMTP_PASSWORD\"}}
      hooks: {webhook: {url: \"env:HOOK_URL\", secret: \"env:HOOK_SECRET\"}, gets: [alert, resolved]}
      public: {status_page: {url: \"env:STATUS_URL\", secret: \"env:STATUS_SECRET\"}}

Whoever drives a run tells of it; drctl serve goes on with what is due later. Webhooks are signed as Standard Webhooks has it.";

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
    /// Send a test message by every channel, and say who took it; exit 1 if one did not
    #[command(after_help = "Examples:\n  drctl notify test\n  drctl notify test pager")]
    Test {
        /// The channels [default: all]
        channels: Vec<String>,
    },
    /// Show what people are told of a run, word by word, and what became of it; nothing is sent
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
    /// What you make of a stop: fix-forward, restore, failover or take-back
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
    /// List what is owed; exit 5 if anything is overdue
    List {
        /// What was done, too
        #[arg(long)]
        all: bool,
    },
    /// Say that something was done that is owed after an incident
    #[command(
        after_help = "Examples:\n  drctl duties done RUN monitoring --reference \"watched the dashboards until 05:20\"\n  drctl duties done RUN incident-report --file report.pdf\n  drctl duties done RUN post-mortem --reference https://wiki.example.com/pm/412"
    )]
    Done {
        /// The run
        run: String,
        /// monitoring, incident-report or post-mortem
        duty: Duty,
        /// Where it is kept, or what was seen
        #[arg(long, value_name = "TEXT", required_unless_present = "file")]
        reference: Option<String>,
        /// The file: its digest is kept
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}
