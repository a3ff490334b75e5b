//! Lines for a narrow terminal: they break at spaces and continue below the start of their text. Words, names, URLs and commands stay
//! whole, so that a copied command is complete. A command that is wider than the terminal continues after a backslash.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use unicode_width::UnicodeWidthChar as _;

use super::parser;

/// Narrower terminals are not wrapped for.
const NARROWEST: usize = 20;

/// The lines, none wider than the terminal unless it is one word.
pub fn lines(text: &str, width: usize) -> String {
    if width < NARROWEST {
        return text.to_owned();
    }
    text.split('\n').map(|line| wrapped(line, width)).collect::<Vec<_>>().join("\n")
}

/// The number of columns of a text, without colour codes.
pub fn columns(text: &str) -> usize {
    let (mut n, mut colour) = (0, false);
    for c in text.chars() {
        match c {
            '\u{1b}' => colour = true,
            'm' if colour => colour = false,
            _ if colour => {}
            c => n += c.width().unwrap_or(0),
        }
    }
    n
}

fn wrapped(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let indent = hang(line, width);
    let (mut out, mut used, mut bare) = (String::new(), 0, true);
    for (gap, unit) in units(line) {
        let (space, wide) = (gap.len(), columns(&unit));
        // Words beside a command would become its arguments where its lines are copied. A label may precede it.
        let alone = is_command(&unit);
        let begins = bare || used + space == indent;
        if used + space + wide <= width && (begins || !alone) {
            out.push_str(gap);
            out.push_str(&unit);
            used = if alone { width } else { used + space + wide };
            bare = false;
            continue;
        }
        // A unit that does not fit goes on its own line, further left if that makes it fit.
        if !bare {
            out.push('\n');
        }
        let left = if bare { space } else { indent };
        let (text, end) = match wide <= width {
            true => {
                let left = left.min(width - wide);
                (indented(left, &unit), left + wide)
            }
            false => continued(&unit, left, width),
        };
        out.push_str(&text);
        used = if alone { width } else { end };
        bare = false;
    }
    out
}

/// The command at the beginning of a text, without colours.
pub fn command(text: &str) -> String {
    let line = text.split('\n').next().unwrap_or_default();
    units(line).first().map(|(_, unit)| without_colours(unit)).unwrap_or_default()
}

/// Whether a unit is a command with arguments.
fn is_command(unit: &str) -> bool {
    let plain = without_colours(unit);
    let words = plain.trim_start_matches(BEFORE);
    words.starts_with("drctl ") && words.split(' ').count() > 2
}

/// Characters that may precede a command.
const BEFORE: [char; 4] = ['`', '(', '\'', '['];

fn indented(left: usize, text: &str) -> String {
    format!("{}{text}", " ".repeat(left))
}

/// The columns of ` \`, after which a shell continues to read the command on the next line.
const CONTINUES: usize = 2;
/// How much further right a command continues.
const CONTINUED: usize = 4;

/// A command that is wider than the terminal, from this column on, with the width of its last line. It continues after a backslash, so that
/// it can be copied and no word of it is broken.
fn continued(command: &str, from: usize, width: usize) -> (String, usize) {
    let (mut out, mut used) = (String::new(), 0);
    for word in arguments(command) {
        let wide = columns(word);
        if used > 0 && used + 1 + wide + CONTINUES <= width {
            out.push(' ');
            out.push_str(word);
            used += 1 + wide;
            continue;
        }
        let left = if used == 0 { from } else { from + CONTINUED };
        let left = left.min(width.saturating_sub(wide + CONTINUES));
        if used > 0 {
            out.push_str(" \\\n");
        }
        out.push_str(&indented(left, word));
        used = left + wide;
    }
    (out, used)
}

/// The words of a command. A quoted text stays whole.
pub fn arguments(command: &str) -> Vec<&str> {
    let (mut all, mut from, mut quote) = (Vec::new(), 0, None);
    for (at, c) in command.char_indices() {
        match quote {
            Some(mark) if c == mark => quote = None,
            Some(_) => {}
            // The command itself may be in quotes.
            None if matches!(c, '"' | '\'') && at == from && from > 0 => quote = Some(c),
            None if c == ' ' => {
                all.extend(Some(&command[from..at]).filter(|word| !word.is_empty()));
                from = at + 1;
            }
            None => {}
        }
    }
    all.extend(Some(&command[from..]).filter(|word| !word.is_empty()));
    all
}

/// The columns of the time and of the time since the start, before the text of a progress line.
const TIME: usize = 10;
const ELAPSED: usize = 10;

/// Terminals from this width on have space beside both times.
const WIDE: usize = 60;

/// Where a line continues: below its text, which starts after two spaces, or further left if there is too little space.
fn hang(line: &str, width: usize) -> usize {
    let plain = without_colours(line);
    if is_stamped(&plain) {
        return if width >= WIDE { TIME + ELAPSED } else { TIME };
    }
    let margin = plain.len() - plain.trim_start_matches(' ').len();
    let head: String = plain.chars().take(width / 3 + 1).collect();
    let label = head
        .rmatch_indices("  ")
        .map(|(at, _)| at + 2)
        .find(|at| *at > margin && !plain[*at..].starts_with(' '));
    label.unwrap_or_else(|| (margin + 2).min(width / 3))
}

/// Whether a line begins with a time, such as `03:01:28Z`.
fn is_stamped(line: &str) -> bool {
    let mut stamp = line.as_bytes().iter().take(TIME).zip(b"00:00:00Z ");
    let fits = |(c, like): (&u8, &u8)| if *like == b'0' { c.is_ascii_digit() } else { c == like };
    line.len() > TIME && stamp.all(fits)
}

/// A text without colour codes.
pub fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

/// The units that are never broken, each with the spaces before it: words, and commands with their arguments.
fn units(line: &str) -> Vec<(&str, String)> {
    let mut units: Vec<(&str, String)> = Vec::new();
    let mut command: Option<Reading> = None;
    let mut rest = line;
    while !rest.is_empty() {
        let gap = &rest[..rest.len() - rest.trim_start_matches(' ').len()];
        rest = &rest[gap.len()..];
        let word = &rest[..rest.find(' ').unwrap_or(rest.len())];
        rest = &rest[word.len()..];
        let plain = without_colours(word);
        let goes_on = command.take().and_then(|at| if gap.len() == 1 { at.next(&plain) } else { None });
        match (goes_on, units.last_mut()) {
            (Some(at), Some((_, unit))) => {
                unit.push_str(gap);
                unit.push_str(word);
                command = at.open();
            }
            _ => {
                units.push((gap, word.to_owned()));
                command = match plain.trim_start_matches(BEFORE) {
                    "drctl" => Some(Reading::Verb),
                    // Options that a person adds to a command.
                    option if option.starts_with("--") => Reading::More.next(option).and_then(Reading::open),
                    _ => None,
                };
            }
        }
    }
    units
}

/// How far a command was read.
#[derive(Clone, Copy)]
enum Reading {
    /// A command name, or a global option.
    Verb,
    /// The value of a global option, before the command name.
    Global,
    /// The next word belongs to it, whatever it is.
    Value,
    /// Only words that look like part of a command belong to it.
    More,
    /// A quoted text, and whether it is the value of a global option.
    Quoted(char, bool),
    /// It ended with the last word.
    Over,
}

/// Characters that may follow the last part of a command.
pub const ENDS: &[char] = &[',', ';', ':', '.', '`', ')', ']'];

impl Reading {
    /// The state after the next word, if that still belongs to it.
    fn next(self, word: &str) -> Option<Self> {
        let bare = word.trim_end_matches(ENDS);
        if let Self::Quoted(mark, global) = self {
            let then = if global { Self::Verb } else { Self::More };
            return Some(if bare.ends_with(mark) { then } else { self });
        }
        let quote = word.chars().next().filter(|c| matches!(c, '"' | '\''));
        let looks_like_one = word.starts_with('-')
            || quote.is_some()
            || word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            || bare.contains(|c: char| c.is_ascii_digit() || "-./_:=".contains(c));
        let verb = verbs().get(bare).filter(|_| matches!(self, Self::Verb));
        if !looks_like_one && verb.is_none() && !matches!(self, Self::Value | Self::Global) {
            return None;
        }
        let valued = word == "-C" || word.starts_with("--") && !word.contains('=');
        Some(match (quote, verb) {
            (Some(mark), _) if bare.len() == 1 || !bare.ends_with(mark) => {
                Self::Quoted(mark, matches!(self, Self::Global))
            }
            // A folder may be `..`.
            _ if bare != word && !bare.is_empty() => Self::Over,
            (_, Some(takes)) => match takes {
                Takes::Verbs => Self::Verb,
                Takes::Values => Self::Value,
                Takes::Options => Self::More,
            },
            _ if matches!(self, Self::Global) => Self::Verb,
            _ if word.starts_with("--sandbox") => self,
            _ if valued && matches!(self, Self::Verb) => Self::Global,
            _ if valued => Self::Value,
            _ if matches!(self, Self::Verb) => Self::Verb,
            _ => Self::More,
        })
    }

    fn open(self) -> Option<Self> {
        (!matches!(self, Self::Over)).then_some(self)
    }
}

/// What may follow the name of a command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Takes {
    /// Options, and nothing else.
    Options,
    /// A value, such as the name of a plan, which can look like any word.
    Values,
    /// A subcommand.
    Verbs,
}

/// Commands and subcommands. Of several with one name, the one that takes more counts.
fn verbs() -> &'static BTreeMap<String, Takes> {
    static VERBS: OnceLock<BTreeMap<String, Takes>> = OnceLock::new();
    VERBS.get_or_init(|| {
        let takes = |verb: &clap::Command| match verb.has_subcommands() {
            true => Takes::Verbs,
            false if verb.get_positionals().next().is_some() => Takes::Values,
            false => Takes::Options,
        };
        let all = parser::command();
        let theirs = all.get_subcommands().flat_map(clap::Command::get_subcommands);
        let mut verbs = BTreeMap::new();
        for verb in theirs.chain(all.get_subcommands()) {
            let most = verbs.entry(verb.get_name().to_owned()).or_insert(Takes::Options);
            *most = (*most).max(takes(verb));
        }
        verbs
    })
}

#[cfg(test)]
mod tests {
    use super::{columns, lines};

    #[test]
    fn a_line_ends_at_a_space_and_goes_on_below_its_text() {
        let text = "  RPO      may lose 5m of writes to db-primary.example.com:5432; objective 1m: missed";
        assert_eq!(
            lines(text, 40),
            "  RPO      may lose 5m of writes to\n           db-primary.example.com:5432;\n           objective 1m: missed"
        );
        assert_eq!(lines(text, 200), text);
        // A pipe has no width.
        assert_eq!(lines(text, 0), text);
        let coloured = "  \u{1b}[31mstopped\u{1b}[0m  the servers in service are fewer than what is wanted";
        assert_eq!(
            lines(coloured, 40),
            "  \u{1b}[31mstopped\u{1b}[0m  the servers in service are\n           fewer than what is wanted"
        );
        assert_eq!(columns("\u{1b}[31mstopped\u{1b}[0m"), 7);
    }

    /// The time since the start is aligned to the right, so its gap differs from line to line.
    #[test]
    fn the_lines_of_a_run_continue_in_one_column() {
        for line in [
            "03:01:28Z     +0s  up probe public has been good",
            "03:04:44Z +3m 15s  verify.db done: wrote a row and read it",
        ] {
            let shown = lines(line, 40);
            let rest = shown.lines().nth(1).unwrap();
            assert!(rest.starts_with("          ") && !rest.starts_with("           "), "{shown}");
            let wide = lines(&format!("{line} again and again, until the line is longer"), 70);
            let rest = wide.lines().nth(1).unwrap();
            assert!(rest.starts_with(&" ".repeat(20)) && !rest.starts_with(&" ".repeat(21)), "{wide}");
        }
    }

    /// A word of the sentence behind it would be an argument that the command refuses.
    #[test]
    fn a_command_without_values_ends_before_the_next_word() {
        let text =
            "fix: run drctl --sandbox runs list for the list of runs; live runs have lists of their own";
        let shown = lines(text, 60);
        assert!(shown.lines().any(|line| line.trim() == "drctl --sandbox runs list"), "{shown}");
        let plans = "fix: run drctl --sandbox observe webshop, which has not been observed for a long time";
        assert!(
            lines(plans, 60).lines().any(|line| line.trim() == "drctl --sandbox observe webshop,"),
            "{}",
            lines(plans, 60)
        );
    }

    /// Words beside it would become its arguments where somebody copies its lines.
    #[test]
    fn a_command_is_alone_on_its_lines_at_the_place_of_its_text() {
        let run = "drctl runs resume sandbox-shop-failover-s1-1 --sandbox";
        let text = format!("  took     real 25.9s, of which a person took more; {run} continues the run");
        let shown = lines(&text, 80);
        let at = shown.lines().position(|line| line.trim_start() == run).unwrap_or_else(|| panic!("{shown}"));
        assert_eq!(shown.lines().nth(at + 1), Some("           continues the run"), "{shown}");
        let skip = "drctl runs skip sandbox-shop-failover-s1-1 scale.nodes --reason TEXT --sandbox";
        for (text, left) in [(format!("    {skip}"), 4), (format!("  ways on the way [{skip}] and more"), 2)]
        {
            for width in [40, 60, 72] {
                let shown = lines(&text, width);
                let first = shown.lines().find(|line| line.contains("drctl")).unwrap();
                assert!(first.len() - first.trim_start().len() >= left, "{shown}");
                assert!(first.ends_with(" \\"), "{shown}");
                assert!(shown.lines().all(|line| line.len() <= width), "{shown}");
                assert!(
                    !shown.lines().any(|line| line.contains("--sandbox") && line.contains(" and")),
                    "{shown}"
                );
            }
        }
    }

    #[test]
    fn a_command_and_a_url_stay_whole() {
        for whole in [
            "drctl runs skip 20261126-shop-failover-12ab scale.nodes --reason TEXT --sandbox",
            "drctl reprotect shop --to us-east-1,",
            "drctl --store 'our stores/shop.db' -C .. runs show sandbox-shop-failover-s1-1 --sandbox,",
            "drctl --sandbox runs resume sandbox-shop-failover-s1-1 --waive exposure-above-rpo:db --reason \"we know it\"",
            "--waive unfenced-promotion:db --accept-data-loss 5m --reason TEXT,",
            "https://example.com/a/very/long/path/that/nobody/may/break/in/two",
        ] {
            let text =
                format!("    whoever goes on types {whole} and is told what becomes of it, line by line");
            for width in [40, 80] {
                let shown = lines(&text, width);
                // As a shell reads it.
                let read = shown.split(" \\\n").map(str::trim_start).collect::<Vec<_>>().join(" ");
                assert!(read.contains(whole), "{shown}");
                assert!(columns(whole) > width || shown.contains(whole), "{shown}");
                for line in shown.lines() {
                    let one_word = line.split_whitespace().count() == 1;
                    assert!(columns(line) <= width || one_word, "{width}: {shown}");
                    assert!(!line.ends_with(' '), "{shown}");
                }
                let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
                assert_eq!(words(&read), words(&text));
            }
        }
    }
}
