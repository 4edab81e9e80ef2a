//! The ports in memory: their executable meaning, against which every adapter is compared.

mod cluster;
mod entropy;

pub use cluster::MemoryCluster;
pub use entropy::{CountingEntropy, ManualClock};
