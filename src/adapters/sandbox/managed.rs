//! Managed instances: renaming them, and creating them as replicas. The declared name keeps its entry in the estate, so that DNS
//! names and groups find it. A renamed instance gets an entry of its own.

use super::estate::{Answer, Estate, Transition};
use super::scenario::roll;
use super::server::{Db, GONE, Isolation, Worker};
use crate::kinds::aws::rds::NEW_NAME;
use crate::kinds::shared::database::{DatabaseRef, Engine, InstanceSettings};
use crate::model::time::Dur;

impl Estate {
    pub(super) fn rename(&mut self, db: &DatabaseRef, to: &str) -> Answer {
        let i = self.find(db)?;
        if self.dbs[i].status != "available" {
            let why = format!("Database instance {} is not in available state.", db.id);
            return Err(("InvalidDBInstanceState", why));
        }
        let taken = self.index.dbs.get(&(to.to_owned(), db.place.name.clone()));
        if taken.is_some_and(|&other| other != i && self.dbs[other].status != GONE) {
            return Err(("DBInstanceAlreadyExists", "DB instance already exists".to_owned()));
        }
        self.dbs[i].status = "renaming";
        let takes = Dur(NEW_NAME.millis() - 120_000 + roll(self.seed, &["rename", &db.id, to], 240_000));
        self.schedule(self.now + takes, Transition::Renamed(i, to.to_owned()));
        Ok(None)
    }

    /// Finishes a rename: the instance gets an entry of its own, or returns to the one of the declared name.
    pub(super) fn renamed(&mut self, i: usize, to: &str) {
        let site = self.dbs[i].site.to_string();
        let id = std::mem::replace(&mut self.dbs[i].reference.id, to.to_owned());
        let slot = self.slot(to, &site);
        let place = match slot {
            Some(slot) => {
                let mut back = self.dbs[i].clone();
                (back.status, back.retired) = ("available", false);
                self.dbs[slot] = back;
                (self.dbs[i].status, self.dbs[i].retired) = (GONE, true);
                slot
            }
            None => {
                let mut aside = self.dbs[i].clone();
                (aside.status, aside.retired) = ("available", true);
                self.dbs.push(aside);
                (self.dbs[i].status, self.dbs[i].reference.id) = (GONE, id.clone());
                self.dbs.len() - 1
            }
        };
        self.index.dbs.remove(&(id.clone(), site.clone()));
        self.index.dbs.insert((to.to_owned(), site), place);
        for db in self.dbs.iter_mut().filter(|d| d.source.as_ref() == Some(&id)) {
            db.source = Some(to.to_owned());
        }
    }

    /// The entry of a declared name that no instance has.
    pub(super) fn slot(&self, id: &str, site: &str) -> Option<usize> {
        self.dbs
            .iter()
            .position(|d| !d.retired && d.status == GONE && d.reference.id == id && d.site.as_str() == site)
    }

    pub(super) fn create_replica(&mut self, db: &DatabaseRef, source: &DatabaseRef) -> Answer {
        let source = self.find(source)?;
        let Some(i) = self.slot(&db.id, &db.place.name) else {
            return Err(("DBInstanceAlreadyExists", "DB instance already exists".to_owned()));
        };
        if self.dbs[source].status != "available" {
            let why = "The source is not in available state.".to_owned();
            return Err(("InvalidDBInstanceState", why));
        }
        let (id, timeline) = (self.dbs[source].reference.id.clone(), self.dbs[source].timeline);
        let slot = &mut self.dbs[i];
        (slot.source, slot.timeline, slot.status) = (Some(id), timeline, "creating");
        (slot.stopped_at, slot.frozen_at, slot.fenced) = (None, None, std::collections::BTreeSet::new());
        (slot.isolation, slot.worker) = (Isolation::default(), Worker::None);
        self.index.dbs.insert((db.id.clone(), db.place.name.clone()), i);
        let takes = Dur(600_000 + roll(self.seed, &["create", &db.id], 900_000));
        self.schedule(self.now + takes, Transition::Created(i));
        Ok(None)
    }
}

impl Db {
    /// The settings that the control plane reports.
    pub(super) fn settings(&self) -> Option<Box<InstanceSettings>> {
        let place = &self.reference.place;
        let account = place.account.as_deref().unwrap_or("000000000000");
        (self.reference.engine == Engine::Rds).then(|| {
            Box::new(InstanceSettings {
                arn: format!("arn:aws:rds:{}:{account}:db:{}", place.region, self.reference.id),
                class: "db.r6g.large".to_owned(),
                backup_days: if self.source.is_none() { 7 } else { 0 },
                ..InstanceSettings::default()
            })
        })
    }

    /// Whether drctl can query its WAL position by SQL.
    pub(super) fn tells_its_log(&self) -> bool {
        match self.reference.engine {
            Engine::Postgres => true,
            Engine::Rds => self.reference.admin_secret.is_some(),
            Engine::Aurora => false,
        }
    }
}
