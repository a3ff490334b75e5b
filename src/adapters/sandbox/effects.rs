//! The effects of calls on a simulated estate, and their durations.

use super::estate::{Answer, Estate, Transition};
use super::scenario::roll;
use super::server::{Worker, listens};
use crate::kinds::aws::aurora::AddClusterInstance;
use crate::kinds::aws::rds::Rename;
use crate::kinds::shared::capacity::{Sent, Size};
use crate::kinds::shared::database::{DatabaseRef, Engine};
use crate::kinds::shared::fence::Unfence;
use crate::kinds::shared::names::{ChangeState, Switch, ZoneRef};
use crate::kinds::shared::promotion::{Promote, Withdraw};
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::RestoreStep;
use crate::kinds::shared::secret::{ClientSecret, ClientWay, SecretState, UpdateClientSecret};
use crate::kinds::{Operation, Target};
use crate::model::time::Dur;
use crate::record::action::{Action, Write};

impl Estate {
    pub(super) fn operate(&mut self, op: &Operation) -> Answer {
        use Operation as O;
        match op {
            O::Fence(fence) => self.fence(fence),
            O::Unfence(Unfence(fence)) => self.unfence(fence),
            O::Promote(Promote { db, takeover: Some(how), .. }) => self.take_over(db, how),
            O::Promote(Promote { db, .. }) => self.promote(db),
            O::Withdraw(Withdraw { db }) => self.withdraw(db),
            O::AddClusterInstance(AddClusterInstance { db, instance }) => self.equip(db, instance),
            O::Rejoin(Rejoin { db, source, replica: None, .. }) => self.rejoin(db, source),
            O::Rejoin(Rejoin { db, source, .. }) => self.create_replica(db, source),
            O::Rename(Rename { db, to }) => self.rename(db, to),
            O::Restore(RestoreStep { part, of }) => self.restore(*part, of),
            O::Switch(switch) => self.switch(switch),
            O::SetHealthObject(signal) => self.signal(signal),
            O::SetRoutingControls(route) => self.route(route),
            O::UpdateClientSecret(point) => self.point(point),
            O::WriteCanary(of) => self.write_row(&of.db, None),
            O::WriteAsClient(of) => self.write_row(&of.db, Some(&of.way)),
            O::Run(_)
            | O::CheckPromotable(_)
            | O::CheckAvailable(_)
            | O::CheckCaughtUp(_)
            | O::CheckFollows(_)
            | O::CheckAnswers(_)
            | O::CompareObjects(_) => Ok(None),
            op => match op.scaled() {
                Some((target, _, sent)) => self.scale(&target, sent),
                None => Err(("NotSimulated", format!("the sandbox does not simulate this: {op}"))),
            },
        }
    }

    pub(super) fn find(&self, db: &DatabaseRef) -> Result<usize, (&'static str, String)> {
        let found = self.index.dbs.get(&(db.id.clone(), db.place.name.clone()));
        found.copied().ok_or_else(|| ("DBInstanceNotFound", format!("DBInstance {} not found", db.id)))
    }

    pub(super) fn find_pool(&self, of: &Target) -> Result<usize, (&'static str, String)> {
        let found = self.index.pools.get(&of.key());
        found.copied().ok_or_else(|| ("ValidationError", format!("name not found - {of}")))
    }

    pub(super) fn find_zone(&self, zone: &ZoneRef) -> Result<usize, (&'static str, String)> {
        let found = self.index.zones.get(&(zone.zone.clone(), zone.component.to_string()));
        found
            .copied()
            .ok_or_else(|| ("NoSuchHostedZone", format!("No hosted zone found with ID: {}", zone.zone)))
    }

    pub(super) fn promote(&mut self, db: &DatabaseRef) -> Answer {
        let i = self.find(db)?;
        if self.dbs[i].source.is_none() || self.dbs[i].status != "available" {
            return Err((
                "InvalidDBInstanceState",
                format!("DB instance {} is not a read replica in state available", db.id),
            ));
        }
        self.dbs[i].promotions += 1;
        let n = self.dbs[i].promotions.to_string();
        let works = !(self.scenario.first_promotion_fails && self.dbs[i].promotions == 1);
        // The status stays `available` for a while after the call was accepted. A completion test must not trust it.
        let modifying = self.now + Dur(1_000 + roll(self.seed, &["modifying", &db.id, &n], 4_000));
        let takes = match db.engine {
            Engine::Rds | Engine::Aurora => {
                let longer = self.scenario.promotion_takes.millis();
                longer + 60_000 + roll(self.seed, &["promote", &db.id, &n], 90_000)
            }
            // The server ends its recovery without a restart.
            Engine::Postgres => {
                self.scenario.promotion_waits.millis() + roll(self.seed, &["promote", &db.id, &n], 3_000)
            }
        };
        let done = modifying + Dur(takes);
        if db.engine == Engine::Rds {
            self.schedule(modifying, Transition::Modifying(i));
        }
        self.schedule(done, Transition::Promoted(i, works));
        Ok(None)
    }

    /// After a restart, a standby no longer knows an earlier request to promote it.
    pub(super) fn withdraw(&mut self, db: &DatabaseRef) -> Answer {
        let i = self.find(db)?;
        if self.dbs[i].source.is_none() {
            return Err(("Promoted", format!("{} is no longer a standby", db.id)));
        }
        let asked = |due: &Transition| match due {
            Transition::Promoted(of, _) => *of == i,
            Transition::Effect(action) => {
                matches!(&**action, Action::Op(Operation::Promote(Promote { db: of, .. })) if of.is(db))
            }
            _ => false,
        };
        self.pending.retain(|_, due| !asked(due));
        Ok(None)
    }

    pub(super) fn rejoin(&mut self, db: &DatabaseRef, source: &DatabaseRef) -> Answer {
        let (i, source) = (self.find(db)?, self.find(source)?);
        // It stops first, so it takes no writes from then on.
        let now = self.now;
        self.dbs[i].stopped_at.get_or_insert(now);
        self.dbs[i].status = "stopped";
        let takes = Dur(20_000 + roll(self.seed, &["rejoin", &db.id], 60_000));
        self.schedule(now + takes, Transition::Rejoined(i, source));
        Ok(None)
    }

    pub(super) fn follow(&mut self, i: usize, source: usize) {
        // Writes that only this server had are lost for good once it follows.
        self.settle_loss(source);
        let (id, timeline) = (self.dbs[source].reference.id.clone(), self.dbs[source].timeline);
        let db = &mut self.dbs[i];
        (db.source, db.timeline, db.status) = (Some(id), timeline, "available");
        db.worker = Worker::None;
        (db.stopped_at, db.frozen_at, db.fenced) = (None, None, std::collections::BTreeSet::new());
    }

    pub(super) fn scale(&mut self, of: &Target, sent: Sent) -> Answer {
        let i = self.find_pool(of)?;
        let was = self.pools[i].capacity.size;
        let to = Size {
            min: sent.min.unwrap_or(was.min),
            desired: sent.desired.unwrap_or(was.desired),
            max: sent.max.unwrap_or(was.max),
        };
        if to.desired > to.max || to.desired < to.min {
            return Err((
                "ValidationError",
                "Desired capacity must be between the specified min size and max size".to_owned(),
            ));
        }
        let pool = &mut self.pools[i];
        let now = &mut pool.capacity;
        now.size = to;
        now.in_service = now.in_service.min(to.desired);
        let more = to.desired.saturating_sub(now.in_service + pool.coming);
        pool.coming += more;
        let name = pool.name.clone();
        let first = self.now + Dur(45_000 + roll(self.seed, &["launch", &name], 60_000));
        for n in 0..more {
            let ready = first
                + Dur(u64::from(n) * 4_000 + roll(self.seed, &["instance", &name, &n.to_string()], 15_000));
            self.schedule(ready, Transition::Instance(i));
        }
        Ok(None)
    }

    pub(super) fn switch(&mut self, switch: &Switch) -> Answer {
        let i = self.find_zone(&switch.zone)?;
        let mut sets = self.zones[i].sets.clone();
        for change in &switch.changes {
            if let Some(before) = &change.before {
                let at = sets.iter().position(|s| s == before);
                let at = at.ok_or_else(|| {
                    (
                        "InvalidChangeBatch",
                        format!(
                            "Tried to delete resource record set {} but the values provided do not match",
                            before.name
                        ),
                    )
                })?;
                sets.remove(at);
            }
            if let Some(there) = change.find(&sets).filter(|_| change.after.is_some()) {
                let name = &there.name;
                let why = format!("Tried to create resource record set {name} but it already exists");
                return Err(("InvalidChangeBatch", why));
            }
            sets.extend(change.after.clone());
        }
        let id = format!("C{:08}", self.zones[i].changes.len() + 1);
        self.zones[i].sets = sets;
        self.zones[i].changes.insert(id.clone(), ChangeState::Pending);
        let insync = self.now + Dur(12_000 + roll(self.seed, &["insync", &switch.zone.zone, &id], 40_000));
        self.schedule(insync, Transition::Insync(i, id.clone()));
        Ok(Some(id))
    }

    pub(super) fn point(&mut self, point: &UpdateClientSecret) -> Answer {
        let missing = || ("ResourceNotFoundException", format!("secret {} does not exist", point.secret.id));
        let led = self.secrets.get_mut(&point.secret).ok_or_else(missing)?;
        led.fields.extend(point.to.clone());
        Ok(None)
    }

    /// Where a secret sends clients.
    pub(super) fn leads(&self, secret: &ClientSecret) -> Option<SecretState> {
        let fields = self.secrets.get(secret)?.fields.clone();
        Some(SecretState { fields, replica_of: None, rotating: false, owned_by: None })
    }

    /// Writes a row, over the path that clients use if the action asks for that.
    pub(super) fn write_row(&self, db: &DatabaseRef, way: Option<&ClientWay>) -> Answer {
        let i = self.find(db)?;
        let led =
            |secret: &ClientSecret| self.leads(secret).map(|s| s.fields) == secret.leading_to(&listens(db));
        let there = match way {
            Some(way) if way.endpoint.is_none() => way.secret.as_ref().is_some_and(led),
            _ => true,
        };
        if there && self.accepts(&self.dbs[i]) {
            Ok(None)
        } else {
            Err(("25006", "cannot execute INSERT in a read-only transaction".to_owned()))
        }
    }

    pub(super) fn write(&mut self, write: &Write) -> Answer {
        match write {
            Write::Guard { component, holder, instead_of, .. } => match self.guards.get(component) {
                Some(other) if other != holder && Some(other) != instead_of.as_ref() => {
                    Err(("PreconditionFailed", format!("the guard is held by {other}")))
                }
                _ => {
                    self.guards.insert(component.clone(), holder.clone());
                    Ok(None)
                }
            },
            Write::ReleaseGuard { component, holder, .. } => {
                if self.guards.get(component) == Some(holder) {
                    self.guards.remove(component);
                }
                Ok(None)
            }
        }
    }
}
