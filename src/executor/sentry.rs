//! Looks for answers from places with a pending fence: once a second for each place, while the process lives.

use std::cell::Cell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Session, survey};
use crate::kinds::{Operation, State, Target};
use crate::model::time::Dur;
use crate::record::action::Action;
use crate::run::RunState;

/// How often a sign of life is looked for.
const EVERY: Dur = Dur::secs(1);
/// How long one look may take: a second for the connection, one for the answer, and something for names.
const LOOK: Dur = Dur(2_500);

/// What is looked at together, and how it was last found.
#[derive(Clone, Debug)]
pub struct Post {
    /// One for each poll group.
    group: String,
    targets: Vec<Target>,
    /// Whether somebody answered the last look, if there was one.
    answered: Rc<Cell<Option<bool>>>,
    /// Whether anybody still wants to know.
    wanted: Rc<Cell<bool>>,
}

/// A place that answers after it was silent.
#[derive(Clone, Debug)]
pub struct Sign {
    /// The names of the places.
    pub places: BTreeSet<String>,
    /// Who answered, in words.
    pub who: String,
    /// Whether nobody answered a look before.
    pub was_silent: bool,
    /// Where to continue.
    pub post: Post,
}

/// Every place that is watched.
#[derive(Debug, Default)]
pub struct Sentries {
    posts: BTreeMap<String, Post>,
    /// The run as it was when this was last worked out.
    known: Option<u64>,
}

impl Sentries {
    /// Posts that are new since the run was last asked what it waits for. `version` is that of the run: the same one says the same.
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

    /// Whether a post is one of those that are still wanted.
    pub fn has(&self, post: &Post) -> bool {
        post.wanted.get() && self.posts.contains_key(&post.group)
    }
}

/// What is looked at for the fences that wait for life.
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

/// Waits until somebody answers who did not answer the look before, or any look. None once nobody wants to know.
pub async fn watch(session: &Session<'_>, post: Post) -> Option<Sign> {
    loop {
        let began = session.world.now();
        if !post.wanted.get() {
            return None;
        }
        let seen = survey::look(session, &post.targets, LOOK).await;
        let alive = seen.iter().find_map(|(_, seen)| match seen.state() {
            Some(State::Alive(alive)) => Some(alive.who.clone()),
            _ => None,
        });
        let before = post.answered.replace(Some(alive.is_some()));
        if let (Some(who), None | Some(false), true) = (alive, before, post.wanted.get()) {
            let was_silent = before.is_some();
            let places = post.targets.iter().filter_map(Target::place).map(|p| p.name.clone()).collect();
            return Some(Sign { places, who, was_silent, post });
        }
        session.world.sleep_until(began + EVERY).await;
    }
}
