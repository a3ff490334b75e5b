//! Creates a run, or reads one back.

use super::{DriveError, Session, adopted};
use crate::journal::{Closing, Record, StoreError};
use crate::model::environment::Endpoint;
use crate::model::ids::{ComponentName, RunId};
use crate::model::intent::{Drill, Intent};
use crate::model::ledger::Adopted;
use crate::model::time::{Dur, Timestamp};
use crate::planner::Continued;
use crate::policy::signed;
use crate::record::event::{Event, EventKind, Outcome, RunCreated, WorldKind};
use crate::run::RunState;
use crate::world::JUMP;

/// A run that this process owns.
#[derive(Debug)]
pub struct Owned {
    /// The run.
    pub run: RunId,
    /// The epoch of this process.
    pub epoch: u64,
    /// The number of its events.
    pub seq: u64,
    /// The state that follows from them.
    pub state: RunState,
}

/// Writes the first events of a run and claims its components. A run that it continues ends in the same transaction.
///
/// # Errors
/// If another unfinished run holds one of the components, somebody continued the run that it replaces, or the store cannot be
/// written.
pub fn create(
    session: &Session<'_>,
    created: RunCreated,
    owner: &str,
    turns: Vec<EventKind>,
    continues: Option<&Continued>,
) -> Result<Owned, DriveError> {
    let (closes, set_back) = match continues {
        Some(old) => {
            let (closing, set_back) = close(session, old, &created, owner)?;
            (Some(closing), set_back)
        }
        None => (None, go_on_from(session, Timestamp::from_millis(0))?),
    };
    let run = created.run.clone();
    let claims = claims(&created);
    let at = session.world.now();
    let first = [
        EventKind::RunCreated(Box::new(created)),
        EventKind::EpochTaken { epoch: 1, owner: owner.to_owned() },
    ];
    let events: Vec<_> =
        first.into_iter().chain(turns).chain(set_back).map(|what| Event { at, what }).collect();
    let bytes: Vec<_> = events.iter().map(encode).collect();
    let records = session.journal.create(&run, &claims, &bytes, closes.as_ref())?;
    let state = RunState::fold(&events).map_err(|(i, why)| DriveError::Illegal {
        run: run.to_string(),
        seq: i as u64 + 1,
        why,
    })?;
    for event in &events {
        session.view.event(event, &state);
    }
    Ok(Owned { run, epoch: 1, seq: records.len() as u64, state })
}

/// The last events of the run that another one continues. They undo nothing.
fn close(
    session: &Session<'_>,
    Continued { run: old, events: planned, .. }: &Continued,
    by: &RunCreated,
    owner: &str,
) -> Result<(Closing, Option<EventKind>), DriveError> {
    // Somebody continued it since it was read, so the plan may be out of date.
    let records = session.journal.read(old)?;
    if records.len() as u64 != *planned || !session.journal.waiting(&replay(old, &records)?)?.is_empty() {
        return Err(DriveError::Store(StoreError::Moved(old.clone())));
    }
    let opened = session.journal.open(old)?;
    let mut state = replay(old, &opened.records)?;
    let set_back = go_on_from(session, state.last_at)?;
    let at = session.world.now();
    let reason = format!("run {} continues it", by.run);
    let last = [
        EventKind::EpochTaken { epoch: opened.epoch, owner: owner.to_owned() },
        EventKind::CancelRequested {
            who: by.requester.clone(),
            reason,
            displaced_by: Some(format!("run {}", by.run)),
        },
        EventKind::RunFinished { outcome: Outcome::Abandoned },
    ];
    let expect = opened.records.len() as u64;
    let mut events = Vec::new();
    for what in last {
        let event = Event { at, what };
        let illegal = |why| DriveError::Illegal { run: old.to_string(), seq: expect + 1, why };
        state.apply(&event).map_err(illegal)?;
        events.push(encode(&event));
    }
    Ok((Closing { run: old.clone(), epoch: opened.epoch, expect, events }, set_back))
}

/// The clock of a run continues from its last event, and from the time in the ledger. If that is later than now, the clock of this machine
/// was set back, or that of another machine is ahead. Then the idle time is unknown, and the figures are bounds.
fn go_on_from(session: &Session<'_>, last: Timestamp) -> Result<Option<EventKind>, StoreError> {
    let known = session.journal.known_time()?.map_or(last, |known| known.max(last));
    let backward_ms = session.world.not_before(known);
    Ok((backward_ms >= JUMP).then_some(EventKind::ClockJumped { forward_ms: Dur::ZERO, backward_ms }))
}

/// Components that the run changes. No other run may hold them at the same time.
pub fn claims(created: &RunCreated) -> Vec<ComponentName> {
    let runbook: Result<crate::record::runbook::Runbook, _> = serde_json::from_str(&created.runbook);
    let mut names: Vec<_> = runbook
        .map(|r| {
            // A drill that changes nothing must not block a recovery.
            let idle = r.intent == Intent::Drill || r.drill == Some(Drill::Tabletop);
            let steps = r.steps.iter().filter(|_| !idle);
            steps
                .filter(|s| s.action.mutates() && !s.background)
                .filter_map(|s| s.component.clone())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names.dedup();
    // The plan's name is part of the claim, because two applications may both have a `db`. Every rehearsal has its own estate.
    let owner = match &created.world {
        WorldKind::Live => created.plan.as_str(),
        WorldKind::Sandbox { .. } => created.run.as_str(),
    };
    names.into_iter().map(|c: ComponentName| ComponentName::new(format!("{owner}/{c}"))).collect()
}

/// Takes over a run.
///
/// # Errors
/// If the run cannot be read completely, or not by this version.
pub async fn resume(
    session: &Session<'_>,
    run: &RunId,
    owner: &str,
    adoption: Option<&Adopted>,
) -> Result<Owned, DriveError> {
    let opened = session.journal.open(run)?;
    vouched_for(run, &opened.records)?;
    session.journal.vouched(run, &opened.records)?;
    let mut state = replay(run, &opened.records)?;
    let set_back = go_on_from(session, state.last_at)?;
    let at = session.world.now();
    let taken = EventKind::EpochTaken { epoch: opened.epoch, owner: owner.to_owned() };
    let used: Vec<_> = session.cloud.endpoints().await.into_iter().collect();
    let known =
        |endpoint: &Endpoint| state.created.terms.endpoints.union(&state.endpoints).any(|k| k == endpoint);
    let named =
        used.iter().any(|endpoint| !known(endpoint)).then_some(EventKind::EndpointsUsed { endpoints: used });
    let adoption = adoption.filter(|of| !state.finished() && adopted::is_new(of, &state));
    let adoption = adoption.map(|of| adopted::event(of, run));
    let events: Vec<_> = std::iter::once(taken)
        .chain(adoption)
        .chain(named)
        .chain(set_back)
        .map(|what| Event { at, what })
        .collect();
    let mut seq = opened.records.len() as u64;
    let bytes = events.iter().map(encode).collect();
    let append = session.journal.append(run, opened.epoch, seq, bytes, crate::journal::Release::Keep);
    session.world.outside(append).await?;
    for event in &events {
        seq += 1;
        state.apply(event).map_err(|why| DriveError::Illegal { run: run.to_string(), seq, why })?;
        session.view.event(event, &state);
    }
    adopted::take_over(session, &state).await;
    Ok(Owned { run: run.clone(), epoch: opened.epoch, seq, state })
}

/// Records signals of people in a run that no process drives, so that their time is kept even if nobody continues the run.
///
/// # Errors
/// If the run cannot be read completely, or a signal is not legal in its state.
pub async fn note(
    journal: &impl crate::journal::Journal,
    run: &RunId,
    owner: &str,
    at: Timestamp,
    words: Vec<EventKind>,
) -> Result<RunState, DriveError> {
    let opened = journal.open(run)?;
    vouched_for(run, &opened.records)?;
    journal.vouched(run, &opened.records)?;
    let mut state = replay(run, &opened.records)?;
    let taken = EventKind::EpochTaken { epoch: opened.epoch, owner: owner.to_owned() };
    let halted = state.halted.clone();
    let mut events: Vec<_> = std::iter::once(taken).chain(words).map(|what| Event { at, what }).collect();
    let before = opened.records.len() as u64;
    for (event, seq) in events.iter().zip(before + 1..) {
        state.apply(event).map_err(|why| DriveError::Illegal { run: run.to_string(), seq, why })?;
    }
    // That alone does not continue the run. But an answer may change what it waits for.
    if let Some(before) = halted {
        let event = Event { at, what: EventKind::Halted { reason: state.answered().unwrap_or(before) } };
        let seq = opened.records.len() as u64 + events.len() as u64 + 1;
        state.apply(&event).map_err(|why| DriveError::Illegal { run: run.to_string(), seq, why })?;
        events.push(event);
    }
    let bytes = events.iter().map(encode).collect();
    journal.append(run, opened.epoch, before, bytes, crate::journal::Release::Keep).await?;
    Ok(state)
}

/// Checks the signatures of all signed statements in a run. drctl does not continue a run if one is not valid.
///
/// # Errors
/// The first event with a signature that is not valid.
pub fn vouched_for(run: &RunId, records: &[Record]) -> Result<(), DriveError> {
    match signed::first_unsound(&decode(run, records)?) {
        None => Ok(()),
        Some((seq, why)) => Err(DriveError::Store(StoreError::Corrupt { run: run.to_string(), seq, why })),
    }
}

/// Reads a run's events.
///
/// # Errors
/// Names the event that cannot be read, and the version that created the run.
pub fn decode(run: &RunId, records: &[Record]) -> Result<Vec<Event>, DriveError> {
    let mut tool = "an unknown version".to_owned();
    let mut events = Vec::with_capacity(records.len());
    for record in records {
        let event = Event::read(&record.bytes).map_err(|why| DriveError::Unknown {
            run: run.to_string(),
            seq: record.seq,
            tool: tool.clone(),
            why,
        })?;
        if let EventKind::RunCreated(created) = &event.what {
            tool = format!("drctl {}", created.tool);
        }
        events.push(event);
    }
    Ok(events)
}

/// The state that follows from a run's events.
///
/// # Errors
/// Names the event that cannot be read or is not legal.
pub fn replay(run: &RunId, records: &[Record]) -> Result<RunState, DriveError> {
    let events = decode(run, records)?;
    RunState::fold(&events).map_err(|(i, why)| DriveError::Foreign {
        run: run.to_string(),
        seq: i as u64 + 1,
        why,
    })
}

/// Serializes an event.
pub fn encode(event: &Event) -> Vec<u8> {
    // An event is plain data with string keys, which JSON can always represent.
    serde_json::to_vec(event).unwrap_or_default()
}
