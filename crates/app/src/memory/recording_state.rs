//! The data of the reference recording store, and the steps that its operations share.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::recording::{Callback, Recording};

use crate::ports::{ArchiveRecord, Destination, EndCallback, FileMove, OutboxMessage};

/// A recording in the trash, as it was before it was deleted.
pub(super) struct DeletedRecording {
    pub(super) recording: Recording,
    pub(super) deleted_at: Timestamp,
}

/// An archive and its claim.
pub(super) struct StoredArchive {
    pub(super) archive: ArchiveRecord,
    pub(super) claim_token: Option<String>,
    pub(super) claimed_until: Timestamp,
    /// When the archive may be claimed again.
    pub(super) not_before: Timestamp,
}

/// All data of the store. Recordings, file moves and the trash are keyed by record id, callbacks by
/// meeting id, messages and end callbacks by their ids and archives by file name.
#[derive(Default)]
pub(super) struct RecordingStoreState {
    pub(super) recordings: BTreeMap<String, Recording>,
    pub(super) callbacks: BTreeMap<String, Callback>,
    pub(super) file_moves: BTreeMap<String, FileMove>,
    /// Numbers of file moves that were postponed, and when.
    pub(super) postponed_moves: BTreeMap<String, (u64, Timestamp)>,
    pub(super) trash: BTreeMap<String, DeletedRecording>,
    pub(super) messages: BTreeMap<String, OutboxMessage>,
    pub(super) end_callbacks: BTreeMap<String, EndCallback>,
    pub(super) archives: BTreeMap<String, StoredArchive>,
    pub(super) trash_ms: Option<i64>,
    /// Tokens that claim recordings, and until when.
    pub(super) claims: BTreeMap<String, (String, Timestamp)>,
}

impl RecordingStoreState {
    /// Returns the key of the callback of a tenant's meeting.
    pub(super) fn callback_key(&self, tenant: Option<&str>, meeting_id: &str) -> Option<String> {
        let scoped_key = tenant.map(|tenant| Callback::tenant_scoped_id(tenant, meeting_id));
        let scoped_key = scoped_key.filter(|key| self.callbacks.contains_key(key));
        let plain_key = || {
            let callback = self.callbacks.get(meeting_id)?;
            callback.belongs_to(tenant).then(|| meeting_id.to_owned())
        };
        scoped_key.or_else(plain_key)
    }

    /// Begins a file move, which replaces one that is under way.
    pub(super) fn begin_file_move(
        &mut self,
        record_id: &str,
        formats: Vec<String>,
        destination: Destination,
        now: Timestamp,
    ) -> FileMove {
        let replaced = self.file_moves.remove(record_id);
        let file_move = FileMove::begin(record_id, formats, destination, now, replaced);
        self.file_moves.insert(record_id.to_owned(), file_move.clone());
        file_move
    }
}

pub(super) fn format_names(recording: &Recording) -> Vec<String> {
    recording.formats.iter().map(|format| format.format.clone()).collect()
}

pub(super) fn to_usize(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
