//! One throttle for each service, account and region. It delays calls that would exceed the rate limit.
//!
//! Each token bucket starts with the published limits, or those in the settings. After a `Throttling` answer it blocks for a
//! while, longer each time; other answers shorten that again. So drctl adapts to limits that are not published.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Add;
use std::rc::Rc;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::model::time::{Dur, Timestamp};
use crate::plan::settings::Limit;
use crate::world::World;

/// The fraction of a bucket that stays unused: one in this many.
const ROOM: u32 = 16;
/// How long the first `Throttling` blocks.
const FIRST_HOLD: Dur = Dur(250);
/// The longest block.
const LONGEST_HOLD: Dur = Dur(8_000);

/// The world's clock for the rate limiter.
#[derive(Clone)]
struct WorldClock(World);

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

impl Clock for WorldClock {
    type Instant = At;
    fn now(&self) -> At {
        At(u64::try_from(self.0.now().millis()).unwrap_or(0).saturating_mul(1_000_000))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, WorldClock, NoOpMiddleware<At>>;

struct Bucket {
    limiter: Limiter,
    hold: Dur,
    held_until: Timestamp,
}

/// All token buckets of a process.
pub struct Throttle {
    world: World,
    limits: BTreeMap<String, Limit>,
    buckets: RefCell<BTreeMap<String, Rc<RefCell<Bucket>>>>,
}

impl Throttle {
    /// Uses the limits of the settings.
    pub const fn new(world: World, limits: BTreeMap<String, Limit>) -> Self {
        Self { world, limits, buckets: RefCell::new(BTreeMap::new()) }
    }

    fn bucket(&self, service: &str, scope: &str) -> Rc<RefCell<Bucket>> {
        let key = format!("{service}/{scope}");
        let mut buckets = self.buckets.borrow_mut();
        let make = || {
            let limit = self.limits.get(service).copied().unwrap_or(Limit { burst: 100, per_second: 20 });
            let of = |n: u32| NonZeroU32::new(n.max(1)).unwrap_or(NonZeroU32::MIN);
            // A delayed call arrives in the next interval. Some spare room keeps it from exceeding that interval's limit.
            let burst = limit.burst - limit.burst / ROOM;
            let quota = Quota::per_second(of(limit.per_second)).allow_burst(of(burst));
            let limiter = RateLimiter::direct_with_clock(quota, WorldClock(self.world.clone()));
            Rc::new(RefCell::new(Bucket { limiter, hold: Dur::ZERO, held_until: Timestamp::from_millis(0) }))
        };
        Rc::clone(buckets.entry(key).or_insert_with(make))
    }

    /// Waits until a call may be sent.
    pub async fn pass(&self, service: &str, scope: &str) {
        let bucket = self.bucket(service, scope);
        loop {
            let now = self.world.now();
            let wait_until = {
                let bucket = bucket.borrow();
                if now < bucket.held_until {
                    Some(bucket.held_until)
                } else {
                    bucket.limiter.check().err().map(|until| {
                        let wait = until.wait_time_from(WorldClock(self.world.clone()).now());
                        now + Dur(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1))
                    })
                }
            };
            match wait_until {
                Some(until) => self.world.sleep_until(until).await,
                None => return,
            }
        }
    }

    /// The service reported too many calls.
    pub fn throttled(&self, service: &str, scope: &str) {
        let bucket = self.bucket(service, scope);
        let mut bucket = bucket.borrow_mut();
        bucket.hold = Dur((bucket.hold.millis() * 2).clamp(FIRST_HOLD.millis(), LONGEST_HOLD.millis()));
        // Jitter keeps two operators that were throttled together from retrying together.
        let jitter = Dur(self.world.random() % bucket.hold.millis().max(1));
        bucket.held_until = self.world.now() + bucket.hold.plus(jitter);
    }

    /// The service answered.
    pub fn answered(&self, service: &str, scope: &str) {
        let bucket = self.bucket(service, scope);
        let mut bucket = bucket.borrow_mut();
        bucket.hold = Dur(bucket.hold.millis() / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_burst_through_and_then_its_rate() {
        let t0 = Timestamp::from_millis(1_000_000);
        let world = World::simulated(t0, 1, None);
        let limits = BTreeMap::from([("route53".to_owned(), Limit { burst: 50, per_second: 10 })]);
        let throttle = Throttle::new(world.clone(), limits);
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
