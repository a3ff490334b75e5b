//! Continues, cancels and undoes runs that no process drives.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::ending::Ending;
use super::error::AppError;
use super::interrupt::Interrupts;
use super::post::post;
use super::run_outcome::RunTiming;
use super::run_presenter::{Display, RunPresenter};
use super::{
    drill_verdict, ending, evidence, exit, guards, keys, live_drill, rescue, run_outcome, run_stage,
    run_states, uploads,
};
use crate::adapters::sandbox::Sandbox;
use crate::executor::{Patience, create, drive};
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::RunId;
use crate::model::intent::Drill;
use crate::model::terms::Terms;
use crate::model::waiver::one_line;
use crate::probe::Recorder;
use crate::record::event::{Signal, WorldKind};
use crate::report::afterwards;
use crate::run::RunState;
use crate::world::World;

/// The cancel of a run. If it lost a guard, nothing is undone.
///
/// # Errors
/// If its guards cannot be observed.
pub fn cancellation(
    context: &Context,
    presenter: &dyn RunPresenter,
    store: &SqliteJournal,
    run: &RunId,
    reason: &str,
) -> Result<Signal, AppError> {
    let lost = guards::lost((context, presenter), store, &run_states::one(store, run)?)?;
    if let Some((target, holder)) = &lost {
        let words = guards::words(target, holder.as_deref());
        presenter.note(&format!("{words}: drctl closes the run and undoes nothing"));
    }
    let displaced_by = lost.map(|(_, holder)| holder.unwrap_or_else(|| "nobody".to_owned()));
    Ok(Signal::Cancel { reason: one_line(reason), displaced_by })
}

/// Cancels a run that no process drives, as part of another command, which reports it.
///
/// # Errors
/// If the run cannot be taken over.
pub fn call_off(
    context: &Context,
    presenter: &dyn RunPresenter,
    store: &SqliteJournal,
    run: &RunId,
    reason: &str,
) -> Result<Ending, AppError> {
    may_drive(context, store, run)?;
    // Holds the lock, so that nobody takes the run over between the signal and its execution.
    let lock = RunLock::take(&Context::lock_folder(store), run)?;
    let signal = cancellation(context, presenter, store, run, reason)?;
    post((context, presenter), store, run, signal, keys::GOOD_FOR)?;
    go_on(context, presenter, store, run, &lock)
}

/// Checks that a run has the operators in drctl.yaml. A run brings its own operators, and a file or a store can contain any. Those in
/// drctl.yaml decide whether they count.
///
/// # Errors
/// If it has others.
pub fn same_operators(context: &Context, state: &RunState) -> Result<(), AppError> {
    let (now, then) = (context.authority(), &state.created.authority);
    if state.finished() || now == *then || (now.is_empty() && state.created.world != WorldKind::Live) {
        return Ok(());
    }
    Err(AppError {
        code: "operators",
        message: format!("run {} started with different operators or roles than drctl.yaml has", state.created.run),
        hint: Some(
            "restore the operators and roles from the start of the run, or start a new recovery. A new recovery continues this run and requires new approvals"
                .to_owned(),
        ),
        exit: exit::REFUSED,
    })
}

/// Checks that a run belongs to this store, and that its operators are those in drctl.yaml.
///
/// # Errors
/// If not.
pub fn may_drive(context: &Context, store: &SqliteJournal, run: &RunId) -> Result<(), AppError> {
    store.may_act(run)?;
    let state = run_states::one(store, run)?;
    same_operators(context, &state)?;
    same_policy(context, store, &state)?;
    first_half(store, &state)
}

/// Checks that a run from a file has the approvals and objectives in drctl.yaml. Whoever wrote the file could write others.
fn same_policy(context: &Context, store: &SqliteJournal, state: &RunState) -> Result<(), AppError> {
    let created = &state.created;
    if state.finished() || !store.imported()?.adopted.contains_key(&created.run) {
        return Ok(());
    }
    let decides = |(name, _): &(String, String)| {
        ["policy.severities.", "policy.changes.", "policy.includes.", "policy.severity_of.", "tiers."]
            .iter()
            .any(|part| name.starts_with(part))
    };
    let lines = |terms: Terms| terms.lines().into_iter().filter(decides).collect::<BTreeMap<_, _>>();
    let now = lines(context.settings.terms(&context.authority(), BTreeSet::new()));
    let then = lines(created.terms.clone());
    let Some(name) = now.keys().chain(then.keys()).find(|name| now.get(*name) != then.get(*name)) else {
        return Ok(());
    };
    let shown = |of: &BTreeMap<String, String>| of.get(name).map_or("nothing", String::as_str).to_owned();
    Err(AppError {
        code: "policy",
        message: format!(
            "run {} came from a file and has another policy than drctl.yaml: {name} is {} there and {} here",
            created.run,
            shown(&then),
            shown(&now)
        ),
        hint: Some(
            "restore the policy and the tiers from the start of the run, or start a new recovery. A new recovery continues this run and requires new approvals"
                .to_owned(),
        ),
        exit: exit::REFUSED,
    })
}

/// Checks that a return of a live drill has its first half here: its approval covers the return.
fn first_half(store: &SqliteJournal, state: &RunState) -> Result<(), AppError> {
    let Some(first) = state.created.returns.as_ref().filter(|_| !state.finished()) else { return Ok(()) };
    let half = run_states::one(store, first)?;
    store.may_act(first)?;
    if half.created.plan == state.created.plan && half.runbook.drill == Some(Drill::Live) {
        return Ok(());
    }
    Err(AppError {
        code: "policy",
        message: format!(
            "run {} returns from {first}, which is no live drill of its plan",
            state.created.run
        ),
        hint: Some("start a new recovery, which requires its own approvals".to_owned()),
        exit: exit::REFUSED,
    })
}

/// Continues a finished run to set its pending fence.
///
/// # Errors
/// If another process drives it, or somebody else now holds its guard.
pub fn pay(
    context: &Context,
    presenter: &dyn RunPresenter,
    store: &SqliteJournal,
    run: &RunId,
) -> Result<u8, AppError> {
    guards::still_ours((context, presenter), store, &run_states::one(store, run)?)?;
    resume_run(context, presenter, store, run)
}

/// Continues a run until it stops. Returns the exit code.
///
/// # Errors
/// If another process drives it, or its journal cannot be written.
pub fn resume_run(
    context: &Context,
    presenter: &dyn RunPresenter,
    store: &SqliteJournal,
    run: &RunId,
) -> Result<u8, AppError> {
    let lock = RunLock::take(&Context::lock_folder(store), run)?;
    let mut ending = go_on(context, presenter, store, run, &lock)?;
    let states = run_states::all(store)?;
    let first = ending.run.as_ref().and_then(|back| back.created.returns.as_ref());
    if let Some(first) = first.and_then(|first| states.iter().find(|state| state.created.run == *first)) {
        drill_verdict::judge_return(presenter, first, &mut ending);
    }
    let owed = ending.run.as_ref().and_then(|state| live_drill::owed_by(state, &states));
    if let Some(words) = owed {
        ending.worsen(exit::RECOVERED_BUT);
        presenter.note(&words);
    }
    let endings = [ending];
    presenter.results(&endings);
    drop(lock);
    let interrupts = Interrupts::listen().map_err(|e| AppError::usage(format!("no signals: {e}")))?;
    uploads::rest(context, presenter, store, &interrupts);
    Ok(ending::worst(&endings))
}

/// Drives a run until it stops.
fn go_on(
    context: &Context,
    presenter: &dyn RunPresenter,
    store: &SqliteJournal,
    run: &RunId,
    _owned: &RunLock,
) -> Result<Ending, AppError> {
    may_drive(context, store, run)?;
    let state = run_states::one(store, run)?;
    let interrupts = Interrupts::listen().map_err(|e| AppError::usage(format!("no signals: {e}")))?;
    let clock = World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?;
    let began = clock.now();
    let stage = run_stage::stage_of(presenter, store, &state, context)?;
    if let Some(sandbox) = &stage.sandbox {
        sandbox.keep(Box::new(store.notes(run)));
    }
    let history = run_states::history(store, &state.created.plan)?;
    let view = presenter.progress(Display::Alone(stage.pace(context.pace())), history);
    let count = move || interrupts.count();
    let patience = if presenter.is_interactive() { Patience::Wait } else { Patience::Stop };
    let session = stage.session(store, &*view, &count, patience);
    let recorder = Recorder::resumed(state.runbook.probe_consecutive, &state.turns);
    // The clock of a rehearsal goes on between two processes; that time belongs to the next one, except after the end of the run.
    let virtual_began = if state.finished() { stage.world.now() } else { state.last_at };
    let adopted = store.imported()?.adopted.remove(run);
    let ended = stage.world.block_on(async {
        let owned = create::resume(&session, run, &run_stage::owner(&stage), adopted.as_ref()).await?;
        let work = drive::drive(&session, owned, recorder);
        evidence::kept((context, presenter, &session), store, run, work).await
    });
    view.finish();
    let mut ended = ended.map_err(|e| rescue::told(context, store, run, e))?;
    ended.state.ask_as_of(ended.state.last_at);
    if state.finished() {
        afterwards::results(&state, &ended.state).iter().for_each(|words| presenter.note(words));
    }
    let truth = stage.sandbox.as_ref().map(Sandbox::truth);
    let timing = RunTiming {
        real: clock.now().since(began),
        passed: truth.is_some().then(|| stage.world.now().since(virtual_began)),
        truth,
        phase: run_outcome::phase(&ended.state),
        driven: true,
    };
    let ending = Ending::of_run(ended, timing);
    presenter.ended(&ending);
    Ok(ending)
}
