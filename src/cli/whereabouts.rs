//! Where a command works: the world, the folder and the store that its options name. The commands in its output get the same options, so
//! that each works as it stands when somebody copies it.
//!
//! What is recorded has none of them, nor has a document that leaves this machine: they are the same wherever they are made.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

use super::args::Global;
use super::args::offer;
use super::{parser, wrap};
use crate::app::older::Older;
use crate::app::{exit, files};
use crate::model::call::quoted;

const PROGRAM: &str = "drctl ";

/// Commands that look at a simulated estate. It depends on the scenario.
const LOOK: &[&str] = &["plan", "observe", "ready", "assess", "doctor"];
/// Commands that start a rehearsal. The same command again means the same scenario; another one has a scenario that fits it.
const START: &[&str] = &["failover", "switchover", "failback", "reprotect", "restore", "drill"];

/// Commands that take plans, by name or file.
const TAKE_PLANS: &[&str] = &[
    "plan",
    "observe",
    "ready",
    "status",
    "assess",
    "doctor",
    "failover",
    "switchover",
    "failback",
    "reprotect",
    "restore",
    "drill",
];

/// The fields of documents that hold commands.
const HOLD_COMMANDS: &[&str] = &[
    "acceptable",
    "command",
    "commands",
    "fix",
    "flag",
    "hint",
    "means",
    "message",
    "next",
    "notes",
    "text",
];

/// Where a command works.
#[derive(Debug)]
pub struct Whereabouts {
    /// The command that was typed, such as `runs`.
    verb: String,
    /// Whether it rehearses, or reads the journal of rehearsals.
    rehearses: bool,
    /// Its scenario and seed.
    scenario: String,
    /// The options for the folder, the settings and the go-bag: the ID of each, and its text.
    folder: Vec<(&'static str, String)>,
    /// The option for the store.
    store: Option<String>,
    /// The same for rehearsals that a live command holds.
    rehearsed: Option<String>,
    /// The files of plans that are not in the folder of the plans, by the names of the plans.
    files: Mutex<BTreeMap<String, String>>,
    /// Whether the store is older than something signed about it.
    older: Option<Older>,
}

/// Those without any option.
pub static USUAL: Whereabouts = Whereabouts::usual();

impl Whereabouts {
    const fn usual() -> Self {
        Self {
            verb: String::new(),
            rehearses: false,
            scenario: String::new(),
            folder: Vec::new(),
            store: None,
            rehearsed: None,
            files: Mutex::new(BTreeMap::new()),
            older: None,
        }
    }

    /// Those of this command line.
    pub fn from_global(global: &Global) -> Self {
        let path = |path: &Path| quoted(&path.to_string_lossy());
        let store = |file: &Path| format!("--store {}", path(file));
        let mut folder = Vec::new();
        folder.extend(global.directory.iter().map(|dir| ("directory", format!("-C {}", path(dir)))));
        folder.extend(global.config.iter().map(|file| ("config", format!("--config {}", path(file)))));
        folder.extend(global.kit.iter().map(|file| ("kit", format!("--kit {}", path(file)))));
        folder.extend(global.kit_key.iter().map(|key| ("kit_key", format!("--kit-key {}", quoted(key)))));
        let accepted = global.accept_unsigned_kit.iter();
        folder.extend(
            accepted.map(|who| ("accept_unsigned_kit", format!("--accept-unsigned-kit {}", quoted(who)))),
        );
        let named = global.sandbox.as_deref().unwrap_or_default();
        let named = if named.is_empty() { String::new() } else { format!("={}", quoted(named)) };
        let seed = if global.seed == 1 { String::new() } else { format!(" --seed {}", global.seed) };
        Self {
            verb: global.command.first().cloned().unwrap_or_default(),
            rehearses: global.sandbox.is_some(),
            scenario: format!("--sandbox{named}{seed}"),
            folder,
            store: global.store.as_deref().map(store),
            rehearsed: global.store.as_deref().map(|file| store(&files::rehearsed(file))),
            files: Mutex::default(),
            older: Some(global.older.clone()),
        }
    }

    /// A plan that only its file names: the folder of the plans does not have it.
    pub fn has_plan(&self, name: &str, file: &Path) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(name.to_owned(), quoted(&file.to_string_lossy()));
    }

    /// The same for as long as the process lives.
    pub fn kept(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    /// A text for people, in which each command has the options that it lacks. `rehearsal` is whether it is about a rehearsal.
    pub fn commands(&self, text: &str, rehearsal: bool) -> String {
        let rehearsal = rehearsal || self.rehearses;
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !rehearsal && self.folder.is_empty() && self.store.is_none() && files.is_empty() {
            return text.to_owned();
        }
        let mut parts = text.split(PROGRAM);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let command = wrap::command(&format!("{PROGRAM}{part}"));
            let words: Vec<&str> = wrap::arguments(&command).into_iter().skip(1).map(bare).collect();
            let verb = if begins_a_word(&out) { verb(&words) } else { None };
            out.push_str(PROGRAM);
            if let Some(verb) = verb {
                out.push_str(&self.options((verb, &words), rehearsal));
            }
            out.push_str(&match verb.filter(|verb| TAKE_PLANS.contains(verb)) {
                Some(_) => with_files(part, &words, &files),
                None => part.to_owned(),
            });
        }
        out
    }

    /// The same for a document, in the fields that hold commands.
    pub fn in_document(&self, document: &mut Value, rehearsal: bool) {
        match document {
            Value::Array(all) => all.iter_mut().for_each(|value| self.in_document(value, rehearsal)),
            Value::Object(all) => {
                for (key, value) in all.iter_mut() {
                    match HOLD_COMMANDS.contains(&key.as_str()) {
                        true => self.in_field(value, rehearsal),
                        false => self.in_document(value, rehearsal),
                    }
                }
            }
            _ => {}
        }
    }

    /// Adds to a document what the store lacks if it is older than something signed about it.
    pub fn of_the_store(&self, document: &mut Value) {
        let (Some(older), Some(all)) = (&self.older, document.as_object_mut()) else { return };
        let why = older.why();
        if why.is_empty() {
            return;
        }
        all.insert("put_back".to_owned(), why.into());
        if let Some(code) = all.get_mut("exit_code").filter(|code| **code == exit::DONE) {
            *code = exit::NOT_RECOVERED.into();
        }
    }

    fn in_field(&self, field: &mut Value, rehearsal: bool) {
        match field {
            Value::String(text) => *text = self.commands(text, rehearsal),
            Value::Array(all) => all.iter_mut().for_each(|value| self.in_field(value, rehearsal)),
            other => self.in_document(other, rehearsal),
        }
    }

    /// The options that a command with these words lacks, each with a space behind it.
    fn options(&self, (verb, words): (&str, &[&str]), rehearsal: bool) -> String {
        let has = |option: &str| words.iter().any(|word| word.split('=').next() == Some(option));
        let takes = |option: &str| offer::takes(verb, option);
        let mut options = Vec::new();
        if rehearsal && takes("sandbox") && !has("--sandbox") {
            let same = LOOK.contains(&verb) || START.contains(&verb) && verb == self.verb;
            options.push(if same && self.rehearses { self.scenario.as_str() } else { "--sandbox" });
        }
        for (id, option) in &self.folder {
            let named = option.split(' ').next().unwrap_or_default();
            if offer::takes(verb, id) && !has(named) {
                options.push(option);
            }
        }
        // A command that no rehearsal has must not get the store of rehearsals.
        let rehearsed = rehearsal || has("--sandbox");
        let store = match self.rehearses {
            _ if has("--store") || !takes("store") || rehearsed && !takes("sandbox") => None,
            false if rehearsed => self.rehearsed.as_deref(),
            _ => self.store.as_deref(),
        };
        options.extend(store);
        options.iter().map(|option| format!("{option} ")).collect()
    }
}

/// The same command with the files of plans instead of their names.
fn with_files(command: &str, words: &[&str], files: &BTreeMap<String, String>) -> String {
    words.windows(2).fold(command.to_owned(), |text, two| match files.get(two[1]) {
        Some(file) if !two[0].starts_with('-') => {
            text.replacen(&format!(" {}", two[1]), &format!(" {file}"), 1)
        }
        _ => text,
    })
}

/// A word without the punctuation behind it.
fn bare(word: &str) -> &str {
    word.trim_end_matches(wrap::ENDS)
}

/// Whether a word begins after this text.
fn begins_a_word(text: &str) -> bool {
    let line = wrap::without_colours(text.rsplit('\n').next().unwrap_or_default());
    line.chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"/-_.".contains(c))
}

/// The command name among the words of a command, which may have options before it; `None` if the words are no command.
fn verb<'w>(words: &[&'w str]) -> Option<&'w str> {
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let valued = word == "-C" || word.starts_with("--") && !word.starts_with("--sandbox");
        match word.starts_with('-') {
            true if valued && !word.contains('=') => {
                words.next();
            }
            true => {}
            // «drctl runs only with ..» is a sentence.
            false => {
                let needs = verbs().get(word)?;
                let own = words.next();
                let whole = needs.is_empty() || own.is_some_and(|own| needs.iter().any(|verb| verb == own));
                return whole.then_some(word);
            }
        }
    }
    None
}

/// Every command name, with those of which it needs one.
fn verbs() -> &'static BTreeMap<String, Vec<String>> {
    static VERBS: OnceLock<BTreeMap<String, Vec<String>>> = OnceLock::new();
    VERBS.get_or_init(|| {
        let all = parser::command();
        let own = |verb: &clap::Command| -> Vec<String> {
            let own = verb.get_subcommands().filter(|_| verb.is_subcommand_required_set());
            own.map(|own| own.get_name().to_owned()).collect()
        };
        all.get_subcommands().map(|verb| (verb.get_name().to_owned(), own(verb))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of a text by a command with these arguments.
    fn shown(typed: &str, said: &str) -> String {
        let (cli, matches) = parser::parse(typed.split(' ').map(Into::into)).unwrap();
        let mut global = cli.global;
        global.command = matches.subcommand_name().map(str::to_owned).into_iter().collect();
        Whereabouts::from_global(&global).commands(said, false)
    }

    #[test]
    fn a_command_of_a_rehearsal_says_so_once() {
        for (said, expected) in [
            (
                "drctl reprotect shop --to west, or drctl failback",
                "drctl --sandbox reprotect shop --to west, or drctl --sandbox failback",
            ),
            ("next: drctl runs resume R --sandbox", "next: drctl runs resume R --sandbox"),
            (
                "drctl runs resume R --sandbox; or drctl failback",
                "drctl runs resume R --sandbox; or drctl --sandbox failback",
            ),
            // Words about the option are not the option.
            (
                "drctl runs list shows them; add --sandbox",
                "drctl --sandbox runs list shows them; add --sandbox",
            ),
            ("drctl check, drctl.yaml, drctl is a program", "drctl check, drctl.yaml, drctl is a program"),
            ("schedule drctl kit export", "schedule drctl kit export"),
            ("/usr/bin/drctl status", "/usr/bin/drctl status"),
            ("\u{1b}[2mdrctl status\u{1b}[0m", "\u{1b}[2mdrctl --sandbox status\u{1b}[0m"),
            ("drctl runs only with settings", "drctl runs only with settings"),
        ] {
            assert_eq!(shown("drctl status --sandbox", said), expected);
        }
    }

    #[test]
    fn a_command_works_in_the_same_folder_and_store() {
        for (typed, said, expected) in [
            ("drctl status", "run drctl check", "run drctl check"),
            ("drctl -C a status", "drctl check, drctl explain", "drctl -C a check, drctl explain"),
            ("drctl -C .. status", "run drctl -C DIR status", "run drctl -C DIR status"),
            (
                "drctl --config c.yaml --store s.db status",
                "drctl runs list; drctl init",
                "drctl --config c.yaml --store s.db runs list; drctl init",
            ),
            (
                "drctl --store s.db status",
                "`drctl runs import F --store N.db`",
                "`drctl runs import F --store N.db`",
            ),
            // A rehearsal has its own store.
            (
                "drctl --store s.db init shop",
                "drctl failover shop --sandbox",
                "drctl --store s.db.sandbox.db failover shop --sandbox",
            ),
            (
                "drctl --store s.db --sandbox status",
                "drctl runs show R --sandbox, drctl check, drctl kit export",
                "drctl --store s.db runs show R --sandbox, drctl check, drctl kit export",
            ),
            (
                "drctl --kit k.json --kit-key SHA256:x status",
                "drctl ready PLAN, drctl key new NAME",
                "drctl --kit k.json --kit-key SHA256:x ready PLAN, drctl key new NAME",
            ),
        ] {
            assert_eq!(shown(typed, said), expected);
            assert_eq!(shown(typed, expected), expected, "the second time");
        }
        let mut spaced =
            Whereabouts { store: Some("--store 'my store.db'".to_owned()), ..Whereabouts::usual() };
        let once = spaced.commands("drctl runs list", false);
        assert_eq!(once, "drctl --store 'my store.db' runs list");
        assert_eq!(spaced.commands(&once, false), once);
        spaced.rehearsed = Some("--store 'my store.db.sandbox.db'".to_owned());
        assert_eq!(
            spaced.commands("drctl status", true),
            "drctl --sandbox --store 'my store.db.sandbox.db' status"
        );
    }

    /// Another scenario has another estate. A command of another kind has a scenario of its own.
    #[test]
    fn what_looks_or_begins_again_has_the_same_scenario() {
        let typed = "drctl failover shop --to east --sandbox=region-dark --seed 7";
        let said = "drctl ready shop; drctl failover shop; drctl failback shop; drctl status";
        let expected = "drctl --sandbox=region-dark --seed 7 ready shop; drctl --sandbox=region-dark --seed 7 failover shop; drctl --sandbox failback shop; drctl --sandbox status";
        assert_eq!(shown(typed, said), expected);
    }

    /// No command finds a plan outside the folder of the plans by its name.
    #[test]
    fn a_plan_that_only_its_file_names_is_named_by_it() {
        let at = Whereabouts::usual();
        at.has_plan("shop", Path::new("own/shop.yaml"));
        for (said, expected) in [
            ("run drctl failback shop --to shop.", "run drctl failback own/shop.yaml --to shop."),
            (
                "drctl plan show shop, drctl runs show shop",
                "drctl plan show own/shop.yaml, drctl runs show shop",
            ),
        ] {
            assert_eq!(at.commands(said, false), expected);
            assert_eq!(at.commands(expected, false), expected);
        }
    }

    #[test]
    fn a_document_has_them_where_it_holds_commands() {
        let at = Whereabouts { store: Some("--store s.db".to_owned()), ..Whereabouts::usual() };
        let mut document = serde_json::json!({
            "reason": "drctl status", "error": {"hint": "drctl status"}, "waits_for": [{"command": "drctl runs list"}],
            "notes": ["drctl ready"],
        });
        at.in_document(&mut document, false);
        let expected = serde_json::json!({
            "reason": "drctl status", "error": {"hint": "drctl --store s.db status"},
            "waits_for": [{"command": "drctl --store s.db runs list"}], "notes": ["drctl --store s.db ready"],
        });
        assert_eq!(document, expected);
    }
}
