//! The notifications of a run, and when they are sent. They depend only on its journal and the clock, so a second computation gives the
//! same keys.

use std::collections::BTreeMap;

use super::attainment::attainment;
use super::duties::{self, Obligation, Standing};
use super::history::{Beyond, History, Late, Prediction};
use super::matters::{Alarm, Matter, matter};
use super::message_templates;
use crate::model::duty::Rung;
use crate::model::ids::{PlanName, StepId};
use crate::model::intent::Drill;
use crate::model::notice::{Kind, Notice};
use crate::model::policy::Policy;
use crate::model::schedule::Schedule;
use crate::model::time::{Dur, Timestamp};
use crate::record::event::Outcome;
use crate::record::runbook::ProbeRole;
use crate::run::RunState;
use crate::run::model::attention::Stopped;
use crate::run::state::{Mode, Status};

/// All notifications that are due by `now`. The prediction is made once for a run, not at each call.
pub fn of_run(
    state: &RunState,
    policy: &Policy,
    (history, expected): (&History, &Prediction),
    now: Timestamp,
) -> Vec<Notice> {
    let Some(matter) = matter(state) else { return Vec::new() };
    let desk = message_templates::MessageContext { state, matter, policy, history, expected, now };
    let mut all = vec![desk.alert()];
    // For an incident, the end is when users are served, not the end of the watch.
    let over = if matter == Matter::Incident { state.over_at() } else { state.finished_at };
    if let Some(over) = over {
        all.extend(ends(&desk, over));
        all.extend(desk.closed(over));
    }
    if !state.finished() {
        let goes_on = over.is_none() || state.fails_again().is_some() || !desk.good();
        all.extend(update(&desk).filter(|_| goes_on));
        let alarms = alarms(&desk);
        all.extend(alarms.iter().filter_map(|alarm| rung(&desk, alarm)));
        let others = alarms.iter().filter(|alarm| !alarm.id.starts_with("stop"));
        all.extend(others.filter(|alarm| alarm.seen).filter_map(|alarm| answered(&desk, alarm)));
        // After a decision, a stop alerts nobody any more, and people who were alerted are told about it.
        let calls = matter != Matter::Drill || state.runbook.drill == Some(Drill::Live);
        let stops = (1..).zip(&state.attention.stops).filter(|_| calls);
        all.extend(stops.filter_map(|(n, stop)| {
            let told = answered(&desk, &stop_of(&desk, n, stop))?;
            // A person who just continued the run has answered it before anybody acknowledged it.
            stop.answers.first().is_none_or(|answer| told.due <= answer.at).then_some(told)
        }));
    }
    let owed = duties::of_run(state, &BTreeMap::new(), now);
    all.extend(owed.iter().filter_map(|owed| reminded(&desk, owed)));
    all
}

/// The messages about the end. An incident that was resolved and later failed gets a second one, and so does one with a new alarm after
/// that.
fn ends(desk: &message_templates::MessageContext<'_>, over: Timestamp) -> Vec<Notice> {
    let (state, finished) = (desk.state, desk.state.finished_at);
    let recovered = state.mode == Mode::Finished(Outcome::Recovered);
    if desk.matter != Matter::Incident {
        return vec![desk.resolved(over, "resolved")];
    }
    match finished {
        Some(at) if !recovered => vec![desk.resolved(at, "ended")],
        // While the run is being undone or is stopped, nothing is resolved.
        None if !desk.good() => Vec::new(),
        _ => {
            let publics = state.runbook.probes.iter().filter(|probe| probe.role == ProbeRole::Public);
            let turns = publics.filter_map(|probe| state.turns.get(&probe.key())).flatten();
            let bad = turns.into_iter().any(|turn| !turn.good && turn.since > over);
            let again = bad || state.attention.stops.iter().any(|stop| stop.at > over);
            let last = finished.filter(|_| again).map(|at| desk.resolved(at, "resolved-again"));
            std::iter::once(desk.resolved(over, "resolved")).chain(last).collect()
        }
    }
}

fn stop_of(desk: &message_templates::MessageContext<'_>, number: usize, stop: &Stopped) -> Alarm {
    Alarm {
        id: format!("stop{number}"),
        at: stop.at,
        why: format!("the run STOPPED: {} failed: {}", stop.step, stop.reason),
        fix: desk
            .state
            .created
            .command("ack", " --decide fix-forward|restore|failover|take-back --reason \"...\""),
        seen: stop.seen,
    }
}

/// The latest update that is due; earlier ones are obsolete.
fn update(desk: &message_templates::MessageContext<'_>) -> Option<Notice> {
    let every = desk.every();
    let since = desk.now.since(desk.state.created_at);
    let number = since.millis() / every.millis().max(1);
    let due = desk.state.created_at + every.times(number);
    (desk.matter == Matter::Incident && number > 0).then(|| desk.update(number, due))
}

fn alarms(desk: &message_templates::MessageContext<'_>) -> Vec<Alarm> {
    let (state, command) = (desk.state, |verb: &str, more: &str| desk.state.created.command(verb, more));
    let mut all = Vec::new();
    // A drill of copies affects nobody, so its failure is reported at its end.
    if desk.matter == Matter::Drill && state.runbook.drill != Some(Drill::Live) {
        return all;
    }
    if desk.matter == Matter::Incident && !desk.served() {
        let declared = state.created.outage_began.into_iter().chain(attainment(state, desk.now).detected);
        let at = declared.min().unwrap_or(state.created_at).min(state.created_at);
        let why = "the incident continues, and nobody has acknowledged it".to_owned();
        let seen = state.attention.acknowledged.iter().any(|seen| seen.at >= at);
        let fix = command("ack", " --reason \"...\"");
        all.push(Alarm { id: "incident".to_owned(), at, why, fix, seen });
    }
    if let Some(at) = state.fails_again().filter(|_| desk.matter == Matter::Incident) {
        let why = "users fail AGAIN after they were served".to_owned();
        let seen = state.attention.acknowledged.iter().any(|seen| seen.at >= at);
        let fix = command("runs show", "");
        all.push(Alarm { id: format!("again-{at}"), at, why, fix, seen });
    }
    if let Some(stop) = state.stopped() {
        all.push(stop_of(desk, state.attention.stops.len(), stop));
    }
    for (step, work) in state.runbook.steps.iter().zip(&state.steps) {
        let (fix, question) = (command("runs show", ""), state.attention.questions.get(&step.id));
        let asked = question.and_then(|question| Some((question, question.since?)));
        if let (Status::Blocked { why, .. }, Some((question, at))) = (&work.work.status, asked) {
            let why = format!("{} waits for a person: {why}", step.id);
            let id = format!("question{}-{}", question.number, step.id);
            all.push(Alarm { id, at, why, fix, seen: question.seen });
            continue;
        }
        if let Some(at) = work.work.overdue.filter(|_| !work.work.status.settled()) {
            let why = format!("{} is OVERDUE: {}", step.id, work.work.reason.as_deref().unwrap_or_default());
            let seen = state.attention.acknowledged.iter().any(|seen| seen.at >= at);
            all.push(Alarm { id: format!("overdue-{}", step.id), at, why, fix, seen });
            continue;
        }
        let Some(began) = work.work.started_at else { continue };
        if let Some((at, beyond)) = stalled(desk, &step.id, began) {
            let why = format!("{} takes {}", step.id, beyond.words());
            let seen = state.attention.acknowledged.iter().any(|seen| seen.at >= at);
            let id = format!("stall{}-{}", state.attention.stops.len(), step.id);
            all.push(Alarm { id, at, why, fix, seen });
        }
    }
    all
}

fn stalled(
    desk: &message_templates::MessageContext<'_>,
    step: &StepId,
    began: Timestamp,
) -> Option<(Timestamp, Beyond)> {
    let i = desk.state.position(step)?;
    if desk.state.work(i).status.settled() || desk.state.direction(i) != crate::record::event::Direction::Do {
        return None;
    }
    let beyond = desk.history.late(desk.state, step, desk.now)?;
    (beyond.late == Late::Stalled).then_some((began + beyond.usual, beyond))
}

/// The highest escalation level that is due. Lower levels are called together with it, if nobody called them before.
fn rung(desk: &message_templates::MessageContext<'_>, alarm: &Alarm) -> Option<Notice> {
    if alarm.seen {
        return None;
    }
    let rungs: &[Rung] = &desk.policy.escalation;
    let due = |rung: &&Rung| alarm.at + rung.after <= desk.now;
    let reached = rungs.iter().filter(due).count();
    let top = rungs.get(reached.checked_sub(1)?)?;
    // The start of the incident was already announced to everybody who gets no other message.
    if alarm.id == "incident" && top.after == Dur::ZERO && top.tell.is_empty() {
        return None;
    }
    Some(desk.escalation(alarm, reached, &rungs[..reached]))
}

/// Tells the people who were alerted that somebody has acknowledged it.
fn answered(desk: &message_templates::MessageContext<'_>, alarm: &Alarm) -> Option<Notice> {
    let first = desk.policy.escalation.first()?;
    let seen = desk.state.attention.acknowledged.iter().find(|seen| seen.at >= alarm.at)?;
    // A response before the escalation started ended nothing.
    (alarm.at + first.after <= seen.at).then(|| desk.seen(alarm, seen))
}

/// A reminder before a duty is due, and a message when it is overdue.
fn reminded(desk: &message_templates::MessageContext<'_>, owed: &Obligation) -> Option<Notice> {
    if owed.what == duties::UPDATES {
        return None;
    }
    // A person who got a message that it is overdue also gets a message when it is done.
    if let (Some(done), Standing::DoneLate) = (owed.done_at, owed.standing) {
        return Some(desk.owed(owed, Kind::Resolved, done));
    }
    let whole = owed.due_at.since(owed.from);
    let remind = owed.due_at - Dur(whole.millis() / 4);
    match owed.standing {
        Standing::Overdue => Some(desk.owed(owed, Kind::Overdue, owed.due_at)),
        Standing::Open if desk.now >= remind.max(owed.from) => {
            Some(desk.owed(owed, Kind::Reminder, remind.max(owed.from)))
        }
        _ => None,
    }
}

/// People who must be available when users move for a drill get a message before that.
pub fn invitation(schedule: &Schedule, before: Dur, now: Timestamp) -> Option<Notice> {
    if schedule.is.drill != Drill::Live {
        return None;
    }
    let due = schedule.calendar.after(now)?;
    let begins = schedule.begins(due);
    (begins - before <= now).then(|| message_templates::invitation(schedule, (due, begins), begins - before))
}

/// A drill that did not take place.
pub fn missed(schedule: &str, due: Timestamp, why: &str) -> Notice {
    message_templates::missed(schedule, due, why)
}

/// A plan with a problem that affects a recovery.
pub fn unready(plan: &PlanName, since: Timestamp, why: &str) -> Notice {
    message_templates::unready(plan.as_str(), since, why)
}

/// A plan whose problems are solved.
pub fn ready_again(plan: &PlanName, since: Timestamp) -> Notice {
    message_templates::ready_again(plan.as_str(), since)
}

/// A plan that was not tested for longer than its tier allows.
pub fn untried(plan: &str, until: Timestamp, why: &str) -> Notice {
    message_templates::untried(plan, until, why)
}

/// A plan that must be tested soon.
pub fn untried_soon(plan: &str, (when, until): (Timestamp, Timestamp), why: &str) -> Notice {
    message_templates::untried_soon(plan, (when, until), why)
}
