//! Recordings as they are found, changed and deleted.
//!
//! Files and rows cannot change in one transaction. So a change of a recording's place is a *journey*: the row says at
//! once where the recording belongs, and that its files are on their way; then the files are moved; then the journey
//! ends. Whoever finds a journey that nobody is on finishes it: every step may be repeated.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::catalog::{
    IncomingRecording, RecordingChange, RecordingFilter, TenantScope,
};
use domain::recording::{Recording, RecordingDetails};

use super::recordings::Recordings;
use super::store_error::StoreError;

/// Where a page of recordings begins: after the one that ends the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingCursor {
    /// Its beginning; recordings without one come last.
    pub started_at: Option<Timestamp>,
    /// Its id, where several began at the same time.
    pub record_id: String,
}

impl RecordingCursor {
    /// The one after a recording.
    #[must_use]
    pub fn from_recording(recording: &Recording) -> Self {
        Self { started_at: recording.started_at, record_id: recording.record_id.clone() }
    }
}

/// Where the files of a recording are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Among the published ones.
    Published,
    /// Among the unpublished ones.
    Unpublished,
    /// Where they can be brought back from for a while: it is deleted.
    Trash,
    /// Nowhere: it is deleted.
    Removed,
}

impl Destination {
    /// Where the files of a recording belong.
    #[must_use]
    pub fn from_recording(recording: &Recording) -> Self {
        match recording {
            gone if gone.is_deleted() => Self::Removed,
            Recording { published: true, .. } => Self::Published,
            _ => Self::Unpublished,
        }
    }

    /// What a recording says from the moment at which it sets out.
    pub fn apply_to(self, recording: &mut Recording, now: Timestamp) {
        if self.is_deletion() {
            recording.deleted_at = recording.deleted_at.or(Some(now));
            recording.metadata.clear();
            recording.formats.clear();
            recording.details = RecordingDetails::default();
        } else {
            recording.publish_updated = true;
        }
        recording.published = self == Self::Published;
        recording.state = Some(self.state().to_owned());
    }

    /// Whether what goes there is deleted.
    #[must_use]
    pub fn is_deletion(self) -> bool {
        matches!(self, Self::Trash | Self::Removed)
    }

    /// The state of recordings that are there or on their way.
    #[must_use]
    pub fn state(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unpublished => "unpublished",
            Self::Trash | Self::Removed => "deleted",
        }
    }

    /// Its name where journeys are kept.
    #[must_use]
    pub fn name(self) -> &'static str {
        if self == Self::Trash { "trash" } else { self.state() }
    }

    /// What has that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Published, Self::Unpublished, Self::Trash, Self::Removed];
        all.into_iter().find(|to| to.name() == name)
    }
}

/// A recording whose files are on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMove {
    /// The recording.
    pub record_id: String,
    /// Its formats when it set out: the rows of deleted ones are gone.
    pub formats: Vec<String>,
    /// Where it is going. A later change of mind replaces the destination of a journey under way.
    pub destination: Destination,
    /// Since when.
    pub started_at: Timestamp,
    /// Tells it from the recording's other journeys: who ends a journey says which one.
    pub number: u64,
    /// Whether it replaced one under way: who was on that may still be moving files. So it does not end
    /// before somebody has looked again, later.
    pub replaced_running: bool,
}

impl FileMove {
    /// The journey of a recording that sets out now, with these formats, in place of one that may be under way.
    #[must_use]
    pub fn begin(
        record_id: &str,
        formats: impl IntoIterator<Item = String>,
        to: Destination,
        now: Timestamp,
        before: Option<Self>,
    ) -> Self {
        let after = before.as_ref().map_or(0, |before| before.number + 1);
        let number = u64::try_from(now.0).unwrap_or_default().max(after);
        let contested = before.is_some();
        let mut formats: Vec<String> = formats.into_iter().collect();
        formats.extend(before.map(|before| before.formats).unwrap_or_default());
        formats.sort();
        formats.dedup();
        Self {
            record_id: record_id.to_owned(),
            formats,
            destination: to,
            started_at: now,
            number,
            replaced_running: contested,
        }
    }

    /// The journey that an import sends what was there before on, if that belongs elsewhere now.
    #[must_use]
    pub fn needed_after_import(
        merged: &Recording,
        before: Option<&Recording>,
        incoming: &Recording,
    ) -> Option<(Destination, Vec<String>)> {
        let came = |format: &str| incoming.formats.iter().any(|one| one.format == format);
        let before = before.filter(|before| before.published != merged.published)?;
        let names = before.formats.iter().map(|one| one.format.clone());
        let stay: Vec<String> = names.filter(|name| !came(name)).collect();
        (!stay.is_empty()).then(|| (Destination::from_recording(merged), stay))
    }
}

/// What became of a recording when more of it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedRecording {
    /// The recording as it is now, which says where its files belong.
    pub recording: Recording,
    /// Whether it was there before.
    pub existed_before: bool,
    /// What has to be moved besides what came, if anything.
    pub file_move: Option<FileMove>,
}

/// Recordings, by what is known of them.
#[async_trait]
pub trait RecordingCatalog: Recordings {
    /// The next recordings of a search, so many at most; the newest first, then by id. All belong to the
    /// scope.
    async fn search_recordings(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        after: Option<&RecordingCursor>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError>;

    /// The recordings of a search at these places, counted from 0, in the same order; and how many there are in
    /// all.
    async fn search_recordings_page(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Recording>, u64), StoreError>;

    /// Changes those of the recordings that there are in the scope and that are not deleted, in one
    /// transaction; returns their ids.
    async fn change_recordings(
        &self,
        record_ids: &[String],
        scope: &TenantScope,
        change: &RecordingChange,
    ) -> Result<Vec<String>, StoreError>;

    /// Sends a recording of the scope on a journey: its row says from now on that it is published, unpublished or
    /// deleted (metadata and formats of deleted ones go; the trash keeps what it takes to bring them back). One
    /// that is deleted already is sent to the trash once more without effect, and from the trash to its
    /// end. `None` if there is none, or it is deleted and is to go anywhere else.
    async fn begin_file_move(
        &self,
        record_id: &str,
        scope: &TenantScope,
        to: Destination,
        now: Timestamp,
    ) -> Result<Option<FileMove>, StoreError>;

    /// The files are where they are to be. False if the destination has changed meanwhile: they must
    /// be moved again.
    async fn end_file_move(&self, journey: &FileMove) -> Result<bool, StoreError>;

    /// Journeys that began before that time, the oldest first, so many at most.
    async fn list_file_moves(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError>;

    /// Records what an archive brought, by [`domain::recording::recording_catalog::merge_recording`], in one transaction
    /// with what follows from it: a journey if formats that did not come again belong on another shelf
    /// now, and the message that its meeting's callback asks for. `None` if the recording was deleted.
    async fn import_recording(
        &self,
        incoming: &IncomingRecording,
        now: Timestamp,
    ) -> Result<Option<ImportedRecording>, StoreError>;

    /// Removes the last trace of recordings that were deleted before that time and whose files are neither in the
    /// trash nor on their way, so many at most; returns their ids.
    async fn forget_deleted_recordings(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<String>, StoreError>;
}
