//! Bundles, signatures and go-bags.

pub(crate) mod bundles;
pub(crate) mod damaged;
pub(crate) mod go_bags;
pub(crate) mod public_keys;
pub(crate) mod signatures;
pub(crate) mod sinks;
pub(crate) mod without_drctl;
