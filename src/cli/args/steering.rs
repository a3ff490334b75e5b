//! What can be typed to steer runs. Doc comments here are the help texts.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::starting::WaiveArgs;
use super::telling::AckArgs;
use crate::planner::approvals::APPROVAL;

/// For `runs`.
#[derive(Args, Debug)]
pub struct RunsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RunsCommand,
}

/// Verbs of `runs`.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List runs: first those that need somebody, then the newest
    List,
    /// Show a run
    Show {
        /// The run
        run: String,
    },
    /// Follow a run that another process drives
    Watch {
        /// The run
        run: String,
    },
    /// Continue a run, or try to set the pending fence of a finished run
    Resume {
        /// The run [default: the only unfinished one]
        run: Option<String>,
        /// Refusals to accept.
        #[command(flatten)]
        waive: WaiveArgs,
    },
    /// Start no new steps; steps in progress finish
    Pause {
        /// The run
        run: String,
    },
    /// End a run early. Before the first point of no return, drctl undoes everything; after it, nothing
    ///
    /// If the run has affected users or the server that takes their writes, drctl shows what it undoes and what stays, and asks.
    Cancel {
        /// The run
        run: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Skip a step. Safety steps cannot be skipped
    Skip {
        /// The run
        run: String,
        /// The step
        step: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Confirm that you did a step by hand; drctl then checks the result, except that of a command
    Done {
        /// The run
        run: String,
        /// The step
        step: String,
    },
    /// Approve a step of a run; `drctl approve` is the same
    Approve(ApproveArgs),
    /// Reject a step of a run; `drctl reject` is the same
    Reject(AnswerArgs),
    /// Let a run continue before all required approvals; `drctl override` is the same
    Override(AnswerArgs),
    /// Acknowledge a run, and decide how to continue after a stop; `drctl ack` is the same
    Ack(AckArgs),
    /// Show a run again, event by event, without effects
    Replay {
        /// The run
        run: String,
    },
    /// Write a run to a file
    Export {
        /// The run
        run: String,
        /// The output file [default: standard output]
        #[arg(long = "out", alias = "to", value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Import a run from a file into this store. It stays read-only and does not count until somebody adopts it
    Import {
        /// The file
        file: PathBuf,
    },
    /// Take over an imported run; an operator of this store signs
    Adopt {
        /// The run
        run: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// For `reject` and `override`.
#[derive(Args, Debug)]
pub struct AnswerArgs {
    /// The run
    pub run: String,
    /// The gate
    #[arg(default_value = APPROVAL)]
    pub step: String,
    /// Why
    #[arg(long)]
    pub reason: String,
}

/// For `approve`.
#[derive(Args, Debug)]
pub struct ApproveArgs {
    /// The run
    pub run: String,
    /// The gate
    #[arg(default_value = APPROVAL)]
    pub step: String,
    /// How long the signed approval is valid [default: 1h]
    #[arg(long = "for", value_name = "D")]
    pub good_for: Option<String>,
    /// The digest (or its start) of the runbook that you reviewed elsewhere; drctl refuses if the run executes another
    #[arg(long, value_name = "DIGEST")]
    pub runbook: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

impl ApproveArgs {
    /// What is said yes to.
    pub fn yes(&self) -> Yes<'_> {
        let (good_for, runbook) = (self.good_for.as_deref(), self.runbook.as_deref());
        Yes { run: &self.run, step: &self.step, good_for, runbook, sure: self.yes }
    }
}

/// What is approved, and how.
pub struct Yes<'a> {
    /// The run.
    pub run: &'a str,
    /// The gate.
    pub step: &'a str,
    /// How long the approval stays valid until the run reads it.
    pub good_for: Option<&'a str>,
    /// The digest of the runbook that the person reviewed elsewhere.
    pub runbook: Option<&'a str>,
    /// Skips the confirmation.
    pub sure: bool,
}
