//! Clients that still use an old server, because a run moved their database and could not change the secret that they read.

use serde_json::json;

use crate::inventory::{Estate, Knowledge, active};
use crate::kinds::shared::secret::ClientSecret;
use crate::kinds::{Role, Target};
use crate::model::ids::RunId;
use crate::model::time::Timestamp;
use crate::plan::Plan;
use crate::planner::Debt;
use crate::run::RunState;
use crate::run::continued::unchanged_secrets;

/// Clients of one site that a run left.
#[derive(Clone, Debug)]
pub struct ClientsLeft {
    /// The run.
    pub run: RunId,
    /// The secret that they read.
    pub secret: ClientSecret,
    /// What they may do, and how to change that.
    pub words: String,
}

/// Clients that these runs of one world left. A secret that answers now is compared with the database instead.
pub fn left(
    runs: &[&RunState],
    plan: &Plan,
    (seen, now): (&Estate, Timestamp),
    owed: &[Debt],
) -> Vec<ClientsLeft> {
    let active = active::active_site(plan, seen, now);
    let of = |(state, secret): (&RunState, &ClientSecret)| {
        let site = &secret.place.name;
        let answers = matches!(seen.secret(&Target::Secret(secret.clone()), now), Knowledge::Fresh(_));
        if answers || active.site().is_some_and(|active| active.as_str() == site.as_str()) {
            return None;
        }
        let run = &state.created.run;
        let of = match plan.components.get(&secret.component).map(|component| component.role()) {
            Some(Role::Clients(clients)) => Some(&clients.of.value),
            _ => None,
        };
        let pending = owed.iter().any(|debt| debt.run == *run && Some(&debt.component) == of);
        let fence = if pending { ", which is not fenced" } else { "" };
        let command = state.created.command_of_plan("reprotect", &format!(" --to {site}"));
        let words = format!(
            "{} in {site} may still use the old server{fence}: run {run} could not change secret {}. Once {site} answers, run {command}",
            secret.component, secret.id
        );
        Some(ClientsLeft { run: run.clone(), secret: secret.clone(), words })
    };
    unchanged_secrets(runs).into_iter().filter_map(of).collect()
}

impl ClientsLeft {
    /// The name of the secret, as in advice.
    pub fn what(&self) -> String {
        format!("secret {} in {}", self.secret.id, self.secret.place.name)
    }

    /// The JSON form.
    pub fn json(&self) -> serde_json::Value {
        json!({
            "component": self.secret.component, "site": self.secret.place.name, "secret": self.secret.id,
            "run": self.run, "text": self.words,
        })
    }
}
