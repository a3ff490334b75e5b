//! Splits a batch of changes that the provider refuses, so that one wrong name does not block all the others.
//!
//! The changes of a group move together and are never separated.
//! The next call depends only on the observed state and the refused parts; no other state is kept.

use std::collections::BTreeSet;

use super::progress::undoing_now;
use super::state::{RunState, Status};
use crate::kinds::{Group, Parts};
use crate::record::event::Direction;

/// How many names an error lists.
const NAMED: usize = 5;

/// What can be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Call with the changes at these positions.
    Call(Vec<u32>),
    /// Nothing that is left would be accepted; with the names and the reasons.
    Nothing(Vec<(String, String)>),
}

/// Whether a change belongs to this direction: an undo covers only changes that a call may have made.
pub fn in_scope(state: &RunState, i: usize, change: u32) -> bool {
    let forward = &state.steps[i].work;
    let undoing = state.direction(i) == Direction::Undo || undoing_now(state, i);
    match forward.parts.acted() {
        true => !undoing || forward.parts.touched(change),
        false => !undoing || matches!(forward.status, Status::Done(_)),
    }
}

/// Positions of all changes of groups, in order.
pub fn positions<'g>(groups: impl IntoIterator<Item = &'g Group>) -> Vec<u32> {
    let all: BTreeSet<u32> = groups.into_iter().flat_map(|g| g.changes.iter().copied()).collect();
    all.into_iter().collect()
}

/// Chooses the next part. It never contains a part whose refusal is still unexplained.
pub fn next(found: &Parts, refused: &[(Vec<u32>, String)]) -> Next {
    let whole = found.done.len() + found.ready.len() + found.foreign.len();
    let mut left: Vec<&Group> = found.ready.iter().collect();
    let mut named: Vec<(String, String)> =
        found.foreign.iter().map(|g| (g.name.clone(), g.differs.clone())).collect();
    // If somebody else changed a record, that explains the refusal of every part with it.
    let mut culprits: BTreeSet<u32> = positions(&found.foreign).into_iter().collect();
    loop {
        let bad = suspects(&left, refused, &culprits);
        // A group is to blame only if it was refused alone: the rest of its part may have been fixed in the meantime.
        let single = left.iter().enumerate().find_map(|(at, group)| {
            let alone = |part: &[u32]| match part {
                [] => whole == 1,
                part => part.iter().all(|c| group.changes.contains(c)),
            };
            refused.iter().find(|(part, _)| alone(part)).map(|(_, why)| (at, why.as_str()))
        });
        match single {
            Some((at, why)) => {
                let group = left.remove(at);
                culprits.extend(&group.changes);
                named.push((group.name.clone(), why.to_owned()));
            }
            None if left.is_empty() => return Next::Nothing(named),
            None => return Next::Call(pick(&left, &bad)),
        }
    }
}

/// Refused parts without the done groups; each contains a wrong name. As indices into `left`, with the reason.
fn suspects<'r>(
    left: &[&Group],
    refused: &'r [(Vec<u32>, String)],
    culprits: &BTreeSet<u32>,
) -> Vec<(Vec<usize>, &'r str)> {
    let explained = |part: &[u32]| culprits.iter().any(|c| part.is_empty() || part.contains(c));
    let unexplained = refused.iter().filter(|(part, _)| !explained(part));
    let rest = |part: &[u32]| {
        let held = |g: &&Group| part.is_empty() || g.changes.iter().any(|c| part.contains(c));
        left.iter().enumerate().filter(|(_, g)| held(g)).map(|(at, _)| at).collect::<Vec<_>>()
    };
    unexplained.map(|(part, why)| (rest(part), why.as_str())).filter(|(rest, _)| !rest.is_empty()).collect()
}

/// Everything that is not suspect, or half of the smallest suspect.
fn pick(left: &[&Group], bad: &[(Vec<usize>, &str)]) -> Vec<u32> {
    let smallest = |(part, _): &&(Vec<usize>, &str)| {
        !bad.iter().any(|(other, _)| other.len() < part.len() && other.iter().all(|at| part.contains(at)))
    };
    let minimal: Vec<_> = bad.iter().filter(smallest).map(|(part, _)| part).collect();
    let clean = left.iter().enumerate().filter(|(at, _)| !minimal.iter().any(|part| part.contains(at)));
    let clean: Vec<&Group> = clean.map(|(_, g)| *g).collect();
    if !clean.is_empty() {
        return positions(clean);
    }
    let part = minimal.iter().min_by_key(|part| part.len());
    let half = part.map_or(&[][..], |part| &part[..part.len().div_ceil(2)]);
    positions(half.iter().map(|at| left[*at]))
}

/// The message if some changes could not be made.
pub fn failure(named: &[(String, String)], of: usize) -> String {
    let listed: Vec<_> = named.iter().take(NAMED).map(|(name, why)| format!("{name} ({why})")).collect();
    let more = match named.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!(
        "{} of {of} names were not switched: {}{more}; correct them and resume, or plan again",
        named.len(),
        listed.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(n: u32) -> Group {
        Group { name: format!("n{n}"), changes: vec![2 * n, 2 * n + 1], ..Group::default() }
    }

    /// A provider that refuses every batch with one of `wrong` in it. Returns what was switched, who was named, and the number of calls.
    fn carried_out(names: u32, wrong: &[u32], foreign: &[u32]) -> (Vec<u32>, Vec<String>, usize) {
        let (mut done, mut refused) = (Vec::new(), Vec::new());
        for calls in 0.. {
            let left = (0..names).filter(|n| !done.contains(n));
            let (theirs, ready): (Vec<u32>, Vec<u32>) = left.partition(|n| foreign.contains(n));
            let groups = |of: Vec<u32>| of.into_iter().map(group).collect();
            let found = Parts { ready: groups(ready.clone()), foreign: groups(theirs), ..Parts::default() };
            match next(&found, &refused) {
                Next::Nothing(named) => {
                    done.sort_unstable();
                    return (done, named.into_iter().map(|(name, _)| name).collect(), calls);
                }
                Next::Call(part) => {
                    let of: Vec<u32> = ready.into_iter().filter(|n| part.contains(&(2 * n))).collect();
                    assert_eq!(part.len(), 2 * of.len(), "a pair was separated: {part:?}");
                    if of.iter().any(|n| wrong.contains(n)) {
                        refused.push((part, "no".to_owned()));
                    } else {
                        done.extend(of);
                    }
                }
            }
        }
        unreachable!("it ends with nothing left")
    }

    #[test]
    fn every_right_name_moves_and_every_wrong_one_is_named() {
        for names in 1..40 {
            for first in 0..names {
                for second in [first, (first * 7 + 3) % names] {
                    let foreign = [(first + 1) % names].map(|n| if n == second { names } else { n });
                    let (done, mut named, calls) = carried_out(names, &[first, second], &foreign);
                    let mut kept = vec![first, second];
                    kept.extend(foreign.iter().filter(|n| **n < names));
                    kept.sort_unstable();
                    kept.dedup();
                    let moved: Vec<u32> = (0..names).filter(|n| !kept.contains(n)).collect();
                    assert_eq!(done, moved, "{names} names, wrong {first} {second}");
                    named.sort();
                    let mut expected: Vec<_> = kept.iter().map(|n| format!("n{n}")).collect();
                    expected.sort();
                    assert_eq!(named, expected);
                    assert!(calls <= 30, "{calls} calls for {names} names");
                }
            }
        }
    }

    #[test]
    fn one_wrong_name_of_five_hundred_takes_few_calls() {
        let (done, named, calls) = carried_out(500, &[321], &[]);
        assert_eq!((done.len(), named), (499, vec!["n321".to_owned()]));
        assert!(calls <= 20, "{calls}");
    }

    #[test]
    fn a_batch_that_was_refused_whole_is_one_with_everything_in_it() {
        let found = Parts { ready: (0..4).map(group).collect(), ..Parts::default() };
        let all = vec![(Vec::new(), "no".to_owned())];
        assert_eq!(next(&found, &all), Next::Call(vec![0, 1, 2, 3]));
    }
}
