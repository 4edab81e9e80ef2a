//! The ports of `app`, implemented on the real world: SQLite, PostgreSQL, Redis, BigBlueButton
//! over HTTP, the system clock. Nothing here decides anything.

mod archive;
pub mod bbb_http;
pub mod blobs;
pub mod callback_client;
mod clock_skew;
mod confined_dir;
pub mod entropy;
mod join_cache;
mod outage;
mod pending_joins;
pub mod postgres;
pub mod redis;
pub mod rsa;
pub mod spool;
mod sql;
pub mod sqlite;
mod url;
