//! The results of messages: which channel accepted what, and what it gets next.

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, StoreError};
use crate::model::ids::{PlanName, RunId};
use crate::model::ledger::Entry;
use crate::model::notice::{Channel, Kind, Notice, Notify, Transport};
use crate::model::time::{Dur, Timestamp};
use crate::report::history::{History, Prediction};
use crate::run::RunState;

/// Which runs to notify about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Unfinished runs, runs whose end was not reported yet, and this run.
    Running(Option<RunId>),
    /// All runs of the store, and schedules.
    Everything,
}

/// The waits between the first attempts. After them the alternative channel gets the message; without one, this channel is tried again.
pub(super) const AGAIN: [Dur; 2] = [Dur::secs(2), Dur::secs(8)];
/// The beginning of the ledger's entries about notifications.
pub(super) const ENTRIES: &[u8; 14] = b"{\"ledger\":\"not";

/// The result of a message at a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    /// The number of failed attempts, and the time of the next one; `None` if that is useless.
    Failed(usize, Option<Timestamp>),
}

/// The state between two checks.
#[derive(Default)]
pub(super) struct NotifierState {
    pub(super) told: BTreeMap<(String, String), Fate>,
    /// Messages in progress.
    pub(super) flying: BTreeSet<(String, String)>,
    /// The pager threads that a channel accepted, by run.
    pub(super) threads: BTreeMap<(String, RunId), BTreeSet<String>>,
    pub(super) runs: BTreeMap<RunId, (u64, RunState)>,
    pub(super) histories: BTreeMap<PlanName, History>,
    /// The expected duration of each run, as predicted before it.
    pub(super) expected: BTreeMap<RunId, Prediction>,
    /// Runs without further notifications.
    pub(super) over: BTreeSet<RunId>,
    /// Whether runs that had ended before were left out.
    pub(super) left_out: bool,
    pub(super) lock: Option<RunLock>,
}

/// Whether a pager's thread for this kind ends together with the run.
const fn ends_with_run(kind: Kind) -> bool {
    matches!(kind, Kind::Alert | Kind::Update | Kind::Escalation | Kind::Drill)
}

impl NotifierState {
    /// Reads the results in the ledger.
    pub(super) fn remember(&mut self, store: &SqliteJournal) -> Result<(), StoreError> {
        for record in store.entries(ENTRIES)? {
            let Ok(Entry::Notice { notice, channel, delivered, run, thread, kind, .. }) =
                Entry::read(&record.bytes)
            else {
                continue;
            };
            if delivered && let Some(run) = run.filter(|_| ends_with_run(kind)) {
                self.threads.entry((channel.clone(), run)).or_default().insert(thread);
            }
            // A failed channel is tried again, because it may work now; but failures are not recorded again.
            let again = Some(Timestamp::from_millis(0));
            let fate = if delivered { Fate::Delivered } else { Fate::Failed(AGAIN.len() + 1, again) };
            let known = self.told.entry((notice, channel)).or_insert_with(|| fate.clone());
            if delivered {
                *known = fate;
            }
        }
        Ok(())
    }

    /// Leaves out runs that ended before, unless their end has still to be reported.
    pub(super) fn leave_out(&mut self, store: &SqliteJournal, scope: &Scope) -> Result<(), StoreError> {
        let Scope::Running(own) = scope else { return Ok(()) };
        if std::mem::replace(&mut self.left_out, true) {
            return Ok(());
        }
        let begun = |run: &RunId| self.told.keys().any(|(key, _)| *key == format!("{run}/alert"));
        let ended = |run: &RunId| {
            let ends = ["resolved", "ended"].map(|end| format!("{run}/{end}"));
            self.told.keys().any(|(key, _)| ends.contains(key))
        };
        let waits = |run: &RunId| own.as_ref() == Some(run) || (begun(run) && !ended(run));
        let over = store.runs()?.into_iter().filter(|row| row.finished && !waits(&row.run));
        let over: Vec<RunId> = over.map(|row| row.run).collect();
        self.over.extend(over);
        Ok(())
    }

    /// The messages to send now: for each channel one message of a run at a time, in the order of their due times. A message that just
    /// failed blocks later ones, so that an end is not reported before its beginning.
    pub(super) fn next<'n>(
        &self,
        notify: &'n Notify,
        news: &'n [Notice],
        now: Timestamp,
    ) -> Vec<(&'n Notice, &'n Channel)> {
        let queues = self.queues(notify, news).into_iter();
        queues.filter_map(|queue| self.head(notify, &queue, now)).collect()
    }

    /// Whether a message was not tried yet, or may succeed within the first attempts.
    pub(super) fn is_left(&self, notify: &Notify, news: &[Notice]) -> bool {
        let hope = |(notice, channel): &(&Notice, &Channel)| match self.fate(notice, channel) {
            None => true,
            Some(Fate::Failed(tries, next)) => *tries <= AGAIN.len() && next.is_some(),
            Some(Fate::Delivered) => false,
        };
        self.queues(notify, news).iter().flatten().any(hope)
    }

    /// The messages of each run for each channel, in the order of their due times. A channel that got the end of a run needs no earlier
    /// messages.
    pub(super) fn queues<'n>(
        &self,
        notify: &'n Notify,
        news: &'n [Notice],
    ) -> Vec<Vec<(&'n Notice, &'n Channel)>> {
        let about =
            |notice: &Notice| notice.run.as_ref().map_or_else(|| notice.key.clone(), ToString::to_string);
        let mut queues: BTreeMap<(String, &str), Vec<(&Notice, &Channel)>> = BTreeMap::new();
        for notice in news {
            for channel in self.recipients(notify, notice) {
                queues.entry((about(notice), channel.name.as_str())).or_default().push((notice, channel));
            }
        }
        let ends = |key: &str| key.ends_with("/resolved") || key.ends_with("/ended");
        let is_end = |notice: &Notice| notice.kind == Kind::Resolved && ends(&notice.key);
        for queue in queues.values_mut() {
            queue.sort_by_key(|(notice, _)| (notice.due, notice.kind));
            let told = |(notice, channel): &(&Notice, &Channel)| {
                self.fate(notice, channel) == Some(&Fate::Delivered)
            };
            let end = queue.iter().filter(|at| is_end(at.0) && told(at)).map(|at| at.0.due).max();
            // Later messages are still needed: users may fail again during the watch.
            let before = |at: &(&Notice, &Channel)| end.is_some_and(|end| at.0.due <= end);
            let goes_on = |kind| matches!(kind, Kind::Alert | Kind::Update | Kind::Escalation);
            queue.retain(|at| !(goes_on(at.0.kind) && before(at)));
        }
        queues.into_values().collect()
    }

    pub(super) fn head<'n>(
        &self,
        notify: &Notify,
        queue: &[(&'n Notice, &'n Channel)],
        now: Timestamp,
    ) -> Option<(&'n Notice, &'n Channel)> {
        for at in queue.iter().copied() {
            let fate = self.fate(at.0, at.1);
            if self.flying.contains(&(at.0.key.clone(), at.1.name.clone())) {
                return None;
            }
            if self.is_due(notify, at, now) {
                return Some(at);
            }
            if matches!(fate, Some(Fate::Failed(tries, Some(_))) if *tries <= AGAIN.len()) {
                return None;
            }
        }
        None
    }

    pub(super) fn fate(&self, notice: &Notice, channel: &Channel) -> Option<&Fate> {
        self.told.get(&(notice.key.clone(), channel.name.clone()))
    }

    pub(super) fn took(&mut self, notice: &Notice, channel: &Channel) {
        if let Some(run) = notice.run.as_ref().filter(|_| ends_with_run(notice.kind)) {
            let threads = self.threads.entry((channel.name.clone(), run.clone())).or_default();
            threads.insert(notice.thread.clone());
        }
    }

    /// The pager threads that this message closes.
    pub(super) fn closes(&self, notice: &Notice, channel: &Channel) -> Vec<String> {
        // Each duty has its own end.
        let ends = |run: &&RunId| notice.ends && notice.thread == run.as_str();
        let Some(run) = notice.run.as_ref().filter(ends) else { return Vec::new() };
        self.threads.get(&(channel.name.clone(), run.clone())).into_iter().flatten().cloned().collect()
    }

    /// The channels of a notification, and the alternatives of channels that could not be reached.
    pub(super) fn recipients<'n>(&self, notify: &'n Notify, notice: &Notice) -> Vec<&'n Channel> {
        let mut to: Vec<&Channel> = recipients(notify, notice);
        let mut i = 0;
        while let Some(channel) = to.get(i).copied() {
            i += 1;
            let given_up = matches!(self.fate(notice, channel), Some(Fate::Failed(tries, next)) if *tries > AGAIN.len() || next.is_none());
            let otherwise =
                channel.otherwise.as_deref().filter(|_| given_up).and_then(|name| notify.channel(name));
            to.extend(otherwise.filter(|other| !to.iter().any(|there| there.name == other.name)));
        }
        to
    }

    pub(super) fn is_due(
        &self,
        notify: &Notify,
        (notice, channel): (&Notice, &Channel),
        now: Timestamp,
    ) -> bool {
        match self.fate(notice, channel) {
            None => true,
            Some(Fate::Failed(tries, next)) => {
                let in_its_place = *tries > AGAIN.len() && self.told_otherwise(notify, (notice, channel));
                next.is_some_and(|next| next <= now) && !in_its_place
            }
            Some(Fate::Delivered) => false,
        }
    }

    /// Whether an alternative channel got the message.
    pub(super) fn told_otherwise(&self, notify: &Notify, (notice, channel): (&Notice, &Channel)) -> bool {
        let Some(other) = channel.otherwise.as_deref().and_then(|name| notify.channel(name)) else {
            return false;
        };
        self.fate(notice, other) == Some(&Fate::Delivered) || self.told_otherwise(notify, (notice, other))
    }
}

/// The channels that a notification goes to.
pub fn recipients<'n>(notify: &'n Notify, notice: &Notice) -> Vec<&'n Channel> {
    let wanted = |channel: &&Channel| {
        let named = notice.tell.contains(&channel.name);
        let fits = if notice.tell.is_empty() { channel.gets.contains(&notice.kind) } else { named };
        fits && (notice.public.is_some() || !matches!(channel.way, Transport::StatusPage { .. }))
    };
    notify.channels.iter().filter(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::notice::{SecretAt, Transport};

    fn notice(kind: Kind, thread: &str, ends: bool) -> Notice {
        Notice {
            key: format!("{thread}/{}", kind.id()),
            kind,
            run: Some(RunId::new("run")),
            thread: thread.to_owned(),
            due: Timestamp::from_millis(0),
            severity: None,
            tell: Vec::new(),
            ends,
            acknowledges: Vec::new(),
            subject: String::new(),
            fields: Vec::new(),
            public: None,
        }
    }

    #[test]
    fn a_pager_is_told_the_end_of_what_ended_and_of_nothing_else() {
        let way = Transport::PagerDuty { key: SecretAt::Env("KEY".to_owned()), url: None };
        let channel = Channel { name: "pager".to_owned(), gets: way.usually(), way, otherwise: None };
        let mut known = NotifierState::default();
        for (kind, thread) in
            [(Kind::Alert, "run"), (Kind::Escalation, "run/stop1"), (Kind::Overdue, "run/post-mortem")]
        {
            known.took(&notice(kind, thread, false), &channel);
        }
        let closes = |thread, ends| known.closes(&notice(Kind::Resolved, thread, ends), &channel);
        assert_eq!(closes("run", true), ["run", "run/stop1"]);
        assert!(closes("run", false).is_empty(), "nothing was resolved");
        assert!(closes("run/incident-report", true).is_empty(), "the review is still owed");
    }
}
