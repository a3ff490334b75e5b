//! What runs without a process left behind, checked between drills: pending fences, which drctl tries to set when the old primary first
//! answers, and promotions that may still happen.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{Clock, FOLLOW, Server};
use crate::cli::commands::in_doubt::{self, Left};
use crate::cli::commands::stage::Stage;
use crate::cli::commands::{runs, status};
use crate::cli::error::CliError;
use crate::cli::printer::{RED, YELLOW};
use crate::executor::{Patience, Silent, survey};
use crate::inventory::Estate;
use crate::journal::Journal as _;
use crate::kinds::{State, Target};
use crate::model::ids::{PlanName, RunId};
use crate::model::time::{Dur, Timestamp};
use crate::planner::Debt;
use crate::record::event::WorldKind;
use crate::run::RunState;

/// Limit on one check for an answer.
const LOOK: Dur = Dur(2_500);
/// How often effects in doubt are checked.
const DOUBTS: Dur = Dur::secs(10);
/// How long after a failed try to set a pending fence drctl tries again, while the old primary continues to answer.
const AGAIN: Dur = Dur::mins(5);

/// What is watched.
#[derive(Default)]
pub(super) struct Watch {
    stage: Option<Stage>,
    read_at: Option<Timestamp>,
    doubted_at: Option<Timestamp>,
    debts: Vec<Debt>,
    left: Vec<Left>,
    /// Who answered the last check, by target.
    answered: BTreeMap<String, String>,
    tried: BTreeMap<RunId, Timestamp>,
    /// The number of runs in a rehearsal when it was last searched for pending fences.
    runs: usize,
    /// What was reported about effects in doubt.
    said: BTreeSet<String>,
}

fn signs(debt: &Debt) -> Vec<Target> {
    let all = debt.rungs.iter().flat_map(|rung| Target::signs_of(&rung.db));
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

impl Server<'_> {
    /// Checks everything that earlier runs left, and acts on the result.
    pub(super) fn watch(&mut self) -> Result<(), CliError> {
        if !matches!(self.clock, Clock::Live(_)) {
            return Ok(());
        }
        let now = self.now();
        if self.watching.read_at.is_none_or(|at| now.since(at) >= FOLLOW) {
            self.read_what_was_left(now)?;
        }
        let doubts = self.watching.doubted_at.is_none_or(|at| now.since(at) >= DOUBTS);
        let servers = self.watching.left.iter().filter(|_| doubts).filter_map(|left| left.effect.promotes());
        let servers: BTreeSet<Target> = servers.map(|db| Target::Database(db.clone())).collect();
        let targets: Vec<Target> = self
            .watching
            .debts
            .iter()
            .flat_map(signs)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .chain(servers)
            .collect();
        if targets.is_empty() {
            return Ok(());
        }
        if doubts {
            self.watching.doubted_at = Some(now);
        }
        let stage = match self.watching.stage.take() {
            Some(stage) => stage,
            None => Stage::live(&self.context.settings, None)?,
        };
        let seen = {
            let (view, none) = (Silent, || 0);
            let session = stage.session(&self.store, &view, &none, Patience::Stop);
            stage.world.block_on(survey::look(&session, &targets, LOOK))
        };
        self.watching.stage = Some(stage);
        let mut estate = Estate::default();
        let before = std::mem::take(&mut self.watching.answered);
        for (target, seen) in seen {
            if let Some(State::Alive(alive)) = seen.state() {
                self.watching.answered.insert(target.key(), alive.who.clone());
            }
            estate.add(&target, seen, None);
        }
        if doubts {
            self.tell_doubts(&estate, now);
        }
        self.pay_debts(&before, now)
    }

    /// In a rehearsal, a lost site returns without anybody watching, if its scenario says so. Each pending fence is tried once,
    /// an hour later. Returns whether one was tried.
    pub(super) fn pay_rehearsed(&mut self) -> Result<bool, CliError> {
        let runs = self.store.runs()?.len();
        if std::mem::replace(&mut self.watching.runs, runs) == runs {
            return Ok(false);
        }
        let mut tried = false;
        let states = status::states(&self.store)?;
        for debt in status::debts(&states) {
            let (run, component) = (&debt.run, &debt.component);
            let over = states.iter().any(|s| s.created.run == *run && s.finished());
            if !over || self.watching.tried.contains_key(run) {
                continue;
            }
            self.watching.tried.insert(run.clone(), self.now());
            tried = true;
            if let Err(e) = runs::pay(&self.context, &self.quiet().silent(), &self.store, run) {
                self.printer
                    .note(&format!("drctl could not set the pending fence of run {run}: {}", e.message));
            }
            let state = runs::read(&self.store, run)?;
            if let Clock::Rehearsed(now) = &mut self.clock {
                *now = state.last_at.max(*now);
            }
            self.told_of_fence(run, component.as_str(), state.owed().any(|c| c == component));
        }
        Ok(tried)
    }

    fn told_of_fence(&self, run: &RunId, component: &str, owed: bool) {
        let show = if self.context.is_rehearsal() { "drctl --sandbox runs show" } else { "drctl runs show" };
        let words =
            if owed { format!("is still pending; {show} {run} shows why") } else { "is set".to_owned() };
        let words = format!("the fence of {component} that run {run} left pending {words}");
        self.say("fence", &json!({"run": run, "owed": owed}), &words);
    }

    fn read_what_was_left(&mut self, now: Timestamp) -> Result<(), CliError> {
        let live = status::states(&self.store)?.into_iter().filter(|r| r.created.world == WorldKind::Live);
        let mut plans: BTreeMap<PlanName, Vec<RunState>> = BTreeMap::new();
        for run in status::undriven(&self.store, live.collect()) {
            plans.entry(run.created.plan.clone()).or_default().push(run);
        }
        let over =
            |runs: &[RunState], run: &RunId| runs.iter().any(|r| r.created.run == *run && r.finished());
        let debts = |runs: &Vec<RunState>| -> Vec<Debt> {
            status::debts(runs).into_iter().filter(|debt| over(runs, &debt.run)).collect()
        };
        self.watching.debts = plans.values().flat_map(debts).collect();
        self.watching.left = plans.values().flat_map(|runs| in_doubt::left(runs, now)).collect();
        self.watching.read_at = Some(now);
        Ok(())
    }

    /// Reports each effect when it is found, and when it took effect.
    fn tell_doubts(&mut self, estate: &Estate, now: Timestamp) {
        for left in self.watching.left.clone() {
            let took = left.took_effect(estate, now);
            let words = left.words(took);
            if self.watching.said.insert(words.clone()) {
                let more = json!({"in_doubt": left.json(took)});
                self.say(
                    if took { "took_effect" } else { "in_doubt" },
                    &more,
                    &self.printer.paint(RED, &words),
                );
            }
        }
    }

    /// Tries pending fences of places that answer: at the first answer, and from time to time while they keep answering.
    fn pay_debts(&mut self, before: &BTreeMap<String, String>, now: Timestamp) -> Result<(), CliError> {
        let mut due: BTreeMap<RunId, (String, String)> = BTreeMap::new();
        for debt in &self.watching.debts {
            for target in signs(debt) {
                let Some(who) = self.watching.answered.get(&target.key()) else { continue };
                let again = self.watching.tried.get(&debt.run).is_none_or(|at| now.since(*at) >= AGAIN);
                if again || !before.contains_key(&target.key()) {
                    due.insert(debt.run.clone(), (debt.component.to_string(), who.clone()));
                }
            }
        }
        for (run, (component, who)) in due {
            self.watching.tried.insert(run.clone(), now);
            let words =
                format!("{who} answers. drctl now tries the pending fence of {component} from run {run}");
            let more = json!({"run": run, "component": component, "who": who});
            self.say("place_answered", &more, &self.printer.paint(YELLOW, &words));
            if let Err(e) = runs::pay(&self.context, &self.quiet().silent(), &self.store, &run) {
                self.printer.note(&format!("run {run} cannot set its pending fence: {}", e.message));
            }
            self.read_what_was_left(self.now())?;
            let owed = self.watching.debts.iter().any(|debt| debt.run == run);
            self.told_of_fence(&run, &component, owed);
        }
        Ok(())
    }
}
