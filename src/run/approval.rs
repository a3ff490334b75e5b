//! Approvals and overrides of gates, and whether they are enough.

use std::collections::BTreeSet;

use super::model::overridden::Overridden;
use super::state::{RunState, Status};
use super::stopped::{must_be_answered, unanswered};
use crate::model::ids::StepId;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::Person;
use crate::record::action::{Action, Gate};
use crate::record::event::{Event, EventKind, WorldKind};
use crate::record::statement::Statement;

/// The start of the reason of an approval request that expired.
pub(super) const EXPIRED: &str = "nobody approved";

/// The start of the reason of a step that waits for approvals.
pub const WAITING: &str = "waiting for approval";

/// When an approval request expires, if it was made.
pub fn expires_at(state: &RunState, position: usize) -> Option<Timestamp> {
    let Action::Gate(Gate::Approval { expires_after_ms, .. }) = &state.step(position).action else {
        return None;
    };
    state.steps[position].work.started_at.map(|asked_at| asked_at + *expires_after_ms)
}

/// Until when a request is open that still waits for approvals. Then it expires.
pub fn open_until(state: &RunState, position: usize) -> Option<Timestamp> {
    let of = &state.steps[position];
    let asks = matches!(of.work.status, Status::Started | Status::Blocked { .. }) && !state.finished();
    let waits = asks && !lacking(state, position, &of.approved_by, state.last_at).is_empty();
    expires_at(state, position).filter(|_| waits)
}

/// The seats whose approvals are missing before the run may continue. An approval counts while its statement is valid.
pub fn lacking(state: &RunState, position: usize, said: &[Person], now: Timestamp) -> Vec<String> {
    let Action::Gate(Gate::Approval { by, override_by, .. }) = &state.step(position).action else {
        return Vec::new();
    };
    let good = |who: &Person| Statement::of_person(who).is_none_or(|s| s.until > now);
    let said: Vec<&Person> = said.iter().filter(|who| good(who)).collect();
    let (over, rule) = match (&state.steps[position].overridden, override_by) {
        // The statement of the person who overrode it must still be valid.
        (Some(over), Some(rule)) if good(&over.who) => (over, rule),
        (over, _) => {
            let said = over.as_ref().map_or_else(|| said.clone(), |over| besides(over, &said));
            return empty_seats(state, by, &said);
        }
    };
    let said = besides(over, &said);
    // An override adds no requirement.
    if empty_seats(state, by, &said).is_empty() { Vec::new() } else { not_taken(state, &rule.also, &said) }
}

/// What an approval waits for now, including answers that arrived since the run asked. The run records them only when a process drives it.
pub(super) fn answered_since(state: &RunState, position: usize) -> Option<(String, Option<String>)> {
    let Action::Gate(Gate::Approval { ask, .. }) = &state.step(position).action else { return None };
    let of = &state.steps[position];
    if of.approved_by.is_empty() && of.overridden.is_none() {
        return None;
    }
    let names = |who: &[Person]| who.iter().map(|who| who.who.clone()).collect::<Vec<_>>().join(" and ");
    let by = names(&of.approved_by);
    let lacking = lacking(state, position, &of.approved_by, state.last_at);
    if !lacking.is_empty() {
        let approved = (!by.is_empty()).then(|| format!("{by} approved it"));
        let over = of.overridden.iter().map(|over| format!("{} overrode it", over.who.who));
        let said = approved.into_iter().chain(over).collect::<Vec<_>>().join("; ");
        let said = if said.is_empty() { said } else { format!(" ({said})") };
        return Some((format!("{WAITING} by {}{said}: {ask}", lacking.join(" and ")), None));
    }
    let over = of.overridden.iter().map(|over| format!("overridden by {}", over.who.who));
    let approved = (!by.is_empty()).then(|| format!("approved by {by}"));
    let said = approved.into_iter().chain(over).collect::<Vec<_>>().join(", ");
    let then = if state.to_decide().is_some() { "" } else { ", and no process continues the run yet" };
    Some((format!("{said}{then}"), Some(state.to_continue())))
}

/// The next command if every approval is there and no process has read the last one: it continues the run, or decides about its stop.
pub fn all_given(state: &RunState, position: usize) -> Option<String> {
    let open = !state.finished() && !state.work(position).status.settled();
    answered_since(state, position).filter(|_| open).and_then(|(_, resume)| resume)
}

/// Whether the run continued on an override. From then on, approvals follow afterwards.
fn went_on(state: &RunState, position: usize) -> bool {
    let of = &state.steps[position];
    of.overridden.is_some() && matches!(of.work.status, Status::Done(_))
}

/// The seats whose approvals are missing after an override. The person who overrode it cannot approve. Earlier approvals stay valid.
pub fn unratified(state: &RunState, position: usize, more: Option<&Person>) -> Vec<String> {
    let of = &state.steps[position];
    let (Action::Gate(Gate::Approval { by, .. }), Some(over)) =
        (&state.step(position).action, &of.overridden)
    else {
        return Vec::new();
    };
    let said: Vec<&Person> = of.approved_by.iter().chain(&over.ratified_by).chain(more).collect();
    empty_seats(state, by, &besides(over, &said))
}

fn besides<'p>(over: &Overridden, said: &[&'p Person]) -> Vec<&'p Person> {
    said.iter().copied().filter(|who| !who.is(&over.who)).collect()
}

/// Without operators, nobody has a role. Then as many people as there are seats must approve.
fn empty_seats(state: &RunState, by: &[String], said: &[&Person]) -> Vec<String> {
    if by.is_empty() || state.created.authority.is_empty() {
        let people: BTreeSet<&str> = said.iter().map(|p| p.who.as_str()).collect();
        let words = if by.is_empty() { &["somebody".to_owned()][..] } else { by };
        return words.iter().skip(people.len()).cloned().collect();
    }
    not_taken(state, by, said)
}

fn not_taken(state: &RunState, seats: &[String], said: &[&Person]) -> Vec<String> {
    let people: BTreeSet<&str> = said.iter().map(|p| p.who.as_str()).collect();
    let people: Vec<&str> = people.into_iter().collect();
    state.created.authority.lacking(seats, &people)
}

/// Why an event about an approval is invalid. drctl does not accept from a journal what no process would have done.
pub fn unapproved(state: &RunState, what: &EventKind, at: Timestamp) -> Option<(StepId, String)> {
    let gate = |step: &StepId| {
        let i = state.position(step)?;
        matches!(state.step(i).action, Action::Gate(Gate::Approval { .. })).then_some(i)
    };
    let no = |step: &StepId, why: String| Some((step.clone(), why));
    match what {
        EventKind::StepFinished { step, .. } => {
            let i = gate(step)?;
            let lacking = lacking(state, i, &state.steps[i].approved_by, at);
            if lacking.is_empty() {
                None
            } else {
                no(step, format!("the approval of {} is missing", lacking.join(" and ")))
            }
        }
        EventKind::StepSkipped { step, .. } => {
            gate(step).and_then(|_| no(step, "an approval cannot be skipped".to_owned()))
        }
        EventKind::Approved { step, who } | EventKind::Ratified { step, who } => {
            if who.is(&state.created.requester) {
                return no(step, "the requester of a run cannot approve it".to_owned());
            }
            let over = gate(step).and_then(|i| state.steps[i].overridden.as_ref());
            if over.is_some_and(|over| who.is(&over.who)) {
                return no(step, format!("{} overrode this approval and cannot also approve it", who.who));
            }
            if let EventKind::Ratified { .. } = what
                && !gate(step).is_some_and(|i| went_on(state, i))
            {
                return no(
                    step,
                    "the run did not continue on an override, so nothing can be approved afterwards"
                        .to_owned(),
                );
            }
            if let EventKind::Approved { .. } = what
                && gate(step).is_some_and(|i| state.steps[i].work.status.settled())
            {
                return no(step, "the request is closed".to_owned());
            }
            taken_before(state, who).and_then(|why| no(step, why))
        }
        EventKind::Overridden { step, who, .. } => {
            let why = gate(step).map_or_else(
                || Err("this step does not require an approval".to_owned()),
                |i| may_override(state, i, who, at),
            );
            why.err().or_else(|| taken_before(state, who)).and_then(|why| no(step, why))
        }
        EventKind::RatificationRefused { step, who, .. } => {
            let gone_on = gate(step).is_some_and(|i| went_on(state, i));
            let why = (!gone_on).then(|| "the run did not continue on an override".to_owned());
            why.or_else(|| taken_before(state, who)).and_then(|why| no(step, why))
        }
        EventKind::Rejected { step, who, .. } => taken_before(state, who).and_then(|why| no(step, why)),
        _ => None,
    }
}

fn taken_before(state: &RunState, who: &Person) -> Option<String> {
    let taken = Statement::of_person(who).is_some_and(|s| state.said.contains(&s.nonce));
    taken.then(|| "this statement was already used; each statement is valid once".to_owned())
}

/// Whether anybody may override the approvals.
fn may_override(state: &RunState, position: usize, who: &Person, now: Timestamp) -> Result<(), String> {
    let of = &state.steps[position];
    let Action::Gate(Gate::Approval { override_by, .. }) = &state.step(position).action else {
        return Err("this step does not require an approval".to_owned());
    };
    let Some(rule) = override_by else {
        return Err(
            "nobody can override this approval; only the required approvers can open the gate".to_owned()
        );
    };
    if of.work.status.settled() {
        return Err("the request is closed".to_owned());
    }
    if let Some(over) = &of.overridden
        && Statement::of_person(&over.who).is_none_or(|s| s.until > now)
    {
        return Err(format!("{} already overrode it at {}", over.who.who, over.at));
    }
    let authority = &state.created.authority;
    if !authority.has(&who.who, &rule.by) {
        return Err(format!(
            "only {} can override it, and {} does not have that role",
            rule.by.join(" or "),
            who.who
        ));
    }
    if who.is(&state.created.requester) {
        return Err(
            "the requester of a run cannot override its approval; a second person is required".to_owned()
        );
    }
    let lacking = rule.unfilled(authority, &who.who, &state.created.requester.who);
    if !lacking.is_empty() {
        return Err(format!("nobody else can approve the override as {}", lacking.join(" and ")));
    }
    Ok(())
}

/// An approval: before the run continues, or after an override. If the request has expired, it opens the request again.
///
/// # Errors
/// Why it is not valid.
pub(super) fn approve(
    state: &RunState,
    step: &StepId,
    who: &Person,
    now: Timestamp,
) -> Result<Vec<EventKind>, String> {
    let i = gate(state, step)?;
    if went_on(state, i) {
        let yes = EventKind::Ratified { step: step.clone(), who: who.clone() };
        return said(state, (i, who), yes, now);
    }
    let yes = EventKind::Approved { step: step.clone(), who: who.clone() };
    said(&asked_anew(state, i, who, now)?, (i, who), yes, now).map(|yes| anew(state, i, who, yes))
}

/// Why an approval by this person would be refused. drctl asks before the person reads and confirms.
pub fn refuses(state: &RunState, step: &StepId, who: &Person, now: Timestamp) -> Option<String> {
    approve(state, step, who, now).err()
}

/// The missing seats, each with the people who may approve.
pub fn who_may(state: &RunState, step: &StepId, said: &[Person]) -> Vec<(String, String)> {
    let Some(i) = state.position(step) else { return Vec::new() };
    if !matches!(state.step(i).action, Action::Gate(Gate::Approval { .. })) {
        return Vec::new();
    }
    with_people(state, lacking(state, i, said, state.last_at), said)
}

/// Who may give the approvals that a request lacks, in words.
pub(super) fn approvers(state: &RunState, gate: usize) -> String {
    let seats = who_may(state, &state.step(gate).id, &state.steps[gate].approved_by);
    if state.created.authority.is_empty() {
        let people = if seats.len() > 1 { format!("{} people", seats.len()) } else { "somebody".to_owned() };
        return format!("{people} other than {}, with DRCTL_OPERATOR=NAME", state.created.requester.who);
    }
    seats.iter().map(|(seat, who)| format!("{seat} ({who})")).collect::<Vec<_>>().join(" and ")
}

/// The seats whose approvals are due after the run continued on an override, each with the people who may approve.
fn due_from(state: &RunState, i: usize) -> Vec<(String, String)> {
    let of = &state.steps[i];
    let Some(over) = of.overridden.as_ref().filter(|_| went_on(state, i)) else { return Vec::new() };
    let said: Vec<Person> =
        of.approved_by.iter().chain(&over.ratified_by).chain([&over.who]).cloned().collect();
    with_people(state, unratified(state, i, None), &said)
}

fn with_people(state: &RunState, seats: Vec<String>, said: &[Person]) -> Vec<(String, String)> {
    let created = &state.created;
    let may = |seat: &String| {
        let seat = std::slice::from_ref(seat);
        let all = created.authority.operators.keys().filter(|who| created.authority.has(who, seat));
        let free =
            |who: &&String| **who != created.requester.who && !said.iter().any(|person| person.who == **who);
        let names: Vec<&str> = all.filter(free).map(String::as_str).collect();
        match (created.authority.is_empty(), names.as_slice()) {
            (true, _) => format!("anybody except {}, with DRCTL_OPERATOR=NAME", created.requester.who),
            (false, []) => "nobody who may approve is left".to_owned(),
            (false, names) => names.join(", "),
        }
    };
    seats.into_iter().map(|seat| (seat.clone(), may(&seat))).collect()
}

/// What a resume does with a request that expired or was rejected: who may run it, and who may approve then.
pub(super) fn asked_again(state: &RunState, gate: usize) -> String {
    let step = &state.step(gate).id;
    let approve = state.created.command("approve", &format!(" {step}"));
    let dropped = match standing(state, gate) {
        Some(_) => ", without the answers from before the rejection",
        None => "",
    };
    if state.created.authority.is_empty() {
        return format!("asks for the approval again{dropped}; an approver then runs {approve}");
    }
    let seats = who_may(state, step, &state.steps[gate].approved_by).into_iter();
    let seats = seats.map(|(seat, who)| format!("{seat}: {who}")).collect::<Vec<_>>().join("; ");
    format!(
        "asks for the approval again{dropped}; an operator has to sign it with DRCTL_KEY. An approver ({seats}) then runs {approve}"
    )
}

/// What a person can do after a refused answer.
pub fn instead(state: &RunState, step: &StepId) -> String {
    let due = state.position(step).map_or_else(Vec::new, |i| due_from(state, i));
    if state.finished() && due.is_empty() {
        return "a run that is over takes no answers; drctl status lists what waits for a person".to_owned();
    }
    if state.position(step).is_some_and(|i| standing(state, i).is_some()) {
        return format!(
            "the rejection ended every approval before it. To make the request again, an operator runs {}; then every approval must be given anew. To end the run, {}",
            state.created.command("runs resume", ""),
            state.created.command("runs cancel", " --reason TEXT")
        );
    }
    if let Some(resume) = state.position(step).and_then(|i| all_given(state, i)) {
        return format!("if no process continues the run, run {resume}");
    }
    let said = state.position(step).map_or_else(Vec::new, |i| state.steps[i].approved_by.clone());
    let seats = if due.is_empty() { who_may(state, step, &said) } else { due };
    let seats: Vec<String> = seats.into_iter().map(|(seat, who)| format!("{seat}: {who}")).collect();
    match seats.as_slice() {
        [] => state.created.command("runs show", ""),
        seats => format!(
            "ask for the approvals that are missing ({}); they run {}",
            seats.join("; "),
            state.created.command("approve", &format!(" {step}"))
        ),
    }
}

fn said(
    state: &RunState,
    (i, who): (usize, &Person),
    yes: EventKind,
    now: Timestamp,
) -> Result<Vec<EventKind>, String> {
    if let Some((_, why)) = unapproved(state, &yes, now) {
        return Err(why);
    }
    needed(state, i, who, now)?;
    Ok(vec![yes])
}

/// A rejection.
///
/// # Errors
/// Why it is not valid.
pub(super) fn reject(
    state: &RunState,
    step: &StepId,
    who: &Person,
    reason: &str,
) -> Result<EventKind, String> {
    let i = gate(state, step)?;
    let (step, who, reason) = (step.clone(), who.clone(), reason.to_owned());
    if went_on(state, i) {
        return Ok(EventKind::RatificationRefused { step, who, reason });
    }
    open(state, i)?;
    Ok(EventKind::Rejected { step, who, reason })
}

/// An override. If the request has expired, it opens the request again.
///
/// # Errors
/// Why it is not valid.
pub(super) fn overrule(
    state: &RunState,
    step: &StepId,
    who: &Person,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<EventKind>, String> {
    let i = gate(state, step)?;
    let over = EventKind::Overridden { step: step.clone(), who: who.clone(), reason: reason.to_owned() };
    match unapproved(&asked_anew(state, i, who, now)?, &over, now) {
        Some((_, why)) => Err(why),
        None => Ok(anew(state, i, who, vec![over])),
    }
}

/// Whether a request expired. A late answer makes it again.
pub(super) fn expired(state: &RunState, gate: usize) -> bool {
    let work = state.work(gate);
    let nobody = work.reason.as_deref().is_some_and(|why| why.starts_with(EXPIRED));
    !state.finished() && work.status == Status::Failed && nobody
}

/// The run after an expired approval request was opened again. Answering it decides no stop.
fn asked_anew(state: &RunState, gate: usize, who: &Person, now: Timestamp) -> Result<RunState, String> {
    let mut state = state.clone();
    if expired(&state, gate) {
        if must_be_answered(&state) {
            return Err(unanswered(&state));
        }
        let event = Event { at: now.max(state.last_at), what: EventKind::Resumed { who: who.clone() } };
        state.apply(&event).map_err(|why| why.to_string())?;
    }
    open(&state, gate)?;
    Ok(state)
}

fn anew(state: &RunState, gate: usize, who: &Person, words: Vec<EventKind>) -> Vec<EventKind> {
    let resumed = expired(state, gate).then(|| EventKind::Resumed { who: who.clone() });
    resumed.into_iter().chain(words).collect()
}

/// The result of people's answers.
pub(super) fn note(state: &mut RunState, position: usize, what: &EventKind, at: Timestamp) {
    let within = match &state.step(position).action {
        Action::Gate(Gate::Approval { override_by: Some(rule), .. }) => rule.within_ms,
        _ => Dur::ZERO,
    };
    let of = &mut state.steps[position];
    match (what, &mut of.overridden) {
        (EventKind::Approved { who, .. }, _) => of.approved_by.push(who.clone()),
        // After a rejection the request is new: earlier answers do not count for it, and nothing was done because of them.
        (EventKind::Rejected { .. }, over) => {
            of.approved_by.clear();
            *over = None;
        }
        (EventKind::Overridden { who, reason, .. }, over) => {
            *over = Some(Overridden {
                who: who.clone(),
                reason: reason.clone(),
                at,
                due: at + within,
                ratified_by: Vec::new(),
                ratified_at: None,
                refused: Vec::new(),
            });
        }
        (EventKind::Ratified { who, .. }, Some(over)) => over.ratified_by.push(who.clone()),
        (EventKind::RatificationRefused { who, reason, .. }, Some(over)) => {
            over.refused.push((who.clone(), reason.clone(), at));
        }
        _ => return,
    }
    let whole = unratified(state, position, None).is_empty();
    let live = state.created.world == WorldKind::Live;
    if let Some(over) = &mut state.steps[position].overridden
        && over.ratified_at.is_none()
        && whole
    {
        // The clock of the signer may be ahead of the clock of the journal. The later time counts.
        let signed = person_of(what).and_then(Statement::of_person).map(|s| s.at).filter(|_| live);
        over.ratified_at = Some(signed.map_or(at, |signed| signed.max(at)));
    }
}

const fn person_of(what: &EventKind) -> Option<&Person> {
    match what {
        EventKind::Ratified { who, .. } | EventKind::Approved { who, .. } => Some(who),
        _ => None,
    }
}

/// Refuses an approval that the gate does not require, so that nobody counts it as a required one.
fn needed(state: &RunState, gate: usize, who: &Person, now: Timestamp) -> Result<(), String> {
    let of = &state.steps[gate];
    let said = &of.approved_by;
    let with: Vec<_> = said.iter().chain([who]).cloned().collect();
    let (before, after) = (lacking(state, gate, said, now), lacking(state, gate, &with, now));
    let (owed, left) = (unratified(state, gate, None), unratified(state, gate, Some(who)));
    if after.len() < before.len() || left.len() < owed.len() {
        return Ok(());
    }
    let asked: BTreeSet<&str> = before.iter().chain(&owed).map(String::as_str).collect();
    let asked = asked.into_iter().collect::<Vec<_>>().join(" and ");
    if asked.is_empty() {
        return Err("all required approvals are already there".to_owned());
    }
    let after_it = of.overridden.iter().flat_map(|over| &over.ratified_by);
    if said.iter().chain(after_it).any(|p| p.is(who)) {
        return Err(format!("{} already approved; still required: {asked}", who.who));
    }
    Err(format!("{} does not have a required role; still required: {asked}", who.who))
}

fn gate(state: &RunState, step: &StepId) -> Result<usize, String> {
    let i = state.find(step)?;
    match state.step(i).action {
        Action::Gate(Gate::Approval { .. }) => Ok(i),
        _ => Err(format!("{step} does not require an approval")),
    }
}

fn open(state: &RunState, gate: usize) -> Result<(), String> {
    if state.finished() {
        return Err("the run is over".to_owned());
    }
    let status: &Status = &state.steps[gate].work.status;
    if status.settled() {
        let why = standing(state, gate).map_or_else(String::new, |no| format!(": {}", no.words()));
        return Err(format!("step {} is {}{why}", state.step(gate).id, status.word()));
    }
    Ok(())
}

/// A rejection of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Who.
    pub who: Person,
    /// Why.
    pub reason: String,
    /// When, by the journal.
    pub at: Timestamp,
}

impl Rejection {
    /// For people.
    pub fn words(&self) -> String {
        format!("{} rejected it at {}: {}", self.who, self.at, self.reason)
    }
}

/// Every rejection of a request before the run continued, oldest first.
pub fn rejections<'s>(state: &'s RunState, step: &StepId) -> impl Iterator<Item = Rejection> + use<'s> {
    let step = step.clone();
    state.people.iter().filter_map(move |event| match &event.what {
        EventKind::Rejected { step: of, who, reason } if *of == step => {
            Some(Rejection { who: who.clone(), reason: reason.clone(), at: event.at })
        }
        _ => None,
    })
}

/// The rejection that closed a request. It stands until somebody continues the run, which makes the request again.
pub fn standing(state: &RunState, gate: usize) -> Option<Rejection> {
    let rejected = state.work(gate).status == Status::Failed && !expired(state, gate);
    rejections(state, &state.step(gate).id).last().filter(|_| rejected)
}
