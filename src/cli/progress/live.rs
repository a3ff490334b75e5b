//! The line at the bottom of a terminal: how long users have been out, ticking each second, and what is waited for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::model::time::Dur;

/// How often the clock goes on, whatever happens.
const TICK: Duration = Duration::from_secs(1);

/// A clock as it stood when the line was last set.
#[derive(Clone, Debug, Default)]
struct Clock {
    /// What is counted, in words in front of the time.
    what: String,
    /// What was counted by then.
    shown: Dur,
    /// When that was, by the bar's own clock.
    at: Duration,
    /// Seconds of the run in a second of the watcher's.
    pace: f64,
    /// It stands still.
    stopped: bool,
}

impl Clock {
    /// What it says by the bar's own clock.
    fn now(&self, bar: Duration) -> Dur {
        let passed = if self.stopped { Duration::ZERO } else { bar.saturating_sub(self.at) };
        let passed = u64::try_from(passed.mul_f64(self.pace.max(0.0)).as_millis()).unwrap_or(u64::MAX);
        let whole = self.shown.plus(Dur(passed));
        Dur::secs(whole.millis() / 1_000)
    }
}

/// The line.
pub struct Live {
    bar: ProgressBar,
    clock: Arc<Mutex<Clock>>,
    pace: f64,
}

impl Live {
    /// On a terminal. `pace` is how many seconds of the run go by in one of the watcher's: 1 in the real world.
    pub fn new(pace: f64) -> Self {
        let clock: Arc<Mutex<Clock>> = Arc::default();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let shown = Arc::clone(&clock);
        let tell = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let clock = shown.lock().unwrap_or_else(PoisonError::into_inner);
            if !clock.what.is_empty() {
                let _ = write!(out, "{} {} ", clock.what, clock.now(state.elapsed()));
            }
        };
        let style = ProgressStyle::with_template("{spinner} {clock}{wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style.with_key("clock", tell));
        bar.set_message("looking at the estate and asking the probes");
        bar.enable_steady_tick(TICK);
        Self { bar, clock, pace }
    }

    /// Says what is counted, and what goes on beside it.
    pub fn set(&self, (what, shown, stopped): (&str, Dur, bool), message: String) {
        let at = self.bar.elapsed();
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) =
            Clock { what: what.to_owned(), shown, at, pace: self.pace, stopped };
        self.bar.set_message(message);
    }

    /// A line above it.
    pub fn println(&self, text: String) {
        self.bar.println(text);
    }

    /// Takes it away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_between_events_at_the_pace_of_the_run() {
        let clock =
            Clock { shown: Dur::secs(60), at: Duration::from_secs(10), pace: 60.0, ..Clock::default() };
        assert_eq!(clock.now(Duration::from_millis(10_500)), Dur::secs(90));
        let stopped = Clock { stopped: true, ..clock.clone() };
        assert_eq!(stopped.now(Duration::from_secs(99)), Dur::secs(60));
        // A clock that was asked before it was set.
        assert_eq!(clock.now(Duration::ZERO), Dur::secs(60));
    }
}
