//! Whether recoveries would work, now and according to the ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::error::AppError;
use super::interrupt::Interrupts;
use super::stage::Stage;
use super::{estate, in_doubt, run_states};
use crate::executor::{Patience, Silent, survey};
use crate::inventory::{active, permissions};
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::{Role, Target};
use crate::model::ids::{PlanName, SiteName};
use crate::model::ledger::Entry;
use crate::model::notice::Notice;
use crate::model::place::CloudProvider;
use crate::model::readiness::{Area, Check, Standing};
use crate::model::time::{Dur, Timestamp};
use crate::model::worst::worst_first;
use crate::plan::Plan;
use crate::probe::Recorder;
use crate::record::event::WorldKind;
use crate::report::readiness::{ReadinessInput, evaluate as judged};
use crate::report::{notices, verified};
use crate::run::RunState;

/// Limit on the checks of IAM, quotas and objects: many calls, one after the other.
const DEADLINE: Dur = Dur::secs(30);

/// Observes everything in a plan, and judges it.
///
/// # Errors
/// If there is no clock, the store cannot be read or written, or after an interrupt.
pub fn evaluate(
    context: &Context,
    store: &SqliteJournal,
    (plan, runs): (&Plan, &[RunState]),
    interrupts: &Interrupts,
) -> Result<(Timestamp, Vec<Check>), AppError> {
    let stage = Stage::live_or_rehearsal(context, plan, None)?;
    let (view, none) = (Silent, || 0);
    let session = stage.session(store, &view, &none, Patience::Stop);
    let recorder = Recorder::new(context.settings.probe_consecutive);
    let guard = context.guard_of(plan);
    let guard = guard.as_ref();
    let scope = stage.scope(plan);
    let managed = |role| matches!(role, Role::Store(of) if of.engine.is_managed());
    let mut asked = permissions::of_plan(plan, guard);
    if plan.components.values().any(|c| managed(c.role())) {
        let sites =
            plan.sites.values().map(|site| &site.place).filter(|place| place.cloud == CloudProvider::Aws);
        asked.extend(sites.map(|place| Target::Quotas { place: place.clone() }));
    }
    let looks = async {
        let estate = estate::look(&session, (store, scope), plan, guard, &recorder).await?;
        let active = active::active_site(plan, &estate, stage.world.now());
        asked.extend(samples(plan, active.site(), stage.world.now()));
        Ok::<_, AppError>((estate, survey::look(&session, &asked, DEADLINE).await))
    };
    let (mut seen, of_accounts) = stage.world.block_on(interrupts.end_early(&stage.world, looks))?;
    for (target, observation) in of_accounts {
        seen.add(&target, observation, None);
    }
    let proven = verified::seen_before(&plan.name, runs);
    let now = stage.world.now();
    let mut checks = judged(plan, &ReadinessInput { estate: &seen, now, guard, proven });
    // A rehearsal shows the estate before an outage, and no earlier rehearsal changes that one.
    let own = |run: &&RunState| run.created.plan == plan.name && run.created.world == WorldKind::Live;
    let of_plan = runs.iter().filter(own).cloned().collect();
    for left in in_doubt::left(&run_states::undriven(store, of_plan), now) {
        let about =
            left.effect.action.place().map_or_else(|| left.run.to_string(), |place| place.name.clone());
        let (area, fix) = (left.area(), Some(left.fix()));
        let facts = left.words(left.took_effect(&seen, now));
        let standing = Standing::NotReady;
        checks.insert(0, Check { area, about, standing, facts, fix });
    }
    worst_first(&mut checks);
    Ok((now, checks))
}

/// What is observed only to judge readiness.
fn samples(plan: &Plan, active: Option<&SiteName>, now: Timestamp) -> Vec<Target> {
    let Some(active) = active else { return Vec::new() };
    let seed = now.millis().to_string();
    plan.components.values().flat_map(|c| c.spec.samples(&c.name, plan, active, &seed)).collect()
}

/// The readiness of a plan, from the ledger.
pub struct RecordedReadiness {
    /// Since when the current set of problems exists.
    since: Timestamp,
    /// Whether there were problems before, and there are none now.
    mended: bool,
    /// The time of the last entry.
    at: Timestamp,
    /// The checks in the last entry.
    checks: Vec<Check>,
}

/// The same by plan.
pub type Last = BTreeMap<PlanName, RecordedReadiness>;

/// The readiness of some plans, from the ledger. Plans that no longer exist have none.
///
/// # Errors
/// If the ledger cannot be read.
pub fn last(store: &SqliteJournal, plans: &BTreeSet<PlanName>) -> Result<Last, AppError> {
    let mut last = Last::new();
    for record in store.entries(b"{\"ledger\":\"rea")? {
        let Ok(Entry::Readiness { at, plan, checks, .. }) = Entry::read(&record.bytes) else {
            continue;
        };
        if !plans.contains(&plan) {
            continue;
        }
        let (mut since, mut mended) = (at, false);
        if let Some(before) = last.get(&plan) {
            let (was, is) = (unready(&before.checks), unready(&checks));
            mended = is.is_empty() && (before.mended || !was.is_empty());
            if was == is {
                since = before.since;
            }
        }
        last.insert(plan, RecordedReadiness { since, mended, at, checks });
    }
    Ok(last)
}

impl RecordedReadiness {
    /// The time of the last entry.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// All checks.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// What has changed in the estate since the plan was verified, according to the last check. `None` if that check was before.
    pub fn drifted_since(&self, proven: Option<Timestamp>) -> Option<&str> {
        let drift = |check: &&Check| check.area == Area::Drift && check.standing == Standing::Degraded;
        let found = self.checks.iter().find(drift).filter(|_| proven.is_none_or(|proven| self.at > proven));
        found.map(|check| check.facts.as_str())
    }

    /// The notifications: what is not ready, each time that it changes, and when all problems are solved.
    pub fn news(&self, plan: &PlanName) -> Option<Notice> {
        let fails = self.checks.iter().filter(|check| check.standing == Standing::NotReady);
        let why: Vec<_> = fails.map(|check| format!("{}: {}", check.about, check.facts)).collect();
        match (why.is_empty(), self.mended) {
            (false, _) => Some(notices::unready(plan, self.since, &why.join("; "))),
            (true, true) => Some(notices::ready_again(plan, self.since)),
            (true, false) => None,
        }
    }
}

fn unready(checks: &[Check]) -> BTreeSet<(Area, &str)> {
    let fails = checks.iter().filter(|check| check.standing == Standing::NotReady);
    fails.map(|check| (check.area, check.about.as_str())).collect()
}

/// The last readiness check of a plan.
///
/// # Errors
/// If the ledger cannot be read.
pub fn looked_at(store: &SqliteJournal, plan: &PlanName) -> Result<Option<RecordedReadiness>, AppError> {
    Ok(last(store, &BTreeSet::from([plan.clone()]))?.remove(plan))
}

/// The same for several plans: the time and the checks. Plans that were never checked are absent.
///
/// # Errors
/// The same.
pub fn looked_at_all(
    store: &SqliteJournal,
    plans: &BTreeSet<PlanName>,
) -> Result<BTreeMap<PlanName, (Timestamp, Vec<Check>)>, AppError> {
    let all = last(store, plans)?.into_iter();
    Ok(all.map(|(plan, found)| (plan, (found.at(), found.checks().to_vec()))).collect())
}
