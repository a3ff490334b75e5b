//! Liveness: a planner that refuses every failover is as useless as one that promotes too early. The scenario and the plan alone decide
//! what may stop a failover. Everything else recovers, and a refused failover recovers with the waivers that its refusals print.

use std::collections::BTreeSet;

use drctl::kinds::Role;
use drctl::kinds::shared::database::{Database, Engine};
use drctl::kinds::shared::fence::FenceMethod;
use drctl::kinds::world::scenario::{Applies, ByGroup, Cut, Events, Link};
use drctl::model::ids::{ComponentName, StepId};
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::record::event::{EventKind, Outcome, Signal};
use drctl::record::runbook::OnFailure;
use drctl::run::state::{Mode, Status};

use crate::support::rig::{Rehearsed, Rig};

/// How often the printed waivers are added, or the run is resumed.
const PATIENCE: usize = 12;

/// The result of one failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It recovered as requested.
    Recovered,
    /// It was rightly stopped, and recovered with the printed waivers.
    WithWaivers,
    /// It met faults, and recovered after a resume.
    Resumed,
    /// No waiver can provide what is missing.
    Short,
}

/// A rule that stopped a failover, its component, and the printed option.
type Ruled = (Rule, Option<ComponentName>, Option<String>);

/// Why a failover did not continue: rules, or the message of a failed step.
enum Stopped {
    Refused(Vec<Ruled>),
    Failed(String),
}

/// Follows a failover to its recovery. `judged` gets every run on the way.
pub fn recovers(
    rig: &Rig,
    first: &Result<Rehearsed, Vec<drctl::planner::Refusal>>,
    context: &str,
    judged: &mut dyn FnMut(&Rig, &Rehearsed),
) -> Came {
    let mut rig = rig.clone();
    let mut came = Came::Recovered;
    let mut why = match first {
        Ok(done) => {
            judged(&rig, done);
            stopped(done)
        }
        Err(refusals) => Some(refused(refusals)),
    };
    for _ in 0..PATIENCE {
        let Some(stop) = why else { return came };
        match stop {
            // No person is needed for that: the fence is tried again.
            Stopped::Refused(rules) if rules.iter().any(|of| ran_out_of_time(&rig, of)) => {
                return resumed(&rig, context);
            }
            Stopped::Refused(rules) => {
                for (rule, component, flag) in rules {
                    may_stop(&rig, rule, component.as_ref(), context);
                    let flag = flag.unwrap_or_else(|| panic!("{rule} prints no flag: {context}"));
                    rig.waivers.extend(as_printed(&flag, context));
                }
                came = Came::WithWaivers;
            }
            Stopped::Failed(reason) if is_short(&rig) && reason.starts_with("scale.") => return Came::Short,
            Stopped::Failed(reason) => {
                let late = rig.scenario.dns_down > Dur::ZERO && reason.starts_with("switch.");
                assert!(late || stumbles(&rig), "it stopped: {reason}: {context}");
                return resumed(&rig, context);
            }
        }
        why = match rig.rehearse() {
            Ok(done) => {
                judged(&rig, &done);
                stopped(&done)
            }
            Err(refusals) => Some(refused(&refusals)),
        };
    }
    panic!("it never recovers, with {:?}: {context}", rig.waivers)
}

fn refused(refusals: &[drctl::planner::Refusal]) -> Stopped {
    let all = refusals.iter().map(|r| (r.rule, r.component.clone(), r.flag.clone()));
    Stopped::Refused(all.collect())
}

fn stopped(done: &Rehearsed) -> Option<Stopped> {
    let state = &done.ended.state;
    if state.mode == Mode::Finished(Outcome::Recovered) {
        return None;
    }
    let events = crate::run::resume::events(done);
    // Another step makes up for it: the next fence method, or the gate after the last one.
    let goes_on = |step: &StepId| {
        state.runbook.steps.iter().any(|s| s.id == *step && s.on_failure == OnFailure::Continue)
    };
    let last = events.iter().rev().find_map(|e| match &e.what {
        EventKind::GateBlocked { rule: Some(rule), flag, step, .. } => {
            let of = state.runbook.steps.iter().find(|s| s.id == *step).and_then(|s| s.component.clone());
            Some(Stopped::Refused(vec![(*rule, of, flag.clone())]))
        }
        EventKind::StepFailed { step, reason } if !goes_on(step) => {
            Some(Stopped::Failed(format!("{step}: {reason}, and then {:?}", done.ended.stop)))
        }
        _ => None,
    });
    Some(last.unwrap_or_else(|| Stopped::Failed(format!("{:?}", done.ended.stop))))
}

/// Every rule that a step is waiting for.
fn blocked(done: &Rehearsed) -> Vec<Ruled> {
    let state = &done.ended.state;
    let of = state.runbook.steps.iter().zip(&state.steps).filter_map(|(step, at)| match &at.work.status {
        Status::Blocked { rule: Some(rule), flag, .. } => Some((*rule, step.component.clone(), flag.clone())),
        _ => None,
    });
    of.collect()
}

/// Whether that rule may stop this failover, according to the scenario and the plan.
fn may_stop(rig: &Rig, rule: Rule, component: Option<&ComponentName>, context: &str) {
    let right = match rule {
        Rule::UnfencedPromotion => {
            let of = component.map(|c| (rig.plan.components[c].role(), is_fenceable(rig, c)));
            matches!(of, Some((Role::Store(_), false)))
        }
        // Half an hour of faults, a replica with a lag, or a clock that was set exceed the objective or the accepted loss.
        Rule::ExposureAboveRpo => {
            let accepted = rig.waivers.iter().any(|w| w.rule == Rule::UnfencedPromotion);
            let clock = rig.scenario.clock_step.is_some();
            clock || rig.scenario.lag_ms >= 60_000 || stumbles(rig) || takes_its_time(rig) || accepted
        }
        // Nobody knows the lag of a cluster without its writer, or of a replica that drctl cannot see.
        Rule::ExposureUnknown => {
            let cluster = |c: &ComponentName| matches!(rig.plan.components[c].role(), Role::Store(db) if db.engine == Engine::Aurora);
            let unseen = |cut: &Cut| cut.link == Link::Recovery;
            component.is_some_and(cluster) || rig.scenario.cuts.iter().flatten().any(unseen)
        }
        _ => false,
    };
    assert!(right, "{rule} ({component:?}) stops what could go on: {context}");
}

/// Whether some fence method works in this scenario, according to its definition.
fn can_be_fenced(rig: &Rig, db: &Database) -> bool {
    let of = &rig.scenario;
    // The fence is planned two minutes after the beginning.
    let unseen = |cut: &Cut| cut.link == Link::Drctl && (cut.lasts.is_none() || cut.after < Dur::mins(2));
    if of.cuts.iter().flatten().any(unseen) {
        return false;
    }
    let by_sql = of.sql_answers && db.engine != Engine::Aurora;
    let told = !matches!(of.by_group, ByGroup::Roughly { events: Events::Never, .. });
    let closed = told && !of.groups_pass;
    db.fence.iter().any(|method| match method {
        // A worker that may not be ended keeps writing, whoever else is kept out.
        FenceMethod::Sql | FenceMethod::AllowConnections | FenceMethod::PgHba => {
            by_sql && of.applies != Applies::Stays
        }
        FenceMethod::Stop => by_sql,
        FenceMethod::SecurityGroup => !of.control_plane_lost && closed,
    })
}

/// Whether a fence takes minutes, during which clients write what the replica does not get.
fn takes_its_time(rig: &Rig) -> bool {
    rig.scenario.by_group != ByGroup::Smoothly || rig.scenario.applies != Applies::Nothing
}

/// Whether a component's old primary is fenced for certain, however long it takes and whatever the clocks are.
pub(super) fn can_be_had(rig: &Rig, component: &ComponentName) -> bool {
    !stumbles(rig) && is_fenceable(rig, component)
}

/// Whether calls meet faults, or what they need is cut off, so that steps may run out of attempts.
fn stumbles(rig: &Rig) -> bool {
    rig.scenario.faults > 0 || rig.scenario.throttled > 0 || rig.scenario.cuts != [None; 3]
}

/// Whether a possible fence was refused or throttled until its timeout.
fn ran_out_of_time(rig: &Rig, (rule, component, _): &Ruled) -> bool {
    *rule == Rule::UnfencedPromotion
        && stumbles(rig)
        && component.as_ref().is_some_and(|c| is_fenceable(rig, c))
}

fn is_fenceable(rig: &Rig, component: &ComponentName) -> bool {
    matches!(rig.plan.components[component].role(), Role::Store(db) if can_be_fenced(rig, db))
}

/// Whether the requested instances are not available.
fn is_short(rig: &Rig) -> bool {
    let groups = rig.plan.components.values().any(|c| matches!(c.role(), Role::Capacity(_)));
    groups && rig.scenario.capacity_percent < 100
}

/// Resumes until it recovers, and answers each justified stop with the printed option. An unproven fence is not a justified stop.
fn resumed(rig: &Rig, context: &str) -> Came {
    let mut done = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}: {context}"));
    for _ in 0..PATIENCE {
        if stopped(&done).is_none() {
            return Came::Resumed;
        }
        let mut letters = Vec::new();
        // A failed step may be the last message while a gate is blocked as well.
        for (rule, component, flag) in blocked(&done).into_iter().filter(|of| !ran_out_of_time(rig, of)) {
            may_stop(rig, rule, component.as_ref(), context);
            let flag = flag.unwrap_or_else(|| panic!("{rule} prints no flag: {context}"));
            let printed = as_printed(&flag, context).into_iter();
            letters.extend(printed.map(|waiver| Signal::Waive { waiver }));
        }
        letters.push(Signal::Resume);
        let next = rig.second(&done.records, &done.notes, &letters, None);
        done = next.unwrap_or_else(|e| panic!("{e}: {context}")).0;
    }
    panic!("resumed {PATIENCE} times, and {:?}: {context}", done.ended.stop)
}

/// The waivers in a printed option: `--waive RULE[:COMPONENT] .. [--accept-data-loss D] --reason TEXT`.
fn as_printed(flag: &str, context: &str) -> Vec<Waiver> {
    let words: Vec<&str> = flag.split_whitespace().collect();
    let after = |name: &'static str| words.windows(2).filter(move |pair| pair[0] == name).map(|pair| pair[1]);
    let waiver = |waived: &str| {
        let (rule, component) = waived.split_once(':').map_or((waived, None), |(r, c)| (r, Some(c)));
        Waiver {
            rule: Rule::from_id(rule).unwrap_or_else(|| panic!("no rule: {flag}: {context}")),
            component: component.map(ComponentName::from),
            accept_loss_ms: after("--accept-data-loss").next().map(|d| Dur::parse(d).unwrap()),
            reason: "printed".to_owned(),
            who: Person::claimed("test"),
        }
    };
    let waivers: Vec<_> = after("--waive").map(waiver).collect();
    assert!(!waivers.is_empty(), "no waiver: {flag}: {context}");
    waivers
}

/// The losses that this scenario is designed for.
pub fn loses(rig: &Rig) -> BTreeSet<&'static str> {
    let of = &rig.scenario;
    let all = [
        (of.control_plane_lost, "dark"),
        (of.primary_dies, "dead"),
        (of.sql_answers, "slow"),
        (of.replicates, "one-way"),
        (of.returns_after.is_some(), "returns"),
        (of.clients_leave.is_some(), "clients leave"),
        (of.faults > 0, "faults"),
        (of.cuts != [None; 3], "more cut"),
        (of.by_group != ByGroup::Smoothly, "group with surprises"),
        (matches!(of.by_group, ByGroup::Roughly { events: Events::Never, .. }), "restarts untold"),
        (of.groups_pass, "groups with rules"),
        (of.applies != Applies::Nothing, "worker"),
        (of.applies == Applies::Stays, "worker stays"),
        (of.clock_step.is_some(), "server's clock set"),
    ];
    all.into_iter().filter(|(there, _)| *there).map(|(_, name)| name).collect()
}
