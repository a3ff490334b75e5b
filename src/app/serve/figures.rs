//! Metrics and missed drills, computed between checks, and during a drill, which may keep users elsewhere for days.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Clock, FIGURES, NEWS, Server};
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::presenter::Quiet;
use crate::app::snapshot::{Row, Snapshot};
use crate::app::{drill_schedules, proven, readiness, run_states, uploads};
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::PlanName;
use crate::model::notice::Notice;
use crate::model::readiness::Check;
use crate::model::schedule::Fate;
use crate::model::time::{Dur, Timestamp};
use crate::policy::schedules::RecordedSchedules;
use crate::report::notices;
use crate::report::verified::Verified;
use crate::world::World;

/// How often to check whether the drill is over.
const POLL: Dur = Dur(200);

/// All metrics of a store, and the notifications that do not belong to a run.
struct Figures {
    rows: Vec<Row>,
    judged: Vec<(PlanName, Verified)>,
    owed: usize,
    ready: Vec<(PlanName, Vec<Check>)>,
    news: Vec<Notice>,
}

impl Figures {
    fn read(context: &Context, store: &SqliteJournal, now: Timestamp) -> Result<Self, AppError> {
        let (known, states) = (drill_schedules::known(store)?, run_states::all(store)?);
        let row = |schedule: &crate::model::schedule::Schedule| Row {
            schedule: schedule.name.clone(),
            plan: schedule.is.plan.clone(),
            drill: schedule.is.drill.id(),
            next_due: schedule.calendar.after(now),
            drills: known.tally(&schedule.name),
        };
        // A plan that cannot be read has no metrics; drctl check says why.
        let plans = context.plans(&[], &Quiet).unwrap_or_default();
        let ahead = match context.settings.readiness_every {
            Dur::ZERO => readiness::Last::new(),
            _ => readiness::last(store, &plans.iter().map(|plan| plan.name.clone()).collect())?,
        };
        let judged = plans.iter().map(|plan| {
            let found = proven::verification(context, store, plan, &states)?;
            let drifted = ahead.get(&plan.name).and_then(|seen| seen.drifted_since(found.at));
            let drifted = drifted.map(str::to_owned);
            Ok((plan.name.clone(), found.unless(drifted.as_deref())))
        });
        let judged: Vec<(PlanName, Verified)> = judged.collect::<Result<_, AppError>>()?;
        Ok(Self {
            rows: context.settings.schedules.iter().map(row).collect(),
            news: news(&judged, &known, &ahead, now),
            judged,
            owed: uploads::pending_uploads(context)?.len(),
            ready: ahead.into_iter().map(|(plan, found)| (plan, found.checks().to_vec())).collect(),
        })
    }

    fn show(self, shown: &mut Snapshot) {
        let judged = self.judged.into_iter().map(|(plan, found)| (plan, found.status, found.until)).collect();
        (shown.schedules, shown.plans, shown.evidence_owed) = (self.rows, judged, self.owed);
        shown.readiness = self.ready;
    }
}

/// What was neglected: plans that were not tested for longer than their tier allows, and drills that did not take place.
fn news(
    plans: &[(PlanName, Verified)],
    known: &RecordedSchedules,
    ahead: &readiness::Last,
    now: Timestamp,
) -> Vec<Notice> {
    let late = |(plan, found): &(PlanName, Verified)| {
        let (until, remind) = (found.until?, found.remind?);
        match () {
            () if now >= until => Some(notices::untried(plan.as_str(), until, &found.why)),
            () if now >= remind => Some(notices::untried_soon(plan.as_str(), (remind, until), &found.why)),
            () => None,
        }
    };
    let missed = known.fates.iter().filter_map(|((schedule, due), fate)| match fate {
        Fate::Missed { why } => Some(notices::missed(schedule, *due, why)),
        _ => None,
    });
    let unready = ahead.iter().filter_map(|(plan, found)| found.news(plan));
    plans.iter().filter_map(late).chain(missed).chain(unready).collect()
}

struct Ends<'o>(&'o AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Server {
    /// Computes all metrics again.
    pub(super) fn figures(&mut self) -> Result<(), AppError> {
        let mut figures = Figures::read(&self.context, &self.store, self.now())?;
        if let Some(herald) = &self.herald {
            herald.also(std::mem::take(&mut figures.news));
        }
        self.show(|shown| figures.show(shown));
        Ok(())
    }

    /// Does slow work while another thread keeps computing metrics. What cannot be read during that time is read afterwards.
    pub(super) fn beside<T>(&self, work: impl FnOnce(&Self) -> T) -> T {
        let watched = self.board.is_some() || self.herald.is_some();
        if !watched || !matches!(self.clock, Clock::Live(_)) {
            return work(self);
        }
        let over = AtomicBool::new(false);
        let often = if self.board.is_some() { FIGURES } else { NEWS };
        let (context, path, mut shown) =
            (self.context.clone(), self.store.path().to_owned(), self.shown.clone());
        let (board, more) = (self.board.as_deref(), self.herald.as_ref().map(|herald| herald.more()));
        std::thread::scope(|scope| {
            let over = &over;
            let of = self.store.world();
            scope.spawn(move || {
                let Ok(world) = World::live() else { return };
                let mut next = world.now() + often;
                while !over.load(Ordering::SeqCst) {
                    world.block_on(world.sleep_until(world.now() + POLL));
                    if world.now() < next {
                        continue;
                    }
                    next = world.now() + often;
                    let store = SqliteJournal::open_existing(&path, of);
                    let read = store
                        .map_err(AppError::from)
                        .and_then(|store| Figures::read(&context, &store, world.shown()));
                    let Ok(mut figures) = read else { continue };
                    if let Some(more) = &more {
                        more.tell(std::mem::take(&mut figures.news));
                    }
                    figures.show(&mut shown);
                    board.into_iter().for_each(|board| board.put(shown.clone()));
                }
            });
            // Ends the thread however the work ends, because the scope waits for it.
            let _ends = Ends(over);
            work(self)
        })
    }
}
