//! What every command needs: settings, plans, store and person.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::error::AppError;
use super::files::{apart, rehearsed};
use super::keys::{AskPassphrase, Signer};
use super::paths::{meant, no_plans};
use super::presenter::Presenter;
use super::waived::WaiverRequest;
use super::{anchors, environment, kit, paths, waived};
use crate::adapters::sandbox::{Scenario, scenario::SCENARIOS};
use crate::adapters::{environment_files, process, secrets};
use crate::files::{self, Use};
use crate::journal::sqlite::SqliteJournal;
use crate::model::authority::Authority;
use crate::model::call::quoted;
use crate::model::finding::{Finding, Severity};
use crate::model::ids::{ComponentName, PlanName};
use crate::model::intent::Intent;
use crate::model::ledger::StoreWorld;
use crate::model::notice::SecretAt;
use crate::model::place::Place;
use crate::model::secret::Secret;
use crate::model::severity;
use crate::model::shape::suggest;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::{Person, Rule, Waiver, one_line};
use crate::plan::settings::{Written, placeholders_in};
use crate::plan::{Plan, Settings, terms};
use crate::policy::windows;
use crate::policy::windows::Closed;
use crate::record::event::Signal;
use crate::record::statement::Statement;
use crate::run::RunState;
use crate::world::World;

/// Rehearsals start at this fixed time, so that a seed always produces the same journal.
pub const SANDBOX_BEGAN: Timestamp = Timestamp::from_millis(1_767_236_400_000);

/// Environment variables that hold secrets of the provider.
const KEYS: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// A shorter secret may coincide with an ordinary word of a plan.
const LONG: usize = 16;
/// The store of live runs, from the folder of the settings.
const LIVE: &str = ".drctl/drctl.db";
/// The store of rehearsals.
const REHEARSED: &str = ".drctl/sandbox.db";
/// The finding for a secret in a file.
pub const SECRET: &str = "secret-in-plan";

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
    options: Options,
    /// The unlocked key of the person at the keyboard, so that they enter the passphrase only once.
    signer: Arc<OnceLock<Signer>>,
}

impl Context {
    /// Reads the settings.
    ///
    /// # Errors
    /// If they are not valid. Shows all findings.
    pub fn load(options: &Options, presenter: &dyn Presenter) -> Result<Self, AppError> {
        let (context, findings) = Self::read(options, presenter)?;
        if findings.is_empty() {
            return Ok(context);
        }
        presenter.findings(&findings, &|file| context.text_of(file));
        let of_file = |finding: &&Finding| finding.file == context.written().file;
        Err(match findings.iter().find(of_file) {
            Some(finding) => AppError::usage(format!("{} has errors", finding.file)),
            None => AppError::usage("the settings have errors"),
        })
    }

    /// The text of the settings, if `file` is their file.
    pub fn text_of(&self, file: &str) -> Option<String> {
        let own = self.settings_text.as_ref().filter(|(path, _)| path.display().to_string() == file);
        own.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The settings as written, for findings about them.
    pub fn written(&self) -> Written {
        match &self.settings_text {
            Some((path, bytes)) => Written::of(&path.display().to_string(), bytes),
            None => Written::of("drctl.yaml", b""),
        }
    }

    /// Reads as much of the settings as possible, with all findings.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(options: &Options, presenter: &dyn Presenter) -> Result<(Self, Vec<Finding>), AppError> {
        process::inherit(environment::all);
        if options.sandbox.is_none() {
            environment_files::check(environment_files::ALL).map_err(AppError::usage)?;
        }
        // Programs that reach a host get all of them, and may print them.
        environment::all().iter().for_each(|(name, value)| secrets::learn_variable(name, value));
        let mut base = options.directory.clone().unwrap_or_else(|| PathBuf::from("."));
        if let Some(unpacked) = kit::unpack(options, presenter)? {
            base = unpacked;
        }
        // Beside the plans, or in the folder above them.
        let beside = base.join("plans").join("drctl.yaml");
        let default = if base.join("drctl.yaml").exists() || !beside.exists() {
            base.join("drctl.yaml")
        } else {
            beside
        };
        let path = options.config.clone().unwrap_or(default);
        if let (Some(config), None) = (&options.config, &options.directory) {
            base = config
                .parent()
                .filter(|p| !p.as_os_str().is_empty())
                .map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        }
        let bytes = match files::read(&path, Use::Settings) {
            Ok(bytes) => Some(bytes),
            Err(e) if e.is_missing() && options.config.is_none() => None,
            Err(e) => return Err(e.into()),
        };
        let name = path.display().to_string();
        let file = bytes.as_deref().map(|b| (name.as_str(), b));
        let mut flags = Vec::new();
        if let Some(store) = &options.store {
            flags.push(("store", store.display().to_string()));
        }
        let (mut settings, findings) = Settings::read(file, environment::settings(), &flags);
        if options.sandbox.is_some() {
            let live = Settings::read(file, environment::settings(), &[]).0.store;
            let live = base.join(live.as_deref().unwrap_or(LIVE));
            apart(&options.store.clone().unwrap_or_else(|| base.join(REHEARSED)), &live)?;
        }
        paths::place(&mut settings, &base);
        let settings_text = bytes.map(|b| (path, b));
        let who = settings.operator.clone().unwrap_or_else(environment::os_identity);
        settings.session = format!("drctl-{}-{who}", options.command.join("-"));
        let context = Self {
            base,
            settings,
            settings_text,
            intent: Intent::Failover,
            options: options.clone(),
            signer: Arc::default(),
        };
        // A hook may print its environment.
        for secret in context.held() {
            secrets::learn(secret.expose());
        }
        Ok((context, findings))
    }

    /// Secrets in the environment that channels use.
    fn held(&self) -> impl Iterator<Item = Secret> {
        let all = self.settings.notify.channels.iter().flat_map(|channel| channel.way.secrets());
        all.filter_map(|at| if let SecretAt::Env(name) = at { environment::secret(name) } else { None })
    }

    /// The same context for another intent.
    #[must_use]
    pub fn of(self, intent: Intent) -> Self {
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

    /// Opens the journal. Rehearsals have a store of their own, which never appears in live status or compliance reports.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn store(&self) -> Result<SqliteJournal, AppError> {
        let store = SqliteJournal::open(&self.store_file(), self.world())?;
        store.adopted_by(terms::known(&self.settings.authority));
        anchors::hold(&store)?;
        anchors::hold_to(&store, &self.options.checkpoint)?;
        Ok(store)
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

    /// The files of plans.
    ///
    /// # Errors
    /// If a path cannot be read.
    pub fn plan_files(&self, paths: &[PathBuf]) -> Result<Vec<PathBuf>, AppError> {
        let default = [self.base.join(&self.settings.plans)];
        let paths = if paths.is_empty() { &default[..] } else { paths };
        let mut files = Vec::new();
        for path in paths {
            if !path.is_dir() {
                if paths == default.as_slice() && !path.exists() {
                    return Err(no_plans(&self.base, path));
                }
                files.push(path.clone());
                continue;
            }
            let entries = std::fs::read_dir(path).map_err(|e| AppError::file(path, &e))?;
            let mut found: Vec<_> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
            found.retain(|p| {
                p.extension().is_some_and(|x| x == "yaml" || x == "yml")
                    && p.file_name().is_some_and(|n| n != "drctl.yaml")
            });
            found.sort();
            files.extend(found);
        }
        Ok(files)
    }

    /// Plans by name or file; all plans if none are named. Prints every finding of a plan that cannot be used, and which plans are left
    /// out.
    ///
    /// # Errors
    /// If one is invalid or missing.
    pub fn plans(&self, names: &[String], presenter: &dyn Presenter) -> Result<Vec<Plan>, AppError> {
        let (plans, left_out) = self.usable_plans(names, presenter)?;
        paths::note_left_out(&left_out, presenter);
        Ok(plans)
    }

    /// The same, with the names of the plans that are left out because they have errors.
    ///
    /// # Errors
    /// The same.
    pub fn usable_plans(
        &self,
        names: &[String],
        presenter: &dyn Presenter,
    ) -> Result<(Vec<Plan>, Vec<String>), AppError> {
        let (by_file, by_name): (Vec<_>, Vec<_>) =
            names.iter().partition(|n| n.ends_with(".yaml") || n.ends_with(".yml") || n.contains('/'));
        let paths: Vec<_> = by_file.iter().map(PathBuf::from).collect();
        let files = if names.is_empty() || !by_name.is_empty() {
            [self.plan_files(&[])?, paths].concat()
        } else {
            paths
        };
        let folder = self.base.join(&self.settings.plans);
        let (mut plans, mut broken) = (Vec::<Plan>::new(), Vec::new());
        let (mut known, mut unread) = (Vec::new(), Vec::new());
        for file in files {
            let (checked, text) = self.check_file(&file)?;
            known.extend(checked.plan.as_ref().map(|plan| plan.name.to_string()));
            let named = |plan: &Plan| {
                names.is_empty()
                    || by_file.iter().any(|f| Path::new(f) == file)
                    || by_name.iter().any(|n| **n == plan.name.as_str())
            };
            match checked.plan {
                Some(plan) if named(&plan) => {
                    paths::outside(presenter, &plan.name, (&file, &folder));
                    plans.push(plan);
                }
                Some(_) => {}
                None => {
                    let errors: Vec<_> =
                        checked.findings.into_iter().filter(|f| f.severity == Severity::Error).collect();
                    presenter.findings(&errors, &|_| Some(text.clone()));
                    broken.push(
                        checked.name.as_ref().map_or_else(|| file.display().to_string(), PlanName::to_string),
                    );
                    unread.extend(checked.name);
                }
            }
        }
        if let Some(missing) = by_name.iter().find(|n| !plans.iter().any(|p| p.name.as_str() == n.as_str())) {
            if unread.iter().any(|name| name.as_str() == missing.as_str()) {
                let why = format!("plan {missing} has errors");
                return Err(AppError::usage_fix(why, "correct the findings above"));
            }
            let hint = meant(missing, &known, !broken.is_empty());
            return Err(AppError::usage_fix(
                format!("plan `{missing}` does not exist in {}", folder.display()),
                hint,
            ));
        }
        // An invalid plan must not block the recovery of the others: one that was not named is skipped with a message.
        if !broken.is_empty() && (names.is_empty() || !by_file.is_empty()) && plans.is_empty() {
            let which: String = by_file.iter().map(|file| format!(" {}", quoted(file))).collect();
            let fix = format!("correct the findings above; to show them again, run drctl check{which}");
            return Err(AppError::usage_fix("every plan has errors", fix));
        }
        if plans.is_empty() {
            return Err(no_plans(&self.base, &folder));
        }
        // Somebody who names plans knows which ones the command is about.
        let left_out = if by_name.is_empty() { broken } else { Vec::new() };
        Ok((plans, left_out))
    }

    /// One plan, by name or file.
    ///
    /// # Errors
    /// If it is invalid or missing, or if there are several.
    pub fn plan(&self, name: &str, presenter: &dyn Presenter) -> Result<Plan, AppError> {
        let mut plans = self.plans(std::slice::from_ref(&name.to_owned()), presenter)?;
        match (plans.pop(), plans.is_empty()) {
            (Some(plan), true) => Ok(plan),
            _ => Err(AppError::usage_fix(
                format!("`{name}` matches more than one plan or none"),
                "name one plan",
            )),
        }
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

    /// Reads and checks one file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn check_file(&self, file: &Path) -> Result<(crate::plan::Checked, String), AppError> {
        let name = file.display().to_string();
        let bytes = match files::read(file, Use::Plan) {
            Ok(bytes) => bytes,
            Err(e) if e.is_missing() => return Err(e.into()),
            // The plans beside it stay usable.
            Err(e) => {
                let finding = Finding::error("plan-unreadable", &name, None, "drctl cannot read the plan")
                    .because(e.why.to_string())
                    .fix(e.fix());
                let unread = crate::plan::Checked { findings: vec![finding], ..Default::default() };
                return Ok((unread, String::new()));
            }
        };
        let mut checked = crate::plan::check(&name, &bytes, &self.settings);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // A plan may legitimately contain the address of a channel.
        let names_nothing = |secret: &Secret| !secret.expose().starts_with("http");
        let held = KEYS.into_iter().filter_map(environment::secret).chain(self.held().filter(names_nothing));
        if held.into_iter().any(|secret| secret.expose().len() >= LONG && text.contains(secret.expose())) {
            let finding =
                Finding::error(SECRET, &name, None, "the file contains a secret of this environment")
                    .because("drctl stores plans unchanged in journals, evidence and go-bags")
                    .fix("remove the secret from the file, then rotate it");
            checked.findings.push(finding);
            checked.plan = None;
        }
        Ok((checked, text))
    }

    /// The waivers that a person typed.
    ///
    /// # Errors
    /// If one names no rule or a rule that cannot be waived, or lacks a reason or a bound.
    pub fn waivers(&self, asked: &WaiverRequest) -> Result<Vec<Waiver>, AppError> {
        let accept_loss_ms =
            asked.accept_data_loss.as_deref().map(Dur::parse).transpose().map_err(AppError::usage)?;
        waived::names_a_risk(asked)?;
        asked.waive.iter().map(|text| self.waiver(text, asked.reason.as_deref(), accept_loss_ms)).collect()
    }

    fn waiver(
        &self,
        text: &str,
        reason: Option<&str>,
        accept_loss_ms: Option<Dur>,
    ) -> Result<Waiver, AppError> {
        let (id, component) =
            text.split_once(':').map_or((text, None), |(id, c)| (id, Some(ComponentName::new(c))));
        let rule = Rule::from_id(id).ok_or_else(|| {
            let hint = suggest(id, Rule::ALL.iter().map(|r| r.id()))
                .map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
            AppError::usage_fix(format!("rule `{id}` does not exist{hint}"), "run drctl explain for the list")
        })?;
        if !rule.waivable() {
            return Err(AppError::usage_fix(
                format!("`{rule}` cannot be waived"),
                format!("run drctl explain {rule} to see what to do instead"),
            ));
        }
        let Some(reason) = reason.filter(|r| !r.trim().is_empty()) else {
            let flag = match rule {
                Rule::GuardHeld => "--take-over".to_owned(),
                _ => format!("--waive {text}"),
            };
            return Err(AppError::usage_fix(
                format!("`{flag}` needs a reason"),
                "add --reason TEXT; it goes into the journal and every report",
            ));
        };
        if rule.needs_loss_bound() && accept_loss_ms.is_none() {
            return Err(AppError::usage_fix(
                format!("`--waive {text}` needs a bound on the loss"),
                "add --accept-data-loss 5m, with the loss that you accept",
            ));
        }
        let accept_loss_ms = accept_loss_ms.filter(|_| rule.needs_loss_bound());
        Ok(Waiver { rule, component, accept_loss_ms, reason: one_line(reason), who: self.person() })
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
