//! Claims on recordings: which process moves the files of a recording. Neither a bucket nor every
//! network file system has locks that count for all processes.

use async_trait::async_trait;
use domain::Timestamp;

use super::store_error::StoreError;

/// Claims on recordings. Every method is atomic, and fails only if the store fails.
///
/// A recording is claimed by a token. A claim holds until its time, and may be renewed; at that time
/// the recording may be claimed again.
#[async_trait]
pub trait RecordingClaims: Send + Sync {
    /// Claims a recording until that time; false if another claim holds.
    async fn claim_recording(
        &self,
        record_id: &str,
        token: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Extends a claim until that time; false if the token does not hold the claim any more.
    async fn renew_recording_claim(
        &self,
        record_id: &str,
        token: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Ends a claim, if the token still holds it.
    async fn release_recording(&self, record_id: &str, token: &str) -> Result<(), StoreError>;
}
