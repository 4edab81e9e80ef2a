//! The hot state in Redis, in the layout of existing deployments.

pub mod address;
