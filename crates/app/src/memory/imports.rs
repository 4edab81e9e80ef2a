//! Archives in a map.

use async_trait::async_trait;
use domain::Timestamp;

use super::MemoryRecordings;
use super::recordings::{RecordingStoreState, to_usize};
use crate::ports::{ArchiveRecord, ImportStage, Imports, StoreError};

/// An archive and who has it.
pub(super) struct StoredArchive {
    archive: ArchiveRecord,
    claim_token: Option<String>,
    claimed_until: Timestamp,
    not_before: Timestamp,
}

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
        let at_once = Timestamp(0);
        Self { archive, claim_token: None, claimed_until: at_once, not_before: at_once }
    }

    fn may_be_claimed(&self, now: Timestamp) -> bool {
        match self.archive.stage {
            ImportStage::Received => self.not_before <= now,
            ImportStage::Importing => self.claimed_until <= now,
            ImportStage::Done | ImportStage::Quarantined => false,
        }
    }
}

impl RecordingStoreState {
    fn find_claimed_archive(&mut self, name: &str, token: &str) -> Option<&mut StoredArchive> {
        let kept = self.archives.get_mut(name)?;
        let is_its = kept.archive.stage == ImportStage::Importing
            && kept.claim_token.as_deref() == Some(token);
        is_its.then_some(kept)
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
            Some(kept) => match kept.archive.stage {
                ImportStage::Received | ImportStage::Importing => kept.archive.size = size,
                ImportStage::Quarantined if kept.archive.size == size => {}
                ImportStage::Done | ImportStage::Quarantined => *kept = new,
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
        let kept = state.archives.get_mut(name).filter(|kept| kept.may_be_claimed(now));
        let Some(kept) = kept else { return Ok(None) };
        kept.archive.stage = ImportStage::Importing;
        kept.archive.attempts += 1;
        kept.archive.changed_at = now;
        kept.claim_token = Some(token.to_owned());
        kept.claimed_until = until;
        Ok(Some(kept.archive.clone()))
    }

    async fn renew_archive_claim(
        &self,
        name: &str,
        token: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let Some(kept) = state.find_claimed_archive(name, token) else { return Ok(false) };
        kept.claimed_until = until;
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
        let Some(kept) = state.find_claimed_archive(name, token) else { return Ok(false) };
        kept.archive.stage = stage;
        kept.archive.reason = reason.map(str::to_owned);
        kept.archive.changed_at = now;
        kept.claim_token = None;
        kept.not_before = not_before;
        Ok(true)
    }

    async fn retry_archive(&self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let kept = state.archives.get_mut(name);
        let Some(kept) = kept.filter(|kept| kept.archive.stage == ImportStage::Quarantined) else {
            return Ok(false);
        };
        kept.archive.stage = ImportStage::Received;
        kept.archive.attempts = 0;
        kept.archive.reason = None;
        kept.archive.changed_at = now;
        kept.not_before = Timestamp(0);
        Ok(true)
    }

    async fn list_archives(&self, limit: u32) -> Result<Vec<ArchiveRecord>, StoreError> {
        let state = self.lock();
        let mut all: Vec<ArchiveRecord> =
            state.archives.values().map(|kept| &kept.archive).cloned().collect();
        all.sort_by(|one, other| {
            other.changed_at.cmp(&one.changed_at).then_with(|| one.name.cmp(&other.name))
        });
        all.truncate(to_usize(limit));
        Ok(all)
    }

    async fn forget_archives(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let count = state.archives.len();
        state.archives.retain(|_, kept| {
            kept.archive.stage != ImportStage::Done || kept.archive.changed_at >= before
        });
        Ok(u64::try_from(count - state.archives.len()).unwrap_or(u64::MAX))
    }
}
