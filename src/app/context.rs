//! What every command needs: settings, plans, store and person.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::environment;
use super::error::AppError;
use super::files::rehearsed;
use super::keys::{self, AskPassphrase, Signer};
use super::older::Older;
use crate::adapters::sandbox::scenario::SCENARIOS;
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::world::scenario::Scenario;
use crate::model::authority::Authority;
use crate::model::finding::Finding;
use crate::model::ids::PlanName;
use crate::model::intent::Intent;
use crate::model::ledger::StoreWorld;
use crate::model::notice::SecretAt;
use crate::model::place::Place;
use crate::model::secret::Secret;
use crate::model::severity;
use crate::model::shape::suggest;
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::plan::settings::{Written, placeholders_in};
use crate::plan::{Plan, Settings};
use crate::policy::windows;
use crate::policy::windows::Closed;
use crate::record::event::Signal;
use crate::record::statement::Statement;
use crate::run::RunState;
use crate::world::World;

/// Rehearsals start at this fixed time, so that a seed always produces the same journal.
pub const SANDBOX_BEGAN: Timestamp = Timestamp::from_millis(1_767_236_400_000);

/// The store of live runs, from the folder of the settings.
pub(super) const LIVE: &str = ".drctl/drctl.db";
/// The store of rehearsals.
pub(super) const REHEARSED: &str = ".drctl/sandbox.db";

/// Where a command works, and in which world.
#[derive(Clone, Debug)]
pub struct Options {
    /// The words of the command, such as `runs` and `resume`.
    pub command: Vec<String>,
    /// The folder to work in.
    pub directory: Option<PathBuf>,
    /// The file of the settings.
    pub config: Option<PathBuf>,
    /// The file of the journal.
    pub store: Option<PathBuf>,
    /// Checkpoints that were kept elsewhere.
    pub checkpoint: Vec<PathBuf>,
    /// The go-bag to work from.
    pub kit: Option<PathBuf>,
    /// The trusted keys of the go-bag.
    pub kit_key: Vec<String>,
    /// Who accepts an unsigned go-bag, and why.
    pub accept_unsigned_kit: Option<String>,
    /// The scenario of a rehearsal; empty for one that fits the command.
    pub sandbox: Option<String>,
    /// The seed of a rehearsal.
    pub seed: u64,
    /// Virtual seconds in one real second of a rehearsal.
    pub pace: Option<f64>,
    /// Asks for a passphrase.
    pub ask: AskPassphrase,
    /// Whether the store turns out to be older than something signed about it.
    pub older: Older,
}

/// The settings and their location.
#[derive(Clone)]
pub struct Context {
    /// The folder of the settings.
    pub base: PathBuf,
    /// The settings.
    pub settings: Settings,
    /// The settings' bytes, if there is a file.
    pub settings_text: Option<(PathBuf, Vec<u8>)>,
    /// The intent of the command: a rehearsal without a named scenario uses a suitable one.
    pub intent: Intent,
    pub(super) options: Options,
    /// The unlocked key of the person at the keyboard, so that they enter the passphrase only once.
    pub(super) signer: Arc<OnceLock<Signer>>,
}

impl Context {
    /// The text of the settings, if `file` is their file.
    pub fn text_of(&self, file: &str) -> Option<String> {
        let own = self.settings_text.as_ref().filter(|(path, _)| path.display().to_string() == file);
        own.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The settings as written, for findings about them.
    pub fn written(&self) -> Written {
        match &self.settings_text {
            Some((path, bytes)) => Written::parse(&path.display().to_string(), bytes),
            None => Written::parse("drctl.yaml", b""),
        }
    }

    /// Secrets in the environment that channels use.
    pub(super) fn held(&self) -> impl Iterator<Item = Secret> {
        let all = self.settings.notify.channels.iter().flat_map(|channel| channel.way.secrets());
        all.filter_map(|at| if let SecretAt::Env(name) = at { environment::secret(name) } else { None })
    }

    /// The same context for another intent.
    #[must_use]
    pub fn with_intent(self, intent: Intent) -> Self {
        Self { intent, ..self }
    }

    /// The scenario of a rehearsal, if this is one.
    ///
    /// # Errors
    /// If there is no such scenario.
    pub fn scenario(&self) -> Result<Option<Scenario>, AppError> {
        let name = match self.options.sandbox.as_deref() {
            None => return Ok(None),
            Some("") => Scenario::default_for(self.intent),
            Some(name) => name,
        };
        scenario_named(name).map(Some)
    }

    /// Where the command works.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The words of the command, without its arguments, which may contain anything.
    pub fn command(&self) -> Option<String> {
        let words = &self.options.command;
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// The seed of a rehearsal.
    pub const fn seed(&self) -> u64 {
        self.options.seed
    }

    /// Virtual seconds in one real second.
    pub const fn pace(&self) -> Option<f64> {
        self.options.pace
    }

    /// The world that this command is for.
    pub const fn world(&self) -> StoreWorld {
        if self.is_rehearsal() { StoreWorld::Sandbox } else { StoreWorld::Live }
    }

    /// The journal's file.
    pub fn store_file(&self) -> PathBuf {
        match (&self.options.store, self.is_rehearsal()) {
            (Some(path), _) => path.clone(),
            (None, true) => self.base.join(REHEARSED),
            (None, false) => self.base.join(self.settings.store.as_deref().unwrap_or(LIVE)),
        }
    }

    /// The folder of run locks, beside the journal.
    pub fn lock_folder(journal: &SqliteJournal) -> PathBuf {
        journal
            .path()
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
    }

    /// The location of a plan's guards. It contains the plan's name, because two plans may both have a `db`.
    pub fn guard_of(&self, plan: &Plan) -> Option<Place> {
        let guard = self.settings.guard.clone()?;
        Some(Place { name: format!("{}/{}", guard.name.trim_end_matches('/'), plan.name), ..guard })
    }

    /// The operators whose statements a new run accepts. A rehearsal without a key accepts plain names, because it changes and proves
    /// nothing.
    pub fn authority(&self) -> Authority {
        let rehearsed = self.options.sandbox.is_some() && self.settings.key.is_none();
        if rehearsed { Authority::default() } else { self.settings.authority.clone() }
    }

    /// The severity: the given one, or the default of the policy if there is one.
    pub fn severity(&self, given: Option<severity::Severity>, intent: Intent, drill: bool) -> Option<String> {
        let usual = || self.settings.policy.severity(given, intent, drill);
        let known = if self.authority().is_empty() { given } else { Some(usual()) };
        known.map(|severity| severity.to_string())
    }

    /// Whether the command changes nothing real.
    pub const fn is_rehearsal(&self) -> bool {
        self.options.sandbox.is_some()
    }

    /// The settings, for a live command.
    ///
    /// # Errors
    /// If they still contain a placeholder.
    pub fn in_earnest(&self) -> Result<&Settings, AppError> {
        let left = self
            .settings_text
            .iter()
            .flat_map(|(path, bytes)| placeholders_in(&path.display().to_string(), bytes));
        match left.into_iter().next() {
            Some(found) => {
                let at = found.span.map_or_else(String::new, |s| format!(":{}:{}", s.line, s.column));
                Err(AppError::usage_fix(format!("{}{at}: {}", found.file, found.message), found.fix))
            }
            None => Ok(&self.settings),
        }
    }

    /// The same for a fleet: its ID is part of the session names of all its runs.
    #[must_use]
    pub fn of_fleet(&self, id: &str) -> Self {
        let mut fleet = self.clone();
        let who = self.settings.operator.clone().unwrap_or_else(environment::os_identity);
        fleet.settings.session = format!("drctl-{}-fleet-{id}-{who}", self.options.command.join("-"));
        fleet
    }

    /// The windows that prevent a start now. A rehearsal has its own time and can start at any time.
    pub fn closed(
        &self,
        plan: &PlanName,
        (given, intent, drill): (Option<severity::Severity>, Intent, bool),
        now: Timestamp,
    ) -> Vec<Closed> {
        if self.is_rehearsal() {
            return Vec::new();
        }
        let policy = &self.settings.policy;
        windows::closed(policy, plan, policy.severity(given, intent, drill), now)
    }

    /// Unlocks the key if runs are signed, before anything that takes time.
    ///
    /// # Errors
    /// If there is no key to sign with.
    pub fn unlock(&self) -> Result<Option<&Signer>, AppError> {
        if self.authority().is_empty() {
            return Ok(None);
        }
        if self.signer.get().is_none() {
            // If another thread was faster, it has unlocked the same key.
            drop(self.signer.set(Signer::load(&self.settings, &self.authority(), self.options.ask)?));
        }
        Ok(self.signer.get())
    }

    /// Loads the key of one of these operators. A person may take time to enter the passphrase, so the time of a signature is read after
    /// that.
    ///
    /// # Errors
    /// If there is no such key.
    pub fn take_key(&self, operators: &Authority) -> Result<(), AppError> {
        if self.signer.get().is_none() {
            drop(self.signer.set(Signer::load(&self.settings, operators, self.options.ask)?));
        }
        Ok(())
    }

    /// A signed signal to a run.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn signed_signal(
        &self,
        state: &RunState,
        signal: &Signal,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Person, AppError> {
        self.take_key(&state.created.authority)?;
        let signer = self.signer.get().ok_or_else(|| AppError::usage("no key found"))?;
        let world = World::live().map_err(|e| AppError::usage(format!("no clock: {e}")))?;
        let to = state.runbook.to.as_str();
        signer.sign(Statement::about(&state.created, to, Some(signal.clone())), &world, (now, until))
    }

    /// The person at the keyboard. Unless signed, the name is only a claim.
    pub fn person(&self) -> Person {
        if let Some(signer) = self.signer.get() {
            return Person::claimed(signer.name.clone());
        }
        let os = environment::os_identity();
        Person::claimed(
            self.settings.operator.as_ref().map_or_else(|| os.clone(), |name| format!("{name} ({os})")),
        )
    }

    /// The operator whose key signs what is requested, also before the key is unlocked. None if nothing is signed, or no operator has the
    /// key.
    pub fn signs_as(&self) -> Option<String> {
        if self.authority().is_empty() {
            return None;
        }
        self.signer.get().map(|signer| signer.name.clone()).or_else(|| keys::operator(&self.settings))
    }

    /// The person who requests a run, as its runbook names them. A dry run unlocks no key and names the same person.
    pub fn requester(&self) -> Person {
        self.signs_as().map_or_else(|| self.person(), Person::claimed)
    }

    /// The same context as a rehearsal of this scenario.
    #[must_use]
    pub fn rehearsing(&self, scenario: &str) -> Self {
        let mut rehearsing = self.clone();
        rehearsing.options.sandbox = Some(scenario.to_owned());
        // A rehearsal never writes to the journal of live runs.
        if let Some(named) = &mut rehearsing.options.store {
            *named = rehearsed(named);
            rehearsing.settings.store = Some(named.display().to_string());
        }
        rehearsing
    }
}

/// A scenario by its name.
///
/// # Errors
/// If there is none, with the list of all.
pub fn scenario_named(name: &str) -> Result<Scenario, AppError> {
    Scenario::find(name).ok_or_else(|| {
        let names: Vec<_> = SCENARIOS.iter().map(|s| s.name).collect();
        let hint = suggest(name, names.iter().copied())
            .map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
        AppError::usage_fix(
            format!("scenario `{name}` does not exist{hint}"),
            format!("choose one of: {}. If `{name}` is a plan, write it before --sandbox", names.join(", ")),
        )
    })
}

/// Findings of several files, as JSON.
pub fn findings_json(findings: &[Finding]) -> serde_json::Value {
    serde_json::to_value(findings).unwrap_or_default()
}
