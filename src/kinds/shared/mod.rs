//! Mechanisms that several kinds use: each kind of database is fenced, measured, rebuilt and restored by these.

pub mod canary;
pub mod command;
pub mod database;
pub mod fence;
pub mod promotion;
pub mod rebuild;
pub mod rejoin;
pub mod restart;
pub mod restore;
pub mod secret;
pub mod unreplicated;
pub mod wal;
