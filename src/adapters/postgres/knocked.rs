//! Tries the logins of clients at a server whose fence looks proven.

use std::pin::pin;

use futures_util::future::{Either, select};

use super::sql::Sql;
use crate::adapters::secrets::{Knock, NoLogin};
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::fence::{FenceMethod, FenceStage};
use crate::kinds::shared::secret::ClientWay;
use crate::model::time::Dur;

/// How long a proof waits for the login of clients.
const SECRET: Dur = Dur::secs(2);

/// What came of one login.
enum Tried {
    /// The fence stays proven, with these words about the login.
    Holds(Option<String>),
    /// It is not proven.
    Fails(FenceStage, String),
}

impl Sql {
    /// If a fence looks proven, tries the client logins of the plan: the server must refuse each for the fence's own reason.
    pub(super) async fn knocked(
        &self,
        db: &DatabaseRef,
        method: FenceMethod,
        endpoint: &str,
        mut seen: Observation,
    ) -> Observation {
        let Observation::Value { state: State::Fence(fence), .. } = &mut seen else { return seen };
        for way in &db.clients {
            if !fence.proven {
                break;
            }
            match self.tried(db, method, endpoint, way).await {
                Tried::Holds(words) => {
                    words.iter().for_each(|words| fence.proof.push_str(&format!("; {words}")))
                }
                Tried::Fails(stage, why) => {
                    (fence.proven, fence.stage, fence.proof) = (false, stage, format!("not proven: {why}"));
                }
            }
        }
        seen
    }

    async fn tried(&self, db: &DatabaseRef, method: FenceMethod, endpoint: &str, way: &ClientWay) -> Tried {
        let late = self.world.sleep_until(self.world.now() + SECRET);
        let read = match select(pin!(self.as_client(db, way)), pin!(late)).await {
            Either::Left((read, _)) => read,
            Either::Right(_) => Err(format!("its secret could not be read within {SECRET}").into()),
        };
        let login = match read {
            Ok((_, login)) => login,
            // Nothing answered: the secret may be in the lost region, and the proof does not wait for it.
            Err(why @ (NoLogin::Passing(_) | NoLogin::Locked { .. })) => {
                return Tried::Holds(Some(format!("one client login was not tried: {why}")));
            }
            Err(why @ (NoLogin::Refused { .. } | NoLogin::Unusable(_))) => {
                return Tried::Fails(FenceStage::Partial, format!("one client login was not tried: {why}"));
            }
        };
        let user = &login.username;
        if db.harmless.iter().any(|h| h.vouches_for(user)) {
            return Tried::Holds(None);
        }
        match self.postgres.knock(endpoint, &login, method).await {
            Knock::Shut(why) => Tried::Holds(Some(format!("the server refused a login as {user} ({why})"))),
            Knock::Open => {
                Tried::Fails(FenceStage::Partial, format!("the server accepted a client login as {user}"))
            }
            Knock::NoProof(why) => Tried::Fails(
                FenceStage::Ineffective,
                format!("a login as {user} failed, but not because of the fence: {why}"),
            ),
        }
    }
}
