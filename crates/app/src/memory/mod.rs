//! The ports in memory: their executable meaning, against which every adapter is compared.

mod blobs;
mod entropy;
mod history;
mod imports;
mod outbox;
mod periodic_jobs;
mod pool_state;
mod pool_store;
mod recording_catalog;
mod recordings;
mod tenants;
mod trash;

pub use blobs::MemoryBlobs;
pub use entropy::{CountingEntropy, ManualClock};
pub use pool_store::MemoryPoolStore;
pub use recordings::MemoryRecordings;
