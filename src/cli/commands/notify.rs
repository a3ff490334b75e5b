//! `drctl notify`

use futures_util::future::join_all;
use serde_json::json;

use crate::app::clock::now;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::notifier::told;
use crate::app::{channel_secrets, exit, notifier, run_names, run_states};
use crate::cli::args::{Global, NotifyArgs, NotifyCommand};
use crate::cli::formats::Format;
use crate::cli::printer::{GREEN, Printer, RED, YELLOW};
use crate::model::ledger::Entry;
use crate::model::notice::{Channel, Kind, Notice, Public};
use crate::model::plain::count;
use crate::model::waiver::harmless;
use crate::notify::{self, Message};
use crate::record::event::WorldKind;
use crate::report::notices;
use crate::world::World;

/// Sends notifications, or shows them.
pub fn run(global: &Global, printer: &Printer, args: &NotifyArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    match &args.command {
        NotifyCommand::Test { channels } => test(&context, printer, channels),
        NotifyCommand::Show { run } => show(&context, printer, run),
    }
}

fn test(context: &Context, printer: &Printer, names: &[String]) -> Result<u8, AppError> {
    let all = &context.settings.notify.channels;
    if all.is_empty() {
        return Err(AppError::usage_fix(
            "drctl.yaml has no channels",
            "add notify: {channels: ...}; drctl notify --help shows examples",
        ));
    }
    if let Some(unknown) = names.iter().find(|name| context.settings.notify.channel(name).is_none()) {
        let there: Vec<&str> = all.iter().map(|channel| channel.name.as_str()).collect();
        return Err(AppError::usage_fix(format!("there is no channel `{unknown}`"), there.join(", ")));
    }
    if context.is_rehearsal() {
        return Err(AppError::usage_fix("a rehearsal sends no notifications", "remove --sandbox"));
    }
    let chosen: Vec<&Channel> =
        all.iter().filter(|channel| names.is_empty() || names.contains(&channel.name)).collect();
    let world = World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?;
    let notice = test_notice(context, &world);
    let (base, at) = (&context.base, world.shown());
    let reveal = |secret: &_| channel_secrets::reveal(base, secret);
    printer.note(&format!("notify: testing {}, for at most 10s", count(chosen.len(), "channel")));
    let sent = chosen.iter().map(|channel| {
        let (world, notice, reveal) = (&world, &notice, &reveal);
        async move { notify::send(world, channel, Message { notice, closes: &[], at }, reveal).await }
    });
    let sent = world.block_on(join_all(sent));
    let failed = sent.iter().any(Result::is_err);
    let code = if failed { exit::NOT_RECOVERED } else { exit::DONE };
    if printer.format == Format::Human {
        for (channel, sent) in chosen.iter().zip(&sent) {
            let (word, said) = match sent {
                Ok(said) => (printer.paint(GREEN, "taken"), said),
                Err(failure) => (printer.paint(RED, "NOT TAKEN"), &failure.why),
            };
            printer.line(&format!(
                "{:<16} {:<12} {word}: {}",
                channel.name,
                channel.way.id(),
                harmless(said)
            ));
        }
        return Ok(code);
    }
    let told = chosen.iter().zip(&sent).map(|(channel, sent)| {
        let said = sent.as_ref().unwrap_or_else(|failure| &failure.why);
        json!({"channel": channel.name, "way": channel.way.id(), "taken": sent.is_ok(), "said": said})
    });
    let told: Vec<_> = told.collect();
    printer.document(&json!({"schema_version": 1, "outcome": if failed { "failed" } else { "told" }, "channels": told, "exit_code": code}));
    Ok(code)
}

fn test_notice(context: &Context, world: &World) -> Notice {
    let at = world.shown();
    let field = |label: &str, text: String| (label.to_owned(), text);
    Notice {
        key: format!("test/{at}-{:04x}", world.random() & 0xffff),
        kind: Kind::Test,
        run: None,
        thread: "test".to_owned(),
        due: at,
        severity: None,
        tell: Vec::new(),
        ends: true,

        acknowledges: Vec::new(),
        subject: "[TEST] drctl can reach you here".to_owned(),
        fields: vec![
            field("WHAT", "somebody is testing drctl notifications; nothing is wrong".to_owned()),
            field("REQUESTED BY", context.person().to_string()),
            field("AT", at.to_string()),
        ],
        public: Some(Public {
            service: "drctl".to_owned(),
            incident: "test".to_owned(),
            status: "resolved",
            text: "This is a test. Nothing is wrong.".to_owned(),
        }),
    }
}

fn show(context: &Context, printer: &Printer, run: &str) -> Result<u8, AppError> {
    let store = context.store()?;
    let run = &run_names::read(&store, run)?;
    let state = run_states::one(&store, run)?;
    let history = run_states::history(&store, &state.created.plan)?;
    let real = state.created.world == WorldKind::Live;
    let at = if real { now()?.max(state.last_at) } else { state.last_at };
    let expected = history.predict(&state.runbook);
    let news = notices::of_run(&state, &context.settings.policy, (&history, &expected), at);
    let told = notifier::told(&store)?;
    let of = |notice: &Notice| -> Vec<_> {
        let same = |entry: &&Entry| matches!(entry, Entry::Notice { notice: key, .. } if *key == notice.key);
        told.iter().filter(same).collect()
    };
    // For a message that was sent and is no longer due, only its entry is shown.
    let past: Vec<&Entry> = told
        .iter()
        .filter(|entry| matches!(entry, Entry::Notice { run: Some(about), notice: key, .. } if about == run && !news.iter().any(|n| n.key == *key)))
        .collect();
    if printer.format != Format::Human {
        let news: Vec<_> = news
            .iter()
            .map(|notice| {
                let to: Vec<&str> = told::recipients(&context.settings.notify, notice)
                    .iter()
                    .map(|c| c.name.as_str())
                    .collect();
                json!({"notice": notice, "to": to, "told": of(notice)})
            })
            .collect();
        printer.document(&json!({"schema_version": 1, "run_id": run, "news": news, "past": past}));
        return Ok(exit::DONE);
    }
    if !real {
        printer.line(&printer.paint(YELLOW, "A rehearsal sends no notifications."));
        return Ok(exit::DONE);
    }
    for entry in past {
        printer.line(&words(printer, entry));
    }
    for notice in &news {
        printer.line(&format!("{}  {}", notice.due, harmless(&notice.subject)));
        notice.text().lines().for_each(|line| printer.line(&format!("    {}", harmless(line))));
        let to = told::recipients(&context.settings.notify, notice);
        let entries = of(notice);
        if to.is_empty() {
            printer.line("    not sent: no channel in drctl.yaml gets it");
        }
        for entry in &entries {
            printer.line(&format!("    {}", words(printer, entry)));
        }
    }
    if news.is_empty() {
        printer.line("no notifications for this run, because it is read-only");
    }
    Ok(exit::DONE)
}

fn words(printer: &Printer, entry: &Entry) -> String {
    let Entry::Notice { at, notice, channel, delivered, said, .. } = entry else { return String::new() };
    let word = if *delivered { printer.paint(GREEN, "taken") } else { printer.paint(RED, "NOT TAKEN") };
    format!("{at}  {notice}: {word} by {channel}: {}", harmless(said))
}
