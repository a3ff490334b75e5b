//! Text from others, from every source to every sink, has no effect except being displayed.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use drctl::journal::Journal as _;
use drctl::journal::sqlite::SqliteJournal;
use drctl::kinds::Fact;
use drctl::model::ids::RunId;
use drctl::model::ledger::StoreWorld;
use drctl::model::notice::Notice;
use drctl::model::plain::{self, Colours};
use drctl::model::policy::Policy;
use drctl::model::time::Dur;
use drctl::model::waiver::{Rule, Waiver};
use drctl::record::event::{Event, EventKind, WorldKind};
use drctl::report::history::History;
use drctl::report::{documents, html, markdown, notices, summary, trace};
use drctl::run::RunState;
use serde_json::Value;

use crate::cli::contract::{Folder, finish};
use crate::report::same_in_every_format::poppler;
use crate::run::hard_cases::waiver;
use crate::run::resume::events;
use crate::support::rig::{Rig, truststream};

#[cfg(all(feature = "http", feature = "mail"))]
mod channels;

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

/// Journals with this text in every place, and the keys that have it.
fn journals() -> &'static (Vec<Vec<Event>>, BTreeSet<String>) {
    static MADE: OnceLock<(Vec<Vec<Event>>, BTreeSet<String>)> = OnceLock::new();
    MADE.get_or_init(made)
}

fn made() -> (Vec<Vec<Event>>, BTreeSet<String>) {
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
    for (n, events) in all.iter_mut().enumerate() {
        if let EventKind::RunCreated(created) = &mut events[0].what {
            created.run = RunId::new(format!("run-{n}"));
        }
    }
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

/// A store with these runs.
fn store_with<'a>(all: impl IntoIterator<Item = &'a Vec<Event>>) -> Folder {
    let folder = Folder::with_plans();
    let path = folder.path().join(".drctl/sandbox.db");
    let store = SqliteJournal::open(&path, StoreWorld::Sandbox).unwrap();
    for events in all {
        let bytes: Vec<_> = events.iter().map(|event| serde_json::to_vec(event).unwrap()).collect();
        store.create(&name(events), &[], &bytes, None).unwrap();
    }
    folder
}

fn name(events: &[Event]) -> RunId {
    match &events[0].what {
        EventKind::RunCreated(created) => created.run.clone(),
        other => panic!("{other:?}"),
    }
}

/// What was wrong in the sinks so far.
#[derive(Default)]
struct Sinks(Vec<String>);

impl Sinks {
    /// The output of a command for people or programs, whatever it makes of the run.
    fn said(&mut self, folder: &Folder, args: &[&str]) -> String {
        let (_, out, err) = folder.run(args);
        assert!(!out.is_empty() || !err.is_empty(), "{args:?} says nothing");
        self.0.extend(wrong(&format!("{args:?}"), &out));
        self.0.extend(wrong(&format!("{args:?}, standard error"), &err));
        out
    }

    /// The same, for a command that writes a document.
    fn document(&mut self, folder: &Folder, args: &[&str]) -> String {
        let out = self.said(folder, args);
        assert!(!out.is_empty(), "{args:?} writes nothing");
        out
    }

    fn markdown(&mut self, what: &str, text: &str) {
        self.0.extend(wrong(what, text));
        self.0.extend(formats(what, text));
    }

    fn html(&mut self, what: &str, text: &str) {
        self.0.extend(wrong(what, text));
        assert!(!text.contains("<img") && !text.contains("<script>alert"), "{what}");
    }

    /// Every string of a document that programs read.
    fn strings(&mut self, what: &str, value: &Value) {
        match value {
            Value::String(text) => self.0.extend(wrong(what, text)),
            Value::Array(all) => all.iter().for_each(|value| self.strings(what, value)),
            Value::Object(all) => {
                all.iter().for_each(|(key, value)| self.strings(&format!("{what}.{key}"), value))
            }
            _ => {}
        }
    }

    fn nothing_acts(mut self) {
        self.0.sort();
        self.0.dedup();
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

/// Log lines about everything that a command does, for people and for programs.
const LOGS: [&[&str]; 2] = [&["-vvv"], &["-vvv", "--log-format", "json"]];

#[test]
fn from_every_source_nothing_acts_in_any_sink() {
    let (journals, found) = journals();
    for key in ["reason", "detail", "proof", "because", "owner", "arn", "server"] {
        assert!(found.contains(key), "nobody wrote a {key}: {found:?}");
    }
    let mut sinks = Sinks::default();
    let folder = store_with(journals);
    for events in journals {
        of_a_run(&mut sinks, &folder, events);
    }
    let last = name(journals.last().unwrap());
    of_a_store(&mut sinks, &folder, last.as_str());
    sinks.nothing_acts();
}

/// What depends on one run. The renderings that a command passes on unchanged are made without a process.
fn of_a_run(sinks: &mut Sinks, folder: &Folder, events: &[Event]) {
    let run = name(events);
    let of = |args: &[&'static str]| [args, &[run.as_str(), "--sandbox"]].concat();
    let json = ["--output", "json"];
    let (watch, jsonl) = (of(&["runs", "watch"]), ["--output", "jsonl"]);
    // Each waits until it is sure that nobody drives the run.
    let watched = [folder.start(&watch), folder.start(&[&watch[..], &jsonl].concat())];
    sinks.said(folder, &of(&["runs", "show"]));
    sinks.said(folder, &[&of(&["runs", "show"])[..], &json, LOGS[0]].concat());
    sinks.said(folder, &of(&["runs", "replay"]));
    sinks.said(folder, &[&of(&["runs", "replay"])[..], &json].concat());
    sinks.said(folder, &[&of(&["runs", "replay"])[..], &jsonl, LOGS[1]].concat());
    sinks.said(folder, &[&of(&["notify", "show"])[..], &json].concat());
    let alone = store_with([&events.to_vec()]);
    sinks.said(&alone, &["status", "--sandbox"]);
    sinks.said(&alone, &["status", "--sandbox", "--output", "json"]);
    for child in watched {
        let (_, out, err) = finish(child.wait_with_output().unwrap());
        assert!(!out.is_empty(), "{watch:?} shows nothing: {err}");
        sinks.0.extend(wrong("runs watch", &out));
        sinks.0.extend(wrong("runs watch, standard error", &err));
    }
    let state = RunState::fold(events).unwrap();
    let report = summary::report(&state, state.last_at);
    sinks.markdown("run report", &markdown::render(&report).unwrap());
    sinks.html("run report", &html::render(&report, &state).unwrap());
    for kind in [documents::Kind::Rollback, documents::Kind::Incident, documents::Kind::PostIncident] {
        let text = documents::markdown(&documents::document(kind, &report, &state, None));
        sinks.markdown(&format!("{kind:?}"), &text);
    }
    // Collectors get the document from a thread, which passes it on as it is.
    sinks.strings("OTLP", &trace::document_of(&run, events));
}

/// What shows all runs, and each form of the documents once.
fn of_a_store(sinks: &mut Sinks, folder: &Folder, run: &str) {
    for args in [
        &["runs", "list"][..],
        &["duties", "list", "--all"],
        &["status"],
        &["audit", "verify"],
        &["evidence", "list"],
        &["runs", "show", run],
        &["notify", "show", run],
    ] {
        for format in ["human", "json", "jsonl"] {
            sinks.said(folder, &[args, &["--sandbox", "--output", format]].concat());
        }
    }
    let documents: [(&[&str], &[&str]); 5] = [
        (&["report", "run", run], &["md", "html", "json", "otlp"]),
        (&["report", "document", run, "--kind", "rollback"], &["md", "json"]),
        (&["report", "document", run, "--kind", "incident"], &["md", "json"]),
        (&["report", "document", run, "--kind", "post-incident"], &["md", "json"]),
        (
            &["report", "compliance", "--since", "2020-01-01", "--until", "2030-01-01"],
            &["md", "html", "json", "csv"],
        ),
    ];
    for (args, formats) in documents {
        for format in formats {
            let args = [args, &["--sandbox", "--format", format]].concat();
            // Lines of CSV end with CR LF (RFC 4180).
            let (_, out, err) = folder.run(&args);
            assert!(!out.is_empty(), "{args:?} writes nothing: {err}");
            let text = if *format == "csv" { out.replace("\r\n", "\n") } else { out };
            match *format {
                "md" => sinks.markdown(&format!("{args:?}"), &text),
                "html" => sinks.html(&format!("{args:?}"), &text),
                _ => sinks.0.extend(wrong(&format!("{args:?}"), &text)),
            }
            sinks.0.extend(wrong(&format!("{args:?}, standard error"), &err));
        }
    }
    let cef = sinks.document(folder, &["audit", "export", "--format", "cef", "--sandbox"]);
    assert!(cef.lines().all(|line| line.starts_with("CEF:0|drctl|")), "{cef}");
    if cfg!(feature = "pdf") {
        printed(sinks, folder);
    }
}

/// The PDF: its text and its metadata, and no object that a viewer runs, opens or loads.
fn printed(sinks: &mut Sinks, folder: &Folder) {
    let file = folder.path().join("report.pdf").display().to_string();
    let file = file.as_str();
    let wide = ["report", "compliance", "--since", "2020-01-01", "--until", "2030-01-01", "--sandbox"];
    let who = HOSTILE.replace(['\0', ','], "");
    folder.ok(&[&wide[..], &["--format", "pdf", "--prepared-by", &who, "--out", file]].concat());
    // Its lines are as wide as its columns, so a line may begin anywhere in a text.
    for (tool, args) in [("pdftotext", &["-layout", file, "-"][..]), ("pdfinfo", &[file][..])] {
        let text = poppler(tool, args).replace('\u{c}', "\n");
        assert!(tool == "pdfinfo" || text.contains("drowssap"), "{text}");
        sinks.0.extend(acts(&text).map(|c| format!("{tool}: {c:?}")));
    }
    for args in [["-js", file], ["-url", file]] {
        let text = poppler("pdfinfo", &args);
        assert!(!["evil.example", "javascript", "alert"].iter().any(|words| text.contains(words)), "{text}");
    }
    let bytes = std::fs::read(file).unwrap();
    for name in ["/JavaScript", "/Launch", "/OpenAction", "/EmbeddedFile", "/SubmitForm", "/URI"] {
        assert!(!bytes.windows(name.len()).any(|of| of == name.as_bytes()), "{name}");
    }
}

/// The script for a person without drctl: text of a plan is a comment.
#[test]
fn a_paper_runbook_runs_nothing_that_a_plan_says() {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/truststream.yaml");
    // A plan with control characters or line breaks in a text is refused.
    let text: String = HOSTILE.chars().filter(|c| !plain::acts(*c)).collect();
    let ask = serde_json::to_string(&format!("'; rm -rf / #{text} $(rm -rf /) `rm -rf /`")).unwrap();
    let gate = format!("gates: {{sure: {{at: promote, approval: {ask}, expires_after: 30m}}}}\n");
    std::fs::write(&plan, std::fs::read_to_string(&plan).unwrap() + &gate).unwrap();
    let show = ["plan", "show", "truststream", "--to", "us-east-1", "--as-commands", "--sandbox=region-lost"];
    let script = folder.ok(&show);
    assert!(script.contains("evil.example"), "{script}");
    harmless("--as-commands", &script);
    let lines = script.lines().filter(|line| line.contains("evil.example") || line.contains("rm -rf"));
    lines.for_each(|line| assert!(line.starts_with('#'), "{line}"));
    crate::report::as_commands::syntax(&script).unwrap_or_else(|e| panic!("{e}\n{script}"));
    harmless("--as-commands as JSON", &folder.ok(&[&show[..], &["--output", "json"]].concat()));
}

/// The notifications about a run, as if it were live.
fn news(events: &[Event]) -> Vec<Notice> {
    let mut events = events.to_vec();
    if let EventKind::RunCreated(created) = &mut events[0].what {
        created.world = WorldKind::Live;
    }
    let state = RunState::fold(&events).unwrap();
    let history = History::default();
    let expected = history.predict(&state.runbook);
    let news = notices::of_run(&state, &Policy::default(), (&history, &expected), state.last_at);
    assert!(!news.is_empty(), "nobody is told of {}", state.created.run);
    news
}

/// Notifications contain only text, whatever they are about.
#[test]
fn no_notice_carries_more_than_words() {
    for events in &journals().0 {
        for notice in news(events) {
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
    for (logs, seed) in LOGS.into_iter().zip(["1", "2"]) {
        let (code, out, err) = folder.run(&[&args[..], &["--seed", seed], logs].concat());
        assert_eq!(code, 0, "{out}{err}");
        harmless("standard output", &out);
        harmless("standard error", &err);
        assert!(err.contains("journalled"), "{err}");
        for line in err.lines().filter(|line| line.starts_with('{')) {
            let mut sinks = Sinks::default();
            sinks.strings("a log line", &serde_json::from_str(line).unwrap());
            sinks.nothing_acts();
        }
    }
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
