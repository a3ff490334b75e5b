//! The flags.

use std::collections::BTreeMap;

use super::limits::Limited;

/// What the stub prints on `--help`.
pub const HELP: &str = "\
Stub of the AWS wire protocols for benchmarks. Prints {\"url\": ...} on one line when it listens.

  --port P                TCP port on 127.0.0.1; 0 picks one (0)
  --zones N               hosted zones Z00001, Z00002, ... (2)
  --records N             record sets in total, spread over the zones (100)
  --databases N           pairs db-00001 in us-west-2, db-00001-replica in us-east-1 (10)
  --groups N              pairs nodes-00001 in us-west-2, nodes-00001-dr in us-east-1 (10)
  --services N            pairs of an ECS service web-00001 in the clusters shop in us-west-2, shop-dr in us-east-1, and of
                          a secret app-00001 in both regions that leads to db-00001 (10)
  --promote-ms MS         from PromoteReadReplica to a writer of its own (5000)
  --group-ms MS           from a new capacity to instances in service, or gone (3000)
  --service-ms MS         from a new count of tasks to a steady state of their service (3000)
  --insync-ms MS          from a record change to INSYNC (3000)
  --modify-ms MS          from ModifyDBInstance to security groups in force (1000)
  --reboot-ms MS          from RebootDBInstance to `DB instance restarted` (2000)
  --jitter-percent PCT    the first four durations vary by so much either way (20)
  --call-ms MS            each answer comes so long after its request (20)
  --zone-apply-ms MS      a second change of a zone within it is refused: PriorRequestNotComplete (20)
  --limit NAME=BUCKET,REFILL  requests in a burst, and a second; a bucket of 0 is no limit. Defaults are what AWS publishes:
                          route53=50,10 records=0,0 (single changes) iam=100,20 (assumed);
                          in each region rds=300,12 ec2=100,20 ecs=50,5 monitoring=50,50 sts=600,600
                          secret-reads=10000,10000 secret-writes=50,50 control-writes=3,3 (each endpoint), and, assumed,
                          autoscaling=100,20 scalable-targets=100,20 ecr=100,20 control-reads=100,20;
                          below each prefix s3-read=5500,5500 s3-write=3500,3500
  --seed N                another seed draws other durations and ids (1)

GET  /_stub/stats             calls, throttled and refused calls, durations drawn
GET  /_stub/state             what became of the estate
POST /_stub/reset             the estate, the buckets and the counts as at the start
POST /_stub/reset?only=stats  the counts only
";

/// The longest duration that can be set: a day, in milliseconds.
const LONGEST_MS: u64 = 86_400_000;

/// Everything that can be set; durations are milliseconds.
#[derive(Clone, Debug)]
pub struct Options {
    pub port: u16,
    pub zones: usize,
    pub records: usize,
    pub databases: usize,
    pub groups: usize,
    pub services: usize,
    pub promote_ms: u64,
    pub group_ms: u64,
    pub service_ms: u64,
    pub insync_ms: u64,
    pub modify_ms: u64,
    pub reboot_ms: u64,
    pub jitter_percent: u64,
    pub call_ms: u64,
    pub zone_apply_ms: u64,
    pub limits: BTreeMap<Limited, Rate>,
    pub seed: u64,
}

/// A token bucket's size in tokens and refill in tokens a second. A bucket of size 0 is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    pub bucket: f64,
    pub refill: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            zones: 2,
            records: 100,
            databases: 10,
            groups: 10,
            services: 10,
            promote_ms: 5_000,
            group_ms: 3_000,
            service_ms: 3_000,
            insync_ms: 3_000,
            modify_ms: 1_000,
            reboot_ms: 2_000,
            jitter_percent: 20,
            call_ms: 20,
            zone_apply_ms: 20,
            limits: Limited::ALL.iter().map(|published| (published.of, published.rate)).collect(),
            seed: 1,
        }
    }
}

/// Reads the flags; none if help was asked for.
///
/// # Errors
/// A flag that is unknown, has no value, or has one out of range.
pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut arguments = arguments;
    while let Some(flag) = arguments.next() {
        // `cargo bench` passes its own flag to every bench target.
        if flag == "--bench" {
            continue;
        }
        if flag == "--help" {
            return Ok(None);
        }
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        set(&mut options, &flag, &value)?;
    }
    check(&options)?;
    Ok(Some(options))
}

fn set(options: &mut Options, flag: &str, value: &str) -> Result<(), String> {
    match flag {
        "--port" => options.port = number(flag, value)?,
        "--zones" => options.zones = number(flag, value)?,
        "--records" => options.records = number(flag, value)?,
        "--databases" => options.databases = number(flag, value)?,
        "--groups" => options.groups = number(flag, value)?,
        "--services" => options.services = number(flag, value)?,
        "--promote-ms" => options.promote_ms = number(flag, value)?,
        "--group-ms" => options.group_ms = number(flag, value)?,
        "--service-ms" => options.service_ms = number(flag, value)?,
        "--insync-ms" => options.insync_ms = number(flag, value)?,
        "--modify-ms" => options.modify_ms = number(flag, value)?,
        "--reboot-ms" => options.reboot_ms = number(flag, value)?,
        "--jitter-percent" => options.jitter_percent = number(flag, value)?,
        "--call-ms" => options.call_ms = number(flag, value)?,
        "--zone-apply-ms" => options.zone_apply_ms = number(flag, value)?,
        "--limit" => {
            let (of, rate) = limit(flag, value)?;
            options.limits.insert(of, rate);
        }
        "--seed" => options.seed = number(flag, value)?,
        _ => return Err(format!("unknown flag {flag} (see --help)")),
    }
    Ok(())
}

fn limit(flag: &str, value: &str) -> Result<(Limited, Rate), String> {
    let wrong = || format!("{flag}: {value} is not NAME=BUCKET,REFILL (see --help)");
    let (name, rate) = value.split_once('=').ok_or_else(wrong)?;
    let (bucket, refill) = rate.split_once(',').ok_or_else(wrong)?;
    let of = Limited::flag(name).ok_or_else(wrong)?;
    Ok((of, Rate { bucket: number(flag, bucket)?, refill: number(flag, refill)? }))
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag}: {value} is not a number it can take"))
}

/// Names carry five digits, and their order as text is the order of the estate.
fn check(options: &Options) -> Result<(), String> {
    let counts = [
        ("zones", options.zones),
        ("databases", options.databases),
        ("groups", options.groups),
        ("services", options.services),
    ];
    for (what, count) in counts {
        if count > 99_999 {
            return Err(format!("--{what}: at most 99999"));
        }
    }
    let durations = [
        options.promote_ms,
        options.group_ms,
        options.service_ms,
        options.insync_ms,
        options.modify_ms,
        options.reboot_ms,
        options.call_ms,
        options.zone_apply_ms,
    ];
    if durations.into_iter().any(|ms| ms > LONGEST_MS) {
        return Err(format!("durations are at most {LONGEST_MS} ms"));
    }
    if options.jitter_percent > 100 {
        return Err("--jitter-percent: at most 100".into());
    }
    let sound = |number: f64| number.is_finite() && number >= 0.0;
    if !options.limits.values().all(|rate| sound(rate.bucket) && sound(rate.refill)) {
        return Err("buckets and refills are finite and not negative".into());
    }
    if options.zones == 0 && options.records > 0 {
        return Err("--records needs --zones".into());
    }
    Ok(())
}
