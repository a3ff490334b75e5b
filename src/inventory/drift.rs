//! Differences between an estate and its state when its plan was last proven to work.

use super::Estate;
use crate::kinds::State;

/// One attribute that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The target's key.
    pub target: String,
    /// The attribute that changed.
    pub what: String,
    /// The value then; `None` if it did not exist.
    pub was: Option<String>,
    /// The value now; `None` if it does not exist.
    pub is: Option<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        write!(f, "{} of {}: {} -> {}", self.what, self.target, word(&self.was), word(&self.is))
    }
}

/// What changed in the targets that are visible now. Targets that are not visible are skipped, because nothing is known about
/// them.
pub fn since(then: &[(String, State)], now: &Estate) -> Vec<Change> {
    let mut found = Vec::new();
    for (target, was) in then {
        let Some(is) = now.entries.get(target).and_then(|entry| entry.now.state()) else { continue };
        let (was, is) = (was.shape(), is.shape());
        for what in was.keys().chain(is.keys().filter(|key| !was.contains_key(*key))) {
            let (was, is) = (was.get(what).cloned(), is.get(what).cloned());
            if was != is {
                found.push(Change { target: target.clone(), what: what.clone(), was, is });
            }
        }
    }
    found
}
