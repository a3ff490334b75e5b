//! The services of AWS that drctl calls, with the limits that AWS publishes for them.

/// A service.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its name in `limits:` and `endpoints:`.
    pub name: &'static str,
    /// Its ID in profiles and environment variables (AWS SDKs and Tools Reference Guide, «Service-specific endpoints»). None if the plan
    /// names its addresses.
    pub id: Option<&'static str>,
    /// The calls that it accepts from one account in one region: a burst, and the rate per second at which that refills. If only a rate
    /// is published, the burst is the calls of one second. None if nothing is published.
    pub limit: Option<(u32, u32)>,
}

const fn service(name: &'static str, id: &'static str, burst: u32, per_second: u32) -> Service {
    Service { name, id: Some(id), limit: Some((burst, per_second)) }
}

const fn unpublished(name: &'static str, id: &'static str) -> Service {
    Service { name, id: Some(id), limit: None }
}

/// The bucket of a service for which AWS publishes no limit: that of EC2's describe calls. `Throttling` errors slow it down further.
pub const UNPUBLISHED: (u32, u32) = (100, 20);

/// The name in `limits:` of Route 53's second bucket, which counts single record changes (Route 53 Developer Guide, «Throttling for Amazon
/// Route 53 API requests», change throughput). drctl has no default for it; an operator sets the values of the account. Without them,
/// `Throttling` errors slow Route 53 down.
pub const ROUTE53_CHANGES: &str = "route53-changes";

/// The services, and where their limits are published:
///
/// - Auto Scaling: one bucket for all calls, of a size that AWS does not publish (EC2 Auto Scaling API Reference, «API request rate»). drctl
///   uses the limit of EC2's describe calls, a burst of 100 requests and 20 per second (Amazon EC2 Developer Guide, «Request throttling for
///   the Amazon EC2 API»). `Throttling` errors slow it down further.
/// - CloudWatch: 9 `DescribeAlarms`, 25 `ListMetrics` and 50 `GetMetricData` calls per second (Amazon CloudWatch User Guide, «CloudWatch
///   service quotas»). drctl uses one bucket with the lowest of them.
/// - Application Auto Scaling, ECR and IAM: nothing is published for the calls that drctl makes (Application Auto Scaling User Guide,
///   «Quotas»; Amazon ECR User Guide, «Amazon ECR service quotas», which has no rate of `DescribeImages`; IAM User Guide, «IAM and AWS STS
///   quotas»).
/// - EC2: a burst of 100 requests, 20 per second, for describe calls (Amazon EC2 Developer Guide, «Request throttling for the Amazon EC2
///   API»).
/// - ECS: AWS publishes a limit for each group of actions (Amazon ECS API Reference, «Request throttling for the Amazon ECS API»). drctl
///   uses one bucket for all its calls, a burst of 50 requests and 5 per second. `Throttling` errors slow it down further.
/// - RDS and Aurora: a burst of 300 requests, 12 per second (AWS, Amazon RDS User Guide, «Request throttling for the Amazon RDS API»).
/// - Routing controls of ARC: 3 calls per second that change something, for each endpoint of a cluster (Amazon ARC Developer Guide, «Quotas
///   for routing control»). Nothing is published for calls that read, so those do not use this bucket.
/// - Route 53: a burst of 50 requests, 10 per second, for the account (Route 53 Developer Guide, «Throttling for Amazon Route 53 API
///   requests»). A second bucket counts changes: see [`ROUTE53_CHANGES`].
/// - S3: at least 3,500 write and 5,500 read requests per second for each prefix (Amazon S3 User Guide, «Best practices design patterns:
///   optimizing Amazon S3 performance»).
/// - Secrets Manager: 50 write and 10,000 read requests per second, in one bucket (AWS Secrets Manager User Guide, «Quotas»).
/// - STS: 600 requests per second (AWS, IAM User Guide, «IAM and AWS STS quotas»).
pub const SERVICES: &[Service] = &[
    unpublished("application-autoscaling", "Application Auto Scaling"),
    service("autoscaling", "Auto Scaling", 100, 20),
    service("cloudwatch", "CloudWatch", 9, 9),
    unpublished("ecr", "ECR"),
    service("ec2", "EC2", 100, 20),
    service("ecs", "ECS", 50, 5),
    unpublished("iam", "IAM"),
    service("rds", "RDS", 300, 12),
    service("route53", "Route 53", 50, 10),
    Service { name: "route53-recovery-cluster", id: None, limit: Some((3, 3)) },
    service("s3", "S3", 3_500, 3_500),
    service("secretsmanager", "Secrets Manager", 50, 50),
    service("sts", "STS", 600, 600),
];
