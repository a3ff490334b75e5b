//! Notifications.

#[cfg(all(feature = "http", feature = "mail"))]
pub(crate) mod hostile_servers;
pub(crate) mod messages;
pub(crate) mod notifications;
#[cfg(all(feature = "http", feature = "mail"))]
pub(crate) mod notifier;
