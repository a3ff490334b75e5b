//! STS: the identity of the credentials, from the STS of the recovery region.

use super::Aws;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::control::IdentityState;
use crate::model::place::Place;

impl Aws {
    /// The identity of a place's credentials.
    pub(super) async fn identity(&self, place: &Place) -> Observation {
        let site = self.site(place).await;
        match self.look("sts", place, || site.sts().get_caller_identity().send()).await {
            Ok(who) => {
                let (account, arn) = (who.account().unwrap_or_default(), who.arn().unwrap_or_default());
                let state = IdentityState { account: account.to_owned(), arn: arn.to_owned() };
                self.seen(State::Identity(state), "sts:GetCallerIdentity")
            }
            Err(failure) => failure.observation(self.now()),
        }
    }
}
