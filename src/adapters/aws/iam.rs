//! IAM: whether the credentials have the permissions that a recovery needs. RDS: whether the account's quotas allow it.
//!
//! Sources: IAM API Reference, `SimulatePrincipalPolicy`; Amazon RDS API Reference, `DescribeAccountAttributes`. A simulation
//! covers the policies and the boundary of a principal, and the policies of its organization, but not the policies of buckets,
//! keys and secrets.

use aws_sdk_iam::types::{EvaluationResult, PolicyEvaluationDecisionType};

use super::Aws;
use super::error::Failure;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::model::place::Place;
use crate::model::readiness::{GrantedState, Need, Quota, QuotasState};

/// IAM's API is in one region (AWS General Reference, «IAM endpoints and quotas»). drctl uses it only in advance; no recovery
/// needs it.
const SERVICE: &str = "iam";

impl Aws {
    /// Which of these calls the credentials of a place may not make.
    pub(super) async fn granted(&self, place: &Place, needs: &[Need]) -> Observation {
        match self.simulated(place, needs).await {
            Ok(state) => self.seen(State::Granted(state), "iam:SimulatePrincipalPolicy"),
            Err(failure) => failure.observation(self.now()),
        }
    }

    async fn simulated(&self, place: &Place, needs: &[Need]) -> Result<GrantedState, Failure> {
        let site = self.site(place).await;
        let who = self.look("sts", place, || site.sts().get_caller_identity().send()).await?;
        let (account, caller) = (who.account().unwrap_or_default(), who.arn().unwrap_or_default());
        let partition = caller.split(':').nth(1).unwrap_or("aws");
        let principal = self.principal(place, caller).await?;
        let mut state = GrantedState { principal: principal.clone(), ..GrantedState::default() };
        for need in needs {
            let resource = need.resource.replace("{account}", account).replace("{partition}", partition);
            let asked = |marker: Option<String>| {
                site.iam()
                    .simulate_principal_policy()
                    .policy_source_arn(&principal)
                    .set_action_names(Some(need.actions.iter().cloned().collect()))
                    .resource_arns(&resource)
                    .set_marker(marker)
                    .send()
            };
            let pages = self.pages(SERVICE, place, asked, |page| page.marker()).await?;
            for result in pages.iter().flat_map(|page| page.evaluation_results()) {
                judge(result, &resource, &mut state);
            }
        }
        Ok(state)
    }

    /// The principal whose policies apply. For a session it is the role, whose path only IAM knows.
    async fn principal(&self, place: &Place, caller: &str) -> Result<String, Failure> {
        let parts: Vec<&str> = caller.split(':').collect();
        let session = parts.get(5).and_then(|rest| rest.strip_prefix("assumed-role/"));
        let Some(role) = session.and_then(|rest| rest.split('/').next()) else {
            return match parts.get(5) {
                Some(&"root") => Err(Failure::never(
                    "Root",
                    "AWS cannot check the permissions of the root user of an account; use a role",
                )),
                _ => Ok(caller.to_owned()),
            };
        };
        let site = self.site(place).await;
        let found = self.look(SERVICE, place, || site.iam().get_role().role_name(role).send()).await?;
        Ok(found.role().map_or_else(|| caller.to_owned(), |role| role.arn().to_owned()))
    }

    /// The database quotas of a place's account, and how much of them is used.
    pub(super) async fn quotas(&self, place: &Place) -> Observation {
        let site = self.site(place).await;
        match self.look("rds", place, || site.rds().describe_account_attributes().send()).await {
            Ok(answer) => {
                let of = answer.account_quotas().iter().filter_map(|quota| {
                    let name = quota.account_quota_name()?.to_owned();
                    Some((name, Quota { used: quota.used()?, max: quota.max()? }))
                });
                self.seen(State::Quotas(QuotasState { of: of.collect() }), "rds:DescribeAccountAttributes")
            }
            Err(failure) => failure.observation(self.now()),
        }
    }
}

/// A call whose decision depends on values that only a real call has counts as unclear. A pattern as resource is compared
/// character by character, so a missing match says nothing about the real resource.
fn judge(result: &EvaluationResult, resource: &str, state: &mut GrantedState) {
    state.asked += 1;
    let call = format!("{} on {resource}", result.eval_action_name());
    let (decision, missing) = (result.eval_decision(), result.missing_context_values());
    let pattern = resource.contains(['*', '?']);
    match decision {
        _ if !missing.is_empty() => {
            state.unclear.push(format!("{call} (it depends on {})", missing.join(", ")))
        }
        PolicyEvaluationDecisionType::Allowed => {}
        PolicyEvaluationDecisionType::ImplicitDeny if pattern => {
            state.unclear.push(format!("{call} (no policy names exactly this resource)"));
        }
        _ => state.denied.push(call),
    }
}
