//! What a seed draws: the plan, the scenario, the intent and the waivers.

use drctl::adapters::sandbox::Scenario;
use drctl::adapters::sandbox::scenario::{SCENARIOS, roll};
use drctl::model::ids::ComponentName;
use drctl::model::intent::{Drill, Intent};
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::planner::Wanted;

use super::accept;
use crate::random::{random_fences, random_plan};
use crate::rig::{BEGAN, Rig, plan};

pub fn rig(seed: u64) -> Rig {
    // That scenario has its own tests.
    let all: Vec<_> = SCENARIOS.iter().map(|of| of.name).filter(|name| *name != "promotion-slow").collect();
    let scenario = all[usize::try_from(roll(seed, &["scenario"], all.len() as u64)).unwrap()];
    let loses = Scenario::find(scenario).unwrap().loses_home;
    let mut rig = Rig::new(plan(&random_plan(seed, !loses)), scenario, seed);
    rig.intent = match scenario {
        "calm" => Intent::Switchover,
        "away" => Intent::Failback,
        "after-failover" if roll(seed, &["reprotect"], 3) == 0 => Intent::Reprotect,
        "after-failover" => Intent::Failback,
        "archive-corrupt" => Intent::Switchover,
        _ => Intent::Failover,
    };
    if rig.intent == Intent::Switchover && roll(seed, &["live drill"], 3) == 0 {
        rig.drill = Some(Drill::Live);
    }
    if loses && roll(seed, &["faulty"], 4) == 0 {
        rig.scenario.faults = 200;
    }
    if roll(seed, &["stale reads"], 3) == 0 {
        rig.scenario.stale = Dur::secs(15);
    }
    if roll(seed, &["very late"], 2) == 0 {
        rig.scenario.late = Dur::mins(10);
    }
    if roll(seed, &["clocks"], 3) == 0 {
        rig.scenario.skew = Dur::secs(40);
    }
    random_fences(seed, &mut rig.scenario);
    if !loses {
        restores(&mut rig);
        return rig;
    }
    disturbed(&mut rig);
    if roll(seed, &["waives"], 2) == 0 {
        let named = named_store(&rig);
        let waiver = |rule| Waiver {
            rule,
            component: named.clone(),
            accept_loss_ms: Some(Dur::mins(20)),
            reason: "simulated".to_owned(),
            who: Person::claimed("test"),
        };
        rig.waivers = vec![waiver(Rule::UnfencedPromotion), waiver(Rule::ExposureAboveRpo)];
    }
    rig
}

/// One of several stores, in half of the waivers. The others cover every store.
fn named_store(rig: &Rig) -> Option<ComponentName> {
    let stores: Vec<_> = rig.plan.components.values().filter(|c| c.is_store()).map(|c| &c.name).collect();
    let n = roll(rig.seed, &["named store"], 2 * stores.len() as u64);
    stores.get(usize::try_from(n).unwrap()).filter(|_| stores.len() > 1).map(|name| (*name).clone())
}

/// What still works, and for how long, is random: a partition may let only the WAL through, clients beside the old primary may give up, and
/// the region may return during the run, with or without its replicas.
fn disturbed(rig: &mut Rig) {
    let (seed, of) = (rig.seed, &mut rig.scenario);
    // Users are gone, but the servers answer, so a fence by SQL works.
    of.sql_answers |= !of.control_plane_lost && roll(seed, &["sql"], 3) != 0;
    of.replicates |= !of.primary_dies && roll(seed, &["one-way"], 6) == 0;
    if roll(seed, &["clients"], 4) == 0 {
        of.clients_leave = Some(Dur::mins(10));
    }
    if !of.primary_dies && of.returns_after.is_none() && roll(seed, &["returns"], 6) == 0 {
        of.returns_after = Some(Dur::mins(1).plus(Dur(roll(seed, &["returns after"], 1_200_000))));
        of.heals = roll(seed, &["heals"], 2) == 0;
    }
}

/// Restores replace a third of the moves from home, and all with a damaged archive: on a self-managed server, or a managed one.
fn restores(rig: &mut Rig) {
    let kind = if roll(rig.seed, &["restored kind"], 2) == 0 { "postgres" } else { "aws.rds" };
    let own = rig.plan.components.values().find(|c| c.kind() == kind).map(|c| c.name.clone());
    let corrupt = rig.scenario.archive_corrupt;
    let wanted = corrupt || roll(rig.seed, &["restores"], 3) == 0;
    let (Some(component), Intent::Switchover, true) = (own, rig.intent, wanted) else { return };
    rig.drill = None;
    // The restored time is one of the server's own clock.
    rig.scenario.skew = Dur::ZERO;
    rig.intent = if roll(rig.seed, &["drills"], 3) == 0 { Intent::Drill } else { Intent::Restore };
    let ago = Dur(roll(rig.seed, &["ago"], 3_600_000));
    rig.restore =
        Some(Wanted { component, to_time: BEGAN - ago, timeline: None, snapshot: None, rates: None });
    rig.waivers = vec![accept(Rule::ExposureAboveRpo)];
    if roll(rig.seed, &["faulty"], 2) == 0 {
        rig.scenario.faults = 200;
    }
}
