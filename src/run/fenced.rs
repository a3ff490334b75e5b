//! Which servers a run keeps from taking writes, how that was proven, and when it let writes in again.

use super::state::{Proven, RunState, StepState};
use crate::model::action::{Action, Fence, FenceMethod};
use crate::model::facts::Fact;
use crate::model::ids::ComponentName;
use crate::model::runbook::Step;
use crate::model::target::DatabaseRef;
use crate::model::time::Timestamp;
use crate::model::wal::WalPoint;

impl RunState {
    /// Facts that stand about a component's fence and exposure. What was undone does not.
    pub(super) fn known_of(&self, component: &ComponentName) -> impl Iterator<Item = &Fact> {
        let positions = self.known.get(component).into_iter().flatten();
        let own = positions.map(|&i| &self.steps[i]).filter(|s| !s.taken_back()).flat_map(|s| &s.facts);
        let inherited = self
            .runbook
            .inherits
            .iter()
            .filter(|i| i.fence.db.component == *component && !self.lifts(&i.fence));
        own.chain(inherited.filter_map(|i| i.fact.as_ref()))
    }

    /// Whether this run takes a fence back, or did.
    fn lifts(&self, fence: &Fence) -> bool {
        let same = |s: &Step| matches!(&s.action, Action::Fence(f) if f.db.is(&fence.db) && f.method == fence.method);
        self.runbook.steps.iter().zip(&self.steps).any(|(s, at)| same(s) && at.taken_back())
    }

    /// When this run let writes in again at a server, or began to.
    pub fn let_in(&self, db: &DatabaseRef) -> Option<Timestamp> {
        let of = self.runbook.steps.iter().zip(&self.steps);
        let when = |(s, at): (&Step, &StepState)| match &s.action {
            Action::Fence(f) if f.db.is(db) => {
                at.undo.as_ref().and_then(|u| u.ended_at.or(u.started_at)).or(at.undo_asked)
            }
            Action::Unfence(f) if f.db.is(db) => at.work.ended_at.or(at.work.started_at),
            _ => None,
        };
        of.filter_map(when).max()
    }

    /// Whether the run that this one continues may have set the fence of this step: it is this one's to lift.
    pub fn inherited(&self, at: usize) -> bool {
        let same = |f: &Fence| {
            self.runbook.inherits.iter().any(|i| i.fence.db.is(&f.db) && i.fence.method == f.method)
        };
        matches!(&self.step(at).action, Action::Fence(f) if same(f))
    }

    /// Whether a standby of this component streams since this run promoted it, or made one.
    pub fn rejoined(&self, component: &ComponentName) -> bool {
        let promoted = self.promoted_at.get(component);
        self.steps.iter().any(|at| {
            let later = promoted.is_none_or(|p| at.work.ended_at.is_some_and(|ended| ended > *p));
            let follows = |f: &Fact| matches!(f, Fact::Rejoined { component: c, .. } if c == component);
            later && at.facts.iter().any(follows)
        })
    }

    /// When a server was proven to take no writes by this run, whoever owed it: fenced, or a standby.
    pub fn kept_out(&self, db: &DatabaseRef) -> Option<Timestamp> {
        let follows = |s: &Step| matches!(&s.action, Action::Rejoin { db: of, .. } if of.is(db));
        let ended = self.runbook.steps.iter().zip(&self.steps).filter(|(s, _)| follows(s));
        let rejoined = |at: &StepState| at.facts.iter().any(|f| matches!(f, Fact::Rejoined { .. }));
        let stands = ended.filter(|(_, at)| rejoined(at)).find_map(|(_, at)| at.work.ended_at);
        if stands.is_some() {
            return stands;
        }
        let mine = |s: &&Step| matches!(&s.action, Action::Fence(f) if f.db.is(db));
        let of = self.runbook.steps.iter().zip(&self.steps).filter(|(s, at)| mine(s) && !at.taken_back());
        of.flat_map(|(_, at)| &at.facts).find_map(|f| match f {
            Fact::Fenced { at, .. } => Some(*at),
            _ => None,
        })
    }

    /// When this run asked for the promotion of a server.
    pub fn made_writer(&self, db: &DatabaseRef) -> Option<Timestamp> {
        let promotes = |s: &&Step| matches!(&s.action, Action::Promote { db: of, .. } if of.is(db));
        let component = &self.runbook.steps.iter().find(promotes)?.component;
        self.promoted_at.get(component.as_ref()?).copied()
    }

    /// How and when a component was proven fenced.
    pub fn fenced(&self, component: &ComponentName) -> Option<(FenceMethod, Timestamp)> {
        self.known_of(component).find_map(|f| match f {
            Fact::Fenced { method, at, .. } => Some((*method, *at)),
            _ => None,
        })
    }

    /// What the proof of a component's fence found.
    pub fn proof(&self, component: &ComponentName) -> Option<&str> {
        self.known_of(component).find_map(|f| match f {
            Fact::Fenced { proof, .. } => Some(proof.as_str()),
            _ => None,
        })
    }

    /// When a component was proven fenced, and its last commit where the method could see it.
    pub fn fence_proof(&self, component: &ComponentName) -> Option<Proven> {
        self.known_of(component).find_map(|f| match f {
            Fact::Fenced { at, last_commit, last_commit_there, clock, .. } => {
                Some(Proven { at: *at, last_commit: *last_commit, there: *last_commit_there, clock: *clock })
            }
            _ => None,
        })
    }

    /// Where the log of a component's old primary ended when it was proven fenced.
    pub fn fenced_end(&self, component: &ComponentName) -> Option<WalPoint> {
        self.known_of(component).find_map(|f| match f {
            Fact::Fenced { wal, .. } => *wal,
            _ => None,
        })
    }

    /// What the fence of a component's old primary left there, and on every replica of it.
    pub fn fence_word(&self, component: &ComponentName) -> Option<&str> {
        self.known_of(component).find_map(|f| match f {
            Fact::Fenced { word, .. } => word.as_deref(),
            _ => None,
        })
    }
}
