//! What people and logs see of a server.

use serde_json::{Value, json};

use crate::app::run_presenter::RunPresenter;
use crate::model::ids::RunId;
use crate::model::time::Timestamp;

/// Shows people what a server does.
pub trait ServerPresenter: RunPresenter + Send {
    /// An event: its name, its fields, and its words for a person.
    fn event(&self, at: Timestamp, what: &str, more: &Value, words: &str);

    /// Words with a tone.
    fn toned(&self, tone: Tone, words: &str) -> String;

    /// For the output of runs: only results, or nothing.
    fn quiet(&self, silent: bool) -> Box<dyn RunPresenter>;
}

/// How words are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Look at this.
    Doubtful,
    /// Not as it should be.
    Bad,
}

/// Reports that a fence is set, or that it is still pending.
pub(super) fn fence_event(
    presenter: &dyn ServerPresenter,
    now: Timestamp,
    (drctl, run): (&str, &RunId),
    component: &str,
    owed: bool,
) {
    let words = match owed {
        true => format!("is still pending; {drctl} runs show {run} shows why"),
        false => "is set".to_owned(),
    };
    let words = format!("the fence of {component} that run {run} left pending {words}");
    presenter.event(now, "fence", &json!({"run": run, "owed": owed}), &words);
}
