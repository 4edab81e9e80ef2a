//! Archives and their claims in a map.

use async_trait::async_trait;
use domain::Timestamp;

use super::recording_state::{RecordingStoreState, StoredArchive, to_usize};
use super::recordings::MemoryRecordings;
use crate::ports::{ArchiveRecord, ImportStage, Imports, StoreError};

impl StoredArchive {
    fn new(name: &str, size: u64, now: Timestamp) -> Self {
        let archive = ArchiveRecord {
            name: name.to_owned(),
            size,
            received_at: now,
            stage: ImportStage::Received,
            attempts: 0,
            reason: None,
            changed_at: now,
        };
        let past = Timestamp(0);
        Self { archive, claim_token: None, claimed_until: past, not_before: past }
    }

    fn may_be_claimed(&self, now: Timestamp) -> bool {
        match self.archive.stage {
            ImportStage::Received => self.not_before <= now,
            ImportStage::Importing => self.claimed_until <= now,
            ImportStage::Done | ImportStage::Quarantined | ImportStage::SetAside => false,
        }
    }
}

impl RecordingStoreState {
    /// Finds an archive that is claimed by this token.
    fn find_claimed_archive(&mut self, name: &str, token: &str) -> Option<&mut StoredArchive> {
        let stored = self.archives.get_mut(name)?;
        let holds_claim = stored.archive.stage == ImportStage::Importing
            && stored.claim_token.as_deref() == Some(token);
        holds_claim.then_some(stored)
    }
}

#[async_trait]
impl Imports for MemoryRecordings {
    async fn receive_archive(
        &self,
        name: &str,
        size: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let new = StoredArchive::new(name, size, now);
        match state.archives.get_mut(name) {
            Some(stored) => match stored.archive.stage {
                ImportStage::Received | ImportStage::Importing => stored.archive.size = size,
                ImportStage::Quarantined | ImportStage::SetAside if stored.archive.size == size => {
                }
                ImportStage::Done | ImportStage::Quarantined | ImportStage::SetAside => {
                    *stored = new;
                }
            },
            None => {
                state.archives.insert(name.to_owned(), new);
            }
        }
        Ok(())
    }

    async fn claim_archive(
        &self,
        name: &str,
        token: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ArchiveRecord>, StoreError> {
        let mut state = self.lock();
        let stored = state.archives.get_mut(name).filter(|stored| stored.may_be_claimed(now));
        let Some(stored) = stored else { return Ok(None) };
        stored.archive.stage = ImportStage::Importing;
        stored.archive.attempts += 1;
        stored.archive.changed_at = now;
        stored.claim_token = Some(token.to_owned());
        stored.claimed_until = until;
        Ok(Some(stored.archive.clone()))
    }

    async fn renew_archive_claim(
        &self,
        name: &str,
        token: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let Some(stored) = state.find_claimed_archive(name, token) else { return Ok(false) };
        stored.claimed_until = until;
        Ok(true)
    }

    async fn record_import_result(
        &self,
        name: &str,
        token: &str,
        stage: ImportStage,
        reason: Option<&str>,
        now: Timestamp,
        not_before: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let Some(stored) = state.find_claimed_archive(name, token) else { return Ok(false) };
        stored.archive.stage = stage;
        stored.archive.reason = reason.map(str::to_owned);
        stored.archive.changed_at = now;
        stored.claim_token = None;
        stored.not_before = not_before;
        Ok(true)
    }

    async fn retry_archive(&self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let is_kept = |stored: &&mut StoredArchive| {
            matches!(stored.archive.stage, ImportStage::Quarantined | ImportStage::SetAside)
        };
        let Some(stored) = state.archives.get_mut(name).filter(is_kept) else {
            return Ok(false);
        };
        stored.archive.stage = ImportStage::Received;
        stored.archive.attempts = 0;
        stored.archive.reason = None;
        stored.archive.changed_at = now;
        stored.not_before = Timestamp(0);
        Ok(true)
    }

    async fn expire_archive(
        &self,
        name: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let is_aside = |stored: &&mut StoredArchive| stored.archive.stage == ImportStage::SetAside;
        let Some(stored) = state.archives.get_mut(name).filter(is_aside) else {
            return Ok(false);
        };
        stored.archive.stage = ImportStage::Done;
        stored.archive.reason = Some(reason.to_owned());
        stored.archive.changed_at = now;
        Ok(true)
    }

    async fn list_archives(&self, limit: u32) -> Result<Vec<ArchiveRecord>, StoreError> {
        let state = self.lock();
        let mut all: Vec<ArchiveRecord> =
            state.archives.values().map(|stored| &stored.archive).cloned().collect();
        all.sort_by(|a, b| b.changed_at.cmp(&a.changed_at).then_with(|| a.name.cmp(&b.name)));
        all.truncate(to_usize(limit));
        Ok(all)
    }

    async fn forget_archives(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let count = state.archives.len();
        state.archives.retain(|_, stored| {
            stored.archive.stage != ImportStage::Done || stored.archive.changed_at >= before
        });
        Ok(u64::try_from(count - state.archives.len()).unwrap_or(u64::MAX))
    }
}
