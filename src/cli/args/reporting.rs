//! What can be typed to have something told. Doc comments here are the help texts.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// For `report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Which report.
    #[command(subcommand)]
    pub command: ReportCommand,
}

/// Reports.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Of one run
    Run {
        /// The run
        run: String,
        /// How it is written
        #[arg(long, value_enum, default_value_t = ReportFormat::Md)]
        format: ReportFormat,
        /// The file, which must not be there yet [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// How a report is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ReportFormat {
    /// Markdown.
    Md,
    /// One HTML file with the timeline as a picture; it needs nothing else, and prints.
    Html,
    /// JSON.
    Json,
}
