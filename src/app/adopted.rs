//! Reads a run from a file, and takes it over.

use std::path::Path;

use super::clock::now;
use super::context::Context;
use super::error::AppError;
use super::keys::Signer;
use super::presenter::Presenter;
use super::{evidence, imports, ledger};
use crate::executor::create;
use crate::files::{self, Use};
use crate::journal::chain::Record;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, StoreError, written};
use crate::model::evidence::Head;
use crate::model::ids::{PlanName, RunId};
use crate::model::ledger::{ADOPTION, Adoption, Entry};
use crate::model::waiver::{Person, one_line};
use crate::record::event::{Event, EventKind, WorldKind};

/// Imports a run from a file. The run is neither continued, signed nor counted. Returns its name and the number of its events.
///
/// # Errors
/// If the file is not an intact run of this world.
pub fn import(
    (context, presenter): (&Context, &dyn Presenter),
    store: &SqliteJournal,
    path: &Path,
) -> Result<(RunId, usize), AppError> {
    let text = files::text(path, Use::Export)?;
    let mut records = Vec::new();
    for (i, text) in text.lines().enumerate() {
        let record = written::parse_line(text).ok_or_else(|| {
            AppError::usage_fix(
                format!("{}:{}: this is not an exported event", path.display(), i + 1),
                "name a file from drctl runs export",
            )
        })?;
        records.push(record);
    }
    let events = records.len();
    let run = imports::import_records(presenter, store, &of_this_world(context, records)?)?;
    Ok((run, events))
}

/// Refuses to mix rehearsals with live runs.
fn of_this_world(context: &Context, records: Vec<Record>) -> Result<Vec<Record>, AppError> {
    let first = records.first().and_then(|first| serde_json::from_slice(&first.bytes).ok());
    // Replaying all records later reports what cannot be read.
    let Some(Event { what: EventKind::RunCreated(created), .. }) = first else { return Ok(records) };
    let run = &created.run;
    match (created.world == WorldKind::Live, context.is_rehearsal()) {
        (true, false) | (false, true) => Ok(records),
        (true, true) => Err(AppError::usage_fix(format!("run {run} is not a rehearsal"), "remove --sandbox")),
        (false, false) => Err(AppError::usage_fix(
            format!("run {run} is a rehearsal"),
            "run drctl runs import FILE --sandbox",
        )),
    }
}

/// An imported run that was taken over.
pub struct Taken {
    /// Who took it over.
    pub who: Person,
    /// Whether its operators differ from those in drctl.yaml.
    pub other_operators: bool,
}

/// Takes over an imported run: from here on it counts, and drctl may continue it.
///
/// # Errors
/// If it belongs to this store already, or the adoption cannot be signed.
pub fn adopt(
    context: &Context,
    presenter: &dyn Presenter,
    store: &SqliteJournal,
    run: &RunId,
    reason: &str,
) -> Result<Taken, AppError> {
    let records = store.read(run)?;
    let state = create::replay(run, &records)?;
    create::vouched_for(run, &records)?;
    if store.may_act(run).is_ok() {
        return Err(AppError::usage_fix(
            format!("run {run} belongs to this store already"),
            format!("drctl runs show {run}"),
        ));
    }
    let reason = one_line(reason);
    if reason.trim().is_empty() {
        return Err(AppError::usage_fix("an adoption needs a reason", "--reason TEXT"));
    }
    let operators = &context.settings.authority;
    let signer = match operators.is_empty() {
        true => None,
        false => Some(Signer::load(&context.settings, operators, context.options().ask)?),
    };
    let at = ledger::dated(presenter, store, now()?)?;
    // The ledger records the operators before it records a statement of one of them.
    ledger::configuration(context, store, at)?;
    let end = |record: &Record| Head { entries: record.seq, hash: record.hash.clone() };
    let (Some(head), Some(ledger)) = (records.last().map(end), store.ledger_head()?.as_ref().map(end)) else {
        return Err(StoreError::NoRun(run.to_string()).into());
    };
    let said =
        Adoption { drctl: Adoption::VERSION, run: run.clone(), head, ledger, reason, by: String::new(), at };
    let who = signed(context, signer.as_ref(), said)?;
    let claims = if state.finished() { Vec::new() } else { create::claims(&state.created) };
    store.adopt(run, &claims, &Entry::Adopted { at, run: run.clone(), who: who.clone() })?;
    store.may_act(run)?;
    evidence::let_go((context, presenter), store, at, run);
    let others = state.created.authority != context.authority() && !state.finished();
    Ok(Taken { who, other_operators: others })
}

/// drctl neither continues nor waits for imported runs. It names those of a plan when somebody starts another run of it.
///
/// # Errors
/// If the store cannot be read.
pub fn mention(presenter: &dyn Presenter, store: &SqliteJournal, plan: &PlanName) -> Result<(), AppError> {
    for run in store.imported()?.waiting.keys().filter(|run| run.as_str().contains(plan.as_str())) {
        presenter.note(&format!(
            "run {run} came from a file and does not count. To continue from it, adopt it first (drctl runs adopt {run} --reason TEXT)"
        ));
    }
    Ok(())
}

/// The statement of an operator; a name alone if no operators are configured.
fn signed(context: &Context, signer: Option<&Signer>, said: Adoption) -> Result<Person, AppError> {
    let text = |said: &Adoption| serde_json::to_string(said).map_err(|e| AppError::usage(e.to_string()));
    match signer {
        Some(signer) => signer.sign_as(ADOPTION, text(&Adoption { by: signer.name.clone(), ..said })?),
        None => {
            let person = context.person();
            let statement = Some(text(&Adoption { by: person.who.clone(), ..said })?);
            Ok(Person { statement, ..person })
        }
    }
}
