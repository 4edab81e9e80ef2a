//! Helpers that several modules of tests use.

pub(crate) mod polls;
pub(crate) mod pool;
pub(crate) mod postgres;
pub(crate) mod redis;
