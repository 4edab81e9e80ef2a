//! Files of recordings behind claims in the store: of all processes one at a time moves, stores or
//! removes files of a recording. Reading needs no claim.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::recording::{FilePath, RecordingFormatId};
use tokio::time::{Instant, sleep, timeout_at};

use crate::ports::{
    BlobBytes, BlobError, BlobInfo, Blobs, ByteSpan, Clock, Entropy, MoveOutcome, RecordingStore,
    Visibility,
};

/// How long a claim holds without a renewal, in ms. After a crash others wait so long.
const CLAIM_MS: i64 = 10_000;
const CLAIM: Duration = Duration::from_millis(CLAIM_MS.unsigned_abs());
/// How often a claim is renewed.
const RENEW_INTERVAL: Duration = Duration::from_secs(3);
/// How often a claim is tried while another process holds it.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long others are waited for: longer than a crashed process holds its claim.
const MAX_WAIT: Duration = Duration::from_secs(15);

/// A store of files whose changes need a claim.
pub struct ClaimedBlobs {
    /// The files.
    pub blobs: Arc<dyn Blobs>,
    /// The store with the claims.
    pub records: Arc<dyn RecordingStore>,
    /// The current time.
    pub clock: Arc<dyn Clock>,
    /// Makes the tokens of claims.
    pub entropy: Arc<dyn Entropy>,
}

impl ClaimedBlobs {
    /// Runs a change of the files of a recording while this process has the claim.
    async fn run_claimed<T>(
        &self,
        format_id: &RecordingFormatId,
        change: impl Future<Output = Result<T, BlobError>> + Send,
    ) -> Result<T, BlobError> {
        let (record_id, token) = (format_id.record_id.as_str(), self.entropy.generate_uuid());
        self.await_claim(record_id, &token).await?;
        let result = tokio::select! {
            result = change => result,
            () = self.renew_until_lost(record_id, &token) => {
                let reason = format!("the claim on {record_id} is lost");
                return Err(BlobError::Unavailable(reason));
            }
        };
        if let Err(error) = self.records.release_recording(record_id, &token).await {
            // The claim expires by itself.
            tracing::warn!(record_id, %error, "claim on a recording not released");
        }
        result
    }

    async fn await_claim(&self, record_id: &str, token: &str) -> Result<(), BlobError> {
        // Not by the clock of the claims, which may be set back.
        let give_up_at = Instant::now() + MAX_WAIT;
        loop {
            let now = self.clock.now();
            let claimed =
                self.records.claim_recording(record_id, token, now, now.plus_ms(CLAIM_MS)).await;
            match claimed {
                Ok(true) => return Ok(()),
                Ok(false) if Instant::now() < give_up_at => sleep(RETRY_INTERVAL).await,
                Ok(false) => {
                    let reason = format!("another process is changing the files of {record_id}");
                    return Err(BlobError::Unavailable(reason));
                }
                Err(error) => return Err(BlobError::Unavailable(error.to_string())),
            }
        }
    }

    /// Renews a claim in intervals; returns when it is lost, or has expired because the store failed.
    async fn renew_until_lost(&self, record_id: &str, token: &str) {
        let mut expires_at = Instant::now() + CLAIM;
        loop {
            sleep(RENEW_INTERVAL).await;
            let (now, until) = (Instant::now(), self.clock.now().plus_ms(CLAIM_MS));
            let renewal = self.records.renew_recording_claim(record_id, token, until);
            match timeout_at(expires_at, renewal).await {
                Ok(Ok(true)) => expires_at = now + CLAIM,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::warn!(record_id, %error, "claim on a recording not renewed");
                }
            }
        }
    }
}

#[async_trait]
impl Blobs for ClaimedBlobs {
    async fn put_format(
        &self,
        from: &Path,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<(), BlobError> {
        self.run_claimed(format_id, self.blobs.put_format(from, format_id, visibility)).await
    }

    async fn move_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<MoveOutcome, BlobError> {
        self.run_claimed(format_id, self.blobs.move_format(format_id, visibility)).await
    }

    async fn remove_format(
        &self,
        format_id: &RecordingFormatId,
        from: &[Visibility],
    ) -> Result<bool, BlobError> {
        self.run_claimed(format_id, self.blobs.remove_format(format_id, from)).await
    }

    async fn locate_format(
        &self,
        format_id: &RecordingFormatId,
    ) -> Result<Vec<Visibility>, BlobError> {
        let found = self.blobs.locate_format(format_id).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        // The format is missing, or another process is moving it: wait until it is done.
        self.run_claimed(format_id, self.blobs.locate_format(format_id)).await
    }

    async fn list_formats(
        &self,
        visibility: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> Result<Vec<RecordingFormatId>, BlobError> {
        self.blobs.list_formats(visibility, after, limit).await
    }

    async fn list_files(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        limit: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        self.blobs.list_files(format_id, visibility, limit).await
    }

    async fn read_file_info(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        self.blobs.read_file_info(format_id, visibility, path).await
    }

    async fn open_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        span: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        self.blobs.open_file(format_id, visibility, path, span).await
    }

    async fn write_file(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
        path: &FilePath,
        content: Bytes,
    ) -> Result<(), BlobError> {
        self.blobs.write_file(format_id, visibility, path, content).await
    }

    async fn list_refused_links(&self) -> Result<Vec<String>, BlobError> {
        self.blobs.list_refused_links().await
    }

    async fn check_blobs(&self) -> Result<(), BlobError> {
        self.blobs.check_blobs().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::memory::{CountingEntropy, ManualClock, MemoryBlobs, MemoryRecordings};
    use crate::ports::RecordingClaims as _;

    struct Fixture {
        records: Arc<MemoryRecordings>,
        clock: Arc<ManualClock>,
        blobs: ClaimedBlobs,
        format_id: RecordingFormatId,
    }

    impl Fixture {
        fn new() -> Self {
            let records = Arc::new(MemoryRecordings::default());
            let clock = Arc::new(ManualClock::starting_at(domain::Timestamp(1_800_000_000_000)));
            let blobs = ClaimedBlobs {
                blobs: Arc::new(MemoryBlobs::default()),
                records: records.clone(),
                clock: clock.clone(),
                entropy: Arc::new(CountingEntropy::default()),
            };
            let format_id = RecordingFormatId::parse("r1", "video").unwrap();
            Self { records, clock, blobs, format_id }
        }

        /// Moves the clock on with tokio's paused time, for ever.
        async fn let_time_pass(&self) {
            loop {
                sleep(Duration::from_secs(1)).await;
                self.clock.advance_ms(1_000);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_waits_for_the_claim_of_another_process() {
        let fixture = Fixture::new();
        let (records, now) = (&fixture.records, fixture.clock.now());
        assert!(records.claim_recording("r1", "other", now, now.plus_ms(9_000)).await.unwrap());
        let order = AtomicUsize::new(0);
        let change = async {
            fixture.blobs.move_format(&fixture.format_id, Visibility::Trash).await.unwrap();
            assert_eq!(order.load(Ordering::SeqCst), 1, "it did not wait");
        };
        let release = async {
            sleep(Duration::from_secs(1)).await;
            order.store(1, Ordering::SeqCst);
            records.release_recording("r1", "other").await.unwrap();
        };
        tokio::join!(change, release);
        assert!(records.claim_recording("r1", "next", now, now.plus_ms(1)).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_a_crash_left_expires_and_a_held_one_is_reported() {
        let fixture = Fixture::new();
        let (records, now) = (&fixture.records, fixture.clock.now());
        records.claim_recording("r1", "crashed", now, now.plus_ms(CLAIM_MS)).await.unwrap();
        tokio::select! {
            moved = fixture.blobs.move_format(&fixture.format_id, Visibility::Trash) => moved.unwrap(),
            () = fixture.let_time_pass() => unreachable!(),
        };
        let now = fixture.clock.now();
        records.claim_recording("r1", "other", now, now.plus_ms(99_000)).await.unwrap();
        tokio::select! {
            moved = fixture.blobs.remove_format(&fixture.format_id, &Visibility::ALL) => {
                assert!(moved.is_err());
            }
            () = fixture.let_time_pass() => unreachable!(),
        }
    }
}
