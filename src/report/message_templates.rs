//! The texts of notifications. Their fields are in the order in which people need them.

use super::attainment::attainment;
use super::duties::Obligation;
use super::history::{History, Prediction};
use super::matters::{Alarm, Matter};
use super::summary;
use crate::model::duty::{Duties, Rung};
use crate::model::intent::Drill;
use crate::model::notice::{Kind, Notice, Public};
use crate::model::plain::line;
use crate::model::policy::Policy;
use crate::model::schedule::Schedule;
use crate::model::time::{Dur, Timestamp};
use crate::record::event::Outcome;
use crate::run::RunState;
use crate::run::model::attention::Acknowledged;
use crate::run::state::{Mode, Status};

/// Maximum number of steps that a message names.
const NAMED: usize = 8;

/// The input of a message about a run.
pub struct MessageContext<'a> {
    /// The run.
    pub state: &'a RunState,
    /// What the run is for the recipients.
    pub matter: Matter,
    /// The policy with the promised intervals.
    pub policy: &'a Policy,
    /// The durations of earlier runs.
    pub history: &'a History,
    /// The prediction for this run.
    pub expected: &'a Prediction,
    /// The current time.
    pub now: Timestamp,
}

type Fields = Vec<(String, String)>;

/// Keeps texts of people and providers in a single line.
fn field(label: &str, text: impl Into<String>) -> (String, String) {
    (label.to_owned(), line(&text.into()))
}

impl MessageContext<'_> {
    fn duties(&self) -> &Duties {
        self.state.created.duties.as_ref().unwrap_or(&self.policy.duties)
    }

    /// The interval of updates.
    pub fn every(&self) -> Dur {
        self.duties().update_every_ms
    }

    /// Whether users are served again, as far as known.
    pub fn served(&self) -> bool {
        attainment(self.state, self.now).validated.is_some() && self.state.fails_again().is_none()
    }

    /// Whether the run reached its goal.
    pub fn good(&self) -> bool {
        match self.state.mode {
            Mode::Finished(outcome) => outcome == Outcome::Recovered,
            Mode::Cancelling => false,
            // Everything that it does for users is done.
            _ => {
                let over = self.matter == Matter::Incident && self.state.over_at().is_some();
                over && self.state.cancelled_at.is_none() && self.state.is_under_way()
            }
        }
    }

    /// When the next update is due.
    fn next(&self) -> Timestamp {
        let every = self.every().max(Dur(1));
        let number = self.now.since(self.state.created_at).millis() / every.millis() + 1;
        self.state.created_at + every.times(number)
    }

    fn service(&self) -> &str {
        self.state.created.plan.as_str()
    }

    /// The name of the incident, or of the run if it has none.
    fn incident(&self) -> &str {
        self.state.created.incident.as_deref().unwrap_or(self.state.created.run.as_str())
    }

    fn severity(&self) -> &str {
        self.state.created.severity.as_deref().unwrap_or("severity not given")
    }

    fn where_to(&self) -> String {
        let from = self.state.runbook.from.as_ref().map_or_else(String::new, |from| format!(" from {from}"));
        format!("{}{from} to {}", self.state.runbook.intent, self.state.runbook.to)
    }

    fn notice(&self, key: &str, kind: Kind, due: Timestamp, (subject, fields): (String, Fields)) -> Notice {
        Notice {
            key: format!("{}/{key}", self.state.created.run),
            kind,
            run: Some(self.state.created.run.clone()),
            thread: self.state.created.run.to_string(),
            due,
            severity: self.state.created.severity.clone(),
            tell: Vec::new(),
            ends: false,
            acknowledges: Vec::new(),
            subject: line(&subject),
            fields,
            public: None,
        }
    }

    /// The text for the public: nothing about drills and planned work, and no text of a person or a provider.
    fn public(&self, status: &'static str, text: String) -> Option<Public> {
        // A run that continues another one also continues its incident.
        let run = self.state.created.continues.as_ref().unwrap_or(&self.state.created.run);
        let (service, incident) = (self.service().to_owned(), run.to_string());
        (self.matter == Matter::Incident).then_some(Public { service, incident, status, text })
    }

    fn common(&self) -> Fields {
        let watch = self.state.created.command("runs watch", "");
        vec![
            field("INCIDENT ID", self.incident()),
            field("RUN", self.state.created.run.as_str()),
            field("FOLLOW IT", watch),
        ]
    }

    fn impact(&self) -> String {
        let down = self.state.turns.iter().filter(|(_, turns)| turns.last().is_some_and(|turn| !turn.good));
        let failing: Vec<&str> = down.map(|(probe, _)| probe.as_str()).take(NAMED).collect();
        let probes = match failing.is_empty() {
            true => "no drctl probe fails".to_owned(),
            false => format!("probes fail: {}", failing.join(", ")),
        };
        self.state.created.reason.as_ref().map_or(probes.clone(), |reason| format!("{reason}; {probes}"))
    }

    fn eta(&self) -> String {
        let expected = self.expected;
        let at = |took: Dur| self.state.created_at + took;
        let basis = match expected.runs {
            0 => "estimated".to_owned(),
            n => format!("from {n} earlier runs and estimates"),
        };
        format!("{}, or by {} in 19 of 20 cases; {basis}", at(expected.p50_ms), at(expected.p95_ms))
    }

    /// The state in one sentence.
    fn standing(&self) -> String {
        let done =
            self.state.steps.iter().filter(|s| matches!(s.work.status, Status::Done(_) | Status::Skipped));
        let (done, all) = (done.count(), self.state.steps.len());
        let under_way = self.state.runbook.steps.iter().zip(&self.state.steps);
        let under_way = under_way
            .filter(|(_, at)| !at.work.status.settled() && !matches!(at.work.status, Status::Pending));
        let named: Vec<String> = under_way
            .take(NAMED)
            .map(|(step, at)| format!("{} ({})", step.id, at.work.status.word()))
            .collect();
        let mode = match (self.state.stopped(), &self.state.mode) {
            (Some(stop), _) => format!("STOPPED at {}: {}; ", stop.step, stop.reason),
            (None, Mode::Paused) => "PAUSED; ".to_owned(),
            (None, Mode::Cancelling) => "being undone; ".to_owned(),
            _ => String::new(),
        };
        format!("{mode}{done} of {all} steps done; in progress: {}", or_nothing(&named))
    }

    /// The message about the start.
    pub fn alert(&self) -> Notice {
        let (service, severity, to) = (self.service(), self.severity(), self.where_to());
        let due = self.state.created_at;
        let next = self.next();
        let mut fields = vec![field("STATUS", "Mitigating"), field("WHAT", to.clone())];
        let (kind, subject) = match self.matter {
            Matter::Incident => {
                fields.push(field("IMPACT", self.impact()));
                fields.push(field("ETA", self.eta()));
                fields.push(field("UPDATES", format!("every {}", self.every())));
                fields.push(field("NEXT UPDATE", next.to_string()));
                (Kind::Alert, format!("[URGENT] {service} Service Incident - {severity}"))
            }
            Matter::Planned => (Kind::Alert, format!("[PLANNED] {service}: {to}")),
            Matter::Drill => {
                let class = self.state.runbook.drill.map_or("", Drill::id);
                (Kind::Drill, format!("[DRILL] {service}: {class} drill, {to}, starts"))
            }
        };
        fields.push(field("REQUESTED BY", self.state.created.requester.to_string()));
        fields.extend(self.common());
        let text = format!("{service} has a problem, and we are recovering it. Next update by {next}.");
        Notice {
            public: self.public("identified", text),
            ..self.notice("alert", kind, due, (subject, fields))
        }
    }

    /// The message about the current state.
    pub fn update(&self, number: u64, due: Timestamp) -> Notice {
        let (service, incident) = (self.service(), self.incident());
        let status = match (self.state.stopped(), self.state.fails_again()) {
            (Some(_), _) => "Mitigating, STOPPED",
            (None, Some(_)) => "Users fail AGAIN",
            (None, None) => "Mitigating",
        };
        let report = summary::report(self.state, self.now);
        let next = self.next();
        let mut fields = vec![
            field("STATUS", status),
            field("PROGRESS", self.standing()),
            field("IMPACT", self.impact()),
            field("RECOVERY TIME SO FAR", report.rto.text),
            field("ETA", self.eta()),
            field("NEXT UPDATE", next.to_string()),
        ];
        fields.extend(self.common());
        let subject = format!("[UPDATE {number}] {service} Service Incident - {incident}");
        let public = match self.served() {
            true => self.public(
                "monitoring",
                format!("{service} works again. We are monitoring it. Next update by {next}."),
            ),
            false => self.public(
                "identified",
                format!("{service} still has a problem. We are working on it. Next update by {next}."),
            ),
        };
        let key = format!("update/{number}");
        Notice { public, ..self.notice(&key, Kind::Update, due, (subject, fields)) }
    }

    /// The message about the end.
    pub fn resolved(&self, ended: Timestamp, key: &str) -> Notice {
        let (service, incident) = (self.service(), self.incident());
        let good = self.good();
        let report = summary::report(self.state, self.state.last_at);
        let outcome = match self.state.finished() {
            true => super::words::outcome(&report.outcome).to_owned(),
            false => "users are served, and the run keeps watching".to_owned(),
        };
        let mut fields = vec![
            field("STATUS", if good { "Resolved" } else { "NOT RESOLVED BY THIS RUN" }),
            field("OUTCOME", outcome),
            field(
                "RESOLUTION TIME",
                format!("{ended}, {} after it was declared", ended.since(self.state.created_at)),
            ),
            field("RTO", report.rto.words()),
            field("RPO", report.rpo.words()),
        ];
        if self.matter == Matter::Incident {
            fields.push(field("ROOT CAUSE", "a person writes it in the incident report"));
        }
        let performed = self.state.runbook.steps.iter().zip(&self.state.steps);
        let performed =
            performed.filter(|(step, at)| step.action.mutates() && matches!(at.work.status, Status::Done(_)));
        let named: Vec<String> = performed.take(NAMED).map(|(step, _)| step.action.to_string()).collect();
        fields.push(field("ACTIONS TAKEN", or_nothing(&named)));
        let owed: Vec<String> = self.state.owed().map(ToString::to_string).collect();
        if !owed.is_empty() {
            fields.push(field("FENCE PENDING", owed.join(", ")));
        }
        if self.state.created.duties.is_some() {
            let duties = self.duties();
            fields.push(field(
                "AFTERWARDS",
                format!(
                    "monitoring for the next {}; incident report within {}, post-mortem within {}",
                    duties.monitor_ms, duties.report_within_ms, duties.review_within_ms
                ),
            ));
        }
        fields.extend(self.common());
        let said = super::words::outcome(&report.outcome).to_uppercase();
        let (kind, subject) = match (self.matter, good) {
            (Matter::Incident, true) => {
                (Kind::Resolved, format!("[RESOLVED] {service} Service Incident - {incident}"))
            }
            (Matter::Incident, false) => {
                (Kind::Resolved, format!("[ENDED, NOT RESOLVED] {service} Service Incident - {incident}"))
            }
            (Matter::Planned, _) => (Kind::Resolved, format!("[{said}] {service}: {}", self.where_to())),
            (Matter::Drill, _) => (Kind::Drill, format!("[DRILL {said}] {service}: {}", self.where_to())),
        };
        let public = match good {
            true => self.public("monitoring", format!("{service} works again. We are monitoring it.")),
            false => {
                self.public("investigating", format!("{service} still has a problem. We are working on it."))
            }
        };
        // Somebody must still watch what is in progress.
        let ends = good || self.matter != Matter::Incident;
        Notice { public, ends, ..self.notice(key, kind, ended, (subject, fields)) }
    }

    /// The message that the watch ended without a problem.
    pub fn closed(&self, ended: Timestamp) -> Option<Notice> {
        let due = ended + self.state.created.duties.as_ref()?.monitor_ms;
        let stays = self.good() && self.state.fails_again().is_none();
        if !stays || self.matter != Matter::Incident || self.now < due {
            return None;
        }
        let (service, incident) = (self.service(), self.incident());
        let mut fields = vec![
            field("STATUS", "Closed"),
            field("WHAT", format!("{} of monitoring have ended", self.duties().monitor_ms)),
            field(
                "WHAT TO DO",
                self.state.created.command("duties done", " monitoring --reference \"what was seen\""),
            ),
        ];
        fields.extend(self.common());
        let subject = format!("[CLOSED] {service} Service Incident - {incident}");
        let public = self.public("resolved", format!("{service} works."));
        Some(Notice { public, ends: true, ..self.notice("closed", Kind::Resolved, due, (subject, fields)) })
    }

    /// The message that nobody responded, or that the run needs a person.
    pub fn escalation(&self, alarm: &Alarm, reached: usize, rungs: &[Rung]) -> Notice {
        let due = rungs.last().map_or(alarm.at, |rung| alarm.at + rung.after);
        let stop = if alarm.id.starts_with("stop") { self.policy.on_stop.as_slice() } else { &[] };
        let mut roles: Vec<&str> = Vec::new();
        for role in stop.iter().chain(rungs.iter().map(|rung| &rung.role)) {
            if !roles.contains(&role.as_str()) {
                roles.push(role);
            }
        }
        let called: Vec<String> = roles.into_iter().map(|role| self.called(role)).collect();
        let mut fields = vec![
            field("WHY", alarm.why.clone()),
            field("SINCE", format!("{}, {} ago", alarm.at, self.now.since(alarm.at))),
            field("CALLED", called.join("; ")),
            field("WHAT TO DO", alarm.fix.clone()),
            field("ACKNOWLEDGE", self.state.created.command("ack", " --reason \"...\"")),
        ];
        fields.extend(self.common());
        let role = rungs.last().map_or("", |rung| rung.role.as_str());
        let subject = format!("[ESCALATION {reached}: {role}] {} - {}", self.service(), self.incident());
        let everywhere = rungs.iter().any(|rung| rung.tell.is_empty());
        let mut tell: Vec<String> = rungs.iter().flat_map(|rung| rung.tell.iter().cloned()).collect();
        tell.sort();
        tell.dedup();
        let tell = if everywhere { Vec::new() } else { tell };
        let key = format!("escalation/{}/{reached}", alarm.id);
        let notice = self.notice(&key, Kind::Escalation, due, (subject, fields));
        Notice { tell, thread: format!("{}/{}", self.state.created.run, alarm.id), ..notice }
    }

    /// The message that somebody acknowledged an alarm.
    pub fn seen(&self, alarm: &Alarm, seen: &Acknowledged) -> Notice {
        let mut fields = vec![
            field("WHY", alarm.why.clone()),
            field("SEEN BY", format!("{}, at {}", seen.who, seen.at)),
            field("SAID", seen.reason.clone()),
        ];
        fields.extend(self.common());
        let subject = format!("[ACKNOWLEDGED by {}] {} - {}", seen.who.who, self.service(), self.incident());
        let key = format!("escalation/{}/seen", alarm.id);
        let thread = format!("{}/{}", self.state.created.run, alarm.id);
        // That the start of the incident was announced under the name of the run.
        let run = (alarm.id == "incident").then(|| self.state.created.run.to_string());
        let acknowledges = std::iter::once(thread.clone()).chain(run).collect();
        let notice = self.notice(&key, Kind::Escalation, seen.at, (subject, fields));
        Notice { thread, acknowledges, ..notice }
    }

    /// A role, and who has it.
    fn called(&self, role: &str) -> String {
        let authority = &self.state.created.authority;
        let seat = [role.to_owned()];
        let people: Vec<&str> = authority
            .operators
            .keys()
            .map(String::as_str)
            .filter(|name| authority.has(name, &seat))
            .collect();
        if people.is_empty() { role.to_owned() } else { format!("{role} ({})", people.join(", ")) }
    }

    /// The message about a duty that is due or overdue.
    pub fn owed(&self, owed: &Obligation, kind: Kind, due: Timestamp) -> Notice {
        let word = match kind {
            Kind::Overdue => "OVERDUE",
            Kind::Resolved => "DONE, LATE",
            _ => "DUE SOON",
        };
        let fix = match owed.what.strip_prefix("approval:") {
            Some(step) => self.state.created.command("approve", &format!(" {step}")),
            None => self.state.created.command("duties done", &format!(" {} --reference URL", owed.what)),
        };
        let mut fields = vec![
            field("OWED", owed.what.clone()),
            field("DUE", owed.due_at.to_string()),
            field("WHAT TO DO", fix),
        ];
        fields.extend(owed.detail.iter().map(|detail| field("ABOUT", detail.clone())));
        fields.extend(self.common());
        let subject = format!("[{word}] {} of {} - {}", owed.what, self.service(), self.incident());
        let notice = self.notice(&format!("duty/{}/{}", owed.what, kind.id()), kind, due, (subject, fields));
        Notice {
            thread: format!("{}/{}", self.state.created.run, owed.what),
            ends: kind == Kind::Resolved,
            ..notice
        }
    }
}

fn or_nothing(named: &[String]) -> String {
    if named.is_empty() { "nothing".to_owned() } else { named.join("; ") }
}

/// The announcement that users will be moved for a drill.
pub fn invitation(schedule: &Schedule, (due, begins): (Timestamp, Timestamp), when: Timestamp) -> Notice {
    let (name, is) = (&schedule.name, &schedule.is);
    let hold = is
        .hold_ms
        .map_or_else(|| "until drctl confirms that it works".to_owned(), |hold| format!("for {hold}"));
    let to = is.to.as_ref().map_or_else(|| "its other site".to_owned(), ToString::to_string);
    let local = schedule.calendar.shown(begins);
    let fields = vec![
        field("WHAT", format!("a live drill: drctl moves users of {} to {to} {hold}, and back", is.plan)),
        field("WHEN", format!("{begins} ({local})")),
        field("LATEST START", (due + is.late_ms).to_string()),
        field(
            "TO PREVENT IT",
            "set policy.freeze or policy.blackouts in drctl.yaml; after the start, run drctl runs cancel RUN --reason \"...\"",
        ),
        field("SCHEDULE", name.clone()),
    ];
    Notice {
        key: format!("{name}@{due}/invitation"),
        kind: Kind::Drill,
        run: None,
        thread: format!("{name}@{due}"),
        due: when,
        severity: None,
        tell: Vec::new(),
        ends: false,
        acknowledges: Vec::new(),
        subject: format!("[DRILL INVITATION] {}: drctl moves users for practice at {begins}", is.plan),
        fields,
        public: None,
    }
}

/// The message that a drill did not take place.
pub fn missed(schedule: &str, due: Timestamp, why: &str) -> Notice {
    Notice {
        key: format!("{schedule}@{due}/missed"),
        kind: Kind::Overdue,
        run: None,
        thread: format!("{schedule}@{due}"),
        due,
        severity: None,
        tell: Vec::new(),
        ends: false,
        acknowledges: Vec::new(),
        subject: format!("[MISSED] the drill of schedule {schedule}, due {due}"),
        fields: vec![
            field("WHY", why),
            field("DUE", due.to_string()),
            field("WHAT TO DO", "run drctl drill schedules; to start a drill by hand, run drctl drill PLAN"),
        ],
        public: None,
    }
}

/// The message that a plan was not tested for too long.
pub fn untried(plan: &str, until: Timestamp, why: &str) -> Notice {
    Notice {
        key: format!("{plan}/untried/{until}"),
        kind: Kind::Overdue,
        run: None,
        thread: format!("{plan}/untried"),
        due: until,
        severity: None,
        tell: Vec::new(),
        ends: false,
        acknowledges: Vec::new(),
        subject: format!("[OVERDUE] drill of {plan}"),
        fields: vec![
            field("OWED", "a drill that changes something"),
            field("WHY", why),
            field("DUE", until.to_string()),
            field("WHAT TO DO", format!("run drctl drill {plan} --mode isolated, or --mode live")),
        ],
        public: None,
    }
}

/// The message that a plan must be tested soon.
pub fn untried_soon(plan: &str, (when, until): (Timestamp, Timestamp), why: &str) -> Notice {
    Notice {
        key: format!("{plan}/untried-soon/{until}"),
        kind: Kind::Reminder,
        due: when,
        subject: format!("[DUE SOON] drill of {plan}, by {until}"),
        ..untried(plan, until, why)
    }
}

/// The message that a recovery of a plan would not work as promised.
pub fn unready(plan: &str, since: Timestamp, why: &str) -> Notice {
    Notice {
        key: format!("{plan}/unready/{since}"),
        kind: Kind::Overdue,
        run: None,
        thread: format!("{plan}/unready"),
        due: since,
        severity: None,
        tell: Vec::new(),
        ends: false,
        acknowledges: Vec::new(),
        subject: format!("[NOT READY] {plan}: a recovery would fail or miss its objectives"),
        fields: vec![
            field("WHAT", "a recovery would fail or miss its objectives"),
            field("WHY", why),
            field("SINCE", since.to_string()),
            field("WHAT TO DO", format!("run drctl ready {plan} for the fixes")),
        ],
        public: None,
    }
}

/// The message that the problems of a plan are solved.
pub fn ready_again(plan: &str, since: Timestamp) -> Notice {
    let fields = vec![field("WHAT", "a recovery would work again"), field("SINCE", since.to_string())];
    Notice {
        key: format!("{plan}/ready/{since}"),
        kind: Kind::Resolved,
        ends: true,
        subject: format!("[READY AGAIN] {plan}: a recovery would work again"),
        fields,
        ..unready(plan, since, "")
    }
}
