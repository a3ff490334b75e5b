//! Which calls fail, and how. No sockets, threads or clocks here.

use std::collections::BTreeMap;
use std::time::Duration;

use super::calls::{Call, Fate, service_name};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Forwards after this time, even if the client is gone by then.
    Delay(Duration),
    /// Answers "too many calls" in the service's own format. Does not forward.
    Throttle,
    /// Answers 503 in the service's own format. Does not forward.
    Unavailable,
    /// Answers 200 with bytes that no parser accepts. Does not forward. The SDK reads no body of operations without output
    /// (`UpdateAutoScalingGroup`) and takes this for success, so only an observation of the result reveals it.
    Garbage,
    /// Rejects a batch with this text in it, as Route 53 rejects one with an invalid element. Forwards all other calls.
    RefuseBatch(&'static str),
    /// Answers with this status, code and text. Does not forward.
    Error(&'static str, &'static str, &'static str),
    /// Rejects the time of the signature, in an answer whose `Date` is this many seconds ahead of this machine's clock. Does not forward.
    Skewed(i64),
    /// Rejects the call with this text in the message, like a service that repeats its input. Does not forward.
    Say(&'static str),
    /// Forwards, sends the headers and half of the answer's body, and closes.
    CutBody,
    /// Closes the connection after reading the request. Does not forward.
    Refuse,
    /// Forwards, reads the answer, and closes without answering.
    LoseAnswer,
    /// Never answers. Does not forward. The connection stays open until the client or the proxy closes it.
    Hang,
    /// Forwards and never answers.
    HangAfter,
    /// Never answers, and forwards after this time, even if the client is gone. A proxy that is dropped before does not.
    ApplyLate(Duration),
    /// Waits for the test; see [`super::Proxy::wait_held`].
    Hold(HoldPoint),
    /// The fault of each call follows from the seed and the call; see [`seeded_fault`]. Calls are counted from when the rule was added, so
    /// that the same rule, added again, has the same effect.
    Seeded {
        seed: u64,
        /// How many of a thousand calls fail.
        per_mille: u16,
    },
}

/// Where a call is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldPoint {
    /// The upstream has not seen the request.
    BeforeForward,
    /// The upstream has answered, and the client has not seen it.
    AfterForward,
}

impl Fault {
    pub(super) fn fate(self) -> Fate {
        match self {
            Self::Delay(_) => Fate::Delayed,
            Self::Throttle => Fate::Throttled,
            Self::Unavailable => Fate::Unavailable,
            Self::Garbage => Fate::Garbage,
            Self::CutBody => Fate::Cut,
            Self::Refuse | Self::Say(_) | Self::Error(..) | Self::Skewed(_) => Fate::Refused,
            Self::LoseAnswer => Fate::AnswerLost,
            Self::Hang => Fate::Hung,
            Self::HangAfter => Fate::HungAfter,
            Self::ApplyLate(_) => Fate::AppliedLate,
            Self::Hold(_) => Fate::Held,
            Self::RefuseBatch(_) | Self::Seeded { .. } => Fate::Passed,
        }
    }
}

/// A fault and the calls that it applies to.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    service: Option<String>,
    region: Option<String>,
    operation: Option<String>,
    calls: Calls,
    skip: u32,
    times: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calls {
    All,
    Mutating,
}

impl Rule {
    /// A rule for every call, until it is removed.
    pub fn new(fault: Fault) -> Self {
        let (service, region, operation) = (None, None, None);
        Self { fault, service, region, operation, calls: Calls::All, skip: 0, times: None }
    }

    /// Only calls of this service; see [`Call::service`].
    pub fn service(mut self, service: &str) -> Self {
        self.service = Some(service_name(service).to_owned());
        self
    }

    /// Only calls that are signed for this region.
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Only calls of this operation, such as `PromoteReadReplica`.
    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only calls that change something.
    pub fn mutating(mut self) -> Self {
        self.calls = Calls::Mutating;
        self
    }

    /// The first calls that match are left to the rules after this one.
    pub fn skip(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// The rule ends after this many calls. Without this it applies until it is removed.
    pub fn times(mut self, calls: u32) -> Self {
        self.times = Some(calls);
        self
    }

    fn fits(&self, call: &Call) -> bool {
        let is = |wanted: &Option<String>, has: &str| wanted.as_ref().is_none_or(|w| w == has);
        is(&self.service, &call.service)
            && is(&self.region, &call.region)
            && is(&self.operation, &call.operation)
            && (self.calls == Calls::All || call.mutates)
    }
}

/// Names a rule of one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(u64);

/// A rule and its matches.
#[derive(Debug)]
struct Active {
    id: RuleId,
    rule: Rule,
    /// The number of matching calls, including skipped ones.
    met: u64,
    /// Calls by service, region and operation, for faults from a seed.
    counts: BTreeMap<(String, String, String), u64>,
}

/// The rules of a proxy, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Rules {
    active: Vec<Active>,
    added: u64,
}

impl Rules {
    pub(super) fn add(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(self.added);
        self.added += 1;
        self.active.push(Active { id, rule, met: 0, counts: BTreeMap::new() });
        id
    }

    pub(super) fn remove(&mut self, id: RuleId) {
        self.active.retain(|a| a.id != id);
    }

    pub(super) fn clear(&mut self) {
        self.active.clear();
    }

    /// The fault of the first rule that matches and is neither skipping nor spent. Never `Seeded`: the fault that follows from the seed is
    /// returned instead.
    pub(super) fn decide(&mut self, call: &Call) -> Option<Fault> {
        for active in self.active.iter_mut().filter(|a| a.rule.fits(call)) {
            let met = active.met;
            active.met += 1;
            let skip = u64::from(active.rule.skip);
            let spent = active.rule.times.is_some_and(|t| met >= skip + u64::from(t));
            if met >= skip && !spent {
                return active.resolve(call);
            }
        }
        None
    }
}

impl Active {
    fn resolve(&mut self, call: &Call) -> Option<Fault> {
        let Fault::Seeded { seed, per_mille } = self.rule.fault else { return Some(self.rule.fault) };
        let key = (call.service.clone(), call.region.clone(), call.operation.clone());
        let count = self.counts.entry(key).or_default();
        let n = *count;
        *count += 1;
        seeded_fault(seed, per_mille, [&call.service, &call.region, &call.operation], n)
    }
}

/// The effect of [`Fault::Seeded`] on call number `n` (from 0) of this service, region and operation: nothing, or with equal chances a
/// delay of 1 to 300 ms, `Throttle`, `Unavailable`, `Garbage`, `CutBody`, `Refuse` or `LoseAnswer`.
pub fn seeded_fault(seed: u64, per_mille: u16, call: [&str; 3], n: u64) -> Option<Fault> {
    // FNV-1a over the words, each with an end mark so that "ab", "c" differs from "a", "bc".
    let bytes = call.iter().flat_map(|w| w.bytes().chain([0xff]));
    let words =
        bytes.fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let chance = mix(mix(seed) ^ mix(words ^ mix(n)));
    if chance % 1000 >= u64::from(per_mille) {
        return None;
    }
    let pick = mix(chance);
    Some(match pick % 7 {
        0 => Fault::Delay(Duration::from_millis(1 + (pick >> 8) % 300)),
        1 => Fault::Throttle,
        2 => Fault::Unavailable,
        3 => Fault::Garbage,
        4 => Fault::CutBody,
        5 => Fault::Refuse,
        _ => Fault::LoseAnswer,
    })
}

/// One step of splitmix64.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The rate limit of a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Calls at once after a pause. A bucket starts full.
    pub size: u32,
    /// Calls per second in the long run.
    pub refill_per_second: f64,
}

/// Services with one bucket for all regions.
const GLOBAL: &[&str] = &["route53", "iam", "sts"];

/// The limits of a proxy, and the rest in each bucket.
#[derive(Debug, Default)]
pub(super) struct Limits {
    by_service: BTreeMap<String, Bucket>,
    /// Tokens and when they were counted, by service, account and region.
    left: BTreeMap<(String, String, String), (f64, Duration)>,
}

impl Limits {
    /// Sets a service's limit; its buckets are full again.
    pub(super) fn set(&mut self, service: &str, bucket: Bucket) {
        let service = service_name(service);
        self.by_service.insert(service.to_owned(), bucket);
        self.left.retain(|(s, _, _), _| s != service);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes a token for a call, at a time since the start of the proxy. False: the bucket is empty.
    pub(super) fn take(&mut self, call: &Call, now: Duration) -> bool {
        let Some(bucket) = self.by_service.get(&call.service) else { return true };
        let size = f64::from(bucket.size);
        let global = GLOBAL.contains(&call.service.as_str());
        let region = if global { String::new() } else { call.region.clone() };
        let key = (call.service.clone(), call.account.clone(), region);
        let (tokens, counted) = self.left.entry(key).or_insert((size, now));
        let gained = now.saturating_sub(*counted).as_secs_f64() * bucket.refill_per_second;
        *tokens = (*tokens + gained).min(size);
        *counted = now;
        let enough = *tokens >= 1.0;
        if enough {
            *tokens -= 1.0;
        }
        enough
    }
}
