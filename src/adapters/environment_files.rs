//! Files that the environment names for libraries. Libraries open them with calls that block, and a FIFO in the place of one of them would
//! stop drctl for good: it would not even notice an interrupt.

use std::path::{Path, PathBuf};

use super::process::inherited;
use crate::files::{self, Unread, Use, Why};

/// A variable that names a file, and the file in the home folder that is read without it.
type Named = (&'static str, Option<&'static str>);

/// What live commands read (AWS SDKs and Tools Reference Guide, «Location of the shared config and credentials files»;
/// rustls-native-certs).
pub const ALL: &[Named] = &[
    ("AWS_CONFIG_FILE", Some(".aws/config")),
    ("AWS_SHARED_CREDENTIALS_FILE", Some(".aws/credentials")),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", None),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", None),
    ("SSL_CERT_FILE", None),
];
/// What a sink of Google Cloud reads (Google Cloud, «How Application Default Credentials works»).
pub const GOOGLE: &[Named] =
    &[("GOOGLE_APPLICATION_CREDENTIALS", Some(".config/gcloud/application_default_credentials.json"))];

/// Checks that a library that reads these files does not have to wait for somebody. A missing file is no reason: the libraries report it.
///
/// # Errors
/// The first one that is not a regular file, with its variable.
pub fn check(of: &[Named]) -> Result<(), String> {
    let home = inherited("HOME").map(Path::new);
    of.iter().try_for_each(|(name, usual)| {
        let named = inherited(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let Some(path) = named.or_else(|| Some(home?.join((*usual)?))) else { return Ok(()) };
        // «No file» in the usual way, and nothing that blocks.
        if path.is_dir() || path.canonicalize().is_ok_and(|real| real == Path::new("/dev/null")) {
            return Ok(());
        }
        match files::open(&path, Use::Profile) {
            Err(unread @ Unread { why: Why::Irregular(_) | Why::Large(_), .. }) => {
                Err(format!("{name}: {unread}"))
            }
            _ => Ok(()),
        }
    })
}
