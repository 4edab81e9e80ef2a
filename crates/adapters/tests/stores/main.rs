//! Stores of state, recordings and files: the behaviour that only one store has. The contracts of their
//! ports are checked in `contract.rs`.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

mod common;
mod postgres;
mod postgres_adoption;
mod postgres_outage;
mod redis;
mod redis_connection;
mod redis_original_data;
mod redis_schema;
mod s3;
mod sqlite;
