//! Replacements for providers that this build lacks. A live run reports the missing provider by name.

#[cfg(not(feature = "aws"))]
pub mod aws;
#[cfg(not(feature = "dns"))]
pub mod dns;
#[cfg(not(feature = "gcp"))]
pub mod gcp;
#[cfg(not(feature = "postgres"))]
pub mod postgres;
