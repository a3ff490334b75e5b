//! The private key of the person at the keyboard, and what it signs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey};

use super::environment;
use super::error::AppError;
use super::files::own_file;
use crate::adapters::secrets;
use crate::files::{self, Use};
use crate::model::authority::Authority;
use crate::model::intent::Intent;
use crate::model::policy::Override;
use crate::model::severity::Severity;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::Person;
use crate::plan::Settings;
use crate::planner::approvals::APPROVAL;
use crate::policy::matrix;
use crate::record::action::{Action, Gate};
use crate::record::event::RunCreated;
use crate::record::runbook::Runbook;
use crate::record::statement::{NAMESPACE, Statement};
use crate::world::World;

/// The default validity of a statement: long enough to restart the process that owns the run.
pub const GOOD_FOR: Dur = Dur::mins(60);

/// Asks the person at the terminal for a passphrase.
pub type AskPassphrase = fn(&str) -> std::io::Result<String>;

/// An operator's key.
#[derive(Debug)]
pub struct Signer {
    /// The operator.
    pub name: String,
    how: How,
}

#[derive(Debug)]
enum How {
    File(Box<PrivateKey>),
    /// An SSH agent holds it; this is the file of the public key.
    Agent(PathBuf),
}

impl Signer {
    /// The key named in the settings, and its operator.
    ///
    /// # Errors
    /// If there is none, it cannot be used, or no operator has it.
    pub fn load(settings: &Settings, authority: &Authority, ask: AskPassphrase) -> Result<Self, AppError> {
        let Some(key) = &settings.key else {
            return Err(AppError::usage_fix(
                "drctl.yaml lists operators, so this must be signed, but there is no key to sign with",
                "set DRCTL_KEY to the file of your private key, or of your public key if ssh-agent holds the private key. To create a key, run drctl key new NAME",
            ));
        };
        let path = environment::expand(key);
        let (how, public) = if path.extension().is_some_and(|x| x == "pub") {
            let public = public_file(&path)?;
            (How::Agent(path.clone()), public)
        } else {
            let private = read(&path, settings.key_passphrase_file.as_deref(), ask)?;
            let public = private.public_key().clone();
            (How::File(Box::new(private)), public)
        };
        let Some((name, _)) = authority.owner(&public) else {
            return Err(AppError::usage_fix(
                format!("{} is not the key of any current or former operator in drctl.yaml", path.display()),
                format!("add it under `operators:`: key: \"{}\"", public.to_openssh().unwrap_or_default()),
            ));
        };
        if let Some(claimed) = settings.operator.as_ref().filter(|claimed| *claimed != name) {
            return Err(AppError::usage_fix(
                format!("you claim to be {claimed}, but {} is the key of {name}", path.display()),
                "remove `operator:` and DRCTL_OPERATOR, or use your own key",
            ));
        }
        Ok(Self { name: name.clone(), how })
    }

    /// Signs a statement as this operator, valid from `now` until the given time. `now` is never earlier than the times in the ledger.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn sign(
        &self,
        statement: Statement,
        world: &World,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Person, AppError> {
        let statement = Statement {
            by: self.name.clone(),
            at: now,
            until,
            nonce: format!("{:016x}{:016x}", world.random(), world.random()),
            ..statement
        };
        let text = serde_json::to_string(&statement).map_err(|e| AppError::usage(e.to_string()))?;
        self.sign_as(NAMESPACE, text)
    }

    /// Signs a text for a purpose, as this operator.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn sign_as(&self, namespace: &str, text: String) -> Result<Person, AppError> {
        let signature = match &self.how {
            How::File(key) => key
                .sign(namespace, HashAlg::Sha512, text.as_bytes())
                .and_then(|s| s.to_pem(LineEnding::LF))
                .map_err(|e| AppError::usage(format!("drctl cannot sign it: {e}")))?,
            How::Agent(public) => by_agent(public, namespace, &text)?,
        };
        Ok(Person {
            who: self.name.clone(),
            claimed: false,
            signature: Some(signature),
            statement: Some(text),
        })
    }
}

/// Checks that somebody other than the requester can approve every gate, before anything is fenced.
///
/// # Errors
/// If nobody can.
pub fn somebody_can_approve(
    created: &RunCreated,
    requester: &str,
    settings: &Settings,
) -> Result<(), AppError> {
    let authority = &created.authority;
    let runbook: Runbook =
        serde_json::from_str(&created.runbook).map_err(|e| AppError::usage(e.to_string()))?;
    for step in &runbook.steps {
        let Action::Gate(Gate::Approval { by, override_by, .. }) = &step.action else { continue };
        if override_by.as_ref().is_some_and(|rule| could_override(authority, rule, requester)) {
            continue;
        }
        let Some(whose) = unfilled(authority, by, requester) else { continue };
        let (why, mut fix) = nobody_can(authority, by, requester);
        let rescues = runbook.intent == Intent::Failover && step.id.as_str() == APPROVAL;
        if let Some(by) = rescues.then(|| at_once(created, requester, settings)).flatten() {
            fix.push_str(&format!(". If users are not served, add --severity P0, which requires {by}"));
        }
        let message = format!("{} waits for {}, but {why}", step.id, vacant(authority, by).unwrap_or(&whose));
        return Err(AppError { code: "refused", message, hint: Some(fix), exit: super::exit::REFUSED });
    }
    Ok(())
}

/// A seat that stays empty, because the requester takes none.
fn unfilled(authority: &Authority, by: &[String], requester: &str) -> Option<String> {
    let others: Vec<&str> =
        authority.operators.keys().map(String::as_str).filter(|n| *n != requester).collect();
    let lacking = authority.lacking(by, &others).into_iter().next();
    lacking.or_else(|| others.is_empty().then(|| "somebody".to_owned()))
}

/// A seat whose role no operator has.
fn vacant<'b>(authority: &Authority, by: &'b [String]) -> Option<&'b String> {
    let taken =
        |seat: &String| authority.operators.keys().any(|who| authority.has(who, std::slice::from_ref(seat)));
    by.iter().find(|seat| !taken(seat))
}

/// Why these seats cannot be filled, and what helps.
fn nobody_can(authority: &Authority, by: &[String], requester: &str) -> (String, String) {
    let add = "add an operator with that role to drctl.yaml";
    if vacant(authority, by).is_some() {
        return ("nobody has that role".to_owned(), add.to_owned());
    }
    let all = "not enough people can approve";
    match authority.operators.keys().any(|other| unfilled(authority, by, other).is_none()) {
        true => (
            format!("{all}: {requester} requests the run, and the requester never approves"),
            format!("let somebody else request the run, or {add}"),
        ),
        false => (
            format!("{all}: each role needs a different person, and the requester never approves"),
            add.to_owned(),
        ),
    }
}

/// The roles that approve the same failover as an emergency, if enough people have them.
fn at_once(created: &RunCreated, requester: &str, settings: &Settings) -> Option<String> {
    let text = created.plan_text.as_bytes();
    let plan = crate::plan::check("the plan of the run", text, settings).plan?;
    let demand = matrix::demand_of(&settings.policy, &plan, Intent::Failover, Severity::P0);
    let filled = unfilled(&created.authority, &demand.by, requester).is_none();
    (filled && !demand.by.is_empty()).then(|| demand.by.join(" and "))
}

/// Whether enough people could override an approval that a requester waits for, and ratify that.
pub fn could_override(authority: &Authority, rule: &Override, requester: &str) -> bool {
    let mut commanders =
        authority.operators.keys().filter(|who| *who != requester && authority.has(who, &rule.by));
    commanders.any(|commander| rule.unfilled(authority, commander, requester).is_empty())
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> AppError {
    AppError::usage_fix(
        format!("{} cannot be used as a key: {why}", path.display()),
        "use an OpenSSH Ed25519 key; to create one, run drctl key new NAME",
    )
}

/// A public key: the argument itself, or the content of the file that it names.
///
/// # Errors
/// If it is neither.
pub fn public(named: &str) -> Result<PublicKey, AppError> {
    let bad = |e: ssh_key::Error| {
        AppError::usage(format!("{named} is neither an OpenSSH public key nor the file of one: {e}"))
    };
    match named.starts_with("ssh-") {
        true => PublicKey::from_openssh(named).map_err(bad),
        false => public_file(Path::new(named)),
    }
}

fn public_file(path: &Path) -> Result<PublicKey, AppError> {
    PublicKey::from_openssh(files::text(path, Use::Key)?.trim_end()).map_err(|e| unusable(path, &e))
}

/// The operator whose key the settings name. It asks for no passphrase and proves nothing, because nothing is signed.
pub fn operator(settings: &Settings) -> Option<String> {
    let path = environment::expand(settings.key.as_ref()?);
    let public = match path.extension().is_some_and(|x| x == "pub") {
        true => public_file(&path).ok()?,
        false => load(&path).ok()?.public_key().clone(),
    };
    settings.authority.owner(&public).map(|(name, _)| name.clone())
}

/// Reads a private key, and asks for its passphrase if it has one.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path, passphrase_file: Option<&str>, ask: AskPassphrase) -> Result<PrivateKey, AppError> {
    let key = load(path)?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    let asked = format!("passphrase of {}: ", path.display());
    let otherwise =
        "set DRCTL_KEY_PASSPHRASE_FILE, or let ssh-agent hold the key and name the public key (.pub)";
    let passphrase = passphrase(passphrase_file, &asked, (ask, otherwise))?;
    key.decrypt(passphrase.as_bytes()).map_err(|_| unusable(path, &"the passphrase is wrong"))
}

/// Reads a private key, still encrypted. Its file must not be readable by others.
///
/// # Errors
/// If it cannot be read, or others can read it.
pub fn load(path: &Path) -> Result<PrivateKey, AppError> {
    let file = files::open(path, Use::Key)?;
    if file.is_open_to_others() {
        return Err(AppError::usage_fix(
            format!("others can read {}, so its signatures do not prove that they are yours", path.display()),
            format!("run chmod 600 {}. If somebody read it, create a new key", path.display()),
        ));
    }
    PrivateKey::from_openssh(file.text()?).map_err(|e| unusable(path, &e))
}

/// No message repeats a passphrase.
fn known(passphrase: &str) -> String {
    secrets::learn(passphrase);
    passphrase.to_owned()
}

/// A passphrase from a file, or from the person at the terminal. `otherwise` says what to do without either.
///
/// # Errors
/// If there is neither.
pub fn passphrase(
    file: Option<&str>,
    asked: &str,
    (ask, otherwise): (AskPassphrase, &str),
) -> Result<String, AppError> {
    if let Some(file) = file {
        let path = environment::expand(file);
        let file = files::open(&path, Use::Passphrase)?;
        own_file(&path)?;
        let text = file.text()?;
        return Ok(known(text.trim_end_matches(['\n', '\r'])));
    }
    ask(asked).map(|text| known(&text)).map_err(|e| {
        AppError::usage_fix(format!("no passphrase, and no terminal to ask for one ({e})"), otherwise)
    })
}

/// Signs with OpenSSH, which supports its agent and hardware keys.
fn by_agent(public: &Path, namespace: &str, text: &str) -> Result<String, AppError> {
    let failed = |why: String| {
        AppError::usage_fix(
            format!("ssh-keygen did not sign with {}: {why}", public.display()),
            "run ssh-add -l to list the keys in the agent, or name a private key instead",
        )
    };
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", namespace, "-f"])
        .arg(public)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).map_err(|e| failed(e.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
