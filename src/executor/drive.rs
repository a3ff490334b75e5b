//! Drives one run until it ends, or until it needs a person or another process.

use std::collections::BTreeMap;

use futures_util::future::{Either, LocalBoxFuture, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tracing::Instrument as _;

use super::create::{Owned, encode};
use super::poll::Poller;
use super::sentry::{self, Post, Sentries, Sign};
use super::{DriveError, Ended, Patience, Session, survey};
use crate::inventory::Observation;
use crate::journal::{InboxEntry, Release};
use crate::kinds::shared::promotion::{Promote, Withdraw};
use crate::kinds::{Called, Operation, Target};
use crate::model::plain;
use crate::model::properties::Looks;
use crate::model::time::{Dur, Timestamp};
use crate::probe::{Recorder, Sample};
use crate::record::action::{Action, Check};
use crate::record::event::{Event, EventKind, Request};
use crate::record::runbook::Probe;
use crate::run::decide::{expired, looks_at};
use crate::run::model::calls::Withdrawal;
use crate::run::outcome::{CallOutcome, after_call, out_of_time, withdrawn};
use crate::run::state::Status;
pub use crate::run::stopped::INTERRUPTED;
use crate::run::stopped::{IN_DOUBT, PAUSED};
use crate::run::{Effect, RunState, StepDecision, StepObservation, Stop, decide, judge, signal};
use crate::world::Jumps;

/// How often the statements in the ledger are read while nothing else happens.
const INBOX_EVERY: Dur = Dur(300);
/// Minimum time between two reads of these statements, so that a busy run does not read its store at every step.
const INBOX_PAUSE: Dur = Dur(50);
/// How long a finished run keeps trying to set a pending fence.
const DEBT_PATIENCE: Dur = Dur::secs(60);
/// Limit on one observation. Even a step with a timeout of half a minute then sees every answer that arrived.
const LOOK: Dur = Dur::secs(20);
/// How long after its own deadline the loop gives up on a call, so that an adapter that hangs becomes an explicit outcome.
const CALL_DEADLINE: Dur = Dur::secs(60);

/// A result that the loop waited for.
enum Arrival {
    Called(usize, Vec<Request>, CallOutcome),
    Seen { steps: Vec<usize>, sent_at: Timestamp, things: Vec<(Target, Observation)> },
    Sampled(Probe, Sample),
    Alive(Option<Sign>),
    Withdrew(usize, CallOutcome),
}

/// Drives a run.
///
/// # Errors
/// If the journal does not accept an event. drctl then does nothing more, and can continue the run from what was written.
pub async fn drive(session: &Session<'_>, owned: Owned, recorder: Recorder) -> Result<Ended, DriveError> {
    let mut driver = Driver {
        session,
        began: session.world.now(),
        jumps: session.world.jumps(),
        was_finished: owned.state.finished(),
        owned,
        recorder,
        poller: Poller::default(),
        unwritten: Vec::new(),
        calls: Vec::new(),
        under_way: FuturesUnordered::new(),
        paused_for: 0,
        inbox_due: Timestamp::from_millis(0),
        last_seen: BTreeMap::new(),
        sentries: Sentries::default(),
    };
    driver.start_probes();
    let created = &driver.state().created;
    let span = tracing::info_span!("run", id = %created.run, plan = %created.plan);
    driver.run().instrument(span).await
}

struct Driver<'a> {
    session: &'a Session<'a>,
    owned: Owned,
    began: Timestamp,
    /// The clock jumps that the journal already has.
    jumps: Jumps,
    was_finished: bool,
    recorder: Recorder,
    poller: Poller,
    /// Events that are applied but not yet written. Nothing is performed before they are.
    unwritten: Vec<Event>,
    /// Steps whose intents are among them. They are performed once the intents are written.
    calls: Vec<usize>,
    under_way: FuturesUnordered<LocalBoxFuture<'a, Arrival>>,
    paused_for: u32,
    /// When the statements in the ledger are read next.
    inbox_due: Timestamp,
    /// The last reason why each waiting step is not done.
    last_seen: BTreeMap<usize, String>,
    /// Places with a pending fence that are watched for their first answer.
    sentries: Sentries,
}

/// What remains when no further decision follows from what is known.
#[derive(Default)]
struct Next {
    wake: Option<Timestamp>,
    stop: Option<Stop>,
}

impl<'a> Driver<'a> {
    /// The loop: apply what arrived, decide, append, perform, wait.
    async fn run(&mut self) -> Result<Ended, DriveError> {
        loop {
            self.keep_time()?;
            self.read_inbox()?;
            let next = self.decide()?;
            // Takes first what has arrived already, so that its events share a commit with the next intent.
            if self.calls.is_empty() && next.stop.is_none() {
                self.start_looks();
                if self.take_arrived()? {
                    continue;
                }
            }
            self.write().await?;
            let calls = std::mem::take(&mut self.calls);
            calls.iter().for_each(|i| self.call(*i));
            if let Some(stop) = next.stop.filter(|s| calls.is_empty() && self.stops(s)) {
                return self.end(stop).await;
            }
            self.start_looks();
            self.start_sentries();
            self.session.view.tick(self.now(), self.state());
            self.wait(next.wake).await?;
        }
    }

    fn state(&self) -> &RunState {
        &self.owned.state
    }

    fn now(&self) -> Timestamp {
        self.session.world.now().max(self.state().last_at)
    }

    /// Records a clock jump before everything else, so that no decision uses a time that the journal does not explain.
    fn keep_time(&mut self) -> Result<(), DriveError> {
        let jumps = self.session.world.compare();
        let Jumps { forward, backward } = jumps.since(self.jumps);
        if forward.max(backward) == Dur::ZERO {
            return Ok(());
        }
        self.jumps = jumps;
        self.began = self.began + forward;
        self.push(EventKind::ClockJumped { forward_ms: forward, backward_ms: backward })
    }

    /// Applies an event. It is written before anything is performed.
    fn push(&mut self, what: EventKind) -> Result<(), DriveError> {
        let event = Event { at: self.now(), what };
        let seq = self.owned.seq + self.unwritten.len() as u64 + 1;
        self.owned.state.apply(&event).map_err(|why| DriveError::Illegal {
            run: self.owned.run.to_string(),
            seq,
            why,
        })?;
        self.unwritten.push(event);
        Ok(())
    }

    fn read_inbox(&mut self) -> Result<(), DriveError> {
        let asked = (self.session.interrupts)();
        if asked > self.paused_for && !self.state().finished() {
            self.paused_for = asked;
            self.push(EventKind::Paused { why: INTERRUPTED.to_owned() })?;
        }
        if self.now() < self.inbox_due {
            return Ok(());
        }
        self.inbox_due = self.now() + INBOX_PAUSE;
        // That a statement was read, and what it led to, are in one commit. Each is judged against the state that the previous one led
        // to.
        for letter in self.session.journal.waiting(&self.owned.state)? {
            self.push(EventKind::StatementRead { statement: letter.id.clone() })?;
            for what in self.answer(letter) {
                self.push(what)?;
            }
        }
        Ok(())
    }

    /// The events that a statement leads to. A statement never stops a run: one that is not legal is refused.
    fn answer(&self, letter: InboxEntry) -> Vec<EventKind> {
        let at = self.now();
        let events = signal::take(self.state(), letter.signal.clone(), letter.who.clone(), at);
        let mut trial = self.state().clone();
        let illegal = events.iter().find_map(|what| trial.apply(&Event { at, what: what.clone() }).err());
        match illegal {
            None => events,
            Some(why) => {
                vec![EventKind::SignalRefused {
                    signal: letter.signal,
                    who: letter.who,
                    reason: why.to_string(),
                }]
            }
        }
    }

    /// Decides until no further decision follows from what is known.
    fn decide(&mut self) -> Result<Next, DriveError> {
        loop {
            let now = self.now();
            let mut changed = false;
            let mut next = Next::default();
            for effect in decide(self.state(), now) {
                match effect {
                    Effect::Record(events) => {
                        for what in events {
                            self.push(what)?;
                        }
                        changed = true;
                    }
                    Effect::Expire(i) => {
                        let what = expired(self.state(), i, self.last_seen.get(&i).map(String::as_str));
                        // Repeated observations stay as rare as before.
                        if !matches!(what, EventKind::Overdue { .. }) {
                            self.poller.forget(i);
                        }
                        self.push(what)?;
                        changed = true;
                    }
                    Effect::Withdraw(i) => changed |= self.withdraw(i, now)?,
                    Effect::Look(i) => changed |= self.look(i, now)?,
                    Effect::WakeAt(at) => next.wake = Some(next.wake.map_or(at, |w| w.min(at))),
                    Effect::Stop(stop) => next.stop = Some(stop),
                }
            }
            if !changed {
                return Ok(next);
            }
        }
    }

    /// Judges a step at once if that needs no observation; otherwise requests one.
    fn look(&mut self, i: usize, now: Timestamp) -> Result<bool, DriveError> {
        let revision = self.owned.state.steps[i].revision;
        if self.poller.waits(i, revision) {
            return Ok(false);
        }
        let action = self.owned.state.action(i);
        let action = action.as_ref();
        let status = &self.owned.state.work(i).status;
        let blind = match action.properties().looks {
            Looks::BeforeEachCall => false,
            Looks::AfterTheFirstCall => *status == Status::Started && self.owned.state.work(i).attempts == 0,
            Looks::AfterTheCall => !matches!(status, Status::Awaiting { .. }),
        };
        // Another run may have taken the guard, so it is read before every call.
        let guard = self.owned.state.guard_to_read(i);
        let sight = match action {
            Action::Check(Check::Probe { probe, site, .. }) => {
                let key = site.as_ref().map_or_else(|| probe.to_string(), |s| format!("{probe}@{s}"));
                StepObservation::Probe(self.recorder.sight(&key))
            }
            _ if blind && guard.is_none() => StepObservation::Nothing,
            Action::Check(Check::Evidence { targets }) => {
                self.poller.want((i, revision), targets.clone(), now);
                return Ok(false);
            }
            _ => {
                let token = if let Status::Awaiting { token, .. } = status { token.as_deref() } else { None };
                let work = self.owned.state.work(i);
                let called = Called { token, key: &work.key, restart: work.restart };
                let watched = || action.watch(&called);
                let targets = (!blind).then(watched).flatten().into_iter().chain(guard).collect();
                self.poller.want((i, revision), targets, now);
                return Ok(false);
            }
        };
        self.rule(i, &sight)
    }

    /// Withdraws a request at once if no guard must be read first; otherwise requests that.
    fn withdraw(&mut self, i: usize, now: Timestamp) -> Result<bool, DriveError> {
        let Some(guard) = self.owned.state.guard_to_read(i) else {
            return self.rule(i, &StepObservation::Nothing);
        };
        self.poller.want((i, self.owned.state.steps[i].revision), vec![guard], now);
        Ok(false)
    }

    /// Applies the decision on a step. Returns whether anything changed.
    fn rule(&mut self, i: usize, sight: &StepObservation) -> Result<bool, DriveError> {
        match judge(self.state(), i, sight, self.now()) {
            StepDecision::Record(what) => {
                self.push(what)?;
                self.poller.forget(i);
                // A pending fence is set after the end only while the new primary was just seen to take the writes.
                if self.was_finished
                    && !matches!(self.state().step(i).action, Action::Op(Operation::Fence(_)))
                {
                    self.urge_fences();
                }
                Ok(true)
            }
            StepDecision::Perform(intent) => {
                self.push(intent)?;
                self.poller.forget(i);
                self.calls.push(i);
                Ok(true)
            }
            StepDecision::Keep(why) => {
                let id = self.state().step(i).id.clone();
                self.session.view.waiting(&id, &why, self.now(), self.state());
                self.last_seen.insert(i, why);
                Ok(false)
            }
        }
    }

    /// Appends everything since the last write at once: a step's result and the next step's intent share a commit.
    async fn write(&mut self) -> Result<(), DriveError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let events = std::mem::take(&mut self.unwritten);
        let bytes: Vec<_> = events.iter().map(encode).collect();
        let release = if self.state().finished() { Release::Free } else { Release::Keep };
        let append =
            self.session.journal.append(&self.owned.run, self.owned.epoch, self.owned.seq, bytes, release);
        let records = self.session.world.outside(append).await?;
        self.owned.seq += records.len() as u64;
        for event in &events {
            log(event);
            self.session.view.event(event, &self.owned.state);
        }
        Ok(())
    }

    fn call(&mut self, i: usize) {
        let work = self.state().work(i);
        let withdraws = self.state().steps[i].withdrawal == Some(Withdrawal::Asked);
        let action = match self.state().action(i).into_owned() {
            Action::Op(Operation::Promote(Promote { db, .. })) if withdraws => Withdraw { db }.into(),
            Action::Op(Operation::Switch(switch)) => switch.part(&work.parts.now).into(),
            other => other,
        };
        // A process that continues the run withdraws it again: a job on a host is identified by its key.
        let key = match withdraws {
            true => format!("{}-withdraw-{}", work.key, self.owned.epoch),
            false => work.key.clone(),
        };
        // A command has no deadline of its own.
        let more = if matches!(action, Action::Op(Operation::Run(_))) { Dur::ZERO } else { CALL_DEADLINE };
        let (session, timeout) = (self.session, self.state().step(i).estimate.timeout_ms.plus(more));
        let (step, attempt) = (self.state().step(i), self.state().work(i).attempts);
        let span = tracing::info_span!("step", id = %step.id, attempt, key);
        let work = async move {
            tracing::debug!(%action, "called");
            let deadline = session.world.now() + timeout;
            let outcome = match select(
                session.cloud.perform(&action, &key),
                Box::pin(session.world.sleep_until(deadline)),
            )
            .await
            {
                Either::Left((outcome, _)) => outcome,
                Either::Right(_) => out_of_time(&action, timeout),
            };
            tracing::debug!(?outcome, "answered");
            match withdraws {
                true => Arrival::Withdrew(i, outcome),
                false => Arrival::Called(i, session.cloud.requests(&key), outcome),
            }
        };
        self.under_way.push(Box::pin(work.instrument(span)));
    }

    fn start_looks(&mut self) {
        for look in self.poller.due(self.now()) {
            let session = self.session;
            self.under_way.push(Box::pin(async move {
                let sent_at = session.world.now();
                let things = survey::look(session, &look.targets, LOOK).await;
                Arrival::Seen { steps: look.steps, sent_at, things }
            }));
        }
    }

    /// Watches for an answer of old primaries with a pending fence. A paused run starts nothing.
    fn start_sentries(&mut self) {
        let version = self.owned.seq + self.unwritten.len() as u64;
        for post in self.sentries.posted(&self.owned.state, version) {
            self.keep_watch(post);
        }
    }

    fn keep_watch(&mut self, post: Post) {
        let session = self.session;
        self.under_way.push(Box::pin(async move { Arrival::Alive(sentry::watch(session, post).await) }));
    }

    /// Attempts all pending fences of the place at once, even during an observation that hangs or a wait between attempts.
    fn alive(&mut self, sign: Sign) -> Result<(), DriveError> {
        if !self.sentries.has(&sign.post) {
            return Ok(());
        }
        // A place that answers all the time is observed all the time. If no fence is pending yet, that is not news.
        if sign.was_silent || self.state().owed().next().is_some() {
            for place in &sign.places {
                self.push(EventKind::PlaceAnswered { place: place.clone(), who: sign.who.clone() })?;
            }
            self.urge_fences();
        }
        self.keep_watch(sign.post);
        Ok(())
    }

    fn urge_fences(&mut self) {
        let now = self.now();
        for i in 0..self.owned.state.steps.len() {
            if self.owned.state.waits_for_life(i) {
                self.poller.urge(i, now);
            }
        }
    }

    fn start_probes(&mut self) {
        if self.was_finished {
            return;
        }
        let runbook = &self.state().runbook;
        for probe in survey::relevant(&runbook.probes, &runbook.to, runbook.drill) {
            self.ask(probe);
        }
    }

    fn ask(&mut self, probe: Probe) {
        let session = self.session;
        let due = self.recorder.next_due(&probe.key(), probe.every_ms, self.now());
        self.under_way.push(Box::pin(async move {
            session.world.sleep_until(due).await;
            let sample = session.prober.sample(&probe).await;
            Arrival::Sampled(probe, sample)
        }));
    }

    /// Waits for the next arrival or the next due time, then takes everything that has arrived.
    async fn wait(&mut self, wake: Option<Timestamp>) -> Result<(), DriveError> {
        let now = self.now();
        let listens = !self.session.world.is_simulated() || self.session.patience == Patience::Wait;
        let inbox = listens.then_some(now + INBOX_EVERY);
        let debt = self.was_finished.then_some(self.began + DEBT_PATIENCE);
        let due = [wake, self.poller.next(), inbox, debt].into_iter().flatten().min();
        let world = self.session.world;
        let timer = async {
            match due {
                Some(due) => world.sleep_until(due.max(now)).await,
                None => std::future::pending().await,
            }
        };
        // An empty set of futures completes at once, so the timer would never run.
        if self.under_way.is_empty() {
            timer.await;
            return Ok(());
        }
        let first = match select(self.under_way.next(), Box::pin(timer)).await {
            Either::Left((arrival, _)) => arrival,
            Either::Right(_) => None,
        };
        if let Some(arrival) = first {
            self.arrive(arrival)?;
        }
        self.take_arrived().map(|_| ())
    }

    /// Takes everything that has arrived. Returns whether there was anything.
    fn take_arrived(&mut self) -> Result<bool, DriveError> {
        let mut arrivals = Vec::new();
        while let Some(Some(arrival)) = futures_util::future::FutureExt::now_or_never(self.under_way.next()) {
            arrivals.push(arrival);
        }
        let some = !arrivals.is_empty();
        for arrival in arrivals {
            self.arrive(arrival)?;
        }
        Ok(some)
    }

    fn arrive(&mut self, arrival: Arrival) -> Result<(), DriveError> {
        self.keep_time()?;
        match arrival {
            Arrival::Called(i, requests, outcome) => {
                let jitter = self.session.world.random();
                if !requests.is_empty() {
                    let step = self.state().step(i).id.clone();
                    self.push(EventKind::CallRequests { step, requests })?;
                }
                for what in after_call(self.state(), i, outcome, self.now(), jitter) {
                    self.push(what)?;
                }
                Ok(())
            }
            Arrival::Sampled(probe, sample) => {
                if let Some(turn) = self.recorder.take(&probe.key(), &sample)
                    && !self.state().finished()
                {
                    self.push(turn)?;
                }
                self.ask(probe);
                Ok(())
            }
            Arrival::Withdrew(i, outcome) => self.push(withdrawn(self.state().step(i).id.clone(), outcome)),
            Arrival::Alive(sign) => sign.map_or(Ok(()), |sign| self.alive(sign)),
            Arrival::Seen { steps, sent_at, things } => self.seen(&steps, sent_at, &things),
        }
    }

    fn seen(
        &mut self,
        steps: &[usize],
        sent_at: Timestamp,
        things: &[(Target, Observation)],
    ) -> Result<(), DriveError> {
        let now = self.now();
        self.poller.done(steps, now);
        let by_key: BTreeMap<String, &(Target, Observation)> =
            things.iter().map(|thing| (thing.0.key(), thing)).collect();
        // The run may have been paused, or the step may have ended, since the observation started. Then it is dropped.
        let asked: Vec<_> = steps.iter().copied().filter(|&i| looks_at(self.state(), i, now)).collect();
        for i in asked {
            let wanted = self.poller.targets(i).iter();
            let seen = wanted.filter_map(|t| by_key.get(&t.key()).filter(|(seen, _)| seen == t));
            let sight: Vec<_> = seen.map(|thing| (*thing).clone()).collect();
            // An observation that started before the call was answered says nothing about the call's effect.
            let too_old = match self.state().work(i).status {
                Status::Awaiting { answered_at: since, .. } | Status::InDoubt { since } => sent_at < since,
                _ => false,
            };
            if !sight.is_empty() && !too_old {
                self.rule(i, &StepObservation::Things(sight))?;
            }
        }
        Ok(())
    }

    /// Whether this process has nothing left to wait for.
    fn stops(&self, stop: &Stop) -> bool {
        match stop {
            Stop::Finished if self.was_finished => {
                (self.session.interrupts)() > 0
                    || self.state().owed().next().is_none()
                    || self.now() >= self.began + DEBT_PATIENCE
            }
            Stop::Blocked(_) | Stop::Approval(_) => self.session.patience == Patience::Stop,
            _ => true,
        }
    }

    async fn end(&mut self, stop: Stop) -> Result<Ended, DriveError> {
        let reason = match &stop {
            Stop::Finished => None,
            Stop::Failed(why) | Stop::Blocked(why) | Stop::Approval(why) => Some(why.clone()),
            Stop::Paused => Some(PAUSED.to_owned()),
            Stop::PastReturn => Some(self.state().stays().unwrap_or_else(|| {
                "a promotion took effect before the undo was complete, so the remaining changes stay"
                    .to_owned()
            })),
        };
        if let Some(reason) = reason {
            let now = self.now();
            let left = self.state().outstanding(now);
            let left: Vec<_> = left.iter().map(|effect| effect.words(self.state())).collect();
            let reason = match left.is_empty() {
                true => reason,
                false => format!("{}{IN_DOUBT}{}", plain::clause(&reason), left.join("; ")),
            };
            self.push(EventKind::Halted { reason })?;
            self.write().await?;
        }
        Ok(Ended { stop, state: self.owned.state.clone() })
    }
}

/// Logs recorded events, for people who watch a run in progress.
fn log(event: &Event) {
    if tracing::enabled!(tracing::Level::INFO) {
        let value = serde_json::to_value(&event.what).unwrap_or_default();
        let word = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        tracing::info!(at = %event.at, step = word("step"), "journalled {}", word("kind"));
        tracing::trace!(event = %value, "in full");
    }
}
