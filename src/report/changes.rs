//! Every attribute that a run changed, before and after: the changes that Terraform or a GitOps loop would revert.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Operation;
use crate::kinds::shared::restore::RestoreStep;
use crate::model::change::Change;
use crate::record::action::Action;
use crate::record::event::End;
use crate::run::RunState;
use crate::run::state::Status;

/// All changes, in the order of the runbook.
pub fn changes(state: &RunState) -> Vec<Change> {
    let done = |i: &usize| {
        let step = &state.steps[*i];
        let performed = matches!(step.work.status, Status::Done(End::Performed | End::ByHand));
        // A step whose call was made but that did not end may have had its effect.
        let half = step.work.parts.acted() && !matches!(step.work.status, Status::Done(_));
        let undone = step.undo.as_ref().is_some_and(|u| matches!(u.status, Status::Done(_)));
        let in_place = |c| state.promoted_at.contains_key(c) && state.restores(c).is_some();
        let other = match &state.step(*i).action {
            // The roles are those from the time of the restore, so they may log in.
            Action::Op(Operation::Fence(f)) => in_place(&f.db.component),
            Action::Op(Operation::Restore(RestoreStep { of, .. })) => !in_place(&of.db.component),
            _ => false,
        };
        !undone && !other && (performed || half)
    };
    let made = (0..state.steps.len()).filter(done).flat_map(|i| made(state, i).changes());
    told_apart(net(made))
}

/// Resources with the same name in several places, each with its place.
fn told_apart(mut all: Vec<Change>) -> Vec<Change> {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for change in &all {
        places.entry(change.resource.clone()).or_default().insert(change.place.clone());
    }
    for change in &mut all {
        if places.get(&change.resource).is_some_and(|of| of.len() > 1) {
            change.resource = format!("{} in {}", change.resource, change.place);
        }
    }
    all
}

/// Combines repeated changes of an attribute into one, or none if the last value equals the first.
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

/// The part of a step's action that was performed; for a batch that was split, the parts that may have been.
fn made(state: &RunState, i: usize) -> Action {
    let (action, work) = (state.forward(i), &state.steps[i].work);
    // An attribute that already had the right value was not changed, unless by a person.
    match work.parts.acted() || !matches!(work.status, Status::Done(_)) {
        true => action.only(&|change| work.parts.touched(change)).into_owned(),
        false => action.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::kinds::shared::database::DatabaseRef;
    use crate::kinds::shared::fence::{Fence, FenceMethod, Unfence};

    #[test]
    fn resources_of_the_same_name_have_their_places() {
        let of =
            |place: &str, name: &str| Change::new(place, name, "min_size", "0".to_owned(), "4".to_owned());
        let all = vec![of("west", "group web"), of("east", "group web"), of("east", "group dr")];
        let names: Vec<_> = told_apart(all).into_iter().map(|change| change.resource).collect();
        assert_eq!(names, ["group web in west", "group web in east", "group dr"]);
    }

    #[test]
    fn each_rung_of_a_fence_is_changed_at_its_own_place_and_lifted_there() {
        let place = serde_json::json!({"name": "west", "cloud": "aws", "region": "eu-west-1"});
        let db = serde_json::json!({"component": "db", "place": place, "id": "shop", "fence_group": "sg-9"});
        let db: DatabaseRef = serde_json::from_value(db).expect("a server");
        let rung = |method| Fence { db: db.clone(), method, groups_before: vec!["sg-1".to_owned()] };
        let places: BTreeSet<_> = FenceMethod::ALL
            .into_iter()
            .map(|m| Action::Op(Operation::Fence(rung(m))).changes()[0].attribute.clone())
            .collect();
        assert_eq!(places.len(), FenceMethod::ALL.len(), "{places:?}");
        for method in FenceMethod::ALL {
            let made = [
                Action::Op(Operation::Fence(rung(method))),
                Action::Op(Operation::Unfence(Unfence(rung(method)))),
            ];
            let all = made.iter().flat_map(Action::changes);
            assert_eq!(net(all), [], "{method:?}: what was fenced and lifted reverts nothing");
        }
    }
}
