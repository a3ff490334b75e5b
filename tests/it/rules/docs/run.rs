//! Runs the commands of README and the book that need no cloud, in the folder that their page assumes. A command ends with the exit code in
//! its comment (`# exit code 3`), or with 0.

use std::collections::BTreeMap;

use super::{Block, Page, arguments, pages, root};
use crate::cli::contract::Folder;

/// Commands that need neither a cloud nor a run.
const ALONE: &[&str] = &[
    "--version",
    "check",
    "completions",
    "drill schedules",
    "explain",
    "init",
    "kit export",
    "policy explain",
    "schema",
];

/// Commands that read a store: here, that of a rehearsal.
const READING: &[&str] = &[
    "audit export",
    "audit key",
    "audit verify",
    "duties list",
    "evidence export",
    "evidence list",
    "notify show",
    "report",
    "runs export",
    "runs list",
    "runs replay",
    "runs show",
    "runs watch",
    "status",
];

/// Commands that ask for a confirmation.
const ASKING: &[&str] = &["drill", "failback", "failover", "reprotect", "restore", "switchover"];

/// What a reader fills in.
const PLACEHOLDERS: &[&str] =
    &["DIGEST", "INC-ID", "KEY", "LOST", "PLAN", "RUN", "SAFE", "SHA256:FINGERPRINT", "STEP", "TEXT"];

fn rehearses(typed: &[String]) -> bool {
    typed.iter().any(|arg| arg == "--sandbox" || arg.starts_with("--sandbox="))
}

fn begins(typed: &[String], with: &[&str]) -> bool {
    let is = |command: &&str| {
        let words: Vec<&str> = command.split(' ').collect();
        typed.iter().map(String::as_str).take(words.len()).eq(words.iter().copied())
    };
    with.iter().any(is)
}

fn reads(typed: &[String]) -> bool {
    begins(typed, READING) || matches!(typed, [one] if one == "duties")
}

/// The arguments with which the test runs a line; `None` if the command needs a cloud, or something that only the reader has.
fn runnable(line: &str) -> Option<Vec<String>> {
    let mut typed = arguments(line)?;
    // A call through cargo would build.
    if typed.remove(0) != "drctl" || typed.is_empty() {
        return None;
    }
    if reads(&typed) && !rehearses(&typed) {
        typed.push("--sandbox".to_owned());
    }
    let rehearsal = rehearses(&typed);
    if rehearsal {
        typed.iter_mut().filter(|arg| arg.as_str() == "RUN").for_each(|arg| "latest".clone_into(arg));
    }
    // A rehearsed server runs for half a minute.
    let possible = rehearsal && typed[0] != "serve" || begins(&typed, ALONE);
    let here = |arg: &String| {
        !PLACEHOLDERS.contains(&arg.as_str()) && !arg.starts_with(['/', '~']) && arg != "--file"
    };
    if !possible || !typed.iter().all(here) {
        return None;
    }
    // The reader types the name of the site. Here is no terminal.
    let confirmed = typed.iter().any(|arg| arg == "--yes" || arg == "--dry-run");
    if rehearsal && begins(&typed, ASKING) && !confirmed {
        typed.push("--yes".to_owned());
    }
    Some(typed)
}

/// The exit code that the comment of a line promises.
fn promised(line: &str) -> i32 {
    let rest = line.split_once("# exit code ").map_or("", |(_, rest)| rest);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

fn commands(block: &Block) -> impl Iterator<Item = &str> {
    let lines = if block.info == "sh" { block.text.as_str() } else { "" };
    lines.lines().filter(|line| arguments(line).is_some())
}

/// The name of the plan in a block, if it is one.
fn plan(block: &Block) -> Option<&str> {
    let line = block.text.lines().find_map(|line| line.strip_prefix("plan:"));
    line.filter(|_| block.info == "yaml plan")?.split_whitespace().next()
}

/// The plans of the book, each by its name. Of several with one name, it is the first.
fn plans(pages: &[Page]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for block in pages.iter().flat_map(Page::blocks) {
        if let Some(name) = plan(&block) {
            all.entry(name.to_owned()).or_insert_with(|| block.text.clone());
        }
    }
    all
}

fn write(folder: &Folder, name: &str, text: &str) {
    std::fs::write(folder.path().join("plans").join(format!("{name}.yaml")), text).unwrap();
}

/// The folder that a page assumes: an empty one if it creates its plan, otherwise one with the plans that its commands name.
fn folder(blocks: &[Block], book: &BTreeMap<String, String>) -> Folder {
    let lines: Vec<&str> = blocks.iter().flat_map(commands).collect();
    if lines.iter().any(|line| line.starts_with("drctl init ")) {
        return Folder::empty();
    }
    let folder = Folder::with_plans();
    let named = |name: &str| lines.iter().any(|line| line.split_whitespace().any(|word| word == name));
    book.iter().filter(|(name, _)| named(name)).for_each(|(name, text)| write(&folder, name, text));
    blocks.iter().filter_map(|b| Some((plan(b)?, b))).for_each(|(name, b)| write(&folder, name, &b.text));
    folder
}

/// What came of the commands of pages.
#[derive(Default)]
struct Tried {
    ran: usize,
    parsed: usize,
    wrong: Vec<String>,
}

impl Tried {
    /// Does what a page says, from top to bottom.
    fn page(&mut self, page: &Page, book: &BTreeMap<String, String>) {
        let (blocks, prose) = (page.blocks(), page.prose());
        if blocks.iter().all(|block| commands(block).next().is_none()) {
            return;
        }
        let folder = folder(&blocks, book);
        let (mut rehearsed, mut read) = (false, 0);
        for block in &blocks {
            let line: usize = block.at.rsplit(':').next().unwrap().parse().unwrap();
            if prose[read..line].iter().any(|text| text.contains("Delete the line `guard:`")) {
                without_guard(&folder);
            }
            read = line;
            if let Some(name) = plan(block) {
                write(&folder, name, &block.text);
            }
            for line in commands(block) {
                let Some(typed) = runnable(line) else {
                    self.parsed += 1;
                    continue;
                };
                if reads(&typed) && !rehearsed && !line.contains("--sandbox") {
                    folder.ok(&["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox"]);
                    rehearsed = true;
                }
                self.line(&folder, &block.at, line, &typed);
            }
        }
    }

    fn line(&mut self, folder: &Folder, at: &str, line: &str, typed: &[String]) {
        let (code, out, err) = folder.run(&typed.iter().map(String::as_str).collect::<Vec<_>>());
        self.ran += 1;
        let says = promised(line);
        if code != says {
            self.wrong
                .push(format!("{at}: {line}: the page says {says}, and it ends with {code}\n{out}{err}"));
        }
    }
}

fn without_guard(folder: &Folder) {
    let path = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("guard:")).collect();
    assert_eq!(kept.len() + 1, text.lines().count(), "it has the line: {text}");
    std::fs::write(&path, kept.join("\n") + "\n").unwrap();
}

#[test]
fn commands_of_the_book_end_as_their_page_says() {
    let pages = pages();
    let book = plans(&pages);
    let mut tried = Tried::default();
    pages.iter().for_each(|page| tried.page(page, &book));
    eprintln!("{} commands ran, and {} only parse", tried.ran, tried.parsed);
    assert!(tried.wrong.is_empty(), "{}", tried.wrong.join("\n"));
    assert!(tried.ran >= 55, "only {} of {} commands ran", tried.ran, tried.ran + tried.parsed);
}

#[test]
fn a_command_that_ends_in_another_way_would_be_found() {
    let wrong = |line: &str| {
        let page = Page { path: root().join("README.md"), text: format!("```sh\n{line}\n```\n") };
        let mut tried = Tried::default();
        tried.page(&page, &BTreeMap::new());
        (tried.ran, tried.parsed, tried.wrong.len())
    };
    assert_eq!(wrong("drctl explain unfenced-promoton"), (1, 0, 1));
    assert_eq!(wrong("drctl explain unfenced-promoton  # exit code 2: a typo"), (1, 0, 0));
    assert_eq!(wrong("drctl failover starter --to us-east-1"), (0, 1, 0), "it needs a cloud");
    for (line, run) in [
        ("drctl failover shop --sandbox --to east", Some("failover shop --sandbox --to east --yes")),
        ("drctl runs show RUN", Some("runs show latest --sandbox")),
        ("drctl failover PLAN --sandbox --to east", None),
        ("drctl audit verify --file audit.jsonl", None),
        ("drctl serve --sandbox", None),
        ("drctl duties done RUN monitoring --reference x", None),
    ] {
        assert_eq!(runnable(line).map(|typed| typed.join(" ")).as_deref(), run, "{line}");
    }
}
