//! What can be typed to prove what happened. Doc comments here are the help texts.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// For `audit`.
#[derive(Args, Debug)]
pub struct AuditArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// Verbs of `audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check every chain, the ledger and its checkpoints, and list all faults
    #[command(
        after_help = "Examples:\n  drctl audit verify\n  drctl audit verify --key store.pub --checkpoint kept/2026-11-01.json\n  drctl audit verify --file audit.jsonl --key store.pub     # on any machine, with nothing else"
    )]
    Verify {
        /// A file from `drctl audit export` instead of the store
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The public key of the store, or its file [default: the key in the store itself]
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
    },
    /// Export everything, as lines to verify offline or for a SIEM
    #[command(
        after_help = "Examples:\n  drctl audit export --out audit.jsonl\n  drctl audit export --format cef | logger --size 8192 -t drctl"
    )]
    Export {
        /// `jsonl` can be verified; `cef` is ArcSight's Common Event Format
        #[arg(long, value_enum, default_value_t = AuditFormat::Jsonl)]
        format: AuditFormat,
        /// The output file, which must not exist yet [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Sign the current state of the ledger. Keep the checkpoint where people who can change the store cannot change it
    #[command(after_help = "Example:\n  drctl audit checkpoint --out /mnt/worm/$(date -u +%F).json")]
    Checkpoint {
        /// The output file, which must not exist yet [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show the public key of the store, for your auditors
    Key,
}

/// How everything is written out.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum AuditFormat {
    /// Lines with the exact bytes.
    Jsonl,
    /// For a SIEM.
    Cef,
}

/// For `evidence`.
#[derive(Args, Debug)]
pub struct EvidenceArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: EvidenceCommand,
}

/// Verbs of `evidence`.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// List the bundles that were sealed
    List,
    /// Write the bundle of a run, as sealed earlier or as the run is now
    #[command(
        after_help = "A bundle is a tar archive. It contains the plan, the approved runbook, every event, approvals, observations before and\nafter the run, probes, reports, and a manifest with their digests. The key of the store signs the manifest. Every run\nthat ends or stops has one.\n\nExample:\n  drctl evidence export 20261121T030104Z-failover-shop --out shop.tar"
    )]
    Export {
        /// The run
        run: String,
        /// The output file, which must not exist yet [default: the run's name in this folder]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Deliver bundles to the sinks in drctl.yaml, and verify them by reading them back
    #[command(
        after_help = "Every run does this when it ends. Schedule this command to deliver bundles that could not be delivered, and to create\nbundles for runs that were killed. drctl never overwrites anything. Configure sinks under `evidence:` in drctl.yaml:\n\n  evidence:\n    retain: {hipaa: 2192d}\n    sinks:\n      recovery: {url: \"s3://acme-evidence/drctl\", region: us-east-1}\n      elsewhere: {url: \"gs://acme-evidence/drctl\", region: europe-west1}\n\nExamples:\n  drctl evidence push\n  drctl evidence push 20261121T030104Z-failover-shop\n  drctl evidence push --check     # read every one back again"
    )]
    Push {
        /// The run [default: all of them]
        run: Option<String>,
        /// Read back what was delivered before, too
        #[arg(long)]
        check: bool,
    },
    /// Check a bundle; only the file and a public key are needed
    #[command(
        after_help = "Examples:\n  drctl evidence verify shop.tar --key store.pub     # on any machine, with nothing else\n  drctl evidence verify shop.tar                     # with the key of the store in this folder"
    )]
    Verify {
        /// The bundle
        file: PathBuf,
        /// The public key of the store, or its file [default: the key of the store here]
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
    },
}
