//! What the engine asks of an Aurora global database.

use std::collections::BTreeSet;

use super::plan::{AuroraGlobal, KEYS};
use super::sim::SimulatedAurora;
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

impl Kind for AuroraGlobal {
    type Sim = SimulatedAurora;

    const CASE: Case = Case { name: "aws.aurora_global", keys: &KEYS, called: &["aurora", "global"] };

    fn build(node: &Node) -> Option<Self> {
        Some(Self(database(node, Engine::Aurora)))
    }

    fn lint(&self, of: &mut Lint<'_>) {
        places::lint(&self.sites(), of);
        self.0.lint(of, ADD_FENCE);
        self.lint_global(of);
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
            let place = &db.place;
            let look = [
                "rds:DescribeGlobalClusters",
                "rds:DescribeDBClusters",
                "rds:DescribeDBInstances",
                "rds:DescribeEvents",
                "cloudwatch:GetMetricData",
            ];
            needs.add(place, "*".to_owned(), &look);
            if db.fence_group.is_some() {
                needs.add(place, "*".to_owned(), FENCE_GROUP);
            }
            let cluster = arn::regional(place, "rds", &format!("cluster:{}", db.id));
            let moves = ["rds:FailoverGlobalCluster", "rds:SwitchoverGlobalCluster"];
            needs.add(place, cluster.clone(), &["rds:ModifyDBCluster"]);
            needs.add(place, cluster, &moves);
            // Instances of a cluster have names that are not known in advance.
            let instances = arn::regional(place, "rds", "db:*");
            needs.add(place, instances, &["rds:RebootDBInstance", "rds:CreateDBInstance"]);
            if let Some(global) = &db.global {
                needs.add(place, arn::global("rds", &format!("global-cluster:{global}")), &moves);
            }
        }
        self.0.logins(plan, needs);
    }
}
