//! The recording catalog: searches and changes of recordings.
//!
//! Files and rows cannot change in one transaction. A change of a recording's visibility is
//! therefore a *file move*: first the row says where the files belong, and that a move is under
//! way; then the files are moved; then the file move ends. If a process dies in between, another
//! one finishes the file move: every step may be repeated.

use async_trait::async_trait;
use domain::Timestamp;
use domain::recording::catalog::{
    IncomingRecording, RecordingChange, RecordingFilter, TenantScope,
};
use domain::recording::{Recording, RecordingDetails};

use super::recordings::Recordings;
use super::store_error::StoreError;

/// The position in a list of recordings after which the next page begins: that of the last
/// recording of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingCursor {
    /// When the recording began. Recordings without this time come last.
    pub started_at: Option<Timestamp>,
    /// The id, by which recordings that began at the same time are ordered.
    pub record_id: String,
}

impl RecordingCursor {
    /// Creates the position of a recording.
    #[must_use]
    pub fn from_recording(recording: &Recording) -> Self {
        Self { started_at: recording.started_at, record_id: recording.record_id.clone() }
    }
}

/// The target of a file move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The recording is published.
    Published,
    /// The recording is unpublished.
    Unpublished,
    /// The recording is deleted, and its files are kept in the trash for a while.
    Trash,
    /// The recording is deleted, and its files are removed.
    Removed,
}

impl Destination {
    /// Returns where the files of a recording belong.
    #[must_use]
    pub fn from_recording(recording: &Recording) -> Self {
        match recording {
            deleted if deleted.is_deleted() => Self::Removed,
            Recording { published: true, .. } => Self::Published,
            _ => Self::Unpublished,
        }
    }

    /// Changes a recording to what its row says from the beginning of the file move.
    pub fn apply_to(self, recording: &mut Recording, now: Timestamp) {
        if self.is_deletion() {
            let earlier = recording.deleted_at.filter(|_| recording.is_deleted());
            recording.deleted_at = earlier.or(Some(now));
            recording.metadata.clear();
            recording.formats.clear();
            recording.details = RecordingDetails::default();
        } else {
            recording.publish_updated = true;
        }
        recording.published = self == Self::Published;
        recording.state = Some(self.state().to_owned());
    }

    /// Whether the recording is deleted.
    #[must_use]
    pub fn is_deletion(self) -> bool {
        matches!(self, Self::Trash | Self::Removed)
    }

    /// Returns the state of the recording during and after the file move.
    #[must_use]
    pub fn state(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unpublished => "unpublished",
            Self::Trash | Self::Removed => "deleted",
        }
    }

    /// Returns the name by which stores keep the destination.
    #[must_use]
    pub fn name(self) -> &'static str {
        if self == Self::Trash { "trash" } else { self.state() }
    }

    /// Returns the destination of that name; `None` if there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Published, Self::Unpublished, Self::Trash, Self::Removed];
        all.into_iter().find(|destination| destination.name() == name)
    }
}

/// A file move that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMove {
    /// The recording.
    pub record_id: String,
    /// The formats of the recording at the beginning of the file move. The rows of deleted formats
    /// are gone.
    pub formats: Vec<String>,
    /// The target. A later change of the recording replaces the file move by one with another
    /// target.
    pub destination: Destination,
    /// When the file move began.
    pub started_at: Timestamp,
    /// Distinguishes the file move from other ones of the recording. The number is needed to end
    /// it.
    pub number: u64,
    /// Whether the file move replaced one that was under way, whose process may still be moving
    /// files. It does not end until the files have been checked again later.
    pub replaced_running: bool,
}

impl FileMove {
    /// Creates a file move that begins now, and replaces the one under way, if any. It includes the
    /// formats of both.
    #[must_use]
    pub fn begin(
        record_id: &str,
        formats: impl IntoIterator<Item = String>,
        destination: Destination,
        now: Timestamp,
        replaced: Option<Self>,
    ) -> Self {
        let min_number = replaced.as_ref().map_or(0, |replaced| replaced.number + 1);
        let number = u64::try_from(now.0).unwrap_or_default().max(min_number);
        let replaced_running = replaced.is_some();
        let mut formats: Vec<String> = formats.into_iter().collect();
        formats.extend(replaced.map(|replaced| replaced.formats).unwrap_or_default());
        formats.sort();
        formats.dedup();
        let record_id = record_id.to_owned();
        Self { record_id, formats, destination, started_at: now, number, replaced_running }
    }

    /// Returns the destination and the formats of the file move that an import requires: that of
    /// the formats which did not come again, if they belong elsewhere now. `None` if no files have
    /// to be moved.
    #[must_use]
    pub fn needed_after_import(
        merged: &Recording,
        previous: Option<&Recording>,
        incoming: &Recording,
    ) -> Option<(Destination, Vec<String>)> {
        let is_incoming = |name: &str| incoming.formats.iter().any(|format| format.format == name);
        let previous = previous.filter(|previous| previous.published != merged.published)?;
        let names = previous.formats.iter().map(|format| format.format.clone());
        let kept: Vec<String> = names.filter(|name| !is_incoming(name)).collect();
        (!kept.is_empty()).then(|| (Destination::from_recording(merged), kept))
    }
}

/// The result of [`RecordingCatalog::import_recording`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedRecording {
    /// The recording as it is now, which says where its files belong.
    pub recording: Recording,
    /// Whether the recording existed before.
    pub existed_before: bool,
    /// The file move of formats that were not imported, if they belong elsewhere now.
    pub file_move: Option<FileMove>,
}

/// Searches and changes recordings. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait RecordingCatalog: Recordings {
    /// Searches recordings within a scope, and returns those after the cursor, `limit` at most: the
    /// newest first, then in the order of their ids.
    async fn search_recordings(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        after: Option<&RecordingCursor>,
        limit: u32,
    ) -> Result<Vec<Recording>, StoreError>;

    /// Searches recordings in the same order; skips `offset` of them and returns the next ones,
    /// `limit` at most, and the number of all recordings that match.
    async fn search_recordings_page(
        &self,
        filter: &RecordingFilter,
        scope: &TenantScope,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Recording>, u64), StoreError>;

    /// Changes those of the named recordings that are in the scope and not deleted, in one
    /// transaction; returns their ids.
    async fn change_recordings(
        &self,
        record_ids: &[String],
        scope: &TenantScope,
        change: &RecordingChange,
    ) -> Result<Vec<String>, StoreError>;

    /// Begins the file move of a recording in the scope: from now on its row has the new state. The
    /// metadata and formats of a deleted recording are removed; if it goes to the trash, that keeps
    /// what is needed to restore it. A file move that is under way is replaced.
    ///
    /// Moving a deleted recording to the trash again does not change it, and removing it takes it
    /// out of the trash. `None` if there is no such recording in the scope, or if it is deleted and
    /// the destination is not.
    async fn begin_file_move(
        &self,
        record_id: &str,
        scope: &TenantScope,
        to: Destination,
        now: Timestamp,
    ) -> Result<Option<FileMove>, StoreError>;

    /// Ends a file move whose files are at their destination. False if it was replaced meanwhile:
    /// then the files have to be moved again.
    async fn end_file_move(&self, file_move: &FileMove) -> Result<bool, StoreError>;

    /// Records that the files of a file move could not be moved now, unless it was replaced
    /// meanwhile: it is tried again after all others.
    async fn postpone_file_move(
        &self,
        file_move: &FileMove,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Lists file moves that began, or were last postponed, before that time: those first that have
    /// waited longest, `limit` at most.
    async fn list_file_moves(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileMove>, StoreError>;

    /// Records a recording that was imported, by [`domain::recording::catalog::merge_recording`].
    /// In the same transaction, a file move begins if formats that were not imported belong
    /// elsewhere now, and the message is posted that the callback of the meeting asks for. `None`
    /// if the recording was deleted; then nothing changes.
    async fn import_recording(
        &self,
        incoming: &IncomingRecording,
        now: Timestamp,
    ) -> Result<Option<ImportedRecording>, StoreError>;

    /// Deletes the tombstone of a recording, so that archives of it are imported again; false if
    /// there is none, if the recording is in the trash, or if a file move is under way.
    async fn forget_tombstone(&self, record_id: &str) -> Result<bool, StoreError>;

    /// Deletes the tombstones of recordings that were deleted before that time, and have neither
    /// files in the trash nor a file move under way, those that were deleted first, `limit` at
    /// most; returns their ids. Such a recording may be imported again.
    async fn forget_deleted_recordings(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<String>, StoreError>;
}
