//! What can be typed to steer runs. Doc comments here are the help texts.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{AckArgs, WaiveArgs};
use crate::cli::commands::approve::Yes;

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
    /// List runs
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
    /// Carry a run on, or try to pay the fence that a finished one owes
    Resume {
        /// The run [default: the only one that is not over]
        run: Option<String>,
        /// A checkpoint that was kept elsewhere: a store that does not know it was put back, and nothing of it is carried on
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
        /// Refusals to accept.
        #[command(flatten)]
        waive: WaiveArgs,
    },
    /// Start nothing new; what is under way settles
    Pause {
        /// The run
        run: String,
    },
    /// End a run early: before the first point of no return everything is taken back, after it nothing is
    ///
    /// Once users or the server that takes their writes were touched, it says what is taken back and what stays, and asks.
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
    /// Leave a step out. Safety steps cannot be
    Skip {
        /// The run
        run: String,
        /// The step
        step: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Say that a step was done by hand; drctl believes what it then observes
    Done {
        /// The run
        run: String,
        /// The step
        step: String,
    },
    /// Say yes to a run's question; `drctl approve` is the same
    Approve(ApproveArgs),
    /// Say no to a run's question; `drctl reject` is the same
    Reject(AnswerArgs),
    /// Let a run go on before those have approved who have to; `drctl override` is the same
    Override(AnswerArgs),
    /// Say that you have seen what is going on, and what you make of a stop; `drctl ack` is the same
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
        /// The file [default: stdout]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Read a run from a file into this store. It is only read, and counts for nothing, until somebody adopts it
    Import {
        /// The file
        file: PathBuf,
    },
    /// Take over a run that came from a file: an operator of this store signs for it
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
    #[arg(default_value = "approve.policy")]
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
    #[arg(default_value = "approve.policy")]
    pub step: String,
    /// How long the signed yes may wait to be taken [default: 1h]
    #[arg(long = "for", value_name = "D")]
    pub good_for: Option<String>,
    /// The runbook that was looked at elsewhere, by its digest or the beginning of it; refused if the run executes another
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
