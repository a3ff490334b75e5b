//! Global options that have no effect on some commands. Those commands neither show nor accept them.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::starting::{DrillMode, IntentArg};

/// Options of a new rehearsal.
const REHEARSES: &[&str] = &["sandbox", "seed", "pace"];
/// Options for running a rehearsal. Commands that only read or extend its journal do not need them.
const DRIVES: &[&str] = &["seed", "pace"];
/// The speed of a rehearsal, for commands that only look: nothing is shown until they have looked.
const PACE: &[&str] = &["pace"];
/// Options of a go-bag.
const KIT: &[&str] = &["kit", "kit_key", "accept_unsigned_kit"];
/// The accepted loss, for commands that lose nothing or change nothing.
const LOSS: &[&str] = &["accept_data_loss"];

/// The options that have no effect on a command.
fn meaningless(verbs: &[&str]) -> Vec<&'static [&'static str]> {
    match verbs {
        ["init" | "explain" | "schema" | "completions" | "key", ..] => vec![REHEARSES, KIT],
        ["check" | "policy", ..] => vec![REHEARSES],
        ["switchover" | "failback" | "reprotect", ..] => vec![LOSS],
        ["status" | "schedules" | "notify" | "duties" | "kit" | "report" | "audit" | "evidence", ..]
        | ["approve" | "reject" | "override" | "ack", ..]
        | ["runs", "list" | "show" | "watch" | "pause" | "skip" | "done" | "replay" | "export", ..]
        | ["runs", "import" | "adopt" | "approve" | "reject" | "override" | "ack", ..] => vec![DRIVES],
        ["plan" | "assess" | "ready" | "observe" | "doctor", ..] => vec![PACE],
        _ => Vec::new(),
    }
}

/// Whether a global option has an effect on a command, so that a printed command needs it.
pub fn takes(verb: &str, option: &str) -> bool {
    match (verb, option) {
        ("explain" | "schema" | "completions", "directory" | "config" | "store")
        | ("init", "config" | "store")
        // A go-bag is always made of the live store, and of the plans and the settings beside it.
        | ("kit", "sandbox" | "kit" | "kit_key" | "accept_unsigned_kit") => false,
        _ => !meaningless(&[verb]).concat().contains(&option),
    }
}

/// Hides options without effect from the help and completions of each command.
pub fn only_what_fits(command: Command) -> Command {
    let global: Vec<Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    hidden(command, &global, &[])
}

/// Hides them for one command. An option of its own with the same name is hidden in its place.
fn hidden(command: Command, global: &[Arg], verbs: &[&str]) -> Command {
    let mut command = command;
    for id in meaningless(verbs).concat() {
        let own = command.get_arguments().any(|arg| arg.get_id() == id);
        command = match global.iter().find(|arg| arg.get_id() == id) {
            Some(arg) if !own => command.arg(arg.clone().hide(true)),
            _ if own => command.mut_arg(id, |arg| arg.hide(true)),
            _ => command,
        };
    }
    command.mut_subcommands(|sub| {
        let name = sub.get_name().to_owned();
        hidden(sub, global, &[verbs, &[name.as_str()]].concat())
    })
}

/// Whether the command simulates without `--sandbox`: a drill in the mode `rehearsal`.
fn simulates(command: &ArgMatches) -> bool {
    let mode = command.try_get_one::<DrillMode>("mode").ok().flatten();
    matches!(mode, Some(DrillMode::Rehearsal))
}

/// Whether the command starts or shows a run that loses nothing: a drill that is no failover, or the runbook of a planned move.
fn loses_nothing(command: &ArgMatches) -> bool {
    let mode = command.try_get_one::<DrillMode>("mode").ok().flatten();
    let intent = command.try_get_one::<IntentArg>("intent").ok().flatten();
    matches!(mode, Some(DrillMode::Isolated | DrillMode::Live))
        || intent.is_some_and(|intent| !matches!(intent, IntentArg::Failover))
}

/// Refuses options that have no effect on the given command, and options of a rehearsal for a command that is live.
///
/// # Errors
/// With the option and the command.
pub fn refuse(matches: &ArgMatches) -> Result<(), clap::Error> {
    let (mut verbs, mut at) = (Vec::new(), matches);
    while let Some((verb, of)) = at.subcommand() {
        verbs.push(verb);
        at = of;
    }
    let typed =
        |id: &&&str| at.try_contains_id(id).is_ok() && at.value_source(id) == Some(ValueSource::CommandLine);
    let options =
        [meaningless(&verbs).concat(), LOSS.iter().filter(|_| loses_nothing(at)).copied().collect()].concat();
    let verb = verbs.join(" ");
    let Some(option) = options.iter().find(typed) else {
        let Some(option) = DRIVES.iter().find(typed).filter(|_| !typed(&&"sandbox") && !simulates(at)) else {
            return Ok(());
        };
        // Somebody who types it wants a rehearsal. Without --sandbox the same command changes real things.
        let text = format!(
            "--{option} is for rehearsals, but `drctl {verb}` without --sandbox is live\n\nfix: add --sandbox to rehearse, or omit --{option}\n"
        );
        return Err(clap::Error::raw(ErrorKind::MissingRequiredArgument, text));
    };
    let option = option.replace('_', "-");
    let why = match option.as_str() {
        "sandbox" => "the command runs no rehearsal, and reads no journal of a rehearsal",
        "seed" | "pace" => "the command runs no rehearsal",
        "accept-data-loss" => "the command loses no data, or changes nothing",
        _ => "the command reads no plans and no journal",
    };
    let text = format!(
        "--{option} has no effect on `drctl {verb}`: {why}\n\nfix: omit the option; drctl {verb} --help lists the options\n"
    );
    Err(clap::Error::raw(ErrorKind::ArgumentConflict, text))
}
