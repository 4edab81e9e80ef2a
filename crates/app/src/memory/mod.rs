//! The ports in memory: their executable meaning, against which every adapter is compared.

mod blobs;
mod cluster;
mod entropy;
mod history;
mod imports;
mod library;
mod outbox;
mod recordings;
mod state;
mod tenants;
mod trash;
mod turns;

pub use blobs::MemoryBlobs;
pub use cluster::MemoryCluster;
pub use entropy::{CountingEntropy, ManualClock};
pub use recordings::MemoryRecordings;
