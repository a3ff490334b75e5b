//! The status line at the bottom of a terminal: what a person must do, how long users have not been served, in seconds, and, if there is
//! space, what else is in progress.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::cli::terminal;
use crate::cli::wrap;
use crate::model::time::Dur;

/// How often the line is redrawn for the clock.
const TICK: Duration = Duration::from_secs(1);
/// How long the parts are good while the run says what time it is.
const FRESH: Duration = Duration::from_millis(200);
/// Columns of the spinner and of the right edge, where some terminals wrap.
const FRAME: usize = 3;
/// A part that would be shorter than this is left out.
const LEAST: usize = 12;
/// From an hour on, the seconds that are left are not shown.
const HOUR: u64 = 3_600_000;
const MINUTE: u64 = 60_000;
/// The separator between parts.
const BETWEEN: &str = " \u{b7} ";

/// A part of the line. Earlier parts have priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinePart {
    before: String,
    counts: Counts,
    after: String,
    /// What stands before and after its time in shorter forms, the longest first.
    brief: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Nothing,
    Up(Dur),
    Down(Dur),
}

impl LinePart {
    /// Fixed words.
    pub const fn still(words: String) -> Self {
        Self::with(words, Counts::Nothing, String::new())
    }

    /// A time that counts up from `shown`.
    pub fn up(before: &str, shown: Dur, after: String) -> Self {
        Self::with(before.to_owned(), Counts::Up(shown), after)
    }

    /// A time that counts down, followed by words.
    pub fn left(before: &str, left: Dur, after: String) -> Self {
        Self::with(before.to_owned(), Counts::Down(left), after)
    }

    const fn with(before: String, counts: Counts, after: String) -> Self {
        Self { before, counts, after, brief: Vec::new() }
    }

    /// The same with one more form, shorter than the others: the words before and after its time.
    #[must_use]
    pub fn or_short(mut self, before: &str, after: &str) -> Self {
        self.brief.push((before.to_owned(), after.to_owned()));
        self
    }

    /// Its forms once this much time has passed since it was set.
    fn shown(&self, passed: Dur) -> Shown {
        let time = match self.counts {
            Counts::Nothing => String::new(),
            Counts::Up(shown) => time(shown.plus(passed)),
            Counts::Down(left) => {
                let left = left.millis().saturating_sub(passed.millis());
                time(Dur(if left < HOUR { left } else { left - left % MINUTE }))
            }
        };
        let form = |before: &str, after: &str| {
            let parts = [before, time.as_str(), after];
            let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
            // No space before the colon of an explanation, or before a comma.
            match after.chars().next() {
                Some(c @ (':' | ',')) => text.replacen(&format!(" {c}"), &c.to_string(), 1),
                _ => text,
            }
        };
        let brief = self.brief.iter().map(|(before, after)| form(before, after));
        let forms = std::iter::once(form(&self.before, &self.after)).chain(brief).collect();
        Shown { forms, timed: self.counts != Counts::Nothing }
    }
}

/// A part as text.
struct Shown {
    /// From the longest to the shortest.
    forms: Vec<String>,
    /// Whether it has a time, which must not be cut off.
    timed: bool,
}

impl Shown {
    fn whole(&self) -> &str {
        self.forms.first().map_or("", String::as_str)
    }

    fn shortest(&self) -> &str {
        self.forms.last().map_or("", String::as_str)
    }
}

/// In whole seconds, as one word, because a time that is cut in half would be wrong.
pub fn time(time: Dur) -> String {
    one_word(Dur::secs(time.millis() / 1_000))
}

/// A time that is never cut.
pub fn one_word(time: Dur) -> String {
    time.to_string().replace(' ', "\u{a0}")
}

/// Words that say nothing at the end of what was cut.
const SMALL: &[&str] = &["a", "an", "and", "at", "by", "for", "in", "is", "most", "of", "the", "to"];

/// The words of a text that fit, and the sign that it was cut; nothing if no word fits.
fn cut_at_a_word(text: &str, room: usize) -> Option<String> {
    let mut words: Vec<&str> = Vec::new();
    for word in text.split(' ') {
        words.push(word);
        if wrap::columns(&words.join(" ")) >= room {
            words.pop();
            break;
        }
    }
    while words.last().is_some_and(|word| SMALL.contains(word)) {
        words.pop();
    }
    let words = words.join(" ");
    let words = words.trim_end_matches([',', ':', ';']);
    (!words.is_empty()).then(|| format!("{words}\u{2026}"))
}

/// The beginning of a text that fits: its words, or a part of the first one.
fn cut(text: &str, room: usize) -> String {
    cut_at_a_word(text, room).unwrap_or_else(|| {
        let mut cut = text.to_owned();
        while !cut.is_empty() && wrap::columns(&cut) >= room {
            cut.pop();
        }
        format!("{cut}\u{2026}")
    })
}

/// The first two parts, which stay at any width: in shorter forms if necessary, and then cut. Also whether the rest of the line is free.
fn pair(first: &Shown, second: &Shown, width: usize) -> (String, bool) {
    let between = wrap::columns(BETWEEN);
    let room = |beside: &str| width.saturating_sub(wrap::columns(beside) + between);
    for a in &first.forms {
        let Some(b) = second.forms.iter().find(|b| wrap::columns(b) <= room(a)) else { continue };
        if b == second.whole() {
            return (format!("{a}{BETWEEN}{b}"), true);
        }
        // More of its words than the short form has.
        let more = cut_at_a_word(second.whole(), room(a));
        let more =
            more.filter(|more| more.starts_with(b.as_str()) && wrap::columns(more) > wrap::columns(b) + 1);
        return (format!("{a}{BETWEEN}{}", more.as_ref().unwrap_or(b)), false);
    }
    let b = second.shortest();
    let long = first.forms.iter().find(|a| second.forms.len() == 1 && room(a) >= LEAST);
    let a = long.map_or_else(|| first.shortest(), String::as_str);
    let text = match first.timed {
        true if room(a) < LEAST => a.to_owned(),
        true => format!("{a}{BETWEEN}{}", cut(b, room(a))),
        false => format!("{}{BETWEEN}{b}", cut(a, room(b))),
    };
    (text, false)
}

/// As many parts as fit. Of those after the first two, the first that does not fit is cut at a word, or left out if little would remain.
fn fitted(parts: &[Shown], width: usize) -> String {
    let nothing: &[Shown] = &[];
    let (mut out, rest) = match parts {
        [] => return String::new(),
        [only] if wrap::columns(only.whole()) > width => (cut(only.whole(), width), nothing),
        [only] => (only.whole().to_owned(), nothing),
        [first, second, rest @ ..] => match pair(first, second, width) {
            (text, true) => (text, rest),
            (text, false) => (text, nothing),
        },
    };
    for part in rest {
        let room = width.saturating_sub(wrap::columns(&out) + wrap::columns(BETWEEN));
        let whole = wrap::columns(part.whole()) <= room;
        let text = if whole { Some(part.whole().to_owned()) } else { cut_at_a_word(part.whole(), room) };
        if let Some(text) = text.filter(|text| whole || wrap::columns(text) > LEAST) {
            out.push_str(BETWEEN);
            out.push_str(&text);
        }
        if !whole {
            break;
        }
    }
    out.replace('\u{a0}', " ")
}

/// The line as it was set last.
#[derive(Clone, Debug, Default)]
struct Set {
    parts: Vec<LinePart>,
    /// The time of that, by the bar's clock.
    at: Duration,
    /// How many seconds of the run pass in one real second until the parts are set again.
    pace: f64,
}

impl Set {
    /// The text at this time of the bar's clock, for this number of columns.
    fn now(&self, bar: Duration, width: usize) -> String {
        let passed = bar.saturating_sub(self.at).mul_f64(self.pace.max(0.0)).as_millis();
        let passed = Dur(u64::try_from(passed).unwrap_or(u64::MAX));
        let parts: Vec<Shown> = self.parts.iter().map(|part| part.shown(passed)).collect();
        fitted(&parts, width.saturating_sub(FRAME))
    }
}

/// The status line.
pub struct LiveLine {
    bar: ProgressBar,
    set: Arc<Mutex<Set>>,
}

impl LiveLine {
    /// On a terminal, with these parts.
    pub fn new(parts: Vec<LinePart>) -> Self {
        let set = Arc::new(Mutex::new(Set { parts, ..Set::default() }));
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let shown = Arc::clone(&set);
        let tell = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let set = shown.lock().unwrap_or_else(PoisonError::into_inner);
            let width = match terminal::columns() {
                0 => 80,
                some => some,
            };
            let _ = write!(out, "{}", set.now(state.elapsed(), width));
        };
        let style = ProgressStyle::with_template("{spinner} {line}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style.with_key("line", tell));
        bar.enable_steady_tick(TICK);
        terminal::at_the_bottom(Some(bar.clone()));
        Self { bar, set }
    }

    /// Sets the parts, the most important first. `pace` is the number of seconds of the run in one real second while nobody sets them: 0
    /// for a rehearsal, which has its own clock.
    pub fn set(&self, parts: Vec<LinePart>, pace: f64) {
        let at = self.bar.elapsed();
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = Set { parts, at, pace };
        self.bar.tick();
    }

    /// Whether the parts should be set again.
    pub fn is_due(&self) -> bool {
        let now = self.bar.elapsed();
        let at = self.set.lock().unwrap_or_else(PoisonError::into_inner).at;
        now.saturating_sub(at) >= FRESH
    }

    /// Prints a line above it.
    pub fn println(&self, text: String) {
        self.bar.println(text);
    }

    /// Removes it.
    pub fn finish(&self) {
        terminal::at_the_bottom(None);
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pace: f64) -> Set {
        let parts = vec![
            LinePart::still("WAITS FOR A PERSON: approve.policy".to_owned())
                .or_short("WAITS FOR A PERSON", ""),
            LinePart::up("users out for", Dur::secs(60), "of RTO 20m".to_owned())
                .or_short("users out for", "")
                .or_short("out", ""),
            LinePart::up("running for", Dur::secs(80), String::new()),
            LinePart::left("watching until 05:06Z,", Dur::secs(60), "left".to_owned()),
            LinePart::still("3/12 steps".to_owned()),
        ];
        Set { parts, at: Duration::from_secs(10), pace }
    }

    #[test]
    fn it_goes_on_between_events_at_the_pace_of_the_run() {
        let later = set(60.0).now(Duration::from_millis(10_500), 200);
        assert!(later.contains("users out for 1m 30s of RTO 20m"), "{later}");
        assert!(later.contains("watching until 05:06Z, 30s left"), "{later}");
        // Before the time when it was set, and after a countdown has ended.
        assert!(set(60.0).now(Duration::ZERO, 200).contains("users out for 1m of RTO 20m"));
        assert!(set(60.0).now(Duration::from_secs(99), 200).contains("watching until 05:06Z, 0s left"));
        // A rehearsal has its own clock.
        assert!(set(0.0).now(Duration::from_secs(99), 200).contains("users out for 1m of RTO 20m"));
    }

    #[test]
    fn what_is_important_is_seen_at_any_width_and_no_word_is_cut() {
        let at = |width| set(1.0).now(Duration::ZERO, width);
        assert_eq!(at(20), "WAITS\u{2026} \u{b7} out 1m");
        assert_eq!(at(40), "WAITS FOR A PERSON \u{b7} users out for 1m");
        assert_eq!(at(58), "WAITS FOR A PERSON: approve.policy \u{b7} users out for 1m");
        assert_eq!(at(80), "WAITS FOR A PERSON: approve.policy \u{b7} users out for 1m of RTO 20m");
        let said = at(200);
        for width in 20..120 {
            let shown = at(width);
            assert!(wrap::columns(&shown) + FRAME <= width, "{width}: {shown}");
            assert!(!shown.ends_with(['\u{b7}', ' ']), "{width}: {shown}");
            assert!(shown.contains("out 1m") || shown.contains("out for 1m"), "{width}: {shown}");
            let whole =
                |word: &str| said.split(' ').any(|w| w.trim_end_matches([':', ',']) == word || w == word);
            assert!(
                !shown.ends_with("for 1m\u{2026}") || !shown.contains("running"),
                "half of a time: {shown}"
            );
            assert!(shown.split(' ').all(|word| whole(word.trim_end_matches('\u{2026}'))), "{shown}");
        }
    }

    #[test]
    fn a_narrow_line_has_the_clock_and_the_step() {
        let at = |step: &str, width| {
            let parts = vec![
                LinePart::up("users out for", Dur::secs(95), "of RTO 15m".to_owned())
                    .or_short("users out for", "")
                    .or_short("out", ""),
                LinePart::up(step, Dur::secs(44), "of at most 10m: the replica catches up".to_owned())
                    .or_short(step, ""),
            ];
            Set { parts, at: Duration::ZERO, pace: 0.0 }.now(Duration::ZERO, width)
        };
        assert_eq!(at("promote.db", 40), "users out for 1m 35s \u{b7} promote.db 44s");
        assert_eq!(at("fence.db.security_group", 40), "out 1m 35s \u{b7} fence.db.security_group\u{2026}");
        assert_eq!(at("fence.db.security_group", 30), "out 1m 35s \u{b7} fence.db.secu\u{2026}");
        // An article alone says nothing.
        let wide = "users out for 1m 35s of RTO 15m \u{b7} promote.db 44s of at most 10m\u{2026}";
        assert_eq!(at("promote.db", 72), wide);
    }

    #[test]
    fn a_missed_objective_stays_on_the_line() {
        let missed = LinePart::up("users out for", Dur::secs(960), "of RTO 15m, MISSED".to_owned());
        let missed = missed.or_short("users out for", ", MISSED").or_short("out", ", MISSED");
        let step = LinePart::up("scale.nodes", Dur::secs(44), "of at most 10m".to_owned())
            .or_short("scale.nodes", "");
        let set = Set { parts: vec![missed, step], at: Duration::ZERO, pace: 0.0 };
        assert_eq!(set.now(Duration::ZERO, 40), "out 16m, MISSED \u{b7} scale.nodes 44s");
    }
}
