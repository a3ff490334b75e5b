//! The only clock, the only randomness, the only waiting.
//!
//! A live world waits in real time. A virtual world has a timer heap of its own and moves its clock to the next timer when
//! every task is parked on it and nothing is outstanding outside; one seed gives one history. (Tokio's paused clock would
//! jump while other threads still work.)

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use crate::model::ids::Digest;
use crate::model::time::{Dur, Timestamp};

/// A handle to the world; clones share it.
#[derive(Clone)]
pub struct World {
    inner: Rc<Inner>,
}

struct Inner {
    clock: Clock,
    seed: u64,
    draws: AtomicU64,
}

enum Clock {
    Live {
        hands: Cell<Hands>,
        jumps: Cell<Jumps>,
        origin: std::time::Instant,
        runtime: tokio::runtime::Runtime,
    },
    Virtual {
        began: Timestamp,
        /// By a monotonic clock.
        real: Cell<Timestamp>,
        timers: RefCell<Timers>,
        outstanding: Cell<u32>,
        pace: Option<f64>,
        hands: Cell<Hands>,
        jumps: Cell<Jumps>,
        /// How far the machine's clock was set ahead of `real`, in milliseconds; negative if it was set back.
        set: Cell<i64>,
    },
}

/// How far the wall clock moved away from the monotonic one since a world began, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jumps {
    /// Ahead.
    pub forward: Dur,
    /// Back.
    pub backward: Dur,
}

impl Jumps {
    fn and(self, forward: Dur, backward: Dur) -> Self {
        Self { forward: self.forward.plus(forward), backward: self.backward.plus(backward) }
    }

    /// What came since.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { forward: self.forward.minus(before.forward), backward: self.backward.minus(before.backward) }
    }
}

/// What a process takes for the time. It follows the monotonic clock, and the wall clock only where that runs ahead: what was set
/// back would let timeouts and retries wait for as long, and make outages shorter than they were.
#[derive(Clone, Copy)]
struct Hands {
    /// The time at the origin of the monotonic clock.
    base: Timestamp,
    /// How much less the wall clock shows since it was set back.
    behind: Dur,
}

/// How far two clocks part before that is called a jump, and not drift.
pub const JUMP: Dur = Dur::secs(2);

impl Hands {
    fn at(self, elapsed: Dur) -> Timestamp {
        self.base + elapsed
    }

    /// How far the wall clock moved away from the monotonic one since last asked: (forward, backward).
    fn compare(&mut self, elapsed: Dur, wall: Timestamp) -> Option<(Dur, Dur)> {
        let expected = self.at(elapsed) - self.behind;
        let (forward, backward) = (wall.since(expected), expected.since(wall));
        if forward.max(backward) < JUMP {
            return None;
        }
        // Set forward again it first makes up for having been set back.
        let made_up = forward.min(self.behind);
        self.behind = self.behind.minus(made_up).plus(backward);
        let ahead = forward.minus(made_up);
        self.base = self.base + ahead;
        (ahead.max(backward) > Dur::ZERO).then_some((ahead, backward))
    }

    /// Goes on from `at`, if that is later than now. Says by how much.
    fn not_before(&mut self, elapsed: Dur, at: Timestamp) -> Dur {
        let ahead = at.since(self.at(elapsed));
        self.base = self.base + ahead;
        self.behind = self.behind.plus(ahead);
        ahead
    }
}

/// The first time that this process asked for.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads clocks")]
static ORIGIN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

#[derive(Default)]
struct Timers {
    heap: BTreeMap<(Timestamp, u64), Waker>,
    next: u64,
}

impl World {
    /// Real time.
    ///
    /// # Errors
    /// If the operating system gives no timer or signal handling.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads clocks")]
    pub fn live() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let origin = std::time::Instant::now();
        let hands = Cell::new(Hands { base: wall(), behind: Dur::ZERO });
        let clock = Clock::Live { hands, jumps: Cell::default(), origin, runtime };
        let seed =
            u64::from(std::process::id()) ^ u64::try_from(wall().millis()).unwrap_or(0).rotate_left(20);
        Ok(Self::with(clock, seed))
    }

    /// Time that moves when nothing else does. `pace` is virtual seconds for each real one; none is as fast as possible.
    pub fn simulated(began: Timestamp, seed: u64, pace: Option<f64>) -> Self {
        let clock = Clock::Virtual {
            began,
            real: Cell::new(began),
            timers: RefCell::default(),
            outstanding: Cell::new(0),
            pace,
            hands: Cell::new(Hands { base: began, behind: Dur::ZERO }),
            jumps: Cell::default(),
            set: Cell::default(),
        };
        Self::with(clock, seed)
    }

    fn with(clock: Clock, seed: u64) -> Self {
        Self { inner: Rc::new(Inner { clock, seed, draws: AtomicU64::new(0) }) }
    }

    /// Now. It never runs backwards.
    pub fn now(&self) -> Timestamp {
        match &self.inner.clock {
            Clock::Live { hands, origin, .. } => hands.get().at(elapsed(*origin)),
            Clock::Virtual { real, hands, began, .. } => hands.get().at(real.get().since(*began)),
        }
    }

    /// The time of a clock that nobody sets, and that is the same for all worlds of a process. In a simulated world, its own time.
    pub fn ticks(&self) -> Dur {
        match &self.inner.clock {
            Clock::Live { .. } => elapsed(*ORIGIN),
            Clock::Virtual { .. } => self.now().since(Timestamp::from_millis(0)),
        }
    }

    /// What the machine's clock shows: it may be behind [`Self::now`], and is what the clocks of providers are like.
    pub fn shown(&self) -> Timestamp {
        match &self.inner.clock {
            Clock::Live { hands, origin, .. } => hands.get().at(elapsed(*origin)) - hands.get().behind,
            Clock::Virtual { real, set, .. } => moved(real.get(), set.get()),
        }
    }

    /// Nothing before `at` is reported any more: the clock of a run continues from its last event. Returns how far the wall clock is behind
    /// that: it was set back since, and the elapsed time is unknown. For other runs of the process that is a jump.
    pub fn not_before(&self, at: Timestamp) -> Dur {
        match &self.inner.clock {
            Clock::Live { hands, jumps, origin, .. } => {
                let mut moved = hands.get();
                let ahead = moved.not_before(elapsed(*origin), at);
                hands.set(moved);
                jumps.set(jumps.get().and(ahead, Dur::ZERO));
                ahead
            }
            Clock::Virtual { real, hands, jumps, began, .. } => {
                let mut moved = hands.get();
                let now = moved.at(real.get().since(*began));
                // Time passes, except as far as this process began with a clock that was set back.
                let ahead = moved.not_before(real.get().since(*began), at.min(now.max(real.get())));
                hands.set(moved);
                jumps.set(jumps.get().and(ahead, Dur::ZERO));
                real.set(real.get() + at.since(now + ahead));
                ahead
            }
        }
    }

    /// Sets the clock of a simulated process ahead. Its environment and what it waits for continue as before.
    pub fn set_ahead(&self, by: Dur) {
        if let Clock::Virtual { set, .. } = &self.inner.clock {
            set.set(set.get().saturating_add_unsigned(by.millis()));
        }
    }

    /// Sets it back.
    pub fn set_back(&self, by: Dur) {
        if let Clock::Virtual { set, .. } = &self.inner.clock {
            set.set(set.get().saturating_sub_unsigned(by.millis()));
        }
    }

    /// A simulated process begins, and its clock was set back before.
    pub fn begin_behind(&self, by: Dur) {
        if let Clock::Virtual { hands, .. } = &self.inner.clock {
            let Hands { base, behind } = hands.get();
            hands.set(Hands { base: base - by, behind });
            self.set_back(by);
        }
    }

    /// The time of what a process runs in.
    pub fn real(&self) -> Timestamp {
        match &self.inner.clock {
            Clock::Live { .. } => self.now(),
            Clock::Virtual { real, .. } => real.get(),
        }
    }

    /// How far [`Self::now`] is ahead of that, in milliseconds; negative if it is behind.
    pub fn ahead_ms(&self) -> i64 {
        self.now().millis().saturating_sub(self.real().millis())
    }

    /// How far the wall clock moved away from the monotonic one, as far as was compared: nothing is looked at.
    pub fn jumps(&self) -> Jumps {
        match &self.inner.clock {
            Clock::Live { jumps, .. } | Clock::Virtual { jumps, .. } => jumps.get(),
        }
    }

    /// Compares the two clocks, and follows one that was set ahead; says how far they moved apart in all. Below two seconds is drift. Whoever
    /// shares the world finds out by what they were told last: time moves for all of them at once.
    pub fn compare(&self) -> Jumps {
        let (hands, jumps, elapsed, wall) = match &self.inner.clock {
            Clock::Live { hands, jumps, origin, .. } => (hands, jumps, elapsed(*origin), wall()),
            Clock::Virtual { hands, jumps, real, began, .. } => {
                (hands, jumps, real.get().since(*began), self.shown())
            }
        };
        let mut moved = hands.get();
        if let Some((forward, backward)) = moved.compare(elapsed, wall) {
            jumps.set(jumps.get().and(forward, backward));
        }
        hands.set(moved);
        jumps.get()
    }

    /// Whether time is simulated.
    pub fn is_simulated(&self) -> bool {
        matches!(self.inner.clock, Clock::Virtual { .. })
    }

    /// Virtual seconds for each real one, if virtual time keeps pace with real time.
    pub fn pace(&self) -> Option<f64> {
        if let Clock::Virtual { pace, .. } = &self.inner.clock { *pace } else { None }
    }

    /// Any number. In a simulated world it follows from the seed and the order of draws.
    pub fn random(&self) -> u64 {
        let draw = self.inner.draws.fetch_add(1, Ordering::Relaxed);
        let now = if self.is_simulated() { 0 } else { self.now().millis() };
        let digest =
            Digest::of_fields(&[&self.inner.seed.to_be_bytes(), &draw.to_be_bytes(), &now.to_be_bytes()]);
        u64::from_str_radix(&digest.as_str()[..16], 16).unwrap_or(0)
    }

    /// Waits until `due`.
    pub async fn sleep_until(&self, due: Timestamp) {
        match &self.inner.clock {
            Clock::Live { .. } => {
                let wait = due.since(self.now());
                #[expect(clippy::disallowed_methods, reason = "this is the one place that waits")]
                tokio::time::sleep(wait.std()).await;
            }
            // Whatever happens to the clock of the process meanwhile.
            Clock::Virtual { .. } => {
                Sleep { world: self.clone(), due: moved(due, self.ahead_ms().saturating_neg()), id: None }
                    .await
            }
        }
    }

    /// Waits for something that happens outside virtual time, such as the journal's disk: meanwhile time stands still.
    pub async fn outside<F: Future>(&self, future: F) -> F::Output {
        let Clock::Virtual { outstanding, .. } = &self.inner.clock else { return future.await };
        outstanding.set(outstanding.get() + 1);
        let output = future.await;
        outstanding.set(outstanding.get() - 1);
        output
    }

    /// Runs a future to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match &self.inner.clock {
            Clock::Live { runtime, .. } => runtime.block_on(future),
            Clock::Virtual { .. } => self.block_on_virtual(future),
        }
    }

    fn block_on_virtual<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let flag = Arc::new(Flag { woken: AtomicBool::new(true), thread: std::thread::current() });
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        loop {
            while flag.woken.swap(false, Ordering::SeqCst) {
                if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                    return output;
                }
            }
            if self.is_outstanding() {
                std::thread::park_timeout(std::time::Duration::from_millis(50));
            } else {
                // Every task is parked and nothing is outstanding: time may move.
                assert!(self.advance(), "a simulated run waits for something that can never happen");
            }
        }
    }

    fn is_outstanding(&self) -> bool {
        matches!(&self.inner.clock, Clock::Virtual { outstanding, .. } if outstanding.get() > 0)
    }

    /// Moves to the next timer and wakes everything that is due then, in the order in which it was asked for.
    fn advance(&self) -> bool {
        let Clock::Virtual { real: now, timers, pace, .. } = &self.inner.clock else { return false };
        let Some(due) = timers.borrow().heap.keys().next().map(|(due, _)| *due) else { return false };
        if let Some(pace) = pace {
            let real = due.since(now.get()).as_secs_f64() / pace;
            #[expect(clippy::disallowed_methods, reason = "this is the one place that waits")]
            std::thread::sleep(std::time::Duration::from_secs_f64(real.clamp(0.0, 3_600.0)));
        }
        now.set(now.get().max(due));
        loop {
            let mut timers = timers.borrow_mut();
            let Some(entry) = timers.heap.first_entry().filter(|e| e.key().0 <= due) else { return true };
            let waker = entry.remove();
            drop(timers);
            waker.wake();
        }
    }
}

/// A time, moved by this many milliseconds.
const fn moved(at: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_millis(at.millis().saturating_add(by))
}

struct Flag {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

struct Sleep {
    world: World,
    /// By the monotonic clock.
    due: Timestamp,
    id: Option<(Timestamp, u64)>,
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let world = self.world.clone();
        let Clock::Virtual { real: now, timers, .. } = &world.inner.clock else { return Poll::Ready(()) };
        let mut timers = timers.borrow_mut();
        if let Some(id) = self.id.take() {
            timers.heap.remove(&id);
        }
        if now.get() >= self.due {
            return Poll::Ready(());
        }
        let id = (self.due, timers.next);
        timers.next += 1;
        timers.heap.insert(id, cx.waker().clone());
        self.id = Some(id);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let (Some(id), Clock::Virtual { timers, .. }) = (self.id, &self.world.inner.clock) {
            timers.borrow_mut().heap.remove(&id);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads clocks")]
fn elapsed(origin: std::time::Instant) -> Dur {
    Dur(u64::try_from(std::time::Instant::now().duration_since(origin).as_millis()).unwrap_or(u64::MAX))
}

/// The wall clock, for what drctl reports about this process itself. Decisions use a [`World`].
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads clocks")]
pub fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_moves_to_the_next_timer_only() {
        let t0 = Timestamp::from_millis(0);
        let world = World::simulated(t0, 1, None);
        let w = world.clone();
        world.block_on(async move {
            futures_util::future::join(w.sleep_until(t0 + Dur::mins(5)), async {
                w.sleep_until(t0 + Dur::secs(1)).await;
                assert_eq!(w.now(), t0 + Dur::secs(1));
            })
            .await;
            assert_eq!(w.now(), t0 + Dur::mins(5));
        });
    }

    #[test]
    fn a_clock_that_was_set_back_is_not_followed() {
        let t0 = Timestamp::from_millis(1_000_000_000);
        let mut hands = Hands { base: t0, behind: Dur::ZERO };
        assert_eq!(hands.compare(Dur::secs(10), t0 + Dur::secs(11)), None);
        let hour = Dur::mins(60);
        assert_eq!(hands.compare(Dur::secs(20), t0 + Dur::secs(20) - hour), Some((Dur::ZERO, hour)));
        assert_eq!(hands.at(Dur::secs(20)), t0 + Dur::secs(20));
        // Said once, and the correction is followed by nobody either.
        assert_eq!(hands.compare(Dur::secs(30), t0 + Dur::secs(30) - hour), None);
        assert_eq!(hands.compare(Dur::secs(40), t0 + Dur::secs(40)), None);
        assert_eq!(hands.at(Dur::secs(40)), t0 + Dur::secs(40));
        // A machine that slept, or a clock that was behind from the beginning: writes were acknowledged until then.
        assert_eq!(hands.compare(Dur::secs(50), t0 + Dur::secs(50).plus(hour)), Some((hour, Dur::ZERO)));
        assert_eq!(hands.at(Dur::secs(50)), t0 + Dur::secs(50).plus(hour));
    }

    /// A run that continues after the clock was set back: its time continues, and nothing waits for the difference.
    #[test]
    fn time_goes_on_from_the_last_event() {
        let world = World::live().unwrap();
        let last = world.now() + Dur::mins(60);
        let behind = world.not_before(last);
        assert!(behind > Dur::mins(59), "{behind}");
        assert_eq!(world.not_before(last), Dur::ZERO);
        let told = world.jumps();
        assert_eq!(world.compare(), told, "the same once more");
        let w = world.clone();
        world.block_on(async move { w.sleep_until(last + Dur(50)).await });
        assert!(world.now() >= last + Dur(50));
    }

    /// What a process waits for is over when so much time has gone by, whatever its clock was set to meanwhile; and everybody who shares
    /// the clock hears of it.
    #[test]
    fn a_clock_that_is_set_ahead_shortens_no_wait() {
        let t0 = Timestamp::from_millis(0);
        let (world, hour) = (World::simulated(t0, 1, None), Dur::mins(60));
        let w = world.clone();
        world.block_on(async move {
            let waits = async {
                w.sleep_until(t0 + Dur::mins(5)).await;
                assert_eq!((w.now(), w.real()), (t0 + Dur::mins(5) + hour, t0 + Dur::mins(5)));
            };
            let sets = async {
                w.sleep_until(t0 + Dur::mins(1)).await;
                w.set_ahead(hour);
                assert_eq!(
                    (w.now(), w.jumps()),
                    (t0 + Dur::mins(1), Jumps::default()),
                    "readiness was not checked"
                );
                let jumps = Jumps { forward: hour, backward: Dur::ZERO };
                assert_eq!((w.compare(), w.compare(), w.jumps()), (jumps, jumps, jumps));
                assert_eq!(w.now(), t0 + Dur::mins(1) + hour);
            };
            futures_util::future::join(waits, sets).await;
        });
    }

    /// A process that continues a run after the clock was set back: its time continues, and its environment does not notice.
    #[test]
    fn a_simulated_process_begins_with_a_clock_that_was_set_back() {
        let t0 = Timestamp::from_millis(1_000_000_000);
        let (world, last) = (World::simulated(t0, 1, None), t0 + Dur::mins(10));
        assert_eq!(world.not_before(last + Dur::mins(30)), Dur::ZERO, "time passes");
        world.begin_behind(Dur::mins(35));
        assert_eq!((world.now(), world.real()), (last - Dur::mins(5), last + Dur::mins(30)));
        assert_eq!(world.not_before(last), Dur::mins(5));
        let forward = Jumps { forward: Dur::mins(5), backward: Dur::ZERO };
        assert_eq!((world.now(), world.jumps(), world.compare()), (last, forward, forward));
        let w = world.clone();
        world.block_on(async move { w.sleep_until(last + Dur::secs(9)).await });
        assert_eq!(world.real(), last + Dur::mins(30).plus(Dur::secs(9)));
        world.set_back(Dur::mins(1));
        assert_eq!(world.compare(), Jumps { backward: Dur::mins(1), ..forward });
        assert_eq!(world.now(), last + Dur::secs(9));
    }

    #[test]
    fn time_stands_still_while_something_is_outstanding() {
        let t0 = Timestamp::from_millis(0);
        let world = World::simulated(t0, 1, None);
        let w = world.clone();
        world.block_on(async move {
            let (tx, rx) = futures_channel::oneshot::channel::<()>();
            std::thread::spawn(move || {
                let _ = tx.send(());
            });
            let outside = async {
                let _ = w.outside(rx).await;
                assert_eq!(w.now(), t0);
            };
            futures_util::future::join(outside, w.sleep_until(t0 + Dur::secs(9))).await;
        });
    }
}
