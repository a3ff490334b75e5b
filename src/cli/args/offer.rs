//! Options that every command takes, and that mean nothing to some: those neither show nor take them.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

/// A rehearsal of its own.
const REHEARSES: &[&str] = &["sandbox", "seed", "pace"];
/// How a rehearsal continues, for a command that only reads its journal or adds to it.
const DRIVES: &[&str] = &["seed", "pace"];
/// A go-bag.
const KIT: &[&str] = &["kit", "kit_key", "accept_unsigned_kit"];
/// Loss, where nothing is lost or nothing is done.
const LOSS: &[&str] = &["accept_data_loss"];

/// What means nothing to a command.
fn meaningless(verbs: &[&str]) -> Vec<&'static [&'static str]> {
    match verbs {
        ["init" | "explain" | "schema" | "completions" | "key", ..] => vec![REHEARSES, KIT],
        ["check" | "policy", ..] => vec![REHEARSES],
        ["switchover" | "failback" | "reprotect", ..] => vec![LOSS],
        ["status" | "schedules" | "notify" | "duties" | "kit" | "report" | "audit" | "evidence", ..]
        | ["approve" | "reject" | "override" | "ack", ..]
        | ["runs", "list" | "show" | "watch" | "pause" | "skip" | "done" | "replay" | "export", ..]
        | ["runs", "import" | "adopt" | "approve" | "reject" | "override" | "ack", ..] => vec![DRIVES],
        _ => Vec::new(),
    }
}

/// Whether a command does or shows something else with `--sandbox`.
pub fn rehearses(verb: &str) -> bool {
    !meaningless(&[verb]).concat().contains(&"sandbox")
}

/// Leaves what means nothing to a command out of its help and completions.
pub fn only_what_fits(command: Command) -> Command {
    let global: Vec<Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    hidden(command, &global, &[])
}

/// A command that has an option of its own gets none of that name from above.
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

/// Refuses what means nothing to the command that was typed.
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
    let options = meaningless(&verbs).concat();
    let Some(option) = options.iter().find(typed) else { return Ok(()) };
    let (option, verb) = (option.replace('_', "-"), verbs.join(" "));
    let why = match option.as_str() {
        "sandbox" => "it is no rehearsal and reads no journal of one",
        "seed" | "pace" => "it drives no rehearsal",
        "accept-data-loss" => "it loses nothing, or does nothing",
        _ => "it reads no plans and no journal",
    };
    let text = format!(
        "--{option} means nothing to `drctl {verb}`: {why}\n\nfix: leave it out; drctl {verb} --help shows what it takes\n"
    );
    Err(clap::Error::raw(ErrorKind::ArgumentConflict, text))
}
