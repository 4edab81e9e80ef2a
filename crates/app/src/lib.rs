//! What the balancer does, as use cases: one file for each BBB call, each administrative action
//! and each step of a poll. They decide by `domain`, speak by `bbb`, and reach the world only
//! through the ports declared here; `memory` holds the ports' executable meaning.

pub mod admin;
pub mod api;
pub mod backend;
pub mod callbacks;
pub mod context;
pub mod forecaster;
mod live_failures;
pub mod memory;
pub mod playback;
pub mod policy;
pub mod poll;
pub mod ports;
pub mod recordings;
mod replayable_body;
pub mod server_backup;
pub mod sessions;
pub mod store_migration;
pub mod tenancy;

pub use context::App;
