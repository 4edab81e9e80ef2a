//! Records the result of an import, and deletes, keeps or quarantines its archive.

use super::deleted::describe_deleted;
use super::importer::Importer;
use super::result::{
    ImportFailure, ImportResult, ImportedArchive, ScanError, SetAsideArchive, join_some,
};
use crate::ports::{ArchiveRecord, ImportStage, KeptPlace, SpooledArchive, StoreError};

/// When a broken archive is tried again, in ms: its sender may not have finished. After the last
/// attempt it is quarantined.
pub(super) const INVALID_ARCHIVE_DELAYS_MS: [i64; 2] = [5_000, 30_000];
/// When an import is tried again after a temporary error, in ms.
pub(super) const RETRY_DELAY_MS: i64 = 10_000;
/// How long imported archives stay in the list, in ms.
const KEEP_DONE_MS: i64 = 30 * 86_400_000;

impl Importer {
    /// Records the result of an import.
    ///
    /// # Errors
    /// When the spool or the store cannot be used.
    pub(super) async fn finish_import(
        &self,
        archive: &ArchiveRecord,
        token: &str,
        imported: Result<ImportedArchive, ImportFailure>,
    ) -> Result<ImportResult, ScanError> {
        match imported {
            Ok(imported) if imported.errors.is_empty() && imported.deleted_ids.is_empty() => {
                self.complete_import(archive, token, imported).await
            }
            // The archive may be the only copy of the formats that were not imported.
            Ok(imported) => self.keep_archive(archive, token, imported).await,
            Err(ImportFailure::InvalidArchive(reason)) => {
                let attempts = usize::try_from(archive.attempts).unwrap_or(usize::MAX);
                match INVALID_ARCHIVE_DELAYS_MS.get(attempts.saturating_sub(1)) {
                    Some(delay_ms) => {
                        self.postpone_import(archive, token, &reason, *delay_ms).await?;
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
                let reason = Some("its file is missing");
                self.record_result(archive, token, ImportStage::Done, reason, 0).await?;
                Ok(ImportResult::NotClaimed)
            }
        }
    }

    /// Records the archive as done, then deletes it. An archive that is still in the spool after a
    /// crash in between is imported again, which changes nothing.
    async fn complete_import(
        &self,
        archive: &ArchiveRecord,
        token: &str,
        imported: ImportedArchive,
    ) -> Result<ImportResult, ScanError> {
        let ImportedArchive { record_ids, left_out, .. } = imported;
        let note = (!left_out.is_empty()).then(|| format!("left out: {}", join_some(&left_out)));
        if self.record_result(archive, token, ImportStage::Done, note.as_deref(), 0).await? {
            self.spool.remove_archive(&archive.name, token).await?;
            let oldest_kept = self.clock.now().plus_ms(-KEEP_DONE_MS);
            self.records.forget_archives(oldest_kept).await?;
        } else {
            self.spool.discard_unpacked(token).await?;
        }
        Ok(ImportResult::Done(record_ids, note))
    }

    async fn postpone_import(
        &self,
        archive: &ArchiveRecord,
        token: &str,
        reason: &str,
        delay_ms: i64,
    ) -> Result<(), ScanError> {
        self.spool.discard_unpacked(token).await?;
        self.record_result(archive, token, ImportStage::Received, Some(reason), delay_ms).await?;
        Ok(())
    }

    /// Keeps an archive with formats that were not imported: in quarantine if they are faulty, aside
    /// if they belong to deleted recordings.
    async fn keep_archive(
        &self,
        archive: &ArchiveRecord,
        token: &str,
        imported: ImportedArchive,
    ) -> Result<ImportResult, ScanError> {
        let ImportedArchive { record_ids, deleted_ids, errors, .. } = imported;
        let mut reasons = Vec::new();
        if !record_ids.is_empty() {
            reasons.push("the rest was imported".to_owned());
        }
        if !deleted_ids.is_empty() {
            reasons.push(describe_deleted(&deleted_ids));
        }
        if !errors.is_empty() {
            reasons.push(join_some(&errors));
            return self.quarantine_archive(archive, token, reasons.join("; ")).await;
        }
        let (place, reason) = (KeptPlace::Aside, reasons.join("; "));
        let reason = self.move_to_kept(archive, token, place, reason).await?;
        Ok(ImportResult::SetAside(SetAsideArchive { deleted_ids, record_ids, reason }))
    }

    async fn quarantine_archive(
        &self,
        archive: &ArchiveRecord,
        token: &str,
        reason: String,
    ) -> Result<ImportResult, ScanError> {
        let reason = self.move_to_kept(archive, token, KeptPlace::Quarantine, reason).await?;
        Ok(ImportResult::Quarantined(reason))
    }

    /// Moves an archive to where archives are kept, and records the reason, which names the file if
    /// another archive has its name there.
    async fn move_to_kept(
        &self,
        archive: &ArchiveRecord,
        token: &str,
        place: KeptPlace,
        mut reason: String,
    ) -> Result<String, ScanError> {
        let kept_as = self.spool.keep_archive(&archive.name, token, place, &reason).await?;
        if let Some(kept_as) = kept_as.filter(|kept_as| *kept_as != archive.name) {
            reason = format!("{reason}; kept as {kept_as}");
        }
        let stage = match place {
            KeptPlace::Quarantine => ImportStage::Quarantined,
            KeptPlace::Aside => ImportStage::SetAside,
        };
        self.record_result(archive, token, stage, Some(&reason), 0).await?;
        Ok(reason)
    }

    /// Records how an import ended; false if the claim was lost.
    async fn record_result(
        &self,
        archive: &ArchiveRecord,
        token: &str,
        stage: ImportStage,
        reason: Option<&str>,
        delay_ms: i64,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let retry_at = now.plus_ms(delay_ms);
        self.records.record_import_result(&archive.name, token, stage, reason, now, retry_at).await
    }

    /// Moves an archive that is kept, in quarantine or aside, back to the spool, so that it is
    /// imported again; `None` if there is none of that name.
    ///
    /// # Errors
    /// When the spool or the store cannot be used.
    pub async fn retry_archive(&self, name: &str) -> Result<Option<SpooledArchive>, ScanError> {
        let released = self.spool.release_kept(name).await?;
        if released.is_some() {
            self.records.retry_archive(name, self.clock.now()).await?;
        }
        Ok(released)
    }
}
