//! Archives of recordings on their way in, shared out among replicas.

use async_trait::async_trait;
use domain::Timestamp;

use super::store_error::StoreError;

/// How far an archive has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportStage {
    /// It is whole, and waits.
    Received,
    /// Somebody is at it.
    Importing,
    /// All of it that can be imported is.
    Done,
    /// It cannot be imported, and lies aside until somebody looks.
    Quarantined,
}

impl ImportStage {
    /// Its name where archives are kept.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Importing => "importing",
            Self::Done => "done",
            Self::Quarantined => "quarantined",
        }
    }

    /// The stage of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Received, Self::Importing, Self::Done, Self::Quarantined];
        all.into_iter().find(|stage| stage.name() == name)
    }
}

/// An archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRecord {
    /// The name of its file, without the directory.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was found.
    pub received_at: Timestamp,
    /// How far it has come.
    pub stage: ImportStage,
    /// How often it was begun.
    pub attempts: u32,
    /// Why it did not go on, or what of it was left out.
    pub reason: Option<String>,
    /// When it changed its stage last.
    pub changed_at: Timestamp,
}

/// Archives. Every method is atomic.
#[async_trait]
pub trait Imports: Send + Sync {
    /// An archive was found: whole, and of that size. One that was done, and comes again, waits again as if it
    /// were new, and so does one in quarantine if it has another size; of one that waits or is being
    /// imported nothing changes but its size.
    async fn receive_archive(
        &self,
        name: &str,
        size: u64,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Takes an archive of that name that waits, or whose importer has not been heard of until its time ran out.
    /// Of many who want it one gets it, until that time, and knows it by the token.
    async fn claim_archive(
        &self,
        name: &str,
        token: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ArchiveRecord>, StoreError>;

    /// The importer is still at it; false if the claim is no longer its own.
    async fn renew_archive_claim(
        &self,
        name: &str,
        token: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The importer has ended: done, quarantined, or received again, which may be tried from that time on.
    async fn record_import_result(
        &self,
        name: &str,
        token: &str,
        stage: ImportStage,
        reason: Option<&str>,
        now: Timestamp,
        not_before: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Makes a quarantined archive wait again, its attempts forgotten; false if there is none.
    async fn retry_archive(&self, name: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// Archives, what changed last first, so many at most.
    async fn list_archives(&self, limit: u32) -> Result<Vec<ArchiveRecord>, StoreError>;

    /// Forgets archives that were done before that time.
    async fn forget_archives(&self, before: Timestamp) -> Result<u64, StoreError>;
}
