//! Reads the settings that a command works with.

use std::path::PathBuf;
use std::sync::Arc;

use super::context::{Context, LIVE, Options, REHEARSED};
use super::error::AppError;
use super::files::apart;
use super::presenter::Presenter;
use super::{environment, kit, paths};
use crate::adapters::{environment_files, process, secrets};
use crate::files::{self, Use};
use crate::model::finding::Finding;
use crate::model::intent::Intent;
use crate::plan::Settings;
use crate::plan::settings::{hide_secrets, secrets_in};

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
        presenter.findings(&context.findings_of_settings(findings.clone()), &|file| context.text_of(file));
        let of_file = |finding: &&Finding| finding.file == context.written().file;
        Err(match findings.iter().find(of_file) {
            Some(finding) => AppError::usage(format!("{} has errors", finding.file)),
            None => AppError::usage("the settings have errors"),
        })
    }

    /// The findings of settings that cannot be used. No line with a secret is shown.
    pub fn findings_of_settings(&self, mut found: Vec<Finding>) -> Vec<Finding> {
        if let Some((path, bytes)) = &self.settings_text {
            found.extend(secrets_in(&path.display().to_string(), bytes));
            hide_secrets(&mut found);
        }
        found
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
            base = paths::base_of(config);
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
}
