//! The one reader of files that people and settings name.
//!
//! It takes regular files up to a size that fits their use, and never waits: a FIFO, a socket or a device in the place of a file, or at
//! the end of a link, is refused before anything of it is read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What a file is read for: each use has its own size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// `drctl.yaml`.
    Settings,
    /// The plan of an application.
    Plan,
    /// A go-bag: plans, settings, observations and unfinished runs.
    Kit,
    /// A public or private key.
    Key,
    /// The passphrase of a key.
    Passphrase,
    /// A login, a token or an address.
    Secret,
    /// Certificates to trust.
    Certificates,
    /// A signed checkpoint of a ledger.
    Checkpoint,
    /// A bundle of evidence.
    Bundle,
    /// Exported events.
    Export,
    /// What a sink answered.
    Receipt,
    /// A document that fulfils an obligation.
    Document,
    /// The configuration of a provider's own tools.
    Profile,
}

impl Use {
    /// Every use.
    pub const ALL: [Self; 13] = [
        Self::Settings,
        Self::Plan,
        Self::Kit,
        Self::Key,
        Self::Passphrase,
        Self::Secret,
        Self::Certificates,
        Self::Checkpoint,
        Self::Bundle,
        Self::Export,
        Self::Receipt,
        Self::Document,
        Self::Profile,
    ];

    /// The most bytes that such a file may have.
    pub const fn most(self) -> u64 {
        match self {
            Self::Settings | Self::Plan => crate::model::document::MAX_BYTES as u64,
            Self::Kit | Self::Export => 1 << 30,
            Self::Key | Self::Passphrase | Self::Secret | Self::Receipt => 64 << 10,
            Self::Certificates | Self::Profile => 4 << 20,
            Self::Checkpoint => 1 << 20,
            Self::Bundle => 512 << 20,
            Self::Document => 64 << 20,
        }
    }

    /// What it is, in words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Settings => "a settings file",
            Self::Plan => "a plan",
            Self::Kit => "a go-bag",
            Self::Key => "a key",
            Self::Passphrase => "a passphrase file",
            Self::Secret => "a secret file",
            Self::Certificates => "a certificate file",
            Self::Checkpoint => "a checkpoint",
            Self::Bundle => "a bundle",
            Self::Export => "an export",
            Self::Receipt => "a receipt",
            Self::Document => "a document",
            Self::Profile => "a configuration file",
        }
    }
}

/// A file that was not read.
#[derive(Debug, Error)]
#[error("{}: {why}", path.display())]
pub struct Unread {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why a file was not read.
#[derive(Debug, Error)]
pub enum Why {
    /// The system refused.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// It is something that could keep a reader waiting, or never end.
    #[error("it is {0}, but drctl reads only regular files")]
    Irregular(&'static str),
    /// It is larger than such a file is.
    #[error("it has more than {} bytes, the maximum for {}", .0.most(), .0.word())]
    Large(Use),
    /// It holds bytes that are no text.
    #[error("it is not UTF-8 text")]
    NoText,
}

impl Unread {
    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(&self.why, Why::System(e) if e.kind() == std::io::ErrorKind::NotFound)
    }

    /// Whether this user may not read it.
    pub fn is_denied(&self) -> bool {
        matches!(&self.why, Why::System(e) if e.kind() == std::io::ErrorKind::PermissionDenied)
    }

    /// What to do about it.
    pub const fn fix(&self) -> &'static str {
        match self.why {
            Why::System(_) => "check that it exists and that you may read it",
            Why::Irregular(_) => "name a regular file, or replace it with one",
            Why::Large(_) => "check that it is the correct file",
            Why::NoText => "name a text file",
        }
    }
}

/// A regular file that is open.
#[derive(Debug)]
pub struct Regular {
    path: PathBuf,
    of: Use,
    file: File,
    mode: u32,
}

/// Opens a regular file without waiting for anybody.
///
/// # Errors
/// If it is none, or cannot be opened.
pub fn open(path: &Path, of: Use) -> Result<Regular, Unread> {
    let failed = |why: Why| Unread { path: path.to_owned(), why };
    // Opening a device can have effects of its own: what a link leads to is looked at before.
    regular(&std::fs::metadata(path).map_err(|e| failed(e.into()))?).map_err(failed)?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|e| failed(e.into()))?;
    // Somebody may have put another thing in its place since.
    let metadata = file.metadata().map_err(|e| failed(e.into()))?;
    regular(&metadata).map_err(failed)?;
    if metadata.len() > of.most() {
        return Err(failed(Why::Large(of)));
    }
    Ok(Regular { path: path.to_owned(), of, file, mode: metadata.permissions().mode() })
}

fn regular(metadata: &Metadata) -> Result<(), Why> {
    let kind = metadata.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () => "no file",
    };
    Err(Why::Irregular(what))
}

impl Regular {
    /// Whether anybody but its owner may read or write it.
    pub const fn is_open_to_others(&self) -> bool {
        self.mode & 0o077 != 0
    }

    /// All of it.
    ///
    /// # Errors
    /// If it cannot be read, or grew beyond what such a file has.
    pub fn bytes(self) -> Result<Vec<u8>, Unread> {
        let most = self.of.most();
        let of = self.of;
        let path = self.path.clone();
        let bytes = self.first(most + 1)?;
        match bytes.len() as u64 > most {
            true => Err(Unread { path, why: Why::Large(of) }),
            false => Ok(bytes),
        }
    }

    /// All of it, as text.
    ///
    /// # Errors
    /// Likewise, or if it is none.
    pub fn text(self) -> Result<String, Unread> {
        let path = self.path.clone();
        String::from_utf8(self.bytes()?).map_err(|_| Unread { path, why: Why::NoText })
    }

    /// The first bytes of it, at most so many.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn first(self, most: u64) -> Result<Vec<u8>, Unread> {
        let mut bytes = Vec::new();
        match self.file.take(most).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(e) => Err(Unread { path: self.path, why: e.into() }),
        }
    }
}

/// Reads a regular file.
///
/// # Errors
/// If it is none, cannot be read, or is larger than such a file is.
pub fn read(path: &Path, of: Use) -> Result<Vec<u8>, Unread> {
    open(path, of)?.bytes()
}

/// Reads a regular file of text.
///
/// # Errors
/// Likewise, or if it is no text.
pub fn text(path: &Path, of: Use) -> Result<String, Unread> {
    open(path, of)?.text()
}
