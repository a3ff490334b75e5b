//! Aurora global databases: the service moves the writer, and makes the old writer a secondary as soon as it can.

use std::collections::BTreeSet;

use super::estate::{Answer, Estate, Transition};
use super::scenario::roll;
use crate::kinds::shared::database::{
    ClusterInstance, ClusterState, DatabaseRef, Engine, HEADLESS, NewMember,
};
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::shared::promotion::{Handover, Takeover};
use crate::model::time::Dur;

/// The status of a cluster that is taking over.
const MOVING: &str = "switching-over";

impl Estate {
    /// The instances of a cluster and its state.
    pub(super) fn parts(&self, i: usize) -> Option<Box<ClusterState>> {
        let db = &self.dbs[i];
        let of = &db.reference;
        (of.engine == Engine::Aurora).then(|| {
            let instance = ClusterInstance {
                id: format!("{}-1", of.id),
                class: "db.r6g.large".to_owned(),
                status: "available".to_owned(),
                writer: db.source.is_none(),
            };
            let account = of.place.account.as_deref().unwrap_or("000000000000");
            Box::new(ClusterState {
                arn: format!("arn:aws:rds:{}:{account}:cluster:{}", of.place.region, of.id),
                engine: "aurora-postgresql".to_owned(),
                version: "16.4".to_owned(),
                instances: (!db.headless).then_some(instance).into_iter().chain(db.joined.clone()).collect(),
                forwarding: Vec::new(),
                data_api: false,
            })
        })
    }

    /// The status, as an adapter reports it.
    pub(super) fn status(&self, i: usize) -> &'static str {
        let db = &self.dbs[i];
        let serves = !db.headless || db.joined.as_ref().is_some_and(|m| m.status == "available");
        if serves { db.status } else { HEADLESS }
    }

    pub(super) fn equip(&mut self, db: &DatabaseRef, instance: &NewMember) -> Answer {
        let i = self.find(db)?;
        if self.dbs[i].joined.is_some() {
            return Err(("DBInstanceAlreadyExists", "DB instance already exists".to_owned()));
        }
        let (id, class) = (instance.id.clone(), instance.class.clone());
        self.dbs[i].joined =
            Some(ClusterInstance { id, class, status: "creating".to_owned(), writer: false });
        let takes = Dur(240_000 + roll(self.seed, &["equip", &db.id], 240_000));
        self.schedule(self.now + takes, Transition::Joined(i));
        Ok(None)
    }

    pub(super) fn joined(&mut self, i: usize) {
        if let Some(member) = &mut self.dbs[i].joined {
            member.status = "available".to_owned();
        }
    }

    pub(super) fn take_over(&mut self, db: &DatabaseRef, how: &Takeover) -> Answer {
        let i = self.find(db)?;
        let busy = self.dbs[i].source.is_none() || self.status(i) != "available";
        if busy {
            let why =
                format!("{} has no instance, is being moved, or is the primary already", how.target_arn);
            return Err(("InvalidDBClusterStateFault", why));
        }
        let writer = self.writer_of(i);
        if how.by == Handover::Switchover {
            // A switchover needs the writer, which then stops taking writes.
            let Some(old) =
                writer.filter(|&w| !self.is_lost(self.dbs[w].site.as_str()) && !self.is_between(w, i))
            else {
                let why = "the primary cluster is not in available state.".to_owned();
                return Err(("InvalidGlobalClusterStateFault", why));
            };
            let now = self.now;
            self.dbs[old].stopped_at.get_or_insert(now);
            self.dbs[old].status = MOVING;
        }
        self.dbs[i].promotions += 1;
        self.dbs[i].status = MOVING;
        let n = self.dbs[i].promotions.to_string();
        let takes = Dur(30_000 + roll(self.seed, &["take over", &db.id, &n], 60_000));
        self.schedule(self.now + takes, Transition::TakenOver(i, how.by));
        Ok(None)
    }

    fn writer_of(&self, i: usize) -> Option<usize> {
        let (component, of) = (self.dbs[i].component, self.dbs[i].source.as_deref()?);
        self.dbs.iter().position(|d| d.component == component && d.reference.id == of && d.source.is_none())
    }

    pub(super) fn taken_over(&mut self, i: usize, by: Handover) {
        self.dbs[i].status = "available";
        let Some(old) = self.writer_of(i) else { return };
        self.dbs[old].status = "available";
        let lost = self.is_lost(self.dbs[old].site.as_str()) || self.is_between(old, i);
        if by != Handover::Switchover || !lost {
            self.comes_over(i);
        }
        if by == Handover::Switchover {
            if lost {
                // The writer cannot hand over, so nothing changes.
                return;
            }
            self.dbs[i].frozen_at = Some(self.now);
        } else {
            self.dbs[i].frozen_at = Some(self.replayed(i));
        }
        self.wins(i);
        let all: Vec<_> =
            (0..self.dbs.len()).filter(|&o| self.dbs[o].component == self.dbs[i].component).collect();
        for other in all.into_iter().filter(|&o| o != i) {
            if self.is_lost(self.dbs[other].site.as_str()) || self.is_between(other, i) {
                self.left.push((other, i));
            } else {
                self.second(other, i);
            }
        }
    }

    /// The region answers again: the service finds old writers there and makes them secondaries.
    pub(super) fn found_again(&mut self) {
        for (other, writer) in std::mem::take(&mut self.left) {
            if self.is_lost(self.dbs[other].site.as_str()) || self.is_between(other, writer) {
                self.left.push((other, writer));
                continue;
            }
            let takes = Dur(30_000 + roll(self.seed, &["found", &self.dbs[other].reference.id], 120_000));
            self.schedule(self.now + takes, Transition::Second(other, writer));
        }
    }

    /// The old writer becomes a secondary. It keeps the security groups that a fence attached.
    pub(super) fn second(&mut self, other: usize, writer: usize) {
        if self.dbs[writer].source.is_some() {
            return;
        }
        let of = &self.dbs[other];
        let kept: BTreeSet<FenceMethod> =
            of.fenced.iter().copied().filter(|m| *m == FenceMethod::SecurityGroup).collect();
        let alone = of.isolation.alone.then_some(FenceMethod::SecurityGroup);
        self.follow(other, writer);
        self.dbs[other].fenced = kept.into_iter().chain(alone).collect();
    }
}
