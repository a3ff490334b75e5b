//! Selects the next drill from the schedules and the ledger. It is pure, so that a test can go through a year of drills.
//!
//! The ledger is the only memory. A drill that started is open until the ledger has its end, even if processes die. A drill that was due
//! while no server ran starts late, or is recorded as missed.

use std::collections::{BTreeMap, BTreeSet};

use super::windows;
use crate::model::calendar::Calendar;
use crate::model::finding::Finding;
use crate::model::ids::{PlanName, RunId};
use crate::model::intent::{Drill, Intent};
use crate::model::ledger::Entry;
use crate::model::policy::Policy;
use crate::model::schedule::{Definition, Fate, Schedule};
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::Rule;
use crate::plan::settings::Written;

/// How often the server checks whether a blocked drill may start.
const AGAIN: Dur = Dur::mins(15);

/// A drill: the name of its schedule, and its due time.
pub type Due = (String, Timestamp);

/// Schedules and drills in the ledger.
#[derive(Clone, Debug, Default)]
pub struct RecordedSchedules {
    /// The definition of each schedule, and the time from which it applies.
    pub schedules: BTreeMap<String, (Definition, Timestamp)>,
    /// The result of each drill, final or so far.
    pub fates: BTreeMap<Due, Fate>,
    /// The time of the last entry.
    pub last: Option<Timestamp>,
}

impl RecordedSchedules {
    /// Reads ledger entries about schedules and drills, in their order.
    pub fn from_entries(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut known = Self::default();
        for entry in entries {
            match entry {
                Entry::Schedule { at, name, is } => {
                    match is {
                        Some(is) => known.schedules.insert(name, (is, at)),
                        None => known.schedules.remove(&name),
                    };
                    known.last = known.last.max(Some(at));
                }
                Entry::Drill { at, schedule, due, fate } => {
                    known.fates.insert((schedule, due), fate);
                    known.last = known.last.max(Some(at));
                }
                Entry::Key { .. }
                | Entry::Configuration { .. }
                | Entry::Notice { .. }
                | Entry::Statement { .. }
                | Entry::Kit { .. }
                | Entry::Readiness { .. }
                | Entry::Clock { .. }
                | Entry::Terms { .. }
                | Entry::Imported { .. }
                | Entry::Adopted { .. }
                | Entry::Checkpoint(_) => {}
            }
        }
        known
    }

    /// The drills of a schedule, by due time.
    pub fn of_schedule(&self, name: &str) -> Vec<(Timestamp, &Fate)> {
        let of = self.fates.iter().filter(|((schedule, _), _)| schedule == name);
        of.map(|((_, due), fate)| (*due, fate)).collect()
    }

    /// The number of drills of a schedule, by result.
    pub fn tally(&self, name: &str) -> Tally {
        let mut tally = Tally::default();
        for (_, fate) in self.of_schedule(name) {
            match fate {
                Fate::Begun { .. } => tally.open += 1,
                Fate::Missed { .. } => tally.missed += 1,
                Fate::Ended { passed: true, .. } => tally.passed += 1,
                Fate::Ended { passed: false, .. } => tally.failed += 1,
            }
        }
        tally
    }

    /// Drills that started and have not ended, the oldest first.
    pub fn open(&self) -> Vec<(&Due, &[RunId])> {
        let begun = self.fates.iter().filter_map(|(due, fate)| match fate {
            Fate::Begun { runs, .. } => Some((due, runs.as_slice())),
            _ => None,
        });
        let mut open: Vec<_> = begun.collect();
        open.sort_by_key(|((_, due), _)| *due);
        open
    }

    /// Due times up to now without an entry in the ledger, from when the schedule was first seen.
    fn unknown(&self, name: &str, calendar: &Calendar, since: Timestamp, now: Timestamp) -> Vec<Timestamp> {
        if now <= since {
            return Vec::new();
        }
        let of_this = self.fates.range((name.to_owned(), since)..=(name.to_owned(), now));
        // Drills before the last known one were recorded with it, or earlier.
        let from = of_this.last().map_or(since, |((_, due), _)| *due);
        let next = |at: &Timestamp| calendar.after(*at).filter(|due| *due <= now);
        std::iter::successors(next(&from), next).collect()
    }
}

/// Numbers of drills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Not run.
    pub missed: usize,
    /// Not finished.
    pub open: usize,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// First record this in the ledger.
    Enter(Entry),
    /// Start a drill.
    Begin(Due),
    /// Continue a drill that started.
    Carry(Due),
    /// Wait until then.
    Wait(Timestamp),
}

/// What prevents drills from starting and is not in the ledger.
#[derive(Clone, Debug, Default)]
pub struct DrillHolds {
    /// Drills that wait for a person or for another run. They are skipped.
    pub left: BTreeSet<Due>,
    /// Until when some of them are skipped at least.
    pub until: BTreeMap<Due, Timestamp>,
    /// When applications were last moved.
    pub moved: BTreeMap<PlanName, Timestamp>,
}

/// Selects what to do now.
pub fn next(
    schedules: &[Schedule],
    known: &RecordedSchedules,
    policy: &Policy,
    kept: &DrillHolds,
    now: Timestamp,
) -> Next {
    let left = &kept.left;
    if let Some(entry) = changed(schedules, known, now) {
        return Next::Enter(entry);
    }
    if let Some((due, _)) = known.open().into_iter().find(|(due, _)| !left.contains(*due)) {
        return Next::Carry(due.clone());
    }
    let mut wait = now + AGAIN;
    let mut ready: Option<(Timestamp, Due)> = None;
    for schedule in schedules {
        let Some((_, since)) = known.schedules.get(&schedule.name) else { continue };
        let mut due = known.unknown(&schedule.name, &schedule.calendar, *since, now);
        let last = due.pop();
        // If several were due while no server ran, only the last one runs.
        let ripe = last.filter(|last| schedule.begins(*last) <= now);
        if let Some(missed) = due.first() {
            let why = "the next drill was due before this one could start".to_owned();
            return Next::Enter(missed_drill(&schedule.name, *missed, now, why));
        }
        let coming = last.filter(|_| ripe.is_none()).or_else(|| schedule.calendar.after(now));
        wait = coming.map_or(wait, |due| wait.min(schedule.begins(due)));
        let Some(due) = ripe else { continue };
        let (begins, over) = (schedule.begins(due), due + schedule.is.late_ms);
        let closed = against(policy, &schedule.is, kept, now);
        if now > over {
            let why = closed.unwrap_or_else(|| "no drctl serve was running in time".to_owned());
            let why = format!("the drill may start up to {} late: {why}", schedule.is.late_ms);
            return Next::Enter(missed_drill(&schedule.name, due, now, why));
        }
        let due = (schedule.name.clone(), due);
        if closed.is_some() || left.contains(&due) {
            wait = wait.min(over + Dur(1));
            if let Some((quiet, _)) = quiet(policy, &schedule.is, kept, now) {
                wait = wait.min(quiet);
            }
            continue;
        }
        let first = ready.as_ref().is_none_or(|(at, _)| begins < *at);
        if first {
            ready = Some((begins, due));
        }
    }
    ready.map_or(Next::Wait(wait.max(now + Dur(1))), |(_, due)| Next::Begin(due))
}

/// Warns of schedules whose plan does not exist.
pub fn unbound(schedules: &[Schedule], plans: &BTreeSet<PlanName>, written: &Written) -> Vec<Finding> {
    let nobodys = schedules.iter().filter(|schedule| !plans.contains(&schedule.is.plan));
    let finding = |schedule: &Schedule| {
        let message =
            format!("schedule {} names plan {}, which does not exist", schedule.name, schedule.is.plan);
        let place = written.place(&["schedules", &schedule.name, "plan"]);
        Finding::warning("schedule-of-no-plan", &written.file, place, message)
            .because("drctl misses each of its drills")
            .fix(windows::one_of(plans))
    };
    nobodys.map(finding).collect()
}

/// The first change of the settings that the ledger lacks. Drills that were due under the old schedule and never started are missed.
fn changed(schedules: &[Schedule], known: &RecordedSchedules, now: Timestamp) -> Option<Entry> {
    let written = |name: &str| schedules.iter().find(|schedule| schedule.name == name);
    for (name, (is, since)) in &known.schedules {
        if written(name).is_some_and(|schedule| schedule.is == *is) {
            continue;
        }
        let overdue = match Calendar::parse(&is.pattern, &is.zone) {
            Ok(calendar) => known.unknown(name, &calendar, *since, now),
            Err(_) => Vec::new(),
        };
        if let Some(due) = overdue.first() {
            let why = "the schedule changed before the drill could start".to_owned();
            return Some(missed_drill(name, *due, now, why));
        }
        if written(name).is_none() {
            return Some(Entry::Schedule { at: now, name: name.clone(), is: None });
        }
    }
    let new =
        |schedule: &&Schedule| known.schedules.get(&schedule.name).is_none_or(|(is, _)| *is != schedule.is);
    let entry = |schedule: &Schedule| Entry::Schedule {
        at: now,
        name: schedule.name.clone(),
        is: Some(schedule.is.clone()),
    };
    schedules.iter().find(new).map(entry)
}

fn missed_drill(name: &str, due: Timestamp, now: Timestamp, why: String) -> Entry {
    Entry::Drill { at: now, schedule: name.to_owned(), due, fate: Fate::Missed { why } }
}

/// Until when drctl does not move an application automatically because it moved recently, and when it moved.
fn quiet(
    policy: &Policy,
    is: &Definition,
    kept: &DrillHolds,
    now: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    let moved = *kept.moved.get(&is.plan).filter(|_| is.drill == Drill::Live)?;
    let until = moved + policy.apart;
    (now < until).then_some((until, moved))
}

/// What prevents a drill from starting now: a freeze or a blackout; for a live drill also the windows and a recent move.
pub fn against(policy: &Policy, is: &Definition, kept: &DrillHolds, now: Timestamp) -> Option<String> {
    let severity = policy.severity(None, Intent::Drill, true);
    let closed = windows::closed(policy, &is.plan, severity, now);
    let binds = |rule: Rule| match is.drill {
        Drill::Live => true,
        _ => rule != Rule::OutsideWindow,
    };
    let closed = closed.into_iter().find(|closed| !closed.lifted && binds(closed.rule));
    let flaps = || {
        let (until, moved) = quiet(policy, is, kept, now)?;
        let (plan, apart) = (&is.plan, policy.apart);
        Some(format!(
            "{plan} was moved at {moved}, so drctl does not move it automatically before {until} (`apart: {apart}`)"
        ))
    };
    closed.map(|closed| closed.facts).or_else(flaps)
}
