//! The command line as it is offered and read: what no derive can say.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::args::{Cli, offer};
use super::complete;
use crate::adapters::sandbox::scenario::SCENARIOS;
use crate::model::shape::suggest;

/// Commands by what somebody wants.
const GROUPS: &[(&str, &[&str])] = &[
    ("Write plans", &["init", "check", "explain", "plan", "schema"]),
    ("Look", &["observe", "status", "ready", "assess", "doctor"]),
    ("Recover", &["failover", "switchover", "failback", "reprotect", "restore"]),
    ("Steer runs", &["runs", "approve", "reject", "override", "ack"]),
    ("Prove", &["drill", "duties", "report", "audit", "evidence", "policy", "key"]),
    ("Serve", &["serve", "notify", "kit", "completions"]),
];
/// Commands that belong to another one, which may be typed before them.
const PARTS: &[[&str; 2]] = &[["drill", "schedules"], ["policy", "key"]];

/// The command line.
pub fn command() -> clap::Command {
    let cli = Cli::command().mut_subcommands(|verb| {
        let target = match verb.get_name() {
            "failover" => "The site to recover to",
            "switchover" => "The site to move to",
            "reprotect" => "The site of the new standbys",
            // A failback has a home to go to.
            "failback" => {
                return verb.mut_arg("to", |to| {
                    to.help("The site to return to [default: the home site of the plan]")
                });
            }
            _ => return verb,
        };
        verb.mut_arg("to", |to| to.help(target).required(true).default_value(None::<&str>))
    });
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}Options:\n{{options}}{{after-help}}",
        groups(&cli)
    );
    offer::only_what_fits(complete::offered(cli.help_template(template)))
}

/// So much of what a command does has room beside its name on a terminal of 80 columns.
const WIDE: usize = 65;

fn beginning<'t>(text: &'t str, end: &str) -> &'t str {
    text.split(end).next().unwrap_or_default()
}

/// Every command in its group, each in a line.
fn groups(cli: &clap::Command) -> String {
    let line = |name: &&str| {
        let about = cli.find_subcommand(name).and_then(clap::Command::get_about);
        let about = about.map(ToString::to_string).unwrap_or_default();
        let first = ["; ", ": "].iter().fold(about.as_str(), |text, end| beginning(text, end));
        let first = if first.chars().count() > WIDE { beginning(first, ", ") } else { first };
        format!("  {name:<12}{first}\n")
    };
    let group = |(title, names): &(&str, &[&str])| {
        format!("{title}:\n{}\n", names.iter().map(line).collect::<String>())
    };
    GROUPS.iter().map(group).collect()
}

/// Parses what was typed.
///
/// # Errors
/// The error message of clap.
pub fn parse(typed: impl IntoIterator<Item = OsString>) -> Result<(Cli, ArgMatches), clap::Error> {
    let words = read(typed.into_iter().collect());
    let matches = match command().try_get_matches_from(&words) {
        Err(e) => match with_show(&words, &e) {
            Some(words) => command().try_get_matches_from(words)?,
            None => return Err(with_tip(&words, e)),
        },
        Ok(matches) => matches,
    };
    offer::refuse(&matches)?;
    Ok((Cli::from_arg_matches(&matches)?, matches))
}

/// The same error, with what was probably meant: a verb of `runs`, or an option that was typed with one hyphen.
fn with_tip(words: &[OsString], mut error: clap::Error) -> clap::Error {
    let all = command();
    let tip = match (error.get(ContextKind::InvalidSubcommand), error.get(ContextKind::InvalidArg)) {
        (Some(ContextValue::String(verb)), _) => {
            let runs = all.find_subcommand("runs").and_then(|runs| runs.find_subcommand(verb));
            runs.map(|_| format!("`{verb}` is a verb of `runs`: drctl runs {verb}"))
        }
        (_, Some(ContextValue::String(_))) => {
            let options = options(&all);
            let typed = words.iter().filter_map(|word| word.to_str()?.strip_prefix('-'));
            let meant = typed.map(|word| word.split('=').next().unwrap_or_default());
            let meant = meant.filter(|word| word.len() > 1).find(|word| options.contains(*word));
            meant.map(|option| format!("an option has two hyphens: --{option}"))
        }
        _ => None,
    };
    if let Some(tip) = tip {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The names of all options.
fn options(of: &clap::Command) -> BTreeSet<String> {
    let own = of.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned));
    own.chain(of.get_subcommands().flat_map(options)).collect()
}

/// `drctl plan NAME` shows that plan. What can be read as it stands is left as it is.
fn with_show(words: &[OsString], error: &clap::Error) -> Option<Vec<OsString>> {
    let ContextValue::String(name) = error.get(ContextKind::InvalidSubcommand)? else { return None };
    let at = words.windows(2).position(|two| two[0] == "plan" && two[1] == name.as_str())? + 1;
    Some([&words[..at], &["show".into()], &words[at..]].concat())
}

/// `--sandbox region-dark` is `--sandbox=region-dark`: what follows is the scenario if it is one, or nearly. Anything else, as in
/// `drctl --sandbox audit verify`, is the next word of the command.
fn read(typed: Vec<OsString>) -> Vec<OsString> {
    let verbs: Vec<String> =
        Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let scenario = |word: &OsString| {
        let word = word.to_str()?;
        let is_verb = verbs.iter().any(|verb| verb == word);
        let near = suggest(word, SCENARIOS.iter().map(|scenario| scenario.name)).is_some();
        (near && !is_verb && !word.starts_with('-')).then(|| word.to_owned())
    };
    let mut words: Vec<OsString> = Vec::new();
    for word in typed {
        let last = words.last().and_then(|last| last.to_str()).unwrap_or_default();
        match (last, scenario(&word)) {
            ("--sandbox", Some(scenario)) => {
                words.pop();
                words.push(format!("--sandbox={scenario}").into());
            }
            _ => words.push(word),
        }
    }
    whole(words, &verbs)
}

/// `drctl drill schedules` is `drctl schedules`.
fn whole(mut words: Vec<OsString>, verbs: &[String]) -> Vec<OsString> {
    let is_verb = |word: &OsString| verbs.iter().any(|verb| word == verb.as_str());
    // What follows an option may be its value: a folder may be called as a verb is.
    let is_value = |i: usize| {
        let before = i.checked_sub(1).and_then(|i| words[i].to_str()).unwrap_or_default();
        before.starts_with('-') && !before.contains('=') && !before.starts_with("-v") && before != "--sandbox"
    };
    let first = (0..words.len()).find(|i| is_verb(&words[*i]) && !is_value(*i));
    if let Some(at) = first
        && PARTS.iter().any(|part| words[at..].starts_with(&part.map(OsString::from)))
    {
        words.remove(at);
    }
    words
}
