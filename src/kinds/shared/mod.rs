//! Mechanisms of several kinds: every kind of database uses these to be fenced, measured, rebuilt and restored.

pub mod buckets;
pub mod canary;
pub mod capacity;
pub mod clients;
pub mod command;
pub mod copies;
pub mod database;
pub mod fence;
pub mod names;
pub mod promotion;
pub mod rebuild;
pub mod rejoin;
pub mod restart;
pub mod restore;
pub mod secret;
pub mod unreplicated;
pub mod wal;
