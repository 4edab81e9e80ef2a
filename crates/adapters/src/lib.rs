//! Implements the ports of `app`: stores in SQLite, PostgreSQL and Redis, files of recordings, HTTP
//! clients for BigBlueButton and callbacks, and the system clock. Decisions are made in `domain`
//! and `app`.

pub mod acme;
mod archive;
pub mod backup;
pub mod bbb_http;
pub mod blobs;
pub mod callback_client;
mod clock_skew;
mod confined_dir;
pub mod directory_marks;
pub mod directory_probe;
pub mod entropy;
pub mod https_client;
mod join_cache;
mod leftovers;
pub mod local_time;
pub mod management_client;
mod mounts;
mod name_lookup;
pub mod notifications;
mod outage;
mod pending_joins;
pub mod postgres;
pub mod redis;
pub mod rsa;
pub mod sealing;
pub mod spool;
mod sql;
pub mod sqlite;
mod url;
