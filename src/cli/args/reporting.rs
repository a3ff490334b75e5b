//! What can be typed to have something told. Doc comments here are the help texts.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::report::compliance::controls::Profile;

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
    /// Report on one run
    Run {
        /// The run
        run: String,
        /// The output format
        #[arg(long, value_enum, default_value_t = ReportFormat::Md)]
        format: ReportFormat,
        /// The output file, which must not exist yet [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Create a document about one run; drctl fills in what the journal contains, and people complete it
    #[command(
        after_help = "Examples:\n  drctl report document RUN --kind post-incident --out INC-412.md\n  drctl report document RUN --kind rollback --format json\n\nFields that the journal cannot fill are marked for a person. When they are filled, run: drctl duties done RUN incident-report --file INC-412.md"
    )]
    Document {
        /// The run
        run: String,
        /// Which document
        #[arg(long, value_enum)]
        kind: DocumentKind,
        /// The output format
        #[arg(long, value_enum, default_value_t = DocumentFormat::Md)]
        format: DocumentFormat,
        /// The output file, which must not exist yet [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Report on a period: objectives and results, drills, incidents, overrides, duties and controls
    #[command(
        after_help = "Examples:\n  drctl report compliance --since 2026-01-01 --until 2027-01-01 --profile soc2 --format pdf --out 2026.pdf\n  drctl report compliance --format html --out quarter.html\n  drctl report compliance --format csv > runs.csv\n\nA day starts at midnight UTC. The report excludes the end date."
    )]
    Compliance(ComplianceArgs),
}

/// Documents about a run.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DocumentKind {
    /// Trigger, execution, validation, what came after, lessons.
    Rollback,
    /// The record of an incident.
    Incident,
    /// Summary, timeline, causes, actions, prevention.
    PostIncident,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DocumentFormat {
    /// Markdown.
    Md,
    /// JSON.
    Json,
}

/// For `report compliance`.
#[derive(Args, Debug)]
pub struct ComplianceArgs {
    /// The start: a day, or RFC 3339 with a time zone [default: 92 days before the end; with --sandbox, before all rehearsals]
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// The end, not included [default: now; with --sandbox, after all rehearsals]
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// The profile: own, soc2, iso27001, iso22301, hipaa, dora or pci [default: the profile of the evidence retention]
    #[arg(long)]
    pub profile: Option<Profile>,
    /// The author: a name, and a role after a comma [default: `reports.prepared_by` in drctl.yaml; else left blank]
    #[arg(long, value_name = "NAME, ROLE")]
    pub prepared_by: Option<String>,
    /// The reviewer: a name, and a role after a comma [default: `reports.reviewed_by`]
    #[arg(long, value_name = "NAME, ROLE")]
    pub reviewed_by: Option<String>,
    /// The output format
    #[arg(long, value_enum, default_value_t = ComplianceFormat::Md)]
    pub format: ComplianceFormat,
    /// The output file, which must not exist yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// How a compliance report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ComplianceFormat {
    /// Markdown.
    Md,
    /// One HTML file with pictures; it needs nothing else, and prints.
    Html,
    /// PDF/A-2b, tagged for screen readers (PDF/UA-1).
    Pdf,
    /// A line a run, for a spreadsheet.
    Csv,
    /// JSON.
    Json,
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
    /// A trace as OTLP/JSON, which a collector takes.
    Otlp,
}
