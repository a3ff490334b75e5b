//! Text from others, from every source to every sink, has no effect except being displayed.

use std::collections::BTreeSet;

use drctl::journal::Journal as _;
use drctl::journal::sqlite::SqliteJournal;
use drctl::kinds::Fact;
use drctl::model::ledger::StoreWorld;
use drctl::model::plain::{self, Colours};
use drctl::model::waiver::{Rule, Waiver};
use drctl::record::event::{Event, EventKind, WorldKind};
use drctl::report::notices;
use serde_json::Value;

use crate::cli::Folder;
use crate::hard_cases::waiver;
use crate::resume::events;
use crate::rig::{Rig, run_id, truststream};
use drctl::model::time::Dur;

/// Text that has an effect in terminals, browsers, Markdown, spreadsheets, mail or SIEMs.
const HOSTILE: &str = concat!(
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[8mhidden\u{9b}31m\u{90}q\u{9c}",
    "\u{8}\u{8}\u{0}\u{7f}\u{85}\u{2028}\u{2029}",
    "\u{202e}drowssap\u{2066}\u{2069}\u{200b}\u{200f}\u{61c}\u{feff}\u{ad}\u{3164}\u{e0041}\u{1d173}",
    "<img src=x onerror=alert(1)><script>alert(2)</script>",
    "![x](http://evil.example/x.png) [x](javascript:alert(3)) `code` **bold** | cell |",
    " \" ' & ",
    "\r\nBcc: eve@example.com\n# RECOVERED\n=cmd|'/c calc'!A0\nCEF:0|x|y|z|"
);

/// Keys whose text comes from people, providers, hooks or hosts.
const WRITTEN: &[&str] = &[
    "reason",
    "why",
    "detail",
    "proof",
    "because",
    "seen",
    "tail",
    "incident",
    "arn",
    "server",
    "owner",
    "flag",
    "displaced_by",
    "reference",
    "code",
];

/// Appends it to every such text, at every depth.
fn poison(value: &mut Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if WRITTEN.contains(&key.as_str()) => {
                        text.push_str(HOSTILE);
                        found.insert(key.clone());
                    }
                    other => poison(other, found),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|value| poison(value, found)),
        _ => {}
    }
}

/// Journals with this text in every place.
fn journals() -> (Vec<Vec<Event>>, BTreeSet<String>) {
    let mut found = BTreeSet::new();
    let mut all = Vec::new();
    let waivers =
        vec![Waiver { reason: HOSTILE.to_owned(), ..waiver(Rule::UnfencedPromotion, Dur::mins(60)) }];
    for (scenario, seed, waivers) in [
        ("region-lost", 1, vec![]),
        ("region-dark", 2, waivers.clone()),
        ("region-slow", 3, waivers.clone()),
        ("chaos", 4, waivers),
    ] {
        let rig = Rig { waivers, ..Rig::new(truststream(), scenario, seed) };
        let Ok(done) = rig.rehearse() else { continue };
        let mut list = Vec::new();
        for event in events(&done) {
            let mut value = serde_json::to_value(&event).unwrap();
            poison(&mut value, &mut found);
            list.push(serde_json::from_value::<Event>(value).unwrap());
        }
        blocked_by_a_guard(&mut all, &list);
        hooks_print_it(&mut list);
        if let EventKind::RunCreated(created) = &mut list[0].what {
            created.requester.who = format!("eve{HOSTILE}");
            created.reason = Some(HOSTILE.to_owned());
            created.incident = Some(HOSTILE.to_owned());
        }
        all.push(list);
    }
    assert!(all.len() >= 2, "too few journals");
    (all, found)
}

/// The same run up to a gate, which then waits because of texts of a provider and of a guard object, and halts.
fn blocked_by_a_guard(all: &mut Vec<Vec<Event>>, list: &[Event]) {
    let starts =
        |e: &Event| matches!(&e.what, EventKind::StepStarted { step } if step.as_str().starts_with("scale."));
    let Some(n) = list.iter().position(starts) else { return };
    let EventKind::StepStarted { step } = list[n].what.clone() else { return };
    let mut stopped = list[..=n].to_vec();
    let at = list[n].at;
    let why = format!("{HOSTILE} took over the guard of nodes");
    let (rule, flag) = (Some(Rule::GuardUnread), Some("--waive guard-unread:nodes --reason TEXT".to_owned()));
    stopped.push(Event { at, what: EventKind::GateBlocked { step, rule, why: why.clone(), flag } });
    stopped.push(Event { at, what: EventKind::Paused { why: why.clone() } });
    stopped.push(Event { at, what: EventKind::Halted { reason: why } });
    all.push(stopped);
}

/// The output of a hook is among the facts of its step.
fn hooks_print_it(list: &mut [Event]) {
    for event in list {
        if let EventKind::StepFinished { facts, .. } = &mut event.what {
            facts.push(Fact::Ran { tail: HOSTILE.to_owned() });
        }
    }
}

/// A character that no sink may pass on. Text for people has line breaks, but nothing with an effect.
fn acts(text: &str) -> Option<char> {
    text.chars().find(|c| plain::acts(*c) && !matches!(c, '\n' | '\t'))
}

fn harmless(what: &str, text: &str) {
    let wrong = wrong(what, text);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Everything in a text that has an effect.
fn wrong(what: &str, text: &str) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(c) = acts(text) {
        let line = text.lines().find(|line| line.contains(c)).unwrap_or_default();
        all.push(format!("{what}: {c:?} in {line:?}"));
    }
    for line in text.lines().map(str::trim_start) {
        let forged =
            ["Bcc:", "# RECOVERED", "=cmd", "CEF:0|x"].iter().find(|words| line.starts_with(**words));
        if forged.is_some() {
            all.push(format!("{what}: a line of its own: {line:?}"));
        }
    }
    all
}

fn formats_nothing(what: &str, text: &str) {
    let formats = formats(what, text);
    assert!(formats.is_empty(), "{}", formats.join("\n"));
}

/// Everything in Markdown that formats, links or loads.
fn formats(what: &str, text: &str) -> Vec<String> {
    let words = ["<img", "<script", "![x]", "[x](", " **bold**"].into_iter();
    let line = |words: &str| text.lines().find(|line| line.contains(words)).unwrap_or_default().to_owned();
    words
        .filter(|words| text.contains(words))
        .map(|words| format!("{what}: {words} in {}", line(words)))
        .collect()
}

fn store_with(events: &[Event]) -> Folder {
    let folder = Folder::with_plans();
    let path = folder.path().join(".drctl/sandbox.db");
    let store = SqliteJournal::open(&path, StoreWorld::Sandbox).unwrap();
    let bytes: Vec<_> = events.iter().map(|event| serde_json::to_vec(event).unwrap()).collect();
    store.create(&run_id(), &[], &bytes, None).unwrap();
    folder
}

/// The output of a command for people or programs, whatever it makes of the run.
fn said(folder: &Folder, args: &[&str]) -> String {
    let (_, out, err) = folder.run(args);
    assert!(!out.is_empty(), "{args:?} writes nothing: {err}");
    out
}

#[test]
fn from_every_source_nothing_acts_in_any_sink() {
    let (journals, found) = journals();
    for key in ["reason", "detail", "proof", "because", "owner", "arn", "server"] {
        assert!(found.contains(key), "nobody wrote a {key}: {found:?}");
    }
    let mut all = Vec::new();
    for events in &journals {
        let folder = store_with(events);
        let run = ["run", "--sandbox"];
        let wide = ["--since", "2020-01-01", "--until", "2030-01-01", "--sandbox"];
        let with = |words: &[&'static str], more: &[&'static str]| [words, more].concat();
        let mut for_people = vec![
            with(&["runs", "list", "--sandbox"], &[]),
            with(&["runs", "show"], &run),
            with(&["runs", "replay"], &run),
            with(&["notify", "show"], &run),
            with(&["duties", "list", "--all", "--sandbox"], &[]),
            with(&["status", "--sandbox"], &[]),
            with(&["audit", "verify", "--sandbox"], &[]),
            with(&["evidence", "list", "--sandbox"], &[]),
        ];
        for args in for_people.clone() {
            for format in ["json", "jsonl"] {
                for_people.push([&args[..], &["--output", format]].concat());
            }
        }
        for args in &for_people {
            let (_, out, err) = folder.run(args);
            assert!(!out.is_empty() || !err.is_empty(), "{args:?} says nothing");
            all.extend(wrong(&format!("{args:?}"), &out));
            all.extend(wrong(&format!("{args:?}, standard error"), &err));
        }
        let markdown = [
            with(&["report", "run"], &run),
            with(&["report", "document", "--kind", "rollback"], &run),
            with(&["report", "document", "--kind", "incident"], &run),
            with(&["report", "document", "--kind", "post-incident"], &run),
            with(&["report", "compliance", "--format", "md"], &wide),
        ];
        for args in &markdown {
            let text = said(&folder, args);
            all.extend(wrong(&format!("{args:?}"), &text));
            all.extend(formats(&format!("{args:?}"), &text));
        }
        for args in [
            with(&["report", "run", "--format", "html"], &run),
            with(&["report", "compliance", "--format", "html"], &wide),
        ] {
            let text = said(&folder, &args);
            all.extend(wrong(&format!("{args:?}"), &text));
            assert!(!text.contains("<img") && !text.contains("<script>alert"), "{args:?}");
        }
        for args in [
            with(&["report", "run", "--format", "json"], &run),
            with(&["report", "document", "--kind", "incident", "--format", "json"], &run),
            with(&["report", "compliance", "--format", "json"], &wide),
        ] {
            all.extend(wrong(&format!("{args:?}"), &said(&folder, &args)));
        }
        let csv = said(&folder, &with(&["report", "compliance", "--format", "csv"], &wide));
        all.extend(wrong("csv", &csv.replace("\r\n", "\n")));
        let cef = said(&folder, &["audit", "export", "--format", "cef", "--sandbox"]);
        all.extend(wrong("CEF", &cef));
        assert!(cef.lines().all(|line| line.starts_with("CEF:0|drctl|")), "{cef}");
    }
    all.sort();
    all.dedup();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// Notifications contain only text, whatever they are about.
#[test]
fn no_notice_carries_more_than_words() {
    let rig = Rig::new(truststream(), "region-lost", 1);
    let (journals, _) = journals();
    for mut events in journals {
        if let EventKind::RunCreated(created) = &mut events[0].what {
            created.world = WorldKind::Live;
        }
        let records = Rig::journal_of(&events);
        let state = drctl::executor::create::replay(&run_id(), &records).unwrap();
        let policy = drctl::model::policy::Policy::default();
        let history = drctl::report::history::History::default();
        let expected = history.predict(&state.runbook);
        let news = notices::of_run(&state, &policy, (&history, &expected), state.last_at);
        assert!(!news.is_empty(), "nobody is told of {}", rig.plan.name);
        for notice in news {
            harmless("a subject", &notice.subject);
            assert!(!notice.subject.contains('\n'));
            harmless("a notice", &notice.text());
            assert!(notice.fields.iter().all(|(_, text)| !text.contains('\n')), "{notice:?}");
        }
    }
}

/// Text that a person types is stored without it, because others read the journal as well.
#[test]
fn what_is_typed_is_kept_as_words() {
    let folder = Folder::with_plans();
    let failover = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox"];
    // A process cannot get a NUL as an argument.
    let typed = HOSTILE.replace('\0', "");
    let args = [&failover[..], &["--incident", &typed, "--reason", &typed]].concat();
    let (code, out, err) = folder.run(&args);
    assert_eq!(code, 0, "{out}{err}");
    harmless("standard output", &out);
    harmless("standard error", &err);
    let exported = folder.ok(&["runs", "export", "sandbox-truststream-failover-s1-1", "--sandbox"]);
    assert_eq!(acts(&exported), None);
    assert!(exported.contains("drowssap"), "{exported}");
}

/// An error of the argument parser repeats what was typed.
#[test]
fn what_is_mistyped_is_repeated_as_words() {
    let folder = Folder::with_plans();
    let typed = HOSTILE.replace('\0', "");
    let failover = ["failover", "truststream", "--to", "us-east-1", "--sandbox"];
    let option = format!("--{typed}");
    for more in [&["--severity", typed.as_str()][..], &[option.as_str()], &["--pace", typed.as_str()]] {
        let (code, out, err) = folder.run(&[&failover[..], more].concat());
        assert_eq!(code, 2, "{out}{err}");
        assert!(out.is_empty() && err.contains("hidden"), "{out}{err}");
        harmless("standard error", &err);
    }
    let (code, out, err) = folder.run(&[typed.as_str()]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    harmless("standard error", &err);
}

#[test]
fn each_sink_has_its_own_dangers() {
    for text in [
        plain::line(HOSTILE),
        plain::markdown(HOSTILE),
        plain::code(HOSTILE),
        plain::html(HOSTILE),
        plain::cell(HOSTILE),
    ] {
        assert!(!text.chars().any(plain::acts), "{text:?}");
    }
    assert!(plain::line("a\tb\r\nc") == "a b  c" && plain::line("\u{1b}x") == "\u{fffd}x");
    // drctl's own colours pass, but no other escape sequence.
    for (text, shown) in [
        ("\u{1b}[31mred\u{1b}[0m", true),
        ("\u{1b}[38;5;12m", true),
        ("\u{1b}[8mhidden", false),
        ("\u{1b}[0;08mhidden", false),
        ("\u{1b}[2J", false),
        ("\u{1b}]0;title\u{7}", false),
        ("\u{1b}[31", false),
        ("\u{9b}31m", false),
    ] {
        assert_eq!(plain::terminal(text, Colours::Shown) == text, shown, "{text:?}");
        assert!(!plain::terminal(text, Colours::None).chars().any(plain::acts), "{text:?}");
    }
    assert_eq!(plain::terminal("a\n\tb", Colours::None), "a\n\tb");
    formats_nothing("Markdown", &plain::markdown(HOSTILE));
    assert!(!plain::code("a`b|c").contains(['`', '|']));
    assert_eq!(plain::html("<a href=\"'&"), "&lt;a href=&quot;&#39;&amp;");
    // JSON has the same meaning afterwards.
    let json = serde_json::to_string_pretty(&serde_json::json!({"text": HOSTILE})).unwrap();
    let safe = plain::json(&json);
    assert_eq!(acts(&safe), None);
    assert_eq!(serde_json::from_str::<Value>(&safe).unwrap()["text"], HOSTILE);
    assert_eq!(plain::siem("a=b\\c\nd\u{202e}"), "a\\=b\\\\c\\nd");
    assert_eq!(plain::cell(" =1+1"), "\"' =1+1\"");
}
