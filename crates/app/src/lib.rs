//! The use cases of the balancer: one file for each BBB call, each administrative action and each step of a poll.
//!
//! Use cases decide by the rules in `domain`, read and write BBB's wire formats by `bbb`, and reach everything else through the
//! traits in [`ports`]. [`memory`] implements these in memory: it defines what each port means.

pub mod admin;
pub mod api;
pub mod apply;
pub mod audit;
pub mod backend;
pub mod backup_schedule;
pub mod blocking;
pub mod callbacks;
pub mod context;
pub mod create;
pub mod dial_in;
pub mod drains;
mod duplicate_end;
pub mod end_callbacks;
pub mod forecaster;
mod foreign_answer;
pub mod health;
pub mod heartbeat;
mod join_target;
mod kept_create;
mod live_failures;
mod meeting_owner;
pub mod memory;
pub mod notifications;
pub mod odd_answers;
pub mod origin;
mod placement;
pub mod playback;
pub mod policy;
pub mod poll;
mod pool_changes;
pub mod ports;
pub mod recordings;
mod replayable_body;
mod revival;
pub mod sampling;
pub mod server_backup;
pub mod sessions;
pub mod state;
pub mod store_migration;
pub mod store_recovery;
mod suspect_check;
pub mod tenancy;
#[cfg(test)]
mod test_app;
pub mod token_authentication;

pub use context::App;
