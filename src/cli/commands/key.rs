//! `drctl key`

use std::path::Path;

use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey};

use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::files::write_new;
use crate::app::{environment, exit, keys};
use crate::cli::args::{Global, KeyArgs, KeyCommand};
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::cli::terminal;
use crate::files::{self, Use};

/// Creates and shows keys.
pub fn run(global: &Global, printer: &Printer, args: &KeyArgs) -> Result<u8, AppError> {
    match &args.command {
        KeyCommand::New { name, out, passphrase_file, no_passphrase } => {
            if name.is_empty()
                || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
                || name.starts_with('.')
            {
                return Err(AppError::usage_fix(
                    "a name may have letters, digits, `-`, `_` and `.`",
                    "drctl key new alice",
                ));
            }
            let out = out.clone().unwrap_or_else(|| format!("{name}.key").into());
            let passphrase = match (no_passphrase, passphrase_file) {
                (true, _) => None,
                (false, file) => Some(chosen(file.as_deref())?),
            };
            make(printer, name, &out, passphrase.as_deref())
        }
        KeyCommand::Show { file } => show(global, printer, file.as_deref()),
    }
}

/// A passphrase for a new key. It is entered twice, because a typing error would make the key unusable.
fn chosen(file: Option<&str>) -> Result<String, AppError> {
    let otherwise = "name a file that has it with --passphrase-file FILE, or use --no-passphrase";
    let first = keys::passphrase(file, "passphrase for the new key: ", (terminal::passphrase, otherwise))?;
    if file.is_none() && keys::passphrase(None, "again: ", (terminal::passphrase, otherwise))? != first {
        return Err(AppError::usage_fix("the two passphrases differ", "try again"));
    }
    if first.is_empty() {
        return Err(AppError::usage_fix(
            "the passphrase is empty, so anybody who reads the file could approve in your name",
            "type a passphrase, or use --no-passphrase",
        ));
    }
    Ok(first)
}

fn make(printer: &Printer, name: &str, out: &Path, passphrase: Option<&str>) -> Result<u8, AppError> {
    let failed = |e: ssh_key::Error| AppError::usage(format!("drctl cannot create a key: {e}"));
    // Uses the system's random generator instead of World's, because a rehearsal's random numbers can be reproduced.
    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(failed)?;
    key.set_comment(name);
    let public = key.public_key().clone();
    let line = public.to_openssh().map_err(failed)?;
    let key = match passphrase {
        Some(passphrase) => key.encrypt(&mut OsRng, passphrase.as_bytes()).map_err(failed)?,
        None => key,
    };
    let text = key.to_openssh(LineEnding::LF).map_err(failed)?;
    let beside = out.with_file_name(format!("{}.pub", out.file_name().unwrap_or_default().to_string_lossy()));
    // Writes the public key first, so that a failure leaves no unknown private key.
    write_new(&beside, format!("{line}\n"), 0o644)?;
    write_new(out, &text, 0o600).inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
    let fingerprint = public.fingerprint(HashAlg::Sha256).to_string();
    if printer.format == Format::Human {
        printer.note(&format!(
            "{} (private, keep it), {} (public, share it)",
            out.display(),
            beside.display()
        ));
        printer.note("add this under `operators:` in drctl.yaml, with the roles of the person:");
        printer.line(&format!("  {name}: {{key: \"{line}\", roles: []}}"));
    } else {
        printer.document(&serde_json::json!({
            "schema_version": 1, "name": name, "file": out, "public": line, "fingerprint": fingerprint,
        }));
    }
    Ok(exit::DONE)
}

fn show(global: &Global, printer: &Printer, file: Option<&Path>) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let named = context.settings.key.as_deref().map(environment::expand);
    let Some(path) = file.map(Path::to_path_buf).or(named) else {
        return Err(AppError::usage_fix("no key given", "use drctl key show FILE, or set DRCTL_KEY"));
    };
    let unusable =
        |e: ssh_key::Error| AppError::usage(format!("{} is not an OpenSSH key: {e}", path.display()));
    let text = files::text(&path, Use::Key)?;
    // The public half of an encrypted key is readable without its passphrase.
    let public = match PublicKey::from_openssh(text.trim_end()) {
        Ok(public) => public,
        Err(_) => PrivateKey::from_openssh(&text).map_err(unusable)?.public_key().clone(),
    };
    let operator = context.settings.authority.owner(&public);
    let fingerprint = public.fingerprint(HashAlg::Sha256).to_string();
    if printer.format == Format::Human {
        printer.line(&public.to_openssh().unwrap_or_default());
        printer.line(&fingerprint);
        match operator {
            Some((name, o)) if o.roles.is_empty() => printer.line(&format!("{name}, without a role")),
            Some((name, o)) => {
                let roles: Vec<_> = o.roles.iter().map(String::as_str).collect();
                printer.line(&format!("{name}: {}", roles.join(", ")));
            }
            None => printer.line("nobody under `operators:` in drctl.yaml"),
        }
    } else {
        printer.document(&serde_json::json!({
            "schema_version": 1, "public": public.to_openssh().unwrap_or_default(), "fingerprint": fingerprint,
            "operator": operator.map(|(name, _)| name), "roles": operator.map(|(_, o)| &o.roles),
        }));
    }
    Ok(exit::DONE)
}
