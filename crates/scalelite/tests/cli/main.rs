//! Tests of the command line of the built binary.

mod apply;
mod config;
mod doctor;
mod env_file;
mod environment;
mod generate;
mod liveness;
mod management;
mod meetings;
mod metrics;
mod migrate;
mod pipes;
mod pool;
mod rake;
mod recordings;
mod refusals;
mod secret;
mod servers;
mod sign;
mod stores;
mod sync;
mod tenants;
mod transcripts;
mod usage;
