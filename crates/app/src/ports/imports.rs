//! The archives of recordings that are imported, and which replica imports each of them.

use async_trait::async_trait;
use domain::Timestamp;

use super::store_error::StoreError;

/// The stage of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportStage {
    /// The archive is complete and waits to be imported.
    Received,
    /// A process imports the archive.
    Importing,
    /// Everything in the archive was imported.
    Done,
    /// The archive cannot be imported, and is kept for an administrator.
    Quarantined,
    /// The archive has files of a deleted recording, and is kept for a while.
    SetAside,
}

impl ImportStage {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Received, Self::Importing, Self::Done, Self::Quarantined, Self::SetAside];

    /// Returns the name by which stores keep the stage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Importing => "importing",
            Self::Done => "done",
            Self::Quarantined => "quarantined",
            Self::SetAside => "aside",
        }
    }

    /// Returns the stage of that name; `None` if there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

/// An archive and the state of its import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRecord {
    /// The file name, without the directory.
    pub name: String,
    /// The size in bytes.
    pub size: u64,
    /// When the archive was received.
    pub received_at: Timestamp,
    /// The stage.
    pub stage: ImportStage,
    /// How often the import was started.
    pub attempts: u32,
    /// Why the last import failed, or what it left out.
    pub reason: Option<String>,
    /// When the stage last changed.
    pub changed_at: Timestamp,
}

/// Stores the state of archives. Every method is atomic, and fails only if the store fails.
///
/// An archive is claimed by a token. A claim holds until its time, and may be renewed; at that time
/// the archive may be claimed again.
#[async_trait]
pub trait Imports: Send + Sync {
    /// Records that a complete archive of this name and size is in the spool. A new archive is
    /// received. An archive that is done starts anew as if it were new, and so does one that is kept
    /// if its size has changed. Of an archive that is received or being imported, only the size
    /// is updated.
    async fn receive_archive(
        &self,
        name: &str,
        size: u64,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Claims an archive until that time, and counts an attempt. Of several processes one gets the
    /// claim. `None` if there is no such archive, if it is done or kept, if it waits for a
    /// later attempt, or if another claim holds.
    async fn claim_archive(
        &self,
        name: &str,
        token: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ArchiveRecord>, StoreError>;

    /// Extends a claim until that time; false if the token does not hold the claim any more.
    async fn renew_archive_claim(
        &self,
        name: &str,
        token: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Ends a claim with the new stage of the archive: done, kept, or received, in which case it may be claimed again from `not_before` on. False if the token does not hold the
    /// claim any more; then nothing changes.
    async fn record_import_result(
        &self,
        name: &str,
        token: &str,
        stage: ImportStage,
        reason: Option<&str>,
        now: Timestamp,
        not_before: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Makes an archive that is kept received again, without its attempts and its reason; false if
    /// no archive of this name is kept.
    async fn retry_archive(&self, name: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// Lists archives, those that changed last first, `limit` at most.
    async fn list_archives(&self, limit: u32) -> Result<Vec<ArchiveRecord>, StoreError>;

    /// Makes an archive that was set aside done, for this reason; false if no archive of this name
    /// is set aside.
    async fn expire_archive(
        &self,
        name: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Deletes the records of archives that were done before that time; returns their number.
    async fn forget_archives(&self, before: Timestamp) -> Result<u64, StoreError>;
}
