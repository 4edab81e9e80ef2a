//! One look at the spool, and one archive from claim to end.

use std::time::Duration;

use super::{
    CLAIM_MS, INVALID_ARCHIVE_DELAYS_MS, ImportFailure, ImportResult, ImportedFormats, Importer,
    RENEW_INTERVAL_MS, RETRY_DELAY_MS,
};
use crate::ports::{ArchiveRecord, ImportStage, SpoolError, SpooledArchive, StoreError};

/// How long archives that are done are listed, in ms.
const KEEP_DONE_MS: i64 = 30 * 86_400_000;

/// What a look at the spool came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanResult {
    /// Archives that were imported.
    pub imported: usize,
    /// Whether some may still be growing.
    pub has_incomplete: bool,
    /// Whether some wait for another attempt.
    pub has_waiting: bool,
    /// Why nothing can be imported now: there is no space.
    pub full_reason: Option<String>,
}

impl Importer {
    /// Imports what lies in the spool, one archive after the other, until it is told to stop: what was begun is
    /// finished.
    ///
    /// # Errors
    /// When the spool or the store cannot be used.
    pub async fn scan(&self, stop: impl Fn() -> bool) -> Result<ScanResult, ScanError> {
        for (name, token) in self.spool.clean_up_after_crash().await? {
            // Whoever died here need not be waited for.
            let (gone, now) = (Some("its importer was killed"), self.clock.now());
            self.records
                .record_import_result(&name, &token, ImportStage::Received, gone, now, now)
                .await?;
        }
        let arrivals = self.spool.scan_spool().await?;
        let mut looked =
            ScanResult { has_incomplete: arrivals.has_incomplete, ..ScanResult::default() };
        for arrived in arrivals.complete {
            if stop() {
                break;
            }
            match self.import_archive(&arrived).await? {
                ImportResult::Done(..) => looked.imported += 1,
                ImportResult::Postponed(_) => looked.has_waiting = true,
                ImportResult::Full(why) => {
                    looked.full_reason = Some(why);
                    break;
                }
                ImportResult::Quarantined(_) => {}
                ImportResult::NotClaimed => looked.has_waiting = true,
            }
        }
        Ok(looked)
    }

    /// Imports one archive of the spool, if it is free.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn import_archive(
        &self,
        arrived: &SpooledArchive,
    ) -> Result<ImportResult, ScanError> {
        let now = self.clock.now();
        self.records.receive_archive(&arrived.name, arrived.size, now).await?;
        let token = self.entropy.generate_uuid();
        let Some(archive) = self.claim_archive(&arrived.name, &token).await? else {
            return Ok(ImportResult::NotClaimed);
        };
        tracing::info!(archive = archive.name, attempt = archive.attempts, "import begins");
        let result = tokio::select! {
            result = self.unpack_and_import(&archive, &token) => result,
            () = self.renew_claim(&archive.name, &token) => {
                self.spool.discard_unpacked(&token).await?;
                return Ok(ImportResult::NotClaimed);
            }
        };
        let ended = self.finish_import(&archive, &token, result).await;
        match &ended {
            Ok(ended) => log_result(&archive.name, ended),
            // What was unpacked would stay as long as this process.
            Err(_) => self.spool.discard_unpacked(&token).await?,
        }
        ended
    }

    async fn claim_archive(
        &self,
        name: &str,
        token: &str,
    ) -> Result<Option<ArchiveRecord>, StoreError> {
        let now = self.clock.now();
        let until = now.plus_ms(CLAIM_MS);
        let claimed = self.records.claim_archive(name, token, now, until).await?;
        // What was put aside left the spool before that was written down. So it was sent again.
        if claimed.is_none() && self.records.retry_archive(name, now).await? {
            return self.records.claim_archive(name, token, now, until).await;
        }
        Ok(claimed)
    }

    /// Ends when the claim is lost.
    async fn renew_claim(&self, name: &str, token: &str) {
        loop {
            tokio::time::sleep(Duration::from_millis(RENEW_INTERVAL_MS)).await;
            let until = self.clock.now().plus_ms(CLAIM_MS);
            match self.records.renew_archive_claim(name, token, until).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, archive = name, "claim not renewed"),
            }
        }
    }

    async fn unpack_and_import(
        &self,
        archive: &ArchiveRecord,
        token: &str,
    ) -> Result<ImportedFormats, ImportFailure> {
        let found = self.spool.unpack_archive(&archive.name, token).await?;
        self.import_formats(&archive.name, found).await
    }

    async fn finish_import(
        &self,
        archive: &ArchiveRecord,
        token: &str,
        result: Result<ImportedFormats, ImportFailure>,
    ) -> Result<ImportResult, ScanError> {
        match result {
            Ok(result) if result.errors.is_empty() => {
                let note = Some(result.notes.join("; ")).filter(|note| !note.is_empty());
                // Done comes first: what is found in the spool after that is imported again, which
                // changes nothing.
                if self.record_result(archive, token, ImportStage::Done, note.as_deref(), 0).await?
                {
                    self.spool.remove_archive(&archive.name, token).await?;
                    let long_ago = self.clock.now().plus_ms(-KEEP_DONE_MS);
                    self.records.forget_archives(long_ago).await?;
                } else {
                    self.spool.discard_unpacked(token).await?;
                }
                Ok(ImportResult::Done(result.record_ids, note))
            }
            // The archive may be the only copy of what was not imported.
            Ok(result) => {
                let reason = format!("the rest was imported; {}", result.errors.join("; "));
                self.quarantine_archive(archive, token, reason).await
            }
            Err(ImportFailure::InvalidArchive(reason)) => {
                let attempts = usize::try_from(archive.attempts).unwrap_or(usize::MAX);
                match INVALID_ARCHIVE_DELAYS_MS.get(attempts.saturating_sub(1)) {
                    Some(wait_ms) => {
                        self.postpone_import(archive, token, &reason, *wait_ms).await?;
                        Ok(ImportResult::Postponed(reason))
                    }
                    None => self.quarantine_archive(archive, token, reason).await,
                }
            }
            Err(ImportFailure::Full(reason)) => {
                self.postpone_import(archive, token, &reason, RETRY_DELAY_MS).await?;
                Ok(ImportResult::Full(reason))
            }
            Err(ImportFailure::Temporary(reason)) => {
                self.postpone_import(archive, token, &reason, RETRY_DELAY_MS).await?;
                Ok(ImportResult::Postponed(reason))
            }
            Err(ImportFailure::Missing) => {
                self.spool.discard_unpacked(token).await?;
                let gone = Some("its file is gone");
                self.record_result(archive, token, ImportStage::Done, gone, 0).await?;
                Ok(ImportResult::NotClaimed)
            }
        }
    }

    async fn postpone_import(
        &self,
        archive: &ArchiveRecord,
        token: &str,
        reason: &str,
        wait_ms: i64,
    ) -> Result<(), ScanError> {
        self.spool.discard_unpacked(token).await?;
        self.record_result(archive, token, ImportStage::Received, Some(reason), wait_ms).await?;
        Ok(())
    }

    async fn quarantine_archive(
        &self,
        archive: &ArchiveRecord,
        token: &str,
        reason: String,
    ) -> Result<ImportResult, ScanError> {
        self.spool.quarantine_archive(&archive.name, token, &reason).await?;
        self.record_result(archive, token, ImportStage::Quarantined, Some(&reason), 0).await?;
        Ok(ImportResult::Quarantined(reason))
    }

    /// Brings an archive back from quarantine, so that it can be imported; `None` if there is none of that name.
    ///
    /// # Errors
    /// When the spool or the store cannot be used.
    pub async fn retry_archive(&self, name: &str) -> Result<Option<SpooledArchive>, ScanError> {
        let released = self.spool.release_quarantined(name).await?;
        if released.is_some() {
            self.records.retry_archive(name, self.clock.now()).await?;
        }
        Ok(released)
    }
}

/// Why nothing was imported.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ScanError {
    /// Directories.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn log_result(archive: &str, ended: &ImportResult) {
    match ended {
        ImportResult::Done(records, note) => {
            tracing::info!(archive, records = records.join(","), note, "imported");
        }
        ImportResult::Postponed(reason) => tracing::warn!(archive, reason, "import is tried again"),
        ImportResult::Full(reason) => {
            tracing::error!(archive, reason, "imports stop until there is space");
        }
        ImportResult::Quarantined(reason) => tracing::error!(archive, reason, "archive put aside"),
        ImportResult::NotClaimed => {}
    }
}
