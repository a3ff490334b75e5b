//! Duties after a run, and whether they were done in time.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::overrides;
use crate::model::duty::{Decision, Duties, Duty};
use crate::model::ids::RunId;
use crate::model::time::{Dur, Timestamp, span};
use crate::model::waiver::Person;
use crate::run::RunState;
use crate::run::model::attention::{Answer, Stopped};

/// How long a person has to confirm that the required watch took place.
const SAY_SO: Dur = Dur::mins(60);
/// How late an update may be without counting as late: delivery takes a moment.
const GRACE: Dur = Dur::mins(1);

/// The duty to send updates during a run.
pub const UPDATES: &str = "updates";

/// The status of a duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// There is time left.
    Open,
    /// The time is over, and it is not done.
    Overdue,
    /// It was done in time.
    Done,
    /// It was done too late; that remains a finding.
    DoneLate,
    /// Unknown.
    Unknown,
}

impl Standing {
    /// Whether it is a finding.
    pub const fn is_missed(self) -> bool {
        matches!(self, Self::Overdue | Self::DoneLate)
    }

    /// As text.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Overdue => "OVERDUE",
            Self::Done => "done",
            Self::DoneLate => "done LATE",
            Self::Unknown => "unknown",
        }
    }
}

/// A duty.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Obligation {
    /// The run.
    pub run: RunId,
    /// `updates`, `monitoring`, `incident-report`, `post-mortem`, or `approval:` and the step that was overridden.
    pub what: String,
    /// When it can first be done.
    pub from: Timestamp,
    /// When it has to be done.
    pub due_at: Timestamp,
    /// When it was done.
    pub done_at: Option<Timestamp>,
    /// The person who recorded that.
    pub by: Option<Person>,
    /// Where the result is kept, or what is wrong.
    pub detail: Option<String>,
    /// Its status.
    pub standing: Standing,
    /// By how much it is or was late, in seconds.
    pub late_by_s: Option<f64>,
}

impl Obligation {
    /// A description for people.
    pub fn words(&self) -> String {
        let late = self.late_by_s.map_or_else(String::new, |late| format!(" by {}", span(late)));
        let (what, run, due) = (&self.what, &self.run, self.due_at);
        let more = self.detail.as_deref().map_or_else(String::new, |detail| format!(" ({detail})"));
        format!("{what} of {run}: {}{late}, due {due}{more}", self.standing.words())
    }
}

/// The duties of a run at `now`. `told` are the times of the notifications of each run that drctl sent.
pub fn of_run(state: &RunState, told: &BTreeMap<RunId, Vec<Timestamp>>, now: Timestamp) -> Vec<Obligation> {
    let mut all = Vec::new();
    if let Some(duties) = &state.created.duties {
        all.push(updates(state, duties, told.get(&state.created.run), now));
        let from = |duty| Some((duty, state.owes_from(duty)?));
        let owed = Duty::ALL.into_iter().filter_map(from);
        all.extend(owed.map(|(duty, from)| of_duty(state, (duty, duties), from, now)));
    }
    all.extend(overrides::of_run(state, now).iter().filter_map(|over| approval(state, over)));
    all
}

fn of_duty(
    state: &RunState,
    (duty, duties): (Duty, &Duties),
    ended: Timestamp,
    now: Timestamp,
) -> Obligation {
    let done = state.attention.fulfilled.iter().find(|done| done.duty == duty);
    let (from, more) = match duty {
        Duty::Monitoring => (ended + duties.monitor_ms, SAY_SO),
        Duty::IncidentReport | Duty::PostMortem => (ended, Dur::ZERO),
    };
    let due = ended + duty.within(duties) + more;
    let base = Obligation {
        run: state.created.run.clone(),
        what: duty.id().to_owned(),
        from,
        due_at: due,
        done_at: done.map(|done| done.at),
        by: done.map(|done| done.who.clone()),
        detail: done.map(|done| done.reference.clone()),
        standing: Standing::Open,
        late_by_s: None,
    };
    judged(base, now)
}

fn judged(base: Obligation, now: Timestamp) -> Obligation {
    let at = base.done_at.unwrap_or(now);
    let late = (at > base.due_at).then(|| at.since(base.due_at).as_secs_f64());
    let standing = match (base.done_at, late) {
        (Some(_), None) => Standing::Done,
        (Some(_), Some(_)) => Standing::DoneLate,
        (None, None) => Standing::Open,
        (None, Some(_)) => Standing::Overdue,
    };
    Obligation { standing, late_by_s: late, ..base }
}

/// Whether updates were frequent enough. The first silence that was too long counts, and the longest is reported.
fn updates(state: &RunState, duties: &Duties, told: Option<&Vec<Timestamp>>, now: Timestamp) -> Obligation {
    let began = state.created_at;
    let over = state.over_at();
    let ended = over.unwrap_or(now);
    let most = duties.update_every_ms.plus(GRACE);
    let during = told.into_iter().flatten().copied().filter(|at| *at >= began && *at <= ended);
    let marks: Vec<Timestamp> = std::iter::once(began).chain(during).chain([ended]).collect();
    let silences = || marks.windows(2).map(|pair| (pair[0], pair[1].since(pair[0])));
    let first = silences().find(|(_, silence)| *silence > most);
    let longest = silences().map(|(_, silence)| silence).max().unwrap_or_default();
    let open = over.is_none();
    let (standing, detail) = match (told, first) {
        (_, None) if open => (Standing::Open, None),
        (_, None) => (Standing::Done, None),
        (None, Some(_)) => (Standing::Unknown, Some("drctl sent no update".to_owned())),
        (Some(_), Some(_)) => {
            let words =
                format!("no update for {longest}; an update was due every {}", duties.update_every_ms);
            (if open { Standing::Overdue } else { Standing::DoneLate }, Some(words))
        }
    };
    let from = first.map_or_else(|| marks.iter().rev().nth(1).copied().unwrap_or(began), |(from, _)| from);
    Obligation {
        run: state.created.run.clone(),
        what: UPDATES.to_owned(),
        from: began,
        due_at: from + duties.update_every_ms,
        done_at: over.filter(|_| standing == Standing::Done),
        by: None,
        detail,
        standing,
        late_by_s: first
            .filter(|_| standing.is_missed())
            .map(|(_, silence)| silence.as_secs_f64() - duties.update_every_ms.as_secs_f64()),
    }
}

fn approval(state: &RunState, over: &overrides::Override) -> Option<Obligation> {
    let standing = match over.state.as_str() {
        "approved" => Standing::Done,
        "approved_late" => Standing::DoneLate,
        "owed" => Standing::Open,
        "overdue" => Standing::Overdue,
        _ => return None,
    };
    let detail = format!("overridden by {}: {}", over.by.who, over.reason);
    // Who approved a part has not done it.
    let so_far: Vec<&str> = over.approved_by.iter().map(|who| who.who.as_str()).collect();
    let so_far = match so_far.is_empty() {
        true => String::new(),
        false => format!("; approved so far: {}", so_far.join(", ")),
    };
    let rejected = over.refused.iter().map(|no| format!("; rejected by {}: {}", no.who.who, no.reason));
    let detail = match over.approved_at {
        None => format!("{detail}{so_far}{}", rejected.collect::<String>()),
        Some(_) => detail,
    };
    Some(Obligation {
        run: state.created.run.clone(),
        what: format!("approval:{}", over.step),
        from: over.at,
        due_at: over.due_at,
        done_at: over.approved_at,
        by: over.approved_by.last().filter(|_| over.approved_at.is_some()).cloned(),
        detail: Some(detail),
        standing,
        late_by_s: over.late_by_s,
    })
}

/// A stop, and the decision about it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Stop {
    /// When.
    pub at: Timestamp,
    /// The step that failed.
    pub step: String,
    /// Why.
    pub reason: String,
    /// `fix_forward`, `restore`, `failover` or `take_back`; `None` until somebody decides.
    pub decision: Option<Decision>,
    /// Who decided.
    pub by: Option<Person>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// The reason for the decision.
    pub why: Option<String>,
    /// Whether the decision waits in the store, because no process of the run has read it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// Earlier decisions; the last one counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Decided>,
}

/// A decision about a stop.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// Who decided.
    pub by: Person,
    /// When.
    pub decided_at: Timestamp,
    /// The reason.
    pub why: Option<String>,
}

/// The stops of a run.
pub fn stops(state: &RunState) -> Vec<Stop> {
    let stop = |stop: &Stopped| {
        let answer = stop.answer();
        let decided = |answer: &Answer| Decided {
            decision: answer.decision,
            by: answer.who.clone(),
            decided_at: answer.at,
            why: answer.reason.clone(),
        };
        Stop {
            earlier: stop.answers.iter().rev().skip(1).rev().map(decided).collect(),
            at: stop.at,
            step: stop.step.to_string(),
            reason: stop.reason.clone(),
            decision: answer.map(|answer| answer.decision),
            by: answer.map(|answer| answer.who.clone()),
            decided_at: answer.map(|answer| answer.at),
            why: answer.and_then(|answer| answer.reason.clone()),
            waits: answer.is_some_and(|answer| state.is_unread(&answer.who, answer.at)),
        }
    };
    state.attention.stops.iter().map(stop).collect()
}

/// The duties of people after a run, without what only the ledger records.
pub fn of_people(state: &RunState, now: Timestamp) -> Vec<Obligation> {
    let own = |owed: &Obligation| owed.what != UPDATES && !owed.what.starts_with("approval:");
    of_run(state, &BTreeMap::new(), now).into_iter().filter(own).collect()
}
