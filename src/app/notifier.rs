//! Sends notifications about the runs that this process drives, on a thread of its own, so that no recovery waits for a message.
//!
//! The notifications follow from the journal and the clock (`report::notices`), and the ledger records what was sent. Only one process of a
//! store sends at a time. If a process is killed before it records a message, the message is sent again with the same key, by which the
//! receiver recognizes it.

pub mod told;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures_util::future::{Either, LocalBoxFuture, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use told::{AGAIN, ENTRIES, Fate, NotifierState, Scope};

use super::background::{Background, Hand};
use super::channel_secrets;
use super::context::Context;
use super::error::AppError;
use super::interrupt::Interrupts;
use super::presenter::Presenter;
use super::run_states;
use super::telemetry::Exporter;
use crate::executor::create;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, StoreError};
use crate::model::ids::RunId;
use crate::model::ledger::{Entry, StoreWorld};
use crate::model::notice::{Channel, Kind, Notice, Notify, SecretAt};
use crate::model::policy::Policy;
use crate::model::schedule::Schedule;
use crate::model::time::{Dur, Timestamp};
use crate::notify::{self, Failure, Message};
use crate::report::notices;
use crate::world::World;

/// How often to check for new notifications.
const LOOK: Dur = Dur::secs(2);
/// How often the thread checks whether to end.
const POLL: Dur = Dur(100);
/// Older notifications are dropped: nobody wants to be woken for what was over days ago.
const FRESH: Dur = Dur::secs(3 * 24 * 60 * 60);
/// How long the end of a command waits for its last messages.
const AFTERWARDS: Dur = Dur::secs(30);
/// The interval of further attempts after the first ones.
const LATER: Dur = Dur::mins(1);

/// The name of the lock that the sending process holds.
fn name() -> RunId {
    RunId::new("notify")
}

/// The thread that sends notifications.
pub struct Notifier {
    thread: Background,
    more: Arc<Mutex<Vec<Notice>>>,
}

/// Notifications that do not belong to a run.
pub struct More(Arc<Mutex<Vec<Notice>>>);

impl More {
    /// Replaces the previous ones.
    pub fn tell(&self, news: Vec<Notice>) {
        if let Ok(mut more) = self.0.lock() {
            *more = news;
        }
    }
}

impl Notifier {
    /// Starts to send, if there are recipients and the store is live.
    pub fn begin(context: &Context, presenter: &dyn Presenter, scope: Scope) -> Option<Self> {
        if context.is_rehearsal() || context.settings.notify.channels.is_empty() {
            return None;
        }
        let more = Arc::<Mutex<Vec<Notice>>>::default();
        let news = Arc::clone(&more);
        let (notify, policy) = (context.settings.notify.clone(), context.settings.policy.clone());
        let (schedules, base) = (context.settings.schedules.clone(), context.base.clone());
        let store = context.store_file();
        let work = move |hand| {
            NotifierSettings { notify, policy, schedules, base, store, scope, hand, more: news }.work()
        };
        let say = |e| {
            presenter
                .note(&format!("notify: no notifications are sent, because the thread did not start: {e}"))
        };
        let thread = Background::begin("notify", work).map_err(say).ok()?;
        Some(Self { thread, more })
    }

    /// Whether the thread has ended by itself.
    pub fn is_gone(&self) -> bool {
        self.thread.is_gone()
    }

    /// Sets the notifications that do not belong to a run.
    pub fn also(&self, news: Vec<Notice>) {
        self.more().tell(news);
    }

    /// Where other threads set such notifications.
    pub fn more(&self) -> More {
        More(Arc::clone(&self.more))
    }

    /// Prints failures since the last call.
    pub fn tell(&self, presenter: &dyn Presenter) {
        self.thread.tell(presenter);
    }

    /// Sends what is left, and ends. Nothing else depends on it.
    pub fn end(self, presenter: &dyn Presenter, interrupts: &Interrupts) {
        let late = "some notifications are not delivered yet; drctl serve continues to deliver them";
        self.thread.end(AFTERWARDS, late, (presenter, interrupts));
    }
}

/// Does work while notifications and traces about it are sent.
///
/// # Errors
/// Those of the work.
pub fn beside<T>(
    context: &Context,
    (presenter, interrupts, run): (&dyn Presenter, &Interrupts, Option<&RunId>),
    work: impl FnOnce() -> Result<T, AppError>,
) -> Result<T, AppError> {
    let herald = Notifier::begin(context, presenter, Scope::Running(run.cloned()));
    let exporter = Exporter::begin(context, presenter, run);
    let done = work();
    if let Some(exporter) = exporter {
        exporter.end(presenter, interrupts);
    }
    if let Some(herald) = herald {
        herald.end(presenter, interrupts);
    }
    done
}

/// A message that was answered, or that will never be.
struct Landed {
    notice: Notice,
    channel: Channel,
    sent: Result<String, Failure>,
}

type Flights = FuturesUnordered<LocalBoxFuture<'static, Landed>>;

fn fly(
    world: World,
    base: PathBuf,
    (notice, channel): (Notice, Channel),
    closes: Vec<String>,
) -> LocalBoxFuture<'static, Landed> {
    Box::pin(async move {
        let reveal = |at: &SecretAt| channel_secrets::reveal(&base, at);
        let message = Message { notice: &notice, closes: &closes, at: world.shown() };
        let sent = notify::send(&world, &channel, message, &reveal).await;
        Landed { notice, channel, sent }
    })
}

/// The configuration of the thread.
struct NotifierSettings {
    notify: Notify,
    policy: Policy,
    schedules: Vec<Schedule>,
    base: PathBuf,
    store: PathBuf,
    scope: Scope,
    hand: Hand,
    more: Arc<Mutex<Vec<Notice>>>,
}

impl NotifierSettings {
    /// `None` if the store is busy; the thread tries again.
    fn open(&self, world: &World) -> Option<SqliteJournal> {
        loop {
            match SqliteJournal::open_existing(&self.store, StoreWorld::Live) {
                Ok(store) => return Some(store),
                Err(e) => self.hand.say(format!("no notifications are sent yet: {e}")),
            }
            if self.hand.ends() {
                return None;
            }
            world.block_on(world.sleep_until(world.now() + LOOK));
        }
    }

    fn work(&self) {
        let Ok(world) = World::live() else { return };
        let Some(store) = self.open(&world) else { return };
        let mut known = NotifierState::default();
        let mut flights = FuturesUnordered::new();
        loop {
            // Asked before the check, so that messages that exist at the request to end are still sent.
            let ends = self.hand.ends();
            let left = match self.look(&world, &store, &mut known, &flights) {
                Ok(left) => left,
                Err(e) => {
                    self.hand.say(format!("drctl cannot read the store: {e}"));
                    false
                }
            };
            if ends && !left && flights.is_empty() {
                return;
            }
            self.wait(&world, &store, &mut known, &mut flights);
        }
    }

    /// Waits for answers until the next check is due.
    fn wait(&self, world: &World, store: &SqliteJournal, known: &mut NotifierState, flights: &mut Flights) {
        let next = world.now() + LOOK;
        while world.now() < next {
            let ends = self.hand.ends();
            let slice = next.min(world.now() + POLL);
            let landed = world.block_on(async {
                match select(flights.next(), pin!(world.sleep_until(slice))).await {
                    Either::Left((landed, _)) => landed,
                    Either::Right(_) => None,
                }
            });
            if let Some(Landed { notice, channel, sent }) = landed {
                known.flying.remove(&(notice.key.clone(), channel.name.clone()));
                self.enter(store, known, (&notice, &channel), sent, world.shown());
            } else if flights.is_empty() {
                // An empty stream is over at once.
                world.block_on(world.sleep_until(slice));
            }
            if ends || self.hand.ends() {
                return;
            }
        }
    }

    /// Sends what is due, to all channels in parallel. Returns whether something is left that may still succeed in the first attempts.
    fn look(
        &self,
        world: &World,
        store: &SqliteJournal,
        known: &mut NotifierState,
        flights: &Flights,
    ) -> Result<bool, StoreError> {
        if known.lock.is_none() {
            match RunLock::take(&Context::lock_folder(store), &name()) {
                Ok(lock) => known.lock = Some(lock),
                // The process with the lock notifies about every unfinished run. At its end, this one waits for that.
                Err(StoreError::Owned(_)) => return self.left_to_others(world, store, known),
                Err(e) => return Err(e),
            }
            known.remember(store)?;
            known.leave_out(store, &self.scope)?;
        }
        let now = world.shown();
        let news = self.news(store, known, now)?;
        for (notice, channel) in known.next(&self.notify, &news, now) {
            known.flying.insert((notice.key.clone(), channel.name.clone()));
            let closes = known.closes(notice, channel);
            flights.push(fly(world.clone(), self.base.clone(), (notice.clone(), channel.clone()), closes));
        }
        Ok(known.is_left(&self.notify, &news))
    }

    fn left_to_others(
        &self,
        world: &World,
        store: &SqliteJournal,
        known: &mut NotifierState,
    ) -> Result<bool, StoreError> {
        if !self.hand.ends() {
            return Ok(false);
        }
        known.remember(store)?;
        known.leave_out(store, &self.scope)?;
        let news = self.news(store, known, world.shown())?;
        Ok(known.is_left(&self.notify, &news))
    }

    /// All current notifications.
    fn news(
        &self,
        store: &SqliteJournal,
        known: &mut NotifierState,
        now: Timestamp,
    ) -> Result<Vec<Notice>, StoreError> {
        let mut news = Vec::new();
        let fresh = |notice: &Notice| now.since(notice.due) < FRESH;
        for row in store.runs()? {
            if known.over.contains(&row.run) {
                continue;
            }
            if known.runs.get(&row.run).is_none_or(|(events, _)| *events != row.events) {
                // A broken run must not hide the others; drctl status reports it.
                let read = match store.read(&row.run) {
                    Ok(records) => create::replay(&row.run, &records).map_err(|e| e.to_string()),
                    Err(e @ (StoreError::Corrupt { .. } | StoreError::NoRun(_))) => Err(e.to_string()),
                    Err(e) => return Err(e),
                };
                let state = match read {
                    Ok(state) => state,
                    Err(why) => {
                        self.hand.say(format!("no notifications are sent for run {}: {why}", row.run));
                        known.over.insert(row.run);
                        continue;
                    }
                };
                known.runs.insert(row.run.clone(), (row.events, state));
            }
            let Some((_, state)) = known.runs.get(&row.run) else { continue };
            let plan = &state.created.plan;
            if !known.histories.contains_key(plan) {
                let history = run_states::history(store, plan).unwrap_or_default();
                known.histories.insert(plan.clone(), history);
            }
            let history = &known.histories[plan];
            let expected =
                known.expected.entry(row.run.clone()).or_insert_with(|| history.predict(&state.runbook));
            let of_run = notices::of_run(state, &self.policy, (history, expected), now);
            let owes = state
                .finished_at
                .is_none_or(|ended| now.since(ended) < FRESH.plus(self.policy.duties.review_within_ms));
            if of_run.is_empty() || !owes {
                known.over.insert(row.run.clone());
            }
            // Everything about a run in progress counts as news.
            let open = known.runs.get(&row.run).is_some_and(|(_, state)| !state.finished());
            news.extend(of_run.into_iter().filter(|notice| open || fresh(notice)));
        }
        if self.scope == Scope::Everything {
            let invite = |schedule| notices::invitation(schedule, self.notify.invite, now);
            news.extend(self.schedules.iter().filter_map(invite));
            let more = self.more.lock().map(|more| more.clone()).unwrap_or_default();
            news.extend(more.into_iter().filter(fresh));
        }
        Ok(news)
    }

    /// Records the result of a message.
    fn enter(
        &self,
        store: &SqliteJournal,
        known: &mut NotifierState,
        (notice, channel): (&Notice, &Channel),
        sent: Result<String, Failure>,
        at: Timestamp,
    ) {
        let key = (notice.key.clone(), channel.name.clone());
        let before = match known.told.get(&key) {
            Some(Fate::Failed(tries, _)) => *tries,
            _ => 0,
        };
        let (fate, said) = match sent {
            Ok(said) => (Fate::Delivered, said),
            Err(Failure { why, again }) => {
                let wait = AGAIN.get(before).copied().unwrap_or(LATER);
                (Fate::Failed(before + 1, again.then(|| at + wait)), why)
            }
        };
        let delivered = fate == Fate::Delivered;
        let gives_up = matches!(&fate, Fate::Failed(tries, next) if *tries == AGAIN.len() + 1 || (next.is_none() && *tries == 1));
        known.told.insert(key, fate);
        if delivered {
            known.took(notice, channel);
        }
        if !delivered && !gives_up {
            return;
        }
        if gives_up {
            let then = channel.otherwise.as_ref().map_or_else(
                || "and there is no `otherwise`".to_owned(),
                |otherwise| format!("drctl notifies {otherwise} instead"),
            );
            self.hand.say(format!("{} did not accept {}: {said}; {then}", channel.name, notice.key));
        }
        let entry = Entry::Notice {
            at,
            notice: notice.key.clone(),
            kind: notice.kind,
            run: notice.run.clone(),
            thread: notice.thread.clone(),
            due: notice.due,
            channel: channel.name.clone(),
            delivered,
            said,
        };
        if let Err(e) = store.enter(&entry) {
            self.hand
                .say(format!("drctl could not record the message to {} in the ledger: {e}", channel.name));
        }
    }
}

/// The ledger's entries about notifications, in order.
///
/// # Errors
/// If the ledger cannot be read.
pub fn told(store: &SqliteJournal) -> Result<Vec<Entry>, AppError> {
    let entries = store.entries(ENTRIES)?;
    Ok(entries.iter().filter_map(|record| Entry::read(&record.bytes).ok()).collect())
}

/// When people were notified about each run.
///
/// # Errors
/// If the ledger cannot be read.
pub fn told_of_runs(store: &SqliteJournal) -> Result<BTreeMap<RunId, Vec<Timestamp>>, AppError> {
    let mut all: BTreeMap<RunId, Vec<Timestamp>> = BTreeMap::new();
    for entry in told(store)? {
        if let Entry::Notice { at, run: Some(run), delivered, kind, .. } = entry
            && matches!(kind, Kind::Alert | Kind::Update | Kind::Resolved)
        {
            // A run whose messages all failed is listed too, with no time.
            all.entry(run).or_default().extend(delivered.then_some(at));
        }
    }
    all.values_mut().for_each(|at| at.sort_unstable());
    Ok(all)
}
