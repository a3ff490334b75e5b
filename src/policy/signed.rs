//! Checks whether a statement is signed by its author, about this run, and still valid. Each fault has its own message.

use ssh_key::{HashAlg, PublicKey, SshSig};
use thiserror::Error;

use crate::model::authority::Authority;
use crate::model::ids::{RunId, StepId};
use crate::model::time::Timestamp;
use crate::model::waiver::{Person, Waiver};
use crate::record::event::{Event, EventKind, RunCreated, Signal};
use crate::record::runbook::Runbook;
use crate::record::statement::{NAMESPACE, Statement};

/// The author of the event that undoes a live drill because users fail.
pub const ABORTS: &str = "the abort condition of the drill";

/// Why a statement is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unsound {
    /// There is no signature.
    #[error(
        "it is not signed, and this run accepts only statements signed with the keys of operators in drctl.yaml"
    )]
    Unsigned,
    /// The signature or the statement cannot be parsed.
    #[error("it is not readable: {0}")]
    Unreadable(String),
    /// The signature does not match these bytes.
    #[error(
        "the signature does not match this statement: the signature is forged, or one of the two was changed"
    )]
    Forged,
    /// The key belongs to no operator.
    #[error("it is signed with {0}, which is not the key of an operator")]
    NobodysKey(String),
    /// The key belongs to another operator.
    #[error("the statement names {says}, but it is signed with the key of {is}")]
    SomebodyElse {
        /// The name in the statement.
        says: String,
        /// The owner of the key.
        is: String,
    },
    /// It is about something else.
    #[error("it is for {what} {says}, not for {is}")]
    Other {
        /// What it names: a run, a plan, and so on.
        what: &'static str,
        /// The value in the statement.
        says: String,
        /// The expected value.
        is: String,
    },
    /// It has expired.
    #[error("it expired at {until}; it is now {now}")]
    Expired {
        /// When it expired.
        until: Timestamp,
        /// The run's time.
        now: Timestamp,
    },
}

/// Checks a person's statement to a run, at `now`.
///
/// # Errors
/// The first fault. The signature is checked before the content.
pub fn check(
    created: &RunCreated,
    to: &str,
    person: &Person,
    signal: Option<&Signal>,
    now: Timestamp,
) -> Result<Statement, Unsound> {
    let statement = authentic(&created.authority, person)?;
    let other =
        |what, says: &str, is: &str| Err(Unsound::Other { what, says: says.to_owned(), is: is.to_owned() });
    if statement.drctl != Statement::VERSION {
        return Err(Unsound::Unreadable(format!("statement version {}", statement.drctl)));
    }
    if statement.plan != created.plan {
        return other("plan", statement.plan.as_str(), created.plan.as_str());
    }
    if statement.run != created.run {
        return other("run", statement.run.as_str(), created.run.as_str());
    }
    if statement.runbook != created.runbook_digest {
        return other("runbook", statement.runbook.short(), created.runbook_digest.short());
    }
    if statement.to != to {
        return other("site", &statement.to, to);
    }
    if statement.world != created.world.id() {
        return other("world", &statement.world, created.world.id());
    }
    let operators = created.authority.digest();
    if statement.operators != operators {
        return other("operators", statement.operators.short(), operators.short());
    }
    if statement.terms != created.terms_digest {
        return other("terms", statement.terms.short(), created.terms_digest.short());
    }
    if !same(statement.signal.as_ref(), signal) {
        return other("this:", &words(statement.signal.as_ref()), &words(signal));
    }
    if statement.until <= now {
        return Err(Unsound::Expired { until: statement.until, now });
    }
    Ok(statement)
}

/// The statement, if its bytes are signed with the key of the operator whose name it contains.
fn authentic(authority: &Authority, person: &Person) -> Result<Statement, Unsound> {
    let (Some(text), Some(armoured)) = (&person.statement, &person.signature) else {
        return Err(Unsound::Unsigned);
    };
    let unreadable = |e: &dyn std::fmt::Display| Unsound::Unreadable(e.to_string());
    let signature = SshSig::from_pem(armoured).map_err(|e| unreadable(&e))?;
    let statement: Statement = serde_json::from_str(text).map_err(|e| unreadable(&e))?;
    let key = PublicKey::from(signature.public_key().clone());
    let Some((name, _)) = authority.owner(&key) else {
        return Err(Unsound::NobodysKey(key.fingerprint(HashAlg::Sha256).to_string()));
    };
    key.verify(NAMESPACE, text.as_bytes(), &signature).map_err(|_| Unsound::Forged)?;
    if let Some(says) = [&statement.by, &person.who].into_iter().find(|says| *says != name) {
        return Err(Unsound::SomebodyElse { says: says.clone(), is: name.clone() });
    }
    Ok(statement)
}

/// Whether a statement that waits is what an operator signed about this run. It may have expired meanwhile.
///
/// # Errors
/// The first fault.
pub fn authentic_for(
    authority: &Authority,
    run: &RunId,
    person: &Person,
    signal: &Signal,
) -> Result<(), Unsound> {
    let statement = authentic(authority, person)?;
    let other = |what, says: String, is: String| Err(Unsound::Other { what, says, is });
    if statement.run != *run {
        return other("run", statement.run.to_string(), run.to_string());
    }
    if !same(statement.signal.as_ref(), Some(signal)) {
        return other("this:", words(statement.signal.as_ref()), words(Some(signal)));
    }
    Ok(())
}

/// Whether both make the same request. The signature shows who waives a refusal.
fn same(a: Option<&Signal>, b: Option<&Signal>) -> bool {
    let nobody = |w: &Waiver| Waiver { who: Person::claimed(""), ..w.clone() };
    match (a, b) {
        (Some(Signal::Waive { waiver: a }), Some(Signal::Waive { waiver: b })) => nobody(a) == nobody(b),
        _ => a == b,
    }
}

/// What a statement says, for people.
pub fn words(signal: Option<&Signal>) -> String {
    match signal {
        None => "the start of the run".to_owned(),
        Some(Signal::Approve { step, .. }) => format!("the approval of {step}"),
        Some(Signal::Reject { step, .. }) => format!("the rejection of {step}"),
        Some(Signal::Override { step, .. }) => format!("overriding {step}"),
        Some(Signal::Skip { step, .. }) => format!("skipping {step}"),
        Some(Signal::Done { step }) => format!("doing {step} by hand"),
        Some(Signal::Waive { waiver }) => format!("the waiver of {}", waiver.rule),
        Some(Signal::Cancel { .. }) => "the cancel".to_owned(),
        Some(Signal::Acknowledge { .. }) => "the acknowledgement".to_owned(),
        Some(Signal::Fulfil { duty, .. }) => format!("the confirmation of {duty}"),
        Some(Signal::Pause) => "a pause".to_owned(),
        Some(Signal::Resume) => "resuming the run".to_owned(),
    }
}

/// The first event of a run that names an author without a valid statement.
pub fn first_unsound(events: &[Event]) -> Option<(u64, String)> {
    let EventKind::RunCreated(created) = &events.first()?.what else { return None };
    if created.authority.is_empty() {
        return None;
    }
    let to = serde_json::from_str::<Runbook>(&created.runbook).ok()?.to;
    events.iter().zip(1..).find_map(|(event, seq)| {
        let (person, signal) = said(created, &event.what)?;
        let found = check(created, to.as_str(), person, signal.as_ref(), event.at);
        found.err().map(|why| (seq, format!("the journal names {} as the author: {why}", person.who)))
    })
}

/// The statement that an event attributes to a person.
fn said<'e>(created: &'e RunCreated, what: &'e EventKind) -> Option<(&'e Person, Option<Signal>)> {
    match what {
        EventKind::RunCreated(created) => Some((&created.requester, None)),
        EventKind::Approved { step, who } | EventKind::Ratified { step, who } => {
            Some((who, Some(Signal::Approve { step: step.clone(), runbook: created.runbook_digest.clone() })))
        }
        EventKind::Rejected { step, who, reason } | EventKind::RatificationRefused { step, who, reason } => {
            Some((who, Some(Signal::Reject { step: step.clone(), reason: reason.clone() })))
        }
        EventKind::Overridden { step, who, reason } => {
            Some((who, Some(Signal::Override { step: step.clone(), reason: reason.clone() })))
        }
        EventKind::Waived { waiver } => Some((&waiver.who, Some(Signal::Waive { waiver: waiver.clone() }))),
        EventKind::StepSkipped { step, reason, who: Some(who) } => {
            Some((who, Some(Signal::Skip { step: step.clone(), reason: reason.clone() })))
        }
        EventKind::Acknowledged { who, decision, reason } => {
            Some((who, Some(Signal::Acknowledge { decision: *decision, reason: reason.clone() })))
        }
        EventKind::Fulfilled { duty, who, reference, sha256 } => {
            let (duty, reference, sha256) = (*duty, reference.clone(), sha256.clone());
            Some((who, Some(Signal::Fulfil { duty, reference, sha256 })))
        }
        // Nobody needs a signature to continue a run.
        EventKind::Resumed { who } if who.signature.is_none() && who.statement.is_none() => None,
        EventKind::Resumed { who } => {
            let said = Statement::of_person(who).and_then(|s| s.signal);
            let goes_on = |signal: &Signal| {
                matches!(signal, Signal::Approve { .. } | Signal::Override { .. } | Signal::Done { .. })
            };
            Some((who, Some(said.filter(goes_on).unwrap_or(Signal::Resume))))
        }
        EventKind::ClaimedDone { step, who } => Some((who, Some(Signal::Done { step: step.clone() }))),
        EventKind::DebtSettled { component: _, why, who: Some(who) } => {
            let step = Statement::of_person(who).and_then(|s| match s.signal {
                Some(Signal::Skip { step, .. }) => Some(step),
                _ => None,
            });
            let step = step.unwrap_or_else(|| StepId::new("a fence"));
            Some((who, Some(Signal::Skip { step, reason: why.clone() })))
        }
        // No person signs the abort of a live drill. And if another run continues this one, the request is signed in that run.
        EventKind::CancelRequested { who, displaced_by: None, .. } if who.who == ABORTS => None,
        EventKind::CancelRequested { who, reason, displaced_by: None } => {
            Some((who, Some(Signal::Cancel { reason: reason.clone(), displaced_by: None })))
        }
        _ => None,
    }
}
