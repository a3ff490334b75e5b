//! The status line at the bottom of a terminal: what a person must do, how long users have not been served, in seconds, and, if there is
//! space, what else is in progress.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::cli::printer;
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
pub struct Part {
    before: String,
    counts: Counts,
    after: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Nothing,
    Up(Dur),
    Down(Dur),
}

impl Part {
    /// Fixed words.
    pub const fn still(words: String) -> Self {
        Self { before: words, counts: Counts::Nothing, after: String::new() }
    }

    /// A time that counts up from `shown`.
    pub fn up(before: &str, shown: Dur, after: String) -> Self {
        Self { before: before.to_owned(), counts: Counts::Up(shown), after }
    }

    /// A time that counts down, followed by words.
    pub fn left(before: &str, left: Dur, after: String) -> Self {
        Self { before: before.to_owned(), counts: Counts::Down(left), after }
    }

    /// The text once this much time has passed since it was set.
    fn text(&self, passed: Dur) -> String {
        let time = match self.counts {
            Counts::Nothing => String::new(),
            Counts::Up(shown) => time(shown.plus(passed)),
            Counts::Down(left) => {
                let left = left.millis().saturating_sub(passed.millis());
                time(Dur(if left < HOUR { left } else { left - left % MINUTE }))
            }
        };
        let parts = [self.before.as_str(), time.as_str(), self.after.as_str()];
        let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        // No space before the colon of an explanation.
        if self.after.starts_with(':') { text.replacen(" :", ":", 1) } else { text }
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

/// As many parts as fit: the first that does not fit is cut at a word, or left out if little would remain.
fn fitted(parts: &[String], width: usize) -> String {
    let mut out = String::new();
    for part in parts {
        let between = if out.is_empty() { "" } else { BETWEEN };
        let room = width.saturating_sub(wrap::columns(&out) + wrap::columns(between));
        if wrap::columns(part) <= room {
            out.push_str(between);
            out.push_str(part);
            continue;
        }
        let mut cut = String::new();
        for word in part.split(' ') {
            let longer = if cut.is_empty() { word.to_owned() } else { format!("{cut} {word}") };
            if wrap::columns(&longer) >= room {
                break;
            }
            cut = longer;
        }
        let cut = cut.trim_end_matches([',', ':', ';']);
        if out.is_empty() || wrap::columns(cut) >= LEAST {
            out.push_str(between);
            out.push_str(cut);
            out.push('\u{2026}');
        }
        break;
    }
    out.replace('\u{a0}', " ")
}

/// The line as it was set last.
#[derive(Clone, Debug, Default)]
struct Set {
    parts: Vec<Part>,
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
        let parts: Vec<String> = self.parts.iter().map(|part| part.text(passed)).collect();
        fitted(&parts, width.saturating_sub(FRAME))
    }
}

/// The status line.
pub struct Live {
    bar: ProgressBar,
    set: Arc<Mutex<Set>>,
}

impl Live {
    /// On a terminal, with these parts.
    pub fn new(parts: Vec<Part>) -> Self {
        let set = Arc::new(Mutex::new(Set { parts, ..Set::default() }));
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let shown = Arc::clone(&set);
        let tell = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let set = shown.lock().unwrap_or_else(PoisonError::into_inner);
            let width = match printer::columns() {
                0 => 80,
                some => some,
            };
            let _ = write!(out, "{}", set.now(state.elapsed(), width));
        };
        let style = ProgressStyle::with_template("{spinner} {line}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style.with_key("line", tell));
        bar.enable_steady_tick(TICK);
        printer::at_the_bottom(Some(bar.clone()));
        Self { bar, set }
    }

    /// Sets the parts, the most important first. `pace` is the number of seconds of the run in one real second while nobody sets them: 0
    /// for a rehearsal, which has its own clock.
    pub fn set(&self, parts: Vec<Part>, pace: f64) {
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
        printer::at_the_bottom(None);
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pace: f64) -> Set {
        let parts = vec![
            Part::still("WAITS FOR A PERSON: approve.policy".to_owned()),
            Part::up("users out for", Dur::secs(60), "of RTO 20m".to_owned()),
            Part::up("running for", Dur::secs(80), String::new()),
            Part::left("watching until 05:06Z,", Dur::secs(60), "left".to_owned()),
            Part::still("3/12 steps".to_owned()),
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
    }

    #[test]
    fn what_is_important_is_seen_at_any_width_and_no_word_is_cut() {
        let at = |width| set(1.0).now(Duration::ZERO, width);
        assert_eq!(at(40), "WAITS FOR A PERSON: approve.policy");
        assert_eq!(at(58), "WAITS FOR A PERSON: approve.policy \u{b7} users out for 1m\u{2026}");
        assert_eq!(at(80), "WAITS FOR A PERSON: approve.policy \u{b7} users out for 1m of RTO 20m");
        let said = at(200);
        for width in 20..120 {
            let shown = at(width);
            assert!(wrap::columns(&shown) + FRAME <= width, "{width}: {shown}");
            assert!(!shown.ends_with(['\u{b7}', ' ']), "{width}: {shown}");
            let whole =
                |word: &str| said.split(' ').any(|w| w.trim_end_matches([':', ',']) == word || w == word);
            assert!(
                !shown.ends_with("for 1m\u{2026}") || !shown.contains("running"),
                "half of a time: {shown}"
            );
            assert!(shown.trim_end_matches('\u{2026}').split(' ').all(whole), "{shown}");
        }
    }
}
