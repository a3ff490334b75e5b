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
    ScalableTargets,
    /// Requests in a region.
    Ecs,
    /// Requests in a region.
    Ecr,
    /// Requests to IAM, which has no regions.
    Iam,
    /// Requests in a region.
    Monitoring,
    /// Requests in a region that read.
    SecretReads,
    /// Requests in a region that change something.
    SecretWrites,
    /// Requests to an endpoint of routing controls that read.
    ControlReads,
    /// Requests to an endpoint of routing controls that change something.
    ControlWrites,
    /// Requests in a region.
    Sts,
    /// Requests that read below a prefix of a bucket.
    S3Read,
    /// Requests that write there.
    S3Write,
}

/// A bucket of AWS.
pub struct Published {
    pub of: Limited,
    /// Its name in flags.
    pub flag: &'static str,
    /// The name that drctl has for its service.
    #[allow(dead_code, reason = "tests compare it with the services that drctl calls")]
    pub service: &'static str,
    /// A rate without a burst gets the burst of one second.
    pub rate: Rate,
}

const fn published(of: Limited, flag: &'static str, service: &'static str, rate: [f64; 2]) -> Published {
    let [bucket, refill] = rate;
    Published { of, flag, service, rate: Rate { bucket, refill } }
}

/// What is assumed where nothing is published: the bucket of EC2's describes.
const UNPUBLISHED: [f64; 2] = [100.0, 20.0];

impl Limited {
    /// Each with its published values.
    pub const ALL: [Published; 17] = [
        // Route 53 Developer Guide, «Throttling for Amazon Route 53 API requests»: of the account.
        published(Self::Route53, "route53", "route53", [50.0, 10.0]),
        // The same page has this bucket («change throughput»). No size is assumed: a guess would decide the length of a failover.
        published(Self::Records, "records", "route53", [0.0, 0.0]),
        // Amazon RDS User Guide, «Request throttling for the Amazon RDS API»: of the account in a region.
        published(Self::Rds, "rds", "rds", [300.0, 12.0]),
        // Amazon EC2 Developer Guide, «Request throttling for the Amazon EC2 API»: describes of the account in a region.
        published(Self::Ec2, "ec2", "ec2", UNPUBLISHED),
        // EC2 Auto Scaling API Reference, «API request rate»: one bucket, of a size that is not published.
        published(Self::Autoscaling, "autoscaling", "autoscaling", UNPUBLISHED),
        // Application Auto Scaling User Guide, «Quotas»: no rates of requests.
        published(Self::ScalableTargets, "scalable-targets", "application-autoscaling", UNPUBLISHED),
        // Amazon ECS API Reference, «Request throttling for the Amazon ECS API»: buckets of groups of actions in a region. One bucket of the
        // size of the smallest that drctl uses, so that the stub is never more generous than AWS.
        published(Self::Ecs, "ecs", "ecs", [50.0, 5.0]),
        // Amazon ECR User Guide, «Amazon ECR service quotas»: no rate of DescribeImages.
        published(Self::Ecr, "ecr", "ecr", UNPUBLISHED),
        // IAM User Guide, «IAM and AWS STS quotas»: no rates of requests to IAM.
        published(Self::Iam, "iam", "iam", UNPUBLISHED),
        // Amazon CloudWatch User Guide, «CloudWatch service quotas»: `GetMetricData`.
        published(Self::Monitoring, "monitoring", "cloudwatch", [50.0, 50.0]),
        // AWS Secrets Manager User Guide, «AWS Secrets Manager quotas»: GetSecretValue has 10,000, DescribeSecret 40,000 a second in a region.
        published(Self::SecretReads, "secret-reads", "secretsmanager", [10_000.0, 10_000.0]),
        // The same page: PutSecretValue and UpdateSecretVersionStage together.
        published(Self::SecretWrites, "secret-writes", "secretsmanager", [50.0, 50.0]),
        // Amazon ARC Developer Guide, «Quotas for routing control»: no rate of calls that read.
        published(Self::ControlReads, "control-reads", "route53-recovery-cluster", UNPUBLISHED),
        // The same page: calls that change something, of a cluster's endpoint.
        published(Self::ControlWrites, "control-writes", "route53-recovery-cluster", [3.0, 3.0]),
        // IAM User Guide, «IAM and AWS STS quotas».
        published(Self::Sts, "sts", "sts", [600.0, 600.0]),
        // Amazon S3 User Guide, «Best practices design patterns: optimizing Amazon S3 performance»: of a prefix.
        published(Self::S3Read, "s3-read", "s3", [5_500.0, 5_500.0]),
        published(Self::S3Write, "s3-write", "s3", [3_500.0, 3_500.0]),
    ];

    /// By its name in flags.
    pub fn flag(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|published| published.flag == name).map(|published| published.of)
    }

    /// Of a call of the query or the JSON protocol.
    pub fn call(service: &str, operation: &str) -> Option<Self> {
        let reads = operation.starts_with("Get") || operation.starts_with("Describe");
        Some(match (service, reads) {
            ("rds", _) => Self::Rds,
            ("autoscaling", _) => Self::Autoscaling,
            ("application-autoscaling", _) => Self::ScalableTargets,
            ("ecs", _) => Self::Ecs,
            ("ecr", _) => Self::Ecr,
            ("iam", _) => Self::Iam,
            ("sts", _) => Self::Sts,
            ("secretsmanager", true) => Self::SecretReads,
            ("secretsmanager", false) => Self::SecretWrites,
            ("route53-recovery-cluster", true) => Self::ControlReads,
            ("route53-recovery-cluster", false) => Self::ControlWrites,
            _ => return None,
        })
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
    use std::collections::BTreeSet;

    use drctl::kinds::aws::services::{self, SERVICES};

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
        for Published { of, rate, .. } in Limited::ALL.iter().filter(|published| published.rate.bucket > 0.0)
        {
            for within in ["us-west-2", "us-east-1"] {
                assert_eq!(taken(*of, within) as f64, rate.bucket, "{of:?} {within}");
            }
        }
        assert_eq!(taken(Limited::Records, ""), 10_000, "no limit");
    }

    /// A service that one list forgets would be called without a limit, or be measured without one.
    #[test]
    fn the_stub_limits_every_service_that_drctl_calls() {
        let limited: BTreeSet<&str> = Limited::ALL.iter().map(|published| published.service).collect();
        let called: BTreeSet<&str> = SERVICES.iter().map(|service| service.name).collect();
        assert_eq!(limited, called);
        let flags: BTreeSet<&str> = Limited::ALL.iter().map(|published| published.flag).collect();
        assert_eq!(flags.len(), Limited::ALL.len());
    }

    /// Otherwise drctl's own limits would have it throttled. A call that reads a routing control does not use the bucket of its service.
    #[test]
    fn drctl_sends_no_more_than_the_stub_accepts() {
        for service in SERVICES {
            let (burst, per_second) = service.limit.unwrap_or(services::UNPUBLISHED);
            let of_service = Limited::ALL.iter().filter(|published| published.service == service.name);
            for Published { of, rate, .. } in of_service.filter(|published| published.rate.bucket > 0.0) {
                let fits = f64::from(burst) <= rate.bucket && f64::from(per_second) <= rate.refill;
                assert!(fits, "{of:?}: {burst}, {per_second}");
            }
        }
    }
}
