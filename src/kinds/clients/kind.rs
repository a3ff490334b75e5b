//! What the engine asks of clients.

use std::collections::BTreeSet;

use super::plan::{KEYS, build};
use super::sim::SimulatedClients;
use crate::kinds::aws::arn;
use crate::kinds::kind::{Kind, Role, Sight};
use crate::kinds::lint::Lint;
use crate::kinds::shared::clients::moved::Clients;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Check, Needs};
use crate::model::shape::Case;

impl Kind for Clients {
    type Sim = SimulatedClients;

    const CASE: Case = Case { name: "clients", keys: &KEYS, called: &[] };

    fn build(node: &Node) -> Option<Self> {
        build(node)
    }

    fn lint(&self, of: &mut Lint<'_>) {
        self.lint_clients(of);
    }

    fn role(&self) -> Role<'_> {
        Role::Clients(self)
    }

    fn sites(&self) -> BTreeSet<SiteName> {
        self.at.keys().cloned().collect()
    }

    fn targets(&self, name: &ComponentName, plan: &dyn Surroundings) -> Vec<Target> {
        self.at.keys().filter_map(|site| self.secret(plan, name, site)).map(Target::Secret).collect()
    }

    fn samples(&self, _: &ComponentName, _: &dyn Surroundings, _: &SiteName, _: &str) -> Vec<Target> {
        Vec::new()
    }

    fn checks(&self, _: &ComponentName, _: &dyn Surroundings, _: &dyn Sight) -> Vec<Check> {
        Vec::new()
    }

    fn permissions(&self, name: &ComponentName, plan: &dyn Surroundings, needs: &mut Needs) {
        let acts = [
            "secretsmanager:GetSecretValue",
            "secretsmanager:DescribeSecret",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
        ];
        for of in self.at.keys().filter_map(|site| self.secret(plan, name, site)) {
            needs.add(&of.place, arn::secret(&of.place, &of.id), &acts);
        }
    }
}
