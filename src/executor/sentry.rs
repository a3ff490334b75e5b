//! Watches places with a pending fence for an answer: once a second for each place, while the process lives.

use std::cell::Cell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::{Session, survey};
use crate::inventory::Observation;
use crate::kinds::{Operation, State, Target};
use crate::model::time::Dur;
use crate::record::action::Action;
use crate::run::RunState;

/// Interval between two checks for an answer.
const EVERY: Dur = Dur::secs(1);
/// Limit on one check: a second for the connection, one for the answer, and some time for DNS.
pub const LOOK: Dur = Dur(2_200);

/// A group of targets that are checked together, and the result of the last check.
#[derive(Clone, Debug)]
pub struct Post {
    /// The poll group.
    group: String,
    targets: Vec<Target>,
    /// Whether a target answered the last check; `None` before the first one.
    answered: Rc<Cell<Option<bool>>>,
    /// Whether the run still needs this.
    wanted: Rc<Cell<bool>>,
}

/// A place that answers now.
#[derive(Clone, Debug)]
pub struct Sign {
    /// The names of the places.
    pub places: BTreeSet<String>,
    /// What answered, in words.
    pub who: String,
    /// Whether an earlier check had no answer.
    pub was_silent: bool,
    /// The group to keep watching.
    pub post: Post,
}

/// All groups that are watched.
#[derive(Debug, Default)]
pub struct Sentries {
    posts: BTreeMap<String, Post>,
    /// The version of the run that they were computed from.
    known: Option<u64>,
}

impl Sentries {
    /// Groups that are new since the last call. `version` is the run's: if it has not changed, neither have the groups.
    pub fn posted(&mut self, state: &RunState, version: u64) -> Vec<Post> {
        if self.known.replace(version) == Some(version) {
            return Vec::new();
        }
        let wanted = wanted(state);
        self.posts.retain(|group, post| {
            let stays = wanted.contains_key(group);
            post.wanted.set(stays);
            stays
        });
        let mut new = Vec::new();
        for (group, targets) in wanted {
            if let Entry::Vacant(vacant) = self.posts.entry(group) {
                let post = Post {
                    group: vacant.key().clone(),
                    targets: targets.into_iter().collect(),
                    answered: Rc::default(),
                    wanted: Rc::new(Cell::new(true)),
                };
                new.push(vacant.insert(post).clone());
            }
        }
        new
    }

    /// Whether a group is still watched.
    pub fn has(&self, post: &Post) -> bool {
        post.wanted.get() && self.posts.contains_key(&post.group)
    }
}

/// The targets to check for fences that wait for an answer, by poll group.
fn wanted(state: &RunState) -> BTreeMap<String, BTreeSet<Target>> {
    let mut wanted: BTreeMap<String, BTreeSet<Target>> = BTreeMap::new();
    for i in 0..state.steps.len() {
        let Action::Op(Operation::Fence(fence)) = &state.step(i).action else { continue };
        if state.waits_for_life(i) {
            for target in Target::signs_of(&fence.db) {
                wanted.entry(target.poll_group()).or_default().insert(target);
            }
        }
    }
    wanted
}

/// Checks targets once a second until `done` has a result, or nobody wants one. A check that hangs delays no other, and one that ends after
/// a later one is dropped.
pub async fn every_second<T>(
    session: &Session<'_>,
    targets: &[Target],
    wanted: impl Fn() -> bool,
    mut done: impl FnMut(&[(Target, Observation)]) -> Option<T>,
) -> Option<T> {
    let check = |began| async move { (began, survey::look(session, targets, LOOK).await) };
    let (mut under_way, mut due, mut newest) = (FuturesUnordered::new(), session.world.now(), None);
    while wanted() {
        let now = session.world.now();
        if now >= due {
            under_way.push(check(now));
            due = now + EVERY;
        }
        let tick = pin!(session.world.sleep_until(due));
        if under_way.is_empty() {
            tick.await;
            continue;
        }
        let Either::Left((Some((began, seen)), _)) = select(under_way.next(), tick).await else { continue };
        if newest.is_some_and(|newest| began < newest) {
            continue;
        }
        newest = Some(began);
        if let Some(result) = done(&seen) {
            return Some(result);
        }
    }
    None
}

/// Waits until a target answers the first check, or a check after one without an answer. `None` once the run no longer needs
/// this.
pub async fn watch(session: &Session<'_>, post: Post) -> Option<Sign> {
    let answers = |seen: &[(Target, Observation)]| {
        let alive = seen.iter().find_map(|(_, seen)| match seen.state() {
            Some(State::Alive(alive)) => Some(alive.who.clone()),
            _ => None,
        });
        let before = post.answered.replace(Some(alive.is_some()));
        let news = before != Some(true) && post.wanted.get();
        alive.filter(|_| news).map(|who| (who, before.is_some()))
    };
    let (who, was_silent) = every_second(session, &post.targets, || post.wanted.get(), answers).await?;
    let places = post.targets.iter().filter_map(Target::place).map(|p| p.name.clone()).collect();
    Some(Sign { places, who, was_silent, post })
}
