//! Promotions of a simulated replica.

use super::Promote;
use crate::kinds::operation::Operation;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::database::sim::{ServerEvent, Servers};
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::answer::{Answer, Refused};
use crate::model::time::Timestamp;

impl Servers {
    /// Accepts a promotion. `ends` says when it ends, from its number.
    ///
    /// # Errors
    /// The server is no replica, or is not available.
    pub fn promote(
        &mut self,
        db: &DatabaseRef,
        ends: impl FnOnce(&str, &SimulatedWorld) -> Timestamp,
        world: &mut SimulatedWorld,
    ) -> Answer {
        let i = self.find(db)?;
        let of = &mut self.all[i];
        if of.source.is_none() || of.status != "available" {
            let why = format!("DB instance {} is not a read replica in state available", db.id);
            return Err(Refused::for_now("InvalidDBInstanceState", why));
        }
        of.promotions += 1;
        let works = !(world.scenario.first_promotion_fails && of.promotions == 1);
        let done = ends(&of.promotions.to_string(), world);
        self.agenda.schedule(done, ServerEvent::Promoted(i, works), world);
        Ok(None)
    }

    /// A promotion ends.
    pub fn promoted(&mut self, i: usize, works: bool, world: &SimulatedWorld) {
        self.all[i].status = "available";
        if works {
            self.comes_over(i, world);
            self.all[i].frozen_at = Some(self.replayed(i, world));
            self.wins(i, world);
        }
    }

    /// Withdraws a promotion: after a restart, a standby no longer knows an earlier request.
    ///
    /// # Errors
    /// It is promoted already.
    pub fn withdraw(&mut self, db: &DatabaseRef, world: &mut SimulatedWorld) -> Answer {
        let i = self.find(db)?;
        if self.all[i].source.is_none() {
            return Err(Refused::always("Promoted", format!("{} is no longer a standby", db.id)));
        }
        self.agenda.cancel(|event| matches!(event, ServerEvent::Promoted(of, _) if *of == i));
        world.lose_calls(|op| matches!(op, Operation::Promote(Promote { db: of, .. }) if of.is(db)));
        Ok(None)
    }
}
