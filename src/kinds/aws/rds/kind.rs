//! What the engine asks of an RDS instance.

use std::collections::BTreeSet;

use super::plan::{KEYS, Rds};
use super::sim::SimulatedRds;
use crate::kinds::aws::{ADD_FENCE, FENCE_GROUP, arn, places};
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

const INSTANCE: &[&str] = &[
    "rds:PromoteReadReplica",
    "rds:ModifyDBInstance",
    "rds:RebootDBInstance",
    "rds:CreateDBInstanceReadReplica",
    "rds:AddTagsToResource",
];
const COPIES: &[&str] = &["rds:RestoreDBInstanceToPointInTime", "rds:RestoreDBInstanceFromDBSnapshot"];
const BACKUPS: &[&str] = &["rds:DescribeDBInstanceAutomatedBackups", "rds:DescribeDBSnapshots"];

impl Kind for Rds {
    type Sim = SimulatedRds;

    const CASE: Case = Case { name: "aws.rds", keys: &KEYS, called: &["rds"] };

    fn build(node: &Node) -> Option<Self> {
        Some(Self(database(node, Engine::Rds)))
    }

    fn lint(&self, of: &mut Lint<'_>) {
        places::lint(&self.sites(), of);
        self.0.lint(of, ADD_FENCE);
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

    fn permissions(&self, name: &ComponentName, plan: &dyn Surroundings, needs: &mut Needs) {
        for db in self.0.servers(plan, name) {
            let look = ["rds:DescribeDBInstances", "rds:DescribeEvents", "cloudwatch:GetMetricData"];
            needs.add(&db.place, "*".to_owned(), &look);
            if db.fence_group.is_some() {
                needs.add(&db.place, "*".to_owned(), FENCE_GROUP);
            }
            let instance = arn::regional(&db.place, "rds", &format!("db:{}", db.id));
            needs.add(&db.place, instance.clone(), INSTANCE);
            if db.admin_secret.is_some() {
                needs.add(&db.place, instance, COPIES);
                needs.add(&db.place, "*".to_owned(), BACKUPS);
            }
        }
        self.0.logins(plan, needs);
    }
}
