//! A secret that contains the endpoint of a database for its clients, and the connection of clients.

pub(in crate::kinds) mod lint;
pub(in crate::kinds) mod login;
pub(in crate::kinds) mod op;
mod sim;

pub use login::{ClientSecret, ClientWay, REFERENCE, ROTATING, SECRET, SecretRef, SecretState, secret_ref};
pub use op::UpdateClientSecret;
