//! One throttle for each service, account and region. It delays calls that would exceed the rate limit.
//!
//! Each token bucket starts with the published limits, or those in the settings. After a `Throttling` answer it blocks for a
//! while, longer each time; other answers shorten that again. So drctl adapts to limits that are not published.
//!
//! All runs of a process share the buckets, because a hundred runs at once have the limits of one account.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::kinds::aws::services::UNPUBLISHED;
use crate::model::time::Dur;
use crate::plan::settings::Limit;
use crate::world::World;

/// The fraction of a bucket that stays unused: one in this many.
const ROOM: u32 = 16;
/// How long the first `Throttling` blocks.
const FIRST_HOLD: Dur = Dur(250);
/// The longest block.
const LONGEST_HOLD: Dur = Dur(8_000);

/// A clock that is set to a world's ticks before it is read, because a world belongs to one thread. It never goes back.
#[derive(Clone, Debug, Default)]
struct SetClock(Arc<AtomicU64>);

impl SetClock {
    fn set(&self, ticks: Dur) -> At {
        let nanos = ticks.millis().saturating_mul(1_000_000);
        At(self.0.fetch_max(nanos, Ordering::Relaxed).max(nanos))
    }
}

/// A time of that clock, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct At(u64);

impl Add<Nanos> for At {
    type Output = Self;
    fn add(self, other: Nanos) -> Self {
        Self(self.0.saturating_add(other.as_u64()))
    }
}

impl Reference for At {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }
    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.into()).unwrap_or(self.0))
    }
}

impl Clock for SetClock {
    type Instant = At;
    fn now(&self) -> At {
        At(self.0.load(Ordering::Relaxed))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, SetClock, NoOpMiddleware<At>>;

struct Bucket {
    clock: SetClock,
    limiter: Limiter,
    hold: Dur,
    /// In ticks.
    held_until: Dur,
}

impl Bucket {
    /// How long to wait before asking again; `None` if this many tokens were taken. No more than the bucket holds may be asked for.
    fn wait(&self, tokens: NonZeroU32, ticks: Dur) -> Option<Dur> {
        if ticks < self.held_until {
            return Some(self.held_until.minus(ticks));
        }
        let at = self.clock.set(ticks);
        self.limiter.check_n(tokens).ok()?.err().map(|until| {
            let wait = until.wait_time_from(at);
            Dur(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1))
        })
    }
}

/// The buckets, by service and scope.
type Buckets = Arc<Mutex<BTreeMap<String, Arc<Mutex<Bucket>>>>>;

/// The buckets of this process.
static PROCESS: LazyLock<Buckets> = LazyLock::new(Buckets::default);

fn at_least_one(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

/// The part of a burst that drctl uses. A delayed call arrives in the next interval. Some spare room keeps it from exceeding that
/// interval's limit.
fn usable(limit: Limit) -> NonZeroU32 {
    at_least_one(limit.burst - limit.burst / ROOM)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Delays calls, by the buckets of the process or, in virtual time, its own.
pub struct Throttle {
    world: World,
    limits: BTreeMap<String, Limit>,
    buckets: Buckets,
}

impl Throttle {
    /// Uses the limits of the settings.
    pub fn new(world: World, limits: BTreeMap<String, Limit>) -> Self {
        let buckets = if world.is_simulated() { Buckets::default() } else { Arc::clone(&PROCESS) };
        Self { world, limits, buckets }
    }

    fn bucket(&self, service: &str, scope: &str) -> Arc<Mutex<Bucket>> {
        let key = format!("{service}/{scope}");
        let mut buckets = lock(&self.buckets);
        let make = || {
            let (burst, per_second) = UNPUBLISHED;
            let limit = self.limits.get(service).copied().unwrap_or(Limit { burst, per_second });
            let quota = Quota::per_second(at_least_one(limit.per_second)).allow_burst(usable(limit));
            let clock = SetClock::default();
            clock.set(self.world.ticks());
            let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
            Arc::new(Mutex::new(Bucket { clock, limiter, hold: Dur::ZERO, held_until: Dur::ZERO }))
        };
        Arc::clone(buckets.entry(key).or_insert_with(make))
    }

    /// Waits until a call may be sent.
    pub async fn pass(&self, service: &str, scope: &str) {
        self.take(service, scope, NonZeroU32::MIN).await;
    }

    /// Waits until this many changes may be sent in one call. Without a limit in the settings there is no wait. More changes than the bucket
    /// holds wait for as long as the bucket takes to refill for all of them.
    pub async fn pass_changes(&self, name: &str, scope: &str, count: usize) {
        let Some(limit) = self.limits.get(name) else { return };
        let most = usable(*limit);
        let mut left = u32::try_from(count).unwrap_or(u32::MAX);
        while let Some(tokens) = NonZeroU32::new(left).map(|left| left.min(most)) {
            self.take(name, scope, tokens).await;
            left -= tokens.get();
        }
    }

    async fn take(&self, service: &str, scope: &str, tokens: NonZeroU32) {
        let bucket = self.bucket(service, scope);
        loop {
            let wait = lock(&bucket).wait(tokens, self.world.ticks());
            match wait {
                Some(wait) => self.world.sleep_until(self.world.now() + wait).await,
                None => return,
            }
        }
    }

    /// The service reported too many calls.
    pub fn throttled(&self, service: &str, scope: &str) {
        let bucket = self.bucket(service, scope);
        let mut bucket = lock(&bucket);
        bucket.hold = bucket.hold.times(2).clamp(FIRST_HOLD, LONGEST_HOLD);
        // Jitter keeps two operators that were throttled together from retrying together.
        let jitter = Dur(self.world.random() % bucket.hold.millis().max(1));
        bucket.held_until = self.world.ticks().plus(bucket.hold).plus(jitter);
    }

    /// The service answered.
    pub fn answered(&self, service: &str, scope: &str) {
        let bucket = self.bucket(service, scope);
        let mut bucket = lock(&bucket);
        bucket.hold = Dur(bucket.hold.millis() / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn limited(name: &str, (burst, per_second): (u32, u32)) -> (World, Timestamp, Throttle) {
        let t0 = Timestamp::from_millis(1_000_000);
        let world = World::simulated(t0, 1, None);
        let limits = BTreeMap::from([(name.to_owned(), Limit { burst, per_second })]);
        (world.clone(), t0, Throttle::new(world, limits))
    }

    #[test]
    fn a_bucket_lets_its_burst_through_and_then_its_rate() {
        let (world, t0, throttle) = limited("route53", (50, 10));
        world.block_on(async {
            for _ in 0..47 {
                throttle.pass("route53", "1/global").await;
            }
            assert_eq!(world.now(), t0);
            for _ in 0..20 {
                throttle.pass("route53", "1/global").await;
            }
            let waited = world.now().since(t0).millis();
            assert!((1_900..2_200).contains(&waited), "{waited}");
            throttle.pass("route53", "2/global").await;
            assert_eq!(world.now().since(t0).millis(), waited, "another account has a bucket of its own");
        });
    }

    #[test]
    fn changes_wait_for_their_own_bucket_if_it_has_a_limit() {
        let (world, t0, throttle) = limited("changes", (100, 100));
        world.block_on(async {
            throttle.pass_changes("changes", "1", 94).await;
            assert_eq!(world.now(), t0);
            throttle.pass_changes("changes", "1", 500).await;
            let waited = world.now().since(t0).millis();
            assert!((5_000..5_100).contains(&waited), "{waited}");
            throttle.pass_changes("none", "1", 10_000).await;
            assert_eq!(world.now().since(t0).millis(), waited, "no limit, no wait");
        });
    }

    #[test]
    fn live_runs_of_one_process_share_a_bucket() {
        let bucket = |world: World| Throttle::new(world, BTreeMap::new()).bucket("a test", "1/global");
        let live = || World::live().unwrap();
        assert!(Arc::ptr_eq(&bucket(live()), &bucket(live())));
        let simulated = || World::simulated(Timestamp::from_millis(0), 1, None);
        assert!(!Arc::ptr_eq(&bucket(simulated()), &bucket(simulated())));
    }

    /// A hundred runs at once have the limits of one account.
    #[test]
    fn runs_of_one_process_share_a_bucket() {
        let t0 = Timestamp::from_millis(1_000_000);
        let limits = BTreeMap::from([("route53".to_owned(), Limit { burst: 50, per_second: 10 })]);
        let buckets = Buckets::default();
        let waited = [1, 2, 3].map(|seed| {
            let world = World::simulated(t0, seed, None);
            let (limits, buckets) = (limits.clone(), Arc::clone(&buckets));
            let throttle = Throttle { world: world.clone(), limits, buckets };
            world.block_on(async {
                for _ in 0..47 {
                    throttle.pass("route53", "1/global").await;
                }
            });
            world.now().since(t0).millis()
        });
        assert_eq!(waited[0], 0);
        // 47 calls more at ten per second, and 94 more.
        assert!(waited[1] >= 4_600 && waited[2] >= 9_300, "{waited:?}");
    }

    #[test]
    fn throttling_holds_back_longer_each_time() {
        let t0 = Timestamp::from_millis(1_000_000);
        let world = World::simulated(t0, 1, None);
        let throttle = Throttle::new(world.clone(), BTreeMap::new());
        world.block_on(async {
            for (n, least) in [(1, 250), (2, 500), (3, 1_000)] {
                let before = world.now();
                throttle.throttled("rds", "1/us-east-1");
                throttle.pass("rds", "1/us-east-1").await;
                let waited = world.now().since(before).millis();
                assert!((least..=2 * least).contains(&waited), "hold {n}: {waited}");
            }
        });
    }
}
