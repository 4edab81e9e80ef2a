//! Recordings, and the hot state of deployments without Redis, in PostgreSQL.

pub mod address;
