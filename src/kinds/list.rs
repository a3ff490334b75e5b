//! The one list of kinds.
//!
//! A new kind is a line here, beside the type in its folder. Nothing else lists them.

use std::collections::BTreeSet;

use super::surroundings::Surroundings;
use crate::kinds::aws::aurora::kind::AuroraGlobal;
use crate::kinds::aws::autoscaling::plan::Autoscaling;
use crate::kinds::aws::ecs::plan::Ecs;
use crate::kinds::aws::rds::kind::Rds;
use crate::kinds::aws::route53::kind::Route53;
use crate::kinds::aws::s3::plan::Buckets;
use crate::kinds::external::External;
use crate::kinds::kind::{Kind, Role, Sight};
use crate::kinds::lint::Lint;
use crate::kinds::postgres::kind::Postgres;
use crate::kinds::shared::clients::moved::Clients;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Check, Needs};
use crate::model::shape::Case;

/// Makes the list, and `each!`, which asks the component, whichever kind it is. (The first word is a dollar sign for `each!`.)
macro_rules! kinds {
    ($d:tt $($kind:ident,)*) => {
        /// The kind of a component, with its keys. Only this file can match on the kind: the rest of the program asks for its role.
        #[derive(Clone, Debug)]
        pub struct Spec(Any);

        #[derive(Clone, Debug)]
        enum Any {
            $($kind($kind),)*
        }

        /// The kinds of component that plans may use.
        pub const KINDS: &[Case] = &[$($kind::CASE,)*];

        impl Spec {
            /// What a component of this kind is; none if the shape refused what it depends on, or knows no such kind.
            pub fn build(kind: &str, node: &Node) -> Option<Self> {
                $(if kind == $kind::CASE.name {
                    return $kind::build(node).map(Any::$kind).map(Self);
                })*
                None
            }

            /// The name of the kind in plans.
            pub const fn kind(&self) -> &'static str {
                match &self.0 { $(Any::$kind(_) => $kind::CASE.name,)* }
            }
        }

        macro_rules! each {
            ($d of:expr, $d kind:ident => $d answer:expr) => {
                match &$d of.0 { $(Any::$kind($d kind) => $d answer,)* }
            };
        }
    };
}

kinds! { $
    Rds,
    Postgres,
    AuroraGlobal,
    Autoscaling,
    Ecs,
    Route53,
    Clients,
    Buckets,
    External,
}

impl Spec {
    /// Finds what would go wrong with it in a recovery, when the plan is checked.
    pub fn lint(&self, of: &mut Lint<'_>) {
        each!(self, kind => kind.lint(of));
    }

    /// What it does for the application.
    pub fn role(&self) -> Role<'_> {
        each!(self, kind => kind.role())
    }

    /// Whether it stores writes.
    pub fn is_store(&self) -> bool {
        matches!(self.role(), Role::Store(_))
    }

    /// The sites that it names.
    pub fn sites(&self) -> BTreeSet<SiteName> {
        each!(self, kind => kind.sites())
    }

    /// What drctl observes of it.
    pub fn targets(&self, name: &ComponentName, plan: &dyn Surroundings) -> Vec<Target> {
        each!(self, kind => kind.targets(name, plan))
    }

    /// What drctl observes of it only to judge readiness.
    pub fn samples(
        &self,
        name: &ComponentName,
        plan: &dyn Surroundings,
        active: &SiteName,
        seed: &str,
    ) -> Vec<Target> {
        each!(self, kind => kind.samples(name, plan, active, seed))
    }

    /// What readiness checks of it beyond what its role needs.
    pub fn checks(&self, name: &ComponentName, plan: &dyn Surroundings, seen: &dyn Sight) -> Vec<Check> {
        each!(self, kind => kind.checks(name, plan, seen))
    }

    /// What a rehearsal shows of those of its samples that no operation changes.
    pub fn rehearsed(&self, name: &ComponentName, plan: &dyn Surroundings) -> Vec<(Target, State)> {
        each!(self, kind => kind.rehearsed(name, plan))
    }

    /// What the credentials must be allowed to do for every recovery that the plan describes.
    pub fn permissions(&self, name: &ComponentName, plan: &dyn Surroundings, needs: &mut Needs) {
        each!(self, kind => kind.permissions(name, plan, needs));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::document;

    /// A kind that is in the list but never built would be ignored in every plan.
    #[test]
    fn every_kind_of_the_list_is_built_and_says_its_name() {
        let node = document::parse("plan.yaml", b"{via: dns, zone: Z1, of: db}").unwrap();
        for case in KINDS {
            assert_eq!(Spec::build(case.name, &node).map(|spec| spec.kind()), Some(case.name));
        }
        assert!(Spec::build("none", &node).is_none());
    }
}
