//! Everything that was observed about the components of one plan, in this survey and before it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observation::{Observation, same_cause};
use crate::kinds::shared::capacity::Capacity;
use crate::kinds::shared::database::DatabaseState;
use crate::kinds::shared::names::{ControlsState, HealthObjectState, RecordSet};
use crate::kinds::shared::secret::SecretState;
use crate::kinds::{State, Target};
use crate::model::ids::Digest;
use crate::model::time::{Dur, Timestamp};

/// The last state that was ever observed of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remembered {
    /// The state.
    pub state: State,
    /// When it was observed.
    pub observed_at: Timestamp,
}

/// What is known of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// The place that the target belongs to.
    pub place: String,
    /// The result of this survey.
    pub now: Observation,
    /// The last observation that succeeded, if this survey's did not.
    #[serde(default)]
    pub last: Option<Remembered>,
}

/// The state of a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeHealth {
    /// Whether it succeeds; `None` until enough consecutive samples agree.
    pub good: Option<bool>,
    /// When the first of those samples was sent.
    pub since: Option<Timestamp>,
    /// When the last successful sample was sent.
    pub last_good: Option<Timestamp>,
    /// Why the last attempt sent no sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unasked: Option<String>,
}

/// What is known about a target, and how fresh that knowledge is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Knowledge<'a, T> {
    /// Observed in this survey.
    Fresh(&'a T),
    /// Not observed in this survey; observed this long ago.
    Stale(&'a T, Dur),
    /// Never observed.
    Never,
}

impl<'a, T> Knowledge<'a, T> {
    /// The value, however old.
    pub const fn value(&self) -> Option<&'a T> {
        match self {
            Self::Fresh(v) | Self::Stale(v, _) => Some(v),
            Self::Never => None,
        }
    }

    /// The value, if it was observed in this survey.
    pub const fn fresh(&self) -> Option<&'a T> {
        match self {
            Self::Fresh(v) => Some(v),
            _ => None,
        }
    }
}

/// Everything that was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Estate {
    /// By target key.
    pub entries: BTreeMap<String, Entry>,
    /// By probe key.
    pub probes: BTreeMap<String, ProbeHealth>,
}

impl Estate {
    /// Adds an observation, with the state that was remembered for the target.
    pub fn add(&mut self, target: &Target, mut now: Observation, last: Option<Remembered>) {
        if let (Observation::Value { state: State::Database(seen), .. }, Some(State::Database(before))) =
            (&mut now, last.as_ref().map(|last| &last.state))
        {
            // A standby that no longer receives WAL cannot tell its source's clock. The remembered reading is the best one
            // available.
            let replica = seen.is_replica() && before.is_replica();
            seen.clock = seen.clock.or(before.clock.filter(|_| replica));
        }
        let place = target.place().map_or("here", |p| p.name.as_str()).to_owned();
        let last = if now.state().is_some() { None } else { last };
        self.entries.insert(target.key(), Entry { place, now, last });
    }

    /// The estate as it would look if everything at these places stopped answering: current states become remembered ones.
    #[must_use]
    pub fn darkened(&self, places: &BTreeSet<&str>, at: Timestamp) -> Self {
        let mut dark = self.clone();
        for entry in dark.entries.values_mut().filter(|e| places.contains(e.place.as_str())) {
            if let Observation::Value { state, observed_at, .. } = &entry.now {
                entry.last = Some(Remembered { state: state.clone(), observed_at: *observed_at });
            }
            let why = "assumed to be down".to_owned();
            entry.now = Observation::Unobservable { since: at, why };
        }
        // Users of the application would see errors too.
        for probe in dark.probes.values_mut() {
            probe.good = Some(false);
        }
        dark
    }

    /// This survey's observation of a target.
    pub fn now(&self, target: &Target) -> Option<&Observation> {
        self.entries.get(&target.key()).map(|e| &e.now)
    }

    /// The last known state of a target and its time, if this survey did not observe it.
    pub fn last_seen(&self, target: &Target) -> Option<&Remembered> {
        self.entries.get(&target.key())?.last.as_ref()
    }

    fn known<T>(
        &self,
        target: &Target,
        at: Timestamp,
        pick: impl Fn(&State) -> Option<&T>,
    ) -> Knowledge<'_, T> {
        let Some(entry) = self.entries.get(&target.key()) else { return Knowledge::Never };
        if let Some(value) = entry.now.state().and_then(&pick) {
            return Knowledge::Fresh(value);
        }
        // If the provider says that the target does not exist, the remembered state is obsolete.
        if matches!(entry.now, Observation::NotFound { .. }) {
            return Knowledge::Never;
        }
        match entry.last.as_ref().and_then(|r| pick(&r.state).map(|v| (v, r.observed_at))) {
            Some((value, seen)) => Knowledge::Stale(value, at.since(seen)),
            None => Knowledge::Never,
        }
    }

    /// A database.
    pub fn database(&self, target: &Target, at: Timestamp) -> Knowledge<'_, DatabaseState> {
        self.known(target, at, |s| if let State::Database(d) = s { Some(d) } else { None })
    }

    /// What is known of a target, whatever it is.
    pub fn state(&self, target: &Target, at: Timestamp) -> Knowledge<'_, State> {
        self.known(target, at, |state| Some(state))
    }

    /// What is scaled.
    pub fn capacity(&self, target: &Target, at: Timestamp) -> Knowledge<'_, Capacity> {
        self.known(target, at, State::capacity)
    }

    /// Record sets.
    pub fn records(&self, target: &Target, at: Timestamp) -> Knowledge<'_, Vec<RecordSet>> {
        self.known(target, at, |s| if let State::Records(r) = s { Some(&r.sets) } else { None })
    }

    /// What is known about a secret that clients read their endpoint from.
    pub fn secret(&self, target: &Target, at: Timestamp) -> Knowledge<'_, SecretState> {
        self.known(target, at, |s| if let State::Secret(s) = s { Some(s) } else { None })
    }

    /// Whether the object that health checks watch exists.
    pub fn signal(&self, target: &Target, at: Timestamp) -> Knowledge<'_, HealthObjectState> {
        self.known(target, at, |s| if let State::HealthObject(s) = s { Some(s) } else { None })
    }

    /// Which routing controls are `On`.
    pub fn controls(&self, target: &Target, at: Timestamp) -> Knowledge<'_, ControlsState> {
        self.known(target, at, |s| if let State::Controls(c) = s { Some(c) } else { None })
    }

    /// Places where something answered.
    pub fn answering(&self) -> BTreeSet<&str> {
        self.entries.values().filter(|e| e.now.answered()).map(|e| e.place.as_str()).collect()
    }

    /// Why the credentials for a place are not valid, if they are not, and whether this machine's wrong clock is the cause.
    pub fn unauthenticated(&self, place: &str) -> Option<(&str, bool)> {
        self.entries.values().filter(|e| e.place == place).find_map(|e| match &e.now {
            Observation::Unauthenticated { why, clock } => Some((why.as_str(), *clock)),
            _ => None,
        })
    }

    /// Why credentials are not valid, and at which places. Each cause is listed once, however many observations failed because of
    /// it. A machine has one clock, so a wrong clock is one cause, although each answer quotes its own times.
    pub fn locked_out(&self) -> Vec<(&str, bool, BTreeSet<&str>)> {
        let mut causes: Vec<(&str, bool, BTreeSet<&str>)> = Vec::new();
        for entry in self.entries.values() {
            let Observation::Unauthenticated { why, clock } = &entry.now else { continue };
            let same = |(known, by_clock, _): &&mut (&str, bool, BTreeSet<&str>)| match clock {
                true => *by_clock,
                false => !*by_clock && same_cause(known, why),
            };
            match causes.iter_mut().find(same) {
                Some((known, _, places)) => {
                    *known = if why.len() < known.len() { why } else { known };
                    places.insert(&entry.place);
                }
                None => causes.push((why, *clock, BTreeSet::from([entry.place.as_str()]))),
            }
        }
        causes
    }

    /// Whether no request to the place was answered, although at least one was sent.
    pub fn is_dark(&self, place: &str) -> bool {
        let mut asked = self.entries.values().filter(|e| e.place == place).peekable();
        asked.peek().is_some() && asked.all(|e| !e.now.answered())
    }

    /// The digest of the observations, which a run stores to identify what it was planned from.
    pub fn digest(&self) -> Digest {
        Digest::of_bytes(&serde_json::to_vec(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Estate};
    use crate::inventory::Observation;

    #[test]
    fn a_wrong_clock_is_one_cause_although_each_answer_quotes_its_own_time() {
        let mut estate = Estate::default();
        let mut add = |place: &str, why: &str, clock: bool| {
            let now = Observation::Unauthenticated { why: why.to_owned(), clock };
            estate.entries.insert(why.to_owned(), Entry { place: place.to_owned(), now, last: None });
        };
        add("east", "behind, which shows 08:21:48", true);
        add("west", "behind, which shows 08:21:49", true);
        add("west", "the token has expired", false);
        add("east", "no credentials found", false);
        let causes = estate.locked_out();
        let by_clock: Vec<_> = causes.iter().filter(|(_, clock, _)| *clock).collect();
        assert!(by_clock.len() == 1 && by_clock[0].2.len() == 2, "{causes:?}");
        assert_eq!(causes.len(), 3, "other causes stay apart: {causes:?}");
    }
}
