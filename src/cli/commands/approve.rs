//! `drctl approve` and `drctl reject`

use std::collections::BTreeSet;

use super::sent;
use crate::app::clock::now;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::{exit, inbox, keys, run_names, run_states};
use crate::cli::args::{Global, Yes};
use crate::cli::printer::Printer;
use crate::executor::create;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, Record};
use crate::model::ids::{RunId, StepId};
use crate::model::plain::count;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::{Person, Waiver, harmless, one_line};
use crate::planner::approvals::APPROVAL;
use crate::record::action::{Action, Gate};
use crate::record::event::{Event, EventKind, Signal, WorldKind};
use crate::report::summary;
use crate::run::signal::vouches;
use crate::run::state::Status;
use crate::run::{RunState, approval, exposure};

/// How many characters of a digest are enough to identify it.
const SEEN: usize = 12;
/// Maximum validity of a signed approval. Conditions change while it waits.
const LONGEST: Dur = Dur::mins(24 * 60);

/// Approves a gate. The approval is bound to the digest of the runbook that the run executes.
pub fn approve(global: &Global, printer: &Printer, yes: &Yes<'_>) -> Result<u8, AppError> {
    let good_for = yes.good_for.map(Dur::parse).transpose().map_err(AppError::usage)?;
    let good_for = good_for.unwrap_or(keys::GOOD_FOR);
    if good_for > LONGEST {
        return Err(AppError::usage_fix(
            format!("an approval is valid for at most {LONGEST}"),
            "approve when the run needs it",
        ));
    }
    let context = Context::load(&global.options(), printer)?;
    let store = context.store()?;
    let run = run_names::exactly(&store, yes.run)?;
    let records = store.read(&run)?;
    // Answers that wait for a process count too.
    let state = inbox::read(&store, create::replay(&run, &records)?)?;
    store.may_act(&run)?;
    let step = meant(&state, yes.step)?;
    let digest = &state.created.runbook_digest;
    if let Some(seen) = yes.runbook.filter(|seen| seen.len() < SEEN || !digest.as_str().starts_with(*seen)) {
        return Err(AppError {
            code: "refused",
            message: format!("run {run} executes runbook {}, but you reviewed {seen}", digest.short()),
            hint: Some(format!(
                "run drctl runs show {run}, and give at least {SEEN} characters of the digest"
            )),
            exit: exit::REFUSED,
        });
    }
    let signal = Signal::Approve { step: step.clone(), runbook: digest.clone() };
    open((&context, &store), (&state, &records), &step, &signal)?;
    let what = asked(&state, &step, present(&context, &store, &state)?);
    what.iter().for_each(|line| printer.note(&harmless(line)));
    missing(&state, &step, &[]).iter().for_each(|line| printer.note(line));
    if !what.is_empty() && !yes.sure {
        if !printer.is_interactive() {
            return Err(AppError::usage_fix(
                "nobody is at the terminal to confirm; nothing was signed",
                "read what you approve, then add --yes",
            ));
        }
        if !printer.agrees("Do you approve this?") {
            return Err(AppError::usage("not confirmed; nothing was signed"));
        }
    }
    let code = sent::send_for(&context, printer, &store, &run, signal, good_for)?;
    let said = [context.person()];
    let owed = owed(&state, &step, &said[0]);
    match missing(&state, &step, &said).as_slice() {
        [] if !owed.is_empty() => {
            printer.note(&format!("the approvals that are owed afterwards: {}", owed.join(", ")));
        }
        [] if !what.is_empty() => printer.note("no more approvals are required"),
        some => some.iter().for_each(|line| printer.note(line)),
    }
    Ok(code)
}

/// The step that is answered. Without a name it is the gate of the policy, or the only gate that waits in a run without that one.
///
/// # Errors
/// If the run has no such step. The fix names the steps that wait.
fn meant(state: &RunState, step: &str) -> Result<StepId, AppError> {
    let named = StepId::new(step);
    if step != APPROVAL || state.position(&named).is_some() {
        return Ok(named);
    }
    let waits = |i: &usize| {
        let gate = matches!(state.step(*i).action, Action::Gate(Gate::Approval { .. }));
        gate && matches!(state.work(*i).status, Status::Started | Status::Blocked { .. })
    };
    let waiting: Vec<StepId> =
        (0..state.steps.len()).filter(waits).map(|i| state.step(i).id.clone()).collect();
    let run = &state.created.run;
    match waiting.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(AppError::usage_fix(
            format!("no step of run {run} waits for an approval"),
            format!("{} shows the run", state.created.command("runs show", "")),
        )),
        several => {
            let ways = several.iter().map(|step| state.created.command("approve", &format!(" {step}")));
            Err(AppError::usage_fix(
                format!("{} of run {run} wait for an approval", count(several.len(), "step")),
                format!("name the step: {}", ways.collect::<Vec<_>>().join(", or ")),
            ))
        }
    }
}

/// Refuses to sign an answer that is no longer needed from this person.
fn open(
    (context, store): (&Context, &SqliteJournal),
    (state, records): (&RunState, &[Record]),
    step: &StepId,
    signal: &Signal,
) -> Result<(), AppError> {
    let mut words = answered(state, records, step, &context.person());
    if words.is_none() && vouches(state, signal) {
        // Only the key tells who this is.
        context.take_key(&state.created.authority)?;
        words = answered(state, records, step, &context.person());
    }
    let now = present(context, store, state)?;
    let words = words.or_else(|| approval::refuses(state, step, &context.person(), now));
    let Some(words) = words else { return Ok(()) };
    Err(AppError {
        code: "refused",
        message: format!("{words}; nothing was signed"),
        hint: Some(approval::instead(state, step)),
        exit: exit::REFUSED,
    })
}

/// Who answered a request that needs no more answers, or none from this person, and when.
fn answered(state: &RunState, records: &[Record], step: &StepId, me: &Person) -> Option<String> {
    let i = state.position(step)?;
    let said: Vec<(Person, Timestamp)> = records
        .iter()
        .filter_map(|record| {
            let event: Event = serde_json::from_slice(&record.bytes).ok()?;
            match event.what {
                EventKind::Approved { step: of, who } | EventKind::Ratified { step: of, who, .. }
                    if of == *step =>
                {
                    Some((who, event.at))
                }
                _ => None,
            }
        })
        .collect();
    let all = said.iter().map(|(who, at)| format!("{who} approved it at {at}")).collect::<Vec<_>>();
    let owed = approval::unratified(state, i, None);
    let work = &state.steps[i].work;
    // The run repeats a request whose approval expired.
    if matches!(work.status, Status::Done(_)) && owed.is_empty() {
        let at = work.ended_at.map_or_else(String::new, |at| format!(" at {at}"));
        return Some(match all.is_empty() {
            true => format!("{step} passed{at} and needs no approval"),
            false => format!("all required approvals are already there: {}", all.join(" and ")),
        });
    }
    // An approval that the run has dropped no longer counts.
    let over = state.steps[i].overridden.iter().flat_map(|over| &over.ratified_by);
    let counts = state.steps[i].approved_by.iter().chain(over).any(|who| who.who == me.who);
    let (_, at) = said.iter().rev().find(|(who, _)| counts && who.who == me.who)?;
    let lacking = approval::lacking(state, i, &state.steps[i].approved_by, state.last_at);
    let still: BTreeSet<&str> = lacking.iter().chain(&owed).map(String::as_str).collect();
    let still = match still.into_iter().collect::<Vec<_>>().as_slice() {
        [] => "no more approvals are required".to_owned(),
        some => format!("still required: {}", some.join(" and ")),
    };
    Some(format!("{} already approved {step} at {at}; {still}", me.who))
}

/// Whose approvals are still due after an override, once this person has approved.
fn owed(state: &RunState, step: &StepId, said: &Person) -> Vec<String> {
    state.position(step).map_or_else(Vec::new, |i| approval::unratified(state, i, Some(said)))
}

/// The approvals that are still missing besides these: how many, and who may give each.
fn missing(state: &RunState, step: &StepId, more: &[Person]) -> Vec<String> {
    let Some(i) = state.position(step) else { return Vec::new() };
    let Action::Gate(Gate::Approval { by, override_by, .. }) = &state.step(i).action else {
        return Vec::new();
    };
    let said: Vec<Person> = state.steps[i].approved_by.iter().chain(more).cloned().collect();
    let seats = approval::who_may(state, step, &said);
    if seats.is_empty() {
        return Vec::new();
    }
    // An override may need other people than the request.
    let also = state.steps[i].overridden.as_ref().and(override_by.as_ref()).map_or(0, |rule| rule.also.len());
    let all = if also > 0 { also } else { by.len() };
    let head = format!("  missing   {} of {}", seats.len(), all.max(seats.len()));
    let lines = seats.iter().map(|(seat, who)| format!("            {seat}: {who}"));
    std::iter::once(head).chain(lines).collect()
}

/// The time for which a person answers: never earlier than the ledger knows, because the answer is not either. A rehearsal has its own.
fn present(context: &Context, store: &SqliteJournal, state: &RunState) -> Result<Timestamp, AppError> {
    if context.is_rehearsal() {
        return Ok(state.last_at);
    }
    Ok(now()?.max(state.last_at).max(store.known_time()?.unwrap_or(state.last_at)))
}

/// What the approval is for, as it stands at `now`, so that nobody signs something they have not seen.
fn asked(state: &RunState, step: &StepId, now: Timestamp) -> Vec<String> {
    let of = state.position(step).map(|i| &state.step(i).action);
    let Some(Action::Gate(Gate::Approval { ask, by, .. })) = of else { return Vec::new() };
    let created = &state.created;
    let decided = state.severity();
    let usual = match decided.severity == decided.usual {
        true => String::new(),
        false => format!(" (usually {})", decided.usual),
    };
    let severity = created.severity.as_ref().map_or_else(String::new, |of| format!(" at {of}{usual}"));
    let why = created.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    let report = summary::report(state, state.last_at);
    let mut lines = vec![
        format!("approve   {ask}"),
        format!(
            "  run       {}: {} {} of {}{severity}, requested by {}{why}",
            created.run,
            state.runbook.intent,
            state.runbook.way(),
            created.plan,
            created.requester
        ),
        format!(
            "  runbook   {} ({}; drctl runs show {})",
            created.runbook_digest,
            count(state.steps.len(), "step"),
            created.run
        ),
    ];
    if !by.is_empty() {
        lines.push(format!("  requires  {}", by.join(" and ")));
    }
    lines.extend(state.position(step).and_then(|i| open_for(state, i, now)));
    lines.extend(state.position(step).map_or_else(Vec::new, |i| override_of(state, i)));
    let bound = |waiver: &Waiver| {
        let of = waiver.component.as_ref().map_or_else(String::new, |component| format!(" of {component}"));
        let loss = waiver
            .accept_loss_ms
            .map_or_else(String::new, |loss| format!(", accepted loss up to {loss} of writes"));
        format!("  accepted  {}{of}{loss}: {} ({})", waiver.rule, waiver.reason, waiver.who)
    };
    lines.extend(report.waivers.iter().map(bound));
    lines.extend(approval::rejections(state, step).map(|no| {
        format!("  rejected  {}; the request was made again, and earlier approvals do not count", no.words())
    }));
    let over = state.position(step).and_then(|i| state.steps[i].overridden.as_ref());
    lines.extend(over.iter().flat_map(|over| &over.refused).map(|(who, reason, at)| {
        format!(
            "  rejected  {who} rejected it at {at}: {reason}; the run had continued, so this undid nothing"
        )
    }));
    let at = if state.finished() { state.last_at } else { now };
    for component in &state.runbook.stores {
        let Some(words) = exposure::may_lose(state, component, at) else { continue };
        lines.push(format!("  may lose  {component}: {words}"));
    }
    lines
}

/// Until when the request is open. Only the process that drives a rehearsal knows its time.
fn open_for(state: &RunState, i: usize, now: Timestamp) -> Option<String> {
    let until = approval::open_until(state, i)?;
    let left = until.since(now);
    Some(match (left == Dur::ZERO, state.created.world == WorldKind::Live) {
        (true, _) => format!("  open      until {until}, which has passed"),
        (false, true) => format!("  open      until {until}: {left} left"),
        (false, false) => format!("  open      until {until}: {left} from the last event of the rehearsal"),
    })
}

/// The override of a request, and what an approval means after it.
fn override_of(state: &RunState, i: usize) -> Vec<String> {
    let Some(over) = &state.steps[i].overridden else { return Vec::new() };
    let line = format!("  override  by {} at {}: {}", over.who, over.at, over.reason);
    let work = state.work(i);
    let then = match (&state.step(i).action, work.ended_at) {
        (_, Some(at)) if matches!(work.status, Status::Done(_)) => {
            Some(format!("            the run continued on it at {at}; you approve that afterwards"))
        }
        (Action::Gate(Gate::Approval { override_by: Some(rule), .. }), _) if !rule.also.is_empty() => Some(
            format!("            before the run continues, it also requires {}", rule.also.join(" and ")),
        ),
        _ => None,
    };
    std::iter::once(line).chain(then).collect()
}

/// Lets a run continue before all required approvals.
pub fn overrule(
    global: &Global,
    printer: &Printer,
    run: &str,
    step: &str,
    reason: &str,
) -> Result<u8, AppError> {
    let signal = |step| Signal::Override { step, reason: one_line(reason) };
    let (store, run, step) = say(global, printer, run, step, signal)?;
    let state = inbox::read(&store, run_states::one(&store, &run)?)?;
    missing(&state, &step, &[]).iter().for_each(|line| printer.note(line));
    Ok(exit::DONE)
}

/// Rejects a request.
pub fn reject(
    global: &Global,
    printer: &Printer,
    run: &str,
    step: &str,
    reason: &str,
) -> Result<u8, AppError> {
    say(global, printer, run, step, |step| Signal::Reject { step, reason: one_line(reason) })?;
    Ok(exit::DONE)
}

fn say(
    global: &Global,
    printer: &Printer,
    run: &str,
    step: &str,
    signal: impl FnOnce(StepId) -> Signal,
) -> Result<(SqliteJournal, RunId, StepId), AppError> {
    let context = Context::load(&global.options(), printer)?;
    let store = context.store()?;
    let run = run_names::exactly(&store, run)?;
    let step = meant(&run_states::one(&store, &run)?, step)?;
    sent::send(&context, printer, &store, &run, signal(step.clone()))?;
    Ok((store, run, step))
}
