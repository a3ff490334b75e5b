//! `drctl plan show`

use std::collections::BTreeSet;

use crate::app::begins::Begins;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::prior_runs::PriorRuns;
use crate::app::stage::Stage;
use crate::app::{estate, exit, prior_runs, run_states, waived, whatif};
use crate::cli::args::{Global, PlanArgs, PlanCommand, PlanShowArgs};
use crate::cli::formats::Format;
use crate::cli::printer::{DIM, Printer, RED, YELLOW};
use crate::cli::render;
use crate::executor::{Patience, Silent};
use crate::kinds::Operation;
use crate::kinds::shared::promotion::Promote;
use crate::model::call::comment;
use crate::model::ids::{RunId, SiteName};
use crate::model::time::Dur;
use crate::model::waiver::{Person, Waiver};
use crate::plan::Plan;
use crate::planner::critical_path::CriticalPath;
use crate::planner::{self, Request, critical_path};
use crate::probe::Recorder;
use crate::record::action::{Action, Gate};
use crate::record::calls::calls;
use crate::record::runbook::{Phase, Runbook, Step};
use crate::report::history::History;

/// Shows the runbook of a run.
pub fn run(global: &Global, printer: &Printer, args: &PlanArgs) -> Result<u8, AppError> {
    let PlanCommand::Show(args) = &args.command;
    let context = Context::load(&global.options(), printer)?.with_intent(args.intent.intent());
    let store = context.store()?;
    let plan = context.plans(std::slice::from_ref(&args.plan), printer)?.remove(0);
    for site in args.from.iter().chain([&args.to]) {
        whatif::has_site(&plan, &SiteName::new(&**site))?;
    }
    let scenario = context.scenario()?;
    let stage = Stage::live_or_rehearsal(&context, &plan, Some(&SiteName::new(&*args.to)))?;
    let (view, none) = (Silent, || 0);
    let session = stage.session(&store, &view, &none, Patience::Stop);
    let guard = context.guard_of(&plan);
    let guard = guard.as_ref();
    let recorder = Recorder::new(context.settings.probe_consecutive);
    let scope = stage.scope(&plan);
    let seen = stage.world.block_on(async {
        stage.world.sleep_until(stage.world.now() + stage.outage_begins()).await;
        estate::look(&session, (&store, scope), &plan, guard, &recorder).await
    })?;
    let request = request(&context, &plan, args)?;
    let held = if scenario.is_some() {
        PriorRuns::default()
    } else {
        prior_runs::held(&store, &plan, (request.intent, &request.to))?
    };
    let mut input = held.input(&context, &plan, (&seen, stage.world.now()), &request, guard);
    // A plan is reviewed in advance, so a window that is closed now does not matter.
    let closed = std::mem::take(&mut input.closed);
    match planner::plan_run(&input) {
        Ok(runbook) => {
            let history = run_states::history(&store, &plan.name)?;
            match (printer.format, args.as_commands) {
                (Format::Human, false) => {
                    show(printer, &runbook, &history, context.signs_as().as_deref());
                    closed.iter().filter(|c| !c.lifted).for_each(|c| printer.line(&format!("not now: {} ({})", c.facts, c.rule)));
                }
                (Format::Human, true) => printer.lines(&as_commands(&runbook)),
                (_, true) => printer.document(&serde_json::json!({
                    "schema_version": 1, "commands": as_commands(&runbook),
                })),
                _ => printer.document(
                    &serde_json::json!({"schema_version": 1, "closed": closed, "prediction": history.predict(&runbook), "runbook": runbook}),
                ),
            }
            Ok(exit::DONE)
        }
        Err(refusals) => {
            if printer.format == Format::Human {
                render::refusals(printer, plan.name.as_str(), &refusals);
            } else {
                printer.document(&serde_json::json!({"schema_version": 1, "outcome": "refused", "refusals": refusals, "exit_code": exit::REFUSED}));
            }
            Ok(exit::REFUSED)
        }
    }
}

fn request(context: &Context, plan: &Plan, args: &PlanShowArgs) -> Result<Request, AppError> {
    Ok(Request {
        intent: args.intent.intent(),
        from: args.from.as_ref().map(|f| SiteName::new(&**f)),
        to: SiteName::new(&*args.to),
        waivers: waived::for_plan(context.waivers(&args.waive.request())?, plan)?,
        // The plan is shown for an outage, whether or not users are affected now.
        outage_declared: true,
        rehearsed: context.is_rehearsal(),
        holder: "a run".to_owned(),
        run: RunId::new("run"),
        restore: None,
        drill: None,
        returns: false,
        hold: None,
        severity: args.severity,
    })
}

/// The runbook for people. `signs` is the operator who signs the request of the run.
pub fn show(p: &Printer, runbook: &Runbook, history: &History, signs: Option<&str>) {
    show_beginning(p, runbook, history, &Begins::AtOnce, signs);
}

/// The same for a run that may wait for another plan.
pub fn show_beginning(
    p: &Printer,
    runbook: &Runbook,
    history: &History,
    begins: &Begins,
    signs: Option<&str>,
) {
    p.line(&format!("{} of {}, {}", runbook.title(), runbook.plan, runbook.way()));
    if let Some(drill) = runbook.drill {
        p.line(&format!("a drill, {drill}: {}", drill.means()));
    }
    if runbook.is_empty() {
        p.line("nothing to do: everything already runs there");
        return;
    }
    let critical = critical_path::critical(runbook);
    figures(p, runbook, history, (&critical, begins));
    for phase in Phase::ALL {
        let steps: Vec<_> = runbook.steps.iter().filter(|s| s.phase == phase).collect();
        if !steps.is_empty() {
            p.line("");
            p.line(&phase.to_string());
        }
        for step in steps {
            show_step(p, runbook, step, critical.steps.contains(&step.id));
        }
    }
    p.line("");
    for step in &runbook.steps {
        if let Action::Gate(Gate::Approval { ask, expires_after_ms, by, override_by }) = &step.action {
            p.line(&format!(
                "approval       {}{}: {ask} (valid for {expires_after_ms}; no answer by then counts as a no)",
                step.id,
                if by.is_empty() { String::new() } else { format!(" by {}", by.join(" and ")) }
            ));
            override_by.iter().for_each(|over| p.line(&format!("               {}", over.words())));
        }
    }
    for waiver in &runbook.waivers {
        let subject = waiver.subject(&runbook.plan);
        let who = author(&waiver.who, signs);
        p.line(&format!("waived         {subject}, by {who}: {}", waiver.reason));
    }
    for note in runbook.all_notes() {
        p.line(&format!("note           {note}"));
    }
}

/// Who waives a refusal. The signature of the request, which is still to come, covers the waivers in the runbook.
fn author(who: &Person, signs: Option<&str>) -> String {
    match signs {
        Some(name) if name == who.who => format!("{name} (will be signed)"),
        _ => who.to_string(),
    }
}

/// The figures that a reader needs first: how long it takes, and what is irreversible.
fn figures(p: &Printer, runbook: &Runbook, history: &History, (critical, begins): (&CriticalPath, &Begins)) {
    let (rto, of) = runbook.promised_rto();
    let promised = of.map_or_else(|| rto.to_string(), |component| format!("{rto} of {component}"));
    p.line(&format!(
        "critical path  {}",
        critical.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(" > ")
    ));
    begins.words().iter().for_each(|words| p.line(&format!("starts         {words}")));
    let (waits, waits_at_worst) = begins.waits();
    let (expected, worst) = (waits.plus(critical.expected), waits_at_worst.plus(critical.worst));
    let whole = |waits: Dur, whole: Dur| match waits {
        Dur::ZERO => String::new(),
        _ => format!(", {whole} after the command,"),
    };
    let judge = |d| if d > rto { p.paint(RED, "above the RTO") } else { "within the RTO".to_owned() };
    // Without an RTO there is no objective to compare with. In a planned move, users are served until it fences.
    let (of_rto, in_time) = match (runbook.intent.has_rto(), critical.users) {
        (true, Some((usual, most))) => (
            format!("; users wait for {usual} of it ({} of {promised})", judge(usual)),
            format!("; users wait for {most} of it ({})", judge(most)),
        ),
        (true, None) => (
            format!(" ({} of {promised}), without detection and decision", judge(expected)),
            format!(" ({})", judge(worst)),
        ),
        (false, _) => (", without detection and decision".to_owned(), String::new()),
    };
    p.line(&format!(
        "expected       {}{} if every step takes its expected time{of_rto}",
        critical.expected,
        whole(waits, expected)
    ));
    p.line(&format!("predicted      {}", history.predict(runbook).words()));
    let of_command = whole(waits_at_worst, worst);
    p.line(&format!("worst case     {}{of_command} if every step times out{in_time}", critical.worst));
    for (step, because) in critical_path::points_of_no_return(runbook) {
        p.line(&format!("no return      {}: {because}", p.paint(YELLOW, step.id.as_str())));
    }
}

fn show_step(p: &Printer, runbook: &Runbook, step: &Step, is_critical: bool) {
    let mark = if is_critical { "*" } else { " " };
    let background = if step.background { " (in the background; no step waits for it)" } else { "" };
    let action = step.action.words(&runbook.waivers);
    p.line(&format!("{mark} {:<28} {action}{background}", step.id));
    let after = after(step);
    // A gate has no duration of its own; it waits as long as needed.
    let takes = match step.estimate.timeout_ms {
        Dur::ZERO => String::new(),
        most => format!("; expected {}, at most {most}", step.estimate.expected_ms),
    };
    p.line(&p.paint(DIM, &format!("    {after}{takes}")));
    let mut shown = BTreeSet::new();
    for call in calls(&step.action) {
        let word = if call.mutates { "calls" } else { "reads" };
        let line = format!("    {word} {}:{} at {}", call.service, call.operation, call.at);
        if call.mutates || shown.insert(line.clone()) {
            p.line(&p.paint(DIM, &line));
        }
    }
}

/// When a step begins: after steps that must succeed, and after others that must only end.
fn after(step: &Step) -> String {
    let of = |settled| {
        let needs = step.needs.iter().filter(|need| need.settled == settled);
        needs.map(|need| need.step.to_string()).collect::<Vec<_>>()
    };
    let (done, ended) = (of(false), of(true));
    let verb = if ended.len() == 1 { "ends" } else { "end" };
    let ended = (!ended.is_empty()).then(|| format!("{} {verb}, with any result", and(&ended)));
    let done = (!done.is_empty()).then(|| few(&done));
    match (done, ended) {
        (None, None) => "at once".to_owned(),
        (Some(done), None) => format!("after {done}"),
        (None, Some(ended)) => format!("after {ended}"),
        (Some(done), Some(ended)) => format!("after {done}; and after {ended}"),
    }
}

/// Names as a list in a sentence.
fn and(names: &[String]) -> String {
    match names {
        [first, last] => format!("{first} and {last}"),
        names => few(names),
    }
}

fn few(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names if names.len() <= 6 => names.join(", "),
        names => format!("{} and {} more", names[..5].join(", "), names.len() - 5),
    }
}

/// The paper runbook: the same steps as provider commands, with checks in between.
fn as_commands(runbook: &Runbook) -> String {
    let from = runbook.from.as_ref().map_or("unknown", SiteName::as_str);
    let mut lines = vec![
        comment(&format!("{} of {}: {from} to {}", runbook.title(), runbook.plan, runbook.to)),
        "# For a person with a terminal and without drctl. Do the steps in order. Never continue past a check that fails."
            .to_owned(),
    ];
    for (i, step) in runbook.steps.iter().enumerate() {
        let background = if step.background { " Try it; do not wait for it." } else { "" };
        let action = step.action.words(&runbook.waivers);
        let title = format!("{}. {}: {action}.{background}", i + 1, step.id);
        lines.push(format!("\n#{}", comment(&title)));
        for call in calls(&step.action) {
            lines.push(if call.mutates { "# do" } else { "# check" }.to_owned());
            lines.push(call.command);
        }
        let done = match &step.action {
            Action::Gate(gate) => Some(comment(&format!("stop: {}", gate_words(gate, &runbook.waivers)))),
            Action::Op(Operation::Promote(Promote { db, .. })) => {
                Some(format!("# done when {}", db.engine.operator().promoted_when()))
            }
            _ => None,
        };
        lines.extend(done);
    }
    lines.join("\n")
}

fn gate_words(gate: &Gate, waivers: &[Waiver]) -> String {
    match gate {
        Gate::Fenced { component } => format!(
            "is the fence of {component} proven? If not, a named person must accept the loss in writing"
        ),
        Gate::Exposure { .. } => {
            let limits = gate.limits(waivers);
            let several = limits.len() > 1;
            let above = limits.into_iter().map(|(most, of)| match several {
                true => format!("above {most} for {}", of.join(", ")),
                false => format!("above {most}"),
            });
            format!(
                "take the last instant at which the old primary can have acknowledged a write, minus the last replayed commit. If it is {}, a person must accept the loss",
                above.collect::<Vec<_>>().join(" or ")
            )
        }
        Gate::Approval { ask, by, .. } if by.is_empty() => {
            format!("approval by another person: {ask}")
        }
        Gate::Approval { ask, by, .. } => {
            format!("approval by {}, each a different person: {ask}", by.join(" and "))
        }
    }
}
