//! Samples of the pool over time, which one of all replicas takes.

use async_trait::async_trait;
use domain::Timestamp;
use domain::samples::SampleSpan;

use super::store_error::StoreError;

/// The samples of one subject in one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleBlock {
    /// The subject.
    pub subject: String,
    /// When the block begins.
    pub start: Timestamp,
    /// Its samples, as they were appended.
    pub entries: String,
}

/// Stores samples. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait PoolSamples: Send + Sync {
    /// Appends to the blocks of subjects that begin at `start`; those that are missing are made.
    async fn append_samples(
        &self,
        span: SampleSpan,
        start: Timestamp,
        entries: &[(String, String)],
    ) -> Result<(), StoreError>;

    /// Lists the blocks of one subject that begin at `from` or later, by time.
    async fn list_sample_blocks(
        &self,
        span: SampleSpan,
        subject: &str,
        from: Timestamp,
    ) -> Result<Vec<SampleBlock>, StoreError>;

    /// Lists the blocks of all subjects that begin at `start`, by subject.
    async fn list_blocks_at(
        &self,
        span: SampleSpan,
        start: Timestamp,
    ) -> Result<Vec<SampleBlock>, StoreError>;

    /// Deletes the blocks that begin before `before`.
    async fn forget_samples(&self, span: SampleSpan, before: Timestamp) -> Result<(), StoreError>;
}
