//! Dependencies between components: cycles and transitive needs.

use std::collections::{BTreeMap, BTreeSet};

use super::types::Plan;
use crate::model::ids::ComponentName;

/// The shortest cycle, if a component needs itself: `a`, `b`, `a`.
pub fn cycle(plan: &Plan) -> Option<Vec<ComponentName>> {
    let edges: BTreeMap<_, Vec<_>> =
        plan.components.iter().map(|(n, c)| (n, c.needs.iter().map(|n| &n.value).collect())).collect();
    let mut best: Option<Vec<ComponentName>> = None;
    for start in edges.keys() {
        if let Some(path) = way_back(start, &edges)
            && best.as_ref().is_none_or(|b| path.len() < b.len())
        {
            best = Some(path);
        }
    }
    best
}

/// Breadth first from `start` to itself.
fn way_back(
    start: &ComponentName,
    edges: &BTreeMap<&ComponentName, Vec<&ComponentName>>,
) -> Option<Vec<ComponentName>> {
    let mut came_from: BTreeMap<&ComponentName, &ComponentName> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for &next in edges.get(at).into_iter().flatten() {
            if next == start {
                let mut path = vec![start.clone(), at.clone()];
                let mut at = at;
                while at != start {
                    at = came_from.get(at)?;
                    path.push(at.clone());
                }
                path.reverse();
                if path.len() == 2 || path.first() == path.last() {
                    path.dedup();
                    if path.len() == 1 {
                        path.push(start.clone());
                    }
                } else {
                    path.push(start.clone());
                }
                return Some(path);
            }
            if edges.contains_key(next) && !came_from.contains_key(next) {
                came_from.insert(next, at);
                queue.push_back(next);
            }
        }
    }
    None
}

/// Everything that `component` needs to serve, without the component itself.
pub fn reach(plan: &Plan, component: &ComponentName) -> BTreeSet<ComponentName> {
    let mut seen = BTreeSet::new();
    let mut stack = vec![component];
    while let Some(at) = stack.pop() {
        for need in plan.components.get(at).into_iter().flat_map(|c| &c.needs) {
            if seen.insert(need.value.clone()) {
                stack.push(&need.value);
            }
        }
    }
    seen
}
