//! The port [`PoolSamples`]: a hash for each block, with subjects as fields.

use app::ports::{PoolSamples, SampleBlock, StoreError};
use async_trait::async_trait;
use domain::Timestamp;
use domain::samples::SampleSpan;

use super::RedisStore;
use super::rows::{self, corrupt_error};
use super::script::{APPEND_SAMPLES, FORGET_SAMPLES, LIST_BLOCKS_AT, LIST_SAMPLE_BLOCKS};

#[async_trait]
impl PoolSamples for RedisStore {
    async fn append_samples(
        &self,
        span: SampleSpan,
        start: Timestamp,
        entries: &[(String, String)],
    ) -> Result<(), StoreError> {
        let mut arguments = vec![span.name().to_owned(), start.0.to_string()];
        arguments
            .extend(entries.iter().flat_map(|(subject, entry)| [subject.clone(), entry.clone()]));
        self.call_script(&APPEND_SAMPLES, &arguments).await.map(drop)
    }

    async fn list_sample_blocks(
        &self,
        span: SampleSpan,
        subject: &str,
        from: Timestamp,
    ) -> Result<Vec<SampleBlock>, StoreError> {
        let arguments = [span.name(), subject, &from.0.to_string()];
        let found = rows::to_texts(self.call_script(&LIST_SAMPLE_BLOCKS, &arguments).await?)?;
        let to_block = |(start, entries): (String, String)| {
            let start = start.parse().map_err(|_| corrupt_error("the start of a sample block"))?;
            Ok(SampleBlock { subject: subject.to_owned(), start: Timestamp(start), entries })
        };
        to_pairs(found).map(to_block).collect()
    }

    async fn list_blocks_at(
        &self,
        span: SampleSpan,
        start: Timestamp,
    ) -> Result<Vec<SampleBlock>, StoreError> {
        let arguments = [span.name(), &start.0.to_string()];
        let found = rows::to_texts(self.call_script(&LIST_BLOCKS_AT, &arguments).await?)?;
        let to_block = |(subject, entries)| SampleBlock { subject, start, entries };
        let mut blocks: Vec<SampleBlock> = to_pairs(found).map(to_block).collect();
        blocks.sort_by(|one, other| one.subject.cmp(&other.subject));
        Ok(blocks)
    }

    async fn forget_samples(&self, span: SampleSpan, before: Timestamp) -> Result<(), StoreError> {
        let arguments = [span.name(), &before.0.to_string()];
        self.call_script(&FORGET_SAMPLES, &arguments).await.map(drop)
    }
}

fn to_pairs(texts: Vec<String>) -> impl Iterator<Item = (String, String)> {
    let mut texts = texts.into_iter();
    std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
}
