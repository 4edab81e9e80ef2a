//! Samples of the pool, behind the same lock as servers and meetings.

use async_trait::async_trait;
use domain::Timestamp;
use domain::samples::SampleSpan;

use super::pool_store::MemoryPoolStore;
use crate::ports::{PoolSamples, SampleBlock, StoreError};

#[async_trait]
impl PoolSamples for MemoryPoolStore {
    async fn append_samples(
        &self,
        span: SampleSpan,
        start: Timestamp,
        entries: &[(String, String)],
    ) -> Result<(), StoreError> {
        let samples = &mut self.lock().samples;
        for (subject, entry) in entries {
            samples.entry((span, start, subject.clone())).or_default().push_str(entry);
        }
        Ok(())
    }

    async fn list_sample_blocks(
        &self,
        span: SampleSpan,
        subject: &str,
        from: Timestamp,
    ) -> Result<Vec<SampleBlock>, StoreError> {
        let state = self.lock();
        let blocks = state
            .samples
            .iter()
            .filter(|((of, start, about), _)| *of == span && *start >= from && about == subject);
        Ok(blocks.map(to_block).collect())
    }

    async fn list_blocks_at(
        &self,
        span: SampleSpan,
        start: Timestamp,
    ) -> Result<Vec<SampleBlock>, StoreError> {
        let state = self.lock();
        let blocks = state.samples.iter().filter(|((of, at, _), _)| (*of, *at) == (span, start));
        Ok(blocks.map(to_block).collect())
    }

    async fn forget_samples(&self, span: SampleSpan, before: Timestamp) -> Result<(), StoreError> {
        self.lock().samples.retain(|(of, start, _), _| *of != span || *start >= before);
        Ok(())
    }
}

fn to_block(
    ((_, start, subject), entries): (&(SampleSpan, Timestamp, String), &String),
) -> SampleBlock {
    SampleBlock { subject: subject.clone(), start: *start, entries: entries.clone() }
}
