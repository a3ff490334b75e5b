//! What runs without a process left behind: pending fences, which drctl tries to set when the old primary first answers, and promotions
//! that may still happen. A thread of its own checks it, so that no drill and no readiness check delays a fence.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures_util::future::{Either, pending, select, select_all};
use serde_json::json;

use super::presenter::{ServerPresenter, Tone, fence_event};
use crate::app::background::{Background, Hand};
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::in_doubt::Left;
use crate::app::interrupt::Interrupts;
use crate::app::presenter::Presenter;
use crate::app::stage::Stage;
use crate::app::{in_doubt, pending_fences, resume, run_states};
use crate::executor::{Patience, Session, Silent, sentry, survey};
use crate::inventory::{Estate, Observation};
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::{State, Target};
use crate::model::ids::{PlanName, RunId};
use crate::model::time::{Dur, Timestamp};
use crate::planner::Debt;
use crate::record::event::WorldKind;
use crate::run::RunState;
use crate::world::World;

/// How often the settings are read, and drills that wait are checked.
pub(super) const FOLLOW: Dur = Dur::secs(30);
/// How often effects in doubt are checked.
const DOUBTS: Dur = Dur::secs(10);
/// How long after a failed try to set a pending fence drctl tries again, while the old primary continues to answer.
const AGAIN: Dur = Dur::mins(5);
/// How often it checks whether the server ends.
const END: Dur = Dur(200);
/// How long the thread waits after an error.
const AFTER_ERROR: Dur = Dur::secs(1);
/// How long the end of the server waits for a fence that is being set.
const AFTERWARDS: Dur = Dur::secs(10);

/// The thread that watches, and the settings that it follows.
pub(super) struct Watch {
    thread: Background,
    context: Arc<Mutex<Context>>,
}

impl Watch {
    /// # Errors
    /// If the operating system cannot start a thread.
    pub(super) fn begin(context: &Context, presenter: &Arc<dyn ServerPresenter>) -> std::io::Result<Self> {
        let shared = Arc::new(Mutex::new(context.clone()));
        let (context, presenter) = (Arc::clone(&shared), Arc::clone(presenter));
        let thread = Background::begin("watch", move |hand| watch(&context, &presenter, &hand))?;
        Ok(Self { thread, context: shared })
    }

    /// Replaces the settings.
    pub(super) fn follow(&self, context: &Context) {
        if let Ok(mut own) = self.context.lock() {
            own.clone_from(context);
        }
    }

    /// Prints errors since the last call.
    pub(super) fn tell(&self, presenter: &dyn Presenter) {
        self.thread.tell(presenter);
    }

    pub(super) fn is_gone(&self) -> bool {
        self.thread.is_gone()
    }

    pub(super) fn end(self, presenter: &dyn Presenter, interrupts: &Interrupts) {
        let late = "a pending fence is still being set; the next drctl serve continues to try it";
        self.thread.end(AFTERWARDS, late, (presenter, interrupts));
    }
}

fn watch(context: &Mutex<Context>, presenter: &Arc<dyn ServerPresenter>, hand: &Hand) {
    let Ok(world) = World::live() else { return };
    let mut watcher: Option<Watcher> = None;
    while !hand.ends() {
        let Ok(context) = context.lock().map(|context| context.clone()) else { return };
        let begun = match watcher.take() {
            Some(same) => same.follow(context),
            None => Watcher::new(context, Arc::clone(presenter)),
        };
        let done = begun.and_then(|mut begun| {
            let done = begun.round(hand);
            watcher = Some(begun);
            done
        });
        if let Err(e) = done {
            hand.say(format!("no check of pending fences: {}", e.message));
            world.block_on(world.sleep_until(world.now() + AFTER_ERROR));
        }
    }
}

struct Watcher {
    context: Context,
    presenter: Arc<dyn ServerPresenter>,
    store: SqliteJournal,
    stage: Stage,
    read_at: Option<Timestamp>,
    doubted_at: Option<Timestamp>,
    debts: Vec<Debt>,
    left: Vec<Left>,
    /// Who answered the last check, by target.
    answered: BTreeMap<String, String>,
    tried: BTreeMap<RunId, Timestamp>,
    /// What was reported about effects in doubt.
    said: BTreeSet<String>,
}

/// What a round found.
enum RoundResult {
    /// The servers of effects in doubt.
    Doubts(Vec<(Target, Observation)>),
    /// Pending fences to try, and who answered.
    Due(BTreeMap<RunId, (String, String)>),
    Nothing,
}

fn signs(debt: &Debt) -> BTreeSet<Target> {
    debt.rungs.iter().flat_map(|rung| Target::signs_of(&rung.db)).collect()
}

impl Watcher {
    fn new(context: Context, presenter: Arc<dyn ServerPresenter>) -> Result<Self, AppError> {
        let (store, stage) = (context.store()?, Stage::live(&context.settings, None)?);
        Ok(Self {
            context,
            presenter,
            store,
            stage,
            read_at: None,
            doubted_at: None,
            debts: Vec::new(),
            left: Vec::new(),
            answered: BTreeMap::new(),
            tried: BTreeMap::new(),
            said: BTreeSet::new(),
        })
    }

    /// The clients stay the same as long as the settings do, so that a check needs no new credentials.
    fn follow(mut self, context: Context) -> Result<Self, AppError> {
        if context.settings_text != self.context.settings_text {
            self.stage = Stage::live(&context.settings, None)?;
        }
        self.context = context;
        Ok(self)
    }

    fn now(&self) -> Timestamp {
        self.stage.world.shown()
    }

    /// Checks everything that earlier runs left until there is something to do, and does it.
    fn round(&mut self, hand: &Hand) -> Result<(), AppError> {
        let now = self.now();
        if self.read_at.is_none_or(|at| now.since(at) >= FOLLOW) {
            self.read_what_was_left(now)?;
        }
        let mut answered = std::mem::take(&mut self.answered);
        let found = {
            let (view, none) = (Silent, || 0);
            let session = self.stage.session(&self.store, &view, &none, Patience::Stop);
            self.stage.world.block_on(self.look(&session, &mut answered, hand))
        };
        self.answered = answered;
        match found {
            RoundResult::Doubts(seen) => {
                self.doubted_at = Some(now);
                let mut estate = Estate::default();
                seen.into_iter().for_each(|(target, seen)| estate.add(&target, seen, None));
                self.tell_doubts(&estate, now);
            }
            RoundResult::Due(due) => self.pay(due)?,
            RoundResult::Nothing => {}
        }
        Ok(())
    }

    /// Each group of signs of life is checked once a second, and servers with effects in doubt more rarely.
    async fn look(
        &self,
        session: &Session<'_>,
        answered: &mut BTreeMap<String, String>,
        hand: &Hand,
    ) -> RoundResult {
        let until = session.world.now() + FOLLOW.min(DOUBTS);
        let mut groups: BTreeMap<String, Vec<Target>> = BTreeMap::new();
        for target in self.debts.iter().flat_map(signs).collect::<BTreeSet<_>>() {
            groups.entry(target.poll_group()).or_default().push(target);
        }
        let answered = std::cell::RefCell::new(answered);
        let wanted = || !hand.ends() && session.world.now() < until;
        let signs = groups.values().map(|targets| {
            Box::pin(sentry::every_second(session, targets, wanted, |seen| self.due(&answered, seen)))
        });
        let signs = signs.collect::<Vec<_>>();
        let came = async {
            // Without a debt there is nothing to check until the store is read again.
            if signs.is_empty() {
                sentry::every_second(session, &[], wanted, |_| None::<()>).await;
                return None;
            }
            let mut left = signs;
            while !left.is_empty() {
                let (due, _, others) = select_all(left).await;
                if due.is_some() {
                    return due;
                }
                left = others;
            }
            None
        };
        let servers: BTreeSet<Target> = self
            .left
            .iter()
            .filter(|_| self.doubted_at.is_none_or(|at| self.now().since(at) >= DOUBTS))
            .filter_map(|left| left.effect.promotes())
            .map(|db| Target::Database(db.clone()))
            .collect();
        let servers: Vec<Target> = servers.into_iter().collect();
        let doubts = async {
            match servers.is_empty() {
                true => pending().await,
                false => survey::look(session, &servers, sentry::LOOK).await,
            }
        };
        // A place that does not answer delays no end of the server.
        let ended = async {
            while !hand.ends() {
                session.world.sleep_until(session.world.now() + END).await;
            }
        };
        match select(select(pin!(doubts), pin!(came)), pin!(ended)).await {
            Either::Left((Either::Left((seen, _)), _)) => RoundResult::Doubts(seen),
            Either::Left((Either::Right((Some(due), _)), _)) => RoundResult::Due(due),
            Either::Left((Either::Right((None, _)), _)) | Either::Right(_) => RoundResult::Nothing,
        }
    }

    /// Pending fences of places that answer: at the first answer, and from time to time while they keep answering.
    fn due(
        &self,
        answered: &std::cell::RefCell<&mut BTreeMap<String, String>>,
        seen: &[(Target, Observation)],
    ) -> Option<BTreeMap<RunId, (String, String)>> {
        let (mut answered, now) = (answered.borrow_mut(), self.now());
        let mut due = BTreeMap::new();
        for (target, seen) in seen {
            let Some(State::Alive(alive)) = seen.state() else {
                answered.remove(&target.key());
                continue;
            };
            let first = answered.insert(target.key(), alive.who.clone()).is_none();
            for debt in self.debts.iter().filter(|debt| signs(debt).contains(target)) {
                if first || self.tried.get(&debt.run).is_none_or(|at| now.since(*at) >= AGAIN) {
                    due.insert(debt.run.clone(), (debt.component.to_string(), alive.who.clone()));
                }
            }
        }
        (!due.is_empty()).then_some(due)
    }

    fn read_what_was_left(&mut self, now: Timestamp) -> Result<(), AppError> {
        let live = run_states::all(&self.store)?.into_iter().filter(|r| r.created.world == WorldKind::Live);
        let mut plans: BTreeMap<PlanName, Vec<RunState>> = BTreeMap::new();
        for run in run_states::undriven(&self.store, live.collect()) {
            plans.entry(run.created.plan.clone()).or_default().push(run);
        }
        let over =
            |runs: &[RunState], run: &RunId| runs.iter().any(|r| r.created.run == *run && r.finished());
        let debts = |runs: &Vec<RunState>| -> Vec<Debt> {
            pending_fences::debts(runs).into_iter().filter(|debt| over(runs, &debt.run)).collect()
        };
        self.debts = plans.values().flat_map(debts).collect();
        self.left = plans.values().flat_map(|runs| in_doubt::left(runs, now)).collect();
        self.read_at = Some(now);
        Ok(())
    }

    /// Reports each effect when it is found, and when it took effect.
    fn tell_doubts(&mut self, estate: &Estate, now: Timestamp) {
        for left in &self.left {
            let took = left.took_effect(estate, now);
            let words = left.words(took);
            if self.said.insert(words.clone()) {
                let more = json!({"in_doubt": left.json(took)});
                let words = self.presenter.toned(Tone::Bad, &words);
                self.presenter.event(now, if took { "took_effect" } else { "in_doubt" }, &more, &words);
            }
        }
    }

    fn pay(&mut self, due: BTreeMap<RunId, (String, String)>) -> Result<(), AppError> {
        for (run, (component, who)) in due {
            self.tried.insert(run.clone(), self.now());
            let words =
                format!("{who} answers. drctl now tries the pending fence of {component} from run {run}");
            let more = json!({"run": run, "component": component, "who": who});
            self.presenter.event(
                self.now(),
                "place_answered",
                &more,
                &self.presenter.toned(Tone::Doubtful, &words),
            );
            let quiet = self.presenter.quiet(true);
            if let Err(e) = resume::pay(&self.context, &*quiet, &self.store, &run) {
                self.presenter.note(&format!("run {run} cannot set its pending fence: {}", e.message));
            }
            self.read_what_was_left(self.now())?;
            let owed = self.debts.iter().any(|debt| debt.run == run);
            fence_event(&*self.presenter, self.now(), ("drctl", &run), &component, owed);
        }
        Ok(())
    }
}
