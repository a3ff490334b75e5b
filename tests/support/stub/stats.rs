//! Counts of calls, and of the durations that were drawn.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::clock::{Micros, SECOND};

type Counts = BTreeMap<&'static str, u64>;

/// What happened since the start or the last reset.
#[derive(Default)]
pub struct Stats {
    calls: BTreeMap<&'static str, Counts>,
    throttled: Counts,
    refused: BTreeMap<&'static str, Counts>,
    total: u64,
    first: Option<Micros>,
    last: Micros,
}

impl Stats {
    /// Counts a call, including throttled and rejected ones.
    pub fn call(&mut self, service: &'static str, operation: &'static str, now: Micros) {
        *self.calls.entry(service).or_default().entry(operation).or_default() += 1;
        self.total += 1;
        self.first.get_or_insert(now);
        self.last = now;
    }

    /// A call that ended in an error.
    pub fn fault(&mut self, service: &'static str, code: &'static str) {
        if matches!(code, "Throttling" | "ThrottlingException" | "SlowDown") {
            *self.throttled.entry(service).or_default() += 1;
        } else {
            *self.refused.entry(service).or_default().entry(code).or_default() += 1;
        }
    }

    /// The counts as members of a JSON object, without its braces.
    pub fn json(&self, out: &mut String) {
        out.push_str("\"calls\":");
        nested(out, &self.calls);
        out.push_str(",\"throttled\":");
        flat(out, &self.throttled);
        out.push_str(",\"refused\":");
        nested(out, &self.refused);
        let first = self.first.unwrap_or(self.last);
        let span = self.last.saturating_sub(first);
        let rate = if span == 0 { 0.0 } else { (self.total - 1) as f64 * SECOND as f64 / span as f64 };
        let total_throttled: u64 = self.throttled.values().sum();
        let _ = write!(
            out,
            ",\"total\":{},\"total_throttled\":{total_throttled},\"first_call_ms\":{},\"last_call_ms\":{},\
             \"span_ms\":{},\"requests_per_second\":{rate:.1}",
            self.total,
            Ms(first),
            Ms(self.last),
            Ms(span),
        );
    }
}

/// Microseconds, shown as milliseconds with three decimals.
struct Ms(Micros);

impl std::fmt::Display for Ms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// The names are fixed and need no escape.
fn flat(out: &mut String, counts: &Counts) {
    out.push('{');
    for (index, (name, count)) in counts.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"{name}\":{count}");
    }
    out.push('}');
}

fn nested(out: &mut String, counts: &BTreeMap<&'static str, Counts>) {
    out.push('{');
    for (index, (name, inner)) in counts.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"{name}\":");
        flat(out, inner);
    }
    out.push('}');
}

/// The durations drawn for one kind of change. A run's longest path consists of them.
#[derive(Clone, Copy, Default)]
pub struct Drawn {
    count: u64,
    total: Micros,
    longest: Micros,
    /// When the last of these changes ends.
    ends: Micros,
}

impl Drawn {
    pub fn add(&mut self, began: Micros, duration: Micros) {
        self.count += 1;
        self.total += duration;
        self.longest = self.longest.max(duration);
        self.ends = self.ends.max(began + duration);
    }

    pub fn json(&self, out: &mut String) {
        let mean = self.total.checked_div(self.count).unwrap_or(0);
        let _ = write!(
            out,
            "{{\"count\":{},\"mean\":{},\"longest\":{},\"last_ends_at\":{}}}",
            self.count,
            Ms(mean),
            Ms(self.longest),
            Ms(self.ends)
        );
    }
}
