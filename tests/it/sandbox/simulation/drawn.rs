//! What a seed draws: the plan, the scenario, the intent and the waivers.

use drctl::adapters::sandbox::scenario::SCENARIOS;
use drctl::kinds::world::chance::roll;
use drctl::kinds::world::scenario::Scenario;
use drctl::kinds::world::scenario::{ClockStep, Cut, Link};
use drctl::model::ids::ComponentName;
use drctl::model::intent::{Drill, Intent};
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::planner::Wanted;

use super::accept;
use crate::support::random_plans::{random_fences, random_plan};
use crate::support::rig::{BEGAN, Rig, plan};

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
        cut_in_a_move(&mut rig);
        server_clock(&mut rig);
        return rig;
    }
    disturbed(&mut rig);
    cut(&mut rig);
    server_clock(&mut rig);
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
    of.sql_answers |= !of.control_plane_lost && roll(seed, &["sql"], 6) != 0;
    of.replicates |= !of.primary_dies && roll(seed, &["one-way"], 6) == 0;
    if roll(seed, &["clients"], 4) == 0 {
        of.clients_leave = Some(Dur::mins(10));
    }
    if !of.primary_dies && of.returns_after.is_none() && roll(seed, &["returns"], 6) == 0 {
        of.returns_after = Some(Dur::mins(1).plus(Dur(roll(seed, &["returns after"], 1_200_000))));
        of.heals = roll(seed, &["heals"], 2) == 0;
    }
}

/// Long after every run: the home site is only out of drctl's sight.
const NEVER: Dur = Dur::mins(100_000);

/// A third of the failovers meet another cut: drctl loses sight of a site that serves its users, replication ends before the site is lost,
/// the recovery site is lost for a while, or the way to the lost site comes and goes.
fn cut(rig: &mut Rig) {
    let (seed, of) = (rig.seed, &mut rig.scenario);
    let within = |what: &str, least: u64, most: u64| {
        Dur::secs(least).plus(Dur(roll(seed, &["cut", what], (most - least) * 1_000)))
    };
    match roll(seed, &["cut"], 15) {
        0 => {
            let lasts = (roll(seed, &["cut", "ends"], 2) == 0).then(|| within("lasts", 120, 1_800));
            of.cuts[0] = Some(Cut { link: Link::Drctl, after: within("after", 45, 65), lasts });
            (of.lost_after, of.returns_after) = (NEVER, None);
        }
        1 => {
            let lasts = Some(within("lasts", 30, 600));
            of.cuts[0] = Some(Cut { link: Link::Drctl, after: within("after", 130, 900), lasts });
        }
        2 => {
            of.cuts[0] = Some(Cut { link: Link::Sites, after: within("after", 1, 45), lasts: None });
        }
        3 => {
            let lasts = Some(within("lasts", 30, 600));
            of.cuts[0] = Some(Cut { link: Link::Recovery, after: within("after", 150, 900), lasts });
        }
        4 if !of.primary_dies => {
            let mut after = of.lost_after.plus(within("returns", 120, 300));
            of.returns_after = Some(after.minus(of.lost_after));
            for (i, cut) in of.cuts.iter_mut().enumerate() {
                after = after.plus(within(&format!("up {i}"), 30, 180));
                let lasts = within(&format!("down {i}"), 30, 180);
                *cut = Some(Cut { link: Link::Home, after, lasts: Some(lasts) });
                after = after.plus(lasts);
            }
        }
        _ => {}
    }
}

/// In some runs, servers' own clocks are set once the run has begun. What a replica replayed before it lost its source for good has times
/// of a clock that was read.
fn server_clock(rig: &mut Rig) {
    let (seed, of) = (rig.seed, &mut rig.scenario);
    let comes_and_goes = of.cuts.iter().flatten().any(|cut| cut.link == Link::Home);
    if rig.restore.is_some() || of.skew > Dur::ZERO || comes_and_goes || roll(seed, &["clock step"], 4) != 0 {
        return;
    }
    let by = (30_000 + roll(seed, &["clock step", "by"], 570_000)).cast_signed();
    of.clock_step = Some(ClockStep {
        // A move from home may end in its loss, and then nobody can read its clock again.
        at_home: rig.intent != Intent::Switchover && roll(seed, &["clock step", "home"], 3) != 0,
        after: Dur::secs(140).plus(Dur(roll(seed, &["clock step", "after"], 1_200_000))),
        by_ms: if roll(seed, &["clock step", "back"], 2) == 0 { by } else { -by },
    });
}

/// In a third of the planned moves, the sites lose each other, or drctl loses sight of the site that users leave.
fn cut_in_a_move(rig: &mut Rig) {
    let seed = rig.seed;
    let link = match roll(seed, &["cut"], 6) {
        0 => Link::Sites,
        1 => Link::Drctl,
        _ => return,
    };
    if rig.intent != Intent::Switchover || rig.drill.is_some() {
        return;
    }
    let after = Dur(roll(seed, &["cut", "after"], 1_200_000));
    let lasts = Dur::secs(30).plus(Dur(roll(seed, &["cut", "lasts"], 900_000)));
    let lasts = (roll(seed, &["cut", "ends"], 3) != 0).then_some(lasts);
    if lasts.is_none() {
        // A rebuild that was requested in a site that never answers again is waited for until a person ends the run.
        rig.patience = Dur::mins(30 * 60);
    }
    rig.scenario.cuts[0] = Some(Cut { link, after, lasts });
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
