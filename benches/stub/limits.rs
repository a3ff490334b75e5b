//! Token buckets, as AWS throttles with them.

use std::collections::BTreeMap;

use super::clock::{Micros, SECOND};
use super::options::{Options, Rate};

/// A bucket that starts full.
struct Bucket {
    size: f64,
    /// Tokens a second.
    refill: f64,
    tokens: f64,
    /// When `tokens` was computed.
    at: Micros,
}

impl Bucket {
    fn new(rate: Rate, now: Micros) -> Self {
        Self { size: rate.bucket, refill: rate.refill, tokens: rate.bucket, at: now }
    }

    /// Takes tokens, and returns whether there were enough.
    ///
    /// More than the bucket holds is let through if it is full, and leaves a debt: how AWS treats a batch larger than its bucket is not
    /// published, and rejecting it forever would model nothing.
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

/// What a bucket limits. The stub has one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limited {
    /// Requests to Route 53, which has no regions.
    Route53,
    /// Single record changes in them.
    Records,
    /// Requests in a region.
    Rds,
    /// Requests that describe something in a region.
    Ec2,
    /// Requests in a region.
    Autoscaling,
    /// Requests in a region.
    Monitoring,
    /// Requests in a region.
    Sts,
    /// Requests that read below a prefix of a bucket.
    S3Read,
    /// Requests that write there.
    S3Write,
}

impl Limited {
    /// Each with its name in flags and its published values. A rate without a burst gets the burst of one second.
    pub const ALL: [(Self, &str, Rate); 9] = [
        // Route 53 Developer Guide, «Throttling of API requests»: of the account.
        (Self::Route53, "route53", Rate { bucket: 50.0, refill: 10.0 }),
        // The same page says that there is such a bucket; its size could not be read.
        (Self::Records, "records", Rate { bucket: 0.0, refill: 0.0 }),
        // Amazon RDS User Guide, «Request throttling for the Amazon RDS API»: of the account in a region.
        (Self::Rds, "rds", Rate { bucket: 300.0, refill: 12.0 }),
        // Amazon EC2 Developer Guide, «Request throttling for the Amazon EC2 API»: describes of the account in a region.
        (Self::Ec2, "ec2", Rate { bucket: 100.0, refill: 20.0 }),
        // Not published. EC2's describes have this.
        (Self::Autoscaling, "autoscaling", Rate { bucket: 100.0, refill: 20.0 }),
        // Amazon CloudWatch User Guide, «CloudWatch service quotas»: `GetMetricData`.
        (Self::Monitoring, "monitoring", Rate { bucket: 50.0, refill: 50.0 }),
        // IAM User Guide, «IAM and AWS STS quotas».
        (Self::Sts, "sts", Rate { bucket: 600.0, refill: 600.0 }),
        // Amazon S3 User Guide, «Best practices design patterns: optimizing Amazon S3 performance»: of a prefix.
        (Self::S3Read, "s3-read", Rate { bucket: 5_500.0, refill: 5_500.0 }),
        (Self::S3Write, "s3-write", Rate { bucket: 3_500.0, refill: 3_500.0 }),
    ];

    /// Of a service of the query protocol.
    pub fn service(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, of, _)| *of == name).map(|(limited, _, _)| *limited)
    }
}

/// All buckets, each created on first use.
pub struct Limits {
    rates: BTreeMap<Limited, Rate>,
    buckets: BTreeMap<(Limited, String), Bucket>,
}

impl Limits {
    pub fn new(options: &Options) -> Self {
        Self { rates: options.limits.clone(), buckets: BTreeMap::new() }
    }

    /// Whether this many more calls are allowed, for one region or prefix.
    pub fn take(&mut self, of: Limited, within: &str, count: usize, now: Micros) -> bool {
        let Some(rate) = self.rates.get(&of).copied().filter(|rate| rate.bucket > 0.0) else { return true };
        let bucket = self.buckets.entry((of, within.to_owned())).or_insert_with(|| Bucket::new(rate, now));
        bucket.take(count as f64, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_refill() {
        let mut bucket = Bucket::new(Rate { bucket: 50.0, refill: 10.0 }, 0);
        assert_eq!((0..60).filter(|_| bucket.take(1.0, 0)).count(), 50);
        assert!(!bucket.take(1.0, SECOND / 20));
        assert!(bucket.take(1.0, SECOND / 10));
        assert_eq!((0..60).filter(|_| bucket.take(1.0, 100 * SECOND)).count(), 50);
    }

    #[test]
    fn a_batch_beyond_the_bucket_leaves_a_debt() {
        let mut bucket = Bucket::new(Rate { bucket: 100.0, refill: 100.0 }, 0);
        assert!(bucket.take(500.0, 0));
        assert!(!bucket.take(1.0, 4 * SECOND));
        assert!(bucket.take(1.0, 4 * SECOND + SECOND / 10));
    }

    #[test]
    fn each_service_has_its_own_bucket_in_each_region() {
        let mut limits = Limits::new(&Options::default());
        let mut taken = |of, within: &str| (0..10_000).take_while(|_| limits.take(of, within, 1, 0)).count();
        for (of, _, rate) in Limited::ALL.into_iter().filter(|(_, _, rate)| rate.bucket > 0.0) {
            for within in ["us-west-2", "us-east-1"] {
                assert_eq!(taken(of, within) as f64, rate.bucket, "{of:?} {within}");
            }
        }
        assert_eq!(taken(Limited::Records, ""), 10_000, "no limit");
    }
}
