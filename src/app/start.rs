//! Starts a run of a plan: from the first observation to its end.

use super::begins::Begins;
use super::context::{Context, SANDBOX_BEGAN};
use super::ending::{Came, Ending};
use super::error::AppError;
use super::foreseen::Foreseen;
use super::interrupt::Interrupts;
use super::prior_runs::PriorRuns;
use super::run_outcome::RunTiming;
use super::run_presenter::{Display, RunPresenter};
use super::stage::Stage;
use super::waived::WaiverRequest;
use super::waves::{Watching, Waves};
use super::{
    adopted, evidence, exit, keys, ledger, prior_runs, rescue, restore, run_outcome, run_stage, run_states,
    waived, whatif,
};
use crate::adapters::sandbox::Sandbox;
use crate::executor::{Ended, Patience, Session, View, create, drive};
use crate::files::{self, Use};
use crate::inventory::Estate;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, StoreError};
use crate::kinds::world::feed::Feed;
use crate::model::duty::Duties;
use crate::model::environment::Environment;
use crate::model::ids::{Digest, PlanName, RunId, SiteName};
use crate::model::intent::{Drill, Intent};
use crate::model::severity::Severity;
use crate::model::terms::Terms;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::one_line;
use crate::plan::Plan;
use crate::planner::assessment::{self, Question};
use crate::planner::{self, Continued, Request};
use crate::probe::Recorder;
use crate::record::event::{EventKind, RunCreated, SCHEMA_VERSION};
use crate::record::runbook::Runbook;
use crate::record::statement::Statement;
use crate::report::history::History;
use crate::run::RunState;
use crate::run::severity::{self, Purpose};
use crate::world::World;

/// How runs are started.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Whether nothing is carried out.
    pub dry_run: bool,
    /// Whether the runbook is confirmed already.
    pub yes: bool,
    /// The given severity.
    pub severity: Option<Severity>,
    /// The incident.
    pub incident: Option<String>,
    /// Whether guards are taken over.
    pub take_over: bool,
    /// What people accept.
    pub waive: WaiverRequest,
}

/// Which runs are started.
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    /// Plans by name or file.
    pub plans: Vec<String>,
    /// All plans of a tier.
    pub tier: Option<String>,
    /// All plans.
    pub all: bool,
    /// The source site.
    pub from: Option<String>,
    /// The target site; empty for the home site of the plan.
    pub to: String,
    /// How they are started.
    pub how: RunOptions,
}

impl StartOptions {
    /// For one plan.
    pub fn one(plan: &str, from: Option<String>, to: String, how: &RunOptions) -> Self {
        Self { plans: vec![plan.to_owned()], from, to, how: how.clone(), ..Self::default() }
    }
}

/// Everything that a command needs to start runs.
pub struct Starting<'a> {
    /// Settings.
    pub context: &'a Context,
    /// Shows people what happens.
    pub presenter: &'a dyn RunPresenter,
    /// The journal.
    pub store: &'a SqliteJournal,
    /// The intent.
    pub intent: Intent,
    /// What was asked for.
    pub options: &'a StartOptions,
    /// When users began to fail, as a person declared it.
    pub outage_began: Option<Timestamp>,
    /// The restore, if it is one.
    pub restore: Option<&'a restore::RestoreRequest>,
    /// What makes it a drill.
    pub drill: Drilled<'a>,
    /// Ctrl-C.
    pub interrupts: Interrupts,
    /// The other plans of the command.
    pub waves: Option<&'a Waves>,
    /// In a dry run of several plans, when each would begin.
    pub foreseen: Option<&'a Foreseen>,
}

/// What makes a run a drill.
#[derive(Clone, Copy, Default)]
pub struct Drilled<'a> {
    /// The mode.
    pub class: Option<Drill>,
    /// How long users stay at the target.
    pub hold: Option<Dur>,
    /// The observation that a rehearsal starts from.
    pub feed: Option<&'a Feed>,
    /// The first move, if this is the return.
    pub returns: Option<&'a RunState>,
    /// The name and the start of its run, if a schedule requested it.
    pub due: Option<(&'a RunId, Timestamp)>,
    /// Whether a schedule requested it. An interrupt then ends the observation before its run.
    pub scheduled: bool,
    /// Whether the confirmation of the first move included this one.
    pub confirmed: bool,
}

impl Starting<'_> {
    /// The target site: the given one, or the home site of the plan.
    pub fn to(&self, plan: &Plan) -> SiteName {
        match self.options.to.as_str() {
            "" => plan.home.value.clone(),
            said => SiteName::new(said),
        }
    }

    /// Runs each plan in turn.
    ///
    /// # Errors
    /// If one cannot begin, or its journal cannot be written.
    pub fn in_turn(&self, plans: &[Plan]) -> Result<Vec<Ending>, AppError> {
        let (mut told, foreseen) = (Vec::new(), Foreseen::default());
        let several = (plans.len() > 1).then_some(&foreseen);
        let one = Starting { foreseen: several, interrupts: self.interrupts.clone(), ..*self };
        for plan in plans {
            let ending = one.plan(plan)?;
            foreseen.note(plan, &ending);
            told.push(ending);
            if self.interrupts.count() > 0 {
                break;
            }
        }
        Ok(told)
    }

    /// The world that the run acts on.
    fn stage(&self, plan: &Plan) -> Result<Stage, AppError> {
        let scenario = self.context.scenario()?;
        match (scenario, self.drill.returns, self.drill.feed) {
            (Some(_), Some(first), _) => {
                let stage =
                    run_stage::stage_later(self.presenter, self.store, first, self.context, Dur::secs(5))?;
                stage.sandbox.iter().for_each(|sandbox| sandbox.anew(stage.world.now()));
                Ok(stage)
            }
            (Some(scenario), None, Some(feed)) => {
                let (seed, pace) = (self.context.seed(), self.context.pace());
                Ok(Stage::rehearsal(plan, &scenario, seed, (feed.at, Some(feed)), pace))
            }
            (Some(scenario), None, None) => {
                let began = self.drill.due.map_or(SANDBOX_BEGAN, |(_, begins)| begins);
                let (seed, pace) = (self.context.seed(), self.context.pace());
                Ok(Stage::rehearsal(plan, &scenario, seed, (began, None), pace))
            }
            _ => Stage::live_or_rehearsal(self.context, plan, Some(&self.to(plan))),
        }
    }

    /// Recovers one plan, from the first observation to the end of its run.
    ///
    /// # Errors
    /// If it cannot begin, or its journal cannot be written.
    pub fn plan(&self, plan: &Plan) -> Result<Ending, AppError> {
        let clock = World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?;
        let began = clock.now();
        let stage = self.stage(plan)?;
        let history = run_states::history(self.store, &plan.name)?;
        let display = match self.waves.filter(|waves| waves.side_by_side) {
            Some(_) => Display::Beside(&plan.name),
            None => Display::Alone(stage.pace(self.context.pace())),
        };
        let progress = self.presenter.progress(display, history.clone());
        let watching = self.waves.map(|waves| Watching { inner: &*progress, waves, plan: &plan.name });
        let view: &dyn View = watching.as_ref().map_or(&*progress, |w| w);
        let interrupts = self.interrupts.clone();
        let count = move || interrupts.count();
        let patience = if self.presenter.is_interactive() { Patience::Wait } else { Patience::Stop };
        let session = stage.session(self.store, view, &count, patience);
        let world_began = stage.world.now();
        let ended = stage.world.block_on(self.recover(&stage, &session, (plan, &history)));
        progress.finish();
        let told = RunTiming {
            real: clock.now().since(began),
            passed: stage.sandbox.is_some().then(|| stage.world.now().since(world_began)),
            ..RunTiming::shown(true)
        };
        match ended? {
            Before::Refused(refusals) => {
                self.presenter.refused(&plan.name, &refusals);
                let came = Came::Refused(self.intent, self.to(plan), refusals);
                Ok(Ending::without(plan.name.as_str(), exit::REFUSED, came))
            }
            Before::Shown(begins, runbook) => {
                Ok(Ending::without(plan.name.as_str(), exit::DONE, Came::Shown(begins, runbook)))
            }
            Before::Nothing => {
                self.presenter.note(&run_outcome::idle(plan, self.intent, self.to(plan).as_str()));
                // A live drill that would move no users must not count as done.
                let idle = self.drill.class == Some(Drill::Live) && self.drill.returns.is_none();
                let code = if idle { exit::NOT_RECOVERED } else { exit::DONE };
                let came = Came::Nothing(self.intent, self.to(plan));
                Ok(Ending::without(plan.name.as_str(), code, came))
            }
            Before::Needs(first) => {
                let words =
                    format!("{}: not started, because it needs {first}, which does not serve", plan.name);
                self.presenter.note(&words);
                let code = self.waves.map_or(exit::NOT_RECOVERED, |waves| waves.code_of(&first));
                Ok(Ending::without(plan.name.as_str(), code, Came::NeededFirst(first)))
            }
            Before::Ran(ended) => {
                let truth = stage.sandbox.as_ref().map(Sandbox::truth);
                let phase = run_outcome::phase(&ended.state);
                Ok(self.tell(*ended, RunTiming { truth, phase, ..told }))
            }
        }
    }

    fn tell(&self, mut ended: Ended, timing: RunTiming) -> Ending {
        ended.state.ask_as_of(ended.state.last_at);
        // A screen for each of many plans would push the summary out of sight.
        let held_back = self.waves.is_some_and(|waves| waves.many);
        let ending = Ending { held_back, ..Ending::of_run(ended, timing) };
        if !held_back {
            self.presenter.ended(&ending);
        }
        ending
    }

    async fn recover(
        &self,
        stage: &Stage,
        session: &Session<'_>,
        (plan, history): (&Plan, &History),
    ) -> Result<Before, AppError> {
        let mut recorder = Recorder::new(self.context.settings.probe_consecutive);
        self.names_exist(plan)?;
        let mut turns = match self.wait_for_its_turn(stage, session, plan, &mut recorder).await {
            Ok(turns) => turns,
            Err(first) => return Ok(Before::Needs(first)),
        };
        let (run, _lock) = self.claim(stage, plan)?;
        let scope = if stage.sandbox.is_some() { run.as_str() } else { plan.name.as_str() };
        let look = self.look_around(stage, session, plan, (&mut recorder, scope));
        let scheduled = self.drill.scheduled;
        let (more, seen) = self.interrupts.end_scheduled(session.world, scheduled, look).await?;
        turns.extend(more);
        self.possible(plan, &seen, session.world.now())?;
        let mut seen = seen;
        let look = self.wanted(stage, session, (plan, &run), &mut seen);
        let wanted = match self.interrupts.end_scheduled(session.world, scheduled, look).await? {
            Ok(wanted) => wanted,
            Err(refusal) => return Ok(Before::Refused(vec![refusal])),
        };
        // Each rehearsal has its own estate, without the changes of other rehearsals.
        let held = match &stage.sandbox {
            Some(_) => PriorRuns::default(),
            None => prior_runs::held(self.store, plan, (self.intent, &self.to(plan)))?,
        };
        adopted::mention(self.presenter, self.store, &plan.name)?;
        // A tabletop drill only reads, so it replaces no earlier run.
        let only_read = self.drill.class == Some(Drill::Tabletop);
        let _old = if only_read { None } else { held.lock(self.store)? };
        if run_outcome::nothing_moves(plan) {
            return Ok(Before::Nothing);
        }
        let mut runbook = match self.derive(plan, (&seen, &held), session.world.now(), (&run, wanted))? {
            Ok(runbook) => runbook,
            Err(refusals) => {
                return Ok(Before::Refused(refusals));
            }
        };
        if runbook.is_empty() {
            return Ok(Before::Nothing);
        }
        runbook.notes.extend(self.drill.feed.map(Feed::notes).unwrap_or_default());
        if only_read {
            runbook.notes.extend(losses(plan, &seen, &runbook, session.world.now()));
        }
        let begins = self.foreseen.map_or(Begins::AtOnce, |foreseen| foreseen.begins(plan));
        if only_read || self.options.how.dry_run {
            self.presenter.runbook(&runbook, history, &begins, self.context.signs_as().as_deref());
        }
        if self.options.how.dry_run {
            return Ok(Before::Shown(begins, Box::new(runbook)));
        }
        if let Some(refusal) = self.agreed(plan, (&runbook, history), session.world)? {
            return Ok(Before::Refused(vec![refusal]));
        }
        let old = held.continues.as_ref().filter(|_| !only_read);
        let terms = self.terms(stage).await;
        let created = continuing(self.created(stage, plan, &seen, (&runbook, terms), run), old, &runbook);
        let created = self.signed(stage, created, runbook.to.as_str())?;
        self.carry_out(stage, session, created, (&held, turns, recorder)).await
    }

    /// Creates the run, and drives it to its end.
    async fn carry_out(
        &self,
        stage: &Stage,
        session: &Session<'_>,
        created: RunCreated,
        (held, turns, recorder): (&PriorRuns, Vec<EventKind>, Recorder),
    ) -> Result<Before, AppError> {
        let old = held.continues.as_ref().filter(|_| created.continues.is_some());
        if let Some(sandbox) = &stage.sandbox {
            let keep = self.store.notes(&created.run);
            if let Some(feed) = self.drill.feed {
                keep(feed.at, &feed.bytes());
            }
            sandbox.keep(Box::new(keep));
        }
        let owned = create::create(session, created, &run_stage::owner(stage), held.seen_before(turns), old)?;
        let (run, work) = (owned.run.clone(), drive::drive(session, owned, recorder));
        let ended = evidence::kept((self.context, self.presenter, session), self.store, &run, work).await;
        let ended = ended.map_err(|e| rescue::told(self.context, self.store, &run, e))?;
        // It ended when this one took its place.
        if let Some(old) = old {
            evidence::let_go((self.context, self.presenter), self.store, session.world.now(), &old.run);
        }
        Ok(Before::Ran(Box::new(ended)))
    }

    /// Checks that the requested outage time is possible, and that the credentials for the target site work.
    fn possible(&self, plan: &Plan, seen: &Estate, now: Timestamp) -> Result<(), AppError> {
        if let Some(future) = self.outage_began.filter(|began| *began > now) {
            return Err(AppError::usage(format!(
                "--outage-began {future} is in the future; it is {now} now"
            )));
        }
        let to = self.to(plan);
        let closed = whatif::closed(plan, &to, seen);
        closed.map_or(Ok(()), |(place, why)| Err(AppError::credentials(place, why)))
    }

    /// The restore, with the backups that it needs.
    async fn wanted(
        &self,
        stage: &Stage,
        session: &Session<'_>,
        (plan, run): (&Plan, &RunId),
        seen: &mut Estate,
    ) -> Result<Result<Option<planner::Wanted>, planner::Refusal>, AppError> {
        let Some(asked) = self.restore else { return Ok(Ok(None)) };
        self.presenter.note(&format!("{}: looking for backups for that point in time", plan.name));
        let to = self.to(plan);
        Ok(restore::look(asked, (stage, session, self.store), (plan, &to, run), seen).await?.map(Some))
    }

    fn derive(
        &self,
        plan: &Plan,
        (seen, held): (&Estate, &PriorRuns),
        now: Timestamp,
        (run, restore): (&RunId, Option<planner::Wanted>),
    ) -> Result<Result<Runbook, Vec<planner::Refusal>>, AppError> {
        let request = Request {
            intent: self.intent,
            from: self.options.from.as_ref().map(|f| SiteName::new(&**f)),
            to: self.to(plan),
            waivers: self.waivers_of(plan)?,
            outage_declared: self.outage_began.is_some(),
            rehearsed: self.context.is_rehearsal(),
            holder: self.holder(run)?,
            run: run.clone(),
            restore,
            drill: self.drill.class,
            returns: self.drill.returns.is_some(),
            hold: self.drill.hold,
            severity: self.options.how.severity,
        };
        let guard = self.context.guard_of(plan);
        let input = held.input(self.context, plan, (seen, now), &request, guard.as_ref());
        Ok(planner::plan_run(&input).inspect(|runbook| {
            waived::doubtful(self.presenter, &request.waivers, (plan, runbook), (seen, now));
        }))
    }

    /// The name under which guards are held, which tells other operators whom to call. The same for every user in rehearsals.
    fn holder(&self, run: &RunId) -> Result<String, AppError> {
        Ok(match self.context.scenario()? {
            Some(_) => run.to_string(),
            None => match self.context.signs_as() {
                Some(name) => format!("run {run} of {name}"),
                None => format!("run {run} of {}", self.context.person()),
            },
        })
    }

    /// A free run ID and its lock. Two processes that start at the same time get different ones.
    fn claim(&self, stage: &Stage, plan: &Plan) -> Result<(RunId, Option<RunLock>), AppError> {
        let folder = Context::lock_folder(self.store);
        if let Some((run, _)) = self.drill.due {
            let lock = RunLock::take(&folder, run)?;
            return match self.store.own(run)? {
                None => Ok((run.clone(), Some(lock))),
                Some(_) => Err(AppError::usage(format!("run {run} was already started"))),
            };
        }
        let mut number = self.store.runs()?.len();
        loop {
            number += 1;
            let run = self.run_id(stage, plan, number);
            // A dry run needs no lock.
            if self.options.how.dry_run {
                return Ok((run, None));
            }
            match RunLock::take(&folder, &run) {
                Ok(lock) if matches!(self.store.read(&run), Err(StoreError::NoRun(_))) => {
                    return Ok((run, Some(lock)));
                }
                Ok(_) | Err(StoreError::Owned(_)) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn run_id(&self, stage: &Stage, plan: &Plan, number: usize) -> RunId {
        let name = &plan.name;
        let intent =
            self.drill.class.map_or_else(|| self.intent.to_string(), |class| format!("drill-{class}"));
        let seed = self.context.seed();
        let now = stage.world.now().digits();
        // The return of a scheduled drill has the same date prefix as its first move.
        let scheduled = self.drill.returns.is_some_and(|first| first.created.run.as_str().contains('~'));
        RunId::new(match &stage.sandbox {
            Some(_) if scheduled => format!("sandbox-{now}-{name}-{intent}-s{seed}-{number}"),
            Some(_) => format!("sandbox-{name}-{intent}-s{seed}-{number}"),
            None => format!("{now}-{name}-{intent}-{:04x}", stage.world.random() & 0xffff),
        })
    }

    fn created(
        &self,
        stage: &Stage,
        plan: &Plan,
        seen: &Estate,
        (runbook, terms): (&Runbook, Terms),
        run: RunId,
    ) -> RunCreated {
        let bytes = runbook.bytes();
        RunCreated {
            run,
            plan: plan.name.clone(),
            runbook_digest: Digest::of_bytes(&bytes),
            runbook: String::from_utf8_lossy(&bytes).into_owned(),
            plan_text: plan.text.clone(),
            inventory_digest: seen.digest(),
            world: stage.kind.clone(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            schema_version: SCHEMA_VERSION,
            requester: self.context.person(),
            reason: self.options.how.waive.reason.as_deref().map(one_line),
            severity: self.context.severity(
                self.options.how.severity,
                self.intent,
                self.drill.class.is_some_and(Drill::has_own_severity),
            ),
            severity_given: None,
            incident: self.options.how.incident.as_deref().map(one_line),
            outage_began: self.outage_began,
            continues: None,
            returns: self.drill.returns.map(|first| first.created.run.clone()),
            authority: self.context.authority(),
            terms_digest: terms.digest(),
            terms,
            duties: self.duties(stage),
        }
    }

    /// What decides the run besides its plan. A path alone does not say which certificates are trusted.
    async fn terms(&self, stage: &Stage) -> Terms {
        let settings = &self.context.settings;
        let mut terms = settings.terms(&self.context.authority(), stage.cloud().endpoints().await);
        let file = settings.sql.ca_path.as_ref().map(|file| files::read(file, Use::Certificates));
        if let Some(Ok(pem)) = file {
            terms.settings.insert("sql.ca_file.sha256".to_owned(), Digest::of_bytes(&pem).to_string());
        }
        terms
    }

    /// The duties of people after a real incident.
    fn duties(&self, stage: &Stage) -> Option<Duties> {
        let policy = &self.context.settings.policy;
        let drill = self.drill.class.is_some();
        let severity = policy.severity(self.options.how.severity, self.intent, drill);
        let test = self.context.settings.environment == Environment::Test;
        let owes = stage.sandbox.is_none() && !test && !drill && self.intent.is_incident();
        (owes && policy.duties.at.contains(&severity)).then(|| policy.duties.clone())
    }

    /// The same with the requester's signature, where runs are signed.
    fn signed(&self, stage: &Stage, created: RunCreated, to: &str) -> Result<RunCreated, AppError> {
        let Some(signer) = self.context.unlock()? else { return Ok(created) };
        // A tabletop review needs no signature.
        if self.drill.class != Some(Drill::Tabletop) {
            keys::somebody_can_approve(&created, &signer.name, &self.context.settings)?;
        }
        let now = ledger::dated(self.presenter, self.store, stage.world.now())?;
        let when = (now, now + keys::GOOD_FOR);
        let requester = signer.sign(Statement::about(&created, to, None), &stage.world, when)?;
        Ok(RunCreated { requester, ..created })
    }
}

/// What the outage of a tabletop drill would lose.
fn losses(plan: &Plan, estate: &Estate, runbook: &Runbook, now: Timestamp) -> Vec<String> {
    let (Some(from), to) = (&runbook.from, &runbook.to) else { return Vec::new() };
    let (closed, refusals) = (None, &[][..]);
    let runbook = Some(runbook);
    assessment::losses(&Question { plan, estate, from, to, closed, refusals, runbook, now })
}

/// How far a plan got.
enum Before {
    Refused(Vec<planner::Refusal>),
    Shown(Begins, Box<Runbook>),
    Nothing,
    /// This plan has to serve users first, and does not.
    Needs(PlanName),
    Ran(Box<Ended>),
}

/// The same run as the continuation of another one, whose more severe severity it keeps.
fn continuing(created: RunCreated, old: Option<&Continued>, runbook: &Runbook) -> RunCreated {
    let Some(old) = old else { return created };
    let purpose = Purpose { intent: runbook.intent, drill: runbook.drill };
    RunCreated { continues: Some(old.run.clone()), ..severity::keeping(created, old.severity, purpose) }
}
