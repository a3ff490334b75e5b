//! Token buckets, as AWS throttles with them.

use std::collections::BTreeMap;

use super::clock::{Micros, SECOND};
use super::estate::Region;
use super::options::{Options, Rate};

/// A bucket that begins full.
struct Bucket {
    size: f64,
    /// Tokens a second.
    refill: f64,
    tokens: f64,
    /// When `tokens` was right.
    at: Micros,
}

impl Bucket {
    /// None where the rate means no limit.
    fn new(rate: Rate, now: Micros) -> Option<Self> {
        (rate.bucket > 0.0).then_some(Self {
            size: rate.bucket,
            refill: rate.refill,
            tokens: rate.bucket,
            at: now,
        })
    }

    /// Takes tokens and says whether there were enough.
    ///
    /// More than the bucket holds is let through when it is full and leaves a debt behind: how AWS treats a batch beyond
    /// its bucket is not published, and refusing it for ever would be no model of anything.
    fn take(&mut self, cost: f64, now: Micros) -> bool {
        let elapsed = now.saturating_sub(self.at) as f64 / SECOND as f64;
        self.tokens = (self.tokens + elapsed * self.refill).min(self.size);
        self.at = now;
        let enough = self.tokens >= cost.min(self.size);
        if enough {
            self.tokens -= cost;
        }
        enough
    }
}

/// All buckets. Route 53 is one for the account; the query services have one for each region.
pub struct Limits {
    route53: Option<Bucket>,
    record: Option<Bucket>,
    query: BTreeMap<(&'static str, Region), Bucket>,
}

impl Limits {
    pub fn new(options: &Options, now: Micros) -> Self {
        let mut query = BTreeMap::new();
        for service in ["rds", "autoscaling"] {
            for region in Region::ALL {
                query.extend(Bucket::new(options.query, now).map(|bucket| ((service, region), bucket)));
            }
        }
        let (route53, record) = (Bucket::new(options.route53, now), Bucket::new(options.record, now));
        Self { route53, record, query }
    }

    /// Whether one more Route 53 request may come.
    pub fn route53(&mut self, now: Micros) -> bool {
        self.route53.as_mut().is_none_or(|bucket| bucket.take(1.0, now))
    }

    /// Whether so many single record changes may come.
    pub fn records(&mut self, changes: usize, now: Micros) -> bool {
        self.record.as_mut().is_none_or(|bucket| bucket.take(changes as f64, now))
    }

    /// Whether one more request of the query protocol may come.
    pub fn query(&mut self, service: &'static str, region: Region, now: Micros) -> bool {
        self.query.get_mut(&(service, region)).is_none_or(|bucket| bucket.take(1.0, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_refill() {
        let mut bucket = Bucket::new(Rate { bucket: 50.0, refill: 10.0 }, 0).unwrap();
        assert_eq!((0..60).filter(|_| bucket.take(1.0, 0)).count(), 50);
        assert!(!bucket.take(1.0, SECOND / 20));
        assert!(bucket.take(1.0, SECOND / 10));
        assert_eq!((0..60).filter(|_| bucket.take(1.0, 100 * SECOND)).count(), 50);
    }

    #[test]
    fn a_batch_beyond_the_bucket_leaves_a_debt() {
        let mut bucket = Bucket::new(Rate { bucket: 100.0, refill: 100.0 }, 0).unwrap();
        assert!(bucket.take(500.0, 0));
        assert!(!bucket.take(1.0, 4 * SECOND));
        assert!(bucket.take(1.0, 4 * SECOND + SECOND / 10));
    }
}
