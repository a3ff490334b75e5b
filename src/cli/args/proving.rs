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
    /// Check every chain, the ledger and its checkpoints; name what does not hold
    #[command(
        after_help = "Examples:\n  drctl audit verify\n  drctl audit verify --key store.pub --checkpoint kept/2026-11-01.json\n  drctl audit verify --file audit.jsonl --key store.pub     # on any machine, with nothing else"
    )]
    Verify {
        /// What `drctl audit export` wrote, in place of the store
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The public half of the store's key, or its file [default: what the store itself names]
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
        /// A checkpoint that was kept elsewhere: what it knows has to be there
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
    },
    /// Write everything out: as lines that verify offline, or for a SIEM
    #[command(
        after_help = "Examples:\n  drctl audit export --out audit.jsonl\n  drctl audit export --format cef | logger --size 8192 -t drctl"
    )]
    Export {
        /// `jsonl` can be verified; `cef` is ArcSight's Common Event Format
        #[arg(long, value_enum, default_value_t = AuditFormat::Jsonl)]
        format: AuditFormat,
        /// The file, which must not be there yet [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Sign for what stands in the ledger now: keep it where nobody can change it who can change the store
    #[command(after_help = "Example:\n  drctl audit checkpoint --out /mnt/worm/$(date -u +%F).json")]
    Checkpoint {
        /// The file, which must not be there yet [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show the public half of the store's key: give it to your auditors
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
    List {
        /// A checkpoint that was kept elsewhere: what it knows has to be there
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
    },
    /// Write the bundle of a run: as it was sealed, or as the run stands now
    #[command(
        after_help = "A bundle is a tar archive: the plan, the runbook that was agreed to, every event, approvals, what was seen before and after,\nprobes, reports, and a manifest of their digests, signed with the store's key. Every run that ends or stops has one.\n\nExample:\n  drctl evidence export 20261121T030104Z-failover-shop --out shop.tar"
    )]
    Export {
        /// The run
        run: String,
        /// The file, which must not be there yet [default: the run's name in this folder]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Deliver bundles to the sinks of drctl.yaml, and read them back
    #[command(
        after_help = "Every run does this at its end. Put it on a schedule: what was not delivered, and runs that were killed before they had a\nbundle, are caught up on. Nothing is ever written over. A sink is `evidence:` in drctl.yaml:\n\n  evidence:\n    retain: {hipaa: 2192d}\n    sinks:\n      recovery: {url: \"s3://acme-evidence/drctl\", region: us-east-1}\n      elsewhere: {url: \"gs://acme-evidence/drctl\", region: europe-west1}\n\nExamples:\n  drctl evidence push\n  drctl evidence push 20261121T030104Z-failover-shop\n  drctl evidence push --check     # read every one back again"
    )]
    Push {
        /// The run [default: all of them]
        run: Option<String>,
        /// Read back what was delivered before, too
        #[arg(long)]
        check: bool,
    },
    /// Check a bundle, by nothing but the file and a key
    #[command(
        after_help = "Examples:\n  drctl evidence verify shop.tar --key store.pub     # on any machine, with nothing else\n  drctl evidence verify shop.tar                     # with the key of the store in this folder"
    )]
    Verify {
        /// The bundle
        file: PathBuf,
        /// The public half of the store's key, or its file [default: that of the store here]
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
    },
}
