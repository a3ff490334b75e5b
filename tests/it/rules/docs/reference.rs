//! The generated pages: commands from clap, keys from the shapes of plans and settings, findings from `drctl explain`, events from their
//! JSON Schema, and exit codes with the outcomes of runs.

use std::fmt::Write as _;

use drctl::app::exit;
use drctl::cli::parser::command as cli;
use drctl::model::shape::{Keys, Shape};
use drctl::plan::{catalog, shapes};
use drctl::record::event::Event;
use drctl::report::outcomes::{WITHOUT_RUN, Word};

use super::{held, root};

const NOTE: &str =
    "<!-- Generated: DRCTL_TEST_DOCS=write cargo test --test it docs:: writes this page anew. -->\n";

fn held_page(name: &str, text: &str) {
    held(&root().join("docs/src/reference").join(name), text);
}

/// Escapes text for a table cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

fn table(out: &mut String, head: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    out.push_str(&line(&head.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()));
    out.push_str(&line(&vec!["---".to_owned(); head.len()]));
    rows.iter().for_each(|row| out.push_str(&line(row)));
    out.push('\n');
}

/// The syntax of an argument.
fn typed(arg: &clap::Arg) -> String {
    let values: Vec<_> = arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let value = values.join(" ");
    let takes = arg.get_action().takes_values();
    match (arg.get_short(), arg.get_long()) {
        (None, None) => format!("`{value}`"),
        (short, long) => {
            let names = short.map(|s| format!("-{s}")).into_iter().chain(long.map(|l| format!("--{l}")));
            let names = names.collect::<Vec<_>>().join(", ");
            if takes { format!("`{names} {value}`") } else { format!("`{names}`") }
        }
    }
}

fn meaning(arg: &clap::Arg) -> String {
    let mut text = cell(&arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default());
    let values: Vec<String> = if arg.get_action().takes_values() {
        arg.get_possible_values().iter().map(|v| format!("`{}`", v.get_name())).collect()
    } else {
        Vec::new()
    };
    if !values.is_empty() {
        let _ = write!(text, ": {}", values.join(", "));
    }
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|v| format!("`{}`", v.to_string_lossy())).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() && !arg.is_hide_default_value_set() {
        let _ = write!(text, " (default {})", defaults.join(", "));
    }
    text
}

fn command(out: &mut String, command: &mut clap::Command, path: &str, depth: usize) {
    let _ = write!(out, "{} {path}\n\n", "#".repeat(depth));
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = write!(out, "{}\n\n", about.replace('<', "&lt;"));
    let rows: Vec<Vec<String>> = command
        .get_arguments()
        .filter(|a| depth == 2 && path == "drctl" || !a.is_global_set())
        .filter(|a| !matches!(a.get_id().as_str(), "help" | "version"))
        // A command refuses an option that it hides.
        .filter(|a| a.is_global_set() || !a.is_hide_set())
        .map(|a| vec![typed(a), if a.is_required_set() { "required. " } else { "" }.to_owned() + &meaning(a)])
        .collect();
    table(out, &["Argument", "Meaning"], &rows);
    if let Some(after) = command.get_after_help() {
        let _ = write!(out, "```text\n{}\n```\n\n", after.to_string().trim());
    }
    for sub in command.get_subcommands_mut().filter(|s| s.get_name() != "help" && !s.is_hide_set()) {
        let path = format!("{path} {}", sub.get_name());
        self::command(out, sub, &path, if depth == 2 && path.matches(' ').count() == 1 { 2 } else { 3 });
    }
}

#[test]
fn commands() {
    let mut cli = cli();
    cli.build();
    let mut out =
        format!("# Commands\n\n{NOTE}\nOptions of `drctl` itself go before or after any command.\n\n");
    command(&mut out, &mut cli, "drctl", 2);
    assert!(out.contains("## drctl failover") && out.contains("### drctl runs resume"));
    assert!(out.contains("`--accept-data-loss D`") && out.contains("`tabletop`"));
    held_page("commands.md", &(out.trim_end().to_owned() + "\n"));
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Text | Shape::Prose => "text".to_owned(),
        Shape::Written(of) => format!("{}, as in `{}`", of.name, of.example),
        Shape::Name => "name".to_owned(),
        Shape::Duration => "duration".to_owned(),
        Shape::Percent => "percentage".to_owned(),
        Shape::Bool => "`true`, `false`".to_owned(),
        Shape::Int(i64::MIN, i64::MAX) => "number".to_owned(),
        Shape::Int(least, most) => format!("number, {least} to {most}"),
        Shape::OneOf(words) => words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "),
        Shape::Secret(_) => "secret".to_owned(),
        Shape::List(of) => format!("list: {}", kind(of)),
        Shape::Map(of) => format!("by name: {}", kind(of)),
        Shape::Keys(_) | Shape::ByKind(_) => "mapping".to_owned(),
        Shape::Either(one, other) => format!("{}; or {}", kind(one), kind(other)),
        Shape::Any => "anything".to_owned(),
    }
}

fn record(out: &mut String, path: &str, of: &'static Keys) {
    let _ = write!(out, "## {path}\n\n");
    let row = |f: &drctl::model::shape::Field| {
        let must = if f.required { "required. " } else { "" };
        vec![format!("`{}`", f.key), kind(&f.shape), must.to_owned() + &cell(f.doc)]
    };
    table(out, &["Key", "Value", "Meaning"], &of.fields.iter().map(row).collect::<Vec<_>>());
    of.fields.iter().for_each(|f| within(out, &format!("{path}.{}", f.key), &f.shape));
}

fn within(out: &mut String, path: &str, shape: &'static Shape) {
    match shape {
        Shape::Keys(of) => record(out, path, of),
        Shape::List(of) => within(out, &format!("{path}[]"), of),
        Shape::Map(of) => within(out, &format!("{path}.NAME"), of),
        Shape::Either(one, other) => [one, other].into_iter().for_each(|s| within(out, path, s)),
        Shape::ByKind(kinds) => {
            kinds.iter().for_each(|case| record(out, &format!("{path} {}", case.name), case.keys))
        }
        _ => {}
    }
}

#[test]
fn keys() {
    let mut plan = format!("# Keys of plans\n\n{NOTE}\nSee [Writing plans](../plans/overview.md).\n\n");
    record(&mut plan, "plan", &shapes::PLAN);
    assert!(plan.contains("## plan.components.NAME postgres") && plan.contains("`capacity_floor`"));
    held_page("plan-keys.md", &(plan.trim_end().to_owned() + "\n"));
    let mut settings = format!("# Keys of drctl.yaml\n\n{NOTE}\nSee [Settings](../deploy/settings.md).\n\n");
    record(&mut settings, "drctl.yaml", &shapes::SETTINGS);
    assert!(settings.contains("## drctl.yaml.notify.channels.NAME.smtp"));
    held_page("settings-keys.md", &(settings.trim_end().to_owned() + "\n"));
}

#[test]
fn findings() {
    let mut out = format!("# Findings and refusals\n\n{NOTE}\n`drctl explain ID` says the same.\n\n");
    for found in catalog::ids().filter_map(catalog::find) {
        let text = |t: &str| cell(t);
        let _ = write!(out, "## {}\n\n{}\n\n", found.id, text(found.title));
        let _ = write!(out, "- **Why:** {}\n- **Fix:** {}\n\n", text(found.why), text(found.what));
    }
    assert!(out.contains("## unfenced-promotion"));
    held_page("findings.md", &(out.trim_end().to_owned() + "\n"));
}

#[test]
fn events() {
    let schema = schemars::schema_for!(Event).to_value();
    let mut out =
        format!("# Events\n\n{NOTE}\n`drctl schema event` prints the JSON Schema with every type.\n\n");
    for event in schema["oneOf"].as_array().expect("events are alternatives") {
        let name = event["properties"]["kind"]["const"].as_str().expect("each has its name");
        let said = event["description"].as_str().unwrap_or_default();
        let _ = write!(out, "## {name}\n\n{}\n\n", cell(said));
        let of = |reference: &serde_json::Value| {
            let name = reference.as_str()?.rsplit('/').next()?;
            schema["$defs"][name]["properties"].as_object()
        };
        let own = event["properties"].as_object();
        let fields = own.into_iter().chain(of(&event["$ref"])).flatten();
        let row = |(key, field): (&String, &serde_json::Value)| {
            vec![format!("`{key}`"), cell(field["description"].as_str().unwrap_or_default())]
        };
        let rows: Vec<_> = fields.filter(|(key, _)| *key != "kind").map(row).collect();
        table(&mut out, &["Field", "Meaning"], &rows);
    }
    assert!(out.contains("## run_created") && out.contains("`epoch`"));
    held_page("events.md", &(out.trim_end().to_owned() + "\n"));
}

const SEVERAL: &str =
    "If a command runs several plans, the exit code is that of the plan that most needs a person.\n";

const REFUSALS: &str = "A refused command starts no run. It prints `refused`, the facts, and the flag that lifts the refusal. A run that started
and then halted because a person must accept something (`ways on` names the flag) ends with exit code 1. Its screen begins with `HALTED`. That of a run that an approval or an
answer lets continue begins with `WAITING FOR`, and the exit code is 4.

With `--output json`, errors are a document, too: `error.code`, `error.message`, `error.hint` and `exit_code`.

`drctl explain` lists every finding and refusal. `drctl explain ID` gives the reason and the fix.
";

#[test]
fn exit_codes() {
    let mut out = format!("# Exit codes and outcomes\n\n{NOTE}\n");
    let codes: Vec<_> = exit::ALL.iter().map(|(code, means)| vec![code.to_string(), cell(means)]).collect();
    table(&mut out, &["Code", "Meaning"], &codes);
    let _ = write!(out, "{SEVERAL}\n## Outcomes of a run\n\n");
    let row = |word: &Word| vec![format!("`{}`", word.id()), cell(word.means()), cell(word.next())];
    let words: Vec<_> = Word::ALL.iter().map(row).collect();
    table(&mut out, &["Outcome", "Meaning", "Next"], &words);
    let row = |(id, means, next): &(&str, &str, &str)| vec![format!("`{id}`"), cell(means), cell(next)];
    let words: Vec<_> = WITHOUT_RUN.iter().map(row).collect();
    out.push_str("## Outcomes without a run\n\n");
    table(&mut out, &["Outcome", "Meaning", "Next"], &words);
    out.push_str(REFUSALS);
    // A code that only its constant mentions would be missing here.
    let declared = include_str!("../../../../src/app/exit.rs").matches(": u8 = ").count();
    assert_eq!(declared, exit::ALL.len());
    assert!(out.contains("| 130 | ") && out.contains("| `watch_paused` | "));
    held_page("exit-codes.md", &out);
}
