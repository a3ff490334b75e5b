//! What tests share: rehearsals in this process, plans, servers, and the oracle.

#[cfg(all(feature = "http", feature = "mail"))]
pub(crate) mod inboxes;
pub(crate) mod oracle;
#[cfg(any(feature = "aws", all(feature = "http", feature = "mail")))]
pub(crate) mod ports;
pub(crate) mod random_plans;
pub(crate) mod rig;
pub(crate) mod shop;
pub(crate) mod stored_rehearsals;
