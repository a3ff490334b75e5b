//! The one list of kinds.

use std::collections::BTreeSet;

use crate::kinds::aws::autoscaling::{self, Autoscaling};
use crate::kinds::aws::route53::{self, Route53};
use crate::kinds::aws::s3::{self, Buckets};
use crate::kinds::aws::{aurora, rds};
use crate::kinds::clients::{self, Clients};
use crate::kinds::shared::database::{Database, Engine, database};
use crate::kinds::{external, postgres};
use crate::model::document::Node;
use crate::model::ids::SiteName;
use crate::model::shape::Case;

/// The kind of a component, with its keys.
#[derive(Clone, Debug)]
pub enum Spec {
    /// A database with a replica in another site.
    Database(Database),
    /// An Auto Scaling group in each site.
    Autoscaling(Autoscaling),
    /// Record sets of one zone.
    Route53(Route53),
    /// The clients of a database, and how they find it.
    Clients(Clients),
    /// A bucket in each site, replicated by S3.
    Buckets(Buckets),
    /// Declared and displayed, but not recovered; with the way people recover it.
    External(Option<String>),
}

/// The kinds of component that plans may use.
pub const KINDS: &[Case] = &[
    Case { name: "aws.rds", keys: &rds::KEYS, called: rds::CALLED },
    Case { name: "postgres", keys: &postgres::KEYS, called: postgres::CALLED },
    Case { name: "aws.aurora_global", keys: &aurora::KEYS, called: aurora::CALLED },
    Case { name: "aws.autoscaling", keys: &autoscaling::KEYS, called: autoscaling::CALLED },
    Case { name: "aws.route53", keys: &route53::KEYS, called: route53::CALLED },
    Case { name: "clients", keys: &clients::KEYS, called: &[] },
    Case { name: "aws.s3", keys: &s3::KEYS, called: s3::CALLED },
    Case { name: "external", keys: &external::KEYS, called: &[] },
];

impl Spec {
    /// Builds a component from its keys; `None` if the keys were not valid, or the kind is unknown.
    pub fn build(kind: &str, node: &Node) -> Option<Self> {
        Some(match kind {
            "aws.rds" => Self::Database(database(node, Engine::Rds)),
            "postgres" => Self::Database(database(node, Engine::Postgres)),
            "aws.aurora_global" => Self::Database(database(node, Engine::Aurora)),
            "aws.autoscaling" => Self::Autoscaling(autoscaling::build(node)),
            "aws.route53" => Self::Route53(route53::build(node)?),
            "clients" => Self::Clients(clients::build(node)?),
            "aws.s3" => Self::Buckets(s3::build(node)),
            "external" => Self::External(external::build(node)),
            _ => return None,
        })
    }

    /// The name of the kind in plans.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Database(Database { engine: Engine::Rds, .. }) => "aws.rds",
            Self::Database(Database { engine: Engine::Postgres, .. }) => "postgres",
            Self::Database(Database { engine: Engine::Aurora, .. }) => "aws.aurora_global",
            Self::Autoscaling(_) => "aws.autoscaling",
            Self::Route53(_) => "aws.route53",
            Self::Clients(_) => "clients",
            Self::Buckets(_) => "aws.s3",
            Self::External(_) => "external",
        }
    }

    /// Whether it stores writes.
    pub const fn is_store(&self) -> bool {
        match self {
            Self::Database(_) => true,
            Self::Autoscaling(_)
            | Self::Route53(_)
            | Self::Clients(_)
            | Self::Buckets(_)
            | Self::External(_) => false,
        }
    }

    /// The sites that it names.
    pub fn sites(&self) -> BTreeSet<SiteName> {
        match self {
            Self::Database(spec) => spec.at.keys().cloned().collect(),
            Self::Autoscaling(group) => group.at.keys().cloned().collect(),
            Self::Route53(zone) => zone.records.iter().flat_map(|r| r.at.keys().cloned()).collect(),
            Self::Clients(clients) => clients.at.keys().cloned().collect(),
            Self::Buckets(buckets) => buckets.at.keys().cloned().collect(),
            Self::External(_) => BTreeSet::new(),
        }
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
