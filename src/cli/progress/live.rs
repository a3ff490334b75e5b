//! The line at the bottom of a terminal: what a person must do, how long users have been out, with seconds, and what else is in progress,
//! as far as there is space.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::cli::printer;
use crate::cli::wrap;
use crate::model::time::Dur;

/// How often the clock is redrawn, whatever happens.
const TICK: Duration = Duration::from_secs(1);
/// Columns of the spinner and of the edge, in which some terminals break the line.
const FRAME: usize = 3;
/// Less than that of a part says nothing.
const LEAST: usize = 12;
/// Between parts.
const BETWEEN: &str = " \u{b7} ";

/// A part of the line. Those that stand first are shown first.
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
    /// Words that stay as they are.
    pub const fn still(words: String) -> Self {
        Self { before: words, counts: Counts::Nothing, after: String::new() }
    }

    /// A time that counts from `shown`.
    pub fn up(before: &str, shown: Dur, after: String) -> Self {
        Self { before: before.to_owned(), counts: Counts::Up(shown), after }
    }

    /// A time that is left.
    pub fn down(before: &str, left: Dur) -> Self {
        Self { before: before.to_owned(), counts: Counts::Down(left), after: String::new() }
    }

    /// A time that is left, with words behind it.
    pub fn left(before: &str, left: Dur, after: String) -> Self {
        Self { before: before.to_owned(), counts: Counts::Down(left), after }
    }

    /// What it says once this much has passed since it was set.
    fn text(&self, passed: Dur) -> String {
        let time = match self.counts {
            Counts::Nothing => String::new(),
            Counts::Up(shown) => time(shown.plus(passed)),
            Counts::Down(left) => time(Dur(left.millis().saturating_sub(passed.millis()))),
        };
        let parts = [self.before.as_str(), time.as_str(), self.after.as_str()];
        let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        // What explains the time follows it at once.
        if self.after.starts_with(':') { text.replacen(" :", ":", 1) } else { text }
    }
}

/// In whole seconds, as one word: half of a time is a wrong one.
pub fn time(time: Dur) -> String {
    one_word(Dur::secs(time.millis() / 1_000))
}

/// A time that is never cut.
pub fn one_word(time: Dur) -> String {
    time.to_string().replace(' ', "\u{a0}")
}

/// As many parts as there is room for: the first that does not fit ends at a word, or is left out where nothing would be left of it.
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

/// The line as it was last set.
#[derive(Clone, Debug, Default)]
struct Set {
    parts: Vec<Part>,
    /// When that was, by the bar's own clock.
    at: Duration,
    /// Seconds of the run in a second of the watcher's.
    pace: f64,
}

impl Set {
    /// What it says by the bar's own clock, on a terminal of so many columns.
    fn now(&self, bar: Duration, width: usize) -> String {
        let passed = bar.saturating_sub(self.at).mul_f64(self.pace.max(0.0)).as_millis();
        let passed = Dur(u64::try_from(passed).unwrap_or(u64::MAX));
        let parts: Vec<String> = self.parts.iter().map(|part| part.text(passed)).collect();
        fitted(&parts, width.saturating_sub(FRAME))
    }
}

/// The line.
pub struct Live {
    bar: ProgressBar,
    set: Arc<Mutex<Set>>,
    pace: f64,
}

impl Live {
    /// On a terminal. `pace` is how many seconds of the run go by in one of the watcher's: 1 in the real world.
    pub fn new(pace: f64) -> Self {
        let looking = Part::still("observing the estate and running the probes".to_owned());
        let set = Arc::new(Mutex::new(Set { parts: vec![looking], ..Set::default() }));
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
        Self { bar, set, pace }
    }

    /// Says what there is to say, the most important first.
    pub fn set(&self, parts: Vec<Part>) {
        let at = self.bar.elapsed();
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = Set { parts, at, pace: self.pace };
        self.bar.tick();
    }

    /// A line above it.
    pub fn println(&self, text: String) {
        self.bar.println(text);
    }

    /// Takes it away.
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
            Part::down("watched for another", Dur::secs(60)),
            Part::still("3/12 steps".to_owned()),
        ];
        Set { parts, at: Duration::from_secs(10), pace }
    }

    #[test]
    fn it_goes_on_between_events_at_the_pace_of_the_run() {
        let later = set(60.0).now(Duration::from_millis(10_500), 200);
        assert!(later.contains("users out for 1m 30s of RTO 20m"), "{later}");
        assert!(later.contains("watched for another 30s"), "{later}");
        // One that was asked before it was set, and one whose time is up.
        assert!(set(60.0).now(Duration::ZERO, 200).contains("users out for 1m of RTO 20m"));
        assert!(set(60.0).now(Duration::from_secs(99), 200).contains("watched for another 0s"));
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
            let whole = |word: &str| said.split(' ').any(|w| w.trim_end_matches(':') == word || w == word);
            assert!(!shown.ends_with("1m\u{2026}") || !shown.contains("running"), "half of a time: {shown}");
            assert!(shown.trim_end_matches('\u{2026}').split(' ').all(whole), "{shown}");
        }
    }
}
