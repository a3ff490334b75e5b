//! The documents that people write after an incident, filled in as far as the journal allows. Other fields are marked for a person; nothing
//! is guessed.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::said;
use super::summary::RunReport;
use crate::model::plain::{self, line};
use crate::model::time::Timestamp;
use crate::record::event::End;
use crate::record::runbook::Phase;
use crate::run::RunState;
use crate::run::state::{Status, StepState};

/// The kind of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How a working state was restored.
    Rollback,
    /// The record of an incident.
    Incident,
    /// The report after an incident.
    PostIncident,
}

/// A document.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Document {
    /// Version of this shape.
    pub schema_version: u32,
    /// Its title.
    pub title: String,
    /// The run that it was filled from.
    pub run: String,
    /// Whether that was a rehearsal, which affected nobody.
    pub rehearsal: bool,
    /// Whether it came from a file and nobody of the store adopted it, so that it proves nothing there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_file: bool,
    /// Its sections.
    pub sections: Vec<DocumentSection>,
    /// The number of fields that a person must fill in.
    pub open: usize,
}

/// A section of a document.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Part")]
pub struct DocumentSection {
    /// Its heading.
    pub heading: String,
    /// Its fields, in order.
    pub fields: Vec<Field>,
}

/// A field.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Field {
    /// The question.
    pub label: String,
    /// The answer from the journal; `None` if only a person knows it.
    pub text: Option<String>,
    /// What a person must write, if the journal has no answer or only a part of it.
    pub person: Option<String>,
}

fn known(label: &str, text: impl Into<String>) -> Field {
    Field { label: label.to_owned(), text: Some(line(&text.into())), person: None }
}

fn person(label: &str, hint: &str) -> Field {
    Field { label: label.to_owned(), text: None, person: Some(hint.to_owned()) }
}

/// A field with a known answer, and a hint about what a person may add.
fn both(label: &str, text: impl Into<String>, hint: &str) -> Field {
    Field { person: Some(hint.to_owned()), ..known(label, text) }
}

/// A field that the journal may be able to answer.
fn perhaps(label: &str, text: Option<String>, hint: &str) -> Field {
    text.map_or_else(|| person(label, hint), |text| known(label, text))
}

fn part(heading: &str, fields: Vec<Field>) -> DocumentSection {
    DocumentSection { heading: heading.to_owned(), fields }
}

/// Fills a document in.
pub fn document(kind: Kind, report: &RunReport, state: &RunState, told: Option<&[Timestamp]>) -> Document {
    let desk = DocumentContext { report, state, told };
    let (title, sections) = match kind {
        Kind::Rollback => (format!("Rollback Report - {}", report.started_at), desk.rollback()),
        Kind::Incident => (format!("Incident Record: {}", desk.incident()), desk.record()),
        Kind::PostIncident => (format!("Incident Report: {}", desk.incident()), desk.post_incident()),
    };
    let open = sections.iter().flat_map(|part| &part.fields).filter(|field| field.person.is_some()).count();
    let rehearsal = report.world.id() != "live";
    Document {
        schema_version: 1,
        title: line(&title),
        run: report.run_id.to_string(),
        rehearsal,
        from_file: report.from_file,
        sections,
        open,
    }
}

struct DocumentContext<'a> {
    report: &'a RunReport,
    state: &'a RunState,
    told: Option<&'a [Timestamp]>,
}

impl DocumentContext<'_> {
    fn incident(&self) -> String {
        self.report.incident.clone().unwrap_or_else(|| self.report.run_id.to_string())
    }

    /// When the outage started for users, if known.
    fn began(&self) -> Option<Timestamp> {
        self.state.created.outage_began.into_iter().chain(self.report.clocks.detected).min()
    }

    fn detection(&self) -> Field {
        match (self.report.clocks.detected, self.state.created.outage_began) {
            (Some(at), None) => known("Detection Method", format!("Monitoring: a drctl probe, at {at}")),
            (None, Some(at)) => {
                known("Detection Method", format!("User Report or Other: the declared start is {at}"))
            }
            (Some(seen), Some(said)) => known(
                "Detection Method",
                format!("the declared start is {said}; a drctl probe detected it at {seen}"),
            ),
            (None, None) => person("Detection Method", "Monitoring, User Report or Other"),
        }
    }

    fn impact(&self) -> Field {
        let failing: Vec<&str> = self
            .state
            .turns
            .iter()
            .filter(|(_, turns)| turns.iter().any(|turn| !turn.good))
            .map(|(probe, _)| probe.as_str())
            .collect();
        // A reason for a waiver does not describe harm.
        let waived = |reason: &&String| self.report.waivers.iter().any(|w| w.reason == **reason);
        let reason = self.report.reason.as_ref().filter(|reason| !waived(reason)).cloned();
        let probes = (!failing.is_empty()).then(|| format!("probes failed: {}", failing.join(", ")));
        let text: Vec<String> = reason.into_iter().chain(probes).collect();
        let hint = "number of affected users, and the cost";
        if text.is_empty() { person("Impact", hint) } else { both("Impact", text.join("; "), hint) }
    }

    /// The scale High, Medium and Low, beside drctl's own.
    fn severity(&self) -> Field {
        let word = |severity: &String| {
            let word = match severity.as_str() {
                "P0" | "P1" => "High",
                "P2" => "Medium",
                _ => "Low",
            };
            format!("{word} ({severity})")
        };
        perhaps("Severity", self.report.severity.as_ref().map(word), "High, Medium or Low")
    }

    fn duration(&self) -> Option<String> {
        let ended = self.report.clocks.validated.or(self.report.ended_at)?;
        let began = self.began().unwrap_or(self.report.started_at);
        Some(format!("{}, from {began} to {ended}", ended.since(began)))
    }

    /// What changed something, in order of time. A step that found nothing to do is no action.
    fn actions(&self) -> String {
        let acted = |at: &StepState| matches!(at.work.status, Status::Done(end) if end != End::Noop);
        let all = self.state.runbook.steps.iter().zip(&self.state.steps);
        let mut done: Vec<_> = all.filter(|(step, at)| step.action.mutates() && acted(at)).collect();
        done.sort_by_key(|(_, at)| at.work.ended_at);
        let named: Vec<String> = done
            .into_iter()
            .map(|(step, at)| match (at.work.ended_at, at.taken_back()) {
                (_, true) => format!("{} (undone)", step.action),
                (Some(when), false) => format!("{} at {when}", step.action),
                (None, false) => step.action.to_string(),
            })
            .collect();
        if named.is_empty() { "none".to_owned() } else { named.join("; ") }
    }

    /// The results of the checks of a phase. Only a check that was really performed can pass.
    fn checks(&self, phases: &[Phase]) -> String {
        let of =
            self.state.runbook.steps.iter().zip(&self.state.steps).filter(|(s, _)| phases.contains(&s.phase));
        let (mut passed, mut failed) = (Vec::new(), Vec::new());
        for (step, at) in of {
            match at.work.status {
                Status::Done(_) => passed.push(step.id.to_string()),
                Status::Failed => failed.push(step.id.to_string()),
                _ => {}
            }
        }
        match (failed.is_empty(), passed.is_empty()) {
            (false, _) => format!("FAIL: {}", failed.join(", ")),
            (true, false) => format!("PASS: {}", passed.join(", ")),
            (true, true) => "NOT RUN".to_owned(),
        }
    }

    /// If people skipped a part of the target site, its checks do not prove that it is healthy.
    fn health(&self) -> String {
        let checks = self.checks(&[Phase::Verify]);
        let steps = self.state.runbook.steps.iter().zip(&self.state.steps);
        let left_out = steps.filter(|(step, at)| {
            step.action.mutates() && step.phase < Phase::Watch && at.work.status == Status::Skipped
        });
        let left_out: Vec<String> = left_out
            .flat_map(|(step, at)| {
                at.past.steered.last().map(|by| {
                    let why = by.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                    format!("{} was skipped by {}{why}", step.id, by.who)
                })
            })
            .collect();
        match left_out.is_empty() {
            true => checks,
            false => format!("NOT WHOLE: {}; {checks}", left_out.join("; ")),
        }
    }

    fn duty(&self, label: &str, what: &str, hint: &str) -> Field {
        let owed = self.report.duties.iter().find(|owed| owed.what == what);
        perhaps(label, owed.map(crate::report::duties::Obligation::words), hint)
    }

    fn notified(&self, label: &str) -> Field {
        let first = self.told.and_then(|told| told.first());
        perhaps(label, first.map(|at| format!("{at}, by drctl")), "when, and by whom; drctl notified nobody")
    }

    fn rollback(&self) -> Vec<DocumentSection> {
        let r = self.report;
        let planned = !self.state.runbook.intent.is_incident();
        let decided = self.began().map(|began| format!("{} after the start", r.clocks.decided.since(began)));
        vec![
            part(
                "Trigger",
                vec![
                    both(
                        "Issue",
                        r.reason.clone().unwrap_or_else(|| format!("{} to {}", r.intent, r.to)),
                        "what went wrong",
                    ),
                    self.severity(),
                    self.impact(),
                    perhaps("Decision Time", decided, "from detection to decision"),
                ],
            ),
            part(
                "Execution",
                vec![
                    known("Start Time", r.started_at.to_string()),
                    perhaps("Completion Time", r.ended_at.map(|at| at.to_string()), "not over yet"),
                    known("Downtime", r.rto.words()),
                    known("Method Used", if planned { "Planned" } else { "Emergency" }),
                    known("Steps", self.actions()),
                ],
            ),
            part(
                "Validation",
                vec![
                    known("System Health", self.health()),
                    known("Functionality", self.checks(&[Phase::Confirm])),
                    person("Performance", "PASS or FAIL; drctl does not measure performance"),
                    known("Monitoring", self.checks(&[Phase::Watch])),
                ],
            ),
            part(
                "Post-Rollback",
                vec![
                    self.notified("Team notification completed"),
                    person("Documentation updated", "yes or no, and where"),
                    self.duty("Issue investigation initiated", "post-mortem", "yes or no, and by whom"),
                    person("Re-migration plan developed", "yes or no, and where"),
                ],
            ),
            part("Lessons", lessons()),
        ]
    }

    fn record(&self) -> Vec<DocumentSection> {
        let r = self.report;
        let began = self.began().map(|at| at.to_string());
        let assessed = r.severity.as_ref().map(|severity| format!("{severity}, {} to {}", r.intent, r.to));
        let mut fields = vec![
            perhaps("Incident Start Time", began, "when users first saw failures"),
            self.detection(),
            perhaps("Initial Assessment", assessed, "severity and impact"),
            self.impact(),
            person("Root Cause", "why it happened"),
            known("Recovery Actions", self.actions()),
            perhaps("Resolution Time", self.duration(), "not over yet"),
            person("Lessons Learned", "what went well, what could be improved"),
        ];
        fields.extend(self.waived());
        vec![part("Incident", fields)]
    }

    /// Risks that people accepted, and the results of waived fences.
    fn waived(&self) -> Vec<Field> {
        let waived = self.report.waivers.iter().map(|w| {
            let of = w.component.as_ref().map_or_else(String::new, |c| format!(" of {c}"));
            let loss = w.accept_loss_ms.map_or_else(String::new, |loss| format!(" (accepted loss: {loss})"));
            known("Waived", format!("{}{of} by {}: {}{loss}", w.rule, w.who, w.reason))
        });
        waived.chain(self.became()).collect()
    }

    /// The results of waived fences, and losses against what people accepted.
    fn became(&self) -> Vec<Field> {
        let owed = self.state.debts.keys();
        let fences = owed.filter_map(|c| Some((c, self.report.fence.components.get(c)?)));
        let fences = fences.map(|(c, text)| known("Fence", format!("{c} {text}")));
        let losses = self.report.stores.iter();
        let losses = losses.filter_map(|(c, store)| Some((c, store.rpo.accepted.as_ref()?)));
        let losses = losses.map(|(c, accepted)| known("Data loss", format!("{c} {}", accepted.text)));
        fences.chain(losses).collect()
    }

    fn post_incident(&self) -> Vec<DocumentSection> {
        let r = self.report;
        let at = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let first = self.state.steps.iter().filter_map(|step| step.work.started_at).min();
        let decided = r.decisions.iter().map(|decision| {
            let label = match decision.what.as_str() {
                "Step skipped" => "Skipped",
                what if what.starts_with("Step ") => "Done by hand",
                what => what,
            };
            known(label, format!("{}: {}", decision.at, decision.text))
        });
        let stops = r.stops.iter().map(|stop| {
            let decided = stop.decision.map_or("nobody decided".to_owned(), |d| format!("decided to {d}"));
            let waits = if stop.waits { said::WAITS } else { "" };
            known("Stop", format!("{} at {}: {}; {decided}{waits}", stop.step, stop.at, stop.reason))
        });
        vec![
            part(
                "Executive Summary",
                vec![
                    perhaps("Duration", self.duration(), "not over yet"),
                    self.impact(),
                    person("Root Cause", "in one sentence"),
                    known("Resolution", format!("{}: {}", super::words::outcome(&r.outcome), self.actions())),
                    known("Recovery time", r.rto.words()),
                    known("Recovery point", r.rpo.words()),
                ],
            ),
            part(
                "Timeline",
                vec![
                    perhaps("Detected", at(self.began()), "when users first saw failures"),
                    self.notified("Response team notified"),
                    perhaps("Recovery initiated", at(first), "no run was started"),
                    perhaps("Service restored", at(r.clocks.validated), "not confirmed"),
                    self.duty("Full resolution confirmed", "monitoring", "when, and by whom"),
                ],
            ),
            part(
                "What people decided",
                decided
                    .chain(self.became())
                    .chain(stops)
                    .chain([known("Asked for by", r.requester.to_string())])
                    .collect(),
            ),
            part("Root Cause Analysis", vec![person("Root Cause Analysis", "what happened, and why")]),
            part(
                "Action Items",
                vec![
                    person("Immediate fixes", "each with an owner and a date"),
                    person("Process improvements", "each with an owner and a date"),
                    person("Monitoring enhancements", "each with an owner and a date"),
                    person("Training requirements", "each with an owner and a date"),
                ],
            ),
            part(
                "Prevention Measures",
                vec![person("Prevention Measures", "what prevents it from happening again")],
            ),
        ]
    }
}

fn lessons() -> Vec<Field> {
    vec![
        person("What went well", "in your words"),
        person("What could be improved", "in your words"),
        person("Action items", "each with an owner and a date"),
    ]
}

/// The document as Markdown, to be finished in an editor.
pub fn markdown(document: &Document) -> String {
    let mut out = format!("# {}\n\n", plain::markdown(&document.title));
    if document.rehearsal {
        out.push_str("> **Rehearsal.** It changed nothing real.\n\n");
    }
    if document.from_file {
        out.push_str(
            "> **From a file.** Nobody of this store adopted the run, so it proves nothing here.\n\n",
        );
    }
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "drctl filled this form from run `{}`. A person must fill in {}. All times are UTC.",
        plain::code(&document.run),
        plain::count(document.open, "field")
    );
    for part in &document.sections {
        let _ = write!(out, "\n## {}\n\n", part.heading);
        for field in &part.fields {
            let text = field.text.as_deref().map(plain::markdown).unwrap_or_default();
            let person = field.person.as_ref().map(|hint| format!("_[to be filled in by a person: {hint}]_"));
            let gap = if field.text.is_some() && person.is_some() { " " } else { "" };
            let _ = writeln!(out, "- **{}**: {text}{gap}{}", field.label, person.unwrap_or_default());
        }
    }
    out
}
