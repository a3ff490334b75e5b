//! A run as a trace: its events as spans, for collectors that also collect traces of other programs.
//!
//! Encoded as OTLP/JSON (OpenTelemetry Protocol Specification 1.x, «JSON Protobuf Encoding»): IDs in hex, 64-bit integers as text, enums as
//! numbers. IDs are derived from the run, so a resumed run stays in one trace whichever process sends it. Times are those of the events. A
//! span is sent once it has ended.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::ids::{Digest, RunId, StepId};
use crate::model::plain;
use crate::model::time::Timestamp;
use crate::model::waiver::Waiver;
use crate::record::event::{Direction, Event, EventKind, Outcome, RunCreated};
use crate::record::runbook::{Runbook, Step};

/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_CLIENT` (opentelemetry-proto, `trace.proto`).
const INTERNAL: u8 = 1;
const CLIENT: u8 = 3;
/// Hex digits of a trace ID, and of a span ID.
const TRACE_ID: usize = 32;
const SPAN_ID: usize = 16;

/// How a span ended (opentelemetry-proto, `Status`).
enum Status {
    Unset,
    Ok,
    Error(String),
}

/// A span that has not ended.
struct Open {
    id: String,
    parent: Option<String>,
    name: String,
    kind: u8,
    start: Timestamp,
    attributes: Vec<Value>,
    events: Vec<Value>,
}

/// Turns the events of one run into spans, one event after another.
pub struct Tracer {
    run: RunId,
    book: BTreeMap<StepId, Step>,
    /// The waivers so far.
    waivers: Vec<Waiver>,
    root: Option<Open>,
    steps: BTreeMap<(StepId, bool), Open>,
    calls: BTreeMap<StepId, Open>,
    withdrawals: BTreeMap<StepId, Open>,
    /// How often each step, and its undo, has started.
    begun: BTreeMap<(StepId, bool), u32>,
    done: Vec<Value>,
}

/// The trace ID of a run, in hex.
pub fn trace_id(run: &RunId) -> String {
    Digest::of_fields(&[b"drctl trace", run.as_str().as_bytes()]).as_str()[..TRACE_ID].to_owned()
}

/// A whole run as one OTLP document. Spans in progress end at the last event.
pub fn document_of(run: &RunId, events: &[Event]) -> Value {
    let mut tracer = Tracer::new(run.clone());
    let mut spans: Vec<Value> = events.iter().flat_map(|event| tracer.take(event)).collect();
    if let Some(last) = events.last() {
        spans.extend(tracer.rest(last.at));
    }
    document(&spans)
}

/// Spans as one `ExportTraceServiceRequest`.
pub fn document(spans: &[Value]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "drctl"), text("service.version", version)]},
        "scopeSpans": [{"scope": {"name": "drctl.journal", "version": version}, "spans": spans}],
    }]})
}

impl Tracer {
    /// A tracer before the first event of a run.
    pub const fn new(run: RunId) -> Self {
        Self {
            run,
            book: BTreeMap::new(),
            waivers: Vec::new(),
            root: None,
            steps: BTreeMap::new(),
            calls: BTreeMap::new(),
            withdrawals: BTreeMap::new(),
            begun: BTreeMap::new(),
            done: Vec::new(),
        }
    }

    /// The spans that end with this event.
    pub fn take(&mut self, event: &Event) -> Vec<Value> {
        self.fold(&event.what, event.at);
        std::mem::take(&mut self.done)
    }

    /// Ends the remaining spans now.
    pub fn rest(mut self, at: Timestamp) -> Vec<Value> {
        self.close_all(at);
        if let Some(mut root) = self.root.take() {
            root.attributes.push(flag("drctl.open", true));
            self.end(root, at, Status::Unset);
        }
        self.done
    }

    fn fold(&mut self, what: &EventKind, at: Timestamp) {
        if let EventKind::Waived { waiver } = what {
            self.waivers.push(waiver.clone());
        }
        match what {
            EventKind::RunCreated(created) => self.created(created, at),
            // The calls of an earlier process never got their answers.
            EventKind::EpochTaken { epoch, .. } => {
                let lost = "no process drove the run when the answer came, if any";
                for (_, call) in std::mem::take(&mut self.calls) {
                    self.end(call, at, Status::Error(format!("in doubt: {lost}")));
                }
                self.note_run(at, "epoch_taken", vec![number("drctl.epoch", *epoch)]);
            }
            EventKind::RunFinished { outcome } => self.finished(*outcome, at),
            EventKind::ProbeTurned { probe, good, .. } => {
                let of = vec![text("drctl.probe", probe), flag("drctl.good", *good)];
                self.note_run(at, "probe_turned", of);
            }
            EventKind::Halted { reason } => self.note_run(at, "halted", vec![text("drctl.why", reason)]),
            other => match words_of(other) {
                (kind, Some(step)) => self.of_step(&step, (other, &kind), at),
                (kind, None) => self.note_run(at, &kind, Vec::new()),
            },
        }
    }

    fn created(&mut self, created: &RunCreated, at: Timestamp) {
        let book: Option<Runbook> = serde_json::from_str(&created.runbook).ok();
        let mut attributes = vec![
            text("drctl.run.id", created.run.as_str()),
            text("drctl.plan", created.plan.as_str()),
            text("drctl.world", created.world.id()),
            text("drctl.runbook.digest", created.runbook_digest.as_str()),
        ];
        let mut name = created.plan.to_string();
        if let Some(book) = book {
            name = format!("{} {name}", book.intent);
            attributes.push(text("drctl.intent", &book.intent.to_string()));
            attributes.push(text("drctl.to", book.to.as_str()));
            attributes.extend(book.from.as_ref().map(|from| text("drctl.from", from.as_str())));
            self.waivers = book.waivers;
            self.book = book.steps.into_iter().map(|step| (step.id.clone(), step)).collect();
        }
        attributes.extend(created.severity.as_deref().map(|of| text("drctl.severity", of)));
        attributes.extend(created.incident.as_deref().map(|of| text("drctl.incident", of)));
        let (id, events) = (self.root_id(), Vec::new());
        self.root = Some(Open { id, parent: None, name, kind: INTERNAL, start: at, attributes, events });
    }

    fn finished(&mut self, outcome: Outcome, at: Timestamp) {
        self.close_all(at);
        let Some(mut root) = self.root.take() else { return };
        let word = serde_json::to_value(outcome).ok().and_then(|w| w.as_str().map(str::to_owned));
        let word = word.unwrap_or_default();
        root.attributes.push(text("drctl.outcome", &word));
        let status = match outcome {
            Outcome::Recovered | Outcome::Read | Outcome::Cancelled => Status::Ok,
            Outcome::Failed | Outcome::Abandoned => Status::Error(word),
        };
        self.end(root, at, status);
    }

    fn of_step(&mut self, step: &StepId, (what, kind): (&EventKind, &str), at: Timestamp) {
        match what {
            EventKind::StepStarted { .. } => self.begin(step, false, at),
            EventKind::CallIntended { direction, attempt, generation, key, .. } => {
                self.intended(step, *direction, (*attempt, *generation, key), at);
            }
            EventKind::CallRequests { requests, .. } => {
                if let Some(call) = self.calls.get_mut(step) {
                    let ids: Vec<&str> = requests.iter().map(|r| r.id.as_str()).collect();
                    call.attributes.extend(ids.last().map(|id| text("aws.request_id", id)));
                    call.attributes.push(texts("drctl.request.ids", &ids));
                    call.attributes.extend(requests.last().map(|r| text("rpc.service", &r.service)));
                }
            }
            EventKind::CallAnswered { .. } => self.answered(step, at, Status::Ok),
            EventKind::CallRefused { code, why, .. } => {
                self.answered(step, at, Status::Error(format!("{code}: {why}")));
            }
            EventKind::CallInDoubt { why, .. } => {
                self.answered(step, at, Status::Error(format!("in doubt: {why}")));
            }
            EventKind::WithdrawIntended { .. } => {
                let n = self.count(step, "withdraw");
                let id = self.id(&[step.as_str(), "withdraw", &n.to_string()]);
                let call = self.open(id, self.step_span(step), format!("withdraw {step}"), CLIENT, at);
                self.withdrawals.insert(step.clone(), call);
            }
            EventKind::Withdrawn { .. } => self.withdrew(step, at, Status::Ok),
            EventKind::WithdrawFailed { why, .. } => self.withdrew(step, at, Status::Error(why.clone())),
            EventKind::StepFinished { .. } | EventKind::FoundPromoted { .. } => {
                self.over(step, false, at, (kind, Status::Ok));
            }
            EventKind::StepSkipped { .. } => self.over(step, false, at, ("skipped", Status::Unset)),
            EventKind::StepFailed { reason, .. }
            | EventKind::GuardLost { reason, .. }
            | EventKind::Rejected { reason, .. } => {
                self.over(step, false, at, (kind, Status::Error(reason.clone())));
            }
            EventKind::StepUndone { .. } => self.over(step, true, at, ("undone", Status::Ok)),
            EventKind::UndoFailed { reason, .. } => {
                self.over(step, true, at, ("undo_failed", Status::Error(reason.clone())));
            }
            EventKind::GateBlocked { why, .. } => {
                self.note(step, at, "gate_blocked", vec![text("drctl.why", why)])
            }
            EventKind::EffectDisproved { seen, .. } => {
                self.note(step, at, "effect_disproved", vec![text("drctl.seen", seen)]);
            }
            _ => self.note(step, at, kind, Vec::new()),
        }
    }

    fn begin(&mut self, step: &StepId, undo: bool, at: Timestamp) {
        let n = {
            let n = self.begun.entry((step.clone(), undo)).or_default();
            *n += 1;
            *n
        };
        let word = if undo { "undo" } else { "do" };
        let name = if undo { format!("undo {step}") } else { step.to_string() };
        let id = self.id(&[step.as_str(), word, &n.to_string()]);
        let mut span = self.open(id, self.root_id(), name, INTERNAL, at);
        span.attributes.push(text("drctl.step", step.as_str()));
        span.attributes.push(number("drctl.attempt", n.into()));
        if let Some(of) = self.book.get(step) {
            span.attributes.push(text("drctl.phase", &of.phase.to_string()));
            span.attributes.push(text("drctl.action", &of.action.words(&self.waivers)));
            span.attributes.extend(of.component.as_ref().map(|c| text("drctl.component", c.as_str())));
        }
        if let Some(before) = self.steps.insert((step.clone(), undo), span) {
            self.end(before, at, Status::Unset);
        }
    }

    fn intended(
        &mut self,
        step: &StepId,
        direction: Direction,
        (attempt, generation, key): (u32, u32, &str),
        at: Timestamp,
    ) {
        let undo = direction == Direction::Undo;
        // An undo starts with its call, and so do actions after the end of a run.
        if !self.steps.contains_key(&(step.clone(), undo)) {
            self.begin(step, undo, at);
        }
        let word = if undo { "undo" } else { "do" };
        let (n, nth) = (attempt.to_string(), generation.to_string());
        let id = self.id(&[step.as_str(), word, "call", &n, &nth]);
        let parent = self.steps.get(&(step.clone(), undo)).map_or_else(|| self.root_id(), |s| s.id.clone());
        let mut call = self.open(id, parent, format!("call {step}"), CLIENT, at);
        call.attributes.push(text("drctl.step", step.as_str()));
        call.attributes.push(text("drctl.direction", word));
        call.attributes.push(number("drctl.call.attempt", attempt.into()));
        call.attributes.push(number("drctl.call.generation", generation.into()));
        call.attributes.push(text("drctl.call.key", key));
        if let Some(before) = self.calls.insert(step.clone(), call) {
            self.end(before, at, Status::Unset);
        }
    }

    fn answered(&mut self, step: &StepId, at: Timestamp, status: Status) {
        if let Some(call) = self.calls.remove(step) {
            self.end(call, at, status);
        }
    }

    fn withdrew(&mut self, step: &StepId, at: Timestamp, status: Status) {
        if let Some(call) = self.withdrawals.remove(step) {
            self.end(call, at, status);
        }
    }

    fn over(&mut self, step: &StepId, undo: bool, at: Timestamp, (word, status): (&str, Status)) {
        if let Some(mut span) = self.steps.remove(&(step.clone(), undo)) {
            span.attributes.push(text("drctl.end", word));
            self.end(span, at, status);
        }
    }

    fn close_all(&mut self, at: Timestamp) {
        let calls = std::mem::take(&mut self.calls).into_values();
        let withdrawals = std::mem::take(&mut self.withdrawals).into_values();
        let steps = std::mem::take(&mut self.steps).into_values();
        for mut span in calls.chain(withdrawals).chain(steps).collect::<Vec<_>>() {
            span.attributes.push(flag("drctl.open", true));
            self.end(span, at, Status::Unset);
        }
    }

    fn note(&mut self, step: &StepId, at: Timestamp, name: &str, of: Vec<Value>) {
        match self.steps.get_mut(&(step.clone(), false)) {
            Some(span) => span.events.push(moment(at, name, of)),
            None => self.note_run(at, name, of),
        }
    }

    fn note_run(&mut self, at: Timestamp, name: &str, of: Vec<Value>) {
        if let Some(root) = &mut self.root {
            root.events.push(moment(at, name, of));
        }
    }

    fn count(&mut self, step: &StepId, what: &str) -> u32 {
        let n = self.begun.entry((StepId::new(format!("{step} {what}")), false)).or_default();
        *n += 1;
        *n
    }

    fn step_span(&self, step: &StepId) -> String {
        self.steps.get(&(step.clone(), false)).map_or_else(|| self.root_id(), |s| s.id.clone())
    }

    fn open(&self, id: String, parent: String, name: String, kind: u8, start: Timestamp) -> Open {
        let run = text("drctl.run.id", self.run.as_str());
        Open { id, parent: Some(parent), name, kind, start, attributes: vec![run], events: Vec::new() }
    }

    fn root_id(&self) -> String {
        self.id(&["run"])
    }

    fn id(&self, of: &[&str]) -> String {
        let fields: Vec<&[u8]> = [b"drctl span".as_slice(), self.run.as_str().as_bytes()]
            .into_iter()
            .chain(of.iter().map(|f| f.as_bytes()))
            .collect();
        Digest::of_fields(&fields).as_str()[..SPAN_ID].to_owned()
    }

    fn end(&mut self, span: Open, at: Timestamp, status: Status) {
        let status = match status {
            Status::Unset => json!({}),
            Status::Ok => json!({"code": 1}),
            Status::Error(why) => json!({"code": 2, "message": plain::line(&why)}),
        };
        let mut told = json!({
            "traceId": trace_id(&self.run), "spanId": span.id, "name": plain::line(&span.name), "kind": span.kind,
            "startTimeUnixNano": nanos(span.start), "endTimeUnixNano": nanos(at.max(span.start)),
            "attributes": span.attributes, "events": span.events, "status": status,
        });
        if let Some(parent) = span.parent {
            told["parentSpanId"] = Value::String(parent);
        }
        self.done.push(told);
    }
}

/// The kind of an event as in the journal, and its step, if it has one.
fn words_of(what: &EventKind) -> (String, Option<StepId>) {
    let value = serde_json::to_value(what).unwrap_or_default();
    let word = |key: &str| value[key].as_str().map(str::to_owned);
    (word("kind").unwrap_or_default(), word("step").map(StepId::new))
}

/// 64-bit integers are text in JSON.
fn nanos(at: Timestamp) -> String {
    format!("{}000000", at.millis().max(0))
}

fn moment(at: Timestamp, name: &str, attributes: Vec<Value>) -> Value {
    json!({"timeUnixNano": nanos(at), "name": name, "attributes": attributes})
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": plain::line(value)}})
}

fn texts(key: &str, values: &[&str]) -> Value {
    let values: Vec<_> = values.iter().map(|value| json!({"stringValue": plain::line(value)})).collect();
    json!({"key": key, "value": {"arrayValue": {"values": values}}})
}

fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn flag(key: &str, value: bool) -> Value {
    json!({"key": key, "value": {"boolValue": value}})
}
