//! `drctl drill`: a recovery that is read, rehearsed, tried on copies, or really done and undone.

use super::ending::{self, Ending};
use super::stage::Stage;
use super::start::{Drilled, Starting};
use super::{live_drill, restore, runs, select, status, whatif};
use crate::adapters::sandbox::Feed;
use crate::cli::args::{DrillArgs, DrillMode, Global, StartArgs, WaiveArgs};
use crate::cli::context::{Context, scenario_named};
use crate::cli::error::CliError;
use crate::cli::interrupt::Interrupts;
use crate::cli::printer::Printer;
use crate::cli::{environment, estate, notifier, uploads};
use crate::executor::{Patience, Silent};
use crate::inventory::Estate;
use crate::journal::Journal as _;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::{ComponentName, RunId, SiteName};
use crate::model::intent::{Drill, Intent};
use crate::model::ledger::StoreWorld;
use crate::model::schedule::Definition;
use crate::model::time::Timestamp;
use crate::plan::Plan;
use crate::plan::types::Component;
use crate::probe::Recorder;
use crate::record::event::WorldKind;
use crate::run::RunState;

/// Everything that a drill is held with.
pub struct Ground<'a> {
    /// Settings.
    pub context: Context,
    /// Where words go.
    pub printer: &'a Printer,
    /// The journal.
    pub store: SqliteJournal,
    /// The application.
    pub plan: Plan,
    /// As typed.
    pub args: &'a DrillArgs,
    /// Where the application is active.
    pub active: SiteName,
    /// What is tried.
    pub to: SiteName,
    /// Ctrl-C.
    pub interrupts: Interrupts,
    /// The schedule that asks for it, if one does.
    pub due: Option<Due<'a>>,
}

/// Holds a drill.
pub fn run(global: &Global, printer: &Printer, args: &DrillArgs) -> Result<u8, CliError> {
    let context = Context::load(global, printer)?;
    let interrupts = Interrupts::listen().map_err(|e| CliError::usage(format!("no signals: {e}")))?;
    let code = notifier::beside(&context, (printer, &interrupts, None), || {
        Ok(ending::tell(printer, hold(&context, printer, args, (&interrupts, None))?))
    })?;
    uploads::rest(&context, printer, &context.store()?, &interrupts);
    Ok(code)
}

/// A drill that a schedule asks for.
#[derive(Clone, Copy)]
pub struct Due<'a> {
    /// The schedule.
    pub schedule: &'a str,
    /// What it says.
    pub is: &'a Definition,
    /// The instant.
    pub at: Timestamp,
    /// When it begins: later by the jitter, or because something stood against it.
    pub begins: Timestamp,
    /// Where its runs are written.
    pub world: StoreWorld,
    /// Its runs: those that the ledger has, whatever the plan has got since.
    pub runs: &'a [RunId],
}

impl Due<'_> {
    /// The name of its run.
    fn run(&self, component: Option<&ComponentName>) -> RunId {
        self.is.run(self.world.prefix(), (self.schedule, self.at), component)
    }
}

/// Holds a drill, as it was typed or as it is due.
///
/// # Errors
/// If it cannot begin, or its journal cannot be written.
pub fn hold(
    context: &Context,
    printer: &Printer,
    args: &DrillArgs,
    (interrupts, due): (&Interrupts, Option<Due<'_>>),
) -> Result<Vec<Ending>, CliError> {
    fits(args)?;
    let intent = match args.mode {
        DrillMode::Tabletop | DrillMode::Rehearsal => Intent::Failover,
        DrillMode::Isolated => Intent::Drill,
        DrillMode::Live => Intent::Switchover,
    };
    let context = context.clone().of(intent);
    let plan = context.plan(&args.plan, printer)?;
    let store = context.store()?;
    let states = match args.mode {
        DrillMode::Live if context.scenario()?.is_none() => status::states(&store)?,
        _ => Vec::new(),
    };
    live_drill::over_before(&store, &plan.name, &states)?;
    let (active, to) = sites(&context, &store, &plan, args)?;
    let half = live_drill::halfway(&plan.name, &states).filter(|half| {
        let (run, left) = (&half.created.run, &half.runbook.to);
        if *left != active {
            printer.note(&format!("drill {run} left {} in {left}, but it is now in {active}", plan.name));
        }
        *left == active
    });
    // Of a drill that is due the way there may be over, and its process dead.
    let there = due.filter(|_| args.mode == DrillMode::Live);
    let there = there.and_then(|due| runs::read(&store, &due.run(None)).ok());
    let interrupts = interrupts.clone();
    let ground = Ground { context, printer, store, plan, args, active, to, interrupts, due };
    Ok(match args.mode {
        DrillMode::Tabletop => vec![ground.one(Intent::Failover, Drilled::default(), None)?],
        DrillMode::Rehearsal => vec![ground.rehearsal()?],
        DrillMode::Isolated => ground.isolated()?,
        DrillMode::Live => ground.live(there.as_ref().or(half))?,
    })
}

/// A flag of another kind of drill would be believed to count.
fn fits(args: &DrillArgs) -> Result<(), CliError> {
    if let Some(scenario) = &args.scenario {
        scenario_named(scenario)?;
    }
    live_drill::hold(args.hold.as_deref())?;
    let point =
        args.point.to_time.is_some() || args.point.snapshot.is_some() || args.point.timeline.is_some();
    let wrong = [
        ("--scenario", args.scenario.is_some(), DrillMode::Rehearsal),
        ("--hold", args.hold.is_some(), DrillMode::Live),
        ("--component", args.component.is_some(), DrillMode::Isolated),
        ("--to-time, --snapshot and --timeline", point, DrillMode::Isolated),
    ];
    match wrong.iter().find(|(_, given, mode)| *given && args.mode != *mode) {
        Some((flag, _, mode)) => {
            let mode = mode.class();
            Err(CliError::usage_fix(format!("{flag} has no effect here"), format!("--mode {mode}")))
        }
        None => Ok(()),
    }
}

/// Where the application is active, and what is tried.
fn sites(
    context: &Context,
    store: &SqliteJournal,
    plan: &Plan,
    args: &DrillArgs,
) -> Result<(SiteName, SiteName), CliError> {
    // Copies are made wherever they are wanted, beside what takes the writes, too.
    if let (DrillMode::Isolated, Some(to)) = (args.mode, &args.to) {
        let to = SiteName::new(&**to);
        return Ok((to.clone(), to));
    }
    let fix = "run drctl assess to see what drctl can observe; a drill needs complete observations";
    let active = select::active_site(context, store, plan, fix)?;
    let to = whatif::target(plan, &active, args.to.as_deref())?;
    Ok((active, to))
}

impl Ground<'_> {
    /// One run.
    ///
    /// # Errors
    /// If it cannot begin, or its journal cannot be written.
    pub fn one(
        &self,
        intent: Intent,
        drill: Drilled<'_>,
        restore: Option<&restore::Asked>,
    ) -> Result<Ending, CliError> {
        self.over((&self.context, &self.store), intent, drill, restore)
    }

    fn over(
        &self,
        (context, store): (&Context, &SqliteJournal),
        intent: Intent,
        drill: Drilled<'_>,
        restore: Option<&restore::Asked>,
    ) -> Result<Ending, CliError> {
        let (from, to) = match drill.returns {
            Some(first) => {
                let home = first.runbook.from.clone().unwrap_or_else(|| self.plan.home.value.clone());
                (first.runbook.to.clone(), home)
            }
            None => (self.active.clone(), self.to.clone()),
        };
        let from = (intent != Intent::Drill).then(|| from.to_string());
        let mut args = StartArgs::one(&self.args.plan, from, to.to_string(), &self.args.how);
        if drill.returns.is_some() {
            // Whoever said yes to the way there said yes to the way back; what was waived for the one is not for the other.
            args.how.yes |= drill.confirmed;
            (args.how.waive, args.how.take_over) = (WaiveArgs::default(), false);
        }
        // The way back has a name of its own.
        let run = self.due.filter(|_| drill.returns.is_none()).map(|due| {
            let component = restore.map(restore::Asked::component);
            (due.run(component), due.begins)
        });
        let due = run.as_ref().map(|(run, begins)| (run, *begins));
        Starting {
            context,
            printer: self.printer,
            store,
            intent,
            args: &args,
            outage_began: None,
            restore,
            drill: Drilled { class: Some(self.args.mode.class()), due, ..drill },
            interrupts: self.interrupts.clone(),
            waves: None,
        }
        .plan(&self.plan)
    }

    /// A look at everything, and when that was by the clock of what was looked at.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub fn look(&self) -> Result<(Estate, Timestamp), CliError> {
        let stage = Stage::of(&self.context, &self.plan, Some(&self.to))?;
        let session = stage.session(&self.store, &Silent, &|| 0, Patience::Stop);
        let recorder = Recorder::new(self.context.settings.probe_consecutive);
        let scope = (&self.store, self.plan.name.as_str());
        let seen = stage.world.block_on(estate::look(&session, scope, &self.plan, None, &recorder))?;
        Ok((seen, stage.world.now()))
    }

    /// Looks at everything, and loses in a sandbox that begins like that the site that is active.
    fn rehearsal(&self) -> Result<Ending, CliError> {
        self.printer.note(&format!("{}: observing the state to start the rehearsal with", self.plan.name));
        // The rehearsal's clock goes on from the one by which that was seen: two clocks would make an age of their distance.
        let (seen, at) = self.look()?;
        let feed = Feed::of(&self.plan, &seen, self.active.clone(), at);
        let scenario = self.args.scenario.as_deref().unwrap_or("region-lost");
        let context = self.context.rehearsing(scenario);
        let store = context.store()?;
        self.over(
            (&context, &store),
            Intent::Failover,
            Drilled { feed: Some(&feed), ..Drilled::default() },
            None,
        )
    }

    /// A copy of each database is made, checked and removed. What a drill before left is taken away first.
    fn isolated(&self) -> Result<Vec<Ending>, CliError> {
        if !self.args.how.dry_run && self.context.scenario()?.is_none() {
            self.reap()?;
        }
        let stores = self.plan.components.values().filter(|c| Component::is_store(c)).map(|c| c.name.clone());
        let components: Vec<_> = match &self.args.component {
            Some(named) => vec![ComponentName::new(&**named)],
            None => stores.collect(),
        };
        if components.is_empty() {
            return Err(CliError::usage_fix(
                format!("plan {} has no database to copy", self.plan.name),
                "use --mode rehearsal or --mode live",
            ));
        }
        let mut told = Vec::new();
        for component in components {
            // A process that found it open continued what was started before.
            let run = self.due.map(|due| (due.run(Some(&component)), due.runs));
            if run.is_some_and(|(run, due)| !due.contains(&run) || self.store.read(&run).is_ok()) {
                continue;
            }
            let asked = restore::Asked::of(component.as_str(), &self.args.point, Some(Drill::Isolated))?;
            let ended = self.one(Intent::Drill, Drilled::default(), Some(&asked));
            told.push(ended.unwrap_or_else(|e| Ending::failed(self.printer, &self.plan, &e)));
            if self.interrupts.count() > 0 {
                break;
            }
        }
        Ok(told)
    }

    /// Calls off the isolated drills that nobody drives any more: their copies go, with proof.
    fn reap(&self) -> Result<(), CliError> {
        let folder = Context::lock_folder(&self.store);
        // Those of a schedule are its server's, and may wait for a person.
        let known = super::serve::known(&self.store)?;
        let scheduled: Vec<&RunId> = known.open().into_iter().flat_map(|(_, runs)| runs).collect();
        let left = |state: &RunState| {
            state.created.plan == self.plan.name
                && state.created.world == WorldKind::Live
                && state.runbook.intent == Intent::Drill
                && !state.finished()
                && !scheduled.contains(&&state.created.run)
                && !RunLock::is_held(&folder, &state.created.run)
        };
        for state in status::states(&self.store)?.into_iter().filter(left) {
            let run = &state.created.run;
            if !state.owner.starts_with(&format!("{} pid ", environment::os_identity())) {
                let by = &state.owner;
                self.printer.note(&format!(
                    "run {run} belongs to {by}. If nobody drives it there, run drctl runs cancel {run}"
                ));
                continue;
            }
            self.printer.note(&format!("run {run} was not finished; drctl removes its copy first"));
            // If a run elsewhere cannot be undone, that does not prevent a drill here.
            if let Err(e) = runs::call_off(&self.context, self.printer, &self.store, run, "unfinished drill")
            {
                self.printer.note(&format!("run {run}: {}", e.message));
            }
        }
        Ok(())
    }
}
