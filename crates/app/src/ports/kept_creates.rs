//! Kept creates: how meetings were created, so that a meeting whose server dies can be made anew.

use async_trait::async_trait;
use domain::MeetingKey;

use super::store_error::StoreError;

/// Kept creates that are longer than this, in bytes, are large.
pub const LARGE_CREATE_BYTES: usize = 16 << 10;
/// The large ones have at most so many bytes together.
pub const MAX_LARGE_CREATES_BYTES: usize = 64 << 20;

/// The create of a recorded meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCreate {
    /// `internalMeetingID` of the meeting that it made, or of the copy of it that is recorded now.
    pub internal_id: String,
    /// Its parameters and its body, sealed by [`super::Sealer`].
    pub sealed: String,
}

/// Stores the creates of recorded meetings.
///
/// A kept create is deleted with the record of its meeting, in the same operation: also when the
/// meeting is placed anew. If a poll moves the record to another copy that this deployment made, the
/// kept create belongs to that copy from then on. Every method is atomic.
#[async_trait]
pub trait KeptCreates: Send + Sync {
    /// Keeps the create of a meeting, in place of one that was kept before; returns whether it did.
    /// Nothing changes if no meeting with this key and internalMeetingID is recorded, or if the large
    /// ones would become more than [`MAX_LARGE_CREATES_BYTES`].
    async fn keep_create(&self, key: &MeetingKey, kept: &KeptCreate) -> Result<bool, StoreError>;

    /// Returns the kept create of a meeting; `None` if none is kept, or if it is that of another
    /// meeting than the recorded one, as the internalMeetingID shows.
    async fn find_kept_create(&self, key: &MeetingKey) -> Result<Option<KeptCreate>, StoreError>;
}
