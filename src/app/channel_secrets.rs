//! The secrets of channels and collectors.

use std::path::Path;

use super::environment;
use crate::adapters::secrets;
use crate::files::{self, Use};
use crate::model::notice::SecretAt;
use crate::model::secret::Secret;

/// Reads a secret, which drctl removes from all later output.
///
/// # Errors
/// If it does not exist. The error does not contain the secret.
pub fn reveal(base: &Path, at: &SecretAt) -> Result<Secret, String> {
    let secret = read(base, at)?;
    secrets::learn(secret.expose());
    Ok(secret)
}

fn read(base: &Path, at: &SecretAt) -> Result<Secret, String> {
    match at {
        SecretAt::Env(name) => environment::secret(name).ok_or_else(|| format!("{name} is not set")),
        SecretAt::File(path) => {
            let path = base.join(environment::expand(path));
            Ok(Secret::new(&files::text(&path, Use::Secret).map_err(|e| e.to_string())?))
        }
    }
}
