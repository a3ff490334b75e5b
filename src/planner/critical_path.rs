//! The duration of a runbook: the longest path through its steps, expected and worst.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Operation;
use crate::kinds::shared::names::Answers;
use crate::model::ids::{ComponentName, StepId};
use crate::model::intent::Intent;
use crate::model::properties::Felt;
use crate::model::time::Dur;
use crate::record::action::{Action, Gate, Undo};
use crate::record::runbook::{Phase, Runbook, Step};

/// The critical path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriticalPath {
    /// Its steps in order.
    pub steps: Vec<StepId>,
    /// The sum of their expected durations.
    pub expected: Dur,
    /// The longest path by timeouts, which may be a different one.
    pub worst: Dur,
    /// How long of each users are not served, in a planned move: they are served until it fences. In other runs they wait all the time.
    pub users: Option<(Dur, Dur)>,
}

/// How long a run takes until users are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// From its start.
    pub after: Dur,
    /// The part of it in which users are not served, in a planned move.
    pub users: Option<Dur>,
}

impl Served {
    /// How long users wait for the run.
    pub fn wait(&self) -> Dur {
        self.users.unwrap_or(self.after)
    }
}

/// The longest path until users are served again, without the watch. A reprotect serves nobody and ends with its last step.
pub fn critical(runbook: &Runbook) -> CriticalPath {
    // In the expected case the first fence method is proven; in the worst case drctl tries every method.
    let (expected, steps) = longest(runbook, |s| s.estimate.expected_ms, first_rung);
    let (worst, _) = longest(runbook, |s| s.estimate.timeout_ms, |_| true);
    let users = expected.users.zip(worst.users);
    CriticalPath { steps, expected: expected.after, worst: worst.after, users }
}

/// The time until users are served, for given durations of the steps and if the first method of each fence is proven.
pub fn served(runbook: &Runbook, took: impl Fn(&Step) -> Dur) -> Served {
    longest(runbook, took, first_rung).0
}

fn first_rung(step: &Step) -> bool {
    step.needs.iter().all(|need| !need.settled)
}

/// Whether it is a comparison of objects. It runs beside the other steps, and the run does not wait for missing objects.
const fn keeps_nobody(step: &Step) -> bool {
    matches!(&step.action, Action::Op(Operation::CompareObjects(_)))
}

/// Whether a step counts for the time until users are served. Until the old answers expire in resolvers, some users still reach the former
/// site, even if the run does not wait for that.
fn serves(runbook: &Runbook, step: &Step) -> bool {
    if runbook.intent == Intent::Reprotect {
        return true;
    }
    let lets_go = matches!(
        &step.action,
        Action::Op(Operation::CheckAnswers(Answers { resolvers_ttl_ms: Some(_), .. }))
    );
    step.phase < Phase::Protect || (step.phase == Phase::Watch && lets_go)
}

/// Whether users may fail from the start of a step, in a planned move. The phase of the approvals comes after the fence, but drctl asks for
/// them at the start of the run, while users are served; a command of that phase can run then, too.
fn takes_from_users(step: &Step) -> bool {
    if !(Phase::Fence..Phase::Protect).contains(&step.phase) {
        return false;
    }
    match step.action.properties().felt {
        Felt::Always => true,
        Felt::FromTheFenceOn => step.phase != Phase::Gate,
        Felt::Never => step.phase == Phase::Fence,
    }
}

/// The steps that count for that time: those that serve users, and whatever these wait for. If a failback first makes a standby, that is
/// part of it, although a standby normally comes after users are served.
fn counted(runbook: &Runbook) -> BTreeSet<&StepId> {
    let mut counted: BTreeSet<&StepId> = BTreeSet::new();
    let mut needed: BTreeSet<&StepId> = BTreeSet::new();
    // In a runbook, steps come after those that they need.
    for step in runbook.steps.iter().rev().filter(|s| !s.background && !keeps_nobody(s)) {
        if serves(runbook, step) || needed.contains(&step.id) {
            counted.insert(&step.id);
            needed.extend(step.needs.iter().map(|need| &need.step));
        }
    }
    counted
}

/// The components whose names a step checks at resolvers.
fn asked(runbook: &Runbook) -> BTreeSet<Option<&ComponentName>> {
    let asks = |s: &&Step| {
        matches!(&s.action, Action::Op(Operation::CheckAnswers(Answers { resolvers_ttl_ms: Some(_), .. })))
    };
    runbook.steps.iter().filter(asks).map(|s| s.component.as_ref()).collect()
}

/// How long resolvers keep the answer that a switch replaced, if no step checks the resolvers.
fn unasked(asked: &BTreeSet<Option<&ComponentName>>, step: &Step) -> Dur {
    let Action::Op(Operation::Switch(switch)) = &step.action else { return Dur::ZERO };
    match switch.only_ttl().is_some() || asked.contains(&step.component.as_ref()) {
        true => Dur::ZERO,
        false => switch.old_ttl(),
    }
}

fn longest(
    runbook: &Runbook,
    cost: impl Fn(&Step) -> Dur,
    rung: impl Fn(&Step) -> bool,
) -> (Served, Vec<StepId>) {
    let planned = matches!(runbook.intent, Intent::Switchover | Intent::Failback);
    let mut ends: BTreeMap<&StepId, (Dur, Option<&StepId>)> = BTreeMap::new();
    let mut out_from: Option<Dur> = None;
    let counted = counted(runbook);
    for step in runbook.steps.iter().filter(|s| counted.contains(&s.id)) {
        let waits =
            step.needs.iter().map(|n| &n.step).chain(rungs(runbook, step).filter(|s| rung(s)).map(|s| &s.id));
        let before = waits.filter_map(|id| ends.get(id).map(|(d, _)| (*d, id))).max_by_key(|(d, _)| *d);
        let (start, from) = before.map_or((Dur::ZERO, None), |(d, id)| (d, Some(id)));
        if planned && takes_from_users(step) {
            out_from = Some(out_from.map_or(start, |began| began.min(start)));
        }
        ends.insert(&step.id, (start.plus(cost(step)), from));
    }
    let asked = asked(runbook);
    let kept = |step: &Step| if cost(step) == Dur::ZERO { Dur::ZERO } else { unasked(&asked, step) };
    let served = runbook.steps.iter().filter_map(|s| Some((ends.get(&s.id)?.0.plus(kept(s)), &s.id)));
    let Some((total, last)) = served.max_by_key(|(d, _)| *d) else {
        return (Served { after: Dur::ZERO, users: None }, Vec::new());
    };
    let mut path = vec![last.clone()];
    let mut at = last;
    while let Some((_, Some(from))) = ends.get(at) {
        path.push((*from).clone());
        at = from;
    }
    path.reverse();
    let users = out_from.map(|began| total.minus(began));
    (Served { after: total, users }, path)
}

/// The fence methods that a fence gate waits for, although it needs none of them in particular.
fn rungs<'r>(runbook: &'r Runbook, gate: &'r Step) -> impl Iterator<Item = &'r Step> {
    let of = match &gate.action {
        Action::Gate(Gate::Fenced { component }) => Some(component),
        _ => None,
    };
    let steps = of.is_some().then(|| runbook.steps.iter()).into_iter().flatten();
    steps.filter(move |s| {
        !s.background && matches!(&s.action, Action::Op(Operation::Fence(f)) if Some(&f.db.component) == of)
    })
}

/// Steps that cannot be undone, and why.
pub fn points_of_no_return(runbook: &Runbook) -> Vec<(&Step, &'static str)> {
    runbook
        .steps
        .iter()
        .filter_map(|s| match s.action.undo() {
            Undo::PointOfNoReturn { because } => Some((s, because)),
            _ => None,
        })
        .collect()
}
