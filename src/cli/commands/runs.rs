//! `drctl runs`

use super::ending::Ending;
use super::outcome::RunTiming;
use super::{adopted, approve, duties, ending, outcome, runs_export, runs_list};
use crate::adapters::sandbox::{Feed, Sandbox, Scenario};
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::interrupt::Interrupts;
use crate::app::post::{HandedOver, Posted, hand_over, post};
use crate::app::stage::Stage;
use crate::app::{
    evidence, exit, in_doubt, inbox, keys, live_drill, notifier, pending_fences, rescue, run_names,
    run_outcome, run_states, uploads, waived,
};
use crate::cli::args::{Global, RunsArgs, RunsCommand, WaiveArgs};
use crate::cli::printer::{Format, Printer};
use crate::cli::progress::Progress;
use crate::cli::{progress, render};
use crate::executor::{Patience, View as _, create, drive};
use crate::journal::Journal as _;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::Operation;
use crate::model::ids::RunId;
use crate::model::plain::count;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::one_line;
use crate::probe::Recorder;
use crate::record::action::Action;
use crate::record::event::{Signal, WorldKind};
use crate::report::summary;
use crate::run::ways::CalledOff;
use crate::run::{RunState, approval};
use crate::world::World;

/// Lists, shows and controls runs.
pub fn run(global: &Global, printer: &Printer, args: &RunsArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let store = context.store()?;
    let id = |run: &String| run_names::exactly(&store, run);
    let looked_at = |run: &String| run_names::read(&store, run);
    match &args.command {
        RunsCommand::List => runs_list::list(printer, &store),
        RunsCommand::Show { run } => show(printer, &store, &looked_at(run)?),
        RunsCommand::Watch { run } => watch(printer, &store, &looked_at(run)?),
        RunsCommand::Resume { run, waive } => {
            let run = run_names::unfinished(&store, run.as_deref())?;
            resume(&context, printer, &store, &run, waive)
        }
        RunsCommand::Pause { run } => send(&context, printer, &store, &id(run)?, Signal::Pause),
        RunsCommand::Cancel { run, reason, yes } => {
            cancel(&context, printer, &store, &id(run)?, (reason, *yes))
        }
        RunsCommand::Skip { run, step, reason } => {
            let run = id(run)?;
            let step = run_names::step(&run_states::one(&store, &run)?, step)?;
            send(&context, printer, &store, &run, Signal::Skip { step, reason: one_line(reason) })
        }
        RunsCommand::Done { run, step } => {
            let run = id(run)?;
            let step = run_names::step(&run_states::one(&store, &run)?, step)?;
            send(&context, printer, &store, &run, Signal::Done { step })
        }
        RunsCommand::Approve(args) => approve::approve(global, printer, &args.yes()),
        RunsCommand::Reject(args) => approve::reject(global, printer, &args.run, &args.step, &args.reason),
        RunsCommand::Override(args) => {
            approve::overrule(global, printer, &args.run, &args.step, &args.reason)
        }
        RunsCommand::Ack(args) => duties::ack(global, printer, args),
        RunsCommand::Replay { run } => replay(printer, &store, &looked_at(run)?),
        RunsCommand::Export { run, to } => {
            runs_export::export(printer, &store, &looked_at(run)?, to.as_deref())
        }
        RunsCommand::Import { file } => adopted::import(&context, printer, &store, file),
        RunsCommand::Adopt { run, reason } => adopted::adopt(&context, printer, &store, &id(run)?, reason),
    }
}

fn show(printer: &Printer, store: &SqliteJournal, run: &RunId) -> Result<u8, AppError> {
    let records = store.read(run)?;
    store.check_head(run, &records)?;
    let driven = RunLock::is_held(&Context::lock_folder(store), run);
    let state = inbox::read(store, create::replay(run, &records)?)?;
    let state = inbox::at_present(state, driven, crate::app::clock::now()?);
    let report = summary::report(&state, state.last_at);
    if let Err(e) = store.may_act(run) {
        printer.note(&e.to_string());
    }
    if printer.format != Format::Human {
        printer.document(&serde_json::to_value(&report).unwrap_or_default());
        return Ok(exit::DONE);
    }
    for (i, step) in report.steps.iter().enumerate() {
        let waits: Vec<_> = state.waits_for(i).iter().map(ToString::to_string).collect();
        let why = step.reason.clone().or_else(|| {
            (!waits.is_empty() && step.state == "pending" && !state.finished())
                .then(|| format!("waits for {}", waits.join(", ")))
        });
        let undo = step.undo.as_ref().map(|undo| undo.text.clone());
        // A run that nobody drives tries nothing.
        let next = step.next_try.filter(|_| driven).map(|at| format!("next try {}", at.clock()));
        let more: Vec<String> = why.into_iter().chain(undo).chain(next).collect();
        let calls =
            if step.attempts > 1 { format!(", {}", count(step.attempts, "call")) } else { String::new() };
        printer.line(&format!(
            "{:<10} {:<28} {}{calls}{}",
            state_of(&state, i, &step.state),
            step.id,
            step.action,
            if more.is_empty() { String::new() } else { format!(" ({})", more.join("; ")) }
        ));
    }
    outcome::screen(printer, &state, &RunTiming::shown(driven));
    for waits in state.waits_for_people() {
        printer.line(&format!("  next     {}", waits.words()));
    }
    for next in state.next_tries().iter().filter(|_| driven) {
        printer.line(&format!("  next     {}", next.words()));
    }
    Ok(exit::DONE)
}

/// The state of a step. After the end of a run, only a pending fence is still to come. A request that nobody answered in time did not fail.
fn state_of<'w>(state: &RunState, i: usize, word: &'w str) -> &'w str {
    let fence = matches!(state.step(i).action, Action::Op(Operation::Fence(_)));
    match word {
        "pending" if state.finished() && !fence => "not begun",
        "started" if state.finished() && !fence => "broken off",
        "failed" if approval::standing(state, i).is_some() => "rejected",
        "failed" if state.asks_people(i) => "expired",
        word => word,
    }
}

fn replay(printer: &Printer, store: &SqliteJournal, run: &RunId) -> Result<u8, AppError> {
    let records = store.read(run)?;
    // Do not show events that cannot have happened.
    create::replay(run, &records)?;
    let events = create::decode(run, &records)?;
    let view = Progress::new(*printer, None);
    let mut state = RunState::begin(&events[0]).map_err(|why| AppError::usage(why.to_string()))?;
    for (i, event) in events.iter().enumerate() {
        if i > 0 {
            state.apply(event).map_err(|why| AppError::usage(why.to_string()))?;
        }
        view.event(event, &state);
    }
    match printer.format {
        Format::Human => {
            outcome::screen(printer, &state, &RunTiming::shown(true));
        }
        Format::Json => {
            printer.record(&serde_json::json!({"schema_version": 1, "run_id": run, "events": events}))
        }
        Format::Jsonl => {}
    }
    Ok(exit::DONE)
}

fn watch(printer: &Printer, store: &SqliteJournal, run: &RunId) -> Result<u8, AppError> {
    let world = World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?;
    let (mut shown, mut idle, mut served) = (0, 0, false);
    let mut told: Option<RunState> = None;
    let folder = Context::lock_folder(store);
    loop {
        let events = create::decode(run, &store.read(run)?)?;
        let driven = RunLock::is_held(&folder, run);
        let state = inbox::at_present(run_states::one(store, run)?, driven, crate::app::clock::now()?);
        for event in &events[shown..] {
            let then = match told.take() {
                None => RunState::begin(event),
                Some(mut then) => then.apply(event).map(|()| then),
            };
            let then = told.insert(then.map_err(|why| AppError::usage(why.to_string()))?);
            match printer.format {
                Format::Human => {
                    if let Some(words) = progress::words(printer, event, then) {
                        printer.line(&format!("{}{words}", progress::stamp(printer, event.at, then)));
                    }
                    progress::to_type(event, then).iter().for_each(|command| printer.line(command));
                    if let Some(words) = progress::served_again(event, then).filter(|_| !served) {
                        served = true;
                        printer.line(&words);
                    }
                }
                Format::Jsonl => printer.line(&serde_json::to_string(event).unwrap_or_default()),
                Format::Json => {}
            }
        }
        shown = events.len();
        idle = if driven { 0 } else { idle + 1 };
        if state.finished() || idle > 2 {
            if printer.format == Format::Json {
                let report = summary::report(&state, state.last_at);
                printer.document(&serde_json::to_value(&report).unwrap_or_default());
            }
            if state.finished() {
                return Ok(exit::DONE);
            }
            let resume = state.created.command("runs resume", "");
            printer.note(&format!("no process drives run {run}; to continue it, run {resume}"));
            return Ok(exit::WAITING);
        }
        world.block_on(world.sleep_until(world.now() + Dur(500)));
    }
}

/// Sends a signal to the process that drives the run, and says who will read it.
pub fn send(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    signal: Signal,
) -> Result<u8, AppError> {
    send_for(context, printer, store, run, signal, keys::GOOD_FOR)
}

/// The same, for a signal that stays valid this long where it is signed.
pub fn send_for(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    signal: Signal,
    good_for: Dur,
) -> Result<u8, AppError> {
    let posted = post((context, printer), store, run, signal, good_for)?;
    let driven = posted == Posted::Driven;
    let next = match posted {
        Posted::Driven => "the process that drives the run has been notified".to_owned(),
        Posted::Written => match inbox::read(store, run_states::one(store, run)?)? {
            state if state.finished() => "it is in the journal".to_owned(),
            state => format!("it is in the journal; {}", goes_on_with(&state)),
        },
        Posted::Waits => {
            let state = inbox::read(store, run_states::one(store, run)?)?;
            format!("no process drives the run; {}", goes_on_with(&state))
        }
    };
    printer.note(&format!("noted for run {run}: {next}"));
    if printer.format != Format::Human {
        printer.document(
            &serde_json::json!({"schema_version": 1, "run_id": run, "noted": true, "driven": driven}),
        );
    }
    Ok(exit::DONE)
}

/// What the run needs next: what a person decided, the approvals that are missing, or a process.
fn goes_on_with(state: &RunState) -> String {
    if let Some(next) = state.next_as_decided() {
        return format!("next, {next}");
    }
    if let Some(gate) = (0..state.steps.len()).find(|i| approval::standing(state, *i).is_some()) {
        let step = &state.step(gate).id;
        return format!("{step} is rejected. {}", approval::instead(state, step));
    }
    let waits = state.waits_for_people();
    let missing = waits.iter().find(|waits| waits.why.starts_with(approval::WAITING));
    missing.map_or_else(
        || format!("to continue the run: {}", state.created.command("runs resume", "")),
        |waits| format!("the run is still {}", waits.why),
    )
}

/// Cancels a run: through the process that drives it, or here.
fn cancel(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    (reason, yes): (&str, bool),
) -> Result<u8, AppError> {
    may_drive(context, store, run)?;
    agreed_to_cancel(printer, || run_states::one(store, run), yes)?;
    let signal = cancellation(context, printer, store, run, reason)?;
    if RunLock::is_held(&Context::lock_folder(store), run) {
        return send(context, printer, store, run, signal);
    }
    post((context, printer), store, run, signal, keys::GOOD_FOR)?;
    carry_on_aloud(context, printer, store, run)
}

/// Asks for the confirmation of a cancel, and asks again if the run went on while the person was reading.
fn agreed_to_cancel(
    printer: &Printer,
    state: impl Fn() -> Result<RunState, AppError>,
    yes: bool,
) -> Result<(), AppError> {
    let mut now = state()?;
    loop {
        let asked = now.called_off();
        confirmed(printer, &now, &asked, yes)?;
        now = state()?;
        if yes || now.finished() || !now.called_off().differs(&asked) {
            return Ok(());
        }
        printer.note("the run went on in the meantime, so a cancel does something else now");
    }
}

/// Shows what a cancel undoes and what stays. Asks for confirmation if users or their writes were affected.
fn confirmed(printer: &Printer, state: &RunState, off: &CalledOff, yes: bool) -> Result<(), AppError> {
    if state.finished() || !off.grave {
        return Ok(());
    }
    let run = &state.created.run;
    printer.note(&format!("cancel of run {run}: {}", off.words()));
    if yes {
        return Ok(());
    }
    if !printer.is_interactive() {
        return Err(AppError {
            code: "refused",
            message: format!(
                "run {run} affected users or their writes, and there is no terminal to confirm the cancel"
            ),
            hint: Some("to confirm, add --yes; nothing was done".to_owned()),
            exit: exit::REFUSED,
        });
    }
    match printer.agrees("Cancel it?") {
        true => Ok(()),
        false => Err(AppError::usage("not confirmed; nothing was done")),
    }
}

fn cancellation(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    reason: &str,
) -> Result<Signal, AppError> {
    let lost = crate::app::guards::lost((context, printer), store, &run_states::one(store, run)?)?;
    if let Some((target, holder)) = &lost {
        let words = crate::app::guards::words(target, holder.as_deref());
        printer.note(&format!("{words}: drctl closes the run and undoes nothing"));
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
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    reason: &str,
) -> Result<Ending, AppError> {
    may_drive(context, store, run)?;
    // Holds the lock, so that nobody takes the run over between the signal and its execution.
    let lock = RunLock::take(&Context::lock_folder(store), run)?;
    let signal = cancellation(context, printer, store, run, reason)?;
    post((context, printer), store, run, signal, keys::GOOD_FOR)?;
    go_on(context, printer, store, run, &lock)
}

/// A run brings its own operators, and a file or a store can contain any. Those in drctl.yaml decide whether they count.
fn same_operators(context: &Context, state: &RunState) -> Result<(), AppError> {
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
fn may_drive(context: &Context, store: &SqliteJournal, run: &RunId) -> Result<(), AppError> {
    store.may_act(run)?;
    same_operators(context, &run_states::one(store, run)?)
}

fn resume(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    waive: &WaiveArgs,
) -> Result<u8, AppError> {
    store.may_act(run)?;
    let state = run_states::one(store, run)?;
    let typed = context.waivers(&waive.request())?;
    let waivers = waived::for_run(typed.clone(), &state)?;
    waived::say(printer, &state.created.plan, &typed, &waivers);
    let waivers = waived::in_time(printer, waivers, &state);
    if state.finished() {
        let states = run_states::all(store)?;
        if !pending_fences::debts(&states).iter().any(|debt| debt.run == *run) {
            return over(context, printer, &state, &states);
        }
    }
    waived::enough(
        &waivers,
        &state,
        if context.is_rehearsal() { state.last_at } else { crate::app::clock::now()? },
    )?;
    // Only the owner may continue a run. What a person accepts reaches the owner through the inbox.
    if RunLock::is_held(&Context::lock_folder(store), run) {
        same_operators(context, &state)?;
        let handed = hand_over((context, printer), store, &state, waivers)?;
        return Ok(handed_over(printer, &state, handed));
    }
    crate::app::guards::still_ours((context, printer), store, &state)?;
    same_operators(context, &state)?;
    let waives = !waivers.is_empty();
    for waiver in waivers {
        post((context, printer), store, run, Signal::Waive { waiver }, keys::GOOD_FOR)?;
    }
    if state.finished() && context.is_rehearsal() {
        printer.note("the rehearsal continues one hour after its end, in virtual time");
    }
    if !state.finished() {
        let resumed = post((context, printer), store, run, Signal::Resume, keys::GOOD_FOR);
        if waives && resumed.is_err() {
            printer.note("the waiver is in the ledger, and the run takes it when it goes on");
        }
        resumed?;
    }
    carry_on_aloud(context, printer, store, run)
}

/// Says what the process that drives a run made of the waivers. Returns the exit code.
fn handed_over(printer: &Printer, state: &RunState, handed: HandedOver) -> u8 {
    let run = &state.created.run;
    let watch = state.created.command("runs watch", "");
    let words = match handed {
        HandedOver::Unread => {
            "it has been notified of the waiver, and has not read it yet; to see what it does"
        }
        HandedOver::Taken => "it took the waiver and continues by itself; to see it",
    };
    printer.note(&format!("another process drives the run: {words}, run {watch}"));
    if printer.format == Format::Json {
        printer.document(&serde_json::json!({ "run": run, "notified": true }));
    }
    exit::DONE
}

/// Reports a finished run without a pending fence, and what is left of it. Returns the exit code.
fn over(context: &Context, printer: &Printer, state: &RunState, states: &[RunState]) -> Result<u8, AppError> {
    let run = &state.created.run;
    let now = if context.is_rehearsal() { state.last_at } else { crate::app::clock::now()? };
    let left = in_doubt::left(std::slice::from_ref(state), now);
    let owed = live_drill::owed_by(state, states);
    let what =
        if left.is_empty() && owed.is_none() { "nothing is pending" } else { "no step is left to continue" };
    printer.note(&format!("run {run} is over, and {what}"));
    left.iter().for_each(|left| printer.note(&left.words(false)));
    owed.iter().for_each(|words| printer.note(words));
    let code = if owed.is_some() { exit::RECOVERED_BUT } else { exit::DONE };
    if printer.format == Format::Json {
        let report = summary::report(state, state.last_at);
        printer.document(&outcome::document(&report, code, &RunTiming::shown(true)));
    }
    Ok(code)
}

/// Continues a finished run to set its pending fence.
///
/// # Errors
/// If another process drives it, or somebody else now holds its guard.
pub fn pay(context: &Context, printer: &Printer, store: &SqliteJournal, run: &RunId) -> Result<u8, AppError> {
    crate::app::guards::still_ours((context, printer), store, &run_states::one(store, run)?)?;
    resume_run(context, printer, store, run)
}

/// The same, with notifications.
fn carry_on_aloud(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
) -> Result<u8, AppError> {
    let interrupts = Interrupts::listen().map_err(|e| AppError::usage(format!("no signals: {e}")))?;
    notifier::beside(context, (printer, &interrupts, Some(run)), || resume_run(context, printer, store, run))
}

/// Continues a run until it stops. Returns the exit code.
///
/// # Errors
/// If another process drives it, or its journal cannot be written.
pub fn resume_run(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
) -> Result<u8, AppError> {
    let lock = RunLock::take(&Context::lock_folder(store), run)?;
    let mut ending = go_on(context, printer, store, run, &lock)?;
    let states = run_states::all(store)?;
    let owed = ending.run.as_ref().and_then(|state| live_drill::owed_by(state, &states));
    if let Some(words) = owed {
        ending.worsen(exit::RECOVERED_BUT);
        printer.note(&words);
    }
    let code = ending::tell(printer, vec![ending]);
    drop(lock);
    let interrupts = Interrupts::listen().map_err(|e| AppError::usage(format!("no signals: {e}")))?;
    uploads::rest(context, printer, store, &interrupts);
    Ok(code)
}

/// Drives a run until it stops.
fn go_on(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    _owned: &RunLock,
) -> Result<Ending, AppError> {
    may_drive(context, store, run)?;
    let state = run_states::one(store, run)?;
    let interrupts = Interrupts::listen().map_err(|e| AppError::usage(format!("no signals: {e}")))?;
    let clock = World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?;
    let began = clock.now();
    let stage = stage_of(store, &state, context)?;
    if let Some(sandbox) = &stage.sandbox {
        sandbox.keep(Box::new(store.notes(run)));
    }
    let view = Progress::new(*printer, stage.pace(context.pace()));
    let view = view.knowing(run_states::history(store, &state.created.plan)?);
    let count = move || interrupts.count();
    let patience = if printer.is_interactive() { Patience::Wait } else { Patience::Stop };
    let session = stage.session(store, &view, &count, patience);
    let recorder = Recorder::resumed(state.runbook.probe_consecutive, &state.turns);
    let virtual_began = stage.world.now();
    let adopted = store.imported()?.adopted.remove(run);
    let ended = stage.world.block_on(async {
        let owned = create::resume(&session, run, &super::start::owner(&stage), adopted.as_ref()).await?;
        let work = drive::drive(&session, owned, recorder);
        evidence::kept((context, printer, &session), store, run, work).await
    });
    view.finish();
    let mut ended = ended.map_err(|e| rescue::told(context, store, run, e))?;
    ended.state.ask_as_of(ended.state.last_at);
    let truth = stage.sandbox.as_ref().map(Sandbox::truth);
    let told = RunTiming {
        real: clock.now().since(began),
        passed: truth.is_some().then(|| stage.world.now().since(virtual_began)),
        truth: truth.as_ref(),
        phase: run_outcome::phase(&ended.state),
        driven: true,
    };
    let code = run_outcome::code(&ended);
    if printer.format == Format::Human {
        outcome::screen(printer, &ended.state, &told);
    }
    let report = summary::report(&ended.state, ended.state.last_at);
    let document = Some(outcome::document(&report, code, &told));
    Ok(Ending { code, document, run: Some(Box::new(ended.state)), held: None })
}

/// The world of a run: for a rehearsal, its estate in the state in which it was left. A finished rehearsal continues an hour
/// later, so that what was lost can return.
pub fn stage_of(store: &SqliteJournal, state: &RunState, context: &Context) -> Result<Stage, AppError> {
    let later = if state.finished() { Dur::mins(60) } else { Dur::secs(5) };
    stage_later(store, state, context, later)
}

/// The same, this long after the last event in it: the return of a drill starts when its hold is over.
pub fn stage_later(
    store: &SqliteJournal,
    state: &RunState,
    context: &Context,
    later: Dur,
) -> Result<Stage, AppError> {
    let WorldKind::Sandbox { scenario, seed, began } = &state.created.world else {
        return Stage::of_run(context, state);
    };
    let scenario = Scenario::find(scenario)
        .ok_or_else(|| AppError::usage(format!("scenario `{scenario}` no longer exists")))?;
    let checked =
        crate::plan::check("the plan in the journal", state.created.plan_text.as_bytes(), &context.settings);
    let Some(plan) = checked.plan else {
        render::findings(&Printer::new(Format::Human), &checked.findings, &|_| {
            Some(state.created.plan_text.clone())
        });
        return Err(AppError::usage("this version cannot read the plan of the run"));
    };
    let notes = store.simulated(&state.created.run)?;
    let feed = Feed::kept(&notes);
    let stage = Stage::rehearsal(&plan, &scenario, *seed, (*began, feed.as_ref()), context.pace());
    if let Some(sandbox) = &stage.sandbox {
        // The return of a live drill uses the estate of the first move.
        if let Some(first) = &state.created.returns {
            sandbox.replay(&store.simulated(first)?);
            sandbox.anew(state.created_at);
        }
        sandbox.replay(&notes);
        let last = notes.iter().map(|(at, _)| *at).fold(state.last_at, Timestamp::max);
        stage.world.not_before(last + later);
    }
    Ok(stage)
}
