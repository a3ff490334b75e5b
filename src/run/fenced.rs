//! Which servers a run fences, how the fence was proven, and when the run let writes in again.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{FenceDebt, Proven, RunState, Status, StepState, Work};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::unreplicated::{Lost, Unreplicated};
use crate::kinds::shared::wal::WalPoint;
use crate::kinds::{Fact, Operation, Store};
use crate::model::ids::ComponentName;
use crate::model::time::Timestamp;
use crate::record::action::{Action, Check, Gate};
use crate::record::event::{End, EventKind};
use crate::record::runbook::{Phase, Step};

/// Records that a promotion was requested or found. A waived fence is pending from the first time on.
pub(super) fn promoted(
    all: &mut BTreeSet<ComponentName>,
    debts: &mut BTreeMap<ComponentName, FenceDebt>,
    component: &ComponentName,
    at: Timestamp,
) {
    if all.insert(component.clone())
        && let Some(debt) = debts.get_mut(component)
    {
        debt.since = at;
    }
}

impl RunState {
    /// Whether the run requested a new server under this server's name.
    pub fn replaced(&self, db: &DatabaseRef) -> bool {
        let asked = |(s, at): (&Step, &StepState)| {
            let made = at.work.status.in_flight() || matches!(at.work.status, Status::Done(_));
            matches!(&s.action, Action::Op(Operation::Rejoin(Rejoin { db: of, .. })) if of.is(db))
                && (made || at.work.doubt.is_some())
        };
        self.runbook.steps.iter().zip(&self.steps).any(asked)
    }

    /// The name under which this run set a server aside.
    pub fn set_aside(&self, db: &DatabaseRef) -> Option<&str> {
        self.runbook.steps.iter().zip(&self.steps).find_map(|(step, at)| {
            let Action::Op(operation) = &step.action else { return None };
            let (_, to) = operation.renames().filter(|(old, _)| old.is(db))?;
            let asked = at.work.status.in_flight() || matches!(at.work.status, Status::Done(_));
            (asked && !at.taken_back()).then_some(to.as_str())
        })
    }

    /// The valid facts about a component's fence and exposure. Facts of undone steps do not count.
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

    /// Whether this run lifts a fence, or did.
    fn lifts(&self, fence: &Fence) -> bool {
        let same = |s: &Step| matches!(&s.action, Action::Op(Operation::Fence(f)) if f.db.is(&fence.db) && f.method == fence.method);
        self.runbook.steps.iter().zip(&self.steps).any(|(s, at)| same(s) && at.taken_back())
    }

    /// When this run lifted the fence of a server, or started to.
    pub fn unfenced_at(&self, db: &DatabaseRef) -> Option<Timestamp> {
        let of = self.runbook.steps.iter().zip(&self.steps);
        let when = |(s, at): (&Step, &StepState)| match &s.action {
            Action::Op(Operation::Fence(f)) if f.db.is(db) => {
                at.undo.as_ref().and_then(|u| u.ended_at.or(u.started_at)).or(at.undo_asked)
            }
            Action::Op(Operation::Unfence(Unfence(f))) if f.db.is(db) => {
                at.work.ended_at.or(at.work.started_at)
            }
            _ => None,
        };
        of.filter_map(when).max()
    }

    /// Whether the continued run may have set the fence of this step. Then this run must lift it.
    pub fn inherited(&self, at: usize) -> bool {
        let same = |f: &Fence| {
            self.runbook.inherits.iter().any(|i| i.fence.db.is(&f.db) && i.fence.method == f.method)
        };
        matches!(&self.step(at).action, Action::Op(Operation::Fence(f)) if same(f))
    }

    /// Whether a standby of this component has streamed since this run promoted the component, or this run made one.
    pub fn rejoined(&self, component: &ComponentName) -> bool {
        let promoted = self.promoted_at.get(component);
        self.steps.iter().any(|at| {
            let later = promoted.is_none_or(|p| at.work.ended_at.is_some_and(|ended| ended > *p));
            let follows = |f: &Fact| matches!(f, Fact::Rejoined { component: c, .. } if c == component);
            later && at.facts.iter().any(follows)
        })
    }

    /// Whether no standby of a promoted store streams yet, and a step of the run that has not ended makes one or waits for one.
    pub fn still_makes_standby(&self, component: &ComponentName) -> bool {
        let makes = |(step, at): (&Step, &StepState)| {
            let of = step.phase == Phase::Protect && step.component.as_ref() == Some(component);
            let hook = matches!(step.action, Action::Op(Operation::Run(_)));
            of && !hook && !step.background && !at.work.status.settled()
        };
        self.promoted_at.contains_key(component)
            && !self.rejoined(component)
            && self.runbook.steps.iter().zip(&self.steps).any(makes)
    }

    /// When this run proved that a standby streams, by component.
    pub fn streamed_at(&self) -> impl Iterator<Item = (&ComponentName, Timestamp)> {
        self.steps.iter().filter_map(|at| Some((at, at.work.ended_at?))).flat_map(|(at, ended)| {
            at.facts.iter().filter_map(move |fact| match fact {
                Fact::Rejoined { component, .. } => Some((component, ended)),
                _ => None,
            })
        })
    }

    /// When this run proved that a server takes no writes, because it is fenced or a standby. The pending fence may come from any run.
    pub fn kept_out(&self, db: &DatabaseRef) -> Option<Timestamp> {
        let follows =
            |s: &Step| matches!(&s.action, Action::Op(Operation::Rejoin(Rejoin { db: of, .. })) if of.is(db));
        let ended = self.runbook.steps.iter().zip(&self.steps).filter(|(s, _)| follows(s));
        let rejoined = |at: &StepState| at.facts.iter().any(|f| matches!(f, Fact::Rejoined { .. }));
        let stands = ended.filter(|(_, at)| rejoined(at)).find_map(|(_, at)| at.work.ended_at);
        if stands.is_some() {
            return stands;
        }
        let mine = |s: &&Step| matches!(&s.action, Action::Op(Operation::Fence(f)) if f.db.is(db));
        let of = self.runbook.steps.iter().zip(&self.steps).filter(|(s, at)| mine(s) && !at.taken_back());
        of.flat_map(|(_, at)| &at.facts).find_map(|f| match f {
            Fact::Fenced { at, .. } => Some(*at),
            _ => None,
        })
    }

    /// Whether a gate passed because somebody waived the fence, without a proof.
    pub fn passed_by_waiver(&self, i: usize) -> bool {
        let Action::Gate(Gate::Fenced { component }) = &self.step(i).action else { return false };
        self.debts.contains_key(component)
    }

    /// Records what happens to a waived fence.
    pub(super) fn note_debt(&mut self, what: &EventKind, at: Timestamp) {
        match what {
            EventKind::FenceWaived { component } => {
                let open = |debt: &&FenceDebt| debt.paid.is_none() && debt.settled.is_none();
                let since = self.debts.get(component).filter(open).map_or(at, |debt| debt.since);
                let debt = FenceDebt { since, pending: false, paid: None, settled: None };
                self.debts.insert(component.clone(), debt);
            }
            EventKind::FencePending { component } => {
                if let Some(debt) = self.debts.get_mut(component) {
                    debt.pending = true;
                }
            }
            EventKind::DebtSettled { component, why, who } => {
                if let Some(debt) = self.debts.get_mut(component) {
                    let why =
                        who.as_ref().map_or_else(|| why.clone(), |who| format!("{who} confirmed: {why}"));
                    debt.settled.get_or_insert((at, why));
                }
            }
            EventKind::NewPrimaryChecked { component, writes, seen } => {
                self.note_look(component, (*writes, seen), at);
            }
            EventKind::PlaceAnswered { place, .. } => self.place_answered(place, at),
            _ => {}
        }
    }

    /// A component that was promoted without its fence, if no event says so yet. A requested promotion that may have had no effect does not
    /// count.
    pub fn newly_pending(&self) -> Option<&ComponentName> {
        let took_place = |c: &ComponentName| {
            let Some(i) = self.promotion(c) else { return true };
            let work = &self.steps[i].work;
            let by_others = work.attempts == 0 && !self.runbook.asked.contains(c);
            matches!(work.status, Status::Done(_)) || by_others && self.promoted.contains(c)
        };
        self.owed().find(|c| self.debts.get(*c).is_some_and(|debt| !debt.pending) && took_place(c))
    }

    /// Fences that are still pending. If a promotion was planned but not made, the old primary is the only one.
    pub fn owed(&self) -> impl Iterator<Item = &ComponentName> {
        let second = |c: &ComponentName| self.promoted.contains(c) || self.promotion(c).is_none();
        let owes =
            move |c: &ComponentName, d: &FenceDebt| d.paid.is_none() && d.settled.is_none() && second(c);
        self.debts.iter().filter(move |(c, d)| owes(c, d)).map(|(c, _)| c)
    }

    /// Whether drctl keeps trying a fence, because it is pending or because no step waits for it. It waits for the first answer of the
    /// place where the fence is set.
    pub fn waits_for_life(&self, i: usize) -> bool {
        let (step, at) = (self.step(i), &self.steps[i]);
        let Action::Op(Operation::Fence(fence)) = &step.action else { return false };
        let owed = || self.owed().any(|c| *c == fence.db.component);
        let wanted = match self.finished() {
            true => owed() && !step.debt,
            false => step.background || owed(),
        };
        let over = matches!(at.work.status, Status::Done(_) | Status::Skipped);
        wanted && !over && !at.taken_back() && self.not_needed(i).is_none()
    }

    /// When a place answers again, its failed and waiting fence steps are tried again, and all methods of a pending fence at once.
    fn place_answered(&mut self, place: &str, at: Timestamp) {
        self.answered.insert(place.to_owned(), at);
        let there = |i: &usize| matches!(&self.step(*i).action, Action::Op(Operation::Fence(f)) if f.db.place.name == place);
        let tried: Vec<usize> =
            (0..self.steps.len()).filter(there).filter(|i| self.waits_for_life(*i)).collect();
        for i in tried {
            let owed = self.owed().any(|c| self.step(i).component.as_ref() == Some(c));
            let work = &mut self.steps[i].work;
            match work.status {
                Status::Backoff { .. } => work.status = Status::Started,
                Status::Failed => {
                    *work = Work { status: Status::Started, started_at: Some(at), ..work.again() }
                }
                // Normally it would start only after the method before it failed.
                Status::Pending if owed => (work.status, work.started_at) = (Status::Started, Some(at)),
                _ => {}
            }
        }
        self.place_all();
    }

    /// When this run requested the promotion of a server.
    pub fn made_writer(&self, db: &DatabaseRef) -> Option<Timestamp> {
        let promotes = |s: &&Step| matches!(&s.action, Action::Op(Operation::Promote(Promote { db: of, .. })) if of.is(db));
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

    /// What the run established about a store, for the operations on it.
    pub fn store(&self, db: &DatabaseRef) -> Store<'_> {
        let component = &db.component;
        let set = |r: &usize| self.work(*r).status == Status::Done(End::Performed);
        let aside = self.positions.renames.iter().find_map(|&i| match &self.step(i).action {
            Action::Op(op) => op.renames().filter(|(old, _)| old.is(db)).map(|(_, to)| to.as_str()),
            _ => None,
        });
        Store {
            promoted: self.promoted.contains(component),
            fenced: self.fenced(component).is_some(),
            fenced_by_run: self.rungs(component).iter().any(set),
            fence_token: self.fence_token(component),
            fenced_end: self.fenced_end(component),
            restores: self.restores(component).is_some(),
            aside,
        }
    }

    /// What the proof of a component's fence says.
    pub fn proof(&self, component: &ComponentName) -> Option<&str> {
        self.known_of(component).find_map(|f| match f {
            Fact::Fenced { proof, .. } => Some(proof.as_str()),
            _ => None,
        })
    }

    /// When a component was proven fenced, and its last commit if the fence method could read it.
    pub fn fence_proof(&self, component: &ComponentName) -> Option<Proven> {
        self.known_of(component).find_map(|f| match f {
            Fact::Fenced { at, last_commit, last_commit_there, clock, .. } => {
                Some(Proven { at: *at, last_commit: *last_commit, there: *last_commit_there, clock: *clock })
            }
            _ => None,
        })
    }

    /// Where the log of a component's old primary ended when its fence was proven.
    pub fn fenced_end(&self, component: &ComponentName) -> Option<WalPoint> {
        self.known_of(component).find_map(|f| match f {
            Fact::Fenced { wal, .. } => *wal,
            _ => None,
        })
    }

    /// The token that the fence wrote on a component's old primary. Replicas receive it with the log.
    pub fn fence_token(&self, component: &ComponentName) -> Option<&str> {
        self.known_of(component).find_map(|f| match f {
            Fact::Fenced { word, .. } => word.as_deref(),
            _ => None,
        })
    }

    /// What the old primary of a component had that its standbys do not: as a census read it after writes had ended, with what the runbook
    /// knows of databases that the census could not read; or as the runbook has it.
    pub fn unreplicated(&self, component: &ComponentName) -> Vec<Unreplicated> {
        // A server that turned out to be a replica has no word of the fence, and nobody read what it had as a primary.
        let read = self.known_of(component).find_map(|f| match f {
            Fact::Fenced { method, word: Some(_), unreplicated, .. } if method.tells_the_end() => {
                Some(unreplicated.clone())
            }
            _ => None,
        });
        let planned = || {
            self.runbook.steps.iter().find_map(|s| match &s.action {
                Action::Check(Check::Exposure { db, unreplicated, .. }) if db.component == *component => {
                    Some(unreplicated.clone())
                }
                _ => None,
            })
        };
        let Some(mut read) = read else { return planned().unwrap_or_default() };
        if read.iter().any(|u| u.what == Lost::Unseen) {
            let more: Vec<_> =
                planned().unwrap_or_default().into_iter().filter(|u| !u.is_among(&read)).collect();
            read.extend(more);
        }
        read
    }

    /// Why the last commit that the fence read may not be the last one, if that is so.
    pub fn unexplained(&self, component: &ComponentName) -> Option<&str> {
        self.known_of(component).find_map(|f| match f {
            Fact::Fenced { unexplained, .. } => unexplained.as_deref(),
            _ => None,
        })
    }
}
