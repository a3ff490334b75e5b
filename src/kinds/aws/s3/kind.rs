//! What the engine asks of buckets.

use std::collections::BTreeSet;

use super::checks;
use super::plan::{Buckets, KEYS, build};
use super::sim::SimulatedBuckets;
use crate::kinds::aws::{arn, places};
use crate::kinds::kind::{Kind, Role, Sight};
use crate::kinds::lint::Lint;
use crate::kinds::shared::buckets::BucketRef;
use crate::kinds::shared::copies::Copies as _;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Check, Needs};
use crate::model::shape::Case;

impl Kind for Buckets {
    type Sim = SimulatedBuckets;

    const CASE: Case = Case { name: "aws.s3", keys: &KEYS, called: &["bucket", "s3"] };

    fn build(node: &Node) -> Option<Self> {
        Some(build(node))
    }

    fn lint(&self, of: &mut Lint<'_>) {
        places::lint(&self.sites(), of);
        self.lint_names(of);
    }

    fn role(&self) -> Role<'_> {
        Role::Copy(self)
    }

    fn sites(&self) -> BTreeSet<SiteName> {
        self.at.keys().cloned().collect()
    }

    fn targets(&self, name: &ComponentName, plan: &dyn Surroundings) -> Vec<Target> {
        self.at.keys().filter_map(|site| self.bucket(plan, name, site)).map(Target::Bucket).collect()
    }

    /// Objects of the bucket in the active site, compared with their copies in every other site.
    fn samples(
        &self,
        name: &ComponentName,
        plan: &dyn Surroundings,
        active: &SiteName,
        seed: &str,
    ) -> Vec<Target> {
        let of = |site| self.compared(plan, name, (active, site), seed);
        self.at.keys().filter_map(of).map(|of| Target::Compared(Box::new(of))).collect()
    }

    fn checks(&self, name: &ComponentName, plan: &dyn Surroundings, seen: &dyn Sight) -> Vec<Check> {
        checks::all(self, name, plan, seen)
    }

    fn permissions(&self, name: &ComponentName, plan: &dyn Surroundings, needs: &mut Needs) {
        for of in self.at.keys().filter_map(|site| self.bucket(plan, name, site)) {
            let looks = ["s3:GetBucketVersioning", "s3:GetReplicationConfiguration", "s3:ListBucket"];
            needs.add(&of.place, arn::public("s3", &of.bucket), &looks);
            let objects = format!("{}/{}*", of.bucket, of.prefix);
            needs.add(&of.place, arn::public("s3", &objects), &["s3:GetObject"]);
            needs.add(&of.place, "*".to_owned(), &["cloudwatch:ListMetrics", "cloudwatch:GetMetricData"]);
        }
    }
}

impl Buckets {
    /// The bucket in a site.
    pub fn bucket(
        &self,
        plan: &dyn Surroundings,
        name: &ComponentName,
        site: &SiteName,
    ) -> Option<BucketRef> {
        let own = &self.at.get(site)?.value;
        Some(BucketRef {
            component: name.clone(),
            place: plan.site(site)?.clone(),
            bucket: own.clone(),
            prefix: self.prefix.clone(),
            others: self.at.values().map(|b| b.value.clone()).filter(|name| name != own).collect(),
        })
    }
}
