//! The manifest of an evidence bundle for a run. All of it is derived from the events of the run.

use crate::kinds::Operation;
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::restore::{RestoreJob, RestoreStep};
use crate::model::authority::takes;
use crate::model::evidence::{
    About, Achieved, Checked, File, Head, Manifest, Overridden, Said, Verification,
};
use crate::model::ids::Digest;
use crate::model::measure::Basis;
use crate::model::time::Timestamp;
use crate::model::waiver::{Person, Waiver};
use crate::record::action::{Action, Check, Gate};
use crate::record::event::End;
use crate::record::runbook::Step;
use crate::report::measured::Measured;
use crate::report::overrides::Override;
use crate::report::summary::RunReport;
use crate::report::{decisions, said, words};
use crate::run::state::Status;
use crate::run::{RunState, approval};

/// The version of the manifest's shape.
pub const VERSION: u32 = 1;

/// Input that is not in the events: when the bundle was sealed, where its chains end, and its files.
#[derive(Clone, Debug)]
pub struct Sealing {
    /// The time of the seal.
    pub at: Timestamp,
    /// The version of drctl that seals it.
    pub tool: String,
    /// The version of the rendering of reports from events.
    pub renders: u32,
    /// The end of the run's chain.
    pub chain: Head,
    /// The ledger before the run.
    pub before: Head,
    /// The ledger with the checkpoint that vouches for the run.
    pub after: Head,
    /// The files.
    pub files: Vec<File>,
}

/// The manifest.
pub fn manifest(state: &RunState, report: &RunReport, sealing: Sealing) -> Manifest {
    // Classified by the purpose of the run, however far it got.
    let recovers = |step: &Step| {
        matches!(
            step.action,
            Action::Op(Operation::Promote(_) | Operation::Restore(_)) | Action::Op(Operation::Rejoin(_))
        )
    };
    let stores = !report.stores.is_empty() || state.runbook.steps.iter().any(recovers);
    let database = |text: String| stores.then_some(text);
    let deployment = |text: String| (!stores).then_some(text);
    let created = &state.created;
    Manifest {
        rollback_id: created.run.clone(),
        timestamp: sealing.at,
        component: if stores { "database" } else { "deployment" }.to_owned(),
        reason: created.reason.clone().unwrap_or_else(|| "none was given".to_owned()),
        approver: agreed(state, report, None),
        incident_id: created.incident.clone().or_else(|| deployment("not given".to_owned())),
        from_version: deployment(report.from.clone().unwrap_or_else(|| "unknown".to_owned())),
        to_version: deployment(report.to.clone()),
        verification: verification(state),
        migration_reverted: database("none; drctl does not revert schema migrations".to_owned()),
        backup_location: database(origin(state)),
        data_loss: database(figure(&report.rpo)),
        downtime: database(figure(&report.rto)),
        dba_approval: database(agreed(state, report, Some("dba"))),
        drctl: about(state, report, sealing),
    }
}

/// Who approved what, before or after, and which approvals are due or missing.
fn agreed(state: &RunState, report: &RunReport, role: Option<&str>) -> String {
    let authority = &state.created.authority;
    let seat = role.map(|role| [role.to_owned()]);
    let counts = |who: &Person| seat.as_ref().is_none_or(|seat| authority.has(&who.who, seat));
    let wanted = |seats: &str| role.is_none_or(|role| takes(seats, role));
    let before = report.approvals.iter().filter(|a| counts(&a.who)).map(|a| a.who.to_string());
    let afterwards = report.overrides.iter().flat_map(|over| {
        let late = if over.late_by_s.is_some() { ", LATE" } else { "" };
        over.approved_by.iter().filter(|who| counts(who)).map(move |who| format!("{who} afterwards{late}"))
    });
    let mut said: Vec<String> = before.chain(afterwards).collect();
    for over in report.overrides.iter().filter(|over| matches!(over.state.as_str(), "owed" | "overdue")) {
        let owed = over.owed_by.iter().filter(|seats| wanted(seats));
        let late = if over.late_by_s.is_some() { " and OVERDUE" } else { "" };
        said.extend(owed.map(|seats| {
            format!("overridden by {}; the approval of {seats} is still due{late}", over.by.who)
        }));
    }
    for (i, step) in state.runbook.steps.iter().enumerate() {
        let asks = matches!(step.action, Action::Gate(Gate::Approval { .. }));
        if !asks || matches!(state.work(i).status, Status::Done(_)) {
            continue;
        }
        let lacking = approval::lacking(state, i, &state.steps[i].approved_by, state.last_at);
        let mut lacking = lacking.iter().filter(|seats| wanted(seats)).peekable();
        if let Some(no) = approval::standing(state, i).filter(|_| lacking.peek().is_some()) {
            said.push(format!("{} is rejected: {}", step.id, no.words()));
            continue;
        }
        said.extend(lacking.map(|seats| format!("{} requires {seats}, who has not approved", step.id)));
    }
    if said.is_empty() { "no approval was required".to_owned() } else { said.join(", ") }
}

fn overridden(over: &Override) -> Overridden {
    Overridden {
        step: over.step.to_string(),
        by: over.by.who.clone(),
        reason: over.reason.clone(),
        at: over.at,
        due_at: over.due_at,
        state: over.state.clone(),
        late_s: over.late_by_s,
        approved_by: over.approved_by.iter().map(|who| who.who.clone()).collect(),
        owed_by: over.owed_by.clone(),
        refused_by: over.refused.iter().map(|no| format!("{}: {}", no.who.who, no.reason)).collect(),
    }
}

fn about(state: &RunState, report: &RunReport, sealing: Sealing) -> About {
    let created = &state.created;
    let said = |who: &Person, to: String| Said { who: who.who.clone(), to, signed: who.statement.is_some() };
    About {
        schema_version: VERSION,
        tool: sealing.tool,
        run_id: created.run.clone(),
        plan: report.plan.clone(),
        plan_digest: Digest::of_bytes(created.plan_text.as_bytes()),
        runbook_digest: created.runbook_digest.clone(),
        intent: report.intent.clone(),
        drill: report.drill.map(|drill| drill.id().to_owned()),
        world: created.world.id().to_owned(),
        terms: state.under(),
        from: report.from.clone(),
        to: report.to.clone(),
        severity: report.severity.clone(),
        outcome: format!("{}{}", outcome(report), words::pending(report)),
        requester: said(&created.requester, format!("{} to {}", report.intent, report.to)),
        approvals: report.approvals.iter().map(|a| said(&a.who, a.step.clone())).collect(),
        statements: report.said.iter().map(said::Said::words).collect(),
        decisions: report.decisions.iter().map(decisions::Decision::words).collect(),
        overrides: report.overrides.iter().map(|o| o.text.clone()).collect(),
        overridden: report.overrides.iter().map(overridden).collect(),
        waivers: report.waivers.iter().map(waived).collect(),
        rto: achieved(&report.rto),
        rpo: report.stores.iter().map(|(name, store)| (name.clone(), achieved(&store.rpo))).collect(),
        chain: sealing.chain,
        chain_head_before: sealing.before,
        chain_head_after: sealing.after,
        renders: sealing.renders,
        files: sealing.files,
    }
}

/// A run that a person paused is not one that failed.
fn outcome(report: &RunReport) -> &str {
    if report.outcome == "halted" && words::paused(report) { "paused" } else { &report.outcome }
}

fn waived(waiver: &Waiver) -> String {
    let of = waiver.component.as_ref().map_or_else(String::new, |c| format!(" of {c}"));
    let bound = waiver.accept_loss_ms.map_or_else(String::new, |loss| {
        format!(", with an accepted loss of up to {} of writes", loss.in_full())
    });
    format!("{}{of}{bound}: {} ({})", waiver.rule, waiver.reason, waiver.who)
}

fn achieved(of: &Measured) -> Achieved {
    Achieved {
        objective_s: of.objective_s,
        achieved_s: of.achieved_s,
        measured_how: of.basis,
        resolution_s: (of.resolution_s > 0.0).then_some(of.resolution_s),
        as_of: of.as_of,
        verdict: Some(of.verdict),
        accepted_s: of.accepted.as_ref().map(|accepted| accepted.accepted_s),
        component: of.component.clone(),
    }
}

fn figure(of: &Measured) -> String {
    match of.basis {
        Basis::Unknown => "unknown".to_owned(),
        _ => of.text.clone(),
    }
}

/// The origin of the data that users have now.
fn origin(state: &RunState) -> String {
    let origins = state.runbook.steps.iter().filter_map(|step| match &step.action {
        Action::Op(Operation::Promote(Promote { db, .. })) => {
            Some(format!("{} in {}, a replica", db.id, db.place.name))
        }
        Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::CreateCopy, of })) => {
            Some(format!("backups of {} in {}, at {}", of.db.id, of.db.place.name, of.to_time))
        }
        _ => None,
    });
    let origins: Vec<String> = origins.collect();
    if origins.is_empty() { "nothing moved".to_owned() } else { origins.join("; ") }
}

fn verification(state: &RunState) -> Verification {
    let of = |is: &dyn Fn(&Action) -> bool| {
        let steps = state.runbook.steps.iter().zip(&state.steps);
        let statuses: Vec<&Status> =
            steps.filter(|(s, _)| is(&s.action)).map(|(_, at)| &at.work.status).collect();
        checked(&statuses, state.finished())
    };
    Verification {
        health_check: of(&|a| matches!(a, Action::Check(Check::Probe { .. }))),
        smoke_tests: of(&|a| {
            matches!(
                a,
                Action::Op(Operation::WriteCanary(_) | Operation::WriteAsClient(_))
                    | Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::Verify, .. }))
            )
        }),
        // drctl knows who approved, but not whether anybody tested the application.
        user_validation: Checked::NotRun,
    }
}

/// The worst of several results. A person's claim does not count as a check.
fn checked(statuses: &[&Status], over: bool) -> Checked {
    let any = |is: fn(&Status) -> bool| statuses.iter().any(|s| is(s));
    if any(|s| matches!(s, Status::Failed)) {
        return Checked::Failed;
    }
    let made = |s: &&&Status| matches!(s, Status::Done(End::Performed | End::Noop));
    match statuses.iter().filter(made).count() {
        n if n == statuses.len() && n > 0 => Checked::Passed,
        _ if any(|s| !s.settled()) && !over => Checked::Pending,
        _ => Checked::NotRun,
    }
}
