//! What planner, runs and reports must know of an operation's effect, whatever its kind.

use std::collections::BTreeMap;

use crate::kinds::shared::capacity::resize::Sent;
use crate::kinds::shared::capacity::size::Size;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::names::reliance::Reliance;
use crate::kinds::shared::names::switch::Switch;
use crate::kinds::target::Target;

/// The effects that somebody else asks for.
///
/// No method has a default, so that nobody adds an operation without deciding each of them. Most operations have none of these effects, and
/// say so with `has_no_such_effect!`.
pub trait Effects {
    /// What it scales, to which size, and what it sends of that.
    fn scaled(&self) -> Option<(Target, Size, Sent)>;

    /// The server that it renames, and the new name.
    fn renames(&self) -> Option<(&DatabaseRef, &String)>;

    /// The record sets that it changes.
    fn switches(&self) -> Option<&Switch>;

    /// Whether it needs a region, if it moves names.
    fn reliance(&self, region: &str) -> Option<Reliance>;

    /// The service and the endpoints, by region, that it calls because the plan names them.
    fn endpoints(&self) -> Option<(&'static str, &BTreeMap<String, String>)>;

    /// Whether it only writes a row, which changes nothing for users.
    fn writes_a_row(&self) -> bool;
}

/// For an operation that changes no capacity.
macro_rules! scales_nothing {
    () => {
        fn scaled(
            &self,
        ) -> Option<(
            crate::kinds::target::Target,
            crate::kinds::shared::capacity::size::Size,
            crate::kinds::shared::capacity::resize::Sent,
        )> {
            None
        }
    };
}

/// For an operation after which every server has its old name.
macro_rules! renames_nothing {
    () => {
        fn renames(&self) -> Option<(&crate::kinds::shared::database::server::DatabaseRef, &String)> {
            None
        }
    };
}

/// For an operation that changes no record sets.
macro_rules! changes_no_records {
    () => {
        fn switches(&self) -> Option<&crate::kinds::shared::names::switch::Switch> {
            None
        }
    };
}

/// For an operation that leads users nowhere else.
macro_rules! moves_no_names {
    () => {
        crate::kinds::effects::changes_no_records!();

        fn reliance(&self, _: &str) -> Option<crate::kinds::shared::names::reliance::Reliance> {
            None
        }
    };
}

/// For an operation that calls only the endpoints of its provider.
macro_rules! calls_no_endpoint_of_the_plan {
    () => {
        fn endpoints(&self) -> Option<(&'static str, &std::collections::BTreeMap<String, String>)> {
            None
        }
    };
}

/// For an operation that writes no row, or more than that.
macro_rules! is_more_than_a_row {
    () => {
        fn writes_a_row(&self) -> bool {
            false
        }
    };
}

/// For an operation that neither scales, renames nor moves names, calls only its provider, and does more than to write a row.
macro_rules! has_no_such_effect {
    ($operation:ty) => {
        impl crate::kinds::effects::Effects for $operation {
            crate::kinds::effects::scales_nothing!();
            crate::kinds::effects::renames_nothing!();
            crate::kinds::effects::moves_no_names!();
            crate::kinds::effects::calls_no_endpoint_of_the_plan!();
            crate::kinds::effects::is_more_than_a_row!();
        }
    };
}

/// For an operation that only writes a row.
macro_rules! writes_only_a_row {
    ($operation:ty) => {
        impl crate::kinds::effects::Effects for $operation {
            crate::kinds::effects::scales_nothing!();
            crate::kinds::effects::renames_nothing!();
            crate::kinds::effects::moves_no_names!();
            crate::kinds::effects::calls_no_endpoint_of_the_plan!();

            fn writes_a_row(&self) -> bool {
                true
            }
        }
    };
}

pub(in crate::kinds) use {
    calls_no_endpoint_of_the_plan, changes_no_records, has_no_such_effect, is_more_than_a_row,
    moves_no_names, renames_nothing, scales_nothing, writes_only_a_row,
};
