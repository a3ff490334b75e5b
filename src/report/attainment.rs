//! The RTO and RPO that a run achieved.

use std::collections::BTreeMap;

use crate::kinds::shared::promotion::Promote;
use crate::kinds::{Exposure, Fact, Operation};
use crate::model::ids::ComponentName;
use crate::model::measure::{Basis, Figure};
use crate::model::time::{Dur, Timestamp};
use crate::record::action::Action;
use crate::record::event::{End, Outcome};
use crate::record::runbook::{Phase, Probe, ProbeRole, Step};
use crate::run::exposure::Replayed;
use crate::run::state::{Mode, Status, StepState, Turn};
use crate::run::{RunState, exposure};

/// A figure that a later finding replaced, and the time that it held for, if it grew.
pub type Earlier = (Figure, Option<Timestamp>);

/// The achieved figures.
#[derive(Clone, Debug)]
pub struct Attainment {
    /// From the first failed public probe, or from the declared start of the outage.
    pub rto: Figure,
    /// From the declaration of the run.
    pub rto_from_declaration: Figure,
    /// The worst of all stores.
    pub rpo: Figure,
    /// By store.
    pub stores: BTreeMap<ComponentName, (Figure, Exposure)>,
    /// Figures that later findings replaced, by store.
    pub replaced: BTreeMap<ComponentName, Earlier>,
    /// The minimum loss by store, if the old primary is known to have committed after the promotion.
    pub least: BTreeMap<ComponentName, Dur>,
    /// The first failed public probe.
    pub detected: Option<Timestamp>,
    /// The start of the outage for the RTO: a person's declaration, or the first failed public probe.
    pub out_since: Option<Timestamp>,
    /// When the run was declared.
    pub decided: Timestamp,
    /// When the last change was complete: after the watch if the run also makes a standby and that takes longer.
    pub executed: Option<Timestamp>,
    /// The first of the consecutive good samples that showed users being served. Without a failed probe, when the run confirmed it.
    pub validated: Option<Timestamp>,
    /// Whether users are served, according to the last sample of every public probe; `None` without samples.
    pub served: Option<bool>,
    /// Whether the run was closed while users were not served. Then no recovery time meets the objective.
    pub never_recovered: bool,
    /// How long users may be served before probes show it, if none has shown it: the lower bound of the recovery time is shorter than the
    /// time since the outage began by that much.
    pub late: Option<Dur>,
    /// The time that the recovery time holds for, if a later time makes it longer: users wait, and the run has not ended.
    pub rto_as_of: Option<Timestamp>,
    /// The same for losses that a pending fence lets grow, by store.
    pub losses_as_of: BTreeMap<ComponentName, Timestamp>,
}

impl Attainment {
    /// How long users have not been served at `now` as far as anybody has seen. Probes may still have to show that they are served, so
    /// this can be longer than the figure of the RTO, but never shorter.
    pub fn seen_out_for(&self, now: Timestamp) -> Option<Dur> {
        let from = self.out_since.filter(|_| self.detected.is_some() && self.validated.is_none())?;
        Some(now.since(from))
    }

    /// How long users have not been served at `now` at least, if probes saw that: the figure of the RTO.
    pub fn out_for(&self, now: Timestamp) -> Option<Dur> {
        let from = self.detected.filter(|_| self.validated.is_none())?;
        Some(self.rto.value_ms.unwrap_or_else(|| now.since(from)))
    }
}

/// Computes the figures at `asked`. That time matters until the run has ended, and afterwards while a fence is pending.
pub fn attainment(state: &RunState, asked: Timestamp) -> Attainment {
    let now = state.finished_at.unwrap_or(asked);
    let publics: Vec<&Probe> = state.runbook.probes.iter().filter(|p| p.role == ProbeRole::Public).collect();
    let outage = outage(state, &publics);
    let stores = stores(state, asked);
    let rpo = stores.values().map(|(f, _)| *f).reduce(Figure::worse);
    let growing = state.owed().filter(|c| stores.get(*c).is_some_and(|(_, taken)| taken.grows));
    let growing = growing.map(|component| (component.clone(), asked)).collect();
    let end = outage.restored;
    Attainment {
        rto: if publics.is_empty() { Figure::UNKNOWN } else { rto(state, &outage, now) },
        rto_from_declaration: if publics.is_empty() { Figure::UNKNOWN } else { own(state, &outage, now) },
        rpo: rpo.unwrap_or_else(|| no_store(state)),
        replaced: replaced(state),
        least: stores.keys().filter_map(|of| Some((of.clone(), exposure::at_least(state, of)?))).collect(),
        stores,
        detected: outage.began,
        out_since: declared(state, &outage).or(outage.began),
        decided: state.created_at,
        executed: executed(state),
        validated: end.or_else(|| confirmed(state)),
        served: outage.served,
        never_recovered: never_recovered(state, &outage),
        late: Some(unturned(state)).filter(|late| *late > Dur::ZERO && waited(state, &outage)),
        rto_as_of: waits(state, &outage).then_some(now),
        losses_as_of: growing,
    }
}

/// Whether the recovery time still grows.
fn waits(state: &RunState, outage: &Outage) -> bool {
    state.finished_at.is_none() && waited(state, outage)
}

/// Whether nobody has seen users being served again.
fn waited(state: &RunState, outage: &Outage) -> bool {
    outage.restored.or_else(|| state.created.outage_began.and(confirmed(state))).is_none()
}

/// Whether a run was closed while users were not served. Without probes, a person's declaration of the outage counts.
fn never_recovered(state: &RunState, outage: &Outage) -> bool {
    let ended = match state.mode {
        Mode::Finished(outcome) => !matches!(outcome, Outcome::Recovered | Outcome::Read),
        _ => false,
    };
    let down = outage.served.map_or(state.created.outage_began.is_some(), |served| !served);
    ended && state.runbook.intent.has_rto() && down && confirmed(state).is_none()
}

/// Without a store in the runbook, no writes can be lost and there is nothing to measure.
fn no_store(state: &RunState) -> Figure {
    let promotes = state.runbook.steps.iter().any(|s| matches!(s.action, Action::Op(Operation::Promote(_))));
    // A store that was already promoted lost writes before this run, and nobody measured that.
    if promotes || !state.runbook.stores.is_empty() { Figure::UNKNOWN } else { Figure::NOT_APPLICABLE }
}

/// How far before a seen time the true time can be.
#[derive(Clone, Copy, Default)]
struct SamplingError {
    most: Dur,
    /// Whether that is longer than probes usually take, because no process sampled.
    unusual: bool,
}

impl SamplingError {
    /// With what is unobserved before this turn of a probe.
    fn before(self, state: &RunState, turn: &Turn, probe: &Probe) -> Self {
        Self {
            most: self.most.max(gap(state, turn, probe)),
            unusual: self.unusual || is_unusual(state, turn, probe),
        }
    }
}

/// The outage as the public probes saw it.
#[derive(Default)]
struct Outage {
    began: Option<Timestamp>,
    /// Whether a good sample preceded the first failed one.
    known_start: bool,
    restored: Option<Timestamp>,
    /// The last time before that at which users are known not to have been served.
    failed: Option<Timestamp>,
    /// The sampling error of the start.
    start: SamplingError,
    /// The sampling error of the end.
    end: SamplingError,
    /// The result of the last samples; `None` without samples.
    served: Option<bool>,
}

fn outage(state: &RunState, publics: &[&Probe]) -> Outage {
    let mut outage = Outage { known_start: true, ..Outage::default() };
    let mut all_restored = true;
    for probe in publics {
        let turns: &[Turn] = state.turns.get(&probe.key()).map_or(&[], Vec::as_slice);
        if let Some(last) = turns.last() {
            outage.served = Some(outage.served.unwrap_or(true) && last.good);
        }
        for error in [&mut outage.start, &mut outage.end] {
            error.most = error.most.max(probe.every_ms);
        }
        let Some(bad) = turns.iter().find(|t| !t.good) else { continue };
        if outage.began.is_none_or(|b| bad.since < b) {
            outage.began = Some(bad.since);
        }
        outage.known_start &= bad.last_other.is_some();
        outage.start = outage.start.before(state, bad, probe);
        match turns.last().filter(|t| t.good) {
            Some(good) => {
                outage.restored = outage.restored.max(Some(good.since));
                outage.failed = outage.failed.max(Some(good.since - gap(state, good, probe)));
                outage.end = outage.end.before(state, good, probe);
            }
            None => all_restored = false,
        }
    }
    if !all_restored {
        outage.restored = None;
    }
    // The last probe to succeed decides when users were served, whatever is unknown of the others.
    if let (Some(restored), Some(failed)) = (outage.restored, outage.failed)
        && outage.end.unusual
    {
        outage.end.most = restored.since(failed);
    }
    outage
}

/// The last time before a turn at which the probe is known to have had the other result.
fn last_other(state: &RunState, turn: &Turn, probe: &Probe) -> Option<Timestamp> {
    let failed = state.failed_until.get(&probe.key()).copied();
    turn.last_other.max(failed.filter(|at| turn.good && *at < turn.since))
}

/// The unobserved time before a turn. It is longer than the probe's interval if no process sampled.
fn gap(state: &RunState, turn: &Turn, probe: &Probe) -> Dur {
    last_other(state, turn, probe).map_or(Dur::ZERO, |last| turn.since.since(last))
}

/// Whether that is longer than a probe takes that samples without a break. A sample that times out is followed by the next one an interval
/// later at most; on a busy machine that is delayed by less than another interval.
fn is_unusual(state: &RunState, turn: &Turn, probe: &Probe) -> bool {
    gap(state, turn, probe) > probe.timeout_ms.plus(probe.every_ms).plus(probe.every_ms)
}

/// Which times between two processes make the recovery time inexact: no sample of a public probe is recorded there.
pub fn unsampled(state: &RunState) -> Vec<String> {
    let several = state.epoch > 1 || state.created.continues.is_some();
    if !several || !state.runbook.intent.has_rto() {
        return Vec::new();
    }
    let publics: Vec<&Probe> = state.runbook.probes.iter().filter(|p| p.role == ProbeRole::Public).collect();
    let declared = declared(state, &outage(state, &publics)).is_some();
    let of = |probe: &&Probe| {
        let turns: &[Turn] = state.turns.get(&probe.key()).map_or(&[], Vec::as_slice);
        let bad = turns.iter().find(|turn| !turn.good);
        let good = bad.and(turns.last()).filter(|turn| turn.good);
        let edges = [("start", bad.filter(|_| !declared)), ("end", good)];
        let inexact = edges
            .into_iter()
            .filter_map(|(edge, turn)| Some((edge, turn?, last_other(state, turn?, probe)?)));
        inexact
            .filter(|(_, turn, _)| is_unusual(state, turn, probe))
            .map(|(edge, turn, last)| {
                let (until, within) = (turn.since, gap(state, turn, probe));
                format!(
                    "no sample of probe {} is recorded between {last} and {until}, so the {edge} of the outage is known only to within {within}",
                    probe.name
                )
            })
            .collect::<Vec<_>>()
    };
    publics.iter().flat_map(of).collect()
}

/// A declaration can move the start of the outage to before the first failed probe, but not after it.
fn declared(state: &RunState, outage: &Outage) -> Option<Timestamp> {
    let seen_later = |declared: &Timestamp| outage.began.is_none_or(|began| *declared <= began);
    state.created.outage_began.filter(seen_later)
}

fn rto(state: &RunState, outage: &Outage, now: Timestamp) -> Figure {
    if let Some(declared) = declared(state, outage) {
        return figure(
            state,
            Some(declared),
            true,
            outage.restored.or_else(|| confirmed(state)),
            now,
            [SamplingError::default(), outage.end],
        );
    }
    match outage.began {
        Some(began) => {
            let errors = [outage.start, outage.end];
            figure(state, Some(began), outage.known_start, outage.restored, now, errors)
        }
        None => unnoticed(state, outage),
    }
}

/// From the decision until users are served. If no probe failed, they are when the run confirmed it, and the time before is no outage.
fn own(state: &RunState, outage: &Outage, now: Timestamp) -> Figure {
    let confirmed = confirmed(state);
    let end = match outage.began {
        Some(_) => outage.restored,
        None if confirmed.is_none() && state.created.outage_began.is_none() => return Figure::UNKNOWN,
        None => confirmed,
    };
    figure(state, Some(state.created_at), true, end, now, [SamplingError::default(), outage.end])
}

/// The longest outage that probes could have missed, if none failed often enough in a row to turn.
fn unnoticed(state: &RunState, outage: &Outage) -> Figure {
    // Nobody sampled between the run that this one continues and this one, nor between two processes of the run.
    let unwatched = state.created.continues.is_some() || state.epoch > 1;
    if outage.served.is_none() || unwatched || !matches!(state.mode, Mode::Finished(Outcome::Recovered)) {
        return Figure::UNKNOWN;
    }
    // Between two good samples there can be one bad sample fewer than a turn needs.
    let missed = |p: &&Probe| {
        let bad = u64::from(state.runbook.probe_consecutive.saturating_sub(1));
        p.every_ms.plus(p.every_ms.max(p.timeout_ms).times(bad))
    };
    let publics = state.runbook.probes.iter().filter(|p| p.role == ProbeRole::Public);
    let most = publics.map(|p| missed(&p)).max().unwrap_or_default();
    Figure { value_ms: Some(most), basis: Basis::UpperBound, resolution_ms: Dur::ZERO }
}

/// How long users may be served before a probe turns. An outage without an end so far may have ended this long ago.
fn unturned(state: &RunState) -> Dur {
    let publics = state.runbook.probes.iter().filter(|p| p.role == ProbeRole::Public);
    publics.map(|p| p.turns_within(state.runbook.probe_consecutive)).max().unwrap_or_default()
}

fn figure(
    state: &RunState,
    from: Option<Timestamp>,
    known: bool,
    to: Option<Timestamp>,
    now: Timestamp,
    [start, end]: [SamplingError; 2],
) -> Figure {
    let Some(from) = from else { return Figure::UNKNOWN };
    let value = to.unwrap_or_else(|| now - unturned(state)).since(from);
    let least = if to.is_some() { value.minus(end.most) } else { value };
    let resolution_ms = start.most.max(end.most);
    let basis = match (known && to.is_some(), state.clock_jumped) {
        // The failed samples show the least. Nobody sampled before the first of them, so the outage can only have begun earlier; or nobody
        // sampled after the last of them, so it can only have ended before the first good one.
        (true, false) if start.unusual || end.unusual => {
            return Figure::between(least, value.plus(start.most));
        }
        (true, false) => Basis::Measured,
        // The end or the start is not known: it may be longer.
        (false, false) => return Figure { value_ms: Some(least), basis: Basis::LowerBound, resolution_ms },
        // Within one process, drctl ignores a clock that is set back, and one that jumps ahead makes durations look longer. The sampling
        // error is added.
        (true, true) if state.epoch <= 1 => {
            return Figure::new(value.plus(resolution_ms), Basis::UpperBound);
        }
        // Between two processes, the clock may have moved in either direction, or both.
        (_, true) => return Figure::UNKNOWN,
    };
    Figure { value_ms: Some(value), basis, resolution_ms }.or_bound()
}

fn stores(state: &RunState, now: Timestamp) -> BTreeMap<ComponentName, (Figure, Exposure)> {
    let of = |(component, at): (&ComponentName, &Timestamp)| {
        let exposure = state.exposure(component)?;
        let reconciled = match state.debts.get(component) {
            None => taken_to(exposure, *at),
            Some(debt) => {
                // After it was settled without a fence, it cannot have grown any more.
                let now = debt.settled.as_ref().map_or(now, |(at, _)| now.min(*at));
                owed(state, component, exposure, debt.paid.is_some(), now)
            }
        };
        let told = contradicted(state, component, reconciled);
        let (figure, exposure) = by_others(state, component, told);
        Some((component.clone(), (exposure.with_what_is_beside(figure), exposure)))
    };
    state.promoted_at.iter().filter_map(of).collect()
}

/// The figure at `now`, and its exposure. A loss that is still growing is computed for that time.
fn taken_to(taken: &Exposure, now: Timestamp) -> (Figure, Exposure) {
    let last_instant = if taken.grows { Some(now.max(taken.taken_at)) } else { taken.last_instant };
    (taken.at(now), Exposure { last_instant, ..taken.clone() })
}

/// The loss as it was reported at the end of the run, for stores whose old primary was fenced or compared later.
fn replaced(state: &RunState) -> BTreeMap<ComponentName, Earlier> {
    let of = |(component, at): (&ComponentName, &Timestamp)| {
        let exposure = state.exposure(component)?;
        let paid = state.debts.get(component).and_then(|debt| debt.paid.as_ref()).map(|(paid, _)| *paid);
        let said = match paid {
            // For a growing loss, the value before the fence was set. Later looks showed a higher one.
            Some(paid) => {
                let until = state.finished_at.map_or(paid, |over| over.min(paid));
                let figure = exposure.at(until);
                let grew = exposure.grows && figure.value_ms.is_some();
                (figure, grew.then_some(until))
            }
            None if state.debts.contains_key(component) => return None,
            None => {
                let figure = exposure.at(*at);
                let (now, _) = contradicted(state, component, (figure, exposure.clone()));
                (now != figure).then_some((figure, None))?
            }
        };
        Some((component.clone(), said))
    };
    state.promoted_at.iter().filter_map(of).collect()
}

/// Withdraws a measured loss if the old primary was later found to have committed more, whatever the proof said.
fn contradicted(
    state: &RunState,
    component: &ComponentName,
    (figure, exposure): (Figure, Exposure),
) -> (Figure, Exposure) {
    // A restore discards later writes on purpose, so a standby may have more of them.
    if figure.basis != Basis::Measured || state.restores(component).is_some() {
        return (figure, exposure);
    }
    let promoted = state.promoted_at.get(component);
    let after = |at: &&StepState| promoted.is_some_and(|p| at.work.ended_at.is_some_and(|ended| ended > *p));
    let more = state.steps.iter().filter(after).flat_map(|at| &at.facts).find_map(|fact| match fact {
        Fact::Rejoined { component: c, diverged: Some(found), .. } if c == component => Some(found),
        _ => None,
    });
    match more {
        Some(found) => {
            let many = found.transactions.map_or_else(|| "uncounted".to_owned(), |n| n.to_string());
            let because = format!(
                "{}. However, drctl later found {many} more transactions on the old primary",
                exposure.because
            );
            (Figure::UNKNOWN, Exposure { figure: Figure::UNKNOWN, because, ..exposure })
        }
        None => (figure, exposure),
    }
}

/// The service's figure is about the handover that this run requested. If somebody else moved the writer, the loss is unknown.
fn by_others(
    state: &RunState,
    component: &ComponentName,
    (figure, exposure): (Figure, Exposure),
) -> (Figure, Exposure) {
    let promotes = |a: &Action| matches!(a, Action::Op(Operation::Promote(Promote { db, .. })) if db.component == *component);
    let mut of = state.runbook.steps.iter().zip(&state.steps).filter(|(s, _)| promotes(&s.action));
    let theirs = |at: &StepState| matches!(at.work.status, Status::Done(End::Noop | End::ByHand));
    if !exposure::hands_over(state, component) || !of.any(|(_, at)| theirs(at)) {
        return (figure, exposure);
    }
    let because = "somebody else moved the writer, so the loss was not measured".to_owned();
    (Figure::UNKNOWN, Exposure { figure: Figure::UNKNOWN, because, ..exposure })
}

/// The loss of a store that was promoted without a fence. The old primary may have continued to take writes; once it is fenced, the end of
/// them is known.
fn owed(
    state: &RunState,
    component: &ComponentName,
    taken: &Exposure,
    paid: bool,
    now: Timestamp,
) -> (Figure, Exposure) {
    let Some(proven) = state.fence_proof(component).filter(|_| paid) else {
        return taken_to(taken, now);
    };
    let replayed = Replayed {
        here: taken.last_replayed,
        there: taken.last_replayed_there,
        // A figure that was taken after this machine's clock was set back is known only if the server's clock was read.
        clock_read: taken.figure.value_ms.is_some(),
        read_at: taken.taken_at,
    };
    let commit = exposure::last_commit(state, component, &proven, replayed);
    let last = commit.unwrap_or(proven.at);
    let figure =
        exposure::may_replay_more(exposure::missing((state, component), Some(&proven), last, replayed));
    let because = match commit {
        Some(_) => "the last commit of the old primary, read when it was fenced after its return",
        None => "the old primary was fenced after its return; writes may have ended earlier",
    };
    let exposure = Exposure {
        figure,
        last_instant: Some(last),
        because: because.to_owned(),
        grows: false,
        ..taken.clone()
    };
    (figure, exposure)
}

fn ended(state: &RunState, picks: impl Fn(Phase, &Action) -> bool) -> impl Iterator<Item = Timestamp> {
    state
        .steps
        .iter()
        .zip(&state.runbook.steps)
        .filter(move |(_, s)| picks(s.phase, &s.action))
        .filter(|(step, _)| matches!(step.work.status, Status::Done(End::Performed | End::ByHand)))
        .filter_map(|(step, _)| step.work.ended_at)
        .collect::<Vec<_>>()
        .into_iter()
}

/// While a change is still to be made, or failed, nobody knows when the last one is complete.
fn executed(state: &RunState) -> Option<Timestamp> {
    let recovered = matches!(state.mode, Mode::Finished(Outcome::Recovered));
    let open = |(step, at): (&Step, &StepState)| {
        // A fence that may be missing may also be pending after the end.
        let fence = matches!(step.action, Action::Op(Operation::Fence(_)));
        let counts = step.action.mutates() && step.phase < Phase::Watch && !step.background && !fence;
        counts && !matches!(at.work.status, Status::Done(_) | Status::Skipped)
    };
    if !recovered && state.runbook.steps.iter().zip(&state.steps).any(open) {
        return None;
    }
    // A pending fence is set after the end of the run. Users did not wait for it.
    let within = |at: &Timestamp| state.finished_at.is_none_or(|over| *at <= over);
    ended(state, |phase, action| action.mutates() && phase < Phase::Watch).filter(within).max()
}

fn confirmed(state: &RunState) -> Option<Timestamp> {
    ended(state, |phase, _| phase == Phase::Confirm).max()
}
