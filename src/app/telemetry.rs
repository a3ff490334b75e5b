//! Sends traces of live runs to a collector, on a thread of its own: it reads the journal, and no step waits for it. Only the end of a
//! command does, for two seconds at most.
//!
//! IDs of spans are derived from the run (`report::trace`). A process that continues a run sends all of its spans again, including earlier
//! ones, because it is unknown which of them the last process sent. A collector keeps one span for each ID.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use serde_json::Value;

use super::background::{Background, Hand};
use super::channel_secrets;
use super::context::Context;
use super::interrupt::Interrupts;
use super::presenter::Presenter;
use crate::executor::create;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, StoreError};
use crate::model::ids::RunId;
use crate::model::ledger::StoreWorld;
use crate::model::notice::SecretAt;
use crate::model::plain::count;
use crate::model::telemetry::Traces;
use crate::model::time::{Dur, Timestamp};
use crate::notify;
use crate::report::trace::{self, Tracer};
use crate::world::World;

/// How often the journal is read.
const LOOK: Dur = Dur::secs(2);
/// How often the thread checks whether it must end.
const POLL: Dur = Dur(100);
/// How long the end of a command waits for the last spans.
const AFTERWARDS: Dur = Dur::secs(2);
/// Spans of one request.
const BATCH: usize = 512;
/// Maximum number of spans kept for a collector that does not answer. The oldest are dropped first.
const QUEUE: usize = 20_000;
/// The waits after failures; the last one repeats.
const AGAIN: [Dur; 4] = [Dur::secs(2), Dur::secs(8), Dur::secs(30), Dur::secs(60)];

/// The thread that sends traces.
pub struct Exporter(Background);

impl Exporter {
    /// Starts to send, if there is a collector and the store is live. `own` is sent even if the run has ended.
    pub fn begin(context: &Context, presenter: &dyn Presenter, own: Option<&RunId>) -> Option<Self> {
        let to = context.settings.traces.clone().filter(|_| !context.is_rehearsal())?;
        let (base, store, own) = (context.base.clone(), context.store_file(), own.cloned());
        let work = move |hand| Job { to, base, store, own, hand }.work();
        let begun = Background::begin("telemetry", work);
        let say = |e| {
            presenter.note(&format!("telemetry: no traces are sent, because the thread did not start: {e}"))
        };
        begun.map(Self).map_err(say).ok()
    }

    /// Prints failures since the last call.
    pub fn tell(&self, presenter: &dyn Presenter) {
        self.0.tell(presenter);
    }

    /// Sends what is left, for at most `AFTERWARDS`, and ends.
    pub fn end(self, presenter: &dyn Presenter, interrupts: &Interrupts) {
        let late = "the last spans were not sent; to get all spans, run drctl report run RUN --format otlp";
        self.0.end(AFTERWARDS, late, (presenter, interrupts));
    }
}

/// The configuration of the thread.
struct Job {
    to: Traces,
    base: PathBuf,
    store: PathBuf,
    own: Option<RunId>,
    hand: Hand,
}

/// What was read and sent so far.
#[derive(Default)]
struct Sent {
    lock: Option<RunLock>,
    over: BTreeSet<RunId>,
    runs: BTreeMap<RunId, (usize, Tracer)>,
    queue: VecDeque<Value>,
    dropped: usize,
    failures: usize,
    not_before: Option<Timestamp>,
}

impl Job {
    fn work(&self) {
        let Ok(world) = World::live() else { return };
        let mut sent = Sent::default();
        let mut store = None;
        loop {
            // Checked before the observation, so that everything from before the end of the command is sent.
            let ends = self.hand.ends();
            match self.look(&mut store, &mut sent) {
                Ok(()) => self.send(&world, &mut sent, ends),
                // Another process of this store sends them.
                Err(StoreError::Owned(_)) => {}
                Err(e) => self.hand.say(format!("drctl cannot read the store: {e}")),
            }
            if ends {
                return;
            }
            let next = world.now() + LOOK;
            while world.now() < next && !self.hand.ends() {
                world.block_on(world.sleep_until(next.min(world.now() + POLL)));
            }
        }
    }

    /// Turns new events in the journal into spans.
    fn look(&self, store: &mut Option<SqliteJournal>, sent: &mut Sent) -> Result<(), StoreError> {
        let store = match store {
            Some(store) => store,
            None => store.insert(SqliteJournal::open_existing(&self.store, StoreWorld::Live)?),
        };
        let rows = store.runs()?;
        if sent.lock.is_none() {
            sent.lock = Some(RunLock::take(&Context::lock_folder(store), &RunId::new("telemetry"))?);
            let over = rows.iter().filter(|row| row.finished && self.own.as_ref() != Some(&row.run));
            sent.over = over.map(|row| row.run.clone()).collect();
        }
        for row in rows {
            if sent.over.contains(&row.run) {
                continue;
            }
            let (seen, tracer) =
                sent.runs.entry(row.run.clone()).or_insert_with(|| (0, Tracer::new(row.run.clone())));
            if row.events <= *seen as u64 {
                continue;
            }
            let records = store.read(&row.run);
            let events = records.and_then(|records| {
                create::decode(&row.run, &records).map_err(|e| StoreError::Unreadable(e.to_string()))
            });
            match events {
                Ok(events) => {
                    let new = events.get(*seen..).unwrap_or_default();
                    sent.queue.extend(new.iter().flat_map(|event| tracer.take(event)));
                    *seen = events.len();
                }
                // A broken run must not hide the others.
                Err(e) => {
                    self.hand.say(format!("no trace of run {}: {e}", row.run));
                    sent.over.insert(row.run);
                }
            }
        }
        let more = sent.queue.len().saturating_sub(QUEUE);
        sent.queue.drain(..more);
        sent.dropped += more;
        Ok(())
    }

    /// Sends what is queued, unless the collector failed a moment ago. At the end, tries once more.
    fn send(&self, world: &World, sent: &mut Sent, ends: bool) {
        let reveal = |at: &SecretAt| channel_secrets::reveal(&self.base, at);
        while !sent.queue.is_empty() && (ends || sent.not_before.is_none_or(|at| world.now() >= at)) {
            let batch: Vec<Value> = sent.queue.iter().take(BATCH).cloned().collect();
            let document = trace::document(&batch);
            match world.block_on(notify::traces(world, &self.to, &document, &reveal)) {
                Ok(refused) => {
                    refused.into_iter().for_each(|why| self.hand.say(why));
                    sent.queue.drain(..batch.len());
                    (sent.failures, sent.not_before) = (0, None);
                }
                Err(failure) => {
                    // Spans that were rejected for good must not block others.
                    if !failure.again {
                        sent.queue.drain(..batch.len());
                        sent.dropped += batch.len();
                    }
                    if sent.failures == 0 || ends {
                        self.hand.say(format!("{} refused spans: {}", self.to.url, failure.why));
                    }
                    let wait = AGAIN[sent.failures.min(AGAIN.len() - 1)];
                    sent.failures += 1;
                    sent.not_before = Some(world.now() + wait);
                    break;
                }
            }
        }
        if ends && sent.dropped + sent.queue.len() > 0 {
            let lost = sent.dropped + sent.queue.len();
            self.hand.say(format!(
                "{} not sent; to get all spans, run drctl report run RUN --format otlp",
                count(lost, "span was|spans were")
            ));
        }
    }
}
