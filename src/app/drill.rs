//! `drctl drill`: a tabletop review, a rehearsal, a test with copies, or a real move and its return.

use super::context::{Context, scenario_named};
use super::ending::Ending;
use super::error::AppError;
use super::interrupt::Interrupts;
use super::restore::Point;
use super::run_presenter::RunPresenter;
use super::stage::Stage;
use super::start::{Drilled, RunOptions, StartOptions, Starting};
use super::waived::WaiverRequest;
use super::{
    active_site, drill_schedules, environment, estate, live_drill, restore, resume, run_states, whatif,
};
use crate::adapters::sandbox;
use crate::executor::{Patience, Silent, create};
use crate::inventory::Estate;
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

/// What is drilled, and how.
#[derive(Clone, Debug)]
pub struct DrillOptions {
    /// The plan, by name or file.
    pub plan: String,
    /// The mode.
    pub mode: Drill,
    /// The target site.
    pub to: Option<String>,
    /// The scenario of a rehearsal.
    pub scenario: Option<String>,
    /// How long users stay at the target.
    pub hold: Option<String>,
    /// The only database to copy.
    pub component: Option<String>,
    /// The point in time of the copies.
    pub point: Point,
    /// How its runs are started.
    pub how: RunOptions,
}

/// Everything that a drill needs.
pub struct Ground<'a> {
    /// Settings.
    pub context: Context,
    /// Shows people what happens.
    pub presenter: &'a dyn RunPresenter,
    /// The journal.
    pub store: SqliteJournal,
    /// The application.
    pub plan: Plan,
    /// What was asked for.
    pub options: &'a DrillOptions,
    /// Where the application is active.
    pub active: SiteName,
    /// The target site.
    pub to: SiteName,
    /// Ctrl-C.
    pub interrupts: Interrupts,
    /// The scheduled drill, if it is one.
    pub due: Option<Due<'a>>,
}

/// A scheduled drill.
#[derive(Clone, Copy)]
pub struct Due<'a> {
    /// The schedule.
    pub schedule: &'a str,
    /// Its definition.
    pub is: &'a Definition,
    /// The due time.
    pub at: Timestamp,
    /// When it starts: later by the jitter, or because it was blocked.
    pub begins: Timestamp,
    /// The world of its runs.
    pub world: StoreWorld,
    /// Its runs, as recorded in the ledger. Later changes of the plan do not matter.
    pub runs: &'a [RunId],
}

impl Due<'_> {
    /// The name of its run.
    fn run(&self, component: Option<&ComponentName>) -> RunId {
        self.is.run(self.world.prefix(), (self.schedule, self.at), component)
    }
}

/// Runs a drill, as requested on the command line or by a schedule.
///
/// # Errors
/// If it cannot begin, or its journal cannot be written.
pub fn hold(
    context: &Context,
    presenter: &dyn RunPresenter,
    options: &DrillOptions,
    (interrupts, due): (&Interrupts, Option<Due<'_>>),
) -> Result<Vec<Ending>, AppError> {
    fits(options)?;
    let intent = match options.mode {
        Drill::Tabletop | Drill::Rehearsal => Intent::Failover,
        Drill::Isolated => Intent::Drill,
        Drill::Live => Intent::Switchover,
    };
    let context = context.clone().with_intent(intent);
    let plan = context.plan(&options.plan, presenter)?;
    if let Some(component) = &options.component {
        whatif::has_database(&plan, &ComponentName::new(&**component))?;
    }
    let store = context.store()?;
    let scenario = context.scenario()?;
    let states = match options.mode {
        Drill::Live => run_states::all(&store)?,
        _ => Vec::new(),
    };
    // Rehearsals hold nothing that another one needs.
    if scenario.is_none() {
        live_drill::over_before(&store, &plan.name, &states)?;
    }
    if options.mode == Drill::Live && live_drill::halfway(&plan.name, &states).is_none() {
        live_drill::moves_somebody(&plan)?;
    }
    let (active, to) = sites((&context, &store), &plan, options, interrupts)?;
    let half = live_drill::halfway(&plan.name, &states).filter(|half| {
        if let Some(scenario) = &scenario {
            return due.is_none() && live_drill::is_estate_of(half, scenario.name, context.seed());
        }
        let (run, left) = (&half.created.run, &half.runbook.to);
        if *left != active {
            presenter.note(&format!("drill {run} left {} in {left}, but it is now in {active}", plan.name));
        }
        *left == active
    });
    if let Some(half) = half {
        live_drill::one_return(&store, half, &states)?;
    }
    // The first move of a scheduled drill may have ended before its process died.
    let there = due.filter(|_| options.mode == Drill::Live);
    let there = there.map(|due| state_of(&store, &due.run(None))).transpose()?.flatten();
    let interrupts = interrupts.clone();
    let ground = Ground { context, presenter, store, plan, options, active, to, interrupts, due };
    Ok(match options.mode {
        Drill::Tabletop => vec![ground.one(Intent::Failover, Drilled::default(), None)?],
        Drill::Rehearsal => vec![ground.rehearsal()?],
        Drill::Isolated => ground.isolated()?,
        Drill::Live => ground.live(there.as_ref().or(half))?,
    })
}

/// A run that counts, if there is such a run.
fn state_of(store: &SqliteJournal, run: &RunId) -> Result<Option<RunState>, AppError> {
    let records = store.own(run)?;
    Ok(records.map(|records| create::replay(run, &records)).transpose()?)
}

/// Refuses options of another mode, because people would expect them to have an effect.
fn fits(options: &DrillOptions) -> Result<(), AppError> {
    if let Some(scenario) = &options.scenario {
        scenario_named(scenario)?;
    }
    live_drill::hold(options.hold.as_deref())?;
    let point = options.point.to_time.is_some()
        || options.point.snapshot.is_some()
        || options.point.timeline.is_some();
    let wrong = [
        ("--scenario", options.scenario.is_some(), Drill::Rehearsal),
        ("--hold", options.hold.is_some(), Drill::Live),
        ("--component", options.component.is_some(), Drill::Isolated),
        ("--to-time, --snapshot and --timeline", point, Drill::Isolated),
    ];
    match wrong.iter().find(|(_, given, mode)| *given && options.mode != *mode) {
        Some((flag, _, mode)) => {
            Err(AppError::usage_fix(format!("{flag} has no effect here"), format!("--mode {mode}")))
        }
        None => Ok(()),
    }
}

/// The active site and the target site.
fn sites(
    (context, store): (&Context, &SqliteJournal),
    plan: &Plan,
    options: &DrillOptions,
    interrupts: &Interrupts,
) -> Result<(SiteName, SiteName), AppError> {
    // Copies can be made in any site, the active one included.
    if let (Drill::Isolated, Some(to)) = (options.mode, &options.to) {
        let to = SiteName::new(&**to);
        whatif::has_site(plan, &to)?;
        return Ok((to.clone(), to));
    }
    let fix = "run drctl observe to see what does not answer; a drill needs complete observations";
    let active = active_site::active_site(context, store, plan, (fix, interrupts))?;
    let to = whatif::target(plan, &active, options.to.as_deref())?;
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
        restore: Option<&restore::RestoreRequest>,
    ) -> Result<Ending, AppError> {
        self.over((&self.context, &self.store), intent, drill, restore)
    }

    fn over(
        &self,
        (context, store): (&Context, &SqliteJournal),
        intent: Intent,
        drill: Drilled<'_>,
        restore: Option<&restore::RestoreRequest>,
    ) -> Result<Ending, AppError> {
        let (from, to) = match drill.returns {
            Some(first) => {
                let home = first.runbook.from.clone().unwrap_or_else(|| self.plan.home.value.clone());
                (first.runbook.to.clone(), home)
            }
            None => (self.active.clone(), self.to.clone()),
        };
        let from = (intent != Intent::Drill).then(|| from.to_string());
        let mut options = StartOptions::one(&self.options.plan, from, to.to_string(), &self.options.how);
        if drill.returns.is_some() {
            // The confirmation of the first move includes the return, but its waivers do not.
            options.how.yes |= drill.confirmed;
            (options.how.waive, options.how.take_over) = (WaiverRequest::default(), false);
        }
        // The return has its own name.
        let run = self.due.filter(|_| drill.returns.is_none()).map(|due| {
            let component = restore.map(restore::RestoreRequest::component);
            (due.run(component), due.begins)
        });
        let due = run.as_ref().map(|(run, begins)| (run, *begins));
        Starting {
            context,
            presenter: self.presenter,
            store,
            intent,
            options: &options,
            outage_began: None,
            restore,
            drill: Drilled { class: Some(self.options.mode), due, scheduled: self.due.is_some(), ..drill },
            interrupts: self.interrupts.clone(),
            waves: None,
            foreseen: None,
        }
        .plan(&self.plan)
    }

    /// Observes everything. Returns the observation and its time by the clock of the observed world.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub fn look(&self) -> Result<(Estate, Timestamp), AppError> {
        let stage = Stage::live_or_rehearsal(&self.context, &self.plan, Some(&self.to))?;
        let session = stage.session(&self.store, &Silent, &|| 0, Patience::Stop);
        let recorder = Recorder::new(self.context.settings.probe_consecutive);
        let scope = (&self.store, self.plan.name.as_str());
        let look = estate::look(&session, scope, &self.plan, None, &recorder);
        let early = self.interrupts.end_scheduled(&stage.world, self.due.is_some(), look);
        let seen = stage.world.block_on(early)?;
        Ok((seen, stage.world.now()))
    }

    /// Observes everything, and simulates the loss of the active site from that state.
    fn rehearsal(&self) -> Result<Ending, AppError> {
        self.presenter.note(&format!("{}: observing the state to start the rehearsal with", self.plan.name));
        // The rehearsal continues the clock of the observation. Otherwise the difference of two clocks would look like an age.
        let (seen, at) = self.look()?;
        let feed = sandbox::feed(&self.plan, &seen, self.active.clone(), at);
        let scenario = self.options.scenario.as_deref().unwrap_or("region-lost");
        let context = self.context.rehearsing(scenario);
        let store = context.store()?;
        self.over(
            (&context, &store),
            Intent::Failover,
            Drilled { feed: Some(&feed), ..Drilled::default() },
            None,
        )
    }

    /// Makes, verifies and removes a copy of each database. First removes copies that an earlier drill left.
    fn isolated(&self) -> Result<Vec<Ending>, AppError> {
        if !self.options.how.dry_run && self.context.scenario()?.is_none() {
            self.reap()?;
        }
        let stores = self.plan.components.values().filter(|c| Component::is_store(c)).map(|c| c.name.clone());
        let components: Vec<_> = match &self.options.component {
            Some(named) => vec![ComponentName::new(&**named)],
            None => stores.collect(),
        };
        if components.is_empty() {
            return Err(AppError::usage_fix(
                format!("plan {} has no database to copy", self.plan.name),
                "use --mode rehearsal or --mode live",
            ));
        }
        let mut told = Vec::new();
        for component in components {
            // Skip runs that another process has started.
            let run = self.due.map(|due| (due.run(Some(&component)), due.runs));
            if let Some((run, due)) = run
                && (!due.contains(&run) || self.store.own(&run)?.is_some())
            {
                continue;
            }
            let asked =
                restore::RestoreRequest::new(component.as_str(), &self.options.point, Some(Drill::Isolated))?;
            let ended = self.one(Intent::Drill, Drilled::default(), Some(&asked));
            told.push(ended.unwrap_or_else(|e| Ending::failed(self.presenter, &self.plan.name, e)));
            if self.interrupts.count() > 0 {
                break;
            }
        }
        Ok(told)
    }

    /// Cancels isolated drills that no process drives, and removes their copies with proof.
    fn reap(&self) -> Result<(), AppError> {
        let folder = Context::lock_folder(&self.store);
        // Scheduled drills belong to their server, and may wait for a person.
        let known = drill_schedules::known(&self.store)?;
        let scheduled: Vec<&RunId> = known.open().into_iter().flat_map(|(_, runs)| runs).collect();
        let left = |state: &RunState| {
            state.created.plan == self.plan.name
                && state.created.world == WorldKind::Live
                && state.runbook.intent == Intent::Drill
                && !state.finished()
                && !scheduled.contains(&&state.created.run)
                && !RunLock::is_held(&folder, &state.created.run)
        };
        for state in run_states::all(&self.store)?.into_iter().filter(left) {
            let run = &state.created.run;
            if !state.owner.starts_with(&format!("{} pid ", environment::os_identity())) {
                let by = &state.owner;
                self.presenter.note(&format!(
                    "run {run} belongs to {by}. If nobody drives it there, run drctl runs cancel {run} --reason TEXT"
                ));
                continue;
            }
            self.presenter.note(&format!("run {run} was not finished; drctl removes its copy first"));
            // If a run elsewhere cannot be undone, that does not prevent a drill here.
            if let Err(e) =
                resume::call_off(&self.context, self.presenter, &self.store, run, "unfinished drill")
            {
                self.presenter.note(&format!("run {run}: {}", e.message));
            }
        }
        Ok(())
    }
}
