//! The contract of the stores: what every implementation of a port of state must do.
//!
//! [`state_store_cases`], [`recordings_cases`], [`recording_store_cases`] and [`blobs_cases`] list
//! the cases, each a behaviour with a name; some make many calls at the same time.
//! [`pool_model_cases`] and [`catalog_model_cases`] compare random sequences of calls with the
//! implementation in memory. [`ContractTests`] makes a test of each case. A case panics when a
//! store does something else.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a case reports a broken contract by a panic"
)]

mod audit_log;
mod blobs;
mod callbacks;
mod case;
mod catalog;
mod catalog_changes;
mod certificate_state;
mod end_callbacks;
mod failover;
mod fixtures;
mod imports;
mod joins;
mod kept_creates;
mod lifecycle;
mod management_tokens;
mod many_blobs;
mod meeting_names;
mod model;
mod model_catalog;
mod moved_claims;
mod origins;
mod outbox;
mod pending_ends;
mod periodic_jobs;
mod placement;
mod planned_drains;
mod poll_cycles;
mod polls;
mod pool_samples;
mod pool_store;
mod racing;
mod racing_catalog;
mod racing_recordings;
mod racing_servers;
mod racing_state;
mod recording_claims;
mod recording_upkeep;
mod recordings;
mod remembered_requests;
mod requested_ends;
mod restoring;
mod servers;
mod session_history;
mod state_store;
mod suite;
mod tenants;
mod test_catalog;
mod tokens;
mod trash;

use app::ports::{Blobs, PoolStore, RecordingStore, Recordings, StateStore};

use case::{cases, racing};

pub use case::{ContractCase, OwnedStoreFactory, StoreFactory, store_factory};
pub use model::{OutcomeCounts, compare_pool_store, pool_model_cases};
pub use model_catalog::catalog_model_cases;
pub use suite::ContractTests;

/// Creates stores of servers and meetings.
pub type PoolFactory<'a> = StoreFactory<'a, dyn PoolStore>;

/// Creates stores of all state.
pub type StateFactory<'a> = StoreFactory<'a, dyn StateStore>;

/// Creates stores of recordings and callbacks.
pub type RecordingsFactory<'a> = StoreFactory<'a, dyn Recordings>;

/// Creates stores of everything that is known about recordings.
pub type RecordingStoreFactory<'a> = StoreFactory<'a, dyn RecordingStore>;

/// Creates stores of the files of recordings.
pub type BlobsFactory<'a> = StoreFactory<'a, dyn Blobs>;

/// The cases for a store of all state: servers and meetings, poll cycles, sessions, tenants, tokens
/// and periodic jobs.
#[must_use]
pub fn state_store_cases() -> Vec<ContractCase<dyn StateStore>> {
    let pool_cases = pool_store_cases().into_iter().map(ContractCase::on_state_stores);
    let groups = [
        poll_cycles::cases(),
        kept_creates::cases(),
        session_history::cases(),
        tenants::cases(),
        tokens::cases(),
        periodic_jobs::cases(),
        pool_samples::cases(),
        certificate_state::cases(),
        management_tokens::cases(),
        audit_log::cases(),
        remembered_requests::cases(),
        planned_drains::cases(),
        racing(racing_state::cases()),
    ];
    pool_cases.chain(groups.into_iter().flatten()).collect()
}

fn pool_store_cases() -> Vec<ContractCase<dyn PoolStore>> {
    let groups = [
        servers::cases(),
        placement::cases(),
        lifecycle::cases(),
        meeting_names::cases(),
        joins::cases(),
        polls::cases(),
        restoring::cases(),
        failover::cases(),
        moved_claims::cases(),
        pending_ends::cases(),
        requested_ends::cases(),
        origins::cases(),
        racing(racing::cases()),
        racing(racing_servers::cases()),
    ];
    groups.into_iter().flatten().collect()
}

/// The cases for a store of recordings and callbacks.
#[must_use]
pub fn recordings_cases() -> Vec<ContractCase<dyn Recordings>> {
    let groups = [recordings::cases(), callbacks::cases(), racing(racing_recordings::cases())];
    groups.into_iter().flatten().collect()
}

/// The cases for a store of the catalog of recordings, messages and imports.
#[must_use]
pub fn recording_store_cases() -> Vec<ContractCase<dyn RecordingStore>> {
    let groups = [
        catalog::cases(),
        catalog_changes::cases(),
        trash::cases(),
        outbox::cases(),
        end_callbacks::cases(),
        imports::cases(),
        recording_claims::cases(),
        recording_upkeep::cases(),
        racing(recording_claims::racing_cases()),
        racing(racing_catalog::cases()),
        racing(outbox::racing_cases()),
        racing(end_callbacks::racing_cases()),
        racing(imports::racing_cases()),
    ];
    groups.into_iter().flatten().collect()
}

/// The cases for a store of the files of recordings.
#[must_use]
pub fn blobs_cases() -> Vec<ContractCase<dyn Blobs>> {
    let groups = [blobs::cases(), many_blobs::cases()];
    groups.into_iter().flatten().collect()
}
