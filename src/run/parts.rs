//! A batch of record sets that the provider refuses is taken apart, so that one wrong name does not keep all the others from moving.
//!
//! The sets of one name and type move together and are never separated: half a weighted pair would be an outage of its own.
//! What is called next follows from what is there and from which parts were refused; nothing is remembered beside the events.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{RunState, Status};
use crate::kinds::aws::route53::{Basis, RecordChange, RecordSet, Switch};
use crate::record::event::Direction;
use crate::record::found::{Found as Reading, FoundSet};

/// How many names an error lists.
const NAMED: usize = 5;

/// What is known of the parts of one direction of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Positions of the changes in the last call; empty for all, here and below.
    pub now: Vec<u32>,
    /// Parts that were refused for good, and why.
    pub refused: Vec<(Vec<u32>, String)>,
    /// Parts that were accepted.
    pub accepted: Vec<Vec<u32>>,
    /// Parts whose call had an unknown fate for a time: they may be in place, whatever was believed later.
    pub doubted: Vec<Vec<u32>>,
}

impl Parts {
    /// Nothing was called.
    pub const fn new() -> Self {
        Self { now: Vec::new(), refused: Vec::new(), accepted: Vec::new(), doubted: Vec::new() }
    }

    /// The last call was accepted.
    pub(super) fn accept(&mut self) {
        if !self.accepted.contains(&self.now) {
            self.accepted.push(self.now.clone());
        }
    }

    /// The result of the last call is unknown.
    pub(super) fn doubt(&mut self) {
        if !self.doubted.contains(&self.now) {
            self.doubted.push(self.now.clone());
        }
    }

    /// Whether any call may have had an effect.
    pub const fn acted(&self) -> bool {
        !self.accepted.is_empty() || !self.doubted.is_empty()
    }

    /// Whether a call may have made the change at a position.
    pub fn touched(&self, change: u32) -> bool {
        self.accepted.iter().chain(&self.doubted).any(|part| part.is_empty() || part.contains(&change))
    }
}

/// The changes of one name and type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// As people say it.
    pub name: String,
    /// Positions in the switch. Of a name that can be changed, those that are not as they will be.
    pub changes: Vec<u32>,
    /// What is there, and what should be, of a name that somebody else changed.
    pub differs: String,
}

/// Where the groups of a switch are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// As they will be.
    pub done: Vec<Group>,
    /// As they were: they can be changed.
    pub ready: Vec<Group>,
    /// Neither: somebody else changed them.
    pub foreign: Vec<Group>,
}

/// What can be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Call with the changes at these positions.
    Call(Vec<u32>),
    /// Nothing that is left would be taken; with the names and why not.
    Nothing(Vec<(String, String)>),
}

/// The groups of a switch that are this direction's business, sorted by what is there.
pub fn find(state: &RunState, i: usize, switch: &Switch, there: &[RecordSet]) -> Found {
    let mut found = Found::default();
    for mut group in groups(switch, |change| in_scope(state, i, change)) {
        let changes = group.changes.iter().filter_map(|&c| Some((c, switch.changes.get(c as usize)?)));
        let (done, left): (Vec<_>, Vec<_>) =
            changes.partition(|(_, change)| change.find(there) == change.after.as_ref());
        if done.len() == group.changes.len() {
            found.done.push(group);
        } else if let Some((_, change)) = left.iter().find(|(_, c)| !c.replaces(c.find(there))) {
            group.differs = differs(change, change.find(there));
            found.foreign.push(group);
        } else {
            group.changes = left.into_iter().map(|(c, _)| c).collect();
            found.ready.push(group);
        }
    }
    found
}

/// A switch is undone only as far as it may have got.
fn in_scope(state: &RunState, i: usize, change: u32) -> bool {
    let forward = &state.steps[i].work;
    let undoing = state.direction(i) == Direction::Undo || super::judge::undoing_now(state, i);
    match forward.parts.acted() {
        true => !undoing || forward.parts.touched(change),
        false => !undoing || matches!(forward.status, Status::Done(_)),
    }
}

fn groups(switch: &Switch, in_scope: impl Fn(u32) -> bool) -> Vec<Group> {
    let mut groups: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
    for (change, position) in switch.changes.iter().zip(0..).filter(|(_, position)| in_scope(*position)) {
        if let Some(set) = change.before.as_ref().or(change.after.as_ref()) {
            groups.entry((&set.name, &set.rtype)).or_default().push(position);
        }
    }
    let group =
        |((name, rtype), changes)| Group { name: format!("{name} {rtype}"), changes, ..Group::default() };
    groups.into_iter().map(group).collect()
}

/// Why a set is not changed: both values, so that a person can tell who is right.
fn differs(change: &RecordChange, there: Option<&RecordSet>) -> String {
    let words = |set: Option<&RecordSet>| set.map_or_else(|| "not there".to_owned(), RecordSet::words);
    let (is, was) = (words(there), words(change.before.as_ref()));
    let id = change.after.as_ref().or(change.before.as_ref()).and_then(|set| set.set_identifier.as_deref());
    let set = id.map_or_else(|| "it".to_owned(), |id| format!("set {id}"));
    match change.basis {
        Basis::Seen => format!("{set} is {is}, but the runbook expects {was}: somebody changed it"),
        Basis::Declared => format!(
            "{set} is {is}, but the plan declares {was} for the source site; drctl had not observed it before"
        ),
    }
}

/// The sets that a call with these changes replaces, where the runbook does not say exactly that.
pub fn read(switch: &Switch, part: &[u32], there: &[RecordSet]) -> Option<Reading> {
    let unsaid = |(change, position): (&RecordChange, u32)| {
        let set = change.find(there);
        let said = change.basis == Basis::Seen && set == change.before.as_ref();
        (part.contains(&position) && !said).then(|| FoundSet { change: position, set: set.cloned() })
    };
    let sets: Vec<_> = switch.changes.iter().zip(0..).filter_map(unsaid).collect();
    (!sets.is_empty()).then_some(Reading::Sets(sets))
}

/// Positions of all changes of groups, in order.
pub fn positions<'g>(groups: impl IntoIterator<Item = &'g Group>) -> Vec<u32> {
    let all: BTreeSet<u32> = groups.into_iter().flat_map(|g| g.changes.iter().copied()).collect();
    all.into_iter().collect()
}

/// Which part is called next: never one that holds a part whose refusal nothing else explains.
pub fn next(found: &Found, refused: &[(Vec<u32>, String)]) -> Next {
    let whole = found.done.len() + found.ready.len() + found.foreign.len();
    let mut left: Vec<&Group> = found.ready.iter().collect();
    let mut named: Vec<(String, String)> =
        found.foreign.iter().map(|g| (g.name.clone(), g.differs.clone())).collect();
    // What somebody else changed explains the refusal of every part that held it.
    let mut culprits: BTreeSet<u32> = positions(&found.foreign).into_iter().collect();
    loop {
        let bad = suspects(&left, refused, &culprits);
        // Only what was refused alone is to blame: what else was in its part may have been put right meanwhile.
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

/// Refused parts less what is done: a wrong name is among them. As indices into `left`, with the reason.
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

/// The message if not everything could be changed.
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

    /// A provider that refuses every batch with one of `wrong` in it. Gives what was switched, who was named, and the calls.
    fn carried_out(names: u32, wrong: &[u32], foreign: &[u32]) -> (Vec<u32>, Vec<String>, usize) {
        let (mut done, mut refused) = (Vec::new(), Vec::new());
        for calls in 0.. {
            let left = (0..names).filter(|n| !done.contains(n));
            let (theirs, ready): (Vec<u32>, Vec<u32>) = left.partition(|n| foreign.contains(n));
            let groups = |of: Vec<u32>| of.into_iter().map(group).collect();
            let found = Found { done: Vec::new(), ready: groups(ready.clone()), foreign: groups(theirs) };
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
        let found = Found { ready: (0..4).map(group).collect(), ..Found::default() };
        let all = vec![(Vec::new(), "no".to_owned())];
        assert_eq!(next(&found, &all), Next::Call(vec![0, 1, 2, 3]));
    }
}
