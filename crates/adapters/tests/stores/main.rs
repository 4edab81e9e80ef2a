//! Stores of state, recordings and files: each against the contracts of its ports, and the
//! behaviour that only this store has.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

mod blobs;
mod common;
mod postgres;
mod postgres_adoption;
mod postgres_outage;
mod redis;
mod redis_connection;
mod redis_original_data;
mod s3;
mod sqlite;
