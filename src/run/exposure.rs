//! How many recent writes a store may lose (the exposure).

use super::state::{Proven, RunState};
use crate::kinds::shared::database::DatabaseState;
use crate::kinds::shared::restore::{Loss, Restore};
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::kinds::{Exposure, Fact, Operation};
use crate::model::ids::ComponentName;
use crate::model::measure::{Basis, CLOCKS_AGREE, ClockReading, Figure};
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::{Rule, accepted_loss};
use crate::record::action::{Action, Check};

/// Why the time of the fence counts and not the last commit.
const CLOCK_WAS_SET: &str = "the time of the proven fence, because the clock that dated the old primary's last commit may have been set; \
                             writes may have ended earlier";

/// The last instant at which the old primary can have acknowledged a write, and how that is known.
struct LastInstant {
    at: Timestamp,
    because: String,
    grows: bool,
}

/// The last commit that a target has replayed.
#[derive(Clone, Copy)]
pub struct Replayed {
    /// By this machine's clock.
    pub here: Option<Timestamp>,
    /// By the clock that dated it.
    pub there: Option<Timestamp>,
    /// Whether `here` takes into account what that clock showed at `read_at`.
    pub clock_read: bool,
    /// When it was read.
    pub read_at: Timestamp,
}

impl Replayed {
    fn from_state(target: &DatabaseState, read_at: Timestamp) -> Self {
        let (here, there) = (target.last_commit, target.last_commit_there);
        // That clock may have been set ahead since the runbook was made.
        let ahead = target.clock.map(|clock| Dur(u64::try_from(clock.ahead_ms).unwrap_or_default()));
        let corrected = there.zip(ahead).map(|(there, ahead)| there - ahead);
        let here = here.map(|here| corrected.map_or(here, |corrected| here.min(corrected)));
        Self { here, there, clock_read: corrected.is_some(), read_at }
    }

    /// Whether its time by this machine's clock cannot be compared with a time that was read at `read`. Before that, the clock was set back
    /// between two processes, so an earlier reading looks later than it is. A later reading of the clock that dated the commit does not help,
    /// because that clock may have been set as well.
    fn is_hidden(&self, state: &RunState, read: Timestamp) -> bool {
        state.set_back_at.is_some_and(|set_back| {
            let known = self.read_at >= set_back && (self.there.is_none() || self.clock_read);
            read >= set_back && !known
        })
    }
}

impl RunState {
    /// The exposure of a component.
    pub fn exposure(&self, component: &ComponentName) -> Option<&Exposure> {
        // The last one counts: a restore is measured before and after writes have ended.
        let taken = self.known_of(component).filter_map(|f| match f {
            Fact::Exposure(e) => Some(e),
            _ => None,
        });
        taken.last()
    }
}

/// Measures the exposure from what the target holds and what the run has established.
pub fn measure(
    state: &RunState,
    component: &ComponentName,
    target: &DatabaseState,
    now: Timestamp,
) -> Exposure {
    if let Some(of) = state.restores(component) {
        return restored(state, of, now);
    }
    // The target replicates from another server. Its lag behind that server says nothing about what it lacks of this one.
    let replayed = match state.waiver(Rule::OtherSource, Some(component)) {
        Some(_) => Replayed { here: None, there: None, clock_read: false, read_at: now },
        None => Replayed::from_state(target, now),
    };
    let last = last_instant(state, component, now, replayed);
    let (figure, because, grows) = match nothing_missing(state, component, target) {
        Some(because) => (Figure::new(Dur::ZERO, Basis::Measured), because, false),
        None if hands_over(state, component) => {
            let word =
                "the service moves the writer only after the target has all data (SwitchoverGlobalCluster)";
            (Figure::new(Dur::ZERO, Basis::UpperBound), word.to_owned(), false)
        }
        None => {
            let fenced = state.fence_proof(component);
            let figure = missing((state, component), fenced.as_ref(), last.at, replayed);
            (may_replay_more(figure), last.because, last.grows)
        }
    };
    let beside: Vec<_> =
        state.unreplicated(component).iter().filter(|u| u.loses_rows()).map(Unreplicated::words).collect();
    let more = state.unexplained(component).into_iter().chain(beside.iter().map(String::as_str));
    let because = std::iter::once(because.as_str()).chain(more).collect::<Vec<_>>().join("; ");
    Exposure {
        component: component.clone(),
        figure,
        last_instant: Some(last.at),
        because,
        last_replayed: replayed.here,
        last_replayed_there: replayed.there,
        taken_at: now,
        grows,
        beside,
    }
}

/// What a restore loses: everything from its restore time to the last commit before writes ended. Both times are from one server's clock.
fn restored(state: &RunState, of: &Restore, now: Timestamp) -> Exposure {
    let component = &of.db.component;
    let fenced = state.fence_proof(component);
    let to = Some(of.to_time);
    let replayed = Replayed { here: to, there: to, clock_read: false, read_at: state.created_at };
    // The restore time is not the time of a commit, so it may be later than the last one.
    let last = last_instant(state, component, now, Replayed { here: None, ..replayed });
    // The last commit may be drctl's own. The log shows that, if it was read after writes had ended.
    let (figure, because) = match state.lost_for_good(component) {
        Some(Loss { transactions: 0, basis, .. }) if basis == "exactly" => {
            (Figure::new(Dur::ZERO, Basis::Measured), "no later transaction changed a row".to_owned())
        }
        Some(Loss { basis, last: Some(at), .. }) if basis == "exactly" && !state.clock_jumped => (
            Figure::new(at.since(of.to_time), Basis::Measured),
            format!("the last transaction that changed a row committed at {at}"),
        ),
        _ => {
            let bound = missing((state, component), fenced.as_ref(), last.at, replayed);
            let basis = if bound.basis == Basis::Measured { Basis::UpperBound } else { bound.basis };
            (Figure { basis, ..bound }, last.because)
        }
    };
    Exposure {
        component: component.clone(),
        figure,
        last_instant: Some(last.at),
        because: format!("all writes after {}: {because}", of.to_time),
        last_replayed: to,
        last_replayed_there: to,
        taken_at: now,
        grows: last.grows,
        beside: Vec::new(),
    }
}

/// An observation shows the least that a replica has. Until the promotion it may receive more from its source, so a measured loss is an
/// upper bound.
pub fn may_replay_more(figure: Figure) -> Figure {
    match (figure.basis, figure.value_ms) {
        (Basis::Measured, Some(value)) if value > Dur::ZERO => Figure { basis: Basis::UpperBound, ..figure },
        _ => figure,
    }
}

/// The time between the old primary's last commit and the last replayed commit. It is measured if both times are from the old primary's
/// clock. Otherwise, differences between clocks must not make the figure smaller, so the earliest reading of the replayed commit counts.
pub fn missing(
    (state, component): (&RunState, &ComponentName),
    fenced: Option<&Proven>,
    last_instant: Timestamp,
    replayed: Replayed,
) -> Figure {
    let last_there = fenced.and_then(|f| f.there);
    let one_clock = one_clock(state, component, fenced);
    match (last_there.zip(replayed.there), replayed.here) {
        // The last commit cannot be older than the last replayed one, unless that clock was set back in between.
        (Some((last, replayed)), _) if one_clock && last >= replayed => {
            Figure::new(last.since(replayed), Basis::Measured)
        }
        _ if replayed.is_hidden(state, fenced.map_or(replayed.read_at, |f| f.at)) => Figure::UNKNOWN,
        (_, Some(here)) => {
            let earliest = earliest((state, component), fenced, (here, replayed.there));
            Figure::new(shown(state, fenced, last_instant, replayed).since(earliest), Basis::UpperBound)
        }
        (_, None) => Figure::UNKNOWN,
    }
}

/// The earliest reading of the last replayed commit by this machine's clock.
fn earliest(
    (state, component): (&RunState, &ComponentName),
    fenced: Option<&Proven>,
    (here, there): (Timestamp, Option<Timestamp>),
) -> Timestamp {
    let now = fenced.and_then(|f| f.clock).map(|now| now.ahead_ms);
    let ahead = ahead(state, component).max(now).unwrap_or_default();
    let ahead = Dur(u64::try_from(ahead).unwrap_or_default());
    there.map_or(here, |there| here.min(there - ahead))
}

/// An instant that was read with the proof of the fence, for a comparison with what a target replayed. Without the time of the clock that
/// dated the replayed commit, both times are from this machine's clock, which may have jumped ahead in between.
fn shown(state: &RunState, fenced: Option<&Proven>, instant: Timestamp, replayed: Replayed) -> Timestamp {
    if replayed.there.is_some() { instant } else { shown_by_now(state, fenced, instant) }
}

/// The last commit of the fenced old primary, if it can be compared with what a target replayed. It cannot if somebody may have set the
/// clock that dated it: two readings of that clock differ, this machine's clock jumped between them, or the target has a later commit than
/// the old primary. Then only the time of the proven fence is known to be late enough.
pub fn last_commit(
    state: &RunState,
    component: &ComponentName,
    proven: &Proven,
    replayed: Replayed,
) -> Option<Timestamp> {
    let commit = proven.last_commit?;
    let (before, now) = (ahead(state, component), proven.clock);
    let was_set = || before.zip(now).is_some_and(|(before, now)| set(before, &now));
    if replayed.there.is_none() && (was_set() || state.jumped_before(proven.at)) {
        return None;
    }
    let within = now.map_or(CLOCKS_AGREE, |clock| clock.within_ms.plus(CLOCKS_AGREE));
    let has = replayed.here.map(|here| earliest((state, component), Some(proven), (here, replayed.there)));
    let fits = has.is_none_or(|has| shown(state, Some(proven), commit, replayed) + within >= has);
    fits.then_some(commit)
}

/// Whether neither this machine's clock nor the clock that stamps commits is known to have been set.
fn one_clock(state: &RunState, component: &ComponentName, fenced: Option<&Proven>) -> bool {
    let (before, now) = (ahead(state, component), fenced.and_then(|f| f.clock));
    !state.clock_jumped && !before.zip(now).is_some_and(|(before, now)| set(before, &now))
}

/// The least that is lost if the old primary committed after the promotion. The new primary cannot have those commits, whatever it
/// replayed.
pub fn at_least(state: &RunState, component: &ComponentName) -> Option<Dur> {
    let paid = state.debts.get(component).is_some_and(|debt| debt.paid.is_some());
    let proven = state.fence_proof(component).filter(|_| paid && state.restores(component).is_none())?;
    let (last, promoted) = (proven.last_commit?, *state.promoted_at.get(component)?);
    if !one_clock(state, component, Some(&proven)) {
        return None;
    }
    let within = proven.clock.map_or(CLOCKS_AGREE, |clock| clock.within_ms.plus(CLOCKS_AGREE));
    let least = last.since(promoted).minus(within);
    (least > Dur::ZERO).then_some(least)
}

/// What each store may lose if it is promoted at `now`, for people who decide that. Nothing about a store whose promotion was requested, or
/// whose loss is unknown.
pub fn if_promoted_now(state: &RunState, now: Timestamp) -> Vec<String> {
    let open = |component: &&ComponentName| {
        state.promotion(component).is_some() && !state.promoted.contains(*component)
    };
    let words = |component: &ComponentName| {
        let measured = state.exposure(component)?;
        let figure = measured.at(now);
        figure.value_ms?;
        let more = match measured.grows {
            true => format!(", as of {now}, and 1m more each minute"),
            false => String::new(),
        };
        Some(format!("if {component} is promoted now: {figure}{more}"))
    };
    if state.finished() || state.goes_no_further() {
        return Vec::new();
    }
    state.runbook.stores.iter().filter(open).filter_map(words).collect()
}

/// How the reason of a loss begins that grows. It is true only when the loss is measured.
const NOW: &str = "now, because ";

/// What a store may lose, for a person who answers at `at`. A loss that grows has its time, and the time from which it exceeds the accepted
/// loss. None if nothing is known.
pub fn may_lose(state: &RunState, component: &ComponentName, at: Timestamp) -> Option<String> {
    let measured = state.exposure(component)?;
    let figure = measured.at(at);
    let because = measured.because.strip_prefix(NOW).unwrap_or(&measured.because);
    let Some(value) = figure.value_ms.filter(|_| measured.grows) else {
        return Some(format!("{figure} ({because})"));
    };
    if state.finished() {
        return Some(format!("{figure} at {at} ({because})"));
    }
    let accepted = accepted_loss(&state.waivers, Rule::ExposureAboveRpo, component);
    let beyond = match accepted.filter(|_| !state.promoted.contains(component)) {
        Some(most) if value > most => format!("; more than the accepted loss of {most}"),
        Some(most) => format!("; more than the accepted loss of {most} after {}", at + most.minus(value)),
        None => String::new(),
    };
    Some(format!("{figure} at {at}, and 1m more each minute ({because}){beyond}"))
}

/// Converts a time that was read with the proof of the fence to this machine's current clock.
fn shown_by_now(state: &RunState, fenced: Option<&Proven>, read: Timestamp) -> Timestamp {
    fenced.map_or(read, |proof| read + state.by_this_clock(proof.at).since(proof.at))
}

/// How far the clock that stamps commits was ahead of this machine's clock when drctl last read it, in milliseconds.
fn ahead(state: &RunState, component: &ComponentName) -> Option<i64> {
    let of = |action: &Action| match action {
        Action::Check(Check::Exposure { db, ahead_ms, .. }) if db.component == *component => *ahead_ms,
        _ => None,
    };
    state.runbook.steps.iter().filter_map(|s| of(&s.action)).max()
}

/// Whether somebody set a clock between two readings.
fn set(before: i64, now: &ClockReading) -> bool {
    let apart = now.within_ms.plus(CLOCKS_AGREE).plus(CLOCKS_AGREE);
    now.ahead_ms.abs_diff(before) > apart.millis()
}

/// If the target replayed the log of the fenced primary to its end, no commit is missing, whatever the clocks say and however long the
/// primary was idle.
fn nothing_missing(state: &RunState, component: &ComponentName, target: &DatabaseState) -> Option<String> {
    let (end, there) = (state.fenced_end(component)?, target.wal?);
    // A replica of a restored copy has a log of the same name with different rows.
    let of_it = target.fence_token.is_some() && target.fence_token.as_deref() == state.fence_token(component);
    (of_it && there.covers(&end)).then(|| {
        format!("the target replayed up to {there}, and the WAL of the fenced old primary ends at {end}")
    })
}

/// Whether the service itself moves the writer, and either loses nothing or does not move it. That is the provider's claim, and drctl does
/// not measure it.
pub fn hands_over(state: &RunState, component: &ComponentName) -> bool {
    state.runbook.steps.iter().any(|s| match &s.action {
        Action::Op(Operation::Promote(of)) => of.db.component == *component && of.hands_over(),
        _ => false,
    })
}

fn last_instant(
    state: &RunState,
    component: &ComponentName,
    now: Timestamp,
    replayed: Replayed,
) -> LastInstant {
    let Some(proven) = state.fence_proof(component) else {
        // A failed write probe says nothing about other clients of the old primary. They may still write.
        let because = format!("{NOW}nothing stops the old primary from acknowledging writes");
        return LastInstant { at: now, because, grows: true };
    };
    let (at, because) = match (proven.last_commit, last_commit(state, component, &proven, replayed)) {
        (_, Some(commit)) => (commit, "the last commit of the old primary, read when it was fenced"),
        (Some(_), None) => (proven.at, CLOCK_WAS_SET),
        (None, None) => (proven.at, "the time of the proven fence; writes may have ended earlier"),
    };
    LastInstant { at, because: because.to_owned(), grows: false }
}
