//! Stand-ins for providers that this build does not have. A live run says so by name; nothing is pretended.

#[cfg(not(feature = "aws"))]
pub mod aws;
#[cfg(not(feature = "dns"))]
pub mod dns;
#[cfg(not(feature = "gcp"))]
pub mod gcp;
#[cfg(not(feature = "postgres"))]
pub mod postgres;
