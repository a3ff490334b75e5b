//! Shell completion: offers existing plans, sites, components, runs and steps for the word that is being typed.
//!
//! The shell runs this program on each press of the completion key, so nothing here prints, uses the network or writes.

use std::path::PathBuf;

use clap::{Arg, Command, Parser as _};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use super::args::{Cli, Global};
use crate::adapters::sandbox::scenario::SCENARIOS;
use crate::app::context::Context;
use crate::app::presenter::Quiet;
use crate::executor::create::replay;
use crate::journal::Journal as _;
use crate::journal::sqlite::SqliteJournal;
use crate::model::duty::{Decision, Duty};
use crate::model::severity::Severity;
use crate::model::waiver::{Rule, Scope};
use crate::plan::{Plan, catalog};

/// Set only by the scripts of `drctl completions`.
const ASKED: &str = "_DRCTL_COMPLETE";
/// Maximum number of runs offered.
const RUNS: usize = 50;

/// If a shell asks for completions, answers and ends this process; otherwise does nothing.
pub fn answer(line: fn() -> Command) {
    CompleteEnv::with_factory(|| command(line())).var(ASKED).bin("drctl").completer("drctl").complete();
}

/// The command line with what is typed without its verb: `drctl plan NAME` shows a plan.
fn command(line: Command) -> Command {
    line.mut_subcommand("plan", |plan| {
        plan.arg(Arg::new("shown").value_name("PLAN").add(ArgValueCandidates::new(plans)))
    })
}

/// The script that lets a shell ask.
///
/// # Errors
/// If there is none for this shell.
pub fn script(shell: &str) -> std::io::Result<String> {
    let missing = || std::io::Error::other(format!("no completions for {shell}"));
    let known = Shells::builtins();
    let mut script = Vec::new();
    known.completer(shell).ok_or_else(missing)?.write_registration(
        ASKED,
        "drctl",
        "drctl",
        "drctl",
        &mut script,
    )?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Adds completion to a command's arguments, by what they stand for.
pub fn offered(command: Command) -> Command {
    command.mut_args(candidates).mut_subcommands(offered)
}

fn candidates(arg: Arg) -> Arg {
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let fill: fn() -> Vec<CompletionCandidate> = match (arg.get_id().as_str(), value.as_deref()) {
        (_, Some("SITE")) => sites,
        (_, Some("COMPONENT")) => components,
        (_, Some("SCENARIO")) => scenarios,
        ("plan" | "plans", _) => plans,
        ("run", _) => runs,
        ("step", _) => steps,
        ("waive", _) => waivable,
        ("severity", _) => severities,
        ("tier", _) => tiers,
        ("decide", _) => decisions,
        ("duty", _) => duties,
        ("id", _) => explained,
        _ => return arg,
    };
    arg.add(ArgValueCandidates::new(fill))
}

/// The options typed so far that determine the location of settings and store.
fn typed() -> Option<Global> {
    let words: Vec<String> = std::env::args_os().skip(1).filter_map(|word| word.into_string().ok()).collect();
    let mut global = Cli::try_parse_from(["drctl", "status"]).ok()?.global;
    for (i, word) in words.iter().enumerate() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(PathBuf::from(value))),
            None => (word.as_str(), words.get(i + 1).map(PathBuf::from)),
        };
        match option {
            "-C" => global.directory = value,
            "--config" => global.config = value,
            "--store" => global.store = value,
            "--sandbox" => global.sandbox = Some(String::new()),
            _ => {}
        }
    }
    Some(global)
}

fn context() -> Option<Context> {
    Context::load(&typed()?.options(), &Quiet).ok()
}

fn all_plans() -> Vec<Plan> {
    context().and_then(|context| context.plans(&[], &Quiet).ok()).unwrap_or_default()
}

fn store() -> Option<SqliteJournal> {
    let context = context()?;
    // Completion must not create a store.
    context.store_file().exists().then(|| context.store().ok())?
}

fn named(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn plans() -> Vec<CompletionCandidate> {
    named(all_plans().iter().map(|plan| plan.name.to_string()))
}

fn sites() -> Vec<CompletionCandidate> {
    named(all_plans().iter().flat_map(|plan| plan.sites.keys().map(ToString::to_string)))
}

fn components() -> Vec<CompletionCandidate> {
    named(all_plans().iter().flat_map(|plan| plan.components.keys().map(ToString::to_string)))
}

/// Refusals that a person may accept, alone and with each component of the plans.
fn waivable() -> Vec<CompletionCandidate> {
    let components: Vec<String> = all_plans()
        .iter()
        .flat_map(|plan| plan.components.keys().map(ToString::to_string).collect::<Vec<_>>())
        .collect();
    let of = |rule: &Rule| {
        let with = components.iter().filter(|_| rule.scope() != Scope::Run);
        let with: Vec<String> = with.map(|component| format!("{}:{component}", rule.id())).collect();
        [vec![rule.id().to_owned()], with].concat()
    };
    named(Rule::ALL.iter().filter(|rule| rule.waivable()).flat_map(of))
}

fn severities() -> Vec<CompletionCandidate> {
    named(Severity::ALL.iter().map(|severity| severity.id().to_owned()))
}

fn tiers() -> Vec<CompletionCandidate> {
    let known = context().map(|context| context.settings.tiers.keys().cloned().collect::<Vec<_>>());
    named(known.unwrap_or_default())
}

fn decisions() -> Vec<CompletionCandidate> {
    named(Decision::ALL.iter().map(|decision| decision.id().to_owned()))
}

fn duties() -> Vec<CompletionCandidate> {
    named(Duty::ALL.iter().map(|duty| duty.id().to_owned()))
}

/// The findings and refusals that have an explanation.
fn explained() -> Vec<CompletionCandidate> {
    named(catalog::ids().map(str::to_owned))
}

fn scenarios() -> Vec<CompletionCandidate> {
    named(SCENARIOS.iter().map(|scenario| scenario.name.to_owned()))
}

/// Newest first.
fn runs() -> Vec<CompletionCandidate> {
    let all = store().and_then(|store| store.all_runs().ok()).unwrap_or_default();
    let ids = all.iter().rev().take(RUNS).map(|row| row.run.to_string());
    ids.enumerate().map(|(i, id)| CompletionCandidate::new(id).display_order(Some(i))).collect()
}

/// The steps of unfinished runs, in the order of their runbooks. Finished runs cannot be controlled.
fn steps() -> Vec<CompletionCandidate> {
    let Some(store) = store() else { return Vec::new() };
    let all = store.all_runs().unwrap_or_default();
    let open = all.iter().rev().filter(|row| !row.finished).take(RUNS);
    let states = open.filter_map(|row| replay(&row.run, &store.read(&row.run).ok()?).ok());
    let mut seen = Vec::new();
    for state in states {
        for step in &state.runbook.steps {
            if !seen.contains(&step.id) {
                seen.push(step.id.clone());
            }
        }
    }
    let words = seen.into_iter().enumerate();
    words.map(|(i, id)| CompletionCandidate::new(id.to_string()).display_order(Some(i))).collect()
}
