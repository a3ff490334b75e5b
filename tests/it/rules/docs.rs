//! README and the book in `docs/` are correct: their commands parse, those that need no cloud run, their plans pass `drctl check`, their
//! links work, and the generated pages match the program.
//!
//! `DRCTL_TEST_DOCS=write cargo test --test it docs::` writes the demo in README and the generated pages again.

mod book;
mod glossary;
mod reference;
mod run;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use crate::cli::contract::Folder;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

struct Page {
    path: PathBuf,
    text: String,
}

fn page(path: PathBuf) -> Page {
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Page { path, text }
}

fn readme() -> Page {
    page(root().join("README.md"))
}

/// README and every page of the book, by name.
fn pages() -> Vec<Page> {
    let mut found = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|x| x == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 30, "the book is there: {found:?}");
    found.into_iter().map(page).collect()
}

/// A fenced block: the page, its first line, the info string, and its text.
struct Block {
    at: String,
    info: String,
    text: String,
}

impl Page {
    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.strip_prefix(root()).unwrap().display())
    }

    fn blocks(&self) -> Vec<Block> {
        let (mut found, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
        for (n, line) in self.text.lines().enumerate() {
            match (line.strip_prefix("```"), open.as_mut()) {
                (Some(info), None) => {
                    open = Some(Block { at: self.at(n + 1), info: info.to_owned(), text: String::new() });
                }
                (Some(_), Some(_)) => found.extend(open.take()),
                (None, Some(block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.path.display());
        found
    }

    /// The text outside of blocks, by line; lines inside are empty.
    fn prose(&self) -> Vec<&str> {
        let mut inside = false;
        let keep = |line| {
            let fence = str::starts_with(line, "```");
            let drop = inside || fence;
            inside ^= fence;
            if drop { "" } else { line }
        };
        self.text.lines().map(keep).collect()
    }
}

/// The words of a shell line up to a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '|' | '>' | ';' | '&') => break,
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    assert!(quote.is_none(), "a quote is not closed: {line}");
    words.extend(word);
    words
}

/// The arguments of drctl in a line, starting with its name: called directly, or through cargo.
fn arguments(line: &str) -> Option<Vec<String>> {
    let mut words = words(line);
    while words.first().is_some_and(|w| w.starts_with(|c: char| c.is_ascii_uppercase()) && w.contains('=')) {
        words.remove(0);
    }
    match words.first().map(String::as_str) {
        Some("drctl") => Some(words),
        Some("cargo") if words.get(1).is_some_and(|w| w == "run") => {
            let at = words.iter().position(|w| w == "--")?;
            Some(words.split_off(at))
        }
        _ => None,
    }
}

fn refused(arguments: &[String]) -> Option<clap::Error> {
    let said = drctl::cli::parser::parse(arguments.iter().map(Into::into)).err()?;
    (!matches!(said.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)).then_some(said)
}

#[test]
fn every_command_in_a_block_parses() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for block in pages().iter().flat_map(Page::blocks).filter(|b| b.info == "sh") {
        for line in block.text.lines() {
            let Some(arguments) = arguments(line) else { continue };
            tried += 1;
            wrong.extend(refused(&arguments).map(|e| format!("{}: {line}\n{e}", block.at)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 100, "{tried}");
}

/// A sentence may name a command without required arguments, but not with arguments that it does not accept.
#[test]
fn every_command_in_a_sentence_is_one() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for page in pages() {
        for (n, line) in page.prose().into_iter().enumerate() {
            let spans = line.split('`').skip(1).step_by(2);
            for span in
                spans.filter(|s| (s.starts_with("drctl ") || s.starts_with("DRCTL_")) && !s.contains(".."))
            {
                let Some(arguments) = arguments(span) else { continue };
                tried += 1;
                let partial = |e: &clap::Error| {
                    use ErrorKind::{
                        DisplayHelpOnMissingArgumentOrSubcommand, MissingRequiredArgument, MissingSubcommand,
                    };
                    let missing = [
                        MissingRequiredArgument,
                        MissingSubcommand,
                        DisplayHelpOnMissingArgumentOrSubcommand,
                    ];
                    missing.contains(&e.kind())
                };
                let said = refused(&arguments).filter(|e| !partial(e));
                wrong.extend(said.map(|e| format!("{}: {span}\n{e}", page.at(n + 1))));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 60, "{tried}");
}

#[test]
fn a_wrong_command_would_be_found() {
    for line in [
        "drctl fail-over --to x",
        "drctl failover --to",
        "drctl failover --to x --force",
        "drctl runs stop R",
    ] {
        assert!(refused(&arguments(line).unwrap()).is_some(), "{line}");
    }
    let typed = "DRCTL_KEY=~/k drctl approve RUN --for \"10m\" # yes | no";
    assert_eq!(arguments(typed).unwrap().join(" "), "drctl approve RUN --for 10m");
    assert_eq!(arguments("cargo run -q -- status > x").unwrap(), ["--", "status"]);
    assert_eq!(arguments("cargo bench --bench steps -- FOLDER"), None);
}

/// Complete plans are marked `plan`, complete settings `settings`. Settings are checked with the plan in README.
#[test]
fn every_plan_and_settings_file_passes_check() {
    let blocks: Vec<Block> = pages().iter().flat_map(Page::blocks).collect();
    let of = |info: &'static str| blocks.iter().filter(move |b| b.info == info);
    let webshop = of("yaml plan").find(|b| b.at.starts_with("README.md")).expect("README has a plan");
    let guard = "guard: {url: \"s3://ours/prod\", region: us-east-2, account: \"333333333333\"}\nsql: {ca_file: ca.pem}\n";
    let check = |plan: &Block, settings: &str, at: &str| {
        let folder = Folder::empty();
        std::fs::create_dir(folder.path().join("plans")).unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join("plans").join(name), text).unwrap();
        write("plan.yaml", &plan.text);
        write("drctl.yaml", settings);
        write("ca.pem", "");
        write("global-bundle.pem", "");
        let (code, out, err) = folder.run(&["check"]);
        (code != 0 || !out.contains("0 errors")).then(|| format!("{at}: {code}\n{out}{err}"))
    };
    let mut wrong: Vec<String> = of("yaml plan").filter_map(|b| check(b, guard, &b.at)).collect();
    wrong.extend(of("yaml settings").filter_map(|b| check(webshop, &b.text, &b.at)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(of("yaml plan").count() > 9 && of("yaml settings").count() > 6);
    let spoilt =
        Block { at: String::new(), info: String::new(), text: webshop.text.replace("kind:", "knid:") };
    assert!(check(&spoilt, guard, "").is_some(), "a mistake in a plan is found");
}

/// The anchor that forges and mdBook generate for a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(page: &Page) -> BTreeSet<String> {
    let headings = page.prose().into_iter().filter(|l| l.starts_with('#'));
    headings.map(|l| anchor(l.trim_start_matches('#'))).collect()
}

fn links(page: &Page) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (n, line) in page.prose().into_iter().enumerate() {
        for part in line.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            if !target.starts_with("http") {
                found.push((n + 1, target.to_owned()));
            }
        }
    }
    found
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    for from in pages() {
        for (line, target) in links(&from) {
            let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
            let path =
                if file.is_empty() { from.path.clone() } else { from.path.parent().unwrap().join(file) };
            if !path.is_file() {
                wrong.push(format!("{}: {target}: no such file", from.at(line)));
            } else if !heading.is_empty() && !anchors(&page(path)).contains(heading) {
                wrong.push(format!("{}: {target}: no such heading", from.at(line)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The walk through the source names files that exist, each once.
#[test]
fn the_walk_visits_every_file_once() {
    let text = std::fs::read_to_string(root().join("docs/src/reference/walk.md")).unwrap();
    let files: Vec<&str> = text.split('`').filter(|word| word.ends_with(".rs")).collect();
    assert!(files.len() > 20, "{files:?}");
    let missing: Vec<_> = files.iter().filter(|file| !root().join("src").join(file).is_file()).collect();
    assert!(missing.is_empty(), "no such file: {missing:?}");
    assert_eq!(files.iter().collect::<BTreeSet<_>>().len(), files.len(), "a file is visited twice");
}

/// The walk refers to its rows by number: those of operations, and those of files that belong to one kind. A row before them moves all.
#[test]
fn the_walk_refers_to_the_rows_that_it_means() {
    let text = std::fs::read_to_string(root().join("docs/src/reference/walk.md")).unwrap();
    let rows: Vec<(usize, &str)> = text
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            Some((cells.next()?.parse().ok()?, cells.next()?.trim_matches('`')))
        })
        .collect();
    assert!(rows.iter().map(|(number, _)| *number).eq(1..=rows.len()), "{rows:?}");
    let numbers = |text: &str| -> Vec<usize> {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
    };
    let of = |is: &dyn Fn(&str) -> bool| -> Vec<usize> {
        rows.iter().filter(|(_, file)| is(file)).map(|(number, _)| *number).collect()
    };
    let is_operation = |file: &str| file.starts_with("kinds/") && file.contains("/op");
    let is_own = |file: &str| {
        let of_kind = file.starts_with("kinds/aws/") || file.starts_with("adapters/aws/");
        of_kind && !file.ends_with("mod.rs") || is_operation(file)
    };
    let judge = text.lines().find(|line| line.contains("It asks the operation")).unwrap();
    assert_eq!(numbers(judge.split_once("operation").unwrap().1), of(&is_operation));
    let last = text.split_once("Its own files take the place").unwrap().1;
    assert_eq!(numbers(last), of(&is_own));
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let summary = page(root().join("docs/src/SUMMARY.md"));
    let folder = summary.path.parent().unwrap();
    let named: BTreeSet<PathBuf> =
        links(&summary).into_iter().map(|(_, target)| folder.join(target)).collect();
    let there = pages().into_iter().map(|p| p.path).filter(|p| p.starts_with(folder) && *p != summary.path);
    assert_eq!(named, there.collect::<BTreeSet<_>>());
}

#[test]
fn readme_is_short() {
    let text = readme().text;
    assert!(text.lines().count() <= 220, "{} lines", text.lines().count());
    let long: Vec<&str> = text.lines().filter(|l| l.chars().count() > 120).collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// The number of words of each sentence, without tables, headings and blocks.
fn sentences(page: &Page) -> Vec<usize> {
    let mut lengths = Vec::new();
    let prose = page.prose();
    for paragraph in prose.split(|l| l.trim().is_empty() || l.starts_with(['#', '|', '['])) {
        let items = paragraph.join("\n").replace("\n- ", ".\n\n").replace("\n* ", ".\n\n");
        let text = items.split_whitespace().collect::<Vec<_>>().join(" ");
        let ends = text.split_inclusive([' ', '\u{a0}']).fold((0, Vec::new()), |(n, mut done), word| {
            let word = word.trim();
            if word.ends_with(['.', '?', '!', ':']) || word.ends_with(".**") {
                done.push(n + 1);
                (0, done)
            } else {
                (n + 1, done)
            }
        });
        lengths.extend(ends.1);
        lengths.extend((ends.0 > 0).then_some(ends.0));
    }
    lengths
}

#[test]
fn sentences_are_short() {
    let mut all: Vec<usize> = pages().iter().flat_map(sentences).collect();
    all.sort_unstable();
    let part = |n: usize| all.get(all.len() * n / 10).copied().unwrap_or_default();
    let said = format!("{} sentences, median {} words, nine of ten up to {}", all.len(), part(5), part(9));
    assert!(all.len() > 800 && (5..14).contains(&part(5)) && part(9) < 26, "{said}");
    eprintln!("{said}");
}

/// Compares the generated text with the file; with `DRCTL_TEST_DOCS=write`, writes it.
fn held(path: &Path, text: &str) {
    if std::env::var("DRCTL_TEST_DOCS").is_ok_and(|v| v == "write") {
        std::fs::write(path, text).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    let differs = there.lines().zip(text.lines()).find(|(a, b)| a != b);
    assert!(
        there == text,
        "{} is stale: DRCTL_TEST_DOCS=write cargo test --test it docs:: writes it anew; first difference: {differs:?}",
        path.display()
    );
}

/// The output of the demo for the plan with a database, without long lines and real durations.
fn demo(page: &Page) -> String {
    let command = page.blocks().into_iter().find(|b| b.info == "sh").unwrap();
    let args = arguments(command.text.trim()).unwrap();
    let folder = Folder::empty();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    for name in ["truststream.yaml", "starter.yaml", "drctl.yaml"] {
        std::fs::copy(root().join("plans").join(name), folder.path().join("plans").join(name)).unwrap();
    }
    let printed = folder.ok(&args[1..].iter().map(String::as_str).collect::<Vec<_>>());
    let from = printed.find("RECOVERED failover of truststream").expect("the demo recovers");
    let mut lines: Vec<&str> = Vec::new();
    for line in printed[from..].lines().take_while(|l| !l.is_empty()) {
        let kept = line.chars().count() <= 120 && !line.starts_with("  took");
        let line = if kept { line } else { "  ..." };
        if kept || lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_demo_prints_what_readme_shows() {
    let page = readme();
    let shown = page.blocks().into_iter().find(|b| b.info == "text demo").expect("README shows the demo");
    let text = page.text.replace(&shown.text, &demo(&page));
    held(&page.path, &text);
}
