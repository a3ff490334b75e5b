//! `drctl runs`

use super::{adopted, approve, audit, duties, outcome, runs_export, runs_list, sent};
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::interrupt::Interrupts;
use crate::app::post::{HandedOver, hand_over, post};
use crate::app::run_outcome::RunTiming;
use crate::app::{
    exit, in_doubt, inbox, keys, live_drill, notifier, pending_fences, resume, run_names, run_states, waived,
};
use crate::cli::args::{Global, RunsArgs, RunsCommand, WaiveArgs};
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::cli::progress::{self, Dates, PrintedCommands, Progress};
use crate::executor::{View as _, create};
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, StoreError};
use crate::model::ids::RunId;
use crate::model::plain::count;
use crate::model::time::Dur;
use crate::model::waiver::one_line;
use crate::record::event::{Signal, WorldKind};
use crate::report::{onward, summary};
use crate::run::RunState;
use crate::run::ways::CalledOff;
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
        RunsCommand::Watch { run } => {
            // A run that nobody drives may be watched for long.
            context.options().older.tell(printer);
            watch(printer, &store, &looked_at(run)?)
        }
        RunsCommand::Resume { run, waive } => {
            let run = run_names::unfinished(&store, run.as_deref())?;
            go_on(&context, printer, &store, &run, waive)
        }
        RunsCommand::Pause { run } => sent::send(&context, printer, &store, &id(run)?, Signal::Pause),
        RunsCommand::Cancel { run, reason, yes } => {
            cancel(&context, printer, &store, &id(run)?, (reason, *yes))
        }
        RunsCommand::Skip { run, step, reason } => {
            let run = id(run)?;
            let step = run_names::step(&run_states::one(&store, &run)?, step)?;
            sent::send(&context, printer, &store, &run, Signal::Skip { step, reason: one_line(reason) })
        }
        RunsCommand::Done { run, step } => {
            let run = id(run)?;
            let step = run_names::step(&run_states::one(&store, &run)?, step)?;
            sent::send(&context, printer, &store, &run, Signal::Done { step })
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
    let whole = audit::ledger_is_whole(printer, store, (run, &records))?;
    let code = if whole { exit::DONE } else { exit::NOT_RECOVERED };
    let driven = RunLock::is_held(&Context::lock_folder(store), run);
    let state = inbox::read(store, create::replay(run, &records)?)?;
    let now = crate::app::clock::now()?;
    let state = inbox::at_present(state, driven, now);
    let mut report = summary::report(&state, state.last_at);
    if !driven {
        report.note_undriven(&state, now);
    }
    match store.may_act(run) {
        // That the store is older than its checkpoints is said by every command.
        Ok(()) | Err(StoreError::PutBack(_)) => {}
        Err(e) => printer.note(&e.to_string()),
    }
    if printer.format != Format::Human {
        printer.document(&serde_json::to_value(&report).unwrap_or_default());
        return Ok(code);
    }
    for (i, step) in report.steps.iter().enumerate() {
        let waits: Vec<_> = state.waits_for(i).iter().map(ToString::to_string).collect();
        let requested = || {
            let asked = state.work(i).asked[0].filter(|_| step.state == "awaiting");
            asked.map(|at| format!("requested at {at}"))
        };
        let why = step.reason.clone().or_else(requested).or_else(|| {
            (!waits.is_empty() && step.state == "pending" && !state.finished())
                .then(|| format!("waits for {}", waits.join(", ")))
        });
        let undo = step.undo.as_ref().map(|undo| undo.text.clone());
        // A run that nobody drives tries nothing.
        let next = step.next_try.filter(|_| driven).map(|at| format!("next try {}", at.clock()));
        let more: Vec<String> = step.output.clone().into_iter().chain(why).chain(undo).chain(next).collect();
        let calls =
            if step.attempts > 1 { format!(", {}", count(step.attempts, "call")) } else { String::new() };
        printer.line(&format!(
            "{:<12} {:<28} {}{calls}{}",
            step.shown,
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
    Ok(code)
}

fn replay(printer: &Printer, store: &SqliteJournal, run: &RunId) -> Result<u8, AppError> {
    let records = store.read(run)?;
    // Do not show events that cannot have happened.
    create::replay(run, &records)?;
    let events = create::decode(run, &records)?;
    let view = Progress::new(*printer, None).opened(crate::app::clock::now()?);
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
    let (view, dates, opened) = (Progress::new(*printer, None), Dates::default(), crate::app::clock::now()?);
    let asked = PrintedCommands::default();
    let folder = Context::lock_folder(store);
    loop {
        let events = create::decode(run, &store.read(run)?)?;
        let driven = RunLock::is_held(&folder, run);
        let state = inbox::read(store, run_states::one(store, run)?)?;
        let state = inbox::at_present(state, driven, crate::app::clock::now()?);
        for (n, event) in events[shown..].iter().enumerate() {
            let then = match told.take() {
                None => RunState::begin(event),
                Some(mut then) => then.apply(event).map(|()| then),
            };
            let then = told.insert(then.map_err(|why| AppError::usage(why.to_string()))?);
            match printer.format {
                Format::Human => {
                    if let Some(words) = progress::words(printer, event, then) {
                        dates.turn(event.at, opened).iter().for_each(|date| printer.line(date));
                        printer.line(&format!("{}{words}", progress::stamp(printer, event.at, then)));
                        asked.printed(1);
                        // The live line comes below the last event.
                        let typed = match driven && shown + n + 1 == events.len() && printer.is_interactive()
                        {
                            true => progress::still_to_type(event, then, &asked),
                            false => Vec::new(),
                        };
                        typed.iter().for_each(|command| printer.line(command));
                    }
                    progress::to_type(event, then, &asked).iter().for_each(|command| printer.line(command));
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
            view.finish();
            let report = summary::report(&state, state.last_at);
            let p = &printer.rehearsing(state.created.world != WorldKind::Live);
            match printer.format {
                Format::Json => printer.document(&serde_json::to_value(&report).unwrap_or_default()),
                Format::Human => {
                    outcome::title(p, &state, &report, driven);
                    outcome::next(p, &state, &report, driven);
                }
                Format::Jsonl => {}
            }
            return Ok(if state.finished() { exit::DONE } else { exit::WAITING });
        }
        if driven {
            view.show(&state, state.last_at);
        }
        world.block_on(world.sleep_until(world.now() + Dur(500)));
    }
}

/// Cancels a run: through the process that drives it, or here.
fn cancel(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    (reason, yes): (&str, bool),
) -> Result<u8, AppError> {
    resume::may_drive(context, store, run)?;
    agreed_to_cancel(printer, || run_states::one(store, run), yes)?;
    let signal = resume::cancellation(context, printer, store, run, reason)?;
    if RunLock::is_held(&Context::lock_folder(store), run) {
        return sent::send(context, printer, store, run, signal);
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

fn go_on(
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
        resume::same_operators(context, &state)?;
        let handed = hand_over((context, printer), store, &state, waivers)?;
        return Ok(handed_over(printer, &state, handed));
    }
    crate::app::guards::still_ours((context, printer), store, &state)?;
    resume::same_operators(context, &state)?;
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
    let owed = live_drill::owed_after(state, states);
    let warnings = onward::left_by(state, states);
    let done = left.is_empty() && owed.is_none() && warnings.is_empty();
    let what = if done { "nothing is pending" } else { "it cannot be continued" };
    let how = if warnings.is_empty() { "" } else { onward::how_it_ended(state) };
    printer.note(&format!("run {run} is over{how}, and {what}"));
    warnings.iter().for_each(|warning| printer.note(&warning.words()));
    left.iter().for_each(|left| printer.note(&left.words(false)));
    owed.iter().for_each(|words| printer.note(words));
    let code = match (warnings.is_empty(), owed.is_some()) {
        (false, _) => exit::NOT_RECOVERED,
        (true, true) => exit::RECOVERED_BUT,
        (true, false) => exit::DONE,
    };
    if printer.format == Format::Json {
        let report = summary::report(state, state.last_at);
        printer.document(&outcome::document(&report, code, &RunTiming::shown(true)));
    }
    Ok(code)
}

/// The same, with notifications.
fn carry_on_aloud(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
) -> Result<u8, AppError> {
    let interrupts = Interrupts::listen().map_err(|e| AppError::usage(format!("no signals: {e}")))?;
    notifier::beside(context, (printer, &interrupts, Some(run)), || {
        resume::resume_run(context, printer, store, run)
    })
}
