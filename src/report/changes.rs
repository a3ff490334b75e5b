//! Every attribute that a run changed, before and after: what a Terraform apply or a GitOps loop would revert.

use crate::kinds::Op;
use crate::kinds::aws::aurora::{AddClusterInstance, Takeover};
use crate::kinds::aws::rds::Rename;
use crate::kinds::aws::route53::Switch;
use crate::kinds::shared::database::{DatabaseRef, Engine};
use crate::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::{Part, RestoreStep};
use crate::model::change::Change;
use crate::record::action::Action;
use crate::record::event::End;
use crate::run::RunState;
use crate::run::state::Status;

/// All of them, in the order of the runbook.
pub fn changes(state: &RunState) -> Vec<Change> {
    let done = |i: &usize| {
        let step = &state.steps[*i];
        let performed = matches!(step.work.status, Status::Done(End::Performed | End::ByHand));
        // A step that did not end after its call may have had its effect all the same.
        let half = step.work.parts.acted() && !matches!(step.work.status, Status::Done(_));
        let undone = step.undo.as_ref().is_some_and(|u| matches!(u.status, Status::Done(_)));
        let in_place = |c| state.promoted_at.contains_key(c) && state.restores(c).is_some();
        let other = match &state.step(*i).action {
            // Its roles are those of the time that was restored, and so may log in.
            Action::Fence(f) => in_place(&f.db.component),
            Action::Restore(RestoreStep { of, .. }) => !in_place(&of.db.component),
            _ => false,
        };
        !undone && !other && (performed || half)
    };
    let made = (0..state.steps.len()).filter(done).flat_map(|i| of(&made(state, i)));
    net(made)
}

/// What was changed twice is one change against how it was before the run, or none.
fn net(made: impl Iterator<Item = Change>) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    for next in made {
        match all.iter_mut().find(|first| first.is_of(&next)) {
            Some(first) => first.after = next.after,
            None => all.push(next),
        }
    }
    all.retain(|change| change.before != change.after);
    all
}

/// What a step did of its action: of a batch that was taken apart, the parts that may have been.
fn made(state: &RunState, i: usize) -> Action {
    let (action, work) = (state.forward(i), &state.steps[i].work);
    match action.as_ref() {
        // What was found as it should be was not changed, unless a person did.
        Action::Switch(switch) if work.parts.acted() || !matches!(work.status, Status::Done(_)) => {
            let changes = switch.changes.iter().zip(0..).filter(|(_, c)| work.parts.touched(*c));
            let changes = changes.map(|(change, _)| change.clone()).collect();
            Action::Switch(Switch { zone: switch.zone.clone(), changes })
        }
        _ => action.into_owned(),
    }
}

fn change(db: &DatabaseRef, resource: &str, attribute: &str, before: String, after: String) -> Change {
    Change::new(&db.place.name, resource, attribute, before, after)
}

/// What Terraform calls a managed store.
const fn resource_of(engine: Engine) -> &'static str {
    match engine {
        Engine::Aurora => "aws_rds_cluster",
        Engine::Rds | Engine::Postgres => "aws_db_instance",
    }
}

/// What an action changes. There is no wildcard, so that nothing new is left out of the list.
#[deny(clippy::wildcard_enum_match_arm)]
fn of(action: &Action) -> Vec<Change> {
    match action {
        Action::Promote(Promote { db, backup_days, takeover }) => {
            promoted(db, *backup_days, takeover.as_deref())
        }
        Action::AddClusterInstance(AddClusterInstance { db, instance }) => {
            let resource = format!("aws_rds_cluster_instance {}", instance.id);
            vec![change(db, &resource, "instance", "none".to_owned(), instance.class.clone())]
        }
        Action::Rename(_) | Action::Rejoin(_) | Action::Restore(_) => replaced(action).into_iter().collect(),
        Action::Fence(fence) => vec![fenced(fence)],
        Action::Unfence(Unfence(fence)) => vec![fenced(fence).reversed()],
        Action::Scale(op) => op.changes(),
        Action::SetHealthObject(op) => op.changes(),
        Action::SetRoutingControls(op) => op.changes(),
        Action::UpdateClientSecret(op) => op.changes(),
        Action::Switch(op) => op.changes(),
        // A standby stays one. Rows of its own and its guard are no resources, and what a command changes only its author knows.
        Action::Withdraw(_) | Action::Write(_) | Action::Run(_) => Vec::new(),
        Action::Check(_) | Action::Gate(_) | Action::Wait { .. } => Vec::new(),
    }
}

fn promoted(db: &DatabaseRef, backup_days: Option<u32>, takeover: Option<&Takeover>) -> Vec<Change> {
    if let Some(how) = takeover {
        let writer = |of: &str| format!("writer is{of} {}", db.id);
        let resource = format!("aws_rds_global_cluster {}", how.global);
        return vec![change(db, &resource, "members", writer(" not"), writer(""))];
    }
    if db.engine == Engine::Postgres {
        let (before, after) = ("standby".to_owned(), "primary".to_owned());
        return vec![change(db, &format!("database {}", db.id), "role", before, after)];
    }
    let resource = format!("aws_db_instance {}", db.id);
    let source = change(db, &resource, "replicate_source_db", "set".to_owned(), "empty".to_owned());
    let days = |d: u32| change(db, &resource, "backup_retention_period", "fewer".to_owned(), d.to_string());
    std::iter::once(source).chain(backup_days.map(days)).collect()
}

/// What a rung of a fence changes, each at its own place.
fn fenced(fence: &Fence) -> Change {
    let database = format!("database {}", fence.db.id);
    let (attribute, before, after) = match fence.method {
        FenceMethod::Sql => ("application roles", "LOGIN", "NOLOGIN"),
        FenceMethod::AllowConnections => ("ALLOW_CONNECTIONS", "true", "false"),
        FenceMethod::PgHba => ("pg_hba.conf", "as it was", "rules in front that reject clients"),
        FenceMethod::Stop => ("server", "running", "stopped"),
        FenceMethod::SecurityGroup => {
            let resource = format!("{} {}", resource_of(fence.db.engine), fence.db.id);
            let after = fence.db.fence_group.clone().unwrap_or_default();
            return change(
                &fence.db,
                &resource,
                "vpc_security_group_ids",
                fence.groups_before.join(","),
                after,
            );
        }
    };
    change(&fence.db, &database, attribute, before.to_owned(), after.to_owned())
}

/// An instance, or data, that others take the place of.
fn replaced(action: &Action) -> Option<Change> {
    if let Action::Restore(RestoreStep { part: Part::Swap, of }) = action {
        let after = format!("as of {}", of.to_time);
        return Some(change(
            &of.db,
            &format!("database {}", of.db.id),
            "data",
            "as they were".to_owned(),
            after,
        ));
    }
    let (db, attribute, before, after) = match action {
        Action::Rename(Rename { db, to }) => (db, "identifier", db.id.clone(), to.clone()),
        Action::Rejoin(Rejoin { db, replica: Some(replica), .. }) => {
            (db, "replicate_source_db", "empty".to_owned(), replica.source_arn.clone())
        }
        _ => return None,
    };
    Some(change(db, &format!("aws_db_instance {}", db.id), attribute, before, after))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_rung_of_a_fence_is_changed_at_its_own_place_and_lifted_there() {
        let place = serde_json::json!({"name": "west", "cloud": "aws", "region": "eu-west-1"});
        let db = serde_json::json!({"component": "db", "place": place, "id": "shop", "fence_group": "sg-9"});
        let db: DatabaseRef = serde_json::from_value(db).expect("a server");
        let rung = |method| Fence { db: db.clone(), method, groups_before: vec!["sg-1".to_owned()] };
        let places: BTreeSet<_> = FenceMethod::ALL.into_iter().map(|m| fenced(&rung(m)).attribute).collect();
        assert_eq!(places.len(), FenceMethod::ALL.len(), "{places:?}");
        for method in FenceMethod::ALL {
            let made = [Action::Fence(rung(method)), Action::Unfence(Unfence(rung(method)))];
            let all = made.iter().flat_map(of);
            assert_eq!(net(all), [], "{method:?}: what was fenced and lifted reverts nothing");
        }
    }
}
