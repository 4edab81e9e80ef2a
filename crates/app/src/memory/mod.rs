//! Reference implementations of the ports, in memory. They define what the ports mean: every
//! adapter is compared with them.

mod audit_log;
mod blobs;
mod certificate_state;
mod end_callbacks;
mod entropy;
mod history;
mod imports;
mod kept_creates;
mod management_tokens;
mod outbox;
mod periodic_jobs;
mod planned_drains;
mod pool_samples;
mod pool_state;
mod pool_store;
mod recording_catalog;
mod recording_claims;
mod recording_state;
mod recording_upkeep;
mod recordings;
mod remembered_requests;
mod tenants;
mod tokens;
mod trash;

pub use blobs::MemoryBlobs;
pub use entropy::{CountingEntropy, ManualClock};
pub use kept_creates::PlainSealer;
pub use pool_store::MemoryPoolStore;
pub use recordings::MemoryRecordings;
