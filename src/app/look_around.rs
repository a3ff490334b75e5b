//! What a command sees before it decides: the samples of probes, and an observation of everything.

use futures_util::future::join;

use super::error::AppError;
use super::estate;
use super::stage::Stage;
use super::start::Starting;
use super::waves::Turn;
use crate::executor::{Session, survey};
use crate::inventory::Estate;
use crate::model::ids::PlanName;
use crate::model::intent::Drill;
use crate::model::time::Dur;
use crate::plan::Plan;
use crate::probe::Recorder;
use crate::record::event::EventKind;
use crate::record::runbook::{Probe, ProbeRole};

/// In a rehearsal, the time from detection to decision.
const DECISION: Dur = Dur::secs(20);
/// In a rehearsal, how long to wait for detection.
const NOTICE: Dur = Dur::mins(3);

/// How often a waiting plan looks whether it may begin, and for Ctrl-C.
const LOOK: Dur = Dur(200);

impl Starting<'_> {
    /// Waits until every plan that this one depends on serves users. Live, its probes run meanwhile: its users may be out already, and the
    /// RTO counts from the first failed sample. The error is the plan that will not serve users.
    pub async fn wait_for_its_turn(
        &self,
        stage: &Stage,
        session: &Session<'_>,
        plan: &Plan,
        recorder: &mut Recorder,
    ) -> Result<Vec<EventKind>, PlanName> {
        let mut turns = Vec::new();
        let Some(waves) = self.waves else { return Ok(turns) };
        let first = match waves.turn(plan) {
            Turn::Now => return Ok(turns),
            Turn::Never(first) => return Err(first),
            Turn::After(first) => first,
        };
        self.presenter.note(&format!("{}: starts when {first} serves its users", plan.name));
        let world = session.world;
        let its_turn = async {
            loop {
                match waves.turn(plan) {
                    Turn::Now => return Ok(()),
                    Turn::Never(first) => return Err(first),
                    Turn::After(first) if self.interrupts.count() > 0 => return Err(first),
                    Turn::After(_) => world.sleep_until(world.now() + LOOK).await,
                }
            }
        };
        let probes = if stage.has_prober() { self.probes(plan) } else { Vec::new() };
        survey::sample_during(session, &probes, (recorder, &mut turns), its_turn).await?;
        Ok(turns)
    }

    /// The probes of the plan that this command runs.
    fn probes(&self, plan: &Plan) -> Vec<Probe> {
        let all: Vec<_> = plan.probes.iter().map(|p| p.value.clone()).collect();
        survey::relevant(&all, &self.to(plan), self.drill.class)
    }

    /// Samples probes and observes everything. Live, both run at the same time, because in an outage each of them waits for a
    /// dark region.
    pub async fn look_around(
        &self,
        stage: &Stage,
        session: &Session<'_>,
        plan: &Plan,
        (recorder, scope): (&mut Recorder, &str),
    ) -> Result<(Vec<EventKind>, Estate), AppError> {
        let guard = self.context.guard_of(plan);
        let nothing = Recorder::new(self.context.settings.probe_consecutive);
        let look = estate::look(session, (self.store, scope), plan, guard.as_ref(), &nothing);
        let (turns, seen) = if stage.sandbox.is_none() {
            join(self.notice(stage, session, plan, (recorder, scope)), look).await
        } else {
            (self.notice(stage, session, plan, (recorder, scope)).await, look.await)
        };
        Ok((turns?, Estate { probes: recorder.health(), ..seen? }))
    }

    /// Samples probes: in a rehearsal from before the outage until the decision; live until their results are confirmed.
    async fn notice(
        &self,
        stage: &Stage,
        session: &Session<'_>,
        plan: &Plan,
        (recorder, scope): (&mut Recorder, &str),
    ) -> Result<Vec<EventKind>, AppError> {
        let probes = self.probes(plan);
        let guard = self.context.guard_of(plan);
        let guard = guard.as_ref();
        let world = session.world;
        // If nothing fails, there is nothing to detect.
        let fails = self.context.scenario()?.is_some_and(|s| s.loses_home);
        if self.drill.class == Some(Drill::Tabletop) {
            if fails {
                estate::look(session, (self.store, scope), plan, guard, recorder).await?;
                world.sleep_until(world.now() + stage.outage_begins()).await;
            }
            return Ok(Vec::new());
        }
        if stage.sandbox.is_none() {
            if !stage.has_prober() || probes.is_empty() {
                return Ok(Vec::new());
            }
            let every = probes.iter().map(|p| p.every_ms.plus(p.timeout_ms)).max().unwrap_or_default();
            let until = world.now() + every.times(u64::from(self.context.settings.probe_consecutive));
            let most = until.since(world.now());
            self.presenter.note(&format!("{}: running probes, for at most {most}", plan.name));
            return Ok(survey::believe(session, &probes, recorder, until).await);
        }
        if let Some(pace) = self.context.pace() {
            let words = match fails {
                true => "waiting until probes see the outage, and for a decision",
                false => "waiting for the first samples of the probes",
            };
            self.presenter.note(&format!("{}: {words} ({pace} times as fast)", plan.name));
        }
        // The observation that drctl observe would have stored while everything worked.
        estate::look(session, (self.store, scope), plan, guard, recorder).await?;
        let deadline = if fails { world.now() + NOTICE } else { world.now() };
        let mut turns = Vec::new();
        // A standby that does not serve yet is not an outage.
        let seen_by_users: Vec<_> =
            probes.iter().filter(|p| p.role != ProbeRole::Site).map(Probe::key).collect();
        let down = |turns: &[EventKind]| {
            turns.iter().any(|t| matches!(t, EventKind::ProbeTurned { good: false, probe, .. } if seen_by_users.contains(probe)))
        };
        while !down(&turns) && world.now() < deadline {
            turns.extend(survey::sample(session, &probes, recorder, world.now() + Dur::secs(1)).await);
        }
        let decided = world.now() + DECISION;
        let needed = self.waves.and_then(|waves| waves.served(plan));
        if let Some((first, at)) = needed.as_ref().filter(|(_, at)| *at > decided) {
            self.presenter.note(&format!("{}: starts when {first} serves its users, at {at}", plan.name));
        }
        let begins = needed.map_or(decided, |(_, at)| at.max(decided));
        turns.extend(survey::sample(session, &probes, recorder, begins).await);
        Ok(turns)
    }
}
