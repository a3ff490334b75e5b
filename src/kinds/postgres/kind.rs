//! What the engine asks of a PostgreSQL server of one's own.

use std::collections::BTreeSet;

use super::plan::{KEYS, Postgres};
use super::sim::SimulatedPostgres;
use crate::kinds::kind::{Kind, Role, Sight};
use crate::kinds::lint::Lint;
use crate::kinds::shared::database::plan::database;
use crate::kinds::shared::database::server::Engine;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Check, Needs};
use crate::model::shape::Case;

impl Kind for Postgres {
    type Sim = SimulatedPostgres;

    const CASE: Case = Case { name: "postgres", keys: &KEYS, called: &["postgres", "pg"] };

    fn build(node: &Node) -> Option<Self> {
        Some(Self(database(node, Engine::Postgres)))
    }

    fn lint(&self, of: &mut Lint<'_>) {
        self.0.lint(of, "add `fence: [sql]`");
        self.lint_hosts(of);
    }

    fn role(&self) -> Role<'_> {
        Role::Store(&self.0)
    }

    fn sites(&self) -> BTreeSet<SiteName> {
        self.0.at.keys().cloned().collect()
    }

    fn targets(&self, name: &ComponentName, plan: &dyn Surroundings) -> Vec<Target> {
        self.0.targets(plan, name)
    }

    fn samples(&self, _: &ComponentName, _: &dyn Surroundings, _: &SiteName, _: &str) -> Vec<Target> {
        Vec::new()
    }

    fn checks(&self, _: &ComponentName, _: &dyn Surroundings, _: &dyn Sight) -> Vec<Check> {
        Vec::new()
    }

    fn permissions(&self, _: &ComponentName, plan: &dyn Surroundings, needs: &mut Needs) {
        self.0.logins(plan, needs);
    }
}
